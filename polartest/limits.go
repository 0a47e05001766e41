package polartest

import (
	"net"
	"net/http"
	"time"
)

// limit allows a number of requests in a window, and may block a caller who exceeds it for longer.
type limit struct {
	requests int
	window   time.Duration
	block    time.Duration
}

// limits is what callers did lately.
type limits struct {
	hits    map[string][]time.Time // by caller and limit
	blocked map[string]time.Time   // until when, by caller: a block holds for every call
	seen    map[string]time.Time   // when a token was last let through
}

// seenFor is how long a token counts as known after it was used.
const seenFor = 300 * time.Second

// zones are the calls with limits of their own.
var zones = map[string][]limit{
	"customer_portal:license_keys:validate":          {{3, time.Second, time.Minute}},
	"customer_portal:license_keys:activate":          {{3, time.Second, time.Minute}},
	"customer_portal:license_keys:deactivate":        {{3, time.Second, time.Minute}},
	"customer_portal:customers:request_email_update": {{6, time.Minute, 15 * time.Minute}, {12, time.Hour, 15 * time.Minute}},
	"customer_portal:customers:verify_email_update":  {{6, time.Minute, 15 * time.Minute}, {12, time.Hour, 15 * time.Minute}},
	"checkouts:client_confirm":                       {{6, time.Minute, 30 * time.Minute}, {20, time.Hour, 30 * time.Minute}},
}

// limited tells for how many seconds a caller has to wait, 0 when the request may go on.
func (s *Server) limited(r *http.Request, op *operation) int {
	if !s.config.rates {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := &s.limits, s.clock.now()
	if l.hits == nil {
		l.hits, l.blocked, l.seen = map[string][]time.Time{}, map[string]time.Time{}, map[string]time.Time{}
	}
	token, _ := bearer(r)
	caller := "token " + token
	if token == "" {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		caller = "address " + host
	}
	if until := l.blocked[caller]; until.After(now) {
		return seconds(until.Sub(now))
	}
	rules := []limit{{requests: 500, window: time.Minute}}
	name := "default"
	if !s.config.production {
		rules[0].requests = 100
	}
	if last, ok := l.seen[caller]; token != "" && (!ok || now.Sub(last) > seenFor) {
		rules, name = []limit{{requests: 60, window: time.Minute}}, "unseen"
	}
	if op != nil && zones[op.id] != nil {
		rules, name = zones[op.id], op.id
	}
	for _, rule := range rules {
		key := caller + " " + name + " " + rule.window.String()
		hits := l.hits[key]
		for len(hits) > 0 && now.Sub(hits[0]) >= rule.window {
			hits = hits[1:]
		}
		if len(hits) >= rule.requests {
			l.hits[key] = hits
			if rule.block > 0 {
				l.blocked[caller] = now.Add(rule.block)
				return seconds(rule.block)
			}
			return seconds(rule.window)
		}
		l.hits[key] = append(hits, now)
	}
	if s.tokens[token] != nil {
		l.seen[caller] = now
	}
	return 0
}

// seconds rounds up, as the header wants it.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
