package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/polar-go/polar"
	"github.com/polar-go/polar/models"
)

const (
	requestOpen     = `{"events":[`
	requestClose    = `]}`
	requestOverhead = len(requestOpen) + len(requestClose)

	splitAfter    = 4             // failures after which a batch that alone fails is divided
	maxRetryAfter = 2 * time.Hour // what Polar may ask for is believed up to this
	maxStrikes    = 2             // timestamps are corrected so often, then left out
)

// send is the life of a sender.
func (i *Ingester) send() {
	for {
		i.mu.Lock()
		if i.ctx.Err() != nil {
			i.mu.Unlock()
			return
		}
		b, wait := i.next(time.Now())
		if b != nil {
			i.active = append(i.active, b)
			if i.queue.len() > 0 || len(i.again) > 0 {
				i.signal() // somebody has to watch the rest
			}
		}
		i.mu.Unlock()
		if b != nil {
			i.attempt(b)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-i.wake:
		case <-timer.C:
		case <-i.ctx.Done():
		}
		timer.Stop()
	}
}

// attempt sends a batch and acts on the outcome.
func (i *Ingester) attempt(b *batch) {
	buf := buffers.Get().(*[]byte)
	body := i.request((*buf)[:0], b)
	b.attempts++
	var (
		out  models.EventsIngestResponse
		info polar.ResponseInfo
	)
	begin, t0 := time.Now(), i.now()
	err := i.client.Do(i.ctx, polar.Request{
		Name:       "events:ingest",
		Method:     http.MethodPost,
		Path:       "/v1/events/ingest",
		Body:       jsontext.Value(body),
		Repeatable: true,
	}, &out, polar.CallResponse(&info), polar.CallRetry(polar.RetryPolicy{MaxAttempts: 1}))
	t1 := i.now()
	report := Request{Events: len(b.items), Bytes: len(body), Attempt: b.attempts, Duration: time.Since(begin), Err: err}
	if *buf = body[:0]; cap(body) <= defaultBatchBytes+defaultBatchBytes/2 {
		buffers.Put(buf)
	}
	var done []uint64
	if err == nil {
		done = positions(b.items)
	}
	if len(done) > 0 {
		if err := i.forget(done); err != nil {
			i.report(err)
		}
	}

	i.mu.Lock()
	i.active = slices.DeleteFunc(i.active, func(a *batch) bool { return a == b })
	i.stats.Requests++
	if b.attempts > 1 {
		i.stats.Retried += uint64(len(b.items))
	}
	if err == nil {
		i.skew.see(info.Header, t0, t1)
		i.sent(b, out)
	} else {
		i.stats.Failures++
		i.failed(b, err, info.Header, t0, t1)
	}
	i.announce()
	report.Stats = i.snapshot()
	i.mu.Unlock()
	if i.onRequest != nil {
		i.calls.addIfFew(func() { i.onRequest(report) })
	}
}

// request writes the body of a request, with the timestamps moved as far as the clocks ask for it.
func (i *Ingester) request(dst []byte, b *batch) []byte {
	i.mu.Lock()
	clocks := i.skew
	i.mu.Unlock()
	now := i.now().UnixMicro()
	dst = append(slices.Grow(dst, b.size+requestOverhead), requestOpen...)
	for n := range b.items {
		it := &b.items[n]
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = it.appendWire(dst, clocks.wire(it.at, now, it.flags&stamped != 0))
	}
	return append(dst, requestClose...)
}

func positions(items []item) (list []uint64) {
	for n := range items {
		if items[n].flags&journaled != 0 {
			list = append(list, items[n].journal)
		}
	}
	return list
}

// forget tells the journal that events are no longer needed.
func (i *Ingester) forget(positions []uint64) error {
	return contain(func() error { return i.journal.Done(positions) })
}

// report hands an error without a caller to the user.
func (i *Ingester) report(err error) {
	if i.onError != nil {
		i.calls.addIfFew(func() { i.onError(err) })
	}
}

// sent settles a batch that Polar took.
func (i *Ingester) sent(b *batch, out models.EventsIngestResponse) {
	i.failures, i.pause = 0, time.Time{}
	i.successes++
	i.stats.Sent += uint64(len(b.items))
	if out.Duplicates != nil {
		i.stats.Duplicates += uint64(max(0, min(*out.Duplicates, len(b.items))))
	}
	i.settle(b.items, nil)
}

// settle lets go of events whose fate is known, after their callbacks have run.
func (i *Ingester) settle(items []item, rejected []*RejectedError) {
	waiting := &batch{}
	for n, it := range items {
		var refusal *RejectedError
		if rejected != nil {
			refusal = rejected[n]
		}
		if it.done == nil && (refusal == nil || i.onRejected == nil && it.flags&journaled == 0) {
			i.held--
			i.heldSize -= it.wireSize()
			continue
		}
		waiting.items = append(waiting.items, it)
		if refusal != nil && i.onRejected != nil {
			i.calls.add(func() { i.onRejected(refusal) })
		}
		if it.done != nil {
			var outcome error
			if refusal != nil {
				outcome = refusal
			}
			i.calls.add(func() { it.done(outcome) })
		}
	}
	if len(waiting.items) == 0 {
		return
	}
	i.handing = append(i.handing, waiting)
	i.calls.add(func() {
		if list := positions(waiting.items); rejected != nil && len(list) > 0 {
			if err := i.forget(list); err != nil && i.onError != nil {
				defer i.onError(err)
			}
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.handing = slices.DeleteFunc(i.handing, func(w *batch) bool { return w == waiting })
		for _, it := range waiting.items {
			i.held--
			i.heldSize -= it.wireSize()
		}
		i.announce()
	})
}

// failed decides what becomes of a batch that Polar did not take.
func (i *Ingester) failed(b *batch, err error, header http.Header, t0, t1 time.Time) {
	if i.ctx.Err() != nil {
		i.again = append(i.again, b) // close collects it
		return
	}
	refusal, answered := errors.AsType[*polar.Error](err)
	if answered {
		switch refusal.StatusCode {
		case http.StatusUnprocessableEntity:
			if i.sift(b, refusal, header, t0, t1) {
				return
			}
		case http.StatusRequestEntityTooLarge:
			if i.split(b) {
				return
			}
			if refusal.Name != "" {
				i.reject(b.items, refusal, nil)
				return
			}
		case http.StatusBadRequest:
			if refusal.Name != "" {
				if !i.split(b) {
					i.reject(b.items, refusal, nil)
				}
				return
			}
		}
		i.skew.see(header, t0, t1)
	}
	i.retry(b, err, refusal)
}

// sift takes the events that Polar complains about out of a batch and has the rest sent again. It reports false when the
// refusal is none that could be acted upon.
func (i *Ingester) sift(b *batch, refusal *polar.Error, header http.Header, t0, t1 time.Time) bool {
	found := complaintsOf(refusal, len(b.items), func(n int) bool { return b.items[n].flags&external != 0 })
	if len(found) == 0 { // Polar does not say which
		if i.split(b) {
			return true
		}
		if refusal.Name == "" {
			return false // was it Polar at all?
		}
		i.reject(b.items, refusal, nil)
		return true
	}
	var kept, evicted []item
	future := false
	for n, it := range b.items {
		fields, bad := found[n]
		if bad && it.flags&omitTime == 0 {
			// Every timestamp that is sent is well formed and not zero, so a complaint about it says that it is in
			// the future, which is the clocks' fault and not the event's.
			others := slices.DeleteFunc(slices.Clone(fields), aboutTimestamp)
			if len(others) == 0 {
				bad, future = false, true
				it.strikes++
				if it.strikes > maxStrikes {
					it.flags |= omitTime // Polar then takes the time at which it arrives
				}
			}
		}
		if bad {
			evicted = append(evicted, it)
		} else {
			kept = append(kept, it)
		}
	}
	if future {
		i.skew.refused(header, t0, t1)
		if !i.skew.known {
			for n := range kept {
				if kept[n].strikes > 0 {
					kept[n].flags |= omitTime // there is no date to go by
				}
			}
		}
	} else {
		i.skew.see(header, t0, t1)
	}
	if len(evicted) > 0 {
		i.reject(evicted, refusal, found.of(b.items, evicted))
	}
	if len(kept) > 0 {
		b.items, b.size = kept, sizeOf(kept)
		b.due = time.Time{}
		i.again = append(i.again, b)
	}
	i.answered()
	return true
}

// of returns the complaints about events that are a part of all, in their order.
func (c complaints) of(all, part []item) [][]polar.FieldError {
	var list [][]polar.FieldError
	for n := range all {
		if len(list) < len(part) && all[n].seq == part[len(list)].seq {
			list = append(list, c[n])
		}
	}
	return list
}

// answered takes note that Polar works, although it refused something.
func (i *Ingester) answered() {
	i.failures, i.pause = 0, time.Time{}
}

// reject gives up events that Polar refuses.
func (i *Ingester) reject(items []item, refusal *polar.Error, fields [][]polar.FieldError) {
	i.answered()
	rejected := make([]*RejectedError, len(items))
	for n := range items {
		rejected[n] = &RejectedError{Event: items[n].event(), Err: refusal}
		if fields != nil {
			rejected[n].Fields = fields[n]
		}
	}
	i.stats.Rejected += uint64(len(items))
	i.settle(items, rejected)
}

// split divides a batch in two, and reports false when it is a single event.
func (i *Ingester) split(b *batch) bool {
	if len(b.items) < 2 {
		return false
	}
	half := len(b.items) / 2
	for _, items := range [][]item{b.items[:half:half], b.items[half:]} {
		i.again = append(i.again, &batch{items: items, size: sizeOf(items), attempts: b.attempts, due: b.due, successes: b.successes})
	}
	return true
}

func sizeOf(items []item) int {
	size := 0
	for n := range items {
		size += items[n].wireSize()
	}
	return size
}

// retry plans the next attempt of a batch, and how long Polar is left alone altogether.
func (i *Ingester) retry(b *batch, err error, refusal *polar.Error) {
	now := time.Now()
	i.lastErr = err
	i.failures++
	pause := i.backoff(i.failures)
	if refusal != nil && refusal.RetryAfter > 0 {
		pause = max(pause, min(refusal.RetryAfter, maxRetryAfter)+i.backoff(1))
	}
	i.pause = now.Add(pause)
	b.due = i.pause
	if b.attempts == 1 || b.successes == 0 {
		b.successes = i.successes + 1
	}
	others := i.successes >= b.successes // others got through since this batch failed first
	if others {
		// The batch is at fault, not Polar: it must not hold the others up.
		b.due = now.Add(max(pause, i.backoff(b.attempts)))
	}
	tooSlow := refusal == nil && errors.Is(err, context.DeadlineExceeded)
	broken := refusal != nil && refusal.StatusCode >= 500
	if b.attempts >= splitAfter && (tooSlow || broken && others) && i.split(b) {
		return
	}
	i.again = append(i.again, b)
}

// backoff returns a random pause after the given number of failures.
func (i *Ingester) backoff(failures int) time.Duration {
	limit := i.backoffMin
	for range failures - 1 {
		if limit >= i.backoffMax {
			break
		}
		limit *= 2
	}
	limit = min(limit, i.backoffMax)
	return limit/2 + rand.N(limit/2+1)
}
