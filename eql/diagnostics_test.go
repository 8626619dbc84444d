package eql

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

const diagnosticsFile = "testdata/diagnostics.txt"

// diagnosticsMin is the least number of mistakes the file must cover.
const diagnosticsMin = 30

// The file holds cases of the form
//
//	=== name | dialect
//	source
//	---
//	expected output
func TestDiagnosticsGolden(t *testing.T) {
	data, err := os.ReadFile(diagnosticsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cases := strings.Split("\n"+string(data), "\n=== ")[1:]
	if len(cases) < diagnosticsMin {
		t.Fatalf("%d cases (want at least %d)", len(cases), diagnosticsMin)
	}
	for _, text := range cases {
		head, rest, _ := strings.Cut(text, "\n")
		src, want, ok := strings.Cut(rest, "\n---\n")
		name, dialect, okHead := strings.Cut(head, " | ")
		if !ok || !okHead {
			t.Fatalf("malformed case %q", head)
		}
		d, err := ParseDialect(dialect)
		if err != nil {
			t.Fatal(err)
		}
		q, diags := Parse("rule.eql", []byte(src), d)
		if !diags.HasErrors() {
			diags = append(diags, Check(q)...)
		}
		var got strings.Builder
		for _, diag := range diags {
			got.WriteString(diag.Detail())
		}
		if len(diags) == 0 {
			t.Errorf("%s: no diagnostics", name)
		}
		if strings.TrimSpace(got.String()) != strings.TrimSpace(want) && !*update {
			t.Errorf("%s:\n%s\ngot:\n%swant:\n%s", name, src, got.String(), want)
		}
		out.WriteString("=== " + head + "\n" + src + "\n---\n" + got.String() + "\n")
	}
	if *update {
		if err := os.WriteFile(diagnosticsFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
