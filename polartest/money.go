package polartest

import (
	"math/big"

	"github.com/polar-go/polar/models"
)

// round rounds to whole minor units, halves away from zero.
func round(x *big.Rat) int64 {
	n := new(big.Int).Mul(x.Num(), big.NewInt(2))
	d := new(big.Int).Mul(x.Denom(), big.NewInt(2))
	if x.Sign() < 0 {
		n.Sub(n, x.Denom())
	} else {
		n.Add(n, x.Denom())
	}
	return n.Quo(n, d).Int64()
}

// share is amount × part ÷ whole, rounded.
func share(amount, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	if abs := max(amount, -amount); abs < 1<<40 && part >= 0 && part < 1<<20 && whole > 0 { // no need for exact arithmetic
		n := (2*abs*part + whole) / (2 * whole)
		if amount < 0 {
			return -n
		}
		return n
	}
	return round(new(big.Rat).Mul(new(big.Rat).SetInt64(amount), big.NewRat(part, whole)))
}

// rat is the number that a decimal stands for; a broken one is 0.
func rat(d models.Decimal) *big.Rat {
	r, err := d.Rat()
	if err != nil {
		return new(big.Rat)
	}
	return r
}

// tiered works out units at prices that depend on how many there are.
func tiered(t models.PriceTiers, units *big.Rat) int64 {
	if units.Sign() <= 0 {
		return 0
	}
	total, from := new(big.Rat), new(big.Rat)
	for i, tier := range t.Tiers {
		last := tier.Bound == nil || i == len(t.Tiers)-1
		var to *big.Rat
		if !last {
			to = new(big.Rat).SetInt64(int64(*tier.Bound))
		}
		if t.Type == models.PriceTierTypeVolume {
			if last || units.Cmp(to) <= 0 {
				return round(new(big.Rat).Mul(units, rat(tier.UnitAmount)))
			}
			continue
		}
		here := new(big.Rat).Set(units)
		if !last && units.Cmp(to) > 0 {
			here.Set(to)
		}
		total.Add(total, new(big.Rat).Mul(new(big.Rat).Sub(here, from), rat(tier.UnitAmount)))
		if last || units.Cmp(to) <= 0 {
			break
		}
		from = to
	}
	return round(total)
}

// seated works out the price of seats.
func seated(t models.ProductPriceSeatTiers, seats int) int64 {
	graduated := t.SeatTierType != nil && *t.SeatTierType == models.PriceTierTypeGraduated
	var total int64
	for i, tier := range t.Tiers {
		last := tier.MaxSeats == nil || i == len(t.Tiers)-1
		switch {
		case !graduated && (last || seats <= *tier.MaxSeats):
			return int64(seats) * tier.PricePerSeat
		case graduated:
			top := seats
			if !last {
				top = min(seats, *tier.MaxSeats)
			}
			if n := top - tier.MinSeats + 1; n > 0 {
				total += int64(n) * tier.PricePerSeat
			}
		}
	}
	return total
}
