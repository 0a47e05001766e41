package polar_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

const mib = 1 << 20

// bytesOf makes content that is the same on each run.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// quickly lets a client repeat without pauses that a test would notice.
var quickly = polar.WithRetry(polar.RetryPolicy{MaxAttempts: 3, BaseDelay: 1, MaxDelay: 1})

func book(content io.Reader) polar.Upload {
	return polar.Upload{Name: "book.pdf", Service: models.FileServiceDownloadable, Content: content, PartSize: 5 * mib, Parallel: 1}
}

// tap is a transport that shows every request, and may answer in its place.
func tap(see func(*http.Request) (*http.Response, error)) polar.Option {
	return polar.WithHTTPClient(&http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		if resp, err := see(r); resp != nil || err != nil {
			return resp, err
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func connected(t *testing.T, srv *polartest.Server, opts ...polar.Option) *polar.Client {
	t.Helper()
	client, err := srv.Client().With(append([]polar.Option{quickly}, opts...)...)
	require.NoError(t, err)
	return client
}

// bought gives the customer u1 a file and returns it as the portal lists it, with the portal.
func bought(t *testing.T, srv *polartest.Server, fileID string, opts ...polar.Option) (*polar.Portal, models.FileDownload) {
	t.Helper()
	ctx, client := t.Context(), connected(t, srv, opts...)
	benefit, err := client.Benefits.Create(ctx, models.BenefitDownloadablesCreate{Description: "Files", Properties: models.BenefitDownloadablesCreateProperties{Files: []string{fileID}}})
	require.NoError(t, err)
	product, err := client.Products.Create(ctx, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 900}}})
	require.NoError(t, err)
	_, err = client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{benefit.ID}})
	require.NoError(t, err)
	checkout, err := client.Checkouts.Create(ctx, models.CheckoutCreate{Products: []string{product.ID}, ExternalCustomerID: new("u1"), CustomerEmail: new("ada@example.com")})
	require.NoError(t, err)
	require.NoError(t, srv.CompleteCheckout(checkout.ID))
	session, err := client.CustomerSessions.Create(ctx, models.CustomerSessionCreate{ExternalCustomerID: new("u1")})
	require.NoError(t, err)
	portal, err := client.Portal(polar.Token(session.Token))
	require.NoError(t, err)
	page, err := portal.Downloadables.List(ctx, nil)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	return portal, page.Items[0].File
}

// onlyReader hides every method but Read.
type onlyReader struct{ io.Reader }

// onlySeeker hides ReadAt.
type onlySeeker struct{ io.ReadSeeker }

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	content := bytesOf(10*mib + 5)
	path := filepath.Join(t.TempDir(), "on-disk.bin")
	require.NoError(t, os.WriteFile(path, append([]byte("header"), content...), 0o600))
	for name, open := range map[string]func(t *testing.T) io.Reader{
		"a reader at any place": func(*testing.T) io.Reader { return bytes.NewReader(content) },
		"a reader that seeks":   func(*testing.T) io.Reader { return onlySeeker{bytes.NewReader(content)} },
		"a stream":              func(*testing.T) io.Reader { return onlyReader{bytes.NewReader(content)} },
		"a file from where it stands": func(t *testing.T) io.Reader {
			f, err := os.Open(path)
			require.NoError(t, err)
			t.Cleanup(func() { f.Close() })
			_, err = f.Seek(6, io.SeekStart)
			require.NoError(t, err)
			return f
		},
		"a pipe": func(t *testing.T) io.Reader {
			r, w, err := os.Pipe()
			require.NoError(t, err)
			t.Cleanup(func() { r.Close() })
			go func() {
				defer w.Close()
				_, _ = w.Write(content)
			}()
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			client := connected(t, srv)
			var shown []int64
			upload := book(open(t))
			upload.Parallel, upload.Version = 3, "1.2"
			upload.Progress = func(sent, total int64) {
				assert.Equal(t, int64(len(content)), total)
				shown = append(shown, sent)
			}
			file, err := client.Files.Upload(t.Context(), upload)
			require.NoError(t, err)
			sum := sha256.Sum256(content)
			assert.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), *file.ChecksumSHA256Base64)
			assert.True(t, file.IsUploaded)
			assert.Equal(t, "application/pdf", file.MimeType)
			assert.Equal(t, "1.2", *file.Version)
			require.NotEmpty(t, shown)
			assert.IsIncreasing(t, shown)
			assert.Equal(t, int64(len(content)), shown[len(shown)-1])
			assert.Len(t, srv.Requests("storage:upload"), 3)

			portal, listed := bought(t, srv, file.ID)
			var got bytes.Buffer
			require.NoError(t, portal.Downloadables.Download(t.Context(), listed, &got))
			assert.True(t, bytes.Equal(content, got.Bytes()))
			to := filepath.Join(t.TempDir(), "book.pdf")
			require.NoError(t, portal.Downloadables.DownloadFile(t.Context(), listed, to))
			saved, err := os.ReadFile(to)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(content, saved))
			onlyFile(t, to)

			for _, r := range srv.Requests("storage:upload", "storage:download") {
				for _, h := range []string{"Authorization", "Cookie", "Polar-Version", "Polar-Organization", "Referer"} {
					assert.Empty(t, r.Header.Values(h), h)
				}
				assert.NotContains(t, r.Header.Get("User-Agent"), "polar")
			}
		})
	}
}

// onlyFile fails when there is another file beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

func TestUploadOfSmallFiles(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv, polar.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return transportFunc(func(r *http.Request) (*http.Response, error) {
			assert.True(t, strings.HasPrefix(r.URL.Path, "/v1/"), "middleware is for the API")
			return next.RoundTrip(r)
		})
	}))
	dir := t.TempDir()
	for name, content := range map[string]string{"empty.txt": "", "note.txt": "hello", "nothing.unknown-type": "x"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		file, err := client.Files.UploadFile(t.Context(), path, polar.Upload{Service: models.FileServiceDownloadable})
		require.NoError(t, err, name)
		assert.Equal(t, name, file.Name)
		assert.Equal(t, int64(len(content)), file.Size)
		if strings.HasSuffix(name, ".txt") {
			assert.Equal(t, "text/plain", file.MimeType, "without parameters, which Polar refuses")
		} else {
			assert.Equal(t, "application/octet-stream", file.MimeType)
		}
	}
	logo, err := client.Files.Upload(t.Context(), polar.Upload{Name: "logo.png", Service: models.FileServiceProductMedia, Content: strings.NewReader("picture")})
	require.NoError(t, err)
	var got strings.Builder
	require.NoError(t, client.Files.Download(t.Context(), *logo, &got))
	assert.Equal(t, "picture", got.String())
	logo.PublicURL = nil
	require.ErrorContains(t, client.Files.Download(t.Context(), *logo, &got), "polar: files:download: the file has no PublicURL")
}

func TestUploadIsCheckedFirst(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	large := bytes.NewReader(make([]byte, mib+1))
	for name, tc := range map[string]struct {
		change func(*polar.Upload)
		want   string
	}{
		"no content":        {func(u *polar.Upload) { u.Content = nil }, "the Content is nil"},
		"a nil file":        {func(u *polar.Upload) { u.Content = (*bytes.Reader)(nil) }, "the Content is nil"},
		"no name":           {func(u *polar.Upload) { u.Name = "" }, "the Name is empty"},
		"a path":            {func(u *polar.Upload) { u.Name = "../x" }, "is no file name"},
		"a line end":        {func(u *polar.Upload) { u.Name = "a\nb" }, "is no file name"},
		"no service":        {func(u *polar.Upload) { u.Service = "" }, "the Service is empty"},
		"small parts":       {func(u *polar.Upload) { u.PartSize = 5*mib - 1 }, "PartSize is 5242879: it has to be from 5242880"},
		"negative parallel": {func(u *polar.Upload) { u.Parallel = -1 }, "Parallel is -1"},
		"no picture":        {func(u *polar.Upload) { u.Service = models.FileServiceProductMedia }, "the MimeType application/pdf is not allowed for product_media, only image/jpeg"},
		"a large logo": {func(u *polar.Upload) {
			u.Service, u.Name, u.Content = models.FileServiceOrganizationAvatar, "a.png", large
		}, "the content has more than 1048576 bytes, the most that Polar takes for organization_avatar"},
		"a large stream": {func(u *polar.Upload) {
			u.Service, u.Name, u.Content = models.FileServiceOrganizationAvatar, "a.png", onlyReader{io.LimitReader(endless{}, 1<<40)}
		}, "the content has more than 1048576 bytes"},
		"a reader that fails": {func(u *polar.Upload) { u.Content = onlyReader{io.MultiReader(strings.NewReader("x"), failing{})} }, "read the content: disk on fire"},
		"a broken state":      {func(u *polar.Upload) { u.Resume = &polar.UploadState{} }, "the Resume is not the state of an upload"},
	} {
		t.Run(name, func(t *testing.T) {
			upload := book(strings.NewReader("content"))
			tc.change(&upload)
			_, err := client.Files.Upload(t.Context(), upload)
			require.ErrorContains(t, err, tc.want)
			assert.True(t, strings.HasPrefix(err.Error(), "polar: files:upload: "), err.Error())
			_, began := errors.AsType[*polar.UploadError](err)
			assert.False(t, began)
		})
	}
	upload := book(strings.NewReader("content"))
	_, err := client.Files.UploadFile(t.Context(), "x", upload)
	require.ErrorContains(t, err, "Content is set")
	upload.Content = nil
	_, err = client.Files.UploadFile(t.Context(), filepath.Join(t.TempDir(), "missing"), upload)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = client.Files.UploadFile(t.Context(), t.TempDir(), upload)
	require.ErrorContains(t, err, "is a directory")
	upload.Content = strings.NewReader("content")
	_, err = client.Files.Upload(t.Context(), upload, nil)
	require.ErrorContains(t, err, "call option 1 is nil")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutting down"))
	_, err = client.Files.Upload(ctx, upload)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "shutting down")
	_, err = (&polar.FileService{}).Upload(t.Context(), upload)
	require.ErrorContains(t, err, "was not made by a function of this package")
	assert.Empty(t, srv.Requests(), "nothing was sent")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestUploadRepeatsParts(t *testing.T) {
	t.Parallel()
	content := bytesOf(5*mib + 1)
	for name, fault := range map[string]polartest.Fault{
		"a cut connection": polartest.Reset(),
		"a lost answer":    polartest.LoseAnswer(),
		"a 500":            polartest.BadGateway(500),
		"a 503":            polartest.BadGateway(503),
		"a 429":            polartest.TooManyRequests(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			client := connected(t, srv)
			srv.Break("storage:upload", 2, fault)
			var shown []int64
			upload := book(bytes.NewReader(content))
			upload.Progress = func(sent, _ int64) { shown = append(shown, sent) }
			file, err := client.Files.Upload(t.Context(), upload)
			require.NoError(t, err)
			assert.True(t, file.IsUploaded)
			assert.Len(t, srv.Requests("storage:upload"), 4, "two parts, one of them three times")
			assert.Len(t, srv.Requests("files:create"), 1)
			assert.Len(t, srv.Requests("files:uploaded"), 1)
			assert.IsIncreasing(t, shown)
			assert.Equal(t, int64(len(content)), shown[len(shown)-1])
		})
	}
}

// TestUploadIsResumed cuts the connection in the middle of the second part until the attempts are used up, keeps the state as JSON, and goes on.
func TestUploadIsResumed(t *testing.T) {
	t.Parallel()
	content := bytesOf(10*mib + 1)
	for name, open := range map[string]func() io.Reader{
		"a file":   func() io.Reader { return bytes.NewReader(content) },
		"a seeker": func() io.Reader { return onlySeeker{bytes.NewReader(content)} },
		"a stream": func() io.Reader { return onlyReader{bytes.NewReader(content)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			var cut atomic.Bool
			cut.Store(true)
			client := connected(t, srv, tap(func(r *http.Request) (*http.Response, error) {
				if cut.Load() && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/2") {
					_, _ = io.CopyN(io.Discard, r.Body, 2*mib)
					return nil, errors.New("connection reset by peer")
				}
				return nil, nil
			}))
			upload := book(open())
			_, err := client.Files.Upload(t.Context(), upload)
			failed, ok := errors.AsType[*polar.UploadError](err)
			require.True(t, ok, err)
			require.ErrorContains(t, err, "polar: files:upload: part 2: connection reset by peer (upload of file "+failed.State.File.ID+": 1 of 3 parts are there; go on with it by Upload.Resume)")
			assert.Len(t, srv.Requests("storage:upload"), 1)
			assert.Empty(t, srv.Requests("files:uploaded"))

			secret := failed.State.File.Upload.Parts[1].URL
			var log strings.Builder
			slog.New(slog.NewJSONHandler(&log, nil)).Info("failed", "error", err, "state", failed.State, "pointer", &failed.State)
			text := log.String() + err.Error() + fmt.Sprintf("%v %+v %#v %s %d %+v %#v", failed.State, failed.State, failed.State, failed.State, failed.State, failed, *failed)
			assert.NotContains(t, text, "signature=")
			assert.Contains(t, secret, "signature=")

			kept, err := json.Marshal(failed.State)
			require.NoError(t, err)
			assert.Contains(t, string(kept), "signature=")
			cut.Store(false)
			var first int64
			upload = polar.Upload{Content: open(), Resume: &polar.UploadState{}, Progress: func(sent, _ int64) {
				if first == 0 {
					first = sent
				}
			}}
			require.NoError(t, json.Unmarshal(kept, upload.Resume))
			file, err := client.Files.Upload(t.Context(), upload)
			require.NoError(t, err)
			assert.True(t, file.IsUploaded)
			assert.Equal(t, failed.State.File.ID, file.ID)
			assert.Greater(t, first, int64(5*mib), "what is there counts")
			assert.Len(t, srv.Requests("storage:upload"), 3, "only the missing parts were sent")
			assert.Len(t, srv.Requests("files:create"), 1)
			assert.Len(t, upload.Resume.Uploaded, 1, "the caller's state stays")
		})
	}
}

func TestUploadWithTheSameSeekerAgain(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	content := bytes.NewReader(append([]byte("skip"), bytesOf(6*mib)...))
	_, err := content.Seek(4, io.SeekStart)
	require.NoError(t, err)
	upload := book(onlySeeker{content})
	srv.Break("storage:upload", 3, polartest.BadGateway(502))
	_, err = client.Files.Upload(t.Context(), upload)
	failed, ok := errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	upload.Resume = &failed.State
	_, err = client.Files.Upload(t.Context(), upload)
	require.NoError(t, err, "the place of the content was kept")
}

func TestUploadDoesNotRepeatRefusals(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	srv.Break("storage:upload", 1, polartest.BadGateway(403))
	_, err := client.Files.Upload(t.Context(), book(strings.NewReader("x")))
	require.ErrorContains(t, err, "part 1: the storage answered 403 (upload of file")
	assert.NotErrorIs(t, err, polar.ErrExpired)
	assert.Len(t, srv.Requests("storage:upload"), 1)

	for _, status := range []int{301, 307, 308} {
		var calls int
		client = connected(t, srv, tap(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPut {
				return nil, nil
			}
			calls++
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://elsewhere.example"}}, Request: r}, nil
		}))
		_, err = client.Files.Upload(t.Context(), book(strings.NewReader("x")))
		require.ErrorContains(t, err, fmt.Sprintf("the storage answered %d", status))
		assert.Equal(t, 1, calls)
	}
}

func TestUploadAfterItsAddressesHaveExpired(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	srv.Break("storage:upload", 3, polartest.Reset())
	upload := book(strings.NewReader("content"))
	_, err := client.Files.Upload(t.Context(), upload)
	failed, ok := errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	srv.Advance(2 * 60 * 60 * 1e9)
	upload.Resume = &failed.State
	_, err = client.Files.Upload(t.Context(), upload)
	require.ErrorIs(t, err, polar.ErrExpired)
	require.ErrorContains(t, err, "its addresses have expired: start again without Upload.Resume")
	upload.Resume = nil
	_, err = client.Files.Upload(t.Context(), upload)
	require.NoError(t, err)
}

// TestUploadOfContentThatChanges changes the content after its checksums were made.
func TestUploadOfContentThatChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"another byte": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte{'!'}, 3)
			return err
		},
		"shorter": func(path string) error { return os.Truncate(path, mib) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := polartest.NewServer(t)
			path := filepath.Join(t.TempDir(), "book.pdf")
			require.NoError(t, os.WriteFile(path, bytesOf(2*mib), 0o600))
			client := connected(t, srv, tap(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut {
					return nil, change(path)
				}
				return nil, nil
			}))
			_, err := client.Files.UploadFile(t.Context(), path, polar.Upload{Service: models.FileServiceDownloadable})
			require.ErrorIs(t, err, polar.ErrChecksum)
			require.ErrorContains(t, err, "the content was changed meanwhile")
			list, err := client.Files.List(t.Context(), nil)
			require.NoError(t, err)
			assert.Empty(t, list.Items)
			for _, r := range srv.Requests("storage:upload") {
				assert.NotEqual(t, 200, r.Status, "the storage got no whole part")
			}
		})
	}
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	srv.Break("storage:upload", 3, polartest.Reset())
	_, err := client.Files.Upload(t.Context(), book(strings.NewReader("content")))
	failed, ok := errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	for _, other := range []string{"contents", "Content", ""} {
		_, err = client.Files.Upload(t.Context(), polar.Upload{Content: strings.NewReader(other), Resume: &failed.State})
		require.ErrorIs(t, err, polar.ErrChecksum, other)
	}
}

// TestUploadWhoseLastAnswerIsLost finds out whether the file is there instead of asking for it again.
func TestUploadWhoseLastAnswerIsLost(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	srv.Break("files:uploaded", 1, polartest.LoseAnswer())
	file, err := client.Files.Upload(t.Context(), book(strings.NewReader("content")))
	require.NoError(t, err)
	assert.True(t, file.IsUploaded)
	assert.Len(t, srv.Requests("files:uploaded"), 1)

	// And if it cannot be found out, a later attempt does.
	srv.ForgetRequests()
	srv.Break("files:uploaded", 1, polartest.LoseAnswer())
	srv.Break("files:list", 3, polartest.BadGateway(502))
	upload := book(strings.NewReader("content"))
	_, err = client.Files.Upload(t.Context(), upload)
	require.ErrorIs(t, err, polar.ErrOutcomeUnknown)
	failed, ok := errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	upload.Resume = &failed.State
	file, err = client.Files.Upload(t.Context(), upload)
	require.NoError(t, err)
	assert.Equal(t, failed.State.File.ID, file.ID)
	assert.Len(t, srv.Requests("files:uploaded"), 1)
	assert.Len(t, srv.Requests("storage:upload"), 1)

	// Not carried out: it is asked for once more by the next attempt.
	srv.Break("files:uploaded", 1, polartest.BadGateway(502))
	upload.Resume = nil
	_, err = client.Files.Upload(t.Context(), upload)
	failed, ok = errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	upload.Resume = &failed.State
	file, err = client.Files.Upload(t.Context(), upload)
	require.NoError(t, err)
	assert.True(t, file.IsUploaded)
}

func TestUploadProgressThatPanics(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	upload := book(bytes.NewReader(bytesOf(11 * mib)))
	upload.Parallel = 3
	upload.Progress = func(int64, int64) { panic("no terminal") }
	_, err := client.Files.Upload(t.Context(), upload)
	require.ErrorContains(t, err, "the function Progress panicked: no terminal")
}

func TestUploadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	client := connected(t, srv)
	ctx, cancel := context.WithCancelCause(t.Context())
	upload := book(bytes.NewReader(bytesOf(11 * mib)))
	upload.Progress = func(sent, _ int64) {
		if sent > 6*mib {
			cancel(errors.New("shutting down"))
		}
	}
	_, err := client.Files.Upload(ctx, upload)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "shutting down")
	failed, ok := errors.AsType[*polar.UploadError](err)
	require.True(t, ok, err)
	assert.Len(t, failed.State.Uploaded, 1)
	upload.Resume, upload.Progress = &failed.State, nil
	_, err = client.Files.Upload(t.Context(), upload)
	require.NoError(t, err)
}

func uploaded(t *testing.T, srv *polartest.Server, content []byte) string {
	t.Helper()
	file, err := connected(t, srv).Files.Upload(t.Context(), book(bytes.NewReader(content)))
	require.NoError(t, err)
	return file.ID
}

func TestDownloadGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	content := bytesOf(3 * mib)
	srv := polartest.NewServer(t)
	var ranges atomic.Bool
	portal, file := bought(t, srv, uploaded(t, srv, content), tap(func(r *http.Request) (*http.Response, error) {
		if !ranges.Load() {
			r.Header.Del("Range")
		}
		return nil, nil
	}))
	for _, known := range []bool{true, false} {
		ranges.Store(known)
		srv.ForgetRequests()
		srv.Break("storage:download", 1, polartest.Truncate())
		srv.Break("storage:download", 1, polartest.BadGateway(503))
		var got bytes.Buffer
		require.NoError(t, portal.Downloadables.Download(t.Context(), file, &got), known)
		assert.True(t, bytes.Equal(content, got.Bytes()))
		asked := srv.Requests("storage:download")
		require.Len(t, asked, 3)
		if known {
			assert.Equal(t, 206, asked[2].Status)
			assert.NotEmpty(t, asked[2].Header.Get("If-Range"))
		} else {
			assert.Equal(t, 200, asked[2].Status, "a storage that knows no ranges")
		}
	}
}

func TestDownloadOfWrongContent(t *testing.T) {
	t.Parallel()
	content := bytesOf(mib)
	srv := polartest.NewServer(t)
	portal, file := bought(t, srv, uploaded(t, srv, content))
	for name, tc := range map[string]struct {
		change func(f *models.FileDownload)
		want   string
	}{
		"another checksum": {func(f *models.FileDownload) {
			f.ChecksumSHA256Base64 = new("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
		}, "is not the one of the file's checksum"},
		"too long":  {func(f *models.FileDownload) { f.Size-- }, "is longer than the 1048575 bytes"},
		"too short": {func(f *models.FileDownload) { f.Size++ }, "ended after 1048576 of the 1048577 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := file
			tc.change(&wrong)
			path := filepath.Join(t.TempDir(), "book.pdf")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
			err := portal.Downloadables.DownloadFile(t.Context(), wrong, path)
			require.ErrorIs(t, err, polar.ErrChecksum)
			require.ErrorContains(t, err, "polar: customer_portal:downloadables:download: the content ")
			require.ErrorContains(t, err, tc.want)
			old, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, "old", string(old), "what was there stays")
			onlyFile(t, path)
		})
	}
	file.ChecksumSHA256Base64 = nil
	require.NoError(t, portal.Downloadables.Download(t.Context(), file, io.Discard), "nothing to compare with")
}

func TestDownloadRefusals(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	portal, file := bought(t, srv, uploaded(t, srv, []byte("content")), tap(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "files.example" {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http" + strings.TrimPrefix(srv.URL, "http") + "/storage/secret-path"}}, Request: r}, nil
		}
		return nil, nil
	}))
	download := func(address string) error {
		f := file
		f.Download.URL = address
		return portal.Downloadables.Download(t.Context(), f, io.Discard)
	}
	for _, address := range []string{"", "ftp://files.example/secret", "//files.example/secret", "https:///secret", "https://a b/secret"} {
		err := download(address)
		require.ErrorContains(t, err, "is no https URL", address)
		assert.NotContains(t, err.Error(), "secret")
	}
	err := download("https://files.example/a")
	require.ErrorContains(t, err, "the address sends on to one that is no https URL")
	assert.NotContains(t, err.Error(), "secret-path")

	written := errors.New("disk full")
	err = portal.Downloadables.Download(t.Context(), file, failingWriter{written})
	require.ErrorIs(t, err, written)
	require.ErrorContains(t, portal.Downloadables.Download(t.Context(), file, nil), "the writer is nil")
	require.ErrorContains(t, portal.Downloadables.DownloadFile(t.Context(), file, filepath.Join(t.TempDir(), "no", "dir")), "no such file or directory")
	require.ErrorContains(t, (&polar.PortalDownloadableService{}).Download(t.Context(), file, io.Discard), "was not made by a function of this package")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, portal.Downloadables.Download(ctx, file, io.Discard), context.Canceled)

	srv.Advance(2 * 60 * 60 * 1e9)
	require.ErrorIs(t, download(file.Download.URL), polar.ErrExpired)

	production, err := polar.NewPortal(polar.Anonymous)
	require.NoError(t, err)
	err = production.Downloadables.Download(t.Context(), file, io.Discard)
	require.ErrorContains(t, err, "is no https URL", "http is for embedded servers only")
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestDownloadHeaders sends the headers that Polar names to its own host and to no other.
func TestDownloadHeaders(t *testing.T) {
	t.Parallel()
	srv := polartest.NewServer(t)
	var saw []http.Header
	portal, err := srv.Client().With(tap(func(r *http.Request) (*http.Response, error) {
		saw = append(saw, r.Header.Clone())
		switch len(saw) {
		case 1:
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"/b"}}, Request: r}, nil
		case 2:
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://other.example/c"}}, Request: r}, nil
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("abc")), Request: r}, nil
	}))
	require.NoError(t, err)
	client, err := portal.Portal(polar.Token("polar_cst_secret"))
	require.NoError(t, err)
	file := models.FileDownload{Size: 3, Download: models.FileDownloadURL{URL: "https://one.example/a", Headers: map[string]string{"X-Key": "k"}}}
	require.NoError(t, client.Downloadables.Download(t.Context(), file, io.Discard))
	identity := http.Header{"Accept-Encoding": {"identity"}}
	own := identity.Clone()
	own.Set("X-Key", "k")
	assert.Equal(t, []http.Header{own, own, identity}, saw)
}

// TestUploadRules compares the checks with the facts of the API.
func TestUploadRules(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("internal", "gen", "facts", "types.jsonl"))
	require.NoError(t, err)
	client := connected(t, polartest.NewServer(t))
	types := map[string]models.FileService{
		"ProductMediaFileCreate": models.FileServiceProductMedia, "OrganizationAvatarFileCreate": models.FileServiceOrganizationAvatar,
		"SupportCaseAttachmentFileCreate": models.FileServiceSupportCaseAttachment,
	}
	found := 0
	for line := range bytes.Lines(data) {
		var fact struct {
			Of, Member, Pattern string
			Max                 int64
		}
		if !bytes.Contains(line, []byte("FileCreate\"")) || json.Unmarshal(line, &fact) != nil || types[fact.Of] == "" {
			continue
		}
		upload := polar.Upload{Name: "a.png", Service: types[fact.Of], Content: &hollow{size: fact.Max + 1}}
		switch fact.Member {
		case "size":
			_, err := client.Files.Upload(t.Context(), upload)
			require.ErrorContains(t, err, fmt.Sprintf("more than %d bytes", fact.Max), fact.Of)
			found++
		case "mime_type":
			upload.MimeType = "none/such"
			_, err := client.Files.Upload(t.Context(), upload)
			_, allowed, ok := strings.Cut(err.Error(), ", only ")
			require.True(t, ok, err)
			pattern := regexp.MustCompile(fact.Pattern)
			for _, mime := range strings.Split(allowed, ", ") {
				assert.Regexp(t, pattern, mime)
			}
			assert.Equal(t, strings.Count(fact.Pattern, "|")+1, strings.Count(allowed, ", ")+1, "as many as the pattern has")
			found++
		}
	}
	assert.Equal(t, 6, found)
}

// hollow is a content that is only as long as it says.
type hollow struct{ size, at int64 }

func (h *hollow) Read([]byte) (int, error) { return 0, errors.New("nobody should read") }
func (h *hollow) Seek(off int64, whence int) (int64, error) {
	h.at = map[int]int64{io.SeekStart: off, io.SeekCurrent: h.at + off, io.SeekEnd: h.size + off}[whence]
	return h.at, nil
}
