package ingest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func copyAll(dst io.Writer, src io.ReadCloser) (int64, error) {
	defer src.Close()
	return io.Copy(dst, src)
}

// serve puts a handler on the loopback interface.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return srv.URL
}
