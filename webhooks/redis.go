package webhooks

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"
)

const defaultRedisPrefix = "polar:webhook:"

// RedisPrefix sets what the keys of a [RedisDeduper] begin with instead of "polar:webhook:".
func RedisPrefix(prefix string) DeduperOption { return func(c *deduperConfig) { c.prefix = prefix } }

// RedisDeduper is a [Deduper] for several processes, which share a Redis or one of its relatives. Each delivery is one key
// there: first a claim, set only if the key does not exist and with an expiry, and then the mark that it was handled.
//
// While Redis cannot be reached, the router answers 500 and Polar tries again, for up to half an hour.
type RedisDeduper struct {
	config deduperConfig
	do     func(ctx context.Context, args ...any) (any, error)
}

// NewRedisDeduper returns a [RedisDeduper] over a client of Redis, which stays the caller's to close. The clients of
// github.com/redis/go-redis/v9 fit as they are, and this package does not depend on them:
//
//	dedupe := webhooks.NewRedisDeduper(redis.NewClient(&redis.Options{Addr: "localhost:6379"}))
//
// Others take an adapter: a type with a method Do, which sends a command such as "SET" with its arguments, and whose
// result has a method Result that returns what Redis answered. The commands are EVAL, SET and DEL, each with one key, so
// they work with Redis Cluster. Servers from Redis 2.6.12 on know them.
func NewRedisDeduper[R interface{ Result() (any, error) }](client interface {
	Do(ctx context.Context, args ...any) R
}, opts ...DeduperOption) *RedisDeduper {
	return &RedisDeduper{
		config: newDeduperConfig(opts),
		do:     func(ctx context.Context, args ...any) (any, error) { return client.Do(ctx, args...).Result() },
	}
}

const (
	redisDone = "done"

	// redisClaim sets the claim, or returns what is there: a string, as no claim and no mark is a number.
	redisClaim = `if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return 1 end return redis.call("GET", KEYS[1])`
	// redisRelease deletes the claim if it is still the owner's.
	redisRelease = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`
)

// Claim implements [Deduper].
func (r *RedisDeduper) Claim(ctx context.Context, id string) (string, ClaimState, error) {
	owner := "claim:" + rand.Text()
	answer, err := r.do(ctx, "EVAL", redisClaim, "1", r.config.prefix+id, owner, milliseconds(r.config.claim))
	if err != nil {
		return "", 0, failWith(ErrDeduper, "redis: "+err.Error(), err)
	}
	switch answer := answer.(type) {
	case int64:
		return owner, Claimed, nil
	case string:
		return "", redisState(answer), nil
	case []byte:
		return "", redisState(string(answer)), nil
	}
	return "", 0, fail(ErrDeduper, fmt.Sprintf("redis: the client returned a %T for a number or a string", answer))
}

func redisState(value string) ClaimState {
	if value == redisDone {
		return Handled
	}
	return InProgress
}

// Done implements [Deduper].
func (r *RedisDeduper) Done(ctx context.Context, id string) error {
	return r.run(ctx, "SET", r.config.prefix+id, redisDone, "PX", milliseconds(r.config.remember))
}

// Release implements [Deduper].
func (r *RedisDeduper) Release(ctx context.Context, id, owner string) error {
	return r.run(ctx, "EVAL", redisRelease, "1", r.config.prefix+id, owner)
}

// milliseconds writes a time for PX, which takes whole ones from 1 on.
func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// Forget removes what is known about a delivery, so that a redelivery asked for by hand is handled once more.
func (r *RedisDeduper) Forget(ctx context.Context, id string) error {
	return r.run(ctx, "DEL", r.config.prefix+id)
}

func (r *RedisDeduper) run(ctx context.Context, args ...any) error {
	if _, err := r.do(ctx, args...); err != nil {
		return failWith(ErrDeduper, "redis: "+err.Error(), err)
	}
	return nil
}
