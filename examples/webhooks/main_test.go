package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/webhooks"
)

// TestDemo runs the program as "go run" does and reads what it prints: each type of event once.
func TestDemo(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, config{}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var types []models.WebhookEventType
	for _, line := range lines {
		name, _, _ := strings.Cut(line, " ")
		types = append(types, models.WebhookEventType(name))
	}
	want := models.WebhookEventTypeValues()
	slices.Sort(types)
	slices.Sort(want)
	assert.Equal(t, want, types)
	assert.Contains(t, lines, "order.paid                deliver order ord_1 to jane@example.com, who paid 49.00 USD")
	assert.Contains(t, lines, "subscription.migrated     sub_1 was sub_1NxYz at stripe before")
	assert.Contains(t, lines, "benefit_grant.created     open the wiki for jane@example.com")
	assert.Contains(t, lines, "benefit_grant.cycled      nothing to do")
	assert.Contains(t, lines, "benefit_grant.revoked     close the wiki for jane@example.com")
}

// TestListen runs the program with a secret, sends it events as Polar would, and stops it.
func TestListen(t *testing.T) {
	const secret = "polar_whs_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk012345"
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, write, config{Secret: secret, Addr: "127.0.0.1:0"}) }()
	lines := make(chan string, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		var rest string
		buf := make([]byte, 1000)
		for {
			n, err := read.Read(buf)
			if err != nil {
				return
			}
			rest += string(buf[:n])
			for line, more, ok := strings.Cut(rest, "\n"); ok; line, more, ok = strings.Cut(rest, "\n") {
				lines <- line
				rest = more
			}
		}
	})
	addr := strings.Fields(strings.TrimPrefix(<-lines, "Listening at "))[0]
	client := &http.Client{}
	defer client.CloseIdleConnections()
	send := func(secret string, e webhooks.Event) int {
		req, err := webhooks.NewRequest(t.Context(), "http://"+addr+"/webhooks/polar", secret, e)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusForbidden, send("another", &webhooks.OrderPaid{}))
	assert.Equal(t, http.StatusAccepted, send(secret, &webhooks.Unknown{EventType: "star.born"}))
	assert.Equal(t, "star.born                 nothing to do", <-lines)
	stop()
	require.NoError(t, <-done)
	_ = write.Close()
	wg.Wait()
}

func TestBadConfig(t *testing.T) {
	assert.ErrorIs(t, run(t.Context(), io.Discard, config{Secret: "whsec_"}), webhooks.ErrSecret)
	assert.Error(t, run(t.Context(), io.Discard, config{Secret: "x", Addr: "nowhere:-1"}))
}
