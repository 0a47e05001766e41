package polar

import (
	"context"
	"errors"
)

// RedeliverFailed has Polar send the events again that an endpoint did not receive in the period and that Polar has given
// up, the earliest first. It leaves out events that Polar is still trying to deliver and those that are archived. It
// returns the ids of the events that were queued, also beside an error, which ends it. A nil params means the last 24
// hours.
//
// Enable the endpoint first, with [WebhookEndpointService.Enable], or nothing arrives. The events keep their webhook-id, and
// they arrive after later ones.
//
// Scope: webhooks:write. Errors: [ErrNotFound].
func (s *WebhookDeliveryService) RedeliverFailed(ctx context.Context, endpointID string, params *WebhookHealthParams, opts ...CallOption) ([]string, error) {
	if endpointID == "" {
		return nil, errors.New("polar: webhooks:redeliver_webhook_event: endpoint id is empty")
	}
	history, err := s.history(ctx, endpointID, params, opts)
	if err != nil {
		return nil, err
	}
	var queued []string
	for _, f := range history.failed(true) {
		if f.Retrying || f.Event.IsArchived {
			continue
		}
		if err := s.Redeliver(ctx, f.Event.ID, opts...); err != nil {
			return queued, err
		}
		queued = append(queued, f.Event.ID)
	}
	return queued, nil
}
