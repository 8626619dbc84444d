package expr_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/limits"
)

func own(f event.FieldID) ir.Expr { return ir.Value{Field: f, Stage: ir.Own} }

func lit(v any) ir.Expr {
	if n, ok := v.(int); ok {
		v = int64(n)
	}
	return ir.Lit{Value: v}
}

// lits are constants, but for expressions among them.
func lits(values ...any) (list []ir.Expr) {
	for _, v := range values {
		if x, ok := v.(ir.Expr); ok {
			list = append(list, x)
			continue
		}
		list = append(list, lit(v))
	}
	return list
}

func op(fn ir.Fn, args ...any) ir.Expr   { return ir.Op{Fn: fn, Args: lits(args...)} }
func fold(fn ir.Fn, args ...any) ir.Expr { return ir.Op{Fn: fn, Fold: true, Args: lits(args...)} }

// process is an event of a process with some texts, "" for one that is not there, and arguments.
func process(name, executable string, args ...string) *event.Event {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(event.TypeExec, 1)
	b.Process(7, 7, 1, 0xbeef)
	if name != "" {
		b.String(event.SlotName, name, 0)
	}
	if executable != "" {
		b.String(event.SlotExecutable, executable, 0)
	}
	if args != nil {
		b.String(event.SlotArgs, strings.Join(args, "\x00"), 0)
	}
	ev := &event.Event{Own: b.End()}
	ev.Proc = ev.Own
	ev.SetCategory()
	return ev
}

// program compiles one condition.
func program(tb testing.TB, n ir.Node) (*expr.Set, uint32) {
	tb.Helper()
	var b build.Builder
	p, err := b.Add(n, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return loaded(tb, &b), p
}

func eval(tb testing.TB, n ir.Node, ctx *expr.Context) ir.Truth {
	tb.Helper()
	set, p := program(tb, n)
	return ir.Truth(set.Eval(p, ctx, set.NewScratch()))
}

// TestValues: what operations give, on the device and by the reference.
func TestValues(t *testing.T) {
	const least, most = math.MinInt64, math.MaxInt64
	ev := process("Foo", "/bin/é\xff", "a", "bc")
	name := own(event.FieldName)
	for _, c := range []struct {
		x    ir.Expr
		want any // nil: null
	}{
		{op(ir.FnAdd, 7, 3), 10}, {op(ir.FnAdd, most, 1), nil}, {op(ir.FnAdd, least, -1), nil}, {op(ir.FnAdd, most, least), -1},
		{op(ir.FnAdd, 1, 0.5), 1.5}, {op(ir.FnAdd, nil, 1), nil}, {op(ir.FnAdd, "1", 1), nil}, {op(ir.FnAdd, true, 1), nil},
		{op(ir.FnAdd, math.MaxFloat64, math.MaxFloat64), nil}, {op(ir.FnAdd, 0.1, 0.2), 0.30000000000000004},
		{op(ir.FnSub, least, 1), nil}, {op(ir.FnSub, 0, least), nil}, {op(ir.FnSub, -1, least), most}, {op(ir.FnSub, most, -1), nil},
		{op(ir.FnMul, 1<<32, 1<<31), nil}, {op(ir.FnMul, -(1 << 32), 1<<31), least}, {op(ir.FnMul, least, -1), nil}, {op(ir.FnMul, least, 1), least},
		{op(ir.FnMul, -7, 3.0), -21.0}, {op(ir.FnMul, most, most), nil}, {op(ir.FnMul, 0, least), 0},
		{op(ir.FnDiv, 7, 3), 2}, {op(ir.FnDiv, -7, 3), -2}, {op(ir.FnDiv, 7, 3.0), 7 / 3.0}, {op(ir.FnDiv, 7, 0), nil}, {op(ir.FnDiv, 7, 0.0), nil},
		{op(ir.FnDiv, least, -1), nil}, {op(ir.FnMod, least, -1), 0}, {op(ir.FnMod, 10, -6), 4}, {op(ir.FnMod, -10, -6), -4}, {op(ir.FnMod, 10, 0), nil},
		{op(ir.FnMod, -5.5, 2), -1.5}, {op(ir.FnMod, 5, 0.0), nil}, {op(ir.FnNeg, 3), -3}, {op(ir.FnNeg, least), nil}, {op(ir.FnNeg, 0.5), -0.5},
		{op(ir.FnNeg, "1"), nil},

		{op(ir.FnBetween, "from here over there", "from", "there"), " here over "},
		{op(ir.FnBetween, "from here over there", "from", "e", true), " here over ther"},
		{op(ir.FnBetween, "from here over there", "from", "e", nil), " h"},
		{op(ir.FnBetween, "a1b2c", "x", "b"), nil}, {op(ir.FnBetween, "a1b2c", "b", "1"), nil}, {op(ir.FnBetween, "a1b2c", "b", "1", true), nil},
		{op(ir.FnBetween, "abc", "", "c"), "ab"}, {op(ir.FnBetween, "", "a", "b"), nil}, {op(ir.FnBetween, "abc", nil, "c"), nil},
		{op(ir.FnBetween, "xAyBz", "a", "b"), nil}, {fold(ir.FnBetween, "xAyBz", "a", "b"), "y"}, {op(ir.FnBetween, "abc", "a", "c", 1), nil},
		{op(ir.FnConcat, "a", 1, "||", true, 2.5), "a1||true2.5"}, {op(ir.FnConcat, "a", nil), nil}, {op(ir.FnConcat, 1), "1"}, {op(ir.FnConcat, name, 1e7), "Foo1.0E7"},
		{op(ir.FnEndsWith, "NetCat", "Cat"), true}, {op(ir.FnEndsWith, "NetCat", "cat"), false}, {fold(ir.FnEndsWith, "NetCat", "cAT"), true},
		{op(ir.FnEndsWith, "", ""), true}, {op(ir.FnEndsWith, "a", nil), nil}, {op(ir.FnEndsWith, "at", "Cat"), false},
		{op(ir.FnIndexOf, "foobar", "o"), 1}, {op(ir.FnIndexOf, "foobar", "o", 2), 2}, {op(ir.FnIndexOf, "foobar", "o", -6), 1}, {op(ir.FnIndexOf, "foobar", "o", 3), nil},
		{op(ir.FnIndexOf, "foobar", "", 9), 6}, {op(ir.FnIndexOf, "foobar", "", 2), 2}, {op(ir.FnIndexOf, "foobar", "O"), nil}, {fold(ir.FnIndexOf, "foobar", "O", nil), 1},
		{op(ir.FnIndexOf, "éé/x", "/"), 2}, {op(ir.FnIndexOf, "éé/x/", "/", 3), 4}, {op(ir.FnIndexOf, "foobar", "o", 0.5), nil},
		{op(ir.FnLength, "é\xff"), 2}, {op(ir.FnLength, ""), 0}, {op(ir.FnLength, 12), nil}, {op(ir.FnLength, own(event.FieldExecutable)), 7},
		{op(ir.FnNumber, "2.75"), 2.75}, {op(ir.FnNumber, "-808", 10), -808}, {op(ir.FnNumber, "+66"), 66}, {op(ir.FnNumber, "0x2a7f"), 10879},
		{op(ir.FnNumber, "0x2a7f", 16), 10879}, {op(ir.FnNumber, "2a7f", 16), 10879}, {op(ir.FnNumber, "31415", 7), 7754}, {op(ir.FnNumber, "zZ", 36), 35*36 + 35},
		{op(ir.FnNumber, "0x12", 10), nil}, {op(ir.FnNumber, " 12"), nil}, {op(ir.FnNumber, "12\t"), nil}, {op(ir.FnNumber, "12 3"), nil}, {op(ir.FnNumber, ""), nil}, {op(ir.FnNumber, "-"), nil},
		{op(ir.FnNumber, "8", 8), nil}, {op(ir.FnNumber, "1", 37), nil}, {op(ir.FnNumber, "1", 1), nil}, {op(ir.FnNumber, "1", 2.0), nil}, {op(ir.FnNumber, "1.5", 16), nil},
		{op(ir.FnNumber, "9223372036854775807"), most}, {op(ir.FnNumber, "9223372036854775808"), 9223372036854775808.0},
		{op(ir.FnNumber, "-9223372036854775808"), least}, {op(ir.FnNumber, "7fffffffffffffff", 16), most}, {op(ir.FnNumber, "8000000000000000", 16), nil},
		{op(ir.FnNumber, "1e3"), 1000.0}, {op(ir.FnNumber, ".5"), 0.5}, {op(ir.FnNumber, "5."), 5.0}, {op(ir.FnNumber, "1e308"), nil}, {op(ir.FnNumber, "9.9e307"), 9.9e307},
		{op(ir.FnNumber, "0.001e310"), 1e307}, {op(ir.FnNumber, "1e99999999999999999999"), nil}, {op(ir.FnNumber, "0e99999999999999999999"), 0.0},
		{op(ir.FnNumber, "1e-99999999999999999999"), 0.0}, {op(ir.FnNumber, "1e"), nil}, {op(ir.FnNumber, "1_000"), nil}, {op(ir.FnNumber, "inf"), nil}, {op(ir.FnNumber, "1.5.2"), nil},
		{op(ir.FnNumber, 12), 12}, {op(ir.FnNumber, true), nil},
		{op(ir.FnStartsWith, "NetCat", "Net"), true}, {op(ir.FnStartsWith, "NetCat", "net"), false}, {fold(ir.FnStartsWith, name, "fO"), true}, {op(ir.FnStartsWith, "a", ""), true},
		{op(ir.FnString, nil), nil}, {op(ir.FnString, -5), "-5"}, {op(ir.FnString, false), "false"}, {op(ir.FnString, 0.001), "0.001"}, {op(ir.FnString, 0.0001), "1.0E-4"},
		{op(ir.FnString, 1.5e300), "1.5E300"}, {op(ir.FnString, 9999999.0), "9999999.0"}, {op(ir.FnString, math.Copysign(0, -1)), "-0.0"},
		{op(ir.FnStringContains, "NetCat", "tC"), true}, {op(ir.FnStringContains, "NetCat", "tc"), false}, {fold(ir.FnStringContains, "NetCat", "TC"), true},
		{op(ir.FnStringContains, "NetCat", ""), true}, {op(ir.FnStringContains, "", ""), true}, {op(ir.FnStringContains, "a", "ab"), false}, {op(ir.FnStringContains, nil, ""), nil},
		{op(ir.FnSubstring, "/usr/sbin", 0, 4), "/usr"}, {op(ir.FnSubstring, "/usr/sbin", 4, -1), "/sbi"}, {op(ir.FnSubstring, "/usr/sbin", -4), "sbin"},
		{op(ir.FnSubstring, "/usr/sbin", -40, 4), "/usr"}, {op(ir.FnSubstring, "/usr/sbin", -4, 90), "sbin"}, {op(ir.FnSubstring, "hello", 3, 3), ""},
		{op(ir.FnSubstring, "hello", nil, 2), "he"}, {op(ir.FnSubstring, "hello", nil, nil), "hello"}, {op(ir.FnSubstring, "éàü", 1, 2), "à"}, {op(ir.FnSubstring, "abc", "1"), nil},
		{op(ir.FnSubstring, "abc", least, most), "abc"}, {op(ir.FnSubstring, "abc", most, least), ""},

		{op(ir.FnEq, 3, 3.0), true}, {op(ir.FnEq, "Foo", "foo"), false}, {fold(ir.FnEq, "Foo", "foO"), true}, {op(ir.FnEq, true, true), true}, {op(ir.FnEq, true, 1), nil},
		{op(ir.FnEq, "1", 1), nil}, {op(ir.FnNe, 3, 4.5), true}, {op(ir.FnNe, nil, 1), nil}, {op(ir.FnLt, "Foo", "foo"), true}, {fold(ir.FnLt, "FOO", "foo"), false},
		{op(ir.FnLt, "a", "ab"), true}, {op(ir.FnLt, -3, 4.0), true}, {op(ir.FnGe, 9007199254740993, 9007199254740992.0), true}, {op(ir.FnGt, 9007199254740993, 9007199254740992), true},
		{op(ir.FnLt, true, false), nil}, {op(ir.FnEq, 0.0, math.Copysign(0, -1)), true}, {fold(ir.FnEq, "É", "é"), false},

		{ir.Match{X: lit("abc"), Patterns: []ir.Pattern{{Kind: ir.Wildcard, Text: "a*c"}}}, true},
		{ir.Match{X: lit("abc"), Patterns: nil}, false}, {ir.Match{X: lit(1), Patterns: []ir.Pattern{{Text: "1"}}}, nil},
		{ir.InNet{X: lit("10.1.2.3"), Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true}, {ir.InNet{X: lit("x"), Prefixes: nil}, false},
		{ir.InNet{X: lit(1)}, nil}, {ir.Cond{Node: ir.Const{}}, nil}, {own(event.FieldEntityID), "0xbeef"}, {own(event.FieldPID), 7}, {own(event.FieldCommandLine), "a bc"},
	} {
		want := lit(c.want).(ir.Lit).Value
		nodes := []ir.Node{ir.IsNull{X: c.x}}
		if want != nil {
			nodes = []ir.Node{ir.Test{X: op(ir.FnEq, c.x, want)}, ir.Not{Arg: ir.IsNull{X: c.x}}}
		}
		for _, n := range nodes {
			if got := eval(t, n, &expr.Context{Event: ev}); got != ir.True {
				t.Errorf("%s, want %#v", ir.DescribeExpr(c.x), want)
			}
			if got := reference.Eval(n, ev); got != ir.True {
				t.Errorf("reference: %s, want %#v", ir.DescribeExpr(c.x), want)
			}
		}
	}
}

// TestStages: fields of earlier events, also those that stand in no field of what is kept of an event.
func TestStages(t *testing.T) {
	first := process("Foo", "", "a", "b")
	first.Host = &event.Host{WallOffset: 5_000_000}
	ctx := &expr.Context{Event: process("bar", "")}
	ctx.Stages[3] = alert.AppendEvidence(make([]byte, 0, 4096), first, 4096)
	at := func(f event.FieldID, stage int) ir.Expr { return ir.Value{Field: f, Stage: stage} }
	for _, c := range []struct {
		x    ir.Expr
		want ir.Truth
	}{
		{op(ir.FnEq, at(event.FieldName, 3), "Foo"), ir.True},
		{fold(ir.FnNe, at(event.FieldName, 3), own(event.FieldName)), ir.True},
		{op(ir.FnEq, at(event.FieldName, 2), "Foo"), ir.Null},
		{op(ir.FnEq, at(event.FieldExecutable, 3), "Foo"), ir.Null},
		{op(ir.FnEq, at(event.FieldTimestamp, 3), 5), ir.True},
		{op(ir.FnEq, at(event.FieldHostOSType, 3), "linux"), ir.True},
		{op(ir.FnEq, at(event.FieldHostOSType, 2), "linux"), ir.Null},
		{op(ir.FnEq, at(event.FieldArgs, 3), "b"), ir.True},
		{op(ir.FnEq, at(event.FieldArgs, 3), "ab"), ir.False},
		{op(ir.FnEq, at(event.FieldCommandLine, 3), "a b"), ir.True},
		{op(ir.FnEq, at(event.FieldEntityID, 3), own(event.FieldEntityID)), ir.True},
	} {
		set, p := program(t, ir.Test{X: c.x})
		if !set.Later(p) {
			t.Errorf("%s does not read earlier events", ir.DescribeExpr(c.x))
		}
		if got := ir.Truth(set.Eval(p, ctx, set.NewScratch())); got != c.want {
			t.Errorf("%s: %s, want %s", ir.DescribeExpr(c.x), got, c.want)
		}
	}
	if set, p := program(t, ir.Present{Field: event.FieldPID}); set.Later(p) || set.Marks() != 0 {
		t.Error("a condition on the event alone reads more")
	}
}

// TestLineage: each relation looks at its own marks.
func TestLineage(t *testing.T) {
	var b build.Builder
	stage := &ir.Stage{Cond: ir.Const{Value: ir.True}}
	var programs [3]uint32
	for rel := range programs {
		p, err := b.Add(ir.Lineage{Rel: ir.Relation(rel), Event: stage}, func(ir.Lineage) int { return 63 })
		if err != nil {
			t.Fatal(err)
		}
		programs[rel] = p
	}
	set := loaded(t, &b)
	if set.Marks() != 64 || !set.Later(programs[0]) {
		t.Errorf("%d marks", set.Marks())
	}
	sc := set.NewScratch()
	for i, l := range []expr.Lineage{{Own: 1 << 63}, {Parent: 1 << 63}, {Ancestors: 1 << 63}} {
		for rel, p := range programs {
			if got := set.Eval(p, &expr.Context{Event: process("", ""), Lineage: l}, sc); (got == expr.True) != (rel == i) || got == expr.Null {
				t.Errorf("%s with %+v: %v", ir.Relation(rel), l, got)
			}
		}
	}
}

// TestArrays: a test goes through the elements of an array, those of two in all combinations, and no further than the
// limit.
func TestArrays(t *testing.T) {
	many := func(n int, last string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = "x"
		}
		list[n-1] = last
		return list
	}
	half := 16
	equal := ir.Test{X: op(ir.FnEq, own(event.FieldArgs), op(ir.FnConcat, "", "y"))}
	longer := ir.IsNull{X: op(ir.FnIndexOf, own(event.FieldArgs), "y")}
	pairs := ir.Test{X: op(ir.FnEq, op(ir.FnConcat, own(event.FieldArgs), "-", ir.Value{Field: event.FieldArgs}), "y-y")}
	if half*half != limits.CombosMax {
		t.Fatal("the limit is no square of 16 any more")
	}
	for _, c := range []struct {
		what string
		n    ir.Node
		args []string
		want expr.Truth
		cut  uint64
	}{
		{"none", equal, nil, expr.Null, 0},
		{"an empty one", equal, []string{""}, expr.False, 0},
		{"the last of the limit", equal, many(limits.CombosMax, "y"), expr.True, 0},
		{"no one of the limit", equal, many(limits.CombosMax, "x"), expr.False, 0},
		{"one beyond the limit", equal, many(limits.CombosMax+1, "y"), expr.False, 1},
		{"the first of more", equal, append([]string{"y"}, many(1000, "x")...), expr.True, 0},
		{"null of all", longer, many(3, "x"), expr.True, 0},
		{"null of all but one", longer, many(3, "y"), expr.False, 0},
		{"pairs of the limit", pairs, many(half, "y"), expr.True, 0},
		{"pairs beyond the limit", pairs, many(half+1, "y"), expr.False, 1},
	} {
		set, p := program(t, c.n)
		sc := set.NewScratch()
		ev := process("", "", c.args...)
		ctx := &expr.Context{Event: ev}
		ctx.Stages[0] = alert.AppendEvidence(make([]byte, 0, 8192), ev, 8192)
		if got := set.Eval(p, ctx, sc); got != c.want || sc.Cut != c.cut {
			t.Errorf("%s: %v and %d cut, want %v and %d", c.what, got, sc.Cut, c.want, c.cut)
		}
	}
}

// TestTextLimit: a text that does not fit is null and counted, and the next evaluation has the whole buffer again.
func TestTextLimit(t *testing.T) {
	long := strings.Repeat("a", 8000)
	parts := func(n int) ir.Node {
		args := []any{}
		for range n {
			args = append(args, own(event.FieldName))
		}
		return ir.Test{X: op(ir.FnEq, op(ir.FnLength, op(ir.FnConcat, args...)), n*len(long))}
	}
	for _, c := range []struct {
		n    int
		want expr.Truth
		cut  uint64
	}{{4, expr.True, 0}, {5, expr.Null, 1}} {
		set, p := program(t, parts(c.n))
		sc := set.NewScratch()
		for round := range uint64(3) {
			if got := set.Eval(p, &expr.Context{Event: process(long, "")}, sc); got != c.want || sc.Cut != c.cut*(round+1) {
				t.Errorf("%d parts: %v and %d cut, want %v and %d", c.n, got, sc.Cut, c.want, c.cut*(round+1))
			}
		}
	}
}

// TestWork: what an attacker can put into an event costs no more than so much. The texts are the worst for searching
// one in another; the machine that runs this may be slow.
func TestWork(t *testing.T) {
	element := strings.Repeat("a", 900)
	args := strings.Split(strings.Repeat(element+"\x00", 15)+strings.Repeat("a", 899)+"b", "\x00")
	ev := process("", "", args...)
	ctx := &expr.Context{Event: ev}
	ctx.Stages[0] = alert.AppendEvidence(make([]byte, 0, 8192), process("", strings.Repeat("a", 1023)+"b", args...), 8192)
	other := ir.Value{Field: event.FieldArgs}
	for _, x := range []ir.Expr{
		fold(ir.FnStringContains, own(event.FieldCommandLine), ir.Value{Field: event.FieldExecutable}),
		op(ir.FnStringContains, own(event.FieldCommandLine), ir.Value{Field: event.FieldExecutable}),
		fold(ir.FnStringContains, op(ir.FnConcat, own(event.FieldArgs), "c"), other),
		op(ir.FnEq, fold(ir.FnBetween, own(event.FieldArgs), other, "c", true), "x"),
		ir.Match{X: op(ir.FnConcat, own(event.FieldArgs), other), Patterns: []ir.Pattern{{Kind: ir.Regex, Text: "(a|aa)+(a|aa)+c"}, {Kind: ir.Wildcard, Text: "*a*a*a?c"}}},
	} {
		set, p := program(t, ir.Test{X: x})
		sc := set.NewScratch()
		begin := time.Now()
		set.Eval(p, ctx, sc)
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("%s took %s", ir.DescribeExpr(x), d)
		} else {
			t.Logf("%v, %d cut: %s", d, sc.Cut, ir.DescribeExpr(x))
		}
	}
}

// everything reads and computes in every way that a program can.
func everything() ir.Node {
	later := ir.Value{Field: event.FieldArgs}
	return ir.And{Args: []ir.Node{
		ir.Or{Args: []ir.Node{
			ir.Test{X: op(ir.FnEq, op(ir.FnLength, own(event.FieldExecutable)), 1000)},
			ir.Test{X: op(ir.FnEq, op(ir.FnIndexOf, own(event.FieldCommandLine), "ä"), 1000)},
			ir.Test{X: op(ir.FnEq, op(ir.FnConcat, own(event.FieldEntityID), 1.5e300, own(event.FieldPID), true), "x")},
			ir.Test{X: op(ir.FnGt, op(ir.FnNumber, "12.5e3"), op(ir.FnMod, op(ir.FnMul, own(event.FieldPID), 1e9), 0.3))},
		}},
		ir.Not{Arg: ir.Test{X: fold(ir.FnStringContains, own(event.FieldArgs), later)}},
		ir.Not{Arg: ir.Test{X: op(ir.FnEq, fold(ir.FnBetween, own(event.FieldCommandLine), "A", "B"), op(ir.FnSubstring, own(event.FieldExecutable), 1, -1))}},
		ir.Not{Arg: ir.Test{X: ir.Match{X: own(event.FieldCommandLine), Patterns: []ir.Pattern{{Kind: ir.Regex, Text: ".*[0-9]{3,}x"}, {Text: "q"}}}}},
		ir.Not{Arg: ir.Test{X: ir.InNet{X: op(ir.FnConcat, "10.", own(event.FieldPID), ".1.1"), Prefixes: []netip.Prefix{netip.MustParsePrefix("::/0")}}}},
		ir.Not{Arg: ir.IsNull{X: own(event.FieldTimestamp)}},
		ir.StringTest{Field: event.FieldArgs, Patterns: []ir.Pattern{{Text: "no"}, {Kind: ir.Suffix, Text: "Ü"}}},
	}}
}

// TestNoAllocation: evaluating makes no heap object.
func TestNoAllocation(t *testing.T) {
	set, p := program(t, everything())
	sc := set.NewScratch()
	ev := process("sh", strings.Repeat("é", 60), "-c", strings.Repeat("ü", 50), "aÜ")
	ctx := &expr.Context{Event: ev}
	ctx.Stages[0] = alert.AppendEvidence(make([]byte, 0, 8192), ev, 8192)
	if got := set.Eval(p, ctx, sc); got != expr.False {
		t.Fatalf("%v", got)
	}
	if n := mallocs.Least(func() {
		for range 1000 {
			set.Eval(p, ctx, sc)
		}
	}); n > 0 {
		t.Errorf("%d heap objects in 1000 evaluations", n)
	}
	if size := set.ScratchBytes(); size < expr.TextBytesMax || size > 2*expr.TextBytesMax {
		t.Errorf("a scratch of %d bytes", size)
	}
}

// TestBuilder: equal conditions share a program, and what does not fit is refused by name.
func TestBuilder(t *testing.T) {
	var b build.Builder
	x := ir.Test{X: op(ir.FnGt, op(ir.FnLength, own(event.FieldName)), 5)}
	one, _ := b.Add(x, nil)
	two, _ := b.Add(ir.And{Args: []ir.Node{x}}, nil)
	three, err := b.Add(ir.Not{Arg: x}, nil)
	if one != two || one == three || err != nil || b.Programs() != 2 || loaded(t, &b).Programs() != 2 {
		t.Errorf("programs %d, %d, %d of %d, %v", one, two, three, b.Programs(), err)
	}
	if table, err := new(build.Builder).Table(); len(table) != 0 || err != nil {
		t.Errorf("an empty table has %d bytes, %v", len(table), err)
	}
	nested := func(n int) ir.Expr {
		x := lit(1)
		for range n {
			x = op(ir.FnAdd, 1, x)
		}
		return op(ir.FnEq, x, 1)
	}
	list := func(n int, arg ir.Node) ir.Node {
		args := make([]ir.Node, n)
		for i := range args {
			args[i] = arg
		}
		return ir.And{Args: args}
	}
	var stages []ir.Node
	for s := range limits.StagesMax {
		for _, f := range []event.FieldID{event.FieldPID, event.FieldUserID, event.FieldParentPID, event.FieldGroupID, event.FieldExitCode} {
			stages = append(stages, ir.Test{X: op(ir.FnEq, ir.Value{Field: f, Stage: s}, 1)})
		}
	}
	conds := []any{own(event.FieldArgs)}
	for range 70 {
		conds = append(conds, ir.Cond{Node: ir.Present{Field: event.FieldPID}})
	}
	three3 := op(ir.FnConcat, own(event.FieldArgs), own(event.FieldEventType), ir.Value{Field: event.FieldArgs})
	for _, c := range []struct {
		n   ir.Node
		bad string
	}{
		{ir.Test{X: nested(expr.StackMax - 1)}, ""},
		{ir.Test{X: nested(expr.StackMax)}, "129 values at once (max 128)"},
		{list(expr.CodeMax/3, ir.Present{Field: event.FieldPID}), ""},
		{list(expr.CodeMax/3+2, ir.Present{Field: event.FieldPID}), "instructions (max 4096)"},
		{ir.Or{Args: stages[:expr.VarsMax]}, ""},
		{ir.Or{Args: stages[:expr.VarsMax+1]}, "reads 129 fields (max 128)"},
		{ir.IsNull{X: op(ir.FnConcat, conds[:expr.TempsMax+1]...)}, ""},
		{ir.IsNull{X: op(ir.FnConcat, conds[:expr.TempsMax+2]...)}, "65 conditions inside tests of arrays (max 64)"},
		{ir.Test{X: op(ir.FnEq, three3, "x")}, "3 arrays at once: process.args, event.type, process.args of step 1 (max 2)"},
		{ir.Test{X: op(ir.FnAdd, 1)}, "takes 2 to 2"},
		{ir.Test{X: lit(math.NaN())}, "NaN is no number"},
		{ir.IntTest{Field: event.FieldName}, "process.name is of kind string and cannot"},
		{ir.IPIn{Field: event.FieldPID}, "process.pid is of kind integer and cannot"},
		{ir.Test{X: ir.Lit{Value: 1}}, "a constant of type int"},
		{ir.Test{X: ir.Value{Field: 9999}}, "field 9999"},
		{ir.Test{X: ir.Value{Field: event.FieldPID, Stage: limits.StagesMax}}, "of step 31 is unknown"},
		{ir.Test{X: ir.Match{X: lit("a"), Patterns: []ir.Pattern{{Kind: ir.Regex, Text: "("}}}}, "pattern 0"},
		{ir.Test{X: ir.Match{X: lit("a"), Patterns: []ir.Pattern{{Text: "\xff"}}}}, "not UTF-8"},
		{ir.Lineage{Event: &ir.Stage{}}, "more than 64 different conditions"},
	} {
		var b build.Builder
		_, err := b.Add(c.n, nil)
		if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%v, want %q", err, c.bad)
		}
		if err == nil {
			loaded(t, &b)
		}
	}
	if limits.MarksMax != 64 {
		t.Error(fmt.Sprint("a mark is a bit of 64: ", limits.MarksMax))
	}
}
