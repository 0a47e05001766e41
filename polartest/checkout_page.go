package polartest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/polar-go/polar/internal/jsonx"
	"github.com/polar-go/polar/models"
)

// The cards that the pages offer, by their confirmation tokens.
var pageCards = map[string]string{"pay": "ctoken_card", "decline": "ctoken_decline", "later": "ctoken_decline_later", "challenge": "ctoken_requires_action"}

// checkoutView is what the checkout page shows.
type checkoutView struct {
	models.Checkout
	Organization, Action string
	Free                 bool       // there is nothing to pay with a card
	Values               url.Values // what the form was sent with, when it is shown again
	Fields               []fieldView
	Address              []addressView
	Custom               *models.ProductPriceCustom
	CustomAmount         string
	UnitLabel            string
	MinSeats, MinUnits   int
	MaxSeats, MaxUnits   *int
	Code                 string // the discount code in use
	KnownCustomer        bool
	Period               string // how often it is paid
	Usage                []string
}

type fieldView struct {
	Name, Label, Help, Placeholder, Type, Value string
	Required, Checked                           bool
	Options                                     []models.CustomFieldSelectOption
}

type addressView struct {
	Name, Label, Value string
	Required           bool
}

// checkoutPage answers at a checkout's url: the form itself, the bank's step, and the page after it.
func (s *Server) checkoutPage(w http.ResponseWriter, r *http.Request, parts []string) {
	x := s.checkoutSecret[parts[0]]
	sub := strings.Join(parts[1:], "/")
	if x == nil || sub != "" && sub != "challenge" && sub != "confirmation" {
		s.notice(w, http.StatusNotFound, "There is no such checkout", "")
		return
	}
	post := r.Method == http.MethodPost
	switch {
	case sub == "confirmation":
		s.confirmationPage(w, r, x)
	case x.challenge != "" && x.m.Status == models.CheckoutStatusConfirmed:
		if post && sub == "challenge" {
			s.takeChallenge(w, r, x)
			return
		}
		p := pageView{Title: "Confirm your payment", Body: checkoutView{Checkout: s.renderCheckout(x), Organization: x.organization.m.Name, Action: x.pagePath("challenge", r)}}
		s.showCheckout(w, r, x, http.StatusOK, "challenge", p, map[string]any{"event": "loaded"}, map[string]any{"event": "confirmed"})
	case x.m.Status != models.CheckoutStatusOpen:
		s.finishedPage(w, r, x)
	case post && sub == "":
		s.submitCheckout(w, r, x)
	case sub == "challenge": // the step is over and was refused
		http.Redirect(w, r, x.pagePath("", r), http.StatusSeeOther)
	default:
		s.checkoutForm(w, r, x, http.StatusOK, pageView{}, nil)
	}
}

// embedded tells whether the page around the checkout gets messages, and its origin.
func (x *checkout) embedded(r *http.Request) string {
	if on, _ := parseBool(r.URL.Query().Get("embed")); !on {
		return ""
	}
	return originOf(deref(x.m.EmbedOrigin))
}

// pagePath is the address of one of the checkout's pages, which keeps how it is shown.
func (x *checkout) pagePath(sub string, r *http.Request) string {
	path := checkoutPath + x.m.ClientSecret
	if sub != "" {
		path += "/" + sub
	}
	if q := shownAs(r).Encode(); q != "" {
		path += "?" + q
	}
	return path
}

// shownAs are the parameters of the address that say how pages look.
func shownAs(r *http.Request) url.Values {
	q := url.Values{}
	for _, name := range []string{"embed", "theme"} {
		if v := r.URL.Query().Get(name); v != "" {
			q.Set(name, v)
		}
	}
	return q
}

// showCheckout writes one of the checkout's pages, with what it tells the page around it.
func (s *Server) showCheckout(w http.ResponseWriter, r *http.Request, x *checkout, status int, name string, p pageView, messages ...map[string]any) {
	frames := "'none'"
	if theme := r.URL.Query().Get("theme"); theme == "light" || theme == "dark" {
		p.Theme = theme
	}
	if origin := x.embedded(r); origin != "" {
		frames = origin
		if p.Embed == nil {
			p.Embed = &embedMessages{}
		}
		data, _ := jsonx.Marshal(messages)
		p.Embed.Origin, p.Embed.Messages = origin, string(data)
	}
	s.showPage(w, status, name, frames, p)
}

// checkoutForm shows what is sold and asks what is not known yet.
func (s *Server) checkoutForm(w http.ResponseWriter, r *http.Request, x *checkout, status int, p pageView, sent url.Values) {
	m := s.renderCheckout(x)
	product, _ := s.products.get(deref(m.ProductID))
	v := checkoutView{Checkout: m, Organization: x.organization.m.Name, Action: x.pagePath("", r), Free: !m.IsPaymentFormRequired, KnownCustomer: m.CustomerID != nil && m.CustomerEmail != nil, Values: sent}
	if x.discount != nil {
		v.Code = deref(x.discount.m.Code)
	}
	for _, pr := range x.pricesOf(product) {
		switch a := pr.m.Amount.(type) {
		case *models.ProductPriceCustom:
			v.Custom, v.CustomAmount = a, plainMoney(m.Amount, m.Currency)
		case *models.ProductPriceSeatBased:
			v.MinSeats, v.MaxSeats = max(1, a.SeatTiers.MinimumSeats, deref(m.MinSeats)), leastOf(m.MaxSeats, a.SeatTiers.MaximumSeats)
		case *models.ProductPriceUnitBased:
			v.MinUnits, v.MaxUnits, v.UnitLabel = max(1, deref(a.MinimumUnits), deref(m.MinUnits)), leastOf(m.MaxUnits, a.MaximumUnits), "Units"
			if text := a.UnitLabel["en"]["other"]; text != "" {
				v.UnitLabel = text
			}
		case *models.ProductPriceMeteredUnit:
			v.Usage = append(v.Usage, a.Meter.Name)
		case *models.ProductPriceMeteredTiers:
			v.Usage = append(v.Usage, a.Meter.Name)
		}
	}
	if product.m.IsRecurring {
		v.Period = every(*product.m.RecurringInterval, or(product.m.RecurringIntervalCount, 1))
	}
	for _, a := range m.AttachedCustomFields {
		v.Fields = append(v.Fields, showField(a, m.CustomFieldData[a.CustomField.Slug], sent))
	}
	v.Address = addressFields(&m, sent)
	p.Title, p.Body = "Checkout", v
	s.showCheckout(w, r, x, status, "checkout", p, map[string]any{"event": "loaded"})
}

// leastOf is the smallest of some limits, nil when there is none.
func leastOf(list ...*int) *int {
	var least *int
	for _, n := range list {
		if n != nil && (least == nil || *n < *least) {
			least = n
		}
	}
	return least
}

// Value is what an input starts with: what was sent, or what the checkout has.
func (v checkoutView) Value(name string, known *string) string {
	if v.Values != nil && v.Values.Has(name) {
		return v.Values.Get(name)
	}
	return deref(known)
}

func showField(a models.AttachedCustomField, answer any, sent url.Values) fieldView {
	f := a.CustomField
	out := fieldView{Name: "custom_field_data." + f.Slug, Label: f.Name, Type: "text", Required: a.Required, Value: plainAnswer(answer)}
	out.Checked = answer == true
	texts := func(label, help, placeholder *string) {
		if label != nil {
			out.Label = *label
		}
		out.Help, out.Placeholder = deref(help), deref(placeholder)
	}
	switch p := f.Properties.(type) {
	case *models.CustomFieldTextProperties:
		texts(p.FormLabel, p.FormHelpText, p.FormPlaceholder)
		if deref(p.Textarea) {
			out.Type = "textarea"
		}
	case *models.CustomFieldNumberProperties:
		texts(p.FormLabel, p.FormHelpText, p.FormPlaceholder)
		out.Type = "number"
	case *models.CustomFieldDateProperties:
		texts(p.FormLabel, p.FormHelpText, p.FormPlaceholder)
		out.Type = "date"
	case *models.CustomFieldCheckboxProperties:
		texts(p.FormLabel, p.FormHelpText, p.FormPlaceholder)
		out.Type = "checkbox"
	case *models.CustomFieldSelectProperties:
		texts(p.FormLabel, p.FormHelpText, p.FormPlaceholder)
		out.Type, out.Options = "select", p.Options
	}
	if sent != nil {
		out.Value, out.Checked = sent.Get(out.Name), sent.Has(out.Name)
	}
	return out
}

func plainAnswer(x any) string {
	if x == nil {
		return ""
	}
	return plainText(x)
}

func addressFields(m *models.Checkout, sent url.Values) []addressView {
	a := or(m.CustomerBillingAddress, models.Address{})
	var out []addressView
	add := func(name, label string, mode models.BillingAddressFieldMode, known string) {
		if mode == models.BillingAddressFieldModeDisabled {
			return
		}
		if sent.Has("address." + name) {
			known = sent.Get("address." + name)
		}
		out = append(out, addressView{Name: "address." + name, Label: label, Value: known, Required: mode == models.BillingAddressFieldModeRequired && m.IsPaymentFormRequired})
	}
	f := m.BillingAddressFields
	add("country", "Country (two letters)", f.Country, a.Country)
	add("line1", "Street", f.Line1, deref(a.Line1))
	add("line2", "Street, second line", f.Line2, deref(a.Line2))
	add("postal_code", "Postal code", f.PostalCode, deref(a.PostalCode))
	add("city", "City", f.City, deref(a.City))
	add("state", "State", f.State, deref(a.State))
	return out
}

// submitCheckout takes the form: it changes the session, or confirms it with one of the cards.
func (s *Server) submitCheckout(w http.ResponseWriter, r *http.Request, x *checkout) {
	action := r.PostForm.Get("action")
	body := s.checkoutAnswers(x, r.PostForm)
	path := map[string]string{"client_secret": x.m.ClientSecret}
	token, pays := pageCards[action]
	if !pays {
		if action == "remove_discount" {
			body["discount_code"] = nil
		}
		if _, err := s.perform("checkouts:client_update", &subject{}, path, nil, body); err != nil {
			var p pageView
			s.checkoutForm(w, r, x, explain(&p, err), p, r.PostForm)
			return
		}
		http.Redirect(w, r, x.pagePath("", r), http.StatusSeeOther)
		return
	}
	body["confirmation_token_id"] = token
	made, err := s.perform("checkouts:client_confirm", &subject{}, path, nil, body)
	if err != nil {
		var p pageView
		s.checkoutForm(w, r, x, explain(&p, err), p, r.PostForm)
		return
	}
	if x.challenge != "" {
		http.Redirect(w, r, x.pagePath("challenge", r), http.StatusSeeOther)
		return
	}
	s.leaveCheckout(w, r, x, deref(made.(models.CheckoutPublic).CustomerSessionToken))
}

// checkoutAnswers reads the form into the body of an update.
func (s *Server) checkoutAnswers(x *checkout, form url.Values) map[string]any {
	m, body := s.renderCheckout(x), map[string]any{}
	put := func(name, value string, known *string) {
		if form.Has(name) && value != deref(known) {
			body[name] = value
			if value == "" {
				body[name] = nil
			}
		}
	}
	text := func(name string, known *string) { put(name, strings.TrimSpace(form.Get(name)), known) }
	if m.CustomerID == nil || m.CustomerEmail == nil {
		text("customer_email", m.CustomerEmail)
	}
	text("customer_name", m.CustomerName)
	text("customer_billing_name", m.CustomerBillingName)
	text("customer_tax_id", m.CustomerTaxID)
	if form.Has("business_asked") {
		body["is_business_customer"] = form.Has("is_business_customer")
	}
	if country := strings.ToUpper(strings.TrimSpace(form.Get("address.country"))); country != "" {
		a := map[string]any{"country": country}
		for _, name := range []string{"line1", "line2", "postal_code", "city", "state"} {
			if v := strings.TrimSpace(form.Get("address." + name)); v != "" {
				a[name] = v
			}
		}
		body["customer_billing_address"] = a
	}
	if code := strings.TrimSpace(form.Get("discount_code")); code != "" {
		body["discount_code"] = code
	}
	if id := form.Get("product_id"); id != "" && id != deref(m.ProductID) {
		body["product_id"] = id // the rest of the form was about the other product
		return body
	}
	for _, name := range []string{"seats", "units"} {
		if v := form.Get(name); v != "" {
			body[name] = wholeOr(v)
		}
	}
	if v := form.Get("amount"); v != "" {
		body["amount"] = v
		if n, err := models.ParseAmount(v, m.Currency); err == nil {
			body["amount"] = n
		}
	}
	if len(m.AttachedCustomFields) > 0 {
		body["custom_field_data"] = fieldAnswers(m.AttachedCustomFields, form)
	}
	return body
}

// wholeOr is the number in a text, or the text for the API to refuse.
func wholeOr(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

func fieldAnswers(fields []models.AttachedCustomField, form url.Values) map[string]any {
	out := map[string]any{}
	for _, a := range fields {
		f, v := a.CustomField, form.Get("custom_field_data."+a.CustomField.Slug)
		switch {
		case f.Type == models.CustomFieldTypeCheckbox:
			out[f.Slug] = v != ""
		case v == "":
		case f.Type == models.CustomFieldTypeNumber:
			out[f.Slug] = wholeOr(v)
		default:
			out[f.Slug] = v
		}
	}
	return out
}

// takeChallenge takes the step at the bank.
func (s *Server) takeChallenge(w http.ResponseWriter, r *http.Request, x *checkout) {
	switch r.PostForm.Get("answer") {
	case "confirm":
		s.authenticateCheckout(x, true)
	case "refuse":
		s.authenticateCheckout(x, false)
		s.checkoutForm(w, r, x, http.StatusBadRequest, pageView{Error: "The payment was not confirmed. You can try again."}, nil)
		return
	default:
		http.Redirect(w, r, x.pagePath("challenge", r), http.StatusSeeOther)
		return
	}
	token := ""
	if cust, ok := s.customers.get(deref(x.m.CustomerID)); ok {
		if owner, err := s.sessionMember(cust, models.CustomerSessionCreate{}); err == nil {
			token = s.newSession(cust, owner, nil).m.Token
		}
	}
	s.leaveCheckout(w, r, x, token)
}

// leaveCheckout sends the browser on after a purchase, once everything is in place and the merchant was told.
// An embedded page tells the page around it where to go instead.
func (s *Server) leaveCheckout(w http.ResponseWriter, r *http.Request, x *checkout, token string) {
	s.runDue(s.clock.now())
	s.drain()
	internal := strings.HasPrefix(x.m.SuccessURL, s.URL+checkoutPath)
	add := url.Values{}
	if internal {
		add = shownAs(r)
	}
	if token != "" {
		add.Set("customer_session_token", token)
	}
	to := withQuery(x.m.SuccessURL, add)
	if x.embedded(r) == "" {
		w.Header().Set("Location", to)
		s.showPage(w, http.StatusSeeOther, "message", "'none'", pageView{Title: "Thank you", Body: messageView{Text: "Your purchase is complete.", Link: to, Label: "Go on"}})
		return
	}
	p := pageView{Title: "Thank you", Body: messageView{Text: "Your purchase is complete."}, Embed: &embedMessages{Next: to, Stay: internal}}
	s.showCheckout(w, r, x, http.StatusOK, "message", p, map[string]any{"event": "loaded"}, map[string]any{"event": "confirmed"},
		map[string]any{"event": "success", "successURL": to, "redirect": !internal})
}

// finishedPage is what is left of a checkout that is over.
func (s *Server) finishedPage(w http.ResponseWriter, r *http.Request, x *checkout) {
	status, p, body := http.StatusOK, pageView{}, messageView{}
	switch x.m.Status {
	case models.CheckoutStatusExpired:
		status, p.Title, body.Text = http.StatusGone, "This checkout has expired", "Please go back to the shop and start again."
	case models.CheckoutStatusFailed:
		p.Title, body.Text = "This checkout has failed", "Nothing was charged. Please go back to the shop and start again."
	case models.CheckoutStatusSucceeded:
		p.Title, body.Text = "This checkout is complete", "It has been paid already."
		body.Link, body.Label = x.m.SuccessURL, "Go on"
	default:
		p.Title, body.Text = "Your payment is being processed", "This takes a moment."
	}
	if body.Link == "" && x.m.ReturnURL != nil {
		body.Link, body.Label = *x.m.ReturnURL, "Back to "+x.organization.m.Name
	}
	p.Body = body
	s.showCheckout(w, r, x, status, "message", p, map[string]any{"event": "loaded"})
}

// confirmationPage is where customers go when the merchant names no success URL.
func (s *Server) confirmationPage(w http.ResponseWriter, r *http.Request, x *checkout) {
	if x.m.Status == models.CheckoutStatusOpen {
		http.Redirect(w, r, x.pagePath("", r), http.StatusSeeOther)
		return
	}
	if x.m.Status != models.CheckoutStatusSucceeded {
		s.finishedPage(w, r, x)
		return
	}
	p, body := pageView{Title: "Thank you"}, messageView{Text: "Your purchase of " + x.productName(s) + " is complete."}
	token := r.URL.Query().Get("customer_session_token")
	if who := s.signedIn(token, x.organization); who != nil && who.customer.m.ID == deref(x.m.CustomerID) {
		body.Link, body.Label = withQuery("/"+x.organization.m.Slug+"/portal", url.Values{"customer_session_token": {token}}), "See your purchases"
	}
	p.Body = body
	s.showCheckout(w, r, x, http.StatusOK, "message", p, map[string]any{"event": "loaded"})
}

func (x *checkout) productName(s *Server) string {
	p, _ := s.products.get(deref(x.m.ProductID))
	if p == nil {
		return ""
	}
	return p.m.Name
}

// challengeCheckout makes a confirmed session wait for its customer's step at the bank.
func (s *Server) challengeCheckout(x *checkout, token string) {
	x.challenge, x.challengeToken = "pi_"+s.letters(24, alphabet)+"_secret_"+s.letters(24, alphabet), token
	x.m.PaymentProcessorMetadata = map[string]string{"intent_status": "requires_action", "intent_client_secret": x.challenge}
}

// authenticateCheckout ends that step: the session is paid, or open again for another try.
func (s *Server) authenticateCheckout(x *checkout, ok bool) {
	refused, later := declined(x.challengeToken)
	x.challenge, x.challengeToken = "", ""
	x.m.PaymentProcessorMetadata = map[string]string{}
	if x.m.Status != models.CheckoutStatusConfirmed {
		return
	}
	if ok && !refused {
		x.decliningLater = later
		s.succeed(x)
		return
	}
	s.declineCheckout(x)
	x.m.Status, x.m.ModifiedAt = models.CheckoutStatusOpen, new(s.at)
	x.expiry = s.clock.at(x.m.ExpiresAt, func() { s.expire(x) })
	s.emit(x.organization, models.WebhookEventTypeCheckoutUpdated, func() any { return s.renderCheckout(x) })
}

// signedIn is who a session token of an organization's portal belongs to, nil when it is none or has expired.
func (s *Server) signedIn(token string, org *organization) *subject {
	who := s.tokens[token]
	if who == nil || who.customer == nil || who.customer.m.DeletedAt != nil || !who.expires.IsZero() && !who.expires.After(s.at) || !slices.Contains(who.orgs, org.m.ID) {
		return nil
	}
	return who
}
