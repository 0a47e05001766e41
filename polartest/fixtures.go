package polartest

import (
	"errors"
	"fmt"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// FailCheckout plays a customer whose payment fails for good: the checkout's status is
// failed afterwards, and there is no order. A card that is refused, which leaves the
// checkout open for another try, is played with a confirmation token; see the package
// comment.
func (s *Server) FailCheckout(id string) error {
	return s.do(func() error {
		x, ok := s.checkouts.get(id)
		if !ok {
			return errNotFound
		}
		if err := x.mustBeOpen(); err != nil {
			return err
		}
		s.declineCheckout(x)
		s.clock.stop(x.expiry)
		x.m.Status, x.m.ModifiedAt = models.CheckoutStatusFailed, new(s.at)
		s.emit(x.organization, models.WebhookEventTypeCheckoutUpdated, func() any { return s.renderCheckout(x) })
		return nil
	})
}

// ExpireCheckout lets an open checkout expire before its time.
func (s *Server) ExpireCheckout(id string) error {
	return s.do(func() error {
		x, ok := s.checkouts.get(id)
		if !ok {
			return errNotFound
		}
		if err := x.mustBeOpen(); err != nil {
			return err
		}
		s.clock.stop(x.expiry)
		s.expire(x)
		return nil
	})
}

// Grant gives a customer, named by its id or external id, a product for nothing, as if it
// had gone through a checkout with a discount of 100 %: benefits, order, and subscription
// when the product recurs, which renews at its price unless it is free or cancelled. It
// returns the id of the order.
func (s *Server) Grant(customer, productID string) (orderID string, err error) {
	err = s.do(func() error {
		cust, err := s.lookUp(customer)
		if err != nil {
			return err
		}
		p, ok := s.products.get(productID)
		if !ok || p.m.OrganizationID != cust.m.OrganizationID {
			return errNotFound
		}
		x, err := s.checkoutFor(cust.m.OrganizationID, models.CheckoutCreate{Products: []string{p.m.ID}, CustomerID: &cust.m.ID})
		if err != nil {
			return err
		}
		gift := &discount{m: models.Discount{ID: s.uuid(), CreatedAt: s.at, Name: "Gift", Type: models.DiscountTypePercentage, BasisPoints: new(10_000), Duration: models.DiscountDurationOnce, OrganizationID: cust.m.OrganizationID}}
		s.discounts.add(gift.m.ID, gift)
		x.discount = gift
		s.calculate(x)
		if err := s.confirm(x); err != nil {
			return err
		}
		s.succeed(x)
		if n := len(cust.orders); n > 0 {
			orderID = cust.orders[n-1].m.ID
		}
		return nil
	})
	return orderID, err
}

// Lapse ends a subscription now, as when its last payment failed: its status is unpaid and
// its benefits are gone. To revoke it as a merchant does, use the API.
func (s *Server) Lapse(subscriptionID string) error {
	return s.do(func() error {
		sub, ok := s.subscriptions.get(subscriptionID)
		if !ok {
			return errNotFound
		}
		if !sub.live() {
			return errors.New("polartest: Lapse: the subscription has ended already")
		}
		s.giveUp(sub)
		return nil
	})
}

// AddLegacyPrice gives a recurring product a fixed price of the kind that Polar no longer
// makes, with an interval of its own, and returns its id. It takes the place of the
// product's other prices for new customers.
func (s *Server) AddLegacyPrice(productID string, amount int64, interval models.RecurringInterval) (priceID string, err error) {
	err = s.do(func() error {
		p, ok := s.products.get(productID)
		switch {
		case !ok:
			return errNotFound
		case !p.m.IsRecurring:
			return errors.New("polartest: AddLegacyPrice: the product is not a recurring one")
		case amount < 0:
			return fmt.Errorf("polartest: AddLegacyPrice: the amount is %d, want 0 or more", amount)
		}
		for _, pr := range p.prices {
			pr.m.IsArchived = true
		}
		pr := &price{m: models.ProductPrice{CreatedAt: s.at, ID: s.uuid(), Source: models.ProductPriceSourceCatalog, AmountType: models.ProductPriceAmountTypeFixed, PriceCurrency: "usd", ProductID: p.m.ID,
			Type: new(string(models.ProductBillingTypeRecurring)), RecurringInterval: &interval, Legacy: new(true), Amount: &models.ProductPriceFixed{PriceAmount: amount}}}
		p.prices = append(p.prices, pr)
		s.prices[pr.m.ID] = pr
		priceID = pr.m.ID
		return nil
	})
	return priceID, err
}

// Catalogue is what [Server.Seed] makes.
type Catalogue struct {
	Free    models.Product // a plan that costs nothing
	Monthly models.Product // 29.00 USD a month, with 1,000 tokens included and 0.01 USD for each one more
	Yearly  models.Product // 290.00 USD a year
	Team    models.Product // 10.00 USD a month and seat, 8.00 USD from ten seats on
	Book    models.Product // 19.00 USD once, with a license key

	Tokens models.Meter // sums the metadata "tokens" of events called "ai.call"
}

// Seed fills the shop: products of the usual kinds with their benefits, and a meter. It is for
// examples and for trying things out; tests say more when they make what they need.
func (s *Server) Seed() (*Catalogue, error) {
	var c Catalogue
	err := s.do(func() error {
		who := &subject{kind: kindOrganization, orgs: []string{s.org.m.ID}}
		steps := []struct {
			op   string
			path map[string]string
			body any
			out  any
		}{
			{"meters:create", nil, models.MeterCreate{Name: "AI tokens", Filter: models.And(models.Eq("name", "ai.call")), Aggregation: models.Sum("tokens")}, &c.Tokens},
			{"products:create", nil, recurring("Free", models.RecurringIntervalMonth, models.ProductPriceFixedCreate{}), &c.Free},
			{"products:create", nil, recurring("Yearly", models.RecurringIntervalYear, models.ProductPriceFixedCreate{PriceAmount: 29_000}), &c.Yearly},
			{"products:create", nil, recurring("Team", models.RecurringIntervalMonth, models.ProductPriceSeatBasedCreate{SeatTiers: models.ProductPriceSeatTiersCreate{Tiers: []models.ProductPriceSeatTier{
				{MinSeats: 1, MaxSeats: new(9), PricePerSeat: 1000}, {MinSeats: 10, PricePerSeat: 800}}}}), &c.Team},
			{"products:create", nil, models.ProductCreateOneTime{Name: "Book", Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1900}}}, &c.Book},
		}
		for _, st := range steps {
			if err := s.make(st.op, st.path, who, st.body, st.out); err != nil {
				return err
			}
		}
		monthly := recurring("Monthly", models.RecurringIntervalMonth, models.ProductPriceFixedCreate{PriceAmount: 2900}, models.ProductPriceMeteredUnitCreate{MeterID: c.Tokens.ID, UnitAmount: "1"})
		if err := s.make("products:create", nil, who, monthly, &c.Monthly); err != nil {
			return err
		}
		credit := models.BenefitMeterCreditCreate{Description: "1,000 tokens a month", Properties: models.BenefitMeterCreditProperties{MeterID: c.Tokens.ID, Units: 1000}}
		if err := s.seedBenefit(who, credit, &c.Monthly); err != nil {
			return err
		}
		key := models.BenefitLicenseKeysCreate{Description: "License key", Properties: models.BenefitLicenseKeysCreateProperties{Prefix: new("BOOK")}}
		return s.seedBenefit(who, key, &c.Book)
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

func recurring(name string, interval models.RecurringInterval, prices ...models.ProductPriceCreate) models.ProductCreateRecurring {
	return models.ProductCreateRecurring{Name: name, RecurringInterval: interval, Prices: prices}
}

// seedBenefit makes a benefit and attaches it to a product.
func (s *Server) seedBenefit(who *subject, body models.BenefitCreate, p *models.Product) error {
	var b models.Benefit
	if err := s.make("benefits:create", nil, who, body, &b); err != nil {
		return err
	}
	return s.make("products:update_benefits", map[string]string{"id": p.ID}, who, models.ProductBenefitsUpdate{Benefits: []string{b.ID}}, p)
}

// make makes a call of the API from inside the server and reads its answer.
func (s *Server) make(op string, path map[string]string, who *subject, body, out any) error {
	data, err := jsonx.Marshal(body)
	if err != nil {
		return err
	}
	c := &call{srv: s, op: s.table.ops[op], who: who, now: s.at, path: path}
	if err := c.validate(data); err != nil {
		return err
	}
	result, err := allHandlers()[op](c)
	if err != nil {
		return err
	}
	if data, err = encode(result); err != nil {
		return err
	}
	return jsonx.Unmarshal(data, out)
}
