package polartest

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/polar-go/polar/models"
)

type customField struct {
	m models.CustomField
}

func (f *customField) orgID() string { return f.m.OrganizationID }

func customFieldHandlers() handlers {
	return handlers{
		"custom-fields:list": listFields, "custom-fields:create": createField, "custom-fields:get": getField, "custom-fields:update": updateField, "custom-fields:delete": deleteField,
	}
}

func (f *customField) render() models.CustomField { return f.m }

func listFields(c *call) (any, error) {
	items := visible(c, &c.srv.fields, func(f *customField) bool {
		return c.asks("type", string(f.m.Type)) && c.searches("query", f.m.Name, f.m.Slug)
	})
	return page(c, items, map[string]func(a, b *customField) int{
		"slug": func(a, b *customField) int { return strings.Compare(a.m.Slug, b.m.Slug) },
		"name": func(a, b *customField) int { return strings.Compare(a.m.Name, b.m.Name) },
		"type": func(a, b *customField) int { return strings.Compare(string(a.m.Type), string(b.m.Type)) },
	}, (*customField).render)
}

func getField(c *call) (any, error) {
	f, err := find(c, &c.srv.fields, c.path["id"])
	if err != nil {
		return nil, err
	}
	return f.m, nil
}

// fieldRequest is what creating a custom field and changing one have in common.
type fieldRequest struct {
	Metadata       models.Metadata        `json:"metadata"`
	Type           models.CustomFieldType `json:"type"`
	Slug           *string                `json:"slug"`
	Name           *string                `json:"name"`
	OrganizationID *string                `json:"organization_id"`
}

func createField(c *call) (any, error) {
	s := c.srv
	req, err := decode[fieldRequest](c)
	if err != nil {
		return nil, err
	}
	org, err := c.organization(req.OrganizationID)
	if err != nil {
		return nil, err
	}
	f := &customField{m: models.CustomField{ID: s.uuid(), CreatedAt: c.now, OrganizationID: org.m.ID, Type: req.Type, Name: deref(req.Name), Metadata: req.Metadata}}
	if err := s.setSlug(f, deref(req.Slug)); err != nil {
		return nil, err
	}
	if err := f.readProperties(c); err != nil {
		return nil, err
	}
	s.fields.add(f.m.ID, f)
	return f.m, nil
}

// setSlug names the field in custom_field_data, where no two of an organization are alike.
func (s *Server) setSlug(f *customField, slug string) error {
	if slices.ContainsFunc(s.fields.all, func(x *customField) bool {
		return x.m.ID != f.m.ID && x.m.OrganizationID == f.m.OrganizationID && x.m.Slug == slug
	}) {
		return invalid(wrong("Custom field with this slug already exists.", slug, "slug"))
	}
	f.m.Slug = slug
	return nil
}

func (f *customField) readProperties(c *call) error {
	if c.value["properties"] == nil {
		return nil
	}
	switch f.m.Type {
	case models.CustomFieldTypeText:
		return fieldProperties[models.CustomFieldTextProperties](c, f)
	case models.CustomFieldTypeNumber:
		return fieldProperties[models.CustomFieldNumberProperties](c, f)
	case models.CustomFieldTypeDate:
		return fieldProperties[models.CustomFieldDateProperties](c, f)
	case models.CustomFieldTypeCheckbox:
		return fieldProperties[models.CustomFieldCheckboxProperties](c, f)
	}
	return fieldProperties[models.CustomFieldSelectProperties](c, f)
}

func fieldProperties[P any, PP interface {
	*P
	models.CustomFieldProperties
}](c *call, f *customField) error {
	req, err := decode[struct {
		Properties P `json:"properties"`
	}](c)
	if err != nil {
		return err
	}
	f.m.Properties = PP(&req.Properties)
	return nil
}

func updateField(c *call) (any, error) {
	s := c.srv
	f, err := find(c, &s.fields, c.path["id"])
	if err != nil {
		return nil, err
	}
	req, err := decode[fieldRequest](c)
	if err != nil {
		return nil, err
	}
	if req.Type != f.m.Type {
		return nil, invalid(wrong("The type of a custom field cannot be changed.", string(req.Type), "type"))
	}
	next := *f
	if req.Slug != nil {
		if err := s.setSlug(&next, *req.Slug); err != nil {
			return nil, err
		}
	}
	if err := next.readProperties(c); err != nil {
		return nil, err
	}
	next.m.Name = or(req.Name, next.m.Name)
	if req.Metadata != nil {
		next.m.Metadata = req.Metadata
	}
	next.m.ModifiedAt = new(c.now)
	*f = next
	return f.m, nil
}

// deleteField also takes the field off the products that ask for it.
func deleteField(c *call) (any, error) {
	s := c.srv
	f, err := find(c, &s.fields, c.path["id"])
	if err != nil {
		return nil, err
	}
	s.fields.remove(f.m.ID, func(x *customField) bool { return x == f })
	for _, p := range s.products.all {
		p.customFields = slices.DeleteFunc(p.customFields, func(a models.AttachedCustomFieldCreate) bool { return a.CustomFieldID == f.m.ID })
	}
	return nil, nil
}

// attached lists the fields that a product asks for, in its order.
func (s *Server) attached(p *product) []models.AttachedCustomField {
	out := []models.AttachedCustomField{} // not nil, which checkouts would leave out
	if p == nil {
		return out
	}
	for i, a := range p.customFields {
		if f, ok := s.fields.get(a.CustomFieldID); ok {
			out = append(out, models.AttachedCustomField{CustomFieldID: f.m.ID, CustomField: f.m, Order: i, Required: a.Required})
		}
	}
	return out
}

// checkFields looks the custom fields up that a product shall ask for.
func (c *call) checkFields(p *product, list []models.AttachedCustomFieldCreate) error {
	seen := map[string]bool{}
	for i, a := range list {
		f, ok := c.srv.fields.get(a.CustomFieldID)
		switch {
		case !ok || f.m.OrganizationID != p.m.OrganizationID:
			return invalid(wrong("Custom field does not exist.", a.CustomFieldID, "attached_custom_fields", i, "custom_field_id"))
		case seen[f.m.ID]:
			return invalid(wrong("Custom field is attached twice.", a.CustomFieldID, "attached_custom_fields", i, "custom_field_id"))
		}
		seen[f.m.ID] = true
	}
	return nil
}

// fieldFaults finds what does not fit the fields of a product in the answers of a customer. final tells
// that required ones must be there.
func (s *Server) fieldFaults(p *product, data models.CustomFieldData, final bool) []fault {
	var faults []fault
	for _, a := range s.attached(p) {
		f, x := a.CustomField, data[a.CustomField.Slug]
		if x == nil {
			if final && a.Required {
				faults = append(faults, fault{Type: "missing", Loc: []any{"body", "custom_field_data", f.Slug}, Msg: "Field required"})
			}
			continue
		}
		if msg := fieldFault(f, x, a.Required && final); msg != "" {
			faults = append(faults, wrong(msg, x, "custom_field_data", f.Slug))
		}
	}
	return faults
}

// fieldFault tells what is wrong with one answer, "" when nothing is.
func fieldFault(f models.CustomField, x any, must bool) string {
	switch p := f.Properties.(type) {
	case *models.CustomFieldTextProperties:
		text, ok := x.(string)
		n := utf8.RuneCountInString(text)
		switch {
		case !ok:
			return "Input should be a valid string"
		case p.MinLength != nil && n < *p.MinLength || must && n == 0:
			return "String is too short"
		case p.MaxLength != nil && n > *p.MaxLength:
			return "String is too long"
		}
	case *models.CustomFieldNumberProperties:
		n, ok := wholeNumber(x)
		if !ok {
			return "Input should be a valid integer"
		}
		return boundFault(n, p.Ge, p.Le)
	case *models.CustomFieldDateProperties:
		text, _ := x.(string)
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return "Input should be a valid date in the format YYYY-MM-DD"
		}
		return boundFault(day.Unix(), p.Ge, p.Le)
	case *models.CustomFieldCheckboxProperties:
		on, ok := x.(bool)
		switch {
		case !ok:
			return "Input should be a valid boolean"
		case must && !on:
			return "Input should be True"
		}
	case *models.CustomFieldSelectProperties:
		if !slices.ContainsFunc(p.Options, func(o models.CustomFieldSelectOption) bool { return o.Value == x }) {
			return "Input should be one of the options"
		}
	}
	return ""
}

func boundFault(n int64, low, high *int64) string {
	switch {
	case low != nil && n < *low:
		return "Input is below the minimum"
	case high != nil && n > *high:
		return "Input is above the maximum"
	}
	return ""
}

func wholeNumber(x any) (int64, bool) {
	switch x := x.(type) {
	case int64:
		return x, true
	case float64:
		return int64(x), x == math.Trunc(x)
	case json.Number:
		n, err := x.Int64()
		return n, err == nil
	}
	return 0, false
}
