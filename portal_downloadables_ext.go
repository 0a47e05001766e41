package polar

import (
	"context"
	"crypto/rand"
	"io"
	"os"

	"github.com/polar-go/polar/models"
)

// Download writes the content of a file to w and compares it with the file's size and its SHA-256, if Polar knows it. If they
// differ, the error matches [ErrChecksum], and what w has got must not be used; [PortalDownloadableService.DownloadFile]
// sees to that on its own.
//
// The file is one that [PortalDownloadableService.List] has just returned: its address works for an hour, after which
// the error matches [ErrExpired]. It is asked through the Transport of [WithHTTPClient] but without the token, the
// headers and the middleware of the client. When the connection breaks, the rest is asked for, as often as the client's
// [RetryPolicy] says, counted from the last byte that came.
//
// Errors: [ErrChecksum], [ErrExpired].
func (s *PortalDownloadableService) Download(ctx context.Context, file models.FileDownload, w io.Writer, opts ...CallOption) error {
	return s.core.download(ctx, "customer_portal:downloadables:download", &download{headers: file.Download.Headers, size: file.Size, w: w}, file.Download.URL, file.ChecksumSHA256Base64, opts)
}

// DownloadFile writes the content of a file to path, as [PortalDownloadableService.Download] does. There is nothing at
// path, or what was there before, until the whole content has come and is right.
//
// The name of the file was chosen by the merchant: use no more of it than its last element, or a name of your own.
//
// Errors: [ErrChecksum], [ErrExpired].
func (s *PortalDownloadableService) DownloadFile(ctx context.Context, file models.FileDownload, path string, opts ...CallOption) error {
	fail := func(err error) error {
		return &callError{call: "customer_portal:downloadables:download", err: err}
	}
	part := path + "." + rand.Text() + ".part" // beside it, so that it can be renamed
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(part)
	defer f.Close()
	if err := s.Download(ctx, file, f, opts...); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fail(err)
	}
	if err := os.Rename(part, path); err != nil {
		return fail(err)
	}
	return nil
}
