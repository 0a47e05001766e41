package polartest

import (
	"cmp"
	"math/big"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// customerMeter is what a customer used of a meter and was credited since the last reset.
type customerMeter struct {
	m        models.CustomerMeter
	customer *customer
	meter    *meter
	events   []*event // since the last reset
	keep     int      // credited units that a reset leaves, as far as they are unused
	resetAt  time.Time
}

func (m *customerMeter) orgID() string { return m.meter.m.OrganizationID }

func customerMeterHandlers() handlers {
	return handlers{"customer_meters:list": listCustomerMeters, "customer_meters:get": getCustomerMeter}
}

// consumed is the meter's quantity since the last reset.
func (m *customerMeter) consumed() *big.Rat { return m.meter.aggregate(m.events) }

// overage is what was used beyond the credits.
func (m *customerMeter) overage() *big.Rat {
	over := new(big.Rat).Sub(m.consumed(), new(big.Rat).SetInt64(int64(m.m.CreditedUnits)))
	if over.Sign() < 0 {
		over.SetInt64(0)
	}
	return over
}

// reset starts a new period of a customer's meter.
func (s *Server) reset(m *customerMeter) {
	left := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(m.m.CreditedUnits)), m.consumed())
	units := 0
	if left.Sign() > 0 {
		whole := new(big.Int).Quo(left.Num(), left.Denom())
		units = min(int(whole.Int64()), m.keep)
	}
	m.events, m.m.CreditedUnits, m.keep, m.resetAt, m.m.ModifiedAt = nil, units, units, s.at, new(s.at)
	s.systemEvent(m.customer, "meter.reset", &models.MeterResetMetadata{MeterID: m.meter.m.ID})
	if units > 0 {
		s.systemEvent(m.customer, "meter.credited", &models.MeterCreditedMetadata{MeterID: m.meter.m.ID, Units: units, Rollover: true})
	}
}

func (s *Server) renderCustomerMeter(x *customerMeter) models.CustomerMeter {
	m := x.m
	used := x.consumed()
	m.ConsumedUnits = toFloat(used)
	m.Balance = toFloat(new(big.Rat).Sub(new(big.Rat).SetInt64(int64(m.CreditedUnits)), used))
	m.Customer, m.Meter = x.customer.m, x.meter.m
	return m
}

// meterOf is the customer's meter, made when it is first needed.
func (s *Server) meterOf(x *customer, me *meter) *customerMeter {
	if cm := x.meters[me]; cm != nil {
		return cm
	}
	cm := &customerMeter{m: models.CustomerMeter{ID: s.uuid(), CreatedAt: s.at, CustomerID: x.m.ID, MeterID: me.m.ID}, customer: x, meter: me}
	s.customerMeter.add(cm.m.ID, cm)
	if x.meters == nil {
		x.meters = map[*meter]*customerMeter{}
	}
	x.meters[me] = cm
	return cm
}

// count adds an event to the meter of its customer.
func (s *Server) count(me *meter, e *event) {
	cm := s.meterOf(e.customer, me)
	cm.events = append(cm.events, e)
	cm.m.ModifiedAt = new(s.at)
}

func listCustomerMeters(c *call) (any, error) {
	s := c.srv
	items := visible(c, &s.customerMeter, func(m *customerMeter) bool {
		return m.customer.m.DeletedAt == nil && c.asks("customer_id", m.customer.m.ID) && c.asksPtr("external_customer_id", m.customer.m.ExternalID) && c.asks("meter_id", m.meter.m.ID)
	})
	return page(c, items, map[string]func(a, b *customerMeter) int{
		"modified_at": func(a, b *customerMeter) int { return deref(a.m.ModifiedAt).Compare(deref(b.m.ModifiedAt)) },
		"customer_id": func(a, b *customerMeter) int { return strings.Compare(a.m.CustomerID, b.m.CustomerID) },
		"customer_name": func(a, b *customerMeter) int {
			return strings.Compare(deref(a.customer.m.Name), deref(b.customer.m.Name))
		},
		"meter_id":       func(a, b *customerMeter) int { return strings.Compare(a.m.MeterID, b.m.MeterID) },
		"meter_name":     func(a, b *customerMeter) int { return strings.Compare(a.meter.m.Name, b.meter.m.Name) },
		"consumed_units": func(a, b *customerMeter) int { return a.consumed().Cmp(b.consumed()) },
		"credited_units": func(a, b *customerMeter) int { return cmp.Compare(a.m.CreditedUnits, b.m.CreditedUnits) },
		"balance": func(a, b *customerMeter) int {
			return cmp.Compare(s.renderCustomerMeter(a).Balance, s.renderCustomerMeter(b).Balance)
		},
	}, s.renderCustomerMeter)
}

func getCustomerMeter(c *call) (any, error) {
	m, err := find(c, &c.srv.customerMeter, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderCustomerMeter(m), nil
}
