package polar

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// Row is one line of a CSV export, with the names of its columns.
type Row struct {
	columns []string
	values  []string
	line    int // where it begins
}

// Columns returns the names of the columns, in the order of the file.
func (r Row) Columns() []string { return slices.Clone(r.columns) }

// Value returns the text under a column, and false when the export has no such column. The names are the headings of the
// file, which are made for people: "Email", "Net Amount".
func (r Row) Value(column string) (string, bool) {
	i := slices.Index(r.columns, column)
	if i < 0 || i >= len(r.values) {
		return "", false
	}
	return r.values[i], true
}

// Rows reads a CSV export, such as that of [OrderService.Export], line by line as it arrives, and closes it at the end.
// What the columns mean is known to [OrderService.ExportRows] and its like; Rows is for exports that were kept, and for
// texts as they stand there. The first line names the columns. An error of the stream or of the format is yielded once
// and ends the iteration; it names the line and repeats nothing of it. The export can be read only once.
//
//	export, err := client.Orders.Export(ctx, nil)
//	...
//	for row, err := range polar.Rows(export) {
//		...
//		email, _ := row.Value("Email")
//	}
func Rows(export io.ReadCloser) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		defer export.Close()
		r := csv.NewReader(export)
		columns, err := r.Read()
		if err == io.EOF {
			return
		}
		if err == nil {
			columns[0] = strings.TrimPrefix(columns[0], "\ufeff")
		}
		for err == nil {
			var values []string
			if values, err = r.Read(); err != nil {
				break
			}
			line, _ := r.FieldPos(0)
			if !yield(Row{columns, values, line}, nil) {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			err = fmt.Errorf("polar: line %d of the export: %w", parse.Line, parse.Err)
		}
		yield(Row{}, err)
	}
}
