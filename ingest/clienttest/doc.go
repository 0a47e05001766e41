// Package clienttest holds tests of package ingest with the real clients of S3 and of language models. It is a module of its own, so
// that nobody else needs these.
package clienttest
