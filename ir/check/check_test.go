package check_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testGlobals are the lists that the queries of testdata use.
var testGlobals = check.Globals{
	"HOME_NET": {"10.0.0.0/8", "192.168.0.0/16", "fd00::/8"},
	"SHELLS":   {"sh", "bash", "z?h"},
	"PORTS":    {int64(80), int64(443)},
	"ONE":      {"sh"},
	"NUMBER":   {int64(7)},
	"NOTHING":  {},
}

// printer writes a rule on few lines, one word an idea, for the golden files.
type printer struct{ strings.Builder }

func printRule(r *ir.Rule) string {
	var p printer
	switch r.Form {
	case ir.FormSequence:
		p.WriteString("sequence")
		if r.MaxSpan > 0 {
			fmt.Fprintf(&p, " maxspan %s", r.MaxSpan)
		}
		p.WriteString("\n")
	case ir.FormSample:
		p.WriteString("sample\n")
	}
	for i := range r.Stages {
		p.stage("", &r.Stages[i])
	}
	if r.Until != nil {
		p.stage("until ", r.Until)
	}
	return p.String()
}

func (p *printer) stage(head string, s *ir.Stage) {
	if s.Missing {
		head += "missing "
	}
	if s.Runs > 0 {
		head += fmt.Sprintf("%d times ", s.Runs)
	}
	p.WriteString(head + s.Category.String())
	for _, k := range s.Keys {
		p.WriteString(" by ")
		if k.Optional {
			p.WriteString("?")
		}
		p.WriteString(name(k.Field))
	}
	p.WriteString(" where ")
	p.node(s.Cond)
	p.WriteString("\n")
}

func name(f event.FieldID) string { return event.FieldByID(f).Name }

func (p *printer) list(op string, args []ir.Node) {
	p.WriteString("(" + op)
	for _, a := range args {
		p.WriteString(" ")
		p.node(a)
	}
	p.WriteString(")")
}

func (p *printer) node(n ir.Node) {
	switch n := n.(type) {
	case ir.And:
		p.list("and", n.Args)
	case ir.Or:
		p.list("or", n.Args)
	case ir.Not:
		p.list("not", []ir.Node{n.Arg})
	case ir.IsTrue:
		p.list("is-true", []ir.Node{n.Arg})
	case ir.Const:
		p.WriteString(n.Value.String())
	case ir.Present:
		p.WriteString("has(" + name(n.Field) + ")")
	case ir.StringTest:
		p.WriteString(name(n.Field))
		p.patterns(n.Patterns)
	case ir.IntTest:
		fmt.Fprintf(p, "%s%s%d", name(n.Field), n.Cmp, n.Value)
	case ir.IntIn:
		fmt.Fprintf(p, "%s in %d", name(n.Field), n.Values)
	case ir.IPIn:
		fmt.Fprintf(p, "%s in %s", name(n.Field), n.Prefixes)
	case ir.StringOrder:
		fmt.Fprintf(p, "%s%s%q", name(n.Field), n.Cmp, n.Value)
	case ir.FieldTest:
		fmt.Fprintf(p, "%s%s%s", name(n.Left), n.Cmp, name(n.Right))
		if n.Fold {
			p.WriteString("~")
		}
	case ir.Test:
		p.WriteString("test(")
		p.expr(n.X)
		p.WriteString(")")
	case ir.IsNull:
		p.WriteString("null(")
		p.expr(n.X)
		p.WriteString(")")
	case ir.Lineage:
		p.WriteString([...]string{ir.EventOf: "event-of", ir.ChildOf: "child-of", ir.DescendantOf: "descendant-of"}[n.Rel])
		p.WriteString("[" + n.Event.Category.String() + " where ")
		p.node(n.Event.Cond)
		p.WriteString("]")
	default:
		fmt.Fprintf(p, "BUG: %T", n)
	}
}

func (p *printer) patterns(list []ir.Pattern) {
	p.WriteString("[")
	for i, t := range list {
		if i > 0 {
			p.WriteString(" ")
		}
		op := [...]string{ir.Exact: "=", ir.Prefix: "^", ir.Suffix: "$", ir.Contains: "@", ir.Wildcard: "*", ir.Regex: "/"}[t.Kind]
		if t.Fold {
			op += "~"
		}
		fmt.Fprintf(p, "%s%q", op, t.Text)
	}
	p.WriteString("]")
}

var fnNames = [ir.Fns]string{ir.FnAdd: "+", ir.FnSub: "-", ir.FnMul: "*", ir.FnDiv: "/", ir.FnMod: "%", ir.FnNeg: "neg",
	ir.FnBetween: "between", ir.FnConcat: "concat", ir.FnEndsWith: "ends-with", ir.FnIndexOf: "index-of", ir.FnLength: "length",
	ir.FnNumber: "number", ir.FnStartsWith: "starts-with", ir.FnString: "string", ir.FnStringContains: "contains",
	ir.FnSubstring: "substring", ir.FnEq: "==", ir.FnNe: "!=", ir.FnLt: "<", ir.FnLe: "<=", ir.FnGt: ">", ir.FnGe: ">="}

func (p *printer) expr(x ir.Expr) {
	switch x := x.(type) {
	case ir.Value:
		if x.Stage != ir.Own {
			fmt.Fprintf(p, "#%d.", x.Stage)
		}
		p.WriteString(name(x.Field))
	case ir.Lit:
		fmt.Fprintf(p, "%#v", x.Value)
	case ir.Op:
		p.WriteString("(" + fnNames[x.Fn])
		if x.Fold {
			p.WriteString("~")
		}
		for _, a := range x.Args {
			p.WriteString(" ")
			p.expr(a)
		}
		p.WriteString(")")
	case ir.Match:
		p.expr(x.X)
		p.patterns(x.Patterns)
	case ir.InNet:
		p.expr(x.X)
		fmt.Fprintf(p, " in %s", x.Prefixes)
	case ir.Cond:
		p.WriteString("(cond ")
		p.node(x.Node)
		p.WriteString(")")
	default:
		fmt.Fprintf(p, "BUG: %T", x)
	}
}

// lower is what becomes of a query: its typed form when it is good, and all that is said of it.
func lower(text string, d eql.Dialect) string {
	q, parsed := eql.Parse("", []byte(text), d)
	r, ds := check.Rule(q, parsed, testGlobals)
	var out strings.Builder
	for _, diag := range ds {
		out.WriteString("! " + diag.String() + "\n")
	}
	if !ds.HasErrors() {
		for line := range strings.Lines(printRule(&r)) {
			out.WriteString("= " + line)
		}
	}
	return out.String()
}

// golden runs a file of queries. Each begins with a line "-- dialect: what it shows", followed by its text; the lines
// that begin with "= " and "! " are the typed form and the diagnostics.
func golden(t *testing.T, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cases := 0
	for block := range strings.SplitSeq("\n"+string(src), "\n-- ") {
		if strings.TrimSpace(block) == "" {
			continue
		}
		cases++
		head, body, _ := strings.Cut(block, "\n")
		var text, want strings.Builder
		for line := range strings.Lines(strings.TrimRight(body, "\n") + "\n") {
			if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "! ") {
				want.WriteString(line)
			} else {
				text.WriteString(line)
			}
		}
		word, _, _ := strings.Cut(head, ":")
		d, err := eql.ParseDialect(word)
		if err != nil {
			t.Fatal(err)
		}
		got := lower(strings.TrimRight(text.String(), "\n"), d)
		if got != want.String() && !*update {
			t.Errorf("%s: %s\n%sgot\n%swant\n%s", file, head, text.String(), got, want.String())
		}
		fmt.Fprintf(&out, "-- %s\n%s%s\n", head, text.String(), got)
	}
	if cases == 0 {
		t.Fatalf("%s: no cases", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLower: queries and the typed form that they come to.
func TestLower(t *testing.T) { golden(t, "testdata/lower.txt") }

// TestDiagnostics: queries that are refused or doubtful, and all that is said of each.
func TestDiagnostics(t *testing.T) { golden(t, "testdata/diagnostics.txt") }

// TestRefusedOnce: one mistake is one message, and what follows from it is none.
func TestRefusedOnce(t *testing.T) {
	for _, text := range []string{
		`process where process.name == $MISSING`,
		`process where process.nme == "x"`,
		`process where process.name == 4`,
		`process where process.name + 1 == 2`,
		`process where length(process.name + 1) > "x"`,
		`process where lengt(process.name) > 4`,
		`process where substring(process.name, "a") == 1 + 1`,
		`process where arraySearch(process.args, $x, $x == "y")`,
		`sequence [process where true] as a [process where process.pid == b.process.pid]`,
		`sequence [process where true] as a [process where process.pid == a.process.pidd + 1]`,
		`process where descendant of [process where process.nme == "x"]`,
		`sample [process where true] [file where true]`,
		`sequence [process where true] ![file where true]`,
		`proces where process.name == "x"`,
		`process where process.pid == 1 / 0`,
		`process where`,
		``,
		`process where process.name like~ 4`,
		`process where process.name regex "("`,
		`sequence [process where true] [file where nothing == 1]`,
	} {
		q, parsed := eql.Parse("", []byte(text), eql.Kestrel)
		_, ds := check.Rule(q, parsed, testGlobals)
		if len(ds) != 1 {
			t.Errorf("%s: %d messages, want 1:\n%s", text, len(ds), ds)
		}
	}
}

// TestExpr: a bare condition, as of a suppression, sees the fields of every category.
func TestExpr(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`file.path == "/x" and destination.port == 1`, `(and file.path[="/x"] destination.port==1)`},
		{`process.name in $SHELLS`, `process.name[="sh" ="bash" *"z?h"]`},
		{`true and not false`, `true`},
	} {
		x, ds := eql.ParseExpr("", []byte(c.text), eql.Kestrel)
		if ds.HasErrors() {
			t.Fatal(ds)
		}
		n, ds := check.Expr(eql.NewSource("", c.text), x, eql.Kestrel, testGlobals)
		if len(ds) > 0 {
			t.Error(ds)
		}
		var p printer
		p.node(n)
		if p.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.text, p.String(), c.want)
		}
	}
}
