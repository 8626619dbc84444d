package check_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// What a query of the largest size may cost. A quadratic pass takes a hundred times as long, a copy per nested level of
// the tree a hundred times as much.
const (
	boundTime  = 5 * time.Second
	boundBytes = 1 << 30
)

// fill repeats a piece until the query is as large as a query may be.
func fill(head, piece, between, tail string) string {
	n := (eql.MaxSourceBytes - len(head) - len(tail)) / (len(piece) + len(between))
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(piece)
	}
	b.WriteString(tail)
	return b.String()
}

// numbered is a list of n different items.
func numbered(format, between string, n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, between)
}

// TestBounds: queries of the largest size and depth end in bounded time and memory, with a result or with errors that are
// not too many.
func TestBounds(t *testing.T) {
	const (
		deep = 10000
		half = eql.MaxDepth/2 - 8
	)
	nest := func(n int, open, core, end string) string {
		return "process where " + strings.Repeat(open, n) + core + strings.Repeat(end, n)
	}
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"10,000 nested parentheses":     {nest(deep, "(", "true", ")"), false},
		"nested parentheses":            {nest(half, "(", "true", ")"), true},
		"10,000-term or-chain":          {"process where " + numbered("process.name == \"n%d\"", " or ", 10000), true},
		"10,000-term computed chain":    {"process where " + numbered("length(process.name) == %d", " or ", 10000), true},
		"5,000 nested function calls":   {nest(5000, "concat(", "process.name", ")") + ` == "x"`, false},
		"nested function calls":         {nest(half, "concat(", "process.name", ")") + ` == "x"`, true},
		"nested wide function calls":    {nest(half, "concat(process.name, process.executable, ", "process.name", ")") + ` == "x"`, false},
		"long lists of computed texts":  {fill("process where ", `string(process.pid+1) regex ("a+","[b-d]*x")`, " or ", ""), true},
		"many fields of earlier steps":  {fill("sequence [any where true] as a [any where ", `a.process.pid==process.pid`, " or ", "]"), false},
		"nested conditions as values":   {nest(half, "(", "process.pid == 1", ") == true"), true},
		"nested wrong calls":            {nest(half, "length(", "process.name", ")") + " == 1", false},
		"nested lineage":                {nest(half/2, "child of [process where ", "true", "]"), true},
		"nested lists":                  {nest(half, "process.name in (", `"x"`, ")"), false},
		"a megabyte of unknown fields":  {fill("process where ", "nosuchfield", " or ", ""), false},
		"a megabyte of unknown names":   {fill("process where ", "p.n(1)", " or ", ""), false},
		"a megabyte of wrong types":     {fill("process where ", "process.pid==\"x\"", " or ", ""), false},
		"a megabyte of wrong calls":     {fill("process where ", "length(5)==\"x\"", " or ", ""), false},
		"a megabyte of unknown globals": {fill("process where ", "process.pid==$X", " or ", ""), false},
		"a megabyte of warnings":        {fill("process where ", "process.name==\"*\"", " or ", ""), true},
		"a megabyte of missing fields":  {fill("process where ", "file.path==\"x\"", " or ", ""), true},
		"a megabyte of one string":      {fill(`process where process.name == "`, "x", "", `"`), true},
		"a megabyte of a wrong string":  {fill(`process where process.pid == "`, "x ", "", `"`), false},
		"a megabyte of arithmetic":      {fill("process where process.pid == 0", "+(1-1)", "", ""), false},
		"a long list":                   {"process where process.name in (" + numbered(`"n%d"`, ",", eql.MaxListLen) + ")", true},
		"a long list of one value":      {"process where process.pid in (" + strings.Repeat("1,", eql.MaxListLen-1) + "1)", true},
		"a long list of wrong values":   {"process where process.pid in (" + numbered(`"n%d"`, ",", eql.MaxListLen) + ")", false},
		"a long list of computed ones":  {"process where process.pid in (" + numbered("user.id+%d", ",", eql.MaxListLen) + ")", true},
		"a long list of fields":         {"process where concat(" + numbered("process.pid", ",", eql.MaxListLen) + `) == "x"`, false},
		"long lists of expressions":     {fill("process where ", `process.name regex ("a+","[b-d]*x")`, " or ", ""), true},
		"many steps":                    {fill("sequence ", "[any where true]", "", ""), false},
		"many names":                    {"sequence " + numbered("[any where true] as s%d", " ", 10000), false},
		"many keys":                     {fill("sequence by ", "process.pid", ",", " [any where true] [any where true]"), false},
		"many pipes":                    {fill("any where true", "|head 1", "", ""), false},
	} {
		for _, d := range []eql.Dialect{eql.Kestrel, eql.Elastic} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			q, parsed := eql.Parse("", []byte(c.text), d)
			_, ds := check.Rule(q, parsed, testGlobals)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if took > boundTime {
				t.Errorf("%s in %s took %v", name, d, took)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > boundBytes {
				t.Errorf("%s in %s allocated %d MiB", name, d, made>>20)
			}
			if most := 2 * (2*eql.MaxDiagnostics + 2); len(ds) > most {
				t.Errorf("%s in %s: %d messages", name, d, len(ds))
			}
			if d == eql.Kestrel && ds.HasErrors() == c.good {
				t.Errorf("%s: errors: %v\n%.500s", name, ds.HasErrors(), ds)
			}
		}
	}
}

// TestInvalidUTF8: a text that is not UTF-8 is one error and no rule.
func TestInvalidUTF8(t *testing.T) {
	q, parsed := eql.Parse("r.eql", []byte("process where process.name == \"\xff\""), eql.Kestrel)
	_, ds := check.Rule(q, parsed, nil)
	if len(ds) == 0 || !strings.Contains(ds[0].String(), "invalid UTF-8") {
		t.Errorf("%v", ds)
	}
}

// TestTooMany: when there is more to say than anybody reads, the last message says so.
func TestTooMany(t *testing.T) {
	for _, c := range []struct {
		term string
		n    int
		want int
		last string
	}{
		{"nothing == 1", eql.MaxDiagnostics, eql.MaxDiagnostics, "unknown field nothing"},
		{"nothing == 1", eql.MaxDiagnostics + 3, eql.MaxDiagnostics + 1, "too many errors, 3 are not shown"},
		{`process.name == "*"`, eql.MaxDiagnostics + 3, eql.MaxDiagnostics, "warning: `*` stands for itself"},
	} {
		text := "process where " + strings.TrimSuffix(strings.Repeat(c.term+" or ", c.n), " or ")
		q, parsed := eql.Parse("", []byte(text), eql.Kestrel)
		_, ds := check.Rule(q, parsed, nil)
		if len(ds) != c.want || !strings.Contains(ds[len(ds)-1].String(), c.last) {
			t.Errorf("%d times %q: %d messages, the last %s", c.n, c.term, len(ds), ds[len(ds)-1])
		}
	}
}
