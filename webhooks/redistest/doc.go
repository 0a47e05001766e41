// Package redistest holds the tests of webhooks.RedisDeduper with the client github.com/redis/go-redis and a real server,
// which it starts itself. It is a module of its own, so that those who use webhooks do not get the client.
package redistest
