package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// FuzzCompile takes any text through parser, checker and image writer: it ends with diagnostics, an image or an error. Every
// message has its place in the text.
func FuzzCompile(f *testing.F) {
	for _, file := range []string{"testdata/lower.txt", "testdata/diagnostics.txt"} {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq("\n"+string(src), "\n-- ") {
			_, text, _ := strings.Cut(block, "\n")
			text, _, _ = strings.Cut(text, "\n= ")
			text, _, _ = strings.Cut(text, "\n! ")
			f.Add(text, false)
			f.Add(text, true)
		}
	}
	queries, err := filepath.Glob("../../rules/default/*/*.eql")
	if err != nil || len(queries) == 0 {
		f.Fatal("no default rules", err)
	}
	for _, q := range queries {
		src, err := os.ReadFile(q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src), false)
	}
	f.Fuzz(func(t *testing.T, text string, elastic bool) {
		d := eql.Kestrel
		if elastic {
			d = eql.Elastic
		}
		q, parsed := eql.Parse("q", []byte(text), d)
		r, ds := check.Rule(q, parsed, testGlobals)
		for _, diag := range ds {
			if diag.Span.Start < 0 || diag.Span.Start > len(text) || diag.Pos.Line < 1 || diag.Pos.Col < 1 || diag.Msg == "" {
				t.Errorf("%q has no place in the text", diag.String())
			}
		}
		if ds.HasErrors() {
			return
		}
		if len(r.Stages) == 0 {
			t.Error("no error and no stage")
		}
		r.ID, r.Name = "r", "r"
		// An error is a limit that was met; a panic is a bug.
		_, _, _ = build.Build(&ir.Ruleset{Rules: []ir.Rule{r}}, build.Options{})
	})
}
