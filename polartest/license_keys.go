package polartest

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/polar-go/polar/models"
)

// licenseKey is the key that a grant of a license key benefit gave.
type licenseKey struct {
	m           models.LicenseKey
	grant       *grant
	activations []*activation
}

// activation is a place where a key is in use.
type activation struct {
	m          models.LicenseKeyActivationSummary
	conditions models.Metadata // what validating it must repeat
}

func (k *licenseKey) orgID() string { return k.m.OrganizationID }

func licenseKeyHandlers() handlers {
	return handlers{
		"license_keys:list": listLicenseKeys, "license_keys:get": getLicenseKey, "license_keys:update": updateLicenseKey, "license_keys:rotate": rotateLicenseKey,
		"license_keys:get_activation": getActivation, "license_keys:validate": validateLicenseKey, "license_keys:activate": activateLicenseKey,
		"license_keys:deactivate": deactivateLicenseKey,

		"customer_portal:license_keys:list": portalLicenseKeys, "customer_portal:license_keys:get": portalLicenseKey, "customer_portal:license_keys:rotate": portalRotateLicenseKey,
		"customer_portal:license_keys:validate": validateLicenseKey, "customer_portal:license_keys:activate": activateLicenseKey,
		"customer_portal:license_keys:deactivate": deactivateLicenseKey,
	}
}

func (s *Server) renderLicenseKey(k *licenseKey) models.LicenseKey {
	m := k.m
	if x, ok := s.customers.get(m.CustomerID); ok {
		m.Customer = x.m
	}
	if who, ok := s.members.get(deref(m.MemberID)); ok {
		m.Member = &models.LicenseKeyMember{ID: who.m.ID, Email: who.m.Email, ExternalID: who.m.ExternalID}
	}
	return m
}

func (s *Server) renderLicenseKeyFully(k *licenseKey) models.LicenseKeyWithActivations {
	out := fill[models.LicenseKeyWithActivations](s.renderLicenseKey(k))
	for _, a := range k.activations {
		out.Activations = append(out.Activations, a.m)
	}
	return out
}

func (s *Server) renderActivation(k *licenseKey, a *activation) models.LicenseKeyActivation {
	out := fill[models.LicenseKeyActivation](a.m)
	out.LicenseKey = s.renderLicenseKey(k)
	return out
}

// grantKey gives the key of a license key benefit, or the one that was taken back before.
func (s *Server) grantKey(x *customer, b *benefit, g *grant) {
	p := b.m.Properties.(*models.BenefitLicenseKeysProperties)
	var expires *time.Time
	if e := p.Expires; e != nil {
		expires = new(addInterval(s.at, models.RecurringInterval(e.Timeframe), e.Ttl, s.at.Day()))
	}
	if props, ok := g.m.Properties.(*models.BenefitGrantLicenseKeysProperties); ok {
		if k, ok := s.licenseKeys.get(deref(props.LicenseKeyID)); ok {
			k.m.Status, k.m.ExpiresAt, k.m.ModifiedAt = models.LicenseKeyStatusGranted, expires, new(s.at)
			return
		}
	}
	k := &licenseKey{grant: g, m: models.LicenseKey{ID: s.uuid(), CreatedAt: s.at, OrganizationID: b.m.OrganizationID, CustomerID: x.m.ID, MemberID: g.m.MemberID, BenefitID: b.m.ID,
		Status: models.LicenseKeyStatusGranted, LimitUsage: clone(p.LimitUsage), ExpiresAt: expires}}
	if p.Activations != nil {
		k.m.LimitActivations = new(p.Activations.Limit)
	}
	g.m.Properties = &models.BenefitGrantLicenseKeysProperties{LicenseKeyID: &k.m.ID}
	s.licenseKeys.add(k.m.ID, k)
	s.newKey(k, deref(p.Prefix))
}

// newKey gives a license key another text.
func (s *Server) newKey(k *licenseKey, prefix string) {
	text := strings.ToUpper(s.uuid())
	if prefix = strings.TrimSpace(prefix); prefix != "" {
		text = strings.ToUpper(prefix) + "_" + text
	}
	if s.keyByText == nil {
		s.keyByText = map[string]*licenseKey{}
	}
	delete(s.keyByText, k.m.OrganizationID+" "+k.m.Key)
	s.keyByText[k.m.OrganizationID+" "+text] = k
	k.m.Key, k.m.DisplayKey = text, "****-"+text[len(text)-6:]
	k.grant.m.Properties = &models.BenefitGrantLicenseKeysProperties{LicenseKeyID: &k.m.ID, DisplayKey: new(k.m.DisplayKey)}
}

// revokeKey takes the key of a grant back.
func (s *Server) revokeKey(g *grant) {
	props, ok := g.m.Properties.(*models.BenefitGrantLicenseKeysProperties)
	if !ok {
		return
	}
	if k, ok := s.licenseKeys.get(deref(props.LicenseKeyID)); ok {
		k.m.Status, k.m.ModifiedAt = models.LicenseKeyStatusRevoked, new(s.at)
	}
}

func listLicenseKeys(c *call) (any, error) {
	return page(c, visible(c, &c.srv.licenseKeys, func(k *licenseKey) bool {
		return c.asks("benefit_id", k.m.BenefitID) && c.asks("status", string(k.m.Status))
	}), nil, c.srv.renderLicenseKey)
}

func getLicenseKey(c *call) (any, error) {
	k, err := find(c, &c.srv.licenseKeys, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderLicenseKeyFully(k), nil
}

func updateLicenseKey(c *call) (any, error) {
	k, err := find(c, &c.srv.licenseKeys, c.path["id"])
	if err != nil {
		return nil, err
	}
	body, err := decode[models.LicenseKeyUpdate](c)
	if err != nil {
		return nil, err
	}
	applyValue(&k.m.Status, body.Status)
	k.m.Usage = or(body.Usage, k.m.Usage)
	apply(&k.m.LimitActivations, body.LimitActivations)
	apply(&k.m.LimitUsage, body.LimitUsage)
	apply(&k.m.ExpiresAt, body.ExpiresAt)
	if k.m.ExpiresAt != nil {
		k.m.ExpiresAt = new(k.m.ExpiresAt.UTC())
	}
	k.m.ModifiedAt = new(c.now)
	return c.srv.renderLicenseKey(k), nil
}

func rotateLicenseKey(c *call) (any, error) {
	k, err := find(c, &c.srv.licenseKeys, c.path["id"])
	if err != nil {
		return nil, err
	}
	return c.rotate(k)
}

func (c *call) rotate(k *licenseKey) (any, error) {
	if k.m.Status == models.LicenseKeyStatusRevoked {
		return nil, fail(http.StatusBadRequest, "RotateNotPermitted", "A revoked license key cannot be rotated.")
	}
	prefix := ""
	if b, ok := c.srv.benefits.get(k.m.BenefitID); ok {
		if p, ok := b.m.Properties.(*models.BenefitLicenseKeysProperties); ok {
			prefix = deref(p.Prefix)
		}
	}
	c.srv.newKey(k, prefix)
	k.m.ModifiedAt = new(c.now)
	return c.srv.renderLicenseKey(k), nil
}

func (k *licenseKey) activation(id string) (*activation, error) {
	for _, a := range k.activations {
		if strings.EqualFold(a.m.ID, id) {
			return a, nil
		}
	}
	return nil, notFound()
}

func getActivation(c *call) (any, error) {
	k, err := find(c, &c.srv.licenseKeys, c.path["id"])
	if err != nil {
		return nil, err
	}
	a, err := k.activation(c.path["activation_id"])
	if err != nil {
		return nil, err
	}
	return c.srv.renderActivation(k, a), nil
}

// keyOf finds a key by its text. Calls with a token see the keys of its organizations only.
func (c *call) keyOf(org, text string) (*licenseKey, error) {
	k := c.srv.keyByText[strings.ToLower(org)+" "+text]
	if k == nil || c.who.kind != "" && !c.who.reaches(k.m.OrganizationID) {
		return nil, notFound()
	}
	return k, nil
}

// usable tells whether the key opens anything now.
func (k *licenseKey) usable(now time.Time) bool {
	return k.m.Status == models.LicenseKeyStatusGranted && (k.m.ExpiresAt == nil || k.m.ExpiresAt.After(now))
}

func validateLicenseKey(c *call) (any, error) {
	body, err := decode[models.LicenseKeyValidate](c)
	if err != nil {
		return nil, err
	}
	k, err := c.keyOf(body.OrganizationID, body.Key)
	if err != nil {
		return nil, err
	}
	unlike := func(want *string, got string) bool { return want != nil && !strings.EqualFold(*want, got) }
	if !k.usable(c.now) || unlike(body.BenefitID, k.m.BenefitID) || unlike(body.CustomerID, k.m.CustomerID) {
		return nil, notFound()
	}
	var used *models.LicenseKeyActivationSummary
	if body.ActivationID != nil {
		a, err := k.activation(*body.ActivationID)
		if err != nil {
			return nil, err
		}
		if len(a.conditions) > 0 && !reflect.DeepEqual(a.conditions, body.Conditions) {
			return nil, notFound()
		}
		used = new(a.m)
	}
	if n := deref(body.IncrementUsage); n > 0 {
		if limit := k.m.LimitUsage; limit != nil && n > *limit-k.m.Usage {
			return nil, fail(http.StatusBadRequest, "BadRequest", fmt.Sprintf("The license key allows %d more uses.", max(0, *limit-k.m.Usage)))
		}
		k.m.Usage += n
	}
	k.m.Validations++
	k.m.LastValidatedAt = new(c.now)
	out := fill[models.ValidatedLicenseKey](c.srv.renderLicenseKey(k))
	out.Activation = used
	return out, nil
}

func activateLicenseKey(c *call) (any, error) {
	s := c.srv
	body, err := decode[models.LicenseKeyActivate](c)
	if err != nil {
		return nil, err
	}
	k, err := c.keyOf(body.OrganizationID, body.Key)
	if err != nil {
		return nil, err
	}
	no := func(text string) error { return fail(http.StatusForbidden, "NotPermitted", text) }
	switch limit := k.m.LimitActivations; {
	case !k.usable(c.now):
		return nil, no("The license key is revoked, disabled or expired.")
	case limit == nil:
		return nil, no("The license key has no activations: validate it instead.")
	case len(k.activations) >= *limit:
		return nil, no("The license key is activated as often as it may be.")
	}
	a := &activation{conditions: body.Conditions, m: models.LicenseKeyActivationSummary{ID: s.uuid(), LicenseKeyID: k.m.ID, Label: body.Label, Meta: body.Meta, CreatedAt: c.now}}
	k.activations = append(k.activations, a)
	return s.renderActivation(k, a), nil
}

func deactivateLicenseKey(c *call) (any, error) {
	body, err := decode[models.LicenseKeyDeactivate](c)
	if err != nil {
		return nil, err
	}
	k, err := c.keyOf(body.OrganizationID, body.Key)
	if err != nil {
		return nil, err
	}
	gone, err := k.activation(body.ActivationID)
	if err != nil {
		return nil, err
	}
	k.activations = without(k.activations, gone)
	return nil, nil
}

// mine tells whether the portal's user may see the key: people of a team see their own.
func (c *call) mine(customerID string, memberID *string) bool {
	if customerID != c.who.customer.m.ID {
		return false
	}
	who := c.who.member
	return who == nil || who.m.Role != models.MemberRoleMember || deref(memberID) == who.m.ID
}

func portalLicenseKeys(c *call) (any, error) {
	return page(c, c.srv.licenseKeys.where(func(k *licenseKey) bool {
		return c.mine(k.m.CustomerID, k.m.MemberID) && c.asks("benefit_id", k.m.BenefitID)
	}), nil, c.srv.renderLicenseKey)
}

func (c *call) portalKey() (*licenseKey, error) {
	k, ok := c.srv.licenseKeys.get(c.path["id"])
	if !ok || !c.mine(k.m.CustomerID, k.m.MemberID) {
		return nil, notFound()
	}
	return k, nil
}

func portalLicenseKey(c *call) (any, error) {
	k, err := c.portalKey()
	if err != nil {
		return nil, err
	}
	return c.srv.renderLicenseKeyFully(k), nil
}

func portalRotateLicenseKey(c *call) (any, error) {
	k, err := c.portalKey()
	if err != nil {
		return nil, err
	}
	return c.rotate(k)
}
