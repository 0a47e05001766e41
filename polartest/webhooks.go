package polartest

import "github.com/polar-go/polar/models"

// emit says that something happened to an organization: payload makes the data
// of the webhook event, and is only called when an endpoint wants it.
func (s *Server) emit(org *organization, event models.WebhookEventType, payload func() any) {
	_, _, _ = org, event, payload
}
