package polartest

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// file is metadata of the API and, once it is uploaded, the content that the storage keeps.
type file struct {
	m          models.File
	upload     string // id of the multipart upload
	parts      []*filePart
	content    []byte
	key        string // signs the addresses of the file
	downloads  int
	downloader map[string]bool // customers
}

type filePart struct {
	m    models.FileUploadPart
	data []byte
	etag string
}

func (f *file) orgID() string { return f.m.OrganizationID }

const (
	storagePath  = "/storage/"
	downloadPath = "/v1/customer-portal/downloadables/" // with a signed rest: sends on to the storage
	urlLife      = time.Hour
	minPart      = 5 << 20 // every part but the last has at least as much, as the storage of the real server wants it
)

// What happens at the storage is no operation of the API, but has names for [Server.Break] and [Server.Requests].
var (
	storageUpload   = &operation{id: "storage:upload"}
	storageDownload = &operation{id: "storage:download"}
)

func fileHandlers() handlers {
	return handlers{
		"files:list": listFiles, "files:create": createFile, "files:uploaded": fileUploaded, "files:update": updateFile, "files:delete": deleteFile,
		"benefits:files": listBenefitFiles,
	}
}

func (f *file) render() models.File { return f.m }

func listFiles(c *call) (any, error) {
	items := visible(c, &c.srv.files, func(f *file) bool { return f.m.IsUploaded && c.asks("ids", f.m.ID) })
	slices.Reverse(items) // the newest first
	return page(c, items, nil, (*file).render)
}

func createFile(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.FileCreate](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(body.OrganizationID)
	if err != nil {
		return nil, err
	}
	if body.ChecksumSHA256Base64 != nil && !isSHA256(*body.ChecksumSHA256Base64) {
		return nil, invalid(wrong("The checksum is not the base64 of a SHA-256.", *body.ChecksumSHA256Base64, "checksum_sha256_base64"))
	}
	if faults := partFaults(body); faults != nil {
		return nil, invalid(faults...)
	}
	id := s.uuid()
	f := &file{upload: s.token(""), key: s.token(""), m: models.File{ID: id, CreatedAt: c.now, OrganizationID: org.m.ID, Name: body.Name, MimeType: body.MimeType, Size: body.Size,
		ChecksumSHA256Base64: body.ChecksumSHA256Base64, Version: body.Version, Service: body.Service, SizeReadable: readable(body.Size),
		Path: fmt.Sprintf("%s/%s/%s/%s", body.Service, org.m.ID, id, body.Name)}}
	f.setHex()
	for _, p := range body.Upload.Parts {
		part := &filePart{m: models.FileUploadPart{Number: p.Number, ChunkStart: p.ChunkStart, ChunkEnd: p.ChunkEnd, ChecksumSHA256Base64: p.ChecksumSHA256Base64,
			ExpiresAt: c.now.Add(urlLife), Headers: map[string]string{}}}
		part.m.URL = s.URL + s.signed(storagePath, "part/"+id+"/"+strconv.Itoa(p.Number), f.key, part.m.ExpiresAt)
		if p.ChecksumSHA256Base64 != nil {
			part.m.Headers["x-amz-checksum-sha256"], part.m.Headers["x-amz-sdk-checksum-algorithm"] = *p.ChecksumSHA256Base64, "SHA256"
		}
		f.parts = append(f.parts, part)
	}
	s.files.add(id, f)
	m := f.m
	out := models.FileUpload{ID: id, OrganizationID: m.OrganizationID, Name: m.Name, Path: m.Path, MimeType: m.MimeType, Size: m.Size, ChecksumSHA256Base64: m.ChecksumSHA256Base64,
		ChecksumSHA256Hex: m.ChecksumSHA256Hex, Version: m.Version, IsUploaded: new(false), Service: m.Service, SizeReadable: m.SizeReadable,
		Upload: models.FileUploadMultipart{ID: f.upload, Path: m.Path}}
	for _, p := range f.parts {
		out.Upload.Parts = append(out.Upload.Parts, p.m)
	}
	return out, nil
}

// partFaults finds parts that do not cut the file into pieces without gaps.
func partFaults(body models.FileCreate) []fault {
	var next int64
	for i, p := range body.Upload.Parts {
		at := func(msg string, input any, member string) []fault {
			return []fault{wrong(msg, input, string(body.Service), "upload", "parts", i, member)}
		}
		switch {
		case p.Number != i+1:
			return at("Parts are numbered from 1 on.", p.Number, "number")
		case p.ChunkStart != next:
			return at("A part begins where the one before ends.", p.ChunkStart, "chunk_start")
		case p.ChunkEnd <= p.ChunkStart && body.Size > 0 || p.ChunkEnd > body.Size:
			return at("A part ends behind its start and within the file.", p.ChunkEnd, "chunk_end")
		case p.ChecksumSHA256Base64 != nil && !isSHA256(*p.ChecksumSHA256Base64):
			return at("The checksum is not the base64 of a SHA-256.", *p.ChecksumSHA256Base64, "checksum_sha256_base64")
		}
		next = p.ChunkEnd
	}
	if len(body.Upload.Parts) == 0 || next != body.Size {
		return []fault{wrong("The parts must cover the whole file.", body.Size, string(body.Service), "upload", "parts")}
	}
	return nil
}

func isSHA256(text string) bool {
	sum, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

func (f *file) setHex() {
	f.m.ChecksumSHA256Hex = nil
	if f.m.ChecksumSHA256Base64 != nil {
		sum, _ := base64.StdEncoding.DecodeString(*f.m.ChecksumSHA256Base64)
		f.m.ChecksumSHA256Hex = new(hex.EncodeToString(sum))
	}
}

// readable writes a size for people.
func readable(n int64) string {
	x, unit := float64(n), "B"
	for _, u := range []string{"KB", "MB", "GB"} {
		if x < 1024 {
			break
		}
		x, unit = x/1024, u
	}
	return strconv.FormatFloat(x, 'f', 1, 64) + " " + unit
}

func fileUploaded(c *call) (any, error) {
	f, err := find(c, &c.srv.files, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.FileUploadCompleted](c)
	if err != nil {
		return nil, err
	}
	switch {
	case f.m.IsUploaded:
		return nil, fail(http.StatusForbidden, "NotPermitted", "The file is uploaded already.")
	case body.ID != f.upload:
		return nil, invalid(wrong("This is not the upload of the file.", body.ID, "id"))
	case body.Path != f.m.Path:
		return nil, invalid(wrong("This is not the path of the file.", body.Path, "path"))
	case len(body.Parts) != len(f.parts):
		return nil, invalid(wrong(fmt.Sprintf("The upload has %d parts.", len(f.parts)), len(body.Parts), "parts"))
	}
	var content, digests []byte
	for i, p := range body.Parts {
		part := f.parts[i]
		switch {
		case p.Number != part.m.Number:
			return nil, invalid(wrong("The parts must come in their order.", p.Number, "parts", i, "number"))
		case part.etag == "":
			return nil, invalid(wrong("The part has not been uploaded.", p.Number, "parts", i))
		case strings.Trim(p.ChecksumETag, `"`) != part.etag:
			return nil, invalid(wrong("This is not the ETag of the part.", p.ChecksumETag, "parts", i, "checksum_etag"))
		case deref(p.ChecksumSHA256Base64) != deref(part.m.ChecksumSHA256Base64):
			return nil, invalid(wrong("This is not the checksum of the part.", p.ChecksumSHA256Base64, "parts", i, "checksum_sha256_base64"))
		case i < len(f.parts)-1 && len(part.data) < minPart:
			return nil, invalid(wrong("Every part but the last must have at least 5 MiB.", len(part.data), "parts", i))
		}
		sum := md5.Sum(part.data)
		digests = append(digests, sum[:]...)
		content = append(content, part.data...)
	}
	sum := sha256.Sum256(content)
	whole := base64.StdEncoding.EncodeToString(sum[:])
	if f.m.ChecksumSHA256Base64 != nil && *f.m.ChecksumSHA256Base64 != whole {
		return nil, invalid(wrong("The content is not that of the file's checksum.", whole, "parts"))
	}
	f.content = content
	for _, p := range f.parts {
		p.data = nil
	}
	of := md5.Sum(digests)
	f.m.ChecksumSHA256Base64, f.m.ChecksumETag = &whole, new(fmt.Sprintf("%x-%d", of, len(f.parts)))
	f.setHex()
	f.m.IsUploaded, f.m.LastModifiedAt, f.m.StorageVersion = true, new(c.now), new(c.srv.token(""))
	if f.m.Service == models.FileServiceProductMedia || f.m.Service == models.FileServiceOrganizationAvatar {
		f.m.PublicURL = new(c.srv.URL + storagePath + "public/" + f.m.ID)
	}
	return f.m, nil
}

func updateFile(c *call) (any, error) {
	f, err := find(c, &c.srv.files, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.FilePatch](c)
	if err != nil {
		return nil, err
	}
	applyValue(&f.m.Name, body.Name)
	apply(&f.m.Version, body.Version)
	return f.m, nil
}

// deleteFile also takes the file out of the benefits and products that have it.
func deleteFile(c *call) (any, error) {
	s := c.srv
	f, err := find(c, &s.files, c.path["id"])
	if err != nil {
		return nil, err
	}
	s.files.remove(f.m.ID, func(x *file) bool { return x == f })
	is := func(id string) bool { return id == f.m.ID }
	for _, b := range s.benefits.all {
		if p, ok := b.m.Properties.(*models.BenefitDownloadablesProperties); ok {
			p.Files = slices.DeleteFunc(slices.Clone(p.Files), is)
		}
	}
	for _, p := range s.products.all {
		p.medias = slices.DeleteFunc(slices.Clone(p.medias), is)
	}
	return nil, nil
}

// checkMedia looks the pictures of a product up.
func (c *call) checkMedia(p *product, ids []string) error {
	for i, id := range ids {
		f, ok := c.srv.files.get(id)
		if !ok || f.m.OrganizationID != p.m.OrganizationID || f.m.Service != models.FileServiceProductMedia || !f.m.IsUploaded {
			return invalid(wrong("File does not exist or is not yet uploaded.", id, "medias", i))
		}
	}
	return nil
}

// mediasOf are the pictures of a product.
func (s *Server) mediasOf(p *product) []models.File {
	var out []models.File
	for _, id := range p.medias {
		if f, ok := s.files.get(id); ok {
			out = append(out, f.m)
		}
	}
	return out
}

// checkFiles looks the files of a benefit up.
func (c *call) checkFiles(org string, ids []string) error {
	for i, id := range ids {
		f, ok := c.srv.files.get(id)
		if !ok || f.m.OrganizationID != org || f.m.Service != models.FileServiceDownloadable || !f.m.IsUploaded {
			return invalid(wrong("File does not exist or is not yet uploaded.", id, "properties", "files", i))
		}
	}
	return nil
}

func listBenefitFiles(c *call) (any, error) {
	s := c.srv
	b, err := c.pathBenefit()
	if err != nil {
		return nil, err
	}
	var items []*file
	if p, ok := b.m.Properties.(*models.BenefitDownloadablesProperties); ok {
		for _, id := range p.Files {
			if f, ok := s.files.get(id); ok {
				items = append(items, f)
			}
		}
	}
	return page(c, items, nil, func(f *file) models.BenefitDownloadableFile {
		m := f.m
		return models.BenefitDownloadableFile{ID: m.ID, OrganizationID: m.OrganizationID, Name: m.Name, Path: m.Path, MimeType: m.MimeType, Size: m.Size, StorageVersion: m.StorageVersion,
			ChecksumETag: m.ChecksumETag, ChecksumSHA256Base64: m.ChecksumSHA256Base64, ChecksumSHA256Hex: m.ChecksumSHA256Hex, LastModifiedAt: m.LastModifiedAt, Version: m.Version,
			Service: m.Service, IsUploaded: m.IsUploaded, CreatedAt: m.CreatedAt, FlaggedMaliciousAt: m.FlaggedMaliciousAt, Downloaders: len(f.downloader), Downloads: f.downloads,
			SizeReadable: m.SizeReadable}
	})
}

// fileDownload is a file with an address from which a customer can get it for an hour. It is the API's own, counts the
// download and sends on to the storage.
func (s *Server) fileDownload(f *file, x *customer) models.FileDownload {
	m, until := f.m, s.at.Add(urlLife)
	return models.FileDownload{ID: m.ID, OrganizationID: m.OrganizationID, Name: m.Name, Path: m.Path, MimeType: m.MimeType, Size: m.Size, StorageVersion: m.StorageVersion,
		ChecksumETag: m.ChecksumETag, ChecksumSHA256Base64: m.ChecksumSHA256Base64, ChecksumSHA256Hex: m.ChecksumSHA256Hex, LastModifiedAt: m.LastModifiedAt, Version: m.Version,
		IsUploaded: m.IsUploaded, Service: m.Service, SizeReadable: m.SizeReadable,
		Download: models.FileDownloadURL{URL: s.URL + s.signed(downloadPath, m.ID+"/"+x.m.ID, f.key, until), ExpiresAt: until}}
}

// sendToDownload answers the address of a download with a redirect to the storage.
func (s *Server) sendToDownload(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, downloadPath)
	id, customer, _ := strings.Cut(rest, "/")
	f, ok := s.files.get(id)
	good, expired := false, false
	if ok {
		good, expired = s.checkSignature(r, rest, f.key)
	}
	switch {
	case !good:
		write(w, notFound())
	case expired:
		write(w, fail(http.StatusGone, "ResourceUnavailable", "The link has expired."))
	default:
		f.downloads++
		put(&f.downloader, customer, true)
		w.Header().Set("Location", s.URL+s.signed(storagePath, "download/"+id, f.key, s.at.Add(urlLife)))
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusFound)
	}
}

// signed makes a path and query below root that are good until a time.
func (s *Server) signed(root, path, key string, until time.Time) string {
	expires := strconv.FormatInt(until.Unix(), 10)
	return root + path + "?" + url.Values{"expires": {expires}, "signature": {signature(path, key, expires)}}.Encode()
}

// checkSignature tells whether the signature of a request is for path, and whether its time is over.
func (s *Server) checkSignature(r *http.Request, path, key string) (good, expired bool) {
	q := r.URL.Query()
	expires, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	good = err == nil && hmac.Equal([]byte(q.Get("signature")), []byte(signature(path, key, q.Get("expires"))))
	return good, s.at.Unix() >= expires
}

func signature(path, key, expires string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(path + "\n" + expires))
	return hex.EncodeToString(h.Sum(nil))
}

// storageError is what the storage says, in its own format.
type storageError struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	data, _ := xml.Marshal(storageError{Code: code, Message: message})
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// storage answers a request to the storage, or does what a fault wants instead, and remembers it without its body.
func (s *Server) storage(w http.ResponseWriter, r *http.Request) {
	op := storageDownload
	if r.Method == http.MethodPut {
		op = storageUpload
	}
	fault := s.takeFault(op)
	if fault.before != nil && !fault.before(w, r) {
		s.record(r, op, nil, 0)
		return
	}
	held := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<30)) // before the lock: a slow upload keeps nobody waiting
	switch {
	case err != nil:
		refuse(held, http.StatusBadRequest, "IncompleteBody", "The body could not be read to its end.")
	case fault.instead != nil:
		fault.instead(held)
	default:
		r.Body = io.NopCloser(bytes.NewReader(data))
		s.held(func() { s.serveStorage(held, r) }, held)
	}
	s.record(r, op, nil, held.status)
	if fault.after != nil {
		fault.after(w, r, held)
		return
	}
	held.send(w)
}

// serveStorage keeps what is uploaded and gives it back. Its addresses are signed: a token of the API is refused.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, storagePath)
	kind, rest, _ := strings.Cut(path, "/")
	id, which, _ := strings.Cut(rest, "/")
	f, ok := s.files.get(id)
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	if r.Header.Get("Authorization") != "" {
		refuse(w, http.StatusBadRequest, "InvalidArgument", "Only one way of signing a request is allowed: leave the Authorization header out.")
		return
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if kind == "public" {
		if !get || f.m.PublicURL == nil {
			refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied")
			return
		}
		sendContent(w, r, f)
		return
	}
	good, expired := s.checkSignature(r, path, f.key)
	switch {
	case !good:
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", "The signature does not fit the request.")
	case expired:
		refuse(w, http.StatusForbidden, "AccessDenied", "Request has expired")
	case kind == "download" && get:
		w.Header().Set("Content-Disposition", `attachment; filename*=UTF-8''`+url.PathEscape(f.m.Name))
		sendContent(w, r, f)
	case kind == "part" && r.Method == http.MethodPut:
		i := slices.IndexFunc(f.parts, func(p *filePart) bool { return strconv.Itoa(p.m.Number) == which })
		if i < 0 || f.m.IsUploaded {
			refuse(w, http.StatusNotFound, "NoSuchUpload", "The upload is completed or was never there.")
			return
		}
		f.parts[i].receive(w, r)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not allowed for this address.")
	}
}

// sendContent sends a file, or the part of it that the request asks for.
func sendContent(w http.ResponseWriter, r *http.Request, f *file) {
	w.Header().Set("Content-Type", f.m.MimeType)
	w.Header().Set("ETag", `"`+deref(f.m.ChecksumETag)+`"`)
	http.ServeContent(w, r, "", deref(f.m.LastModifiedAt), bytes.NewReader(f.content))
}

// receive takes a part whose headers, length and checksum are those that it was announced with.
func (p *filePart) receive(w http.ResponseWriter, r *http.Request) {
	for name, want := range p.m.Headers {
		if r.Header.Get(name) != want {
			refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", "The signature covers the header "+name+", which is missing or different.")
			return
		}
	}
	if r.ContentLength < 0 {
		refuse(w, http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
		return
	}
	size := p.m.ChunkEnd - p.m.ChunkStart
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, size+1))
	if err != nil && int64(len(data)) <= size {
		refuse(w, http.StatusBadRequest, "IncompleteBody", "The body could not be read to its end.")
		return
	}
	if int64(len(data)) != size {
		refuse(w, http.StatusBadRequest, "InvalidRequest", fmt.Sprintf("The part has %d bytes.", size))
		return
	}
	sum := sha256.Sum256(data)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	if want := p.m.ChecksumSHA256Base64; want != nil && *want != checksum {
		refuse(w, http.StatusBadRequest, "BadDigest", "The SHA-256 of the body is not the one that was given.")
		return
	}
	of := md5.Sum(data)
	p.data, p.etag = data, hex.EncodeToString(of[:])
	w.Header().Set("ETag", `"`+p.etag+`"`)
	w.Header().Set("x-amz-checksum-sha256", checksum)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
