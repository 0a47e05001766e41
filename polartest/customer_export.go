package polartest

import (
	"time"

	"github.com/polar-go/polar/models"
)

func exportHandlers() handlers { return handlers{"customers:export": exportCustomers} }

func exportCustomers(c *call) (any, error) {
	items := visible(c, &c.srv.customers, func(x *customer) bool { return x.m.DeletedAt == nil })
	usual := []string{"id", "external_id", "created_at", "email", "name", "billing_country"}
	return export(c, "customers", items, usual, func(column string, x *customer, zone *time.Location) string {
		m := &x.m
		switch column {
		case "id":
			return m.ID
		case "external_id":
			return deref(m.ExternalID)
		case "created_at":
			return csvTime(&m.CreatedAt, zone)
		case "email":
			return m.Email
		case "name":
			return deref(m.Name)
		}
		return or(m.BillingAddress, models.Address{}).Country
	})
}
