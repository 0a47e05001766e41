package polarhttp

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/polar-go/polar/models"
)

// Requirement is what a customer has to have to pass a [Gate]. It is made by [Benefit], [Product], [MeterBalance],
// [Satisfies], [AllOf] and [AnyOf].
type Requirement struct {
	met    func(*models.CustomerState) bool // of a state that is not nil
	aged   bool                             // there is a maxAge
	maxAge time.Duration
	err    error
}

// Benefit requires that the customer has a benefit at the moment, by whatever purchase. This is the question to ask as a
// rule: which products include the benefit is then decided in Polar's dashboard, without a change of the program.
func Benefit(id string) Requirement {
	if id == "" {
		return Requirement{err: errors.New("polarhttp: the id of Benefit is empty")}
	}
	return Satisfies(func(s *models.CustomerState) bool { return s.Benefit(id) != nil })
}

// Product requires a subscription, active or in its trial, to one of the products. One-time purchases are not part of a
// customer's state: give the product a benefit and require that.
func Product(ids ...string) Requirement {
	if len(ids) == 0 || slices.Contains(ids, "") {
		return Requirement{err: errors.New("polarhttp: an id of Product is missing or empty")}
	}
	ids = slices.Clone(ids)
	return Satisfies(func(s *models.CustomerState) bool {
		return slices.ContainsFunc(ids, func(id string) bool { return s.Subscription(id) != nil })
	})
}

// MeterBalance requires that at least so many units of a meter are left. Customers for whom the meter does not count have
// none.
//
// Polar never refuses usage, and it lags behind: events are counted some moments after they were sent, and the [Gate] keeps
// a balance for its cache time, since usage does not send customer.state_changed. So customers can use more than they have.
// [Requirement.MaxAge] makes that less, at the price of more calls; a limit that must hold has to be counted by the
// program.
func MeterBalance(meterID string, least float64) Requirement {
	switch {
	case meterID == "":
		return Requirement{err: errors.New("polarhttp: the id of MeterBalance is empty")}
	case math.IsNaN(least):
		return Requirement{err: errors.New("polarhttp: the balance of MeterBalance is not a number")}
	}
	return Satisfies(func(s *models.CustomerState) bool {
		balance, ok := s.Balance(meterID)
		return ok && balance >= least
	})
}

// Satisfies requires that a function of the customer's state returns true, for what the other requirements cannot say, such
// as a key in the metadata of a benefit. It must not change the state, and is not called for customers whom Polar does not know.
func Satisfies(met func(state *models.CustomerState) bool) Requirement {
	if met == nil {
		return Requirement{err: errors.New("polarhttp: the function of Satisfies is nil")}
	}
	return Requirement{met: met}
}

// AllOf requires all of several things.
func AllOf(needs ...Requirement) Requirement {
	n := join("AllOf", needs)
	needs = slices.Clone(needs)
	n.met = func(s *models.CustomerState) bool {
		return !slices.ContainsFunc(needs, func(n Requirement) bool { return !n.met(s) })
	}
	return n
}

// AnyOf requires one of several things.
func AnyOf(needs ...Requirement) Requirement {
	n := join("AnyOf", needs)
	needs = slices.Clone(needs)
	n.met = func(s *models.CustomerState) bool {
		return slices.ContainsFunc(needs, func(n Requirement) bool { return n.met(s) })
	}
	return n
}

// join returns a requirement with what is common to AllOf and AnyOf: the strictest limit and the first error.
func join(name string, needs []Requirement) (n Requirement) {
	if len(needs) == 0 {
		n.err = errors.New("polarhttp: " + name + " has nothing to require")
	}
	for _, other := range needs {
		if n.err == nil {
			n.err = other.Err()
		}
		if other.aged {
			n = n.MaxAge(other.maxAge)
		}
	}
	return n
}

// MaxAge returns the requirement with a limit of its own to the age of the state that decides, when that is shorter than
// the gate's cache time. With 0 every request asks Polar, except that requests of one customer at the same time share one
// call.
func (n Requirement) MaxAge(d time.Duration) Requirement {
	if d < 0 && n.err == nil {
		n.err = errors.New("polarhttp: the age of MaxAge is negative")
	}
	if n.aged {
		d = min(d, n.maxAge)
	}
	n.aged, n.maxAge = true, d
	return n
}

// Err returns what is wrong with the requirement, such as an empty id, and nil when it can be used. A [Gate] answers 500 to
// everything that is behind a requirement with an error.
func (n Requirement) Err() error {
	if n.err == nil && n.met == nil {
		return errors.New("polarhttp: the Requirement is empty: make one with Benefit, Product or MeterBalance")
	}
	return n.err
}

// limit returns how old a state may be that decides.
func (n Requirement) limit(cacheTime time.Duration) time.Duration {
	if n.aged {
		return min(cacheTime, n.maxAge)
	}
	return cacheTime
}
