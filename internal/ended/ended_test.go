package ended

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	reason := errors.New("closing time")

	ctx, cancel := context.WithCancelCause(t.Context())
	assert.NoError(t, ctx.Err())
	cancel(reason)
	assert.ErrorIs(t, Why(ctx), context.Canceled)
	assert.ErrorIs(t, Why(ctx), reason)
	assert.EqualError(t, Why(ctx), "context canceled: closing time")

	ctx, stop := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), reason)
	defer stop()
	assert.EqualError(t, Why(ctx), "context deadline exceeded: closing time")
	assert.ErrorIs(t, Why(ctx), context.DeadlineExceeded)

	for name, cause := range map[string]error{"none": nil, "says so itself": fmt.Errorf("%w by the operator", context.Canceled)} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		assert.Equal(t, context.Cause(ctx), Why(ctx), name)
	}
}
