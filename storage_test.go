package polar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
)

// storageOf returns a storage behind a transport, with pauses that a test can count.
func storageOf(transport roundTrip) *storage {
	return &storage{transport: transport, retry: RetryPolicy{MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Second}}
}

// partOf announces a content as one part.
func partOf(text string) (*models.FileUploadPart, *content) {
	sum := sha256.New()
	sum.Write([]byte(text))
	return &models.FileUploadPart{Number: 1, ChunkEnd: int64(len(text)), ChecksumSHA256Base64: new(encode(sum)), URL: "https://storage.test/part?signature=secret"},
		&content{ReaderAt: strings.NewReader(text), size: int64(len(text)), close: func() {}}
}

func stored(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"1"`}}, Request: r}, nil
}

// slowly reads a body in steps of one byte with a pause before each.
func slowly(r *http.Request, body io.Reader, pause time.Duration) error {
	for {
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return r.Context().Err()
		}
		if _, err := body.Read(make([]byte, 1)); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestUploadStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		part, content := partOf("0123456789")
		began, attempts := time.Now(), 0
		etag, err := storageOf(func(r *http.Request) (*http.Response, error) {
			if err := slowly(r, r.Body, 59*time.Second); err != nil {
				return nil, err
			}
			return stored(r)
		}).sendPart(t.Context(), part, content, &progress{total: 10})
		require.NoError(t, err, "slow is not still")
		assert.Equal(t, `"1"`, etag)
		assert.Equal(t, 11*59*time.Second, time.Since(began))

		began = time.Now()
		_, err = storageOf(func(r *http.Request) (*http.Response, error) {
			attempts++
			_, _ = r.Body.Read(make([]byte, 4))
			<-r.Context().Done()
			return nil, r.Context().Err()
		}).sendPart(t.Context(), part, content, &progress{total: 10})
		require.ErrorIs(t, err, errStandstill)
		assert.NotErrorIs(t, err, context.Canceled)
		assert.Equal(t, 3, attempts)
		took := time.Since(began)
		assert.True(t, took >= 3*standstill && took <= 3*standstill+2*time.Second, took)
	})
}

func TestDownloadStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const text = "0123456789"
		var asked []string
		s := storageOf(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.Header.Get("Range"))
			switch len(asked) {
			case 1, 2, 3, 4: // each moves on by two bytes, so they are not counted together
				from := 2 * (len(asked) - 1)
				resp := &http.Response{StatusCode: 206, Header: http.Header{"Content-Range": {"bytes " + text[from:from+1] + "-9/10"}}, Body: &stuck{strings.NewReader(text[from : from+2]), r.Context()}}
				if from == 0 {
					resp.StatusCode = 200
				}
				return resp, nil
			}
			return &http.Response{StatusCode: 206, Header: http.Header{"Content-Range": {"bytes 8-9/10"}}, Body: io.NopCloser(strings.NewReader("89"))}, nil
		})
		u, err := s.address("https://storage.test/file")
		require.NoError(t, err)
		var got bytes.Buffer
		require.NoError(t, s.get(t.Context(), &download{url: u, size: 10, w: &got}))
		assert.Equal(t, text, got.String())
		assert.Equal(t, []string{"", "bytes=2-", "bytes=4-", "bytes=6-", "bytes=8-"}, asked)
	})
}

// TestDownloadOfAFileThatIsReplaced gets the second half of another file, of which nothing but the ETag tells.
func TestDownloadOfAFileThatIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		s := storageOf(func(r *http.Request) (*http.Response, error) {
			attempts++
			if attempts == 1 {
				return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"one"`}}, Body: io.NopCloser(io.MultiReader(strings.NewReader("01234"), iotestErr{io.ErrUnexpectedEOF}))}, nil
			}
			assert.Equal(t, `"one"`, r.Header.Get("If-Range"))
			return &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"two"`}}, Body: io.NopCloser(strings.NewReader("abcdefghij"))}, nil
		})
		u, err := s.address("https://storage.test/file")
		require.NoError(t, err)
		var got bytes.Buffer
		err = s.get(t.Context(), &download{url: u, size: 10, w: &got})
		require.ErrorIs(t, err, ErrChecksum)
		require.EqualError(t, err, "the file was replaced while it came")
		assert.Equal(t, "01234", got.String())
	})
}

// TestDownloadThatBreaksAtItsEnd has everything when the connection breaks.
func TestDownloadThatBreaksAtItsEnd(t *testing.T) {
	t.Parallel()
	attempts := 0
	s := storageOf(func(*http.Request) (*http.Response, error) {
		attempts++
		return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("0123456789"), iotestErr{io.ErrUnexpectedEOF}))}, nil
	})
	u, err := s.address("https://storage.test/file")
	require.NoError(t, err)
	require.NoError(t, s.get(t.Context(), &download{url: u, size: 10, w: io.Discard}))
	assert.Equal(t, 1, attempts)
}

func TestFilesWithoutAContext(t *testing.T) {
	t.Parallel()
	client, err := New(Token(testToken))
	require.NoError(t, err)
	portal, err := NewPortal(Anonymous)
	require.NoError(t, err)
	//lint:ignore SA1012 the test is about a nil context
	_, err = client.Files.Upload(nil, Upload{Name: "a", Service: models.FileServiceDownloadable, Content: strings.NewReader("x")})
	require.EqualError(t, err, "polar: files:upload: context is nil: pass context.Background() if there is no other")
	//lint:ignore SA1012 the test is about a nil context
	err = portal.Downloadables.Download(nil, models.FileDownload{}, io.Discard)
	require.ErrorContains(t, err, "context is nil")
}

// stuck is a body that stops in the middle.
type stuck struct {
	io.Reader
	ctx context.Context
}

func (s *stuck) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	return n, err
}
func (s *stuck) Close() error { return nil }

func TestStoragePausesEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		part, content := partOf("x")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errors.New("closing time"))
		defer cancel()
		s := storageOf(func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") })
		s.retry = RetryPolicy{MaxAttempts: 1000, BaseDelay: time.Hour, MaxDelay: time.Hour}
		_, err := s.sendPart(ctx, part, content, &progress{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "closing time")
	})
}

// TestStorageAfterTheAttempt has a transport that reads the body when it has already answered.
func TestStorageAfterTheAttempt(t *testing.T) {
	t.Parallel()
	part, content := partOf("0123456789")
	var body io.ReadCloser
	s := storageOf(func(r *http.Request) (*http.Response, error) {
		body = r.Body
		return stored(r)
	})
	shown := false
	_, err := s.sendPart(t.Context(), part, content, &progress{report: func(int64, int64) { shown = true }})
	require.NoError(t, err)
	n, err := body.Read(make([]byte, 10))
	assert.Zero(t, n)
	require.ErrorContains(t, err, "the attempt is over")
	assert.False(t, shown)
	require.NoError(t, body.Close())
}

func TestStorageAnswers(t *testing.T) {
	t.Parallel()
	xml := func(code, message string) string {
		return `<?xml version="1.0"?><Error><Code>` + code + `</Code><Message>` + message + `</Message><StringToSign>secret</StringToSign></Error>`
	}
	for name, tc := range map[string]struct {
		status   int
		body     string
		err      error
		attempts int
		want     string
	}{
		"a refusal":             {403, xml("SignatureDoesNotMatch", "Not\nyours."), nil, 1, "the storage answered 403 SignatureDoesNotMatch: Not yours."},
		"expired":               {403, xml("AccessDenied", "Request has expired"), nil, 1, "the storage answered 403 AccessDenied: Request has expired"},
		"a wrong checksum":      {400, xml("BadDigest", ""), nil, 1, "the storage answered 400 BadDigest"},
		"its own time-out":      {400, xml("RequestTimeout", "slow"), nil, 3, "the storage answered 400 RequestTimeout: slow"},
		"an outage":             {503, "<html>", nil, 3, "the storage answered 503"},
		"no ETag":               {200, "", nil, 3, "the storage answered without an ETag"},
		"no answer":             {0, "", nil, 3, "the transport returned neither an answer nor an error"},
		"a distrusted server":   {0, "", &tls.CertificateVerificationError{Err: errors.New("no")}, 1, "tls: failed to verify certificate: no"},
		"a broken connection":   {0, "", io.ErrUnexpectedEOF, 3, "unexpected EOF"},
		"too much of a refusal": {400, strings.Repeat("x", 1<<20), nil, 1, "the storage answered 400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				part, content := partOf("x")
				attempts := 0
				_, err := storageOf(func(r *http.Request) (*http.Response, error) {
					attempts++
					if tc.status == 0 {
						return nil, tc.err
					}
					return &http.Response{StatusCode: tc.status, Body: io.NopCloser(strings.NewReader(tc.body))}, nil
				}).sendPart(t.Context(), part, content, &progress{})
				require.EqualError(t, err, tc.want)
				assert.Equal(t, tc.attempts, attempts)
				assert.Equal(t, name == "expired", errors.Is(err, ErrExpired))
			})
		})
	}
}

// TestResumeKeepsTheStateOfTheCaller sends the first part when the second is there, so that the list of parts gets another order.
func TestResumeKeepsTheStateOfTheCaller(t *testing.T) {
	t.Parallel()
	_, content := partOf("ab")
	a, _ := partOf("a")
	b, _ := partOf("b")
	b.Number, b.ChunkStart, b.ChunkEnd = 2, 1, 2
	given := &UploadState{File: models.FileUpload{ID: "f", Size: 2, Upload: models.FileUploadMultipart{Parts: []models.FileUploadPart{*a, *b}}}}
	given.Uploaded = append(make([]models.FileUploadCompletedPart, 0, 4), models.FileUploadCompletedPart{Number: 2, ChecksumETag: `"2"`})
	state, err := given.usable()
	require.NoError(t, err)
	require.NoError(t, storageOf(stored).sendParts(t.Context(), &state, content, Upload{}))
	require.Len(t, state.Uploaded, 2)
	assert.Equal(t, 1, state.Uploaded[0].Number, "in the order of the parts")
	assert.Equal(t, 2, given.Uploaded[0].Number)
}

// TestUploadLeavesNoTemporaryFile spools a stream to a directory of its own, once until the end and once into a failure.
func TestUploadLeavesNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	large := strings.Repeat("x", keptInMemory+1)
	c, err := openContent(t.Context(), io.MultiReader(strings.NewReader(large)), 1<<40)
	require.NoError(t, err)
	assert.Equal(t, int64(len(large)), c.size)
	left := func() int {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		return len(entries)
	}
	assert.Equal(t, 1, left())
	c.close()
	assert.Zero(t, left())
	_, err = openContent(t.Context(), io.MultiReader(strings.NewReader(large), strings.NewReader("y"), iotestErr{errors.New("gone")}), 1<<40)
	require.ErrorContains(t, err, "gone")
	assert.Zero(t, left())
	c, err = openContent(t.Context(), io.MultiReader(strings.NewReader(large+large)), keptInMemory)
	require.NoError(t, err)
	assert.Equal(t, int64(keptInMemory+2), c.size, "one more than allowed, and no further")
	c.close()
	assert.Zero(t, left())

	t.Setenv("TMPDIR", dir+"/missing")
	c, err = openContent(t.Context(), io.MultiReader(strings.NewReader(large[1:])), 1<<40)
	require.NoError(t, err, "a little needs no file")
	c.close()
	_, err = openContent(t.Context(), io.MultiReader(strings.NewReader(large)), 1<<40)
	require.ErrorContains(t, err, "copy the content, which can be read only once")
}

// TestPartsOfHugeContent cuts content that would need more parts than there may be.
func TestPartsOfHugeContent(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]struct {
		parts int
		size  int64
	}{
		0:                                {1, 0},
		minPartSize:                      {1, minPartSize},
		minPartSize + 1:                  {2, minPartSize},
		minPartSize * maxParts:           {maxParts, minPartSize},
		minPartSize*maxParts + 1:         {8334, 6 << 20},
		1 << 40:                          {9987, 105 << 20},
		maxPartSize*maxParts - (1 << 40): {0, 0}, // only that it ends
	} {
		bounds := partBounds(size, minPartSize)
		var next, largest int64
		for _, b := range bounds {
			require.Equal(t, next, b[0])
			next = b[1]
			largest = max(largest, b[1]-b[0])
		}
		require.Equal(t, size, next)
		assert.LessOrEqual(t, len(bounds), maxParts)
		if want.parts > 0 {
			assert.Equal(t, want.parts, len(bounds), size)
			assert.Equal(t, want.size, largest, size)
		}
	}
}
