package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files of testdata")

// TestRegenerate fails when a generated file in the repository is not what the facts and words make.
func TestRegenerate(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	g, err := load("facts", "words")
	require.NoError(t, err)
	out, err := g.generate(root)
	require.NoError(t, err)
	require.NoError(t, g.failed())
	for path, want := range out.files {
		have, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if assert.NoError(t, err) && !bytes.Equal(want, have) {
			t.Errorf("%s is out of date: run go generate ./...", path)
		}
	}
	for _, dir := range []string{root, filepath.Join(root, "models"), filepath.Join(root, "webhooks"), filepath.Join(root, "polartest")} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, f := range files {
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			rel, err := filepath.Rel(root, f)
			require.NoError(t, err)
			if strings.HasPrefix(string(data), header) {
				assert.Contains(t, out.files, filepath.ToSlash(rel), "a generated file that nothing makes any more")
			}
		}
	}
}

// TestDeterministic generates twice: the same input makes the same bytes.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	var first map[string][]byte
	for range 2 {
		g, err := load("facts", "words")
		require.NoError(t, err)
		out, err := g.generate("")
		require.NoError(t, err)
		if first == nil {
			first = out.files
			continue
		}
		require.Len(t, out.files, len(first))
		for path, data := range out.files {
			assert.True(t, bytes.Equal(first[path], data), path)
		}
	}
}

// TestImportedFacts checks that the pinned facts are what the description gives.
func TestImportedFacts(t *testing.T) {
	t.Parallel()
	description := filepath.Join("..", "..", "..", "shared", "openapi", "2026-10.openapi.json")
	if _, err := os.Stat(description); err != nil {
		t.Skip("the API description is not here")
	}
	f, err := importFile(description)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, f.write(dir))
	for _, name := range []string{"api.jsonl", "operations.jsonl", "types.jsonl"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join("facts", name))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, have), "%s differs: run gen import", name)
	}
	assert.Len(t, f.Ops, 190)
	assert.Len(t, f.Events, 42)
	var b strings.Builder
	require.NoError(t, printDiff(f, "facts", "words", &b))
	assert.Equal(t, "nothing changed\n", b.String())
}

func TestDiffOfTheNextVersion(t *testing.T) {
	t.Parallel()
	description := filepath.Join("..", "..", "..", "shared", "openapi", "2027-01.openapi.json")
	if _, err := os.Stat(description); err != nil {
		t.Skip("the API description is not here")
	}
	var b strings.Builder
	require.NoError(t, run([]string{"import", "-diff", description}, &b))
	for _, want := range []string{
		"2026-10 becomes 2027-01",
		"+ object LicenseKeyOrder { id, created_at, status, paid }",
		"+ ValidatedLicenseKey.subscription LicenseKeySubscription? (required)",
		`+ WebhookEndpointCreateApiVersion "2027-01"`,
		"LicenseKey: the member order is in 1 of 3 types that share this Go type",
	} {
		assert.Contains(t, b.String(), want)
	}
}

// mini imports the small description of testdata into dir, which gets its words as well.
func mini(t *testing.T) (factsDir, wordsDir string) {
	t.Helper()
	dir := t.TempDir()
	factsDir, wordsDir = filepath.Join(dir, "facts"), filepath.Join(dir, "words")
	f, err := importFile(filepath.Join("testdata", "mini", "openapi.json"))
	require.NoError(t, err)
	require.NoError(t, f.write(factsDir))
	require.NoError(t, os.CopyFS(wordsDir, os.DirFS(filepath.Join("testdata", "mini", "words"))))
	return factsDir, wordsDir
}

// TestMini takes a small description all the way: facts, then Go.
func TestMini(t *testing.T) {
	factsDir, wordsDir := mini(t)
	g, err := load(factsDir, wordsDir)
	require.NoError(t, err)
	out, err := g.generate("")
	require.NoError(t, err)
	require.NoError(t, g.failed())
	for _, name := range []string{"api.jsonl", "operations.jsonl", "types.jsonl"} {
		data, err := os.ReadFile(filepath.Join(factsDir, name))
		require.NoError(t, err)
		out.files["facts/"+name] = data
	}
	golden := filepath.Join("testdata", "mini", "want")
	for path, data := range out.files {
		file := filepath.Join(golden, filepath.FromSlash(path)+".golden")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, data, 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(data), path)
	}
}

// TestRefusals changes facts, shape or words of the small description and expects the generator to say what is wrong.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, file, old, new, want string
	}{
		{"a type without a sentence", "words/pets.words", "type PetKind: tells animals apart.", "type PetKind:", "type PetKind has no sentence"},
		{"a member without a sentence", "words/pets.words", "  .lives: counts how often it can still fall from the roof.\n", "", "CatTraits.lives (int) has no sentence"},
		{"a value without a sentence", "words/pets.words", "  \"dog\": barks.\n", "", `the value "dog" has no sentence`},
		{"an operation without a sentence", "words/pets.words", "op Pets.Update: changes the price of an animal, or what it is said to be.\n", "", "op Pets.Update has no sentence"},
		{"an error without a sentence", "words/pets.words", "error PetAsleep: says that the animal is asleep and cannot be repriced.\n", "", "error PetAsleep has no sentence"},
		{"a sentence that repeats the name", "words/pets.words", "counts how often it can still fall from the roof.", "is the lives of the cat.", "only repeats the name"},
		{"a sentence that stands twice", "words/pets.words", "says what matters about a dog.", "says what matters about a cat.", "share it through a family"},
		{"a line that nothing uses", "words/pets.words", "  .lives:", "  .claws: scratch the sofa.\n  .lives:", "nothing uses this line"},
		{"a common line of another kind", "words/pets.words", "*.id id:", "*.id time:", "Pet.id (id) has no sentence"},
		{"no full stop", "words/pets.words", "names what it does for a biscuit.", "names what it does for a biscuit", "ends with a full stop"},
		{"an operation in no service", "words/shape.words", "= pets", "= cats", "is in no service"},
		{"an operation in two services", "words/shape.words", "money", "service Cats CatService cats.go = pets\nmoney", "is in two services"},
		{"a shape line for no operation", "words/shape.words", "money", "op pets:sell = Pets.Sell\nmoney", "matches no operation"},
		{"a name for no type", "words/shape.words", "money", "name Bird = Fowl\nmoney", "name Bird matches no type"},
		{"a union without a rule", "words/shape.words", "union Pet : push traits=PetTraits by kind=PetKind\n", "", "has no rule"},
		{"a new member breaks the rule", "facts/types.jsonl", `{"of":"Cat","member":"id"`, `{"of":"Cat","member":"whiskers","is":"int"}` + "\n" + `{"of":"Cat","member":"id"`, "Cat has the member whiskers"},
		{"a variant without its constant", "facts/types.jsonl", `{"of":"Dog","member":"kind","is":"\"dog\""`, `{"of":"Dog","member":"kind","is":"string"`, "Dog has no constant at kind"},
		{"a discriminator value out of the enum", "facts/types.jsonl", `{"of":"Dog","member":"kind","is":"\"dog\""`, `{"of":"Dog","member":"kind","is":"\"wolf\""`, `has the value "wolf", which PetKind has not`},
		{"a member that changes its type in one variant", "facts/types.jsonl", `{"of":"Dog","member":"price_amount","is":"int"`, `{"of":"Dog","member":"price_amount","is":"string"`, "it is int64 in one alternative and string in another"},
		{"a deprecated member without advice", "facts/types.jsonl", `"member":"lives","is":"int","required":true`, `"member":"lives","is":"int","required":true,"deprecated":true`, "is deprecated"},
		{"an unknown type", "facts/types.jsonl", `"is":"CatTraits"`, `"is":"CatTrait"`, "unknown type CatTrait"},
		{"an unknown kind of line", "facts/api.jsonl", `{"error"`, `{"oops"`, "a line of no known kind"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			factsDir, wordsDir := mini(t)
			file := filepath.Join(filepath.Dir(factsDir), filepath.FromSlash(tc.file))
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(data), tc.old)
			changed := strings.Replace(string(data), tc.old, tc.new, 1)
			require.NoError(t, os.WriteFile(file, []byte(changed), 0o644))
			g, err := load(factsDir, wordsDir)
			if err == nil {
				_, err = g.generate("")
				require.NoError(t, err)
				err = g.failed()
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestAdditionsNeedAReason(t *testing.T) {
	t.Parallel()
	factsDir, _ := mini(t)
	add := filepath.Join(factsDir, "additions.jsonl")
	require.NoError(t, os.WriteFile(add, []byte(`{"op":"pets:list","param":"q","in":"query","is":"string?"}`), 0o644))
	_, err := readFacts(factsDir)
	require.ErrorContains(t, err, "needs its reason")
	require.NoError(t, os.WriteFile(add, []byte(`{"op":"pets:list","param":"q","in":"query","is":"string?","why":"hidden"}`), 0o644))
	f, err := readFacts(factsDir)
	require.NoError(t, err)
	assert.Equal(t, "q", f.op["pets:list"].Params[3].Name)
}

func TestDiffNamesEveryKindOfChange(t *testing.T) {
	t.Parallel()
	factsDir, wordsDir := mini(t)
	data, err := os.ReadFile(filepath.Join("testdata", "mini", "openapi.json"))
	require.NoError(t, err)
	next := strings.NewReplacer(
		`"enum": ["cat", "dog"]`, `"enum": ["cat", "dog", "bird"]`,
		`"lives": {"type": "integer", "minimum": 1, "maximum": 9}`, `"lives": {"type": "integer", "minimum": 1, "maximum": 7}, "fur": {"type": "string"}`,
		`"tricks": {"type": "array", "items": {"type": "string"}}`, `"tricks": {"type": "string"}`,
		`"/v1/pets/"`, `"/v1/animals/"`,
		`{"name": "kind", "in": "query"`, `{"name": "species", "in": "query"`,
	).Replace(string(data))
	f, err := importDoc([]byte(next))
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, printDiff(f, factsDir, wordsDir, &b))
	for _, want := range []string{
		"~ pets:list: path /v1/pets/ becomes /v1/animals/", "- pets:list .kind", "+ pets:list .species", `+ PetKind "bird"`, "+ CatTraits.fur string",
		"~ DogTraits.tricks: [string] becomes string", `"max":9} becomes`, "to decide:", "CatTraits.fur (string) has no sentence", "parameter .species",
	} {
		assert.Contains(t, b.String(), want)
	}
}

func TestExpr(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"string", "int?", "[Order]", "{[int?]}?", "(string,TaxIDFormat)?", `(time|"now")?`, "uuid4|[uuid4]", "true", "CostMetadata-Input", "[A|B]", "{(string|int)?}"} {
		e, err := parseExpr(s)
		require.NoError(t, err, s)
		assert.Equal(t, s, e.String())
	}
	for _, s := range []string{"", "[", "[a", "{x", "(a,b", "a|", "a b", `"x`} {
		_, err := parseExpr(s)
		assert.Error(t, err, s)
	}
}

func FuzzExpr(f *testing.F) {
	for _, s := range []string{"string", "[A|B]?", `(time|"now")?`, "{{string}}", "(string,X)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseExpr(s)
		if err != nil {
			return
		}
		again, err := parseExpr(e.String())
		require.NoError(t, err)
		assert.Equal(t, e.String(), again.String())
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ChecksumSHA256Base64", camel("checksum_sha256_base64"))
	assert.Equal(t, "CustomerID", camel("customer_id"))
	assert.Equal(t, "id", lowerCamel("id"))
	assert.Equal(t, "customerID", lowerCamel("customer_id"))
	assert.Equal(t, "CurrencyEUR", constName("Currency", "eur"))
	assert.Equal(t, "OrderSortCreatedAtDesc", constName("OrderSort", "-created_at"))
	assert.Equal(t, "ScopeCustomersRead", constName("Scope", "customers:read"))
	assert.Equal(t, "HTTPCodeClass2xx", constName("HTTPCodeClass", "2xx"))
	assert.Equal(t, []string{"OAuth2", "Client", "ID"}, splitName("OAuth2ClientID"))
	assert.Equal(t, "order item", noun("OrderItem"))
	assert.Equal(t, "OAuth2 client", noun("OAuth2ClientCreate"))
}
