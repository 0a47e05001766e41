package polar

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// export is a stream that knows whether it was closed.
type export struct {
	io.Reader
	closed bool
}

func (e *export) Close() error { e.closed = true; return nil }

func TestRows(t *testing.T) {
	t.Parallel()
	e := &export{Reader: strings.NewReader("\ufeffemail,net_amount\r\na@example.com,1000\r\n\"b, \"\"c\"\"\",2\r\n")}
	var emails []string
	for row, err := range Rows(e) {
		require.NoError(t, err)
		assert.Equal(t, []string{"email", "net_amount"}, row.Columns())
		email, ok := row.Value("email")
		assert.True(t, ok)
		emails = append(emails, email)
		_, ok = row.Value("nothing")
		assert.False(t, ok)
	}
	assert.Equal(t, []string{"a@example.com", `b, "c"`}, emails)
	assert.True(t, e.closed)
}

func TestRowsOfNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "email,amount\r\n"} {
		e := &export{Reader: strings.NewReader(text)}
		for range Rows(e) {
			t.Error("a row of nothing")
		}
		assert.True(t, e.closed)
	}
}

func TestRowsStopEarlyClosesTheExport(t *testing.T) {
	t.Parallel()
	e := &export{Reader: strings.NewReader("a\n1\n2\n")}
	for row, err := range Rows(e) {
		require.NoError(t, err)
		assert.Equal(t, []string{"1"}, row.values)
		break
	}
	assert.True(t, e.closed)
}

func TestRowsErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for name, tc := range map[string]struct {
		r    io.Reader
		want string
	}{
		"a line with too many values": {strings.NewReader("a,b\n1,2\nsecret,3,4\n"), "polar: line 3 of the export: wrong number of fields"},
		"a quote that does not end":   {strings.NewReader("a\n\"secret"), "polar: line 2 of the export"},
		"a stream that breaks off":    {io.MultiReader(strings.NewReader("a\n1\n"), iotestErr{broken}), "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &export{Reader: tc.r}
			var errs []error
			for _, err := range Rows(e) {
				if err != nil {
					errs = append(errs, err)
				}
			}
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], tc.want)
			assert.NotContains(t, errs[0].Error(), "secret")
			assert.True(t, e.closed)
		})
	}
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

func FuzzRows(f *testing.F) {
	f.Add("email,net_amount\r\na@example.com,1000\r\n")
	f.Add("a\n\"x\n")
	f.Add("\xef\xbb\xbfa,b\n1,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		e := &export{Reader: strings.NewReader(text)}
		failed := false
		for row, err := range Rows(e) {
			if failed {
				t.Fatal("a row after an error")
			}
			if failed = err != nil; failed {
				continue
			}
			for _, c := range row.Columns() {
				if _, ok := row.Value(c); !ok {
					t.Fatalf("no value under the column %q", c)
				}
			}
		}
		if !e.closed {
			t.Fatal("the export was not closed")
		}
	})
}

func FuzzTypedRows(f *testing.F) {
	f.Add("Email,Created At,Net Amount,Total\r\na@example.com,2026-10-05T08:00:00+00:00,19.0,-0.05\r\n")
	f.Add("Amount,Billing Interval,Seats,Cancels At Period End,Trial End\r\n1.25,3 months,4,true,2026-10-05T08:00:00.5+02:00\r\n")
	f.Add("ID,Tax ID,Billing Address Zip,Metadata\r\n1,\"('X', <TaxIDFormat.eu_vat: 'eu_vat'>)\",75001,\"{\"\"a\"\":1}\"\r\n")
	f.Add("Timestamp,Orders,,\r\n2026-10-05T08:00:00+00:00,1,,\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		readTyped(t, &orderExport, text)
		readTyped(t, &subscriptionExport, text)
		readTyped(t, &customerExport, text)
		readTyped(t, &metricExport, text)
	})
}

func readTyped[T any](t *testing.T, r *rowReader[T], text string) {
	e := &export{Reader: strings.NewReader(text)}
	failed := false
	plain := Rows(&export{Reader: strings.NewReader(text)})
	var lines int
	for _, err := range plain {
		if err == nil {
			lines++
		}
	}
	for row, err := range r.rows(func() (io.ReadCloser, error) { return e, nil }) {
		if failed {
			t.Fatal("a row after an error")
		}
		if failed = err != nil; failed {
			if row != nil {
				t.Fatal("a row and an error")
			}
			continue
		}
		lines--
		base := r.row(row)
		if len(base.columns) != len(base.values) || base.line < 2 {
			t.Fatalf("a row of %d columns with %d values in line %d", len(base.columns), len(base.values), base.line)
		}
	}
	if !e.closed {
		t.Fatal("the export was not closed")
	}
	if !failed && lines != 0 {
		t.Fatalf("%d rows are missing", lines)
	}
}
