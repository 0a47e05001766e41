package harness

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A client that is generated from wrong facts is a wrong client, and the tests that are generated with it agree with it. This test makes such a
// client in a copy of the module and runs the checks of this package there: every wrong fact has to be found.
func TestWrongFacts(t *testing.T) {
	load(t)
	t.Parallel()
	wrong := []struct {
		file, from, to string
		found          string // in one line of what the checks say
	}{
		{"types", `{"of":"Dispute","member":"past_due"`, `{"of":"Dispute","member":"overdue"`, "$.past_due: lost"},
		{"types", `{"of":"DisputeStatus","value":"prevented"}`, `{"of":"DisputeStatus","value":"averted"}`, `Known reports false for "prevented"`},
		{"types", `{"of":"MetricDashboardCreate","member":"name"`, `{"of":"MetricDashboardCreate","member":"label"`, "metrics:create_dashboard: $.label: member of models.MetricDashboardCreate is not in the description"},
		{"types", `{"of":"ProductPriceFixedCreate","member":"amount_type","is":"\"fixed\""`, `{"of":"ProductPriceFixedCreate","member":"amount_type","is":"\"fixt\""`, "models.ProductPriceFixedCreate fits no alternative"},
		{"types", `{"of":"EventName","member":"occurrences","is":"int"`, `{"of":"EventName","member":"occurrences","is":"string"`, "events:list_names: $: sample 0 is an error"},
		{"types", `{"of":"CustomerSession","member":"return_url","is":"string?"`, `{"of":"CustomerSession","member":"return_url","is":"string"`, "$.return_url: was null"},
		{"types", `{"of":"SubscriptionSeatsUpdatedMetadata","member":"old_seats"`, `{"of":"SubscriptionSeatsUpdatedMetadata","member":"former_seats"`, "events:get: $.metadata.old_seats: lost"},
		{"types", `{"of":"EventsIngestResponse","member":"duplicates","is":"int","default":0}` + "\n", "", "events:ingest: $.duplicates: lost"},
		{"types", `"CustomFieldCreateNumber","CustomFieldCreateDate",`, `"CustomFieldCreateNumber",`, "CustomFieldCreateDate cannot be sent"},
		{"operations", `"path":"/v1/orders/{id}/invoice"`, `"path":"/v1/orders/{id}/invoices"`, "/invoices is no operation of the description"},
		{"operations", `"op":"refunds:list","param":"order_id"`, `"op":"refunds:list","param":"order"`, "refunds:list: query order: polar.RefundListParams has it, the description does not"},
		{"operations", `"op":"refunds:create","method":"POST"`, `"op":"refunds:create","method":"PUT"`, "PUT /v1/refunds/ is no operation"},
		{"operations", `"op":"orders:get","method":"GET","path":"/v1/orders/{id}","group":"orders","name":"get","auth":["oidc","pat","oat"],`, `"op":"orders:get","method":"GET","path":"/v1/orders/{id}","group":"orders","name":"get",`, "orders:get: header Authorization: is not the token"},
		{"operations", `"body":"MeterUpdate"`, `"body":"MeterUpdate","bodyOpt":true`, "required is true"},
	}

	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	spec, err := filepath.Abs(filepath.Dir(specDir))
	require.NoError(t, err)
	dir := t.TempDir()
	module, facts := filepath.Join(dir, "module"), filepath.Join(dir, "facts")
	require.NoError(t, os.Mkdir(facts, 0o755))
	require.NoError(t, os.Symlink(spec, filepath.Join(dir, filepath.Base(spec))))
	for _, part := range []string{".", "models", "webhooks", "internal/jsonx", "internal/ended", "internal/harness"} {
		copyFiles(t, filepath.Join(root, part), filepath.Join(module, part), part == "internal/harness")
	}
	sources := filepath.Join(root, "internal", "gen", "facts")
	files, err := filepath.Glob(filepath.Join(sources, "*.jsonl"))
	require.NoError(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		text := string(b)
		for _, w := range wrong {
			if w.file+".jsonl" == filepath.Base(name) {
				require.Contains(t, text, w.from)
				text = strings.ReplaceAll(text, w.from, w.to)
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(facts, filepath.Base(name)), []byte(text), 0o644))
	}
	run := func(dir string, args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if len(args) > 0 && args[0] == "run" {
			require.NoError(t, err, out.String())
		}
		return out.String()
	}
	run(root, "run", "./internal/gen", "-draft", "-facts", facts, "-out", module)
	registry, err := registrySource(filepath.Join(module, "models"), module)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(module, "internal", "harness", registryFile), registry, 0o644))
	said := run(module, "test", "-run", "TestRequests|TestResponses|TestEveryOperationHasOneMethod", "./internal/harness")
	// A change that does not compile was noticed by the compiler, not by the checks: alter something that no code written by hand names.
	require.NotContains(t, said, "[build failed]")
	require.NotContains(t, said, "[setup failed]")
	for _, w := range wrong {
		assert.True(t, strings.Contains(said, w.found), "%s instead of %s was not found: nothing says %s", w.to, w.from, w.found)
	}
	if t.Failed() {
		t.Log(said)
	}
}

// copyFiles copies the files of one folder of the module: the sources, and its tests where they are wanted.
func copyFiles(t *testing.T, from, to string, tests bool) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range entries {
		name := e.Name()
		if e.Type()&fs.ModeType != 0 || strings.HasSuffix(name, "_test.go") != tests && filepath.Ext(name) == ".go" {
			continue
		}
		if ext := filepath.Ext(name); ext != ".go" && name != "go.mod" && name != "go.sum" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), b, 0o644))
	}
}
