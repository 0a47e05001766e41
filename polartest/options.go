package polartest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"
)

// Option sets up a server.
type Option func(*config) error

type config struct {
	production bool
	time       time.Time
	seed       *[32]byte
	taxRate    int
	members    bool
	orgName    string
	orgSlug    string
	listen     string
	rates      bool
}

// Production makes the server answer as Polar's production does, without the
// header X-Polar-Sandbox that a server otherwise sends.
func Production() Option {
	return func(c *config) error {
		c.production = true
		return nil
	}
}

// WithTime starts the server's clock at start and stops it: time then passes
// only through [Server.Advance], so that timestamps are the same on each run.
func WithTime(start time.Time) Option {
	return func(c *config) error {
		if start.IsZero() {
			return errors.New("polartest: WithTime: the time is zero")
		}
		c.time = start
		return nil
	}
}

// WithSeed makes ids and tokens the same on each run. Together with [WithTime]
// the same calls get the same answers, byte for byte.
func WithSeed(seed uint64) Option {
	return func(c *config) error {
		c.seed = new([32]byte)
		for i := range 8 {
			c.seed[i] = byte(seed >> (8 * i))
		}
		return nil
	}
}

// WithTaxRate sets the tax on taxable amounts in basis points: 1900 is 19 %.
// Without it there is no tax.
func WithTaxRate(basisPoints int) Option {
	return func(c *config) error {
		if basisPoints < 0 || basisPoints > 10_000 {
			return fmt.Errorf("polartest: WithTaxRate: %d is not from 0 to 10000 basis points", basisPoints)
		}
		c.taxRate = basisPoints
		return nil
	}
}

// WithMembers turns the member model of the organization on: customers may be
// teams, and customer sessions carry a member's token.
func WithMembers() Option {
	return func(c *config) error {
		c.members = true
		return nil
	}
}

// WithOrganization names the organization that the server holds from the start,
// "Acme" with the slug "acme" otherwise.
func WithOrganization(name, slug string) Option {
	return func(c *config) error {
		if name == "" || slug == "" {
			return errors.New("polartest: WithOrganization: name and slug must not be empty")
		}
		c.orgName, c.orgSlug = name, slug
		return nil
	}
}

// WithRateLimits makes the server count requests by its clock and refuse too many, as the
// real one does: 500 a minute in production and 100 in the sandbox, 60 for a token that was
// not seen lately, and tighter limits for a few calls of the Customer Portal.
func WithRateLimits() Option {
	return func(c *config) error {
		c.rates = true
		return nil
	}
}

// WithAddress makes the server listen on address, such as "127.0.0.1:8787",
// instead of a free port of the loopback interface.
func WithAddress(address string) Option {
	return func(c *config) error {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("polartest: WithAddress: want host:port: %w", err)
		}
		c.listen = address
		return nil
	}
}

func newConfig(opts []Option) (*config, error) {
	c := &config{orgName: "Acme", orgSlug: "acme", listen: "127.0.0.1:0"}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("polartest: an option is nil")
		}
		if err := o(c); err != nil {
			return nil, err
		}
	}
	if c.seed == nil {
		c.seed = new([32]byte)
		if _, err := rand.Read(c.seed[:]); err != nil {
			return nil, err
		}
	}
	return c, nil
}
