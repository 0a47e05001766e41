package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Everything that the shop sells has this key in its metadata at Polar, by which
// the shop finds it again. Ids would differ between the sandbox and production.
const metadataKey = "swatchbook"

// paletteEvent is the usage that is billed.
const paletteEvent = "palette.made"

// assortment is what the shop sells, by Polar's ids.
type assortment struct {
	Palettes string // benefit: may make palettes
	Meter    string // counts the palettes
}

// plans are what the shop offers: a price each month and palettes that are in it.
// Every further palette costs paletteCents.
var plans = []struct {
	Key, Name, Description string
	Cents                  int64
	Palettes               int
}{
	{"solo", "Solo", "For one person with a website to paint.", 900, 20},
	{"studio", "Studio", "For those who make colours for others, all day.", 2900, 200},
}

const paletteCents = 5

// stock makes what the shop sells, as far as it is not there yet. Start one
// instance of a new shop first: two that start at once would make things twice.
func stock(ctx context.Context, client *polar.Client) (assortment, error) {
	var a assortment
	meter, err := ensure(client.Meters.All(ctx, &polar.MeterListParams{Metadata: tagged("meter"), IsArchived: new(false)}), func() (*models.Meter, error) {
		return client.Meters.Create(ctx, models.MeterCreate{
			Name: "Palettes", Filter: models.And(models.Eq("name", paletteEvent)), Aggregation: models.Count(), Metadata: tag("meter"),
		})
	})
	if err != nil {
		return a, fmt.Errorf("the meter: %w", err)
	}
	access, err := ensure(client.Benefits.All(ctx, &polar.BenefitListParams{Metadata: tagged("palettes")}), func() (*models.Benefit, error) {
		return client.Benefits.Create(ctx, models.BenefitCustomCreate{Description: "The palette maker", Metadata: tag("palettes")})
	})
	if err != nil {
		return a, fmt.Errorf("the benefit: %w", err)
	}
	for _, p := range plans {
		credit, err := ensure(client.Benefits.All(ctx, &polar.BenefitListParams{Metadata: tagged(p.Key + "-credit")}), func() (*models.Benefit, error) {
			return client.Benefits.Create(ctx, models.BenefitMeterCreditCreate{
				Description: fmt.Sprintf("%d palettes each month", p.Palettes),
				Properties:  models.BenefitMeterCreditProperties{MeterID: meter.ID, Units: p.Palettes},
				Metadata:    tag(p.Key + "-credit"),
			})
		})
		if err != nil {
			return a, fmt.Errorf("the credit of %s: %w", p.Name, err)
		}
		product, err := ensure(client.Products.All(ctx, &polar.ProductListParams{Metadata: tagged(p.Key), IsArchived: new(false)}), func() (*models.Product, error) {
			return client.Products.Create(ctx, models.ProductCreateRecurring{
				Name:              p.Name,
				Description:       &p.Description,
				RecurringInterval: models.RecurringIntervalMonth,
				Prices: []models.ProductPriceCreate{
					models.ProductPriceFixedCreate{PriceAmount: p.Cents},
					models.ProductPriceMeteredUnitCreate{MeterID: meter.ID, UnitAmount: models.NewDecimalFromInt(paletteCents)},
				},
				Metadata: tag(p.Key),
			})
		})
		if err != nil {
			return a, fmt.Errorf("the product %s: %w", p.Name, err)
		}
		if len(product.Benefits) == 0 { // new, or an earlier start was interrupted here
			if _, err := client.Products.SetBenefits(ctx, product.ID, models.ProductBenefitsUpdate{Benefits: []string{access.ID, credit.ID}}); err != nil {
				return a, fmt.Errorf("the benefits of %s: %w", p.Name, err)
			}
		}
	}
	return assortment{Palettes: access.ID, Meter: meter.ID}, nil
}

func tag(value string) models.Metadata         { return models.Metadata{metadataKey: value} }
func tagged(value string) polar.MetadataFilter { return polar.MetadataFilter{metadataKey: {value}} }

// ensure returns the first of a list, and what create makes when the list is empty.
func ensure[T any](found iter.Seq2[*T, error], create func() (*T, error)) (*T, error) {
	for v, err := range found {
		return v, err
	}
	return create()
}

// offer is a plan as the price list shows it.
type offer struct {
	ID, Name, Description string
	Price, Period         string
	Usage                 []string // what is billed by usage
	Benefits              []string
}

// offers reads the plans from Polar, the cheapest first.
func offers(ctx context.Context, client *polar.Client) ([]offer, error) {
	var keys []string
	for _, p := range plans {
		keys = append(keys, p.Key)
	}
	params := &polar.ProductListParams{Metadata: polar.MetadataFilter{metadataKey: keys}, IsArchived: new(false), Sorting: []models.ProductSort{models.ProductSortPriceAmount}}
	var list []offer
	for p, err := range client.Products.All(ctx, params) {
		if err != nil {
			return nil, err
		}
		list = append(list, newOffer(p))
	}
	return list, nil
}

func newOffer(p *models.Product) offer {
	o := offer{ID: p.ID, Name: p.Name}
	if p.Description != nil {
		o.Description = *p.Description
	}
	if p.RecurringInterval != nil {
		o.Period = string(*p.RecurringInterval)
	}
	for _, price := range p.Prices {
		if price.IsArchived {
			continue
		}
		switch a := price.Amount.(type) {
		case *models.ProductPriceFixed:
			o.Price = models.FormatAmount(a.PriceAmount, price.PriceCurrency)
		case *models.ProductPriceMeteredUnit:
			o.Usage = append(o.Usage, fmt.Sprintf("%s for each further one", models.FormatUnitAmount(a.UnitAmount, price.PriceCurrency)))
		}
	}
	for _, b := range p.Benefits {
		o.Benefits = append(o.Benefits, b.Description)
	}
	return o
}
