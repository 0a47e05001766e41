package clienttest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"

	"github.com/polar-go/polar/ingest"
)

const (
	accessKey = "access"
	secretKey = "secretsecret"
	region    = "us-east-1"
	domain    = "s3.test"
)

// startS3 starts a real server and returns a transport that reaches it by every name.
func startS3(t *testing.T) *http.Transport {
	t.Helper()
	sidecar, err := meta.NewSideCar(t.TempDir())
	require.NoError(t, err)
	be, err := posix.New(t.TempDir(), sidecar, posix.PosixOpts{SideCarDir: t.TempDir(), CopyObjectThreshold: 1 << 30})
	require.NoError(t, err)
	root := middlewares.RootUserConfig{Access: accessKey, Secret: secretKey}
	iam := auth.NewIAMServiceSingle(auth.Account{Access: accessKey, Secret: secretKey, Role: auth.RoleAdmin})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	listening := make(chan struct{})
	srv, err := s3api.New(be, root, region, iam, nil, nil, nil, nil, s3api.WithQuiet(), s3api.WithHostStyle(domain), s3api.WithMpMaxParts(1000),
		s3api.WithConcurrencyLimiter(100, 100), s3api.WithKeepAlive(), s3api.WithOnListen(func() { close(listening) }))
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeMultiPort([]string{address}) }()
	select {
	case <-listening:
	case err := <-ended:
		require.NoError(t, err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		assert.NoError(t, srv.ShutDown())
		<-ended
		be.Shutdown()
	})
	return transport
}

func TestS3(t *testing.T) {
	base := startS3(t)
	for name, pathStyle := range map[string]bool{"bucket in the path": true, "bucket in the host": false} {
		t.Run("aws-sdk-go-v2, "+name, func(t *testing.T) {
			r := newRecorder(t)
			client := s3.New(s3.Options{
				BaseEndpoint: new("http://" + domain), Region: region, UsePathStyle: pathStyle, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
				HTTPClient:  &http.Client{Transport: r.ing.S3Transport(base, "upload", ingest.S3Endpoint(domain))},
			})
			bucket := map[bool]string{true: "aws-path", false: "aws-host"}[pathStyle]
			_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
			require.NoError(t, err)
			_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: new("nobody"), Body: strings.NewReader("x")})
			require.ErrorIs(t, err, ingest.ErrNoCustomer)

			ctx := ingest.WithCustomer(t.Context(), acme)
			body := strings.Repeat("x", 70_000)
			_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: new("dir/plain file"), Body: strings.NewReader(body), ContentType: new("text/plain")})
			require.NoError(t, err)
			_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: new("checked"), Body: strings.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			require.NoError(t, err)

			made, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: new("large"), ContentType: new("video/mp4")})
			require.NoError(t, err)
			var parts []types.CompletedPart
			for n, size := range []int{5 << 20, 1234} {
				part, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: new("large"), UploadId: made.UploadId, PartNumber: new(int32(n + 1)),
					Body: bytes.NewReader(make([]byte, size))})
				require.NoError(t, err)
				parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: new(int32(n + 1)), ChecksumCRC32: part.ChecksumCRC32})
			}
			_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: new("large"), UploadId: made.UploadId,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
			require.NoError(t, err)
			_, err = client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: new("copy"), CopySource: aws.String(bucket + "/large")})
			require.NoError(t, err)
			got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: new("dir/plain file")})
			require.NoError(t, err)
			content, err := io.ReadAll(got.Body)
			require.NoError(t, err)
			require.NoError(t, got.Body.Close())
			assert.Equal(t, body, string(content), "nothing was changed on the way")

			events := r.events()
			require.Len(t, events, 3)
			assert.Equal(t, metadata{"bytes": 70_000.0, "bucket": bucket, "key": "dir/plain file", "contentType": "text/plain", "strategy": "S3"}, events[0])
			assert.Equal(t, 70_000.0, events[1]["bytes"])
			assert.Equal(t, metadata{"bytes": 5<<20 + 1234.0, "bucket": bucket, "key": "large", "contentType": "video/mp4", "strategy": "S3"}, events[2])
		})
	}
	for name, style := range map[string]minio.BucketLookupType{"bucket in the path": minio.BucketLookupPath, "bucket in the host": minio.BucketLookupDNS} {
		t.Run("minio-go, "+name, func(t *testing.T) {
			r := newRecorder(t)
			client, err := minio.New(domain, &minio.Options{
				Creds: miniocredentials.NewStaticV4(accessKey, secretKey, ""), Region: region, BucketLookup: style, MaxRetries: 1,
				Transport: r.ing.S3Transport(base, "upload", ingest.S3Endpoint(domain)),
			})
			require.NoError(t, err)
			bucket := map[minio.BucketLookupType]string{minio.BucketLookupPath: "minio-path", minio.BucketLookupDNS: "minio-host"}[style]
			require.NoError(t, client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
			ctx := ingest.WithCustomer(t.Context(), acme)
			// Over http it frames the bytes in signed chunks.
			_, err = client.PutObject(ctx, bucket, "chunked", bytes.NewReader(make([]byte, 200_000)), 200_000, minio.PutObjectOptions{ContentType: "image/png"})
			require.NoError(t, err)
			// Of unknown length: multipart.
			const large = 11<<20 + 5
			_, err = client.PutObject(ctx, bucket, "large", io.LimitReader(zeros{}, large), -1, minio.PutObjectOptions{PartSize: 5 << 20, ContentType: "video/mp4"})
			require.NoError(t, err)
			info, err := client.StatObject(ctx, bucket, "large", minio.StatObjectOptions{})
			require.NoError(t, err)
			assert.EqualValues(t, large, info.Size)
			assert.Equal(t, []metadata{
				{"bytes": 200_000.0, "bucket": bucket, "key": "chunked", "contentType": "image/png", "strategy": "S3"},
				{"bytes": float64(large), "bucket": bucket, "key": "large", "contentType": "video/mp4", "strategy": "S3"},
			}, r.events())
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
