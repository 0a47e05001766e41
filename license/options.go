package license

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

// Option is a setting of a [Client], for [New].
type Option func(*options) error

type options struct {
	store      Store
	grace      time.Duration
	every      time.Duration
	benefits   []string
	conditions models.Metadata
	meta       models.Metadata
	label      string
	machine    string
	client     []polar.Option
	now        func() time.Time
}

const (
	defaultGrace = 14 * 24 * time.Hour
	defaultEvery = 24 * time.Hour
)

// WithStore keeps the state in a store of yours, or in a [File] at another place than the default, which is license.json in
// a directory named after the application in [os.UserConfigDir].
func WithStore(store Store) Option {
	return func(o *options) error {
		if store == nil {
			return errors.New("store is nil")
		}
		o.store = store
		return nil
	}
}

// WithGrace sets for how long a license counts after Polar has confirmed it, if Polar cannot be asked again: 14 days by
// default. It is at least the time of [WithCheckEvery].
func WithGrace(d time.Duration) Option {
	return func(o *options) error {
		o.grace = d
		return nil
	}
}

// WithCheckEvery sets how old Polar's last word may be before [Client.Check] asks again: a day by default. A license that is
// revoked goes unnoticed for that long. Less than an hour is rarely worth the requests.
func WithCheckEvery(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return fmt.Errorf("checking every %v: it has to be positive", d)
		}
		o.every = d
		return nil
	}
}

// WithBenefits accepts only the keys that these license key benefits granted. Set it when the organization sells more than
// one product with keys: every key of the organization is good for the program otherwise.
func WithBenefits(ids ...string) Option {
	return func(o *options) error {
		if len(ids) == 0 || slices.Contains(ids, "") {
			return errors.New("benefits without an id")
		}
		o.benefits = slices.Clone(ids)
		return nil
	}
}

// WithConditions activates with values that Polar then wants to see again at each check, such as the major version of the
// program. A program that sends others needs an activation of its own. They have no effect on keys without activations.
func WithConditions(conditions models.Metadata) Option {
	return func(o *options) error {
		if err := conditions.Validate(); err != nil {
			return fmt.Errorf("conditions: %w", err)
		}
		o.conditions = maps.Clone(conditions)
		return nil
	}
}

// WithMeta stores values with the activation, for the merchant to see.
func WithMeta(meta models.Metadata) Option {
	return func(o *options) error {
		if err := meta.Validate(); err != nil {
			return fmt.Errorf("meta: %w", err)
		}
		o.meta = maps.Clone(meta)
		return nil
	}
}

// WithLabel names this machine among the activations that the customer and the merchant see: by default its host name.
func WithLabel(label string) Option {
	return func(o *options) error {
		if label == "" {
			return errors.New("label is empty")
		}
		o.label = label
		return nil
	}
}

// WithMachine sets what this machine is known by in the saved state, instead of the id that the operating system has. Only a
// digest of either is saved, and nothing of it is sent. Containers, whose id changes with each start, need this or
// lose their license.
func WithMachine(id string) Option {
	return func(o *options) error {
		if id == "" {
			return errors.New("machine id is empty")
		}
		o.machine = id
		return nil
	}
}

// WithClientOptions sets up the API client: the environment, the HTTP client, middleware. The client is anonymous whatever
// they say. By default an attempt is limited to 10 seconds and repeated once.
func WithClientOptions(opts ...polar.Option) Option {
	return func(o *options) error {
		o.client = slices.Concat(o.client, opts)
		return nil
	}
}

// WithClock sets the clock, for tests.
func WithClock(now func() time.Time) Option {
	return func(o *options) error {
		if now == nil {
			return errors.New("clock is nil")
		}
		o.now = now
		return nil
	}
}
