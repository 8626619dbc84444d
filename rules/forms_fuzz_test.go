package rules_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/rules"
)

// formNames are the files by whose name a form is chosen.
var formNames = []string{"manifest.yaml", "manifest.json", "x.toml", "x.yml", "tests/x.yaml"}

// FuzzForms reads any bytes as each form: there are problems with places inside the file, or a rule set that compiles to
// an image that loads.
func FuzzForms(f *testing.F) {
	for i, text := range []string{oneCategory("        - {id: a, file: rule.eql}\n"), legacyFull, elasticFull,
		sigmaRule("process_creation", "  s:\n    Image|re: '^(a|[b-d]+)\\.x$'\n    CommandLine|contains|all: ['*a\\?', b]\n  t:\n    - User: null\n  condition: s and not 1 of t*\n"),
		goodCases, oneCategory("        - {id: a, file: rule.eql, suppress: {by: [user.id, process.name], for: 10m}}\n") +
			"  globals: {A: [a, 1], B: &b [10.0.0.0/8], C: *b}\n  suppressions:\n    - {rule_id: a, conditions: ['process.name in $A', \"user.id in (0, 1)\", true]}\n",
		"rule: r\nmatch:\n  - name: a\n    alerts: 2\n    events: |\n      {\"event_type\":\"exec\"}\n      {\"a\":[1,{}]}\n"} {
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, form uint8, text string) {
		name := formNames[int(form)%len(formNames)]
		fsys := tree(name, text, "rule.eql", goodQuery)
		_, problems := rules.Tests(fsys, "pkg")
		p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, q := range append(problems, p.Problems...) {
			if strings.HasSuffix(q.File, name) && q.Line > lines+1 {
				t.Errorf("%s: the file has %d lines", q, lines)
			}
			checkPlace(t, q)
		}
		if p.HasErrors() {
			return
		}
		if file, _, err := p.Compile(); err == nil {
			if _, err := image.Load(file); err != nil {
				t.Errorf("the image does not load: %v", err)
			}
		}
	})
}

// checkPlace: a problem ends where it begins or later, and its excerpt is whole lines.
func checkPlace(t *testing.T, q rules.Problem) {
	t.Helper()
	if q.EndLine < q.Line || q.EndLine == q.Line && q.EndCol < q.Col || q.Line > 0 && (q.Col < 1 || q.EndCol < 1) {
		t.Errorf("%+v ends at %d:%d", q, q.EndLine, q.EndCol)
	}
	if e := q.Excerpt(); e != "" && !strings.HasSuffix(e, "\n") {
		t.Errorf("%+v: the excerpt is cut", q)
	}
}

// FuzzJSONLines reads any bytes as a file of JSON lines.
func FuzzJSONLines(f *testing.F) {
	f.Add(`{"id":"a","query":"process where process.name == \"s\u00e9\ud83d\ude00h\"","severity":"low"}` + "\n" + `{"id":"b","query":"any where x"}`)
	f.Add(`[1]`)
	f.Add("{\"id\":\"\xff\",\"query\":\"\xff where \\\\ \"}\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "set.jsonl")
		write(t, name, text)
		p, err := rules.Load(name, eql.Kestrel)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Problems {
			if q.Line > strings.Count(text, "\n")+1 {
				t.Errorf("%s: the file has fewer lines", q)
			}
			checkPlace(t, q)
		}
		n := len(p.Set.Rules)
		if _, _, left, err := p.CompileUsable(); err == nil && (len(p.Set.Rules) == 0 || left == 0 && len(p.Set.Rules) != n) {
			t.Errorf("%d rules of %d, %d left out", len(p.Set.Rules), n, left)
		}
	})
}
