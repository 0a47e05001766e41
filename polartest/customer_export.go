package polartest

import (
	"fmt"
	"time"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

func exportHandlers() handlers { return handlers{"customers:export": exportCustomers} }

func exportCustomers(c *call) (any, error) {
	items := visible(c, &c.srv.customers, func(x *customer) bool { return x.m.DeletedAt == nil })
	text := func(heading string, f func(m *models.Customer) string) column[*customer] {
		return column[*customer]{"", heading, func(x *customer, _ *time.Location) string { return f(&x.m) }}
	}
	address := func(heading string, f func(a models.Address) string) column[*customer] {
		return text(heading, func(m *models.Customer) string { return f(deref(m.BillingAddress)) })
	}
	columns := []column[*customer]{
		text("ID", func(m *models.Customer) string { return m.ID }),
		text("External ID", func(m *models.Customer) string { return deref(m.ExternalID) }),
		{"", "Created At", func(x *customer, zone *time.Location) string { return csvTime(&x.m.CreatedAt, zone) }},
		text("Email", func(m *models.Customer) string { return m.Email }),
		text("Name", func(m *models.Customer) string { return deref(m.Name) }),
		text("Tax ID", func(m *models.Customer) string {
			if m.TaxID == nil {
				return ""
			}
			return fmt.Sprintf("('%s', <TaxIDFormat.%[2]s: '%[2]s'>)", m.TaxID.Number, m.TaxID.Format)
		}),
		address("Billing Address Line 1", func(a models.Address) string { return deref(a.Line1) }),
		address("Billing Address Line 2", func(a models.Address) string { return deref(a.Line2) }),
		address("Billing Address City", func(a models.Address) string { return deref(a.City) }),
		address("Billing Address State", func(a models.Address) string { return deref(a.State) }),
		address("Billing Address Zip", func(a models.Address) string { return deref(a.PostalCode) }),
		address("Billing Address Country", func(a models.Address) string { return a.Country }),
		text("Metadata", func(m *models.Customer) string {
			if len(m.Metadata) == 0 {
				return ""
			}
			data, err := jsonx.Marshal(m.Metadata)
			if err != nil {
				return ""
			}
			return string(data)
		}),
	}
	return export(c, "customers", items, columns, len(columns))
}
