// Package routertest holds the tests of package webhooks under other HTTP routers than net/http's. It is a module of its
// own, so that those who use webhooks do not get these routers.
package routertest
