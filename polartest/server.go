package polartest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// TB is the part of testing.TB that [NewServer] needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a running Polar server. Its methods may be called from several goroutines.
type Server struct {
	// URL is the base URL of the API, for polar.WithBaseURL.
	URL string

	test   TB // nil: started by a program
	config *config
	table  *table
	faults faults
	log    requestLog
	http   *http.Server
	stop   context.CancelFunc
	tasks  sync.WaitGroup
	wake   chan struct{} // for the courier

	mu     sync.Mutex // guards everything below
	idle   *sync.Cond // on mu: an attempt to deliver a webhook is over
	closed bool
	ids
	post  ids // of the courier, who works beside the requests: what it makes must not change what they get
	clock clock
	at    time.Time // the time of what runs now
	state
	shop
}

// NewServer starts a server that stops when the test ends, and fails the test when it cannot.
func NewServer(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	s.test = t
	t.Cleanup(s.Close)
	return s
}

// Start starts a server for a program; [Server.Close] stops it.
func Start(opts ...Option) (*Server, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	t, err := facts()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + l.Addr().String(), config: c, table: t, ids: ids{rand.NewChaCha8(*c.seed)}, wake: make(chan struct{}, 1)}
	s.idle = sync.NewCond(&s.mu)
	post := *c.seed
	post[31] ^= 0xff
	s.post = ids{rand.NewChaCha8(post)}
	s.clock.fixed = c.time
	s.at = s.clock.now()
	s.clock.floor = s.at
	s.state = newState()
	s.org = s.addOrganization(c.orgName, c.orgSlug)
	s.http = &http.Server{Handler: http.HandlerFunc(s.front), ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.tasks.Go(func() { _ = s.http.Serve(l) })
	s.tasks.Go(func() { s.courier(ctx) })
	return s, nil
}

// Close stops the server. It is safe to call it twice.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.idle.Broadcast()
	s.stop()
	_ = s.http.Close()
	s.tasks.Wait()
}

// OrganizationID is the id of the organization that the server holds from the start.
func (s *Server) OrganizationID() string { return s.org.m.ID }

// Now is the server's time.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.now()
}

// Advance moves the server's clock by d and runs what falls due on the way, in
// order and at its time. Webhook events that come of it are delivered before the
// clock moves on, so receivers find the server as it was when the event was made.
// Do not call it from a receiver of webhooks: it waits for them.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runDue(s.clock.now())
	s.drain()
	end := s.clock.now().Add(max(0, d))
	for len(s.clock.due) > 0 && !s.clock.due[0].at.After(end) && !s.closed {
		s.step(s.clock.due[0].at)
		s.drain()
	}
	s.step(end)
	s.drain()
}

// step moves the clock to t, unless it is later already, and runs what is due then.
func (s *Server) step(t time.Time) {
	if wait := t.Sub(s.clock.now()); wait > 0 {
		s.clock.advance(wait)
	}
	s.runDue(s.clock.now())
}

// do runs f with the state locked and everything due done.
func (s *Server) do(f func() error) error {
	defer s.nudge()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runDue(s.clock.now())
	return f()
}

// Client returns a client with an organization token that has every scope. For one with
// options of your own use its method With, or [Server.ClientWithToken].
func (s *Server) Client() *polar.Client {
	c, _ := s.ClientWithToken(s.Token()) // fails for wrong options only
	return c
}

// ClientWithToken returns a client of this server with a token of yours. Options come
// after the server's own, so they win.
func (s *Server) ClientWithToken(token string, opts ...polar.Option) (*polar.Client, error) {
	return polar.New(polar.Token(token), s.clientOptions(opts)...)
}

// PortalClient returns a client of the Customer Portal for a customer of the
// server, given by its id or by its external id, with a session of its own.
func (s *Server) PortalClient(customer string, opts ...polar.Option) (*polar.Portal, error) {
	ctx := context.Background()
	client := s.Client()
	body := models.CustomerSessionCreate{ExternalCustomerID: &customer}
	if s.hasCustomer(customer) {
		body = models.CustomerSessionCreate{CustomerID: &customer}
	}
	session, err := client.CustomerSessions.Create(ctx, body)
	if err != nil {
		return nil, err
	}
	return polar.NewPortal(polar.Token(session.Token), s.clientOptions(opts)...)
}

func (s *Server) hasCustomer(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _ := s.customers.get(id)
	return c != nil
}

func (s *Server) clientOptions(opts []polar.Option) []polar.Option {
	return append([]polar.Option{polar.WithBaseURL(s.URL)}, opts...)
}

// Token makes an organization token with the scopes, or with every scope when none is given.
func (s *Server) Token(scopes ...models.Scope) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token("polar_oat_")
	s.addToken(t, &subject{kind: kindOrganization, orgs: []string{s.org.m.ID}, scopes: scopeSet(scopes)})
	return t
}

// UserToken makes a personal token that reaches every organization of the server.
// With it, as with Polar's own, requests name the organization they are for.
func (s *Server) UserToken(scopes ...models.Scope) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token("polar_pat_")
	s.addToken(t, &subject{kind: kindPersonal, userID: s.user.id, scopes: scopeSet(scopes)})
	return t
}

// RevokeToken makes the server forget a token.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

func scopeSet(scopes []models.Scope) map[string]bool {
	if len(scopes) == 0 {
		return nil
	}
	set := map[string]bool{}
	for _, sc := range scopes {
		set[string(sc)] = true
	}
	return set
}

var errNotFound = errors.New("polartest: there is no such object")

// trimSlash toggles the slash at the end of a path.
func trimSlash(path string) string {
	if p, ok := strings.CutSuffix(path, "/"); ok {
		return p
	}
	return path + "/"
}
