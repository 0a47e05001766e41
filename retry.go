package polar

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// RetryPolicy says how often and how patiently a call is repeated. What may be repeated at all is not a matter of policy; the
// package documentation says it. Fields that are zero have the defaults named beside them.
type RetryPolicy struct {
	// MaxAttempts is how often a request is sent at most, the first time included: 4. 1 turns repeating off.
	MaxAttempts int
	// BaseDelay and MaxDelay shape the pause before an attempt: a random time up to BaseDelay (500 ms), which doubles
	// with each attempt until MaxDelay (8 s).
	BaseDelay, MaxDelay time.Duration
	// MaxRetryAfter is how long a pause the server may ask for by the header Retry-After: 10 s. If it wants more, the
	// call ends at once with the server's answer, whose error holds the time in RetryAfter. Polar's limiter asks for
	// 60 s, so set a minute and a context that allows it where a program can wait.
	MaxRetryAfter time.Duration
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	return RetryPolicy{
		MaxAttempts:   cmp.Or(p.MaxAttempts, 4),
		BaseDelay:     cmp.Or(p.BaseDelay, 500*time.Millisecond),
		MaxDelay:      cmp.Or(p.MaxDelay, 8*time.Second),
		MaxRetryAfter: cmp.Or(p.MaxRetryAfter, 10*time.Second),
	}
}

func (p RetryPolicy) validate() error {
	if p.MaxAttempts < 0 {
		return fmt.Errorf("MaxAttempts of the retry policy is %d: 1 turns repeating off, 0 means the default", p.MaxAttempts)
	}
	if p.BaseDelay < 0 || p.MaxDelay < 0 || p.MaxRetryAfter < 0 {
		return errors.New("a time of the retry policy is negative")
	}
	return nil
}

// backoff returns the longest pause after the given attempt, counted from 1.
func (p RetryPolicy) backoff(attempt int) time.Duration {
	d := min(p.BaseDelay, p.MaxDelay)
	for range attempt - 1 {
		if d > p.MaxDelay/2 {
			return p.MaxDelay
		}
		d *= 2
	}
	return d
}

// newHTTPClient puts the parts that send a request together:
//
//	retryablehttp.Client   repeats; checkRetry decides
//	http.Client            follows redirects; checkRedirect decides
//	middleware             the user's
//	attempt                rate limit, token, time limit, reads the body
//	transport              the user's, or http.DefaultTransport
//
// The http.Client is our own: the user's Timeout would cut streams. The library closes the idle connections of its client
// after each failed call, which are the user's; bare hides that method.
func (c *core) newHTTPClient() (*retryablehttp.Client, error) {
	var rt http.RoundTripper = &attempt{core: c}
	for i := len(c.middleware) - 1; i >= 0; i-- {
		if rt = c.middleware[i](rt); rt == nil {
			return nil, fmt.Errorf("polar: middleware %d returned nil", i+1)
		}
	}
	return &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: bare{rt}, CheckRedirect: c.checkRedirect},
		RetryMax:     math.MaxInt32, // MaxAttempts counts
		CheckRetry:   checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 }, // checkRetry has waited
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}, nil
}

type bare struct{ http.RoundTripper }

// checkRetry decides whether a call is repeated, and waits until it is time. It waits itself because the library gives
// Backoff neither the context nor, after an error of the network, anything from which to reach the call, and because it
// would forget the answer of a server that asked to wait when the context ends meanwhile.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok || ctx.Err() != nil || c.attempt >= c.retry.MaxAttempts || !c.retryable(resp, err) {
		return false, nil
	}
	wait := rand.N(c.retry.backoff(c.attempt) + 1)
	if resp != nil {
		if asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			if asked > c.retry.MaxRetryAfter {
				return false, nil
			}
			wait = asked + rand.N(c.retry.BaseDelay+1)
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false, nil
	}
	c.logRetry(ctx, wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.attempt++
		c.started = false
		return true, nil
	case <-ctx.Done():
		c.interrupted = true
		return false, nil
	}
}

// retryable reports whether a request may be sent again after this outcome. Polar has no idempotency keys, so a request
// that is not repeatable needs proof that it was not carried out: no connection was given to it, or the rate limiter
// refused it.
func (c *call) retryable(resp *http.Response, err error) bool {
	if err != nil {
		if _, final := errors.AsType[*finalError](err); final {
			return false
		}
		if _, distrusted := errors.AsType[*tls.CertificateVerificationError](err); distrusted {
			return false
		}
		return c.repeatable || c.unsent()
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		// with a name it is a refusal for reasons of business
		return parseErrorBody(peek(resp)).name == ""
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return c.repeatable
	}
	return false
}

// unsent reports whether the last attempt certainly never reached a server: it was not started, or it asked for a connection
// and got none. Of a transport that does not report connections nothing is known.
func (c *call) unsent() bool {
	return !c.started || c.askedConn.Load() && !c.gotConn.Load()
}

// finalError is a failure inside an attempt that another attempt would not mend.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// checkRedirect lets a request go on only to the same server with the same method: Polar answers a wrong slash with a 307.
// Everything else ends the call with the redirect as its answer, so that neither token nor body get anywhere else.
func (c *core) checkRedirect(req *http.Request, via []*http.Request) error {
	const most = 3
	if len(via) > most || req.URL.Scheme != c.baseURL.Scheme || req.URL.Host != c.baseURL.Host || req.Method != via[0].Method {
		return http.ErrUseLastResponse
	}
	return nil
}

// retryAfter reads the header Retry-After: seconds or a date. It reports false when there is none that can be read.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0, false
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return max(0, date.Sub(now)), true
}

func (c *call) logRetry(ctx context.Context, wait time.Duration) {
	if c.logger != nil && c.logger.Enabled(ctx, slog.LevelInfo) {
		c.logger.LogAttrs(ctx, slog.LevelInfo, "polar: repeating a call",
			slog.String("operation", label(c.req.op, c.req.method, c.req.route)),
			slog.Int("attempt", c.attempt),
			slog.Duration("wait", wait))
	}
}
