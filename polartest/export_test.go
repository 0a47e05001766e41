package polartest

// What tests outside of the package need to see.
var (
	Handlers  = allHandlers
	ReadTable = func() error { _, err := readTable(factsTable); return err }
)

// Operations lists every operation of the table.
func Operations() []string {
	var ids []string
	for _, op := range facts().list {
		ids = append(ids, op.id)
	}
	return ids
}
