package polar

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/polar-go/polar/internal/ended"
	"github.com/polar-go/polar/models"
)

// Upload is what [FileService.Upload] uploads, and how.
type Upload struct {
	// Content is what the file will hold, from where it stands to its end. It is read twice, once for the checksums and
	// once to be sent. What has no Seek method is therefore copied: up to 8 MiB into memory, more into a temporary file.
	// It must not change until the upload is over.
	Content io.Reader
	// Name is the file name that customers see, without directories.
	Name string
	// Service says what the file is for. It decides which types of content are allowed, and how large it may be.
	Service models.FileService
	// MimeType is the media type of the content. The default follows from the extension of Name.
	MimeType string
	// Version is a label such as "1.2.0". It is optional.
	Version string
	// OrganizationID is needed only with a token that reaches several organizations.
	OrganizationID string

	// Resume goes on with an upload that failed: the State of its [*UploadError]. Only the parts that are missing are
	// sent. Content has to be the same from its beginning, so what can be read only once has to be opened again. The
	// fields from Name to OrganizationID, and PartSize, are those of the first attempt, whatever they are now.
	Resume *UploadState

	// PartSize is the length of the parts that the content is sent in, from 5 MiB to 5 GiB. The default is 8 MiB. It
	// becomes larger for content of more than 10,000 parts.
	PartSize int64
	// Parallel is how many parts are sent at a time. The default is 4.
	Parallel int
	// Progress is called with the number of bytes that were handed to the network, and the length of the content. The
	// number only grows, also when a part has to be sent again. There is one call at a time, from several goroutines.
	Progress func(sent, total int64)
}

const (
	minPartSize     = 5 << 20 // that the storage takes, but for the last part
	defaultPartSize = 8 << 20
	maxPartSize     = 5 << 30
	maxParts        = 10_000
	defaultParallel = 4
	keptInMemory    = 8 << 20 // bytes of a content that cannot be read twice
)

// UploadState is what an upload has achieved before it failed. It can be kept as JSON, for the hour that the addresses in it
// are valid. Whoever has it can write to those addresses, so keep it like a secret; fmt and slog print a
// summary without them.
type UploadState struct {
	// File is the file as Polar announced it, with its parts and their addresses.
	File models.FileUpload `json:"file"`
	// Uploaded lists the parts that the storage has.
	Uploaded []models.FileUploadCompletedPart `json:"uploaded"`
}

// Format writes the summary, whatever the verb but %p and %w: for those, which go vet reports, package fmt calls no method.
func (s UploadState) Format(f fmt.State, _ rune) { io.WriteString(f, s.summary()) }

// LogValue returns the summary.
func (s UploadState) LogValue() slog.Value { return slog.StringValue(s.summary()) }

func (s UploadState) summary() string {
	return fmt.Sprintf("upload of file %s: %d of %d parts", oneLine(s.File.ID, 64), len(s.Uploaded), len(s.File.Upload.Parts))
}

// UploadError is why an upload ended after it had begun. With [Upload.Resume] it can be gone on with.
type UploadError struct {
	// State is how far the upload has come.
	State UploadState

	err error
}

// Error says what failed and how to go on.
func (e *UploadError) Error() string {
	hint := "go on with it by Upload.Resume"
	if errors.Is(e.err, ErrExpired) {
		hint = "its addresses have expired: start again without Upload.Resume"
	}
	return "polar: files:upload: " + strings.TrimPrefix(oneLine(e.err.Error(), 4*maxErrorText), "polar: ") + " (" + e.State.summary() + " are there; " + hint + ")"
}

// Unwrap returns the cause.
func (e *UploadError) Unwrap() error { return e.err }

var (
	pictures = []string{"image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml"}

	uploadRules = map[models.FileService]struct {
		limit int64    // bytes
		types []string // media types
	}{
		models.FileServiceProductMedia:       {10 << 20, pictures},
		models.FileServiceOrganizationAvatar: {1 << 20, pictures},
		models.FileServiceSupportCaseAttachment: {250 << 20, []string{
			"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/quicktime", "video/webm", "application/pdf", "text/csv", "text/plain",
			"application/msword", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
			"application/vnd.ms-excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		}},
	}
)

// Upload uploads a file: it reads the content once for its checksums, announces the file, sends its parts to the
// storage, several at a time, and has them put together. The parts go directly to the storage, through the Transport of
// [WithHTTPClient] but without the token, the headers and the middleware of the client.
//
// A part that fails is sent again as often as the client's [RetryPolicy] says; the client's time limit for attempts
// does not count here, but an exchange in which nothing has moved for a minute is broken off. When the upload fails all
// the same, the error is an [*UploadError] with which another call sends only what is missing, within the hour that the
// addresses are valid. Starting from the beginning is harmless, too: a file that was never completed is not listed.
//
//	file, err := client.Files.Upload(ctx, upload)
//	if e, ok := errors.AsType[*polar.UploadError](err); ok {
//		upload.Resume = &e.State
//		file, err = client.Files.Upload(ctx, upload)
//	}
//
// Content that changes while it is uploaded is an error that matches [ErrChecksum]; nothing of it gets into the file.
//
// Scope: files:write. Errors: [*UploadError], [ErrChecksum], [ErrExpired], [ErrValidation].
func (s *FileService) Upload(ctx context.Context, upload Upload, opts ...CallOption) (*models.File, error) {
	if s.core == nil {
		return nil, errZeroClient
	}
	file, err := s.upload(ctx, upload, opts)
	if err == nil {
		return file, nil
	}
	// Errors of the operations that the upload consists of stand for themselves.
	if _, ok := errors.AsType[*UploadError](err); ok {
		return nil, err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return nil, err
	}
	if _, ok := errors.AsType[*callError](err); ok {
		return nil, err
	}
	return nil, &callError{call: "files:upload", err: err}
}

// UploadFile is [FileService.Upload] with the content of the file at path, under its name if upload has no other.
func (s *FileService) UploadFile(ctx context.Context, path string, upload Upload, opts ...CallOption) (*models.File, error) {
	if upload.Content != nil {
		return nil, &callError{call: "files:upload", text: "Content is set: it has to be nil, since the file at the path is the content"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &callError{call: "files:upload", err: err}
	}
	defer f.Close()
	upload.Content = f
	upload.Name = cmp.Or(upload.Name, filepath.Base(path))
	return s.Upload(ctx, upload, opts...)
}

func (s *FileService) upload(ctx context.Context, upload Upload, opts []CallOption) (*models.File, error) {
	if ctx == nil {
		return nil, errNoContext
	}
	limit, err := upload.check()
	if err != nil {
		return nil, err
	}
	storage, err := s.core.storage(opts)
	if err != nil {
		return nil, err
	}
	var state UploadState
	if upload.Resume != nil {
		if state, err = upload.Resume.usable(); err != nil {
			return nil, err
		}
		limit = state.File.Size
	}
	content, err := openContent(ctx, upload.Content, limit)
	if err != nil {
		return nil, err
	}
	defer content.close()
	switch {
	case upload.Resume != nil && content.size != limit:
		return nil, contentChanged(fmt.Sprintf("its length is not the %d bytes of the upload that is resumed", limit))
	case content.size > limit:
		return nil, fmt.Errorf("the content has more than %d bytes, the most that Polar takes for %s", limit, upload.Service)
	case upload.Resume == nil:
		if state.File, err = s.announce(ctx, upload, content, opts); err != nil {
			return nil, err
		}
	}
	sent := len(state.Uploaded) < len(state.File.Upload.Parts)
	if sent {
		if err := storage.sendParts(ctx, &state, content, upload); err != nil {
			return nil, &UploadError{State: state, err: err}
		}
	}
	file, err := s.complete(ctx, state, sent, opts)
	if err != nil {
		return nil, &UploadError{State: state, err: err}
	}
	return file, nil
}

// check looks for what can be found wrong before anything is read, and returns the largest length that the content may have.
func (u *Upload) check() (limit int64, err error) {
	switch {
	case isNil(u.Content):
		return 0, errors.New("the Content is nil")
	case u.Parallel < 0:
		return 0, fmt.Errorf("the number Parallel is %d: it cannot be negative, and 0 means %d", u.Parallel, defaultParallel)
	case u.PartSize != 0 && (u.PartSize < minPartSize || u.PartSize > maxPartSize):
		return 0, fmt.Errorf("PartSize is %d: it has to be from %d to %d bytes, and 0 means %d", u.PartSize, minPartSize, maxPartSize, defaultPartSize)
	case u.Resume != nil:
		return 0, nil // what was announced is in there
	case u.Name == "":
		return 0, errors.New("the Name is empty")
	case u.Name == ".", u.Name == "..", strings.ContainsAny(u.Name, `/\`), strings.ContainsFunc(u.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return 0, errors.New("the Name is no file name: it cannot have directories and control characters")
	case u.Service == "":
		return 0, errors.New("the Service is empty: say what the file is for, such as models.FileServiceDownloadable")
	}
	if u.MimeType == "" {
		u.MimeType, _, _ = mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(u.Name)))
		u.MimeType = cmp.Or(u.MimeType, "application/octet-stream")
	}
	rule, ok := uploadRules[u.Service]
	if !ok {
		return maxParts * maxPartSize, nil
	}
	if !slices.Contains(rule.types, u.MimeType) {
		return 0, fmt.Errorf("the MimeType %s is not allowed for %s, only %s", oneLine(u.MimeType, 64), u.Service, strings.Join(rule.types, ", "))
	}
	return rule.limit, nil
}

// announce tells Polar of the file and its parts, and returns the addresses for them.
func (s *FileService) announce(ctx context.Context, upload Upload, content *content, opts []CallOption) (models.FileUpload, error) {
	body := models.FileCreate{Name: upload.Name, MimeType: upload.MimeType, Size: content.size, Service: upload.Service}
	if upload.Version != "" {
		body.Version = &upload.Version
	}
	if upload.OrganizationID != "" {
		body.OrganizationID = &upload.OrganizationID
	}
	var whole string
	var err error
	body.Upload.Parts, whole, err = content.cut(ctx, cmp.Or(upload.PartSize, defaultPartSize))
	if err != nil {
		return models.FileUpload{}, err
	}
	body.ChecksumSHA256Base64 = &whole
	made, err := s.Create(ctx, body, opts...)
	if err != nil {
		return models.FileUpload{}, err
	}
	if made.Size != content.size || !slices.EqualFunc(made.Upload.Parts, body.Upload.Parts, func(a models.FileUploadPart, b models.FileCreatePart) bool {
		return a.Number == b.Number && a.ChunkStart == b.ChunkStart && a.ChunkEnd == b.ChunkEnd && a.ChecksumSHA256Base64 != nil && *a.ChecksumSHA256Base64 == *b.ChecksumSHA256Base64
	}) {
		return models.FileUpload{}, errors.New("the answer to the announcement names other parts")
	}
	return *made, nil
}

// usable returns a copy of the state of an earlier attempt, which may come from anywhere.
func (s *UploadState) usable() (UploadState, error) {
	broken := errors.New("the Resume is not the state of an upload")
	var next int64
	for i, p := range s.File.Upload.Parts {
		if p.Number != i+1 || p.ChunkStart != next || p.ChunkEnd < next || p.ChecksumSHA256Base64 == nil {
			return UploadState{}, broken
		}
		next = p.ChunkEnd
	}
	if s.File.ID == "" || len(s.File.Upload.Parts) == 0 || next != s.File.Size {
		return UploadState{}, broken
	}
	there := map[int]bool{}
	for _, p := range s.Uploaded {
		if p.Number < 1 || p.Number > len(s.File.Upload.Parts) || p.ChecksumETag == "" || there[p.Number] {
			return UploadState{}, broken
		}
		there[p.Number] = true
	}
	return UploadState{File: s.File, Uploaded: slices.Clone(s.Uploaded)}, nil
}

// sendParts sends the parts that are not there, and notes those that it has sent in state. The first one that cannot be
// sent ends the others.
func (s *storage) sendParts(parent context.Context, state *UploadState, content *content, upload Upload) error {
	progress := &progress{report: upload.Progress, total: content.size}
	there := map[int]bool{}
	for _, p := range state.Uploaded {
		there[p.Number] = true
	}
	var missing []*models.FileUploadPart
	for i := range state.File.Upload.Parts {
		if p := &state.File.Upload.Parts[i]; !there[p.Number] {
			missing = append(missing, p)
		} else {
			progress.sent += p.ChunkEnd - p.ChunkStart
		}
	}
	progress.shown = progress.sent

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	next := make(chan *models.FileUploadPart)
	var mu sync.Mutex // of state
	var all sync.WaitGroup
	for range min(cmp.Or(upload.Parallel, defaultParallel), len(missing)) {
		all.Go(func() {
			for part := range next {
				etag, err := s.sendPart(ctx, part, content, progress)
				if err != nil {
					cancel(fmt.Errorf("part %d: %w", part.Number, err))
					return
				}
				mu.Lock()
				state.Uploaded = append(state.Uploaded, models.FileUploadCompletedPart{Number: part.Number, ChecksumETag: etag, ChecksumSHA256Base64: part.ChecksumSHA256Base64})
				mu.Unlock()
			}
		})
	}
	for _, part := range missing {
		select {
		case next <- part:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	all.Wait()
	slices.SortFunc(state.Uploaded, func(a, b models.FileUploadCompletedPart) int { return cmp.Compare(a.Number, b.Number) })
	switch {
	case len(state.Uploaded) == len(state.File.Upload.Parts):
		return nil
	case parent.Err() != nil:
		return ended.Why(parent)
	}
	return context.Cause(ctx)
}

// sendPart sends a part until the storage has it, and returns its ETag.
func (s *storage) sendPart(ctx context.Context, part *models.FileUploadPart, content *content, progress *progress) (etag string, err error) {
	size := part.ChunkEnd - part.ChunkStart
	err = s.repeat(ctx, func() (bool, error) {
		var sent int64
		body := &partBody{
			content: io.NewSectionReader(content, part.ChunkStart, size), left: size, sum: sha256.New(), want: *part.ChecksumSHA256Base64,
			progress: func(n int) error {
				sent += int64(n)
				return progress.add(int64(n))
			},
		}
		var err error
		if etag, err = s.put(ctx, part, body); err != nil {
			_ = progress.add(-sent) // only more than before is reported
		}
		return false, err
	})
	return etag, err
}

// complete has the parts put together. An answer that was lost, now or in the attempt that is resumed, is made up for
// by looking whether the file is there.
func (s *FileService) complete(ctx context.Context, state UploadState, first bool, opts []CallOption) (*models.File, error) {
	if !first {
		if file, err := s.find(ctx, state.File.ID, opts); file != nil || err != nil {
			return file, err
		}
	}
	body := models.FileUploadCompleted{ID: state.File.Upload.ID, Path: state.File.Upload.Path, Parts: state.Uploaded}
	file, err := s.CompleteUpload(ctx, state.File.ID, body, opts...)
	if errors.Is(err, ErrOutcomeUnknown) {
		if file, _ := s.find(ctx, state.File.ID, opts); file != nil {
			return file, nil
		}
	}
	return file, err
}

// find returns a file that is completely uploaded, and nil for any other.
func (s *FileService) find(ctx context.Context, id string, opts []CallOption) (*models.File, error) {
	page, err := s.List(ctx, &FileListParams{IDs: []string{id}}, opts...)
	if err != nil {
		return nil, err
	}
	for i, f := range page.Items {
		if f.ID == id && f.IsUploaded {
			return &page.Items[i], nil
		}
	}
	return nil, nil
}

// progress adds up what the parts have sent.
type progress struct {
	mu     sync.Mutex
	report func(sent, total int64)
	sent   int64 // by the attempts that have not failed
	shown  int64
	total  int64
}

// add counts n bytes more, or less when an attempt has failed. It fails when the user's function does.
func (p *progress) add(n int64) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += n
	if p.report == nil || p.sent <= p.shown {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			p.report = nil
			err = fmt.Errorf("the function Progress panicked: %s", oneLine(fmt.Sprint(r), maxErrorText))
		}
	}()
	p.shown = p.sent
	p.report(p.shown, p.total)
	return nil
}

// content is what is uploaded, readable at any place.
type content struct {
	io.ReaderAt
	size  int64
	close func()
}

// openContent makes r readable at any place. Of what can be read only once, it reads little more than limit.
func openContent(ctx context.Context, r io.Reader, limit int64) (*content, error) {
	if c, ok := seekable(r); ok {
		return c, nil
	}
	return spool(ctx, r, limit)
}

// seekable returns the content of r from where it stands to its end, and false if r does not know where that is.
func seekable(r io.Reader) (*content, bool) {
	s, ok := r.(io.ReadSeeker)
	if !ok {
		return nil, false
	}
	if f, ok := r.(fs.File); ok {
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // a terminal has no end
			return nil, false
		}
	}
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false
	}
	back := func() { _, err = s.Seek(start, io.SeekStart) } // so that the upload can be repeated
	if back(); err != nil {
		return nil, false
	}
	c := &content{size: max(0, end-start), close: func() {}}
	at, ok := r.(io.ReaderAt)
	if !ok {
		at, c.close = &seekerAt{s: s}, back
	}
	c.ReaderAt = io.NewSectionReader(at, start, c.size)
	return c, true
}

// seekerAt reads at any place by seeking there.
type seekerAt struct {
	mu sync.Mutex
	s  io.ReadSeeker
}

func (a *seekerAt) ReadAt(p []byte, off int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.s.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(a.s, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// spool copies what can be read only once: a little into memory, more into a temporary file.
func spool(ctx context.Context, r io.Reader, limit int64) (*content, error) {
	r = &contextReader{ctx, r}
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, keptInMemory+1)
	if err == io.EOF {
		return &content{ReaderAt: bytes.NewReader(head.Bytes()), size: n, close: func() {}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the content: %w", err)
	}
	f, err := os.CreateTemp("", "polar-upload-*")
	if err != nil {
		return nil, fmt.Errorf("copy the content, which can be read only once: %w", err)
	}
	c := &content{ReaderAt: f, close: func() {
		f.Close()
		os.RemoveAll(f.Name())
	}}
	c.size, err = io.Copy(f, io.MultiReader(&head, io.LimitReader(r, max(0, limit-n)+1)))
	if err != nil {
		c.close()
		return nil, fmt.Errorf("copy the content, which can be read only once: %w", err)
	}
	return c, nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, ended.Why(r.ctx)
	}
	return r.r.Read(p)
}

// cut divides the content into parts and makes their checksums and that of the whole.
func (c *content) cut(ctx context.Context, partSize int64) (parts []models.FileCreatePart, whole string, err error) {
	bounds := partBounds(c.size, partSize)
	all := sha256.New()
	for i, b := range bounds {
		sum, to := all, io.Writer(all)
		if len(bounds) > 1 {
			sum = sha256.New()
			to = io.MultiWriter(sum, all)
		}
		size := b[1] - b[0]
		n, err := io.Copy(to, &contextReader{ctx, io.NewSectionReader(c, b[0], size)})
		if err != nil {
			return nil, "", fmt.Errorf("read the content: %w", err)
		}
		if n < size {
			return nil, "", contentChanged("it has become shorter")
		}
		parts = append(parts, models.FileCreatePart{Number: i + 1, ChunkStart: b[0], ChunkEnd: b[1], ChecksumSHA256Base64: new(encode(sum))})
	}
	return parts, encode(all), nil
}

// partBounds divides size bytes into parts of partSize, or of as many MiB as it takes to have no more than maxParts.
// The second bound is just behind the part. Nothing is one part, too.
func partBounds(size, partSize int64) (bounds [][2]int64) {
	if size > partSize*maxParts {
		partSize = (size/maxParts>>20 + 1) << 20
	}
	for start := int64(0); start < size || len(bounds) == 0; start += partSize {
		bounds = append(bounds, [2]int64{start, min(start+partSize, size)})
	}
	return bounds
}

func encode(sum hash.Hash) string { return base64.StdEncoding.EncodeToString(sum.Sum(nil)) }

// Download writes the content of a file that is public to w, as [PortalDownloadableService.Download] does: pictures of
// products and the organization's logo, which have a PublicURL. Files that customers buy can be downloaded by them
// only.
//
// Errors: [ErrChecksum].
func (s *FileService) Download(ctx context.Context, file models.File, w io.Writer, opts ...CallOption) error {
	if file.PublicURL == nil {
		return &callError{call: "files:download", text: "the file has no PublicURL: only product pictures and logos are public, others are downloaded with a customer's client"}
	}
	return s.core.download(ctx, "files:download", &download{size: file.Size, w: w}, *file.PublicURL, file.ChecksumSHA256Base64, opts)
}
