package polartest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// portalView is what the portal page shows: what the API's own calls tell its customer.
type portalView struct {
	Organization, Name, Email string
	Path, Query               string // of the portal, and what keeps its user signed in
	ReturnURL                 string
	Subscriptions             []models.PortalSubscription
	Pauses                    bool // customers may pause their subscriptions
	Orders                    []models.PortalOrder
	Methods                   []models.PortalPaymentMethod
	DefaultMethod             string // the id of the card that is charged
	Meters                    []models.PortalMeter
	Keys                      []models.LicenseKey
	Grants                    []models.PortalBenefitGrant
}

// Action is the address of a form about one object.
func (v portalView) Action(what, id, verb string) string {
	return v.Path + "/" + what + "/" + id + "/" + verb + v.Query
}

// requestView is what the page shows at which a customer asks for a link.
type requestView struct{ Organization, Action, Email, Link string }

// portalPage answers at a session's customer_portal_url, and at the page that gives out links to it.
func (s *Server) portalPage(w http.ResponseWriter, r *http.Request, slug string, parts []string) {
	var org *organization
	for _, o := range s.organizations.all {
		if o.m.Slug == slug {
			org = o
		}
	}
	path := "/" + slug + "/" + portalPart
	if org == nil {
		s.notice(w, http.StatusNotFound, "There is no such portal", "")
		return
	}
	if len(parts) == 1 && parts[0] == "request" {
		s.requestPage(w, r, org, path)
		return
	}
	token := r.URL.Query().Get("customer_session_token")
	if token == "" {
		token = r.URL.Query().Get("member_session_token")
	}
	who := s.signedIn(token, org)
	if who == nil {
		http.Redirect(w, r, path+"/request", http.StatusSeeOther)
		return
	}
	switch {
	case len(parts) == 0:
		s.showPortal(w, r, org, who, token, http.StatusOK, pageView{})
	case len(parts) == 3 && r.Method == http.MethodPost:
		s.portalAction(w, r, org, who, token, parts)
	case len(parts) == 3 && parts[0] == "orders" && (parts[2] == "invoice" || parts[2] == "receipt"):
		s.portalDocument(w, r, org, who, token, parts)
	default:
		s.notice(w, http.StatusNotFound, "There is no such page", "")
	}
}

// portalHome is the portal's address for somebody who is signed in.
func portalHome(org *organization, token string) string {
	return "/" + org.m.Slug + "/" + portalPart + "?" + url.Values{"customer_session_token": {token}}.Encode()
}

// listed gets the first hundred entries of a list of the portal, none when its user may not see it.
func listed[M any](s *Server, id string, who *subject) []M {
	out, err := s.perform(id, who, nil, url.Values{"limit": {"100"}}, nil)
	if p, ok := out.(*polar.Page[M]); ok && err == nil {
		return p.Items
	}
	return nil
}

func (s *Server) showPortal(w http.ResponseWriter, _ *http.Request, org *organization, who *subject, token string, status int, p pageView) {
	v := portalView{Organization: org.m.Name, Name: deref(who.customer.m.Name), Email: who.customer.m.Email, Path: "/" + org.m.Slug + "/" + portalPart,
		Query:         "?" + url.Values{"customer_session_token": {token}}.Encode(),
		Subscriptions: listed[models.PortalSubscription](s, "customer_portal:subscriptions:list", who),
		Pauses:        deref(org.m.CustomerPortalSettings.Subscription.Pause),
		Orders:        listed[models.PortalOrder](s, "customer_portal:orders:list", who),
		Methods:       listed[models.PortalPaymentMethod](s, "customer_portal:customers:list_payment_methods", who),
		DefaultMethod: deref(who.customer.m.DefaultPaymentMethodID),
		Keys:          listed[models.LicenseKey](s, "customer_portal:license_keys:list", who),
		Grants: slices.DeleteFunc(listed[models.PortalBenefitGrant](s, "customer_portal:benefit-grants:list", who),
			func(g models.PortalBenefitGrant) bool { return !g.IsGranted }),
	}
	if org.m.CustomerPortalSettings.Usage.Show {
		v.Meters = listed[models.PortalMeter](s, "customer_portal:customer_meters:list", who)
	}
	if who.member != nil {
		v.Name, v.Email = deref(who.member.m.Name), who.member.m.Email
	}
	for _, x := range s.sessions.all {
		if x.m.Token == token {
			v.ReturnURL = deref(x.m.ReturnURL)
		}
	}
	p.Title, p.Body = "Your purchases", v
	s.showPage(w, status, "portal", "'none'", p)
}

// portalAction does what one of the portal's buttons asks for.
func (s *Server) portalAction(w http.ResponseWriter, r *http.Request, org *organization, who *subject, token string, parts []string) {
	path := map[string]string{"id": parts[1]}
	card := pageCards[r.PostForm.Get("card")]
	var err error
	switch parts[0] + " " + parts[2] {
	case "subscriptions cancel":
		_, err = s.perform("customer_portal:subscriptions:cancel", who, path, nil, nil)
	case "subscriptions uncancel":
		_, err = s.perform("customer_portal:subscriptions:update", who, path, nil, map[string]any{"cancel_at_period_end": false})
	case "subscriptions pause":
		_, err = s.perform("customer_portal:subscriptions:update", who, path, nil, map[string]any{"pause_at_period_end": true})
	case "subscriptions unpause":
		_, err = s.perform("customer_portal:subscriptions:update", who, path, nil, map[string]any{"pause_at_period_end": false})
	case "subscriptions resume":
		_, err = s.perform("customer_portal:subscriptions:update", who, path, nil, map[string]any{"resume": true})
	case "orders pay":
		var done any
		done, err = s.perform("customer_portal:orders:confirm_retry_payment", who, path, nil, map[string]any{"confirmation_token_id": card})
		if paid, ok := done.(models.PortalOrderPaymentConfirmation); ok && paid.Error != nil {
			err = fail(http.StatusBadRequest, "PaymentFailed", *paid.Error)
		}
	case "methods add":
		_, err = s.perform("customer_portal:customers:add_payment_method", who, nil, nil,
			map[string]any{"confirmation_token_id": card, "set_default": true, "return_url": s.URL + "/" + org.m.Slug + "/" + portalPart})
	case "methods remove":
		_, err = s.perform("customer_portal:customers:delete_payment_method", who, path, nil, nil)
	case "orders invoice":
		if name, country := strings.TrimSpace(r.PostForm.Get("billing_name")), strings.ToUpper(strings.TrimSpace(r.PostForm.Get("country"))); name != "" || country != "" {
			body := map[string]any{}
			if name != "" {
				body["billing_name"] = name
			}
			if country != "" {
				body["billing_address"] = map[string]any{"country": country}
			}
			_, err = s.perform("customer_portal:orders:update", who, path, nil, body)
		}
		if err == nil {
			_, err = s.perform("customer_portal:orders:generate_invoice", who, path, nil, nil)
		}
	default:
		s.notice(w, http.StatusNotFound, "There is no such page", "")
		return
	}
	if err != nil {
		var p pageView
		status := explain(&p, err)
		s.showPortal(w, r, org, who, token, status, p)
		return
	}
	http.Redirect(w, r, portalHome(org, token), http.StatusSeeOther)
}

// portalDocument leads to an invoice or a receipt, or says that it is not made yet.
func (s *Server) portalDocument(w http.ResponseWriter, r *http.Request, org *organization, who *subject, token string, parts []string) {
	out, err := s.perform("customer_portal:orders:"+parts[2], who, map[string]string{"id": parts[1]}, nil, nil)
	if err != nil {
		var p pageView
		status := explain(&p, err)
		s.showPortal(w, r, org, who, token, status, p)
		return
	}
	doc, ok := out.(models.OrderInvoice)
	if !ok {
		s.showPortal(w, r, org, who, token, http.StatusAccepted, pageView{Error: "The document is being made: ask again in a moment."})
		return
	}
	http.Redirect(w, r, doc.URL, http.StatusSeeOther)
}

// requestPage is where a customer asks for a link to the portal. Polar sends it by e-mail; here it is shown at once.
func (s *Server) requestPage(w http.ResponseWriter, r *http.Request, org *organization, path string) {
	v, status, p := requestView{Organization: org.m.Name, Action: path + "/request", Email: strings.TrimSpace(r.Form.Get("email"))}, http.StatusOK, pageView{Title: "Sign in"}
	if r.Method == http.MethodPost {
		x := s.customerByEmail(org.m.ID, v.Email)
		if x == nil {
			status, p.Error = http.StatusNotFound, "No customer has this e-mail address."
		} else if owner, err := s.sessionMember(x, models.CustomerSessionCreate{}); err != nil {
			status = explain(&p, err)
		} else {
			v.Link = portalHome(org, s.newSession(x, owner, nil).m.Token)
		}
	}
	p.Body = v
	s.showPage(w, status, "request", "'none'", p)
}
