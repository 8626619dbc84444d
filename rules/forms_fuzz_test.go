package rules_test

import (
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
		goodCases} {
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, form uint8, text string) {
		name := formNames[int(form)%len(formNames)]
		fsys := tree(name, text, "rule.eql", goodQuery)
		_, problems := rules.Tests(fsys)
		p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, q := range append(problems, p.Problems...) {
			if strings.HasSuffix(q.File, name) && q.Line > lines+1 {
				t.Errorf("%s: the file has %d lines", q, lines)
			}
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
