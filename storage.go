package polar

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// storage exchanges the content of files with the host that keeps it. Its addresses are signed, so a request has exactly the
// headers that Polar gave: no token, no cookie, nothing of the client. It uses the client's transport, which may know a
// proxy, without the middleware, and follows redirects of downloads only.
type storage struct {
	transport http.RoundTripper
	retry     RetryPolicy
	plain     bool // the client itself speaks http, as with an embedded server
}

// standstill is how long an exchange may go on without a byte of the content moving. There is no limit for the whole: large
// files take as long as they take.
const standstill = time.Minute

var errStandstill = fmt.Errorf("nothing has moved for %v", standstill)

// storage returns the exchange with the settings of the client, which options of the call may change.
func (c *core) storage(opts []CallOption) (*storage, error) {
	call := &call{config: c.config, req: &request{}}
	if err := call.apply(opts); err != nil {
		return nil, err
	}
	s := &storage{transport: call.transport, retry: call.retry, plain: call.baseURL.Scheme == "http"}
	if s.transport == nil {
		s.transport = http.DefaultTransport
	}
	return s, nil
}

// address parses an address that Polar gave. Errors do not repeat it, for whoever has it can use it.
func (s *storage) address(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !s.plain) {
		return nil, errors.New("the address from Polar is no https URL")
	}
	return u, nil
}

// repeat tries until it works, as often and with the pauses that the retry policy says. When an attempt has moved on
// before it failed, the counting begins anew.
func (s *storage) repeat(ctx context.Context, try func() (moved bool, err error)) error {
	for attempt := 1; ; attempt++ {
		moved, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended.Why(ctx)
		}
		if moved {
			attempt = 1
		}
		if attempt >= s.retry.MaxAttempts || !passing(err) {
			return err
		}
		timer := time.NewTimer(rand.N(s.retry.backoff(attempt) + 1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ended.Why(ctx)
		}
	}
}

// passing reports whether the same request may work a little later.
func passing(err error) bool {
	if _, final := errors.AsType[*finalError](err); final {
		return false
	}
	if _, distrusted := errors.AsType[*tls.CertificateVerificationError](err); distrusted {
		return false
	}
	refused, ok := errors.AsType[*storageError](err)
	return !ok || refused.status >= 500 || refused.status == http.StatusTooManyRequests || refused.status == http.StatusRequestTimeout ||
		refused.code == "RequestTimeout" // which S3 says with a 400
}

// watch returns a context that ends when moved was not called for too long.
func watch(parent context.Context) (ctx context.Context, moved, done func()) {
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(standstill, func() { cancel(errStandstill) })
	return ctx, func() { timer.Reset(standstill) }, func() {
		timer.Stop()
		cancel(nil)
	}
}

// roundTrip sends a request as it is. It is no http.Client's, which would follow redirects, add a Referer, and repeat
// addresses in errors.
func (s *storage) roundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.transport.RoundTrip(req)
	switch {
	case err != nil:
		if cause := context.Cause(req.Context()); cause != nil {
			return nil, cause
		}
		return nil, withoutURL(err)
	case resp == nil:
		return nil, errors.New("the transport returned neither an answer nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	return resp, nil
}

func newRequest(ctx context.Context, method string, u *url.URL, headers map[string]string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return nil, withoutURL(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	return req, nil
}

// put sends a part of a file and returns the storage's ETag of it.
func (s *storage) put(ctx context.Context, part *models.FileUploadPart, body *partBody) (etag string, err error) {
	address, err := s.address(part.URL)
	if err != nil {
		return "", &finalError{err}
	}
	ctx, moved, done := watch(ctx)
	defer done()
	body.moved = moved
	defer body.end() // a transport may read on after it has returned
	req, err := newRequest(ctx, http.MethodPut, address, part.Headers)
	if err != nil {
		return "", &finalError{err}
	}
	if body.left > 0 {
		req.Body, req.ContentLength = body, body.left
	}
	resp, err := s.roundTrip(req)
	if failed := body.failed(); failed != nil {
		if err == nil {
			resp.Body.Close()
		}
		return "", &finalError{failed}
	}
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if !success(resp) {
		return "", refusal(resp)
	}
	if etag = resp.Header.Get("ETag"); etag == "" {
		return "", errors.New("the storage answered without an ETag")
	}
	return etag, nil
}

// partBody is the body of one attempt to send a part. It keeps the last bytes back when the content is not the one that
// was announced, so that the storage never gets a whole part that is wrong.
type partBody struct {
	moved    func()          // something was read
	progress func(int) error // so many bytes were read
	want     string          // SHA-256 in base64

	mu      sync.Mutex
	content io.Reader // nil when the attempt is over
	left    int64
	sum     hash.Hash
	err     error
}

func (b *partBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.content == nil:
		return 0, errors.New("the attempt is over")
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	}
	n, err := b.content.Read(p[:min(int64(len(p)), b.left)])
	b.sum.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left == 0 && encode(b.sum) != b.want:
		b.err = contentChanged("it has other bytes than when its checksum was made")
	case b.left > 0 && err == io.EOF:
		b.err = contentChanged("it has become shorter")
	case b.left > 0 && err != nil:
		b.err = fmt.Errorf("read the content: %w", err)
	default:
		b.err = b.progress(n)
	}
	if b.err != nil {
		return 0, b.err
	}
	b.moved()
	return n, nil
}

// Close does nothing: the content is read again when the part has to be sent again.
func (b *partBody) Close() error { return nil }

func (b *partBody) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *partBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content = nil
}

// download is a file being fetched.
type download struct {
	url     *url.URL
	headers map[string]string // that Polar gave for url
	size    int64
	want    string // SHA-256 in base64, empty when it is not known
	w       io.Writer

	done int64 // bytes that were written
	sum  hash.Hash
	etag string
}

const maxRedirects = 5

// download fetches a file from the address that Polar gave for it.
func (c *core) download(ctx context.Context, call string, d *download, address string, checksum *string, opts []CallOption) error {
	if c == nil {
		return errZeroClient
	}
	fail := func(err error) error { return &callError{call: call, err: err} }
	switch {
	case ctx == nil:
		return fail(errNoContext)
	case isNil(d.w):
		return fail(errors.New("the writer is nil"))
	}
	s, err := c.storage(opts)
	if err != nil {
		return fail(err)
	}
	if d.url, err = s.address(address); err != nil {
		return fail(err)
	}
	if checksum != nil {
		d.want = *checksum
	}
	if err := s.get(ctx, d); err != nil {
		return fail(err)
	}
	return nil
}

// get fetches a file and compares it with its size and checksum. When the connection breaks it asks for the rest.
func (s *storage) get(ctx context.Context, d *download) error {
	d.sum = sha256.New()
	err := s.repeat(ctx, func() (bool, error) {
		before := d.done
		err := s.fetch(ctx, d)
		return d.done > before, err
	})
	if err != nil {
		return err
	}
	if d.want != "" && encode(d.sum) != d.want {
		return &classError{class: ErrChecksum, text: "the content that came is not the one of the file's checksum"}
	}
	return nil
}

// fetch makes one attempt to get what is missing.
func (s *storage) fetch(ctx context.Context, d *download) error {
	ctx, moved, done := watch(ctx)
	defer done()
	resp, err := s.open(ctx, d)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	skip := d.done
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(d.done, 10)+"-"):
		skip = 0
	case resp.StatusCode != http.StatusOK:
		return refusal(resp)
	}
	if etag := resp.Header.Get("ETag"); strings.HasPrefix(etag, `"`) { // a weak one says nothing about bytes
		if d.etag != "" && d.etag != etag {
			return &finalError{&classError{class: ErrChecksum, text: "the file was replaced while it came"}}
		}
		d.etag = etag
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		moved()
		fresh := buf[min(skip, int64(n)):n]
		skip -= int64(n - len(fresh))
		if d.done+int64(len(fresh)) > d.size {
			return &finalError{&classError{class: ErrChecksum, text: fmt.Sprintf("the content is longer than the %d bytes of the file", d.size)}}
		}
		if len(fresh) > 0 {
			if _, err := d.w.Write(fresh); err != nil {
				return &finalError{fmt.Errorf("write the content: %w", err)}
			}
			d.sum.Write(fresh)
			d.done += int64(len(fresh))
		}
		switch {
		case err == nil:
		case d.done == d.size:
			return nil
		case err == io.EOF:
			return &finalError{&classError{class: ErrChecksum, text: fmt.Sprintf("the content ended after %d of the %d bytes of the file", d.done, d.size)}}
		case ctx.Err() != nil:
			return ended.Why(ctx)
		default:
			return err
		}
	}
}

// open asks for what is missing and follows redirects, of which the API's own address for downloads is one.
func (s *storage) open(ctx context.Context, d *download) (*http.Response, error) {
	for range maxRedirects {
		req, err := newRequest(ctx, http.MethodGet, d.url, d.headers)
		if err != nil {
			return nil, &finalError{err}
		}
		req.Header.Set("Accept-Encoding", "identity") // the checksum is of the bytes as they are stored
		if d.done > 0 {
			req.Header.Set("Range", "bytes="+strconv.FormatInt(d.done, 10)+"-")
			if d.etag != "" {
				req.Header.Set("If-Range", d.etag)
			}
		}
		resp, err := s.roundTrip(req)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, nil
		}
		resp.Body.Close()
		to, err := d.url.Parse(resp.Header.Get("Location"))
		if err != nil || to.Host == "" || to.Scheme != "https" && (to.Scheme != "http" || d.url.Scheme != "http") {
			return nil, &finalError{errors.New("the address sends on to one that is no https URL")}
		}
		if to.Host != d.url.Host {
			d.headers = nil
		}
		d.url = to // also for the rest after a broken connection, so that Polar counts one download
	}
	return nil, &finalError{errors.New("the address sends on too often")}
}

// storageError is a refusal of the storage, which says in XML what is wrong.
type storageError struct {
	status        int
	code, message string
	expired       bool
}

func refusal(resp *http.Response) *storageError {
	e := &storageError{status: resp.StatusCode}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorKept))
	var body struct{ Code, Message string }
	if xml.Unmarshal(data, &body) == nil {
		e.code, e.message = body.Code, body.Message
	}
	e.expired = e.status == http.StatusGone || e.status == http.StatusForbidden && strings.Contains(e.message, "expired")
	return e
}

func (e *storageError) Error() string {
	text := "the storage answered " + strconv.Itoa(e.status)
	if e.code != "" {
		text += " " + oneLine(e.code, 64)
	}
	if e.message != "" {
		text += ": " + oneLine(e.message, maxErrorText)
	}
	return text
}

func (e *storageError) Is(target error) bool { return e.expired && target == ErrExpired }

// classError is an error of a class that is none of an answer.
type classError struct {
	class ErrorClass
	text  string
}

func (e *classError) Error() string        { return e.text }
func (e *classError) Is(target error) bool { return target == e.class }

func contentChanged(how string) error {
	return &classError{class: ErrChecksum, text: "the content was changed meanwhile: " + how}
}
