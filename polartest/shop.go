package polartest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// shop is the state of what stands around customers and sales.
type shop struct {
	links      store[*checkoutLink]
	linkSecret map[string]*checkoutLink // by client secret
	fields     store[*customField]
	files      store[*file]
	dashboards store[*dashboard]
	disputes   store[*dispute]
	oauth      oauth
	eventTypes map[string]*eventType // by organization and name
}

// front answers what is not under /v1: pages (checkouts, their links, the portal, consent), the storage of files, and the
// documents that say how to sign in. Everything else is the API's.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	var h func(http.ResponseWriter, *http.Request)
	switch {
	case strings.HasPrefix(path, linkPath):
		h = s.openLink
	case strings.HasPrefix(path, storagePath):
		s.storage(w, r)
		return
	case r.Method == http.MethodGet && strings.HasPrefix(path, downloadPath) && path != downloadPath:
		h = s.sendToDownload
	case path == "/.well-known/openid-configuration" || path == "/.well-known/oauth-authorization-server":
		h = s.serveDiscovery
	case path == "/.well-known/jwks.json":
		h = s.serveKeys
	case path == consentPath:
		h = s.serveConsent
	case isPage(path):
		h = s.servePage
	default:
		s.serve(w, r)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<30)) // before the lock: a slow upload keeps nobody waiting
	if err != nil {
		write(w, &apiError{status: http.StatusBadRequest, body: namedError{"BadRequest", "The request body could not be read."}})
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	held := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	s.held(func() { h(held, r) }, held)
	s.nudge()
	held.send(w)
}

// held runs f with the state locked. A mistake in it is an answer, too, and does not stop the server.
func (s *Server) held(f func(), w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			write(w, fmt.Errorf("polartest: the page failed: %v", r))
		}
	}()
	s.runDue(s.clock.now())
	f()
}

// heldAnswer keeps an answer until the lock is free, so that a slow reader keeps nobody waiting either.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is for http.ResponseWriter.
func (h *heldAnswer) Header() http.Header { return h.header }

// WriteHeader is for http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) { h.status = status }

// Write is for http.ResponseWriter.
func (h *heldAnswer) Write(data []byte) (int, error) { return h.body.Write(data) }

// send sends what was kept.
func (h *heldAnswer) send(w http.ResponseWriter) {
	for k, v := range h.header {
		w.Header()[k] = v
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes())
}
