package polarhttp

import (
	"errors"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar"
)

const maxForm = 64 << 10 // bytes of the body of a POST

// Refusal is an error that says what the visitor is answered: Status, and Message as the text. The hook of
// [WithCheckoutHook] returns one to refuse a request; what this package refuses by itself is one, too.
type Refusal struct {
	Status    int
	Parameter string // parameter of the request that is wrong, if it is one
	Message   string // without anything that the visitor sent

	cause error // what Polar said
}

// Error returns the message.
func (r *Refusal) Error() string { return "polarhttp: " + r.Message }

// Unwrap returns the error of Polar, if it was Polar that refused.
func (r *Refusal) Unwrap() error { return r.cause }

// StatusCode returns the status that answers an error of this package:
//
//   - that of a [*Refusal]: 400 for wrong parameters, 403, 405, 413, 415, 503
//   - 404 for [ErrUnknownCustomer]
//   - 503 when Polar's rate limiter refused
//   - 504 when Polar took too long, 502 when it failed or could not be reached
//   - 500 for everything else, such as a token that Polar does not know and errors of the program's own functions
func StatusCode(err error) int {
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Status >= 400 && refusal.Status <= 599 {
		return refusal.Status
	}
	network, broken := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, ErrUnknownCustomer):
		return http.StatusNotFound
	case errors.Is(err, polar.ErrRateLimited):
		return http.StatusServiceUnavailable
	case broken && network.Timeout(): // the end of a context, too
		return http.StatusGatewayTimeout
	case errors.Is(err, polar.ErrServer), errors.Is(err, polar.ErrOutcomeUnknown), broken:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// retryAfter is how long to wait before trying again, in whole seconds: what Polar said, as far as that is not too long
// for a person.
func retryAfter(err error) string {
	const least, most = 5 * time.Second, time.Minute
	wait := least
	if e, ok := errors.AsType[*polar.Error](err); ok {
		wait = min(max(wait, e.RetryAfter), most)
	}
	return seconds(wait)
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// page is a handler that answers with a redirect to an address at Polar.
type page struct {
	pageConfig
	address func(w http.ResponseWriter, r *http.Request) (string, error)
	signIn  http.Handler // answers errNobody
}

var (
	errNobody    = &Refusal{Status: http.StatusBadRequest, Message: "nobody is signed in"}
	errNoAddress = errors.New("polarhttp: Polar answered with something that is no address of a web page")
)

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	to, err := p.open(w, r)
	switch {
	case err == nil:
		http.Redirect(w, r, to, http.StatusSeeOther)
	case errors.Is(err, errNobody) && p.signIn != nil:
		p.signIn.ServeHTTP(w, r)
	default:
		p.answer(w, r, err)
	}
}

// open returns where to go, for a request that may ask for it.
func (p *page) open(w http.ResponseWriter, r *http.Request) (string, error) {
	switch r.Method {
	case http.MethodGet:
		if isPrefetch(r.Header) {
			return "", &Refusal{Status: http.StatusServiceUnavailable, Message: "this page is not made ahead of the visit"}
		}
	case http.MethodPost:
		if err := p.crossSite.Check(r); err != nil {
			return "", &Refusal{Status: http.StatusForbidden, Message: "the form comes from another site"}
		}
	default: // HEAD, too: looking at a link must not make anything
		w.Header().Set("Allow", "GET, POST")
		return "", &Refusal{Status: http.StatusMethodNotAllowed, Message: "the method must be GET or POST"}
	}
	to, err := p.address(w, r)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(to); err != nil || !isWeb(u) {
		return "", errNoAddress
	}
	return to, nil
}

// isPrefetch tells whether a browser loads the page on suspicion, before anybody has asked for it.
func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, value := range h.Values(name) {
			value = strings.ToLower(value)
			if strings.Contains(value, "prefetch") || strings.Contains(value, "prerender") || strings.Contains(value, "preview") {
				return true
			}
		}
	}
	return false
}

// answer answers with an error, and logs it if the visitor is not to blame.
func (p *page) answer(w http.ResponseWriter, r *http.Request, err error) {
	status := StatusCode(err)
	refusal, refused := errors.AsType[*Refusal](err)
	reason := err
	if refused {
		reason = refusal.cause
	}
	if reason != nil && r.Context().Err() == nil {
		level := slog.LevelError
		switch status {
		case http.StatusBadRequest, http.StatusNotFound:
			level = slog.LevelInfo
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			level = slog.LevelWarn
		}
		p.log().LogAttrs(r.Context(), level, "polarhttp: no redirect", slog.Int("status", status), slog.Any("error", reason))
	}
	if status == http.StatusServiceUnavailable && !refused {
		w.Header().Set("Retry-After", retryAfter(err))
	}
	if p.fail != nil {
		p.fail(w, r, err)
		return
	}
	text := "something is wrong with this page; its operator has the details"
	switch {
	case refused:
		text = refusal.Message
	case status == http.StatusNotFound:
		text = "there are no purchases of yours yet"
	case status != http.StatusInternalServerError:
		text = "the payment service cannot be reached; try again in a moment"
	}
	http.Error(w, text, status)
}

// form returns the parameters of a request, those of the body of a POST and of the URL together.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost && r.Body != nil && r.Body != http.NoBody {
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if kind != "application/x-www-form-urlencoded" && (kind != "" || r.ContentLength != 0) {
			return nil, &Refusal{Status: http.StatusUnsupportedMediaType, Message: "the body must be a form, application/x-www-form-urlencoded"}
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &Refusal{Status: http.StatusRequestEntityTooLarge, Message: "the form has more than 64 KiB"}
		}
		return nil, &Refusal{Status: http.StatusBadRequest, Message: "the query or the form cannot be read"}
	}
	return r.Form, nil
}
