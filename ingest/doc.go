// Package ingest brings usage events to Polar without losing one and without billing one twice.
//
//	ing, err := ingest.New(client)
//	if err != nil {
//		return err
//	}
//	defer ing.Close(closing) // sends what is left, until the context closing ends: not the program's own, which is over by then
//
//	err = ing.Track(models.EventCreate{
//		Name:               "api.request",
//		ExternalCustomerID: new("user_42"),
//		Metadata:           models.Metadata{"units": 3},
//	})
//
// [Ingester.Track] checks the event, stamps it, gives it an id and queues it; it does not wait for the network. Senders in the
// background put events together into batches and repeat failed requests for as long as it takes. Polar drops an event whose
// id it has seen, so repeating is safe.
//
// # What can go wrong
//
//   - An event that Polar would refuse is an error of Track, which names the field and the rule.
//   - Polar refuses a whole batch for one bad event. Exactly the events that it complains about are taken out and given to
//     [OnRejected]; the others are sent.
//   - Polar refuses timestamps that are in the future by its clock. They are moved back by as much as the local clock is ahead,
//     which the header Date of Polar's answers tells.
//   - While Polar is down or its rate limit is reached, the events wait, as many as [WithQueue] allows. Then [WithFull] decides.
//   - A token that is revoked or lacks the scope events:write is repeated like an outage, since it is not the events' fault:
//     [OnRequest] shows it.
//   - A process that is killed loses what waits in memory. With a journal ([WithJournal]) the next process sends it, and a
//     broker (package ingest/nats) keeps it outside of the machine.
//   - A journal or a broker that fails is an error of Track. [StoreError] has the event with its id, to be tracked again.
//   - [Ingester.Close] returns what could not be sent.
//
// # Strategies
//
// Ready ways to measure usage are [Ingester.Timer] for time, [Ingester.Reader], [Ingester.Writer] and
// [Ingester.ResponseWriter] for bytes, [Ingester.Tick] and [Ingester.Middleware] for requests, [Ingester.S3Transport] for uploads
// to S3, and [Ingester.LLMTransport] for the tokens of language models. Their metadata have the keys that Polar's own helpers use,
// so that meters and dashboards carry over.
package ingest
