package polartest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/polar-go/polar/models"
)

type benefit struct {
	m models.Benefit
}

func (b *benefit) orgID() string { return b.m.OrganizationID }

func benefitHandlers() handlers {
	return handlers{
		"benefits:list": listBenefits, "benefits:create": createBenefit, "benefits:get": getBenefit, "benefits:update": updateBenefit, "benefits:delete": deleteBenefit,
		"benefits:grants": listBenefitGrants, "benefit-grants:list": listGrants,
	}
}

func publicBenefit(b models.Benefit) models.BenefitPublic {
	out := models.BenefitPublic{ID: b.ID, CreatedAt: b.CreatedAt, ModifiedAt: b.ModifiedAt, Type: b.Type, Description: b.Description, Selectable: b.Selectable,
		Deletable: b.Deletable, IsDeleted: b.IsDeleted, OrganizationID: b.OrganizationID}
	if p, ok := b.Properties.(*models.BenefitMeterCreditProperties); ok {
		out.Properties = &models.BenefitMeterCreditPublicProperties{Units: p.Units, MeterID: p.MeterID}
	}
	return out
}

func listBenefits(c *call) (any, error) {
	items := visible(c, &c.srv.benefits, func(b *benefit) bool {
		return !b.m.IsDeleted && c.asks("type", string(b.m.Type)) && c.asks("id", b.m.ID) && !slices.Contains(c.query["exclude_id"], b.m.ID) &&
			c.searches("query", b.m.Description) && c.asksMetadata(b.m.Metadata)
	})
	return page(c, items, map[string]func(a, b *benefit) int{
		"description": func(a, b *benefit) int { return strings.Compare(a.m.Description, b.m.Description) },
		"type":        func(a, b *benefit) int { return strings.Compare(string(a.m.Type), string(b.m.Type)) },
	}, func(b *benefit) models.Benefit { return b.m })
}

func (c *call) pathBenefit() (*benefit, error) {
	b, err := find(c, &c.srv.benefits, c.path["id"])
	if err == nil && b.m.IsDeleted {
		err = notFound()
	}
	return b, err
}

func getBenefit(c *call) (any, error) {
	b, err := c.pathBenefit()
	if err != nil {
		return nil, err
	}
	return b.m, nil
}

// benefitRequest is what creating a benefit and changing one have in common.
type benefitRequest[P any] struct {
	Metadata       models.Metadata           `json:"metadata"`
	Description    *string                   `json:"description"`
	OrganizationID *string                   `json:"organization_id"`
	Visibility     *models.BenefitVisibility `json:"visibility"`
	Properties     *P                        `json:"properties"`
}

func createBenefit(c *call) (any, error) {
	s := c.srv
	req, err := decode[benefitRequest[struct{}]](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(req.OrganizationID)
	if err != nil {
		return nil, err
	}
	kind, _ := c.value["type"].(string)
	b := &benefit{m: models.Benefit{ID: s.uuid(), CreatedAt: c.now, Type: models.BenefitType(kind), Description: deref(req.Description), Selectable: true, Deletable: true,
		OrganizationID: org.m.ID, Metadata: req.Metadata, VisibilityConfigurable: visibilityConfigurable(models.BenefitType(kind))}}
	b.m.Visibility = or(req.Visibility, models.BenefitVisibilityPublic)
	if err := b.readProperties(c); err != nil {
		return nil, err
	}
	s.benefits.add(b.m.ID, b)
	s.emit(org, models.WebhookEventTypeBenefitCreated, func() any { return b.m })
	return b.m, nil
}

func visibilityConfigurable(t models.BenefitType) bool {
	switch t {
	case models.BenefitTypeCustom, models.BenefitTypeFeatureFlag, models.BenefitTypeLicenseKeys, models.BenefitTypeMeterCredit:
		return true
	}
	return false
}

// readProperties takes the properties of the request, which its type decides.
func (b *benefit) readProperties(c *call) error {
	switch b.m.Type {
	case models.BenefitTypeCustom:
		return propertiesOf[models.BenefitCustomProperties](c, b)
	case models.BenefitTypeDiscord:
		return propertiesOf[models.BenefitDiscordProperties](c, b)
	case models.BenefitTypeGitHubRepository:
		return propertiesOf[models.BenefitGitHubRepositoryProperties](c, b)
	case models.BenefitTypeDownloadables:
		if err := propertiesOf[models.BenefitDownloadablesProperties](c, b); err != nil {
			return err
		}
		p := b.m.Properties.(*models.BenefitDownloadablesProperties)
		if p.Archived == nil {
			p.Archived = map[string]bool{}
		}
		return c.checkFiles(b.m.OrganizationID, p.Files)
	case models.BenefitTypeLicenseKeys:
		return propertiesOf[models.BenefitLicenseKeysProperties](c, b)
	case models.BenefitTypeMeterCredit:
		if err := propertiesOf[models.BenefitMeterCreditProperties](c, b); err != nil {
			return err
		}
		p := b.m.Properties.(*models.BenefitMeterCreditProperties)
		if me, ok := c.srv.meters.get(p.MeterID); !ok || me.m.OrganizationID != b.m.OrganizationID {
			return invalid(wrong("Meter not found.", p.MeterID, "properties", "meter_id"))
		}
		return nil
	case models.BenefitTypeFeatureFlag:
		return propertiesOf[models.BenefitFeatureFlagProperties](c, b)
	case models.BenefitTypeSlackSharedChannel:
		return propertiesOf[models.BenefitSlackSharedChannelProperties](c, b)
	}
	return notFound()
}

func propertiesOf[P any, PP interface {
	*P
	models.BenefitProperties
}](c *call, b *benefit) error {
	req, err := decode[benefitRequest[P]](c)
	if err != nil {
		return err
	}
	if req.Properties != nil {
		b.m.Properties = PP(req.Properties)
	}
	return nil
}

func updateBenefit(c *call) (any, error) {
	s := c.srv
	b, err := c.pathBenefit()
	if err != nil {
		return nil, err
	}
	if kind, _ := c.value["type"].(string); kind != string(b.m.Type) {
		return nil, invalid(wrong("The type of a benefit cannot be changed.", kind, "type"))
	}
	req, err := decode[benefitRequest[struct{}]](c)
	if err != nil {
		return nil, err
	}
	old := b.m
	if err := b.readProperties(c); err != nil {
		b.m = old
		return nil, err
	}
	if before, ok := old.Properties.(*models.BenefitMeterCreditProperties); ok && before.MeterID != b.m.Properties.(*models.BenefitMeterCreditProperties).MeterID && s.isGranted(b) {
		b.m = old
		return nil, invalid(wrong("The meter of a granted benefit cannot be changed.", nil, "properties", "meter_id"))
	}
	if req.Metadata != nil {
		b.m.Metadata = req.Metadata
	}
	b.m.Description = or(req.Description, b.m.Description)
	b.m.Visibility = or(req.Visibility, b.m.Visibility)
	b.m.ModifiedAt = new(c.now)
	org, _ := s.organizations.get(b.m.OrganizationID)
	s.emit(org, models.WebhookEventTypeBenefitUpdated, func() any { return b.m })
	return b.m, nil
}

func deleteBenefit(c *call) (any, error) {
	s := c.srv
	b, err := c.pathBenefit()
	if err != nil {
		return nil, err
	}
	if !b.m.Deletable {
		return nil, fail(http.StatusForbidden, "NotPermitted", "This benefit cannot be deleted.")
	}
	b.m.IsDeleted = true
	b.m.ModifiedAt = new(c.now)
	for _, p := range s.products.all {
		p.benefits = slices.DeleteFunc(p.benefits, func(id string) bool { return id == b.m.ID })
	}
	for _, g := range s.grants.all {
		if g.m.BenefitID == b.m.ID && g.m.IsGranted {
			s.revoke(g)
		}
	}
	return nil, nil
}
