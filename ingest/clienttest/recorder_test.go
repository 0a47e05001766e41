package clienttest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/ingest"
	"github.com/polar-go/polar/models"
)

var acme = ingest.Customer{ExternalID: "acme"}

type metadata map[string]any

// recorder is an ingester that keeps its events.
type recorder struct {
	t    *testing.T
	ing  *ingest.Ingester
	mu   sync.Mutex
	list []metadata
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{t: t}
	var err error
	r.ing, err = ingest.New(nil, ingest.WithSink(r.keep), ingest.OnError(func(err error) { t.Error(err) }))
	require.NoError(t, err)
	return r
}

func (r *recorder) keep(_ context.Context, e models.EventCreate) error {
	assert.Equal(r.t, acme.ExternalID, *e.ExternalCustomerID)
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	var sent struct{ Metadata metadata }
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, sent.Metadata)
	return nil
}

func (r *recorder) events() []metadata {
	require.NoError(r.t, r.ing.Close(context.Background()))
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}
