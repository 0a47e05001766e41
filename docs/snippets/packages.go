// Package snippets builds the Go code in the documents of this repository as the code of a user, so that none of it goes
// stale. The code is written into a module of its own outside of the repository, which requires what go.mod of this
// one requires: nothing internal can be imported there, and no package that a user would not have.
//
// A block that begins with a package clause is built as it stands. Any other is taken for declarations, or else for the
// body of a function that returns an error. It may use what given.txt declares and the packages below without importing
// them. Tests in blocks are run.
//
//	go -C docs/snippets test -count=1 .
package snippets

import (
	_ "context"
	_ "errors"
	_ "fmt"
	_ "html/template"
	_ "io"
	_ "iter"
	_ "log"
	_ "log/slog"
	_ "net/http"
	_ "net/http/httptest"
	_ "net/url"
	_ "os"
	_ "slices"
	_ "strconv"
	_ "strings"
	_ "sync"
	_ "testing"
	_ "time"

	_ "github.com/redis/go-redis/v9"

	_ "github.com/polar-go/polar"
	_ "github.com/polar-go/polar/ingest"
	_ "github.com/polar-go/polar/ingest/journal"
	_ "github.com/polar-go/polar/ingest/nats"
	_ "github.com/polar-go/polar/license"
	_ "github.com/polar-go/polar/models"
	_ "github.com/polar-go/polar/oauth"
	_ "github.com/polar-go/polar/polarhttp"
	_ "github.com/polar-go/polar/polartest"
	_ "github.com/polar-go/polar/webhooks"
)
