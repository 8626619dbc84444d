package eql

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse checks that any input ends in a bounded, ordered list of
// diagnostics inside the source, and that what is accepted prints to a form
// that parses to the same tree.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(diagnosticsFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range strings.Split("\n"+string(data), "\n=== ")[1:] {
		_, rest, _ := strings.Cut(text, "\n")
		src, _, _ := strings.Cut(rest, "\n---\n")
		f.Add([]byte(src), uint8(Kestrel))
		f.Add([]byte(src), uint8(Endgame))
	}
	f.Add([]byte(benchmarkRule), uint8(Elastic))
	f.Add([]byte("sequence by `a-b` [any where \"\\u{41}\" in~ ($X.y, -1)] as z with runs=3 with maxspan=1s"), uint8(Kestrel))
	f.Fuzz(func(t *testing.T, src []byte, dialect uint8) {
		d := Dialect(dialect % 3)
		q, diags := Parse("f", src, d)
		checkDiagnostics(t, src, diags)
		x, exprDiags := ParseExpr("f", src, d)
		checkDiagnostics(t, src, exprDiags)
		Walk(q, func(Node) bool { return true })
		if !diags.HasErrors() {
			roundTrip(t, q, d)
			checkDiagnostics(t, src, Check(q))
		}
		if !exprDiags.HasErrors() {
			roundTrip(t, x, d)
		}
	})
}

func checkDiagnostics(t *testing.T, src []byte, diags Diagnostics) {
	t.Helper()
	if len(diags) > MaxDiagnostics+1 {
		t.Fatalf("%d diagnostics", len(diags))
	}
	last := 0
	for _, diag := range diags {
		at := diag.Span
		if at.Start < 0 || at.End < at.Start || at.End > len(src) {
			t.Fatalf("span %v of %q is outside the source of %d bytes", at, diag.Msg, len(src))
		}
		if at.Start < last {
			t.Fatalf("diagnostic out of order: %s", diag)
		}
		last = at.Start
		if diag.Msg == "" || strings.Contains(diag.Msg, "\n") || utf8.Valid(src) && !utf8.ValidString(diag.Detail()) {
			t.Fatalf("bad message %q", diag.Detail())
		}
	}
}
