// Package harness checks the client against the description of the API without using anything that the generator knows.
//
// The generated wire tests come from the same facts as the generated code, so a mistake in the facts is in both. The tests here read the
// OpenAPI document on their own, call every method of the client by reflection, and compare what they see with what the document says:
// which operation was called, with which path, query, security and body, whether every answer that the document allows survives decoding and
// encoding, and whether every described error comes back as an error of the client.
//
// The document is not part of the module. The tests skip themselves where it is missing.
//
// The checks are functions from a document and a client to a list of findings. The tests in mutation_test.go change the document in memory
// and show that the checks notice, so that a silent check cannot pass for a good client.
package harness

//go:generate rm -f registry_test.go
//go:generate go test -run TestRegistry -update .
