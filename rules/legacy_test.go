package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

// tree makes a file system of names and texts that take turns.
func tree(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

func loadTree(t *testing.T, fsys fstest.MapFS) *rules.Package {
	t.Helper()
	p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// imageOf compiles a package without problems.
func imageOf(t *testing.T, p *rules.Package) *image.Image {
	t.Helper()
	file, _, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkAll compares all problems, warnings too, with lines that each must begin with.
func checkAll(t *testing.T, p *rules.Package, want ...string) {
	t.Helper()
	var got []string
	for _, q := range p.Problems {
		got = append(got, strings.TrimPrefix(q.String(), "pkg/"))
		if strings.Contains(q.Msg, "struct") || strings.Contains(q.Msg, "rules.") {
			t.Errorf("%q speaks of the program's types", q.Msg)
		}
	}
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const legacyFull = `{
  "format_version": "1.0",
  "metadata": {
    "rule_id": "exec-then-connect",
    "rule_name": "Run and connect",
    "rule_version": "2.1.0",
    "author": "somebody",
    "description": "A program is run and connects",
    "tags": ["linux", "net"],
    "severity": "High",
    "schema_version": 1,
    "references": []
  },
  "capabilities": {
    "supports_inline": true,
    "requires_alert": true,
    "requires_block": true,
    "max_span_ms": 5000,
    "mitre_attack": ["T1059", "T1071.001"]
  }
}
`

const legacySequence = `sequence by process.entity_id
  [process where event.type == "exec"]
  [network where destination.port == 4444]
`

func minimal(id string) string { return `{"metadata":{"rule_id":"` + id + `"}}` }

func TestLegacyFields(t *testing.T) {
	for _, dir := range []string{".", "one", "a/b/one"} {
		at := func(name string) string { return filepath.Join(dir, name) }
		p := loadTree(t, tree(at("manifest.json"), legacyFull, at("rule.eql"), legacySequence, at("rule.wasm"), "made of rule.eql"))
		checkAll(t, p)
		if len(p.Set.Rules) != 1 {
			t.Fatalf("%s: %d rules", dir, len(p.Set.Rules))
		}
		r := p.Set.Rules[0]
		got := fmt.Sprintf("%s|%s|%d|%d|%v|%v|%s|%s|%v", r.ID, r.Name, r.Severity, r.Action, r.Tags, r.Mitre, r.File, r.MaxSpan, r.Form == ir.FormSequence)
		want := fmt.Sprintf("exec-then-connect|Run and connect|%d|%d|[linux net]|[T1059 T1071.001]|%s|5s|true", ir.High, ir.ActionBlock,
			at("rule.eql"))
		if got != want {
			t.Errorf("%s: rule\n%s\nwant\n%s", dir, got, want)
		}
		if p.Queries[0] != legacySequence {
			t.Errorf("%s: query %q", dir, p.Queries[0])
		}
		if dir == "." && (p.Set.Name != "exec-then-connect" || p.Set.Version != "2.1.0") {
			t.Errorf("set %q version %q", p.Set.Name, p.Set.Version)
		}
	}
}

// TestLegacySpan: max_span_ms bounds a sequence that does not say its bound, and nothing else.
func TestLegacySpan(t *testing.T) {
	manifest := func(span string) string {
		return `{"metadata":{"rule_id":"r"},"capabilities":{"max_span_ms":` + span + `}}`
	}
	for _, c := range []struct {
		span, query string
		want        time.Duration
	}{
		{"1500", legacySequence, 1500 * time.Millisecond},
		{"1500", legacySequence + "with maxspan=2s", 2 * time.Second},
		{"1500", goodQuery, 0},
		{"0", legacySequence, 0},
		{"null", legacySequence, 0},
	} {
		p := loadTree(t, tree("manifest.json", manifest(c.span), "rule.eql", c.query))
		checkAll(t, p)
		if got := p.Set.Rules[0].MaxSpan; got != c.want {
			t.Errorf("max_span_ms %s, %q: %v, want %v", c.span, c.query, got, c.want)
		}
	}
	p := loadTree(t, tree("manifest.json", manifest("1500"), "rule.eql", legacySequence))
	events := func(second string) []byte {
		return []byte(`{"@timestamp":"2026-03-02T08:00:00.000Z","event.category":"process","event.type":["start","exec"],"event.action":"exec","process.entity_id":"0x5a3c000000001005"}
{"@timestamp":"2026-03-02T08:00:0` + second + `Z","event.category":"network","event.action":"connection_attempted","process.entity_id":"0x5a3c000000001005","destination.port":4444}`)
	}
	img := imageOf(t, p)
	if got := replayed(t, img, events("1.400")); !slices.Equal(got, []string{"r"}) {
		t.Errorf("within the span: %q", got)
	}
	if got := replayed(t, img, events("1.600")); len(got) > 0 {
		t.Errorf("after the span: %q", got)
	}
}

func TestLegacyProblems(t *testing.T) {
	for _, c := range []struct {
		name, manifest, query string
		want                  []string
	}{
		{"unknown keys", "{\n  \"color\": 1,\n  \"metadata\": {\"rule_id\": \"r\", \"rule_nam\": \"x\"}\n}", goodQuery,
			[]string{"manifest.json:2:3: warning: unknown key color is ignored",
				"manifest.json:3:32: warning: unknown key metadata.rule_nam is ignored (did you mean metadata.rule_name"}},
		{"nulls are absent", `{"metadata":{"rule_id":"r","severity":null,"tags":null},"capabilities":null}`, goodQuery, nil},
		{"wrong types", "{\"metadata\": {\"rule_id\": \"r\",\n \"rule_name\": 5,\n \"tags\": [\"é\", 7],\n \"severity\": [],\n \"references\": \"x\"},\n" +
			" \"capabilities\": {\"requires_block\": \"yes\",\n\t\"max_span_ms\": 1.5, \"mitre_attack\": {}}}", goodQuery, []string{
			"manifest.json:2:15: metadata.rule_name is a number, want text",
			"manifest.json:3:16: metadata.tags is a number, want a list of texts",
			"manifest.json:4:14: metadata.severity is a list, want text",
			"manifest.json:5:16: metadata.references is text, want a list of texts",
			"manifest.json:6:37: capabilities.requires_block is text, want true or false",
			"manifest.json:7:17: capabilities.max_span_ms is a number, want a whole number of milliseconds",
			"manifest.json:7:38: capabilities.mitre_attack is an object, want a list of texts"}},
		{"negative span", `{"metadata":{"rule_id":"r"},"capabilities":{"max_span_ms":-1}}`, goodQuery,
			[]string{"manifest.json:1:59: capabilities.max_span_ms"}},
		{"span over 64 bits of nanoseconds", `{"metadata":{"rule_id":"r"},"capabilities":{"max_span_ms":9223372036855}}`, goodQuery,
			[]string{"manifest.json:1:59: capabilities.max_span_ms"}},
		{"severity", `{"metadata":{"rule_id":"r","severity":"lowish"}}`, goodQuery,
			[]string{`manifest.json:1:39: metadata.severity "lowish" (low, medium, high or critical)`}},
		{"key twice", `{"metadata":{"rule_id":"r","rule_id":"r"}}`, goodQuery,
			[]string{"manifest.json:1:28: warning: metadata.rule_id is there twice"}},
		{"no id", "{\n \"metadata\": {}}", goodQuery, []string{"manifest.json:2:14: metadata.rule_id is missing"}},
		{"no metadata", `{}`, goodQuery, []string{"manifest.json:1:1: metadata.rule_id is missing"}},
		{"a list", ` []`, goodQuery, []string{"manifest.json:1:2: the manifest is a list"}},
		{"empty", ``, goodQuery, []string{"manifest.json:1:1: unexpected end"}},
		{"no JSON", "{\n  \"metadata\": {,}\n}", goodQuery, []string{"manifest.json:2:16: invalid character ','"}},
		{"two documents", "{}\n{}", goodQuery, []string{"manifest.json:2:1: invalid character '{'"}},
		{"deep", strings.Repeat("[", 20000), goodQuery, []string{"manifest.json:1:"}},
		{"bad query", minimal("r"), "process where\n  process.nme == \"a\"", []string{"rule.eql:2:3: unknown field process.nme"}},
		{"long version", `{"metadata":{"rule_id":"r","rule_version":"` + strings.Repeat("v", 256) + `"}}`, goodQuery,
			[]string{"manifest.json:1:43: metadata.rule_version of 256 bytes (max 255)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkAll(t, loadTree(t, tree("manifest.json", c.manifest, "rule.eql", c.query)), c.want...)
		})
	}
}

// TestLegacyModules: a module in the place of the query is one problem; so is a directory with neither.
func TestLegacyModules(t *testing.T) {
	p := loadTree(t, tree("lua/manifest.json", minimal("l"), "lua/predicate.lua", "x", "wasm/manifest.json", minimal("w"),
		"wasm/rule.wasm", "x", "nothing/manifest.json", minimal("n"), "good/manifest.json", minimal("g"), "good/rule.eql", goodQuery))
	checkAll(t, p, "lua/predicate.lua: rule l is a module, and this version runs no modules yet",
		"nothing/manifest.json:1:24: rule n: open nothing/rule.eql", "wasm/rule.wasm: rule w is a module")
	if len(p.Set.Rules) != 1 {
		t.Errorf("%d rules", len(p.Set.Rules))
	}
}

// TestMixedFolder: all forms in one directory, and an id is used once.
func TestMixedFolder(t *testing.T) {
	files := []string{
		"plain.eql", goodQuery,
		"old/a/manifest.json", minimal("old-a"), "old/a/rule.eql", goodQuery,
		"old/b/manifest.json", minimal("old-b"), "old/b/rule.eql", goodQuery,
		"new/manifest.yaml", oneCategory("        - {id: new, file: n.eql}\n"), "new/n.eql", goodQuery,
		"elastic/rule.toml", elasticRule("toml-id", goodQuery),
		"sigma/rule.yml", sigmaRule("process_creation", "  sel:\n    Image: /bin/sh\n  condition: sel\n"),
		"tests/plain.yaml", "rule: plain\nmatch: []\n",
		".github/workflows/ci.yml", "on: push\n",
	}
	p := loadTree(t, tree(files...))
	checkAll(t, p)
	var ids []string
	for _, r := range p.Set.Rules {
		ids = append(ids, r.ID)
	}
	if want := []string{"new", "old-a", "old-b", "toml-id", "plain", "sigma-id"}; !slices.Equal(ids, want) {
		t.Errorf("rules %q, want %q", ids, want)
	}
	if p.Set.Name != "pkg" || p.Set.Version != "" {
		t.Errorf("set %q version %q", p.Set.Name, p.Set.Version)
	}
	want := []string{"new", "old-a", "old-b", "toml-id", "plain", "sigma-id"}
	if got := replayed(t, imageOf(t, p), []byte(`{"event.category":"process","event.type":"start","event.action":"exec","process.executable":"/bin/sh"}`)); !slices.Equal(
		slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("alerts %q, want %q", got, want)
	}
	p = loadTree(t, tree(append(files, "z/manifest.json", minimal("plain"), "z/rule.eql", goodQuery, "z.toml", elasticRule("new", goodQuery),
		"z2.toml", elasticRule("old-b", goodQuery))...))
	checkAll(t, p, "plain.eql:1:1: rule id plain is already used by pkg/z/rule.eql", "z.toml:2:11: rule id new is already used by pkg/new/n.eql",
		"z2.toml:2:11: rule id old-b is already used by pkg/old/b/rule.eql")
}

// TestManifestFile: the name of a manifest stands for its directory.
func TestManifestFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "manifest.json"), minimal("r"))
	write(t, filepath.Join(dir, "rule.eql"), goodQuery)
	p, err := rules.Load(filepath.Join(dir, "manifest.json"), eql.Kestrel)
	if err != nil || p.Err() != nil || len(p.Set.Rules) != 1 {
		t.Errorf("%v %v", err, p)
	}
	// Where both are, the new form counts.
	write(t, filepath.Join(dir, "manifest.yaml"), oneCategory("        - {id: new, file: rule.eql}\n"))
	p, err = rules.LoadFS(os.DirFS(dir), "pkg", eql.Kestrel)
	if err != nil || p.Err() != nil || p.Set.Rules[0].ID != "new" {
		t.Errorf("%v %v", err, p)
	}
}
