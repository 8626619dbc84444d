package check_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/limits"
)

// guide is the rule guide, whose statements these tests hold to.
func guide(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile("../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// TestGuideExamples: the queries of the guide compile, and nothing is to be said of them.
func TestGuideExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```eql\n(.*?)```").FindAllStringSubmatch(guide(t), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		q, ds := eql.Parse("RULES.md", []byte(b[1]), eql.Kestrel)
		if _, ds = check.Rule(q, ds, nil); len(ds) > 0 {
			t.Errorf("%s%v", b[1], ds)
		}
	}
}

// TestGuideValues: each expression of the guide's table has the value that stands beside it.
func TestGuideValues(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| `(.+)` \\|$").FindAllStringSubmatch(guide(t), -1)
	if len(rows) < 20 {
		t.Fatalf("%d values", len(rows))
	}
	for _, r := range rows {
		text := "(" + r[1] + ") == " + r[2]
		x, ds := eql.ParseExpr("", []byte(text), eql.Kestrel)
		if len(ds) > 0 {
			t.Errorf("%s: %v", text, ds)
			continue
		}
		n, ds := check.Expr(eql.NewSource("", text), x, eql.Kestrel, nil)
		if k, ok := n.(ir.Const); ds.HasErrors() || !ok || k.Value != ir.True {
			t.Errorf("%s: %#v %v", text, n, ds)
		}
	}
}

// TestGuideFunctions: the table of functions has all of them, with their arguments, and whether they fold.
func TestGuideFunctions(t *testing.T) {
	rows := make(map[string]string)
	for _, r := range regexp.MustCompile("(?m)^\\| `([a-zA-Z]+\\([^`]*\\))`( ~)? \\| (.+) \\|$").FindAllStringSubmatch(guide(t), -1) {
		rows[r[1]] = r[2] + " " + r[3]
	}
	for _, f := range check.Functions() {
		fold := " "
		if f.Folds {
			fold = " ~ "
		}
		// What the guide says beyond the line of the list stands behind it.
		row, ok := rows[f.Signature]
		first, _, _ := strings.Cut(f.Doc, " when ")
		if first, _, _ = strings.Cut(first, ","); !ok || !strings.HasPrefix(row, fold+first) {
			t.Errorf("%s: the guide has %q, the list %q", f.Signature, row, fold+f.Doc)
		}
	}
}

// TestGuideBounds: the numbers of the table of bounds are those of the code.
func TestGuideBounds(t *testing.T) {
	text := guide(t)
	for _, row := range []string{
		"| steps of a sequence or sample | " + strconv.Itoa(limits.StagesMax-1) + " |",
		"| runs of a step | " + strconv.Itoa(limits.RunsMax) + " |",
		"| join keys | " + strconv.Itoa(limits.KeysMax) + " |",
		"| nesting of a condition | " + strconv.Itoa(eql.MaxDepth) + " levels |",
		"| size of a query | " + strconv.Itoa(eql.MaxSourceBytes>>20) + " MiB |",
		"| conditions on ancestors in an image | " + strconv.Itoa(limits.MarksMax) + " |",
		"| combinations of array elements | " + strconv.Itoa(limits.CombosMax) + " |",
		"| states side by side at a named step | " + strconv.Itoa(limits.KeptStatesMax) + " |",
		"| runs of a step | " + strconv.Itoa(limits.RunsMax) + " | " + strconv.Itoa(eql.MaxRuns) + " |",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the guide does not say %s", row)
		}
	}
}
