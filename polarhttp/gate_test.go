package polarhttp

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// signedIn takes the customer of a request from a header, as a session would.
func signedIn(r *http.Request) (Customer, error) {
	return Customer{ExternalID: r.Header.Get("User")}, nil
}

func TestGate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	gate, err := NewGate(s.client, signedIn, WithClock(s.srv.Now))
	require.NoError(t, err)
	h := gate.Require(Benefit(s.benefit))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NotNil(t, StateFrom(r.Context()))
	}))
	s.customer("ada")
	assert.Equal(t, http.StatusForbidden, get(h, "/").StatusCode)
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "nobody").StatusCode)
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "ada").StatusCode)
	_, err = s.srv.Grant("ada", s.product.ID)
	require.NoError(t, err)
	assert.Equal(t, http.StatusPaymentRequired, get(h, "/", "User", "ada").StatusCode)
	s.srv.Advance(defaultRecheck)
	assert.Equal(t, http.StatusOK, get(h, "/", "User", "ada").StatusCode)
}

func TestPortal(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.customer("ada")
	h, err := CustomerPortal(s.client, signedIn)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, get(h, "/").StatusCode)
	assert.Equal(t, http.StatusNotFound, get(h, "/", "User", "nobody").StatusCode)
	answer := get(h, "/", "User", "ada")
	assert.Equal(t, http.StatusSeeOther, answer.StatusCode)
	assert.Contains(t, answer.Header.Get("Location"), "customer_session_token=")
}
