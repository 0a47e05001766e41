package polartest

import (
	"slices"

	"github.com/polar-go/polar/models"
)

type discount struct {
	m        models.Discount
	products []string // empty: all of them
}

func (d *discount) orgID() string { return d.m.OrganizationID }

func (s *Server) renderDiscountSummary(d *discount) *models.DiscountSummary {
	m := d.m
	return &models.DiscountSummary{Duration: m.Duration, Type: m.Type, Amount: m.Amount, Currency: m.Currency, Amounts: m.Amounts, CreatedAt: m.CreatedAt, ModifiedAt: m.ModifiedAt, ID: m.ID,
		Metadata: m.Metadata, Name: m.Name, Code: m.Code, StartsAt: m.StartsAt, EndsAt: m.EndsAt, MaxRedemptions: m.MaxRedemptions, MaxRedemptionsPerCustomer: m.MaxRedemptionsPerCustomer,
		RedemptionsCount: m.RedemptionsCount, OrganizationID: m.OrganizationID, DurationInMonths: m.DurationInMonths, BasisPoints: m.BasisPoints}
}

// off is what the discount takes from an amount.
func (d *discount) off(amount int64, currency string) int64 {
	switch {
	case d.m.BasisPoints != nil:
		return share(amount, int64(*d.m.BasisPoints), 10_000)
	case d.m.Amounts != nil:
		return min(amount, d.m.Amounts[currency])
	}
	return min(amount, deref(d.m.Amount))
}

// appliesTo tells whether a product may be bought with the discount.
func (d *discount) appliesTo(p *product) bool {
	return len(d.products) == 0 || slices.Contains(d.products, p.m.ID)
}

// redeemable tells whether the discount can be used now.
func (s *Server) redeemable(d *discount) bool {
	return (d.m.StartsAt == nil || !d.m.StartsAt.After(s.at)) && (d.m.EndsAt == nil || d.m.EndsAt.After(s.at)) &&
		(d.m.MaxRedemptions == nil || d.m.RedemptionsCount < *d.m.MaxRedemptions)
}
