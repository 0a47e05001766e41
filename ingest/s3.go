package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/polar-go/polar/models"
)

// S3Option changes what [Ingester.S3Transport] tracks.
type S3Option func(*s3Transport)

// S3Endpoint names the host of a server that is not Amazon's, without a port, so that a bucket in front of it (bucket.s3.example.com) is
// told from a bucket in the path. Without it hosts with a label s3 after the first are taken for the former.
func S3Endpoint(host string) S3Option {
	return func(t *s3Transport) { t.endpoint = strings.ToLower(host) }
}

// S3UsageOptions adds metadata to the events.
func S3UsageOptions(opts ...UsageOption) S3Option {
	return func(t *s3Transport) { t.usage = opts }
}

// S3Transport returns a RoundTripper for the HTTP client of any SDK for S3. It tracks one event for each object that was
// uploaded, with the metadata bytes, bucket, key, contentType and strategy. Bytes are those of the object: the framing of chunked
// uploads does not count, and the parts of a multipart upload count together when it is completed, each once however often it was
// sent. A nil base is [http.DefaultTransport].
//
// The customer is that of the request's context, so one S3 client serves all customers; an upload without a customer is not
// sent. Other requests pass through. Parts have to be uploaded through the same transport as the request that completes them;
// otherwise [OnError] gets [ErrNoUsage].
func (i *Ingester) S3Transport(base http.RoundTripper, event string, opts ...S3Option) http.RoundTripper {
	t := &s3Transport{ing: i, base: base, event: event, most: maxUploads, uploads: map[string]*s3Upload{}}
	for _, opt := range opts {
		if opt != nil {
			opt(t)
		}
	}
	return t
}

type s3Transport struct {
	ing      *Ingester
	base     http.RoundTripper
	event    string
	endpoint string
	usage    []UsageOption
	most     int // uploads that are remembered

	mu      sync.Mutex
	uploads map[string]*s3Upload // by bucket, key and id; of one that was only created, without id
	order   []s3Started          // begins with the oldest; may have some that are over
	started int
}

type s3Started struct {
	upload string
	number int
}

type s3Upload struct {
	number      int
	contentType string
	parts       map[int]int64
}

// maxUploads is how many multipart uploads are remembered; those that are never completed nor aborted go first.
const maxUploads = 10_000

// RoundTrip sends the request and tracks what it uploaded.
func (t *s3Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	bucket, key := t.address(r)
	if key == "" {
		return roundTrip(t.base, r)
	}
	q := r.URL.Query()
	id, object := q.Get("uploadId"), bucket+"/"+key
	upload := object + "\x00" + id
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		resp, err := roundTrip(t.base, r)
		if ok(resp, err) {
			t.remember(object, r.Header.Get("Content-Type"))
		}
		return resp, err
	case r.Method == http.MethodDelete && id != "":
		resp, err := roundTrip(t.base, r)
		if ok(resp, err) {
			t.forget(object, upload)
		}
		return resp, err
	case r.Method != http.MethodPut && (r.Method != http.MethodPost || id == ""):
		return roundTrip(t.base, r)
	case r.Method == http.MethodPut && (r.Header.Get("X-Amz-Copy-Source") != "" || isSubresource(q)):
		return roundTrip(t.base, r) // copies within S3, tags, permissions
	}
	customer, err := t.ing.find(r.Context())
	if err != nil {
		return refuse(r, err)
	}
	if r.Method == http.MethodPost {
		return t.complete(r, customer, bucket, key, id)
	}
	size := payload(r)
	resp, err := roundTrip(t.base, r)
	if !ok(resp, err) {
		return resp, err
	}
	if id != "" {
		part, _ := strconv.Atoi(q.Get("partNumber"))
		t.part(object, upload, part, size)
		return resp, nil
	}
	t.track(r, customer, bucket, key, r.Header.Get("Content-Type"), size)
	return resp, nil
}

func ok(resp *http.Response, err error) bool { return err == nil && resp.StatusCode/100 == 2 }

// isSubresource tells requests about an object's properties from the upload of its content.
func isSubresource(q map[string][]string) bool {
	for _, name := range [...]string{"acl", "tagging", "retention", "legal-hold", "torrent", "restore", "encryption", "renameObject"} {
		if _, found := q[name]; found {
			return true
		}
	}
	return false
}

// payload returns how many bytes of an object the request holds. S3 takes no bodies of unknown length.
func payload(r *http.Request) int64 {
	if decoded, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil && decoded >= 0 {
		return decoded
	}
	return max(0, r.ContentLength)
}

// address returns the bucket and the key of a request.
func (t *s3Transport) address(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if name, _, found := strings.Cut(host, ":"); found {
		host = name
	}
	if bucket := t.virtual(strings.ToLower(host)); bucket != "" {
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// virtual returns the bucket that a host begins with.
func (t *s3Transport) virtual(host string) string {
	if t.endpoint != "" {
		bucket, _ := strings.CutSuffix(host, "."+t.endpoint)
		if bucket == host {
			return ""
		}
		return bucket
	}
	for _, mark := range [...]string{".s3.", ".s3-"} {
		if n := strings.LastIndex(host, mark); n > 0 {
			return host[:n]
		}
	}
	return ""
}

func (t *s3Transport) remember(key, contentType string) *s3Upload {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rememberLocked(key, contentType)
}

func (t *s3Transport) rememberLocked(key, contentType string) *s3Upload {
	if u := t.uploads[key]; u != nil {
		if contentType != "" {
			u.contentType = contentType
		}
		return u
	}
	t.started++
	u := &s3Upload{number: t.started, contentType: contentType, parts: map[int]int64{}}
	t.uploads[key] = u
	t.order = append(t.order, s3Started{key, t.started})
	over := func(s s3Started) bool { return t.uploads[s.upload] == nil || t.uploads[s.upload].number != s.number }
	if len(t.order) > 2*t.most { // at least half of it
		t.order = slices.DeleteFunc(t.order, over)
	}
	for len(t.uploads) > t.most {
		if !over(t.order[0]) {
			delete(t.uploads, t.order[0].upload)
		}
		t.order = t.order[1:]
	}
	return u
}

func (t *s3Transport) part(object, upload string, number int, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	contentType := ""
	if created := t.uploads[object]; created != nil {
		contentType = created.contentType
	}
	t.rememberLocked(upload, contentType).parts[number] = size
}

func (t *s3Transport) forget(object, upload string) *s3Upload {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.uploads[upload]
	delete(t.uploads, upload)
	delete(t.uploads, object)
	return u
}

// complete joins the parts of a multipart upload. S3 may answer 200 and tell in the body that it failed.
func (t *s3Transport) complete(r *http.Request, customer Customer, bucket, key, id string) (*http.Response, error) {
	resp, err := roundTrip(t.base, r)
	if !ok(resp, err) || resp.Body == nil {
		return resp, err
	}
	resp.Body = &s3Body{ReadCloser: resp.Body, done: func(body []byte, err error) {
		if err != nil {
			t.ing.report(fmt.Errorf("%w: S3's answer broke off, and an upload is not tracked before it is completed once more: %w", ErrNoUsage, err))
			return
		}
		if bytes.Contains(body, []byte("<Error>")) {
			return
		}
		object := bucket + "/" + key
		u := t.forget(object, object+"\x00"+id)
		if u == nil || len(u.parts) == 0 {
			t.ing.report(fmt.Errorf("%w: the parts of an upload to S3 did not pass through this transport", ErrNoUsage))
			return
		}
		var size int64
		for _, n := range u.parts {
			size += n
		}
		t.track(r, customer, bucket, key, u.contentType, size)
	}}
	return resp, nil
}

// s3Body reads the beginning of an answer along.
type s3Body struct {
	io.ReadCloser
	done func([]byte, error)

	mu   sync.Mutex // bodies may be closed while they are read
	over bool
	head []byte
}

// Read passes on what it reads.
func (b *s3Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.see(p[:n], err)
	return n, err
}

// Close takes what has been read for the whole answer.
func (b *s3Body) Close() error {
	err := b.ReadCloser.Close()
	b.see(nil, io.EOF)
	return err
}

func (b *s3Body) see(p []byte, end error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.head = append(b.head, p[:min(len(p), maxHead-len(b.head))]...)
	if b.over = end != nil; !b.over {
		return
	}
	if errors.Is(end, io.EOF) {
		end = nil
	}
	b.done(b.head, end)
}

// maxHead is how much of an answer of S3 is looked at.
const maxHead = 64 << 10

func (t *s3Transport) track(r *http.Request, customer Customer, bucket, key, contentType string, size int64) {
	m := models.Metadata{"bytes": size, "bucket": shortText(bucket), "key": shortText(key), "strategy": "S3"}
	if contentType != "" {
		m["contentType"] = shortText(contentType)
	}
	if err := t.ing.use(context.WithoutCancel(r.Context()), customer, newUsage(t.usage).event(t.event, m)); err != nil {
		t.ing.report(err)
	}
}
