// Package ended makes the error of a context that has ended.
package ended

import (
	"context"
	"errors"
	"fmt"
)

// Why returns the cause that a context has ended with, and in front of a cause of its own that it was canceled or its time was
// over: errors.Is finds both.
func Why(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
