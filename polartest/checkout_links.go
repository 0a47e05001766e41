package polartest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

type checkoutLink struct {
	m        models.CheckoutLink
	products []string
}

func (l *checkoutLink) orgID() string { return l.m.OrganizationID }

const linkPath = "/buy/"

func checkoutLinkHandlers() handlers {
	return handlers{
		"checkout-links:list": listLinks, "checkout-links:create": createLink, "checkout-links:get": getLink, "checkout-links:update": updateLink, "checkout-links:delete": deleteLink,
	}
}

func (s *Server) renderLink(l *checkoutLink) models.CheckoutLink {
	m := l.m
	for _, id := range l.products {
		p, ok := s.products.get(id)
		if !ok {
			continue
		}
		q := s.renderPublicProduct(p)
		m.Products = append(m.Products, models.CheckoutLinkProduct{Metadata: p.m.Metadata, ID: q.ID, CreatedAt: q.CreatedAt, ModifiedAt: q.ModifiedAt, TrialInterval: q.TrialInterval,
			TrialIntervalCount: q.TrialIntervalCount, Name: q.Name, Description: q.Description, Visibility: q.Visibility, RecurringInterval: q.RecurringInterval,
			RecurringIntervalCount: q.RecurringIntervalCount, MeterInterval: q.MeterInterval, MeterIntervalCount: q.MeterIntervalCount, IsRecurring: q.IsRecurring, IsArchived: q.IsArchived,
			OrganizationID: q.OrganizationID, Prices: q.Prices, Benefits: q.Benefits, Medias: q.Medias})
	}
	if d, ok := s.discounts.get(deref(m.DiscountID)); ok && !d.deleted {
		m.Discount = s.renderDiscountSummary(d)
	} else {
		m.DiscountID = nil
	}
	return m
}

func listLinks(c *call) (any, error) {
	items := visible(c, &c.srv.links, func(l *checkoutLink) bool {
		return c.query["product_id"] == nil || slices.ContainsFunc(l.products, func(id string) bool { return c.asks("product_id", id) })
	})
	text := func(f func(*checkoutLink) *string) func(a, b *checkoutLink) int {
		return func(a, b *checkoutLink) int { return strings.Compare(deref(f(a)), deref(f(b))) }
	}
	number := func(l *checkoutLink) int {
		if l.m.AllowDiscountCodes {
			return 1
		}
		return 0
	}
	return page(c, items, map[string]func(a, b *checkoutLink) int{
		"label":                text(func(l *checkoutLink) *string { return l.m.Label }),
		"success_url":          text(func(l *checkoutLink) *string { return l.m.SuccessURL }),
		"allow_discount_codes": func(a, b *checkoutLink) int { return cmp.Compare(number(a), number(b)) },
	}, c.srv.renderLink)
}

func getLink(c *call) (any, error) {
	l, err := find(c, &c.srv.links, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderLink(l), nil
}

func createLink(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.CheckoutLinkCreate](c)
	if err != nil {
		return nil, err
	}
	ids, member := body.Products, "products"
	switch c.chosen {
	case "CheckoutLinkCreateProduct":
		ids, member = []string{*body.ProductID}, "product_id"
	case "CheckoutLinkCreateProductPrice":
		member = "product_price_id"
		pr := s.prices[strings.ToLower(*body.ProductPriceID)]
		if pr == nil || pr.m.IsArchived {
			return nil, invalid(wrong("Price does not exist.", *body.ProductPriceID, member))
		}
		ids = []string{pr.m.ProductID}
	}
	l := &checkoutLink{}
	if err := c.linkProducts(l, ids, member); err != nil {
		return nil, err
	}
	if faults := pairFaults(body.TrialInterval != nil, body.TrialIntervalCount != nil, "trial_interval", "trial_interval_count"); faults != nil {
		return nil, invalid(faults...)
	}
	secret := s.token("polar_cl_")
	l.m = models.CheckoutLink{ID: s.uuid(), CreatedAt: c.now, OrganizationID: l.m.OrganizationID, TrialInterval: body.TrialInterval, TrialIntervalCount: body.TrialIntervalCount,
		Metadata: body.Metadata, PaymentProcessor: models.PaymentProcessorStripe, ClientSecret: secret, URL: s.URL + linkPath + secret, SuccessURL: body.SuccessURL, ReturnURL: body.ReturnURL,
		Label: body.Label, AllowDiscountCodes: or(body.AllowDiscountCodes, true), RequireBillingAddress: or(body.RequireBillingAddress, false), Seats: body.Seats, Units: body.Units}
	if err := s.linkDiscount(l, body.DiscountID); err != nil {
		return nil, err
	}
	s.links.add(l.m.ID, l)
	put(&s.linkSecret, secret, l)
	return s.renderLink(l), nil
}

// linkProducts sets what a link sells: products of one organization that are not archived.
func (c *call) linkProducts(l *checkoutLink, ids []string, member string) error {
	org := l.m.OrganizationID
	var next []string
	for i, id := range ids {
		loc := []any{member}
		if member == "products" {
			loc = append(loc, i)
		}
		p, ok := c.srv.products.get(id)
		switch {
		case !ok || !c.who.reaches(p.m.OrganizationID) || l.m.ID != "" && p.m.OrganizationID != l.m.OrganizationID:
			return invalid(wrong("Product does not exist.", id, loc...))
		case p.m.IsArchived:
			return invalid(wrong("Product is archived.", id, loc...))
		case org != "" && org != p.m.OrganizationID:
			return invalid(wrong("Products don't belong to the same organization.", id, loc...))
		}
		org = p.m.OrganizationID
		if !slices.Contains(next, p.m.ID) {
			next = append(next, p.m.ID)
		}
	}
	l.products, l.m.OrganizationID = next, org
	return nil
}

// linkDiscount sets the discount of a link, which must fit at least one of its products.
func (s *Server) linkDiscount(l *checkoutLink, id *string) error {
	if id == nil {
		l.m.DiscountID = nil
		return nil
	}
	d, ok := s.discounts.get(*id)
	if !ok || d.deleted || d.m.OrganizationID != l.m.OrganizationID {
		return invalid(wrong("Discount does not exist.", *id, "discount_id"))
	}
	if !slices.ContainsFunc(l.products, func(id string) bool { p, ok := s.products.get(id); return ok && d.appliesTo(p) }) {
		return invalid(wrong("Discount is not applicable to the products of this link.", *id, "discount_id"))
	}
	l.m.DiscountID = &d.m.ID
	return nil
}

func updateLink(c *call) (any, error) {
	s := c.srv
	l, err := find(c, &s.links, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.CheckoutLinkUpdate](c)
	if err != nil {
		return nil, err
	}
	next := *l
	if ids, ok := body.Products.Get(); ok {
		if err := c.linkProducts(&next, ids, "products"); err != nil {
			return nil, err
		}
	}
	apply(&next.m.TrialInterval, body.TrialInterval)
	apply(&next.m.TrialIntervalCount, body.TrialIntervalCount)
	if faults := pairFaults(next.m.TrialInterval != nil, next.m.TrialIntervalCount != nil, "trial_interval", "trial_interval_count"); faults != nil {
		return nil, invalid(faults...)
	}
	if id, ok := body.DiscountID.Get(); ok {
		err = s.linkDiscount(&next, &id)
	} else if body.DiscountID.IsNull() {
		err = s.linkDiscount(&next, nil)
	}
	if err != nil {
		return nil, err
	}
	if body.Metadata != nil {
		next.m.Metadata = body.Metadata
	}
	apply(&next.m.Label, body.Label)
	applyValue(&next.m.AllowDiscountCodes, body.AllowDiscountCodes)
	applyValue(&next.m.RequireBillingAddress, body.RequireBillingAddress)
	apply(&next.m.Seats, body.Seats)
	apply(&next.m.Units, body.Units)
	apply(&next.m.SuccessURL, body.SuccessURL)
	apply(&next.m.ReturnURL, body.ReturnURL)
	*l = next
	l.m.ModifiedAt = new(c.now)
	return s.renderLink(l), nil
}

func deleteLink(c *call) (any, error) {
	s := c.srv
	l, err := find(c, &s.links, c.path["id"])
	if err != nil {
		return nil, err
	}
	s.links.remove(l.m.ID, func(x *checkoutLink) bool { return x == l })
	delete(s.linkSecret, l.m.ClientSecret)
	return nil, nil
}

// openLink makes a checkout of a link and sends the browser there. What the query prefills is
// left out when it does not fit.
func (s *Server) openLink(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		write(w, &apiError{status: http.StatusMethodNotAllowed, body: plainError{"Method Not Allowed"}})
		return
	}
	l := s.linkSecret[strings.TrimPrefix(r.URL.Path, linkPath)]
	if l == nil {
		write(w, notFound())
		return
	}
	x, err := s.linkedCheckout(l, r.URL.Query())
	if err != nil {
		write(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, withQuery(x.m.URL, shownAs(r)), http.StatusSeeOther)
}

// fromQuery are the parameters of a link that become metadata.
var fromQuery = []string{"reference_id", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"}

func (s *Server) linkedCheckout(l *checkoutLink, q url.Values) (*checkout, error) {
	body := models.CheckoutCreate{AllowDiscountCodes: &l.m.AllowDiscountCodes, RequireBillingAddress: &l.m.RequireBillingAddress, TrialInterval: l.m.TrialInterval,
		TrialIntervalCount: l.m.TrialIntervalCount, SuccessURL: l.m.SuccessURL, ReturnURL: l.m.ReturnURL, Seats: l.m.Seats, Units: l.m.Units, Metadata: models.Metadata{}}
	for _, id := range l.products {
		if p, ok := s.products.get(id); ok && !p.m.IsArchived {
			body.Products = append(body.Products, id)
		}
	}
	if len(body.Products) == 0 {
		return nil, notFound()
	}
	if i := slices.Index(body.Products, q.Get("product_id")); i > 0 {
		body.Products[0], body.Products[i] = body.Products[i], body.Products[0]
	}
	for k, v := range l.m.Metadata {
		body.Metadata[k] = v
	}
	for _, name := range fromQuery {
		if v := q.Get(name); v != "" && len(v) <= 500 {
			body.Metadata[name] = v
		}
	}
	text := func(name string) *string { return optional(q.Get(name)) }
	if email := q.Get("customer_email"); strings.Contains(email, "@") {
		body.CustomerEmail = &email
	}
	body.CustomerName, body.EmbedOrigin, body.Locale = text("customer_name"), text("embed_origin"), text("locale")
	data := models.CustomFieldData{}
	for name, values := range q {
		if slug, ok := strings.CutPrefix(name, "custom_field_data."); ok {
			if v := s.prefilled(body.Products[0], slug, values[0]); v != nil {
				data[slug] = v
			}
		}
	}
	if len(data) > 0 {
		body.CustomFieldData = data
	}
	first, _ := s.products.get(body.Products[0])
	fits := func(d *discount) bool { return d != nil && s.redeemable(d) && d.appliesTo(first) }
	if d, _ := s.discounts.get(deref(l.m.DiscountID)); fits(d) {
		body.DiscountID = &d.m.ID
	}
	if code := q.Get("discount_code"); code != "" && l.m.AllowDiscountCodes {
		if d := s.discountByCode(l.m.OrganizationID, code); fits(d) {
			body.DiscountID = &d.m.ID
		}
	}
	if n, err := strconv.ParseInt(q.Get("amount"), 10, 64); err == nil {
		body.Amount = &n
	}
	if n, err := strconv.Atoi(q.Get("seats")); err == nil && n > 0 {
		body.Seats = &n
	}
	x, err := s.checkoutFor(l.m.OrganizationID, body)
	if err != nil { // an amount or seats that the product does not allow
		body.Amount, body.Seats = nil, l.m.Seats
		x, err = s.checkoutFor(l.m.OrganizationID, body)
	}
	return x, err
}

// prefilled reads the answer to a custom field of a product from a query, nil when it does not fit.
func (s *Server) prefilled(productID, slug, text string) any {
	p, _ := s.products.get(productID)
	for _, a := range s.attached(p) {
		if a.CustomField.Slug != slug {
			continue
		}
		var v any = text
		switch a.CustomField.Type {
		case models.CustomFieldTypeNumber:
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil
			}
			v = n
		case models.CustomFieldTypeCheckbox:
			on, ok := parseBool(text)
			if !ok {
				return nil
			}
			v = on
		}
		if fieldFault(a.CustomField, v, false) == "" {
			return v
		}
	}
	return nil
}

// checkoutFor makes a checkout as the API would for the organization.
func (s *Server) checkoutFor(org string, body models.CheckoutCreate) (*checkout, error) {
	data, err := jsonx.Marshal(body)
	if err != nil {
		return nil, err
	}
	c := &call{srv: s, op: s.table.ops["checkouts:create"], who: &subject{kind: kindOrganization, orgs: []string{org}}, now: s.at, body: data, header: http.Header{}}
	made, err := createCheckout(c)
	if err != nil {
		return nil, err
	}
	x, _ := s.checkouts.get(made.(models.Checkout).ID)
	return x, nil
}
