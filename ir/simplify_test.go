package ir_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/irtest"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// random makes conditions and events over three fields, of few values, so that they meet and that fields are absent.
type random struct{ *rand.Rand }

var testFields = []event.FieldID{event.FieldName, event.FieldExecutable, event.FieldArgs}

func (r random) leaf() ir.Node {
	switch r.IntN(6) {
	case 0:
		return ir.Const{Value: ir.Truth(r.IntN(3))}
	case 1:
		return ir.Present{Field: testFields[r.IntN(len(testFields))]}
	case 2:
		return ir.IntTest{Field: event.FieldUserID, Cmp: ir.Cmp(r.IntN(6)), Value: int64(r.IntN(2))}
	}
	t := ir.StringTest{Field: testFields[r.IntN(len(testFields))]}
	for range 1 + r.IntN(2) {
		t.Patterns = append(t.Patterns, ir.Pattern{Kind: ir.PatternKind(r.IntN(4)), Text: string("ab"[r.IntN(2)])})
	}
	return t
}

func (r random) node(depth int) ir.Node {
	if depth == 0 {
		return r.leaf()
	}
	var args []ir.Node
	for range r.IntN(4) {
		args = append(args, r.node(depth-1))
	}
	switch r.IntN(5) {
	case 0:
		return ir.And{Args: args}
	case 1:
		return ir.Or{Args: args}
	case 2:
		return ir.Not{Arg: r.node(depth - 1)}
	case 3:
		return ir.IsTrue{Arg: r.node(depth - 1)}
	}
	return r.leaf()
}

func (r random) event() *event.Event {
	b := event.Builder{Buf: make([]byte, 1024)}
	b.Begin(event.TypeExec, 1)
	for _, slot := range []int{event.SlotName, event.SlotExecutable, event.SlotArgs} {
		if r.IntN(2) == 0 {
			b.String(slot, []string{"a", "b", "ab", "c"}[r.IntN(4)], 0)
		}
	}
	if r.IntN(2) == 0 {
		b.Int(event.SlotUID, int64(r.IntN(2)))
	}
	ev := &event.Event{Own: b.End()}
	ev.Proc = ev.Own
	ev.SetCategory()
	return ev
}

// TestSimplify: a simplified condition has the same truth value for every event, null apart from false.
func TestSimplify(t *testing.T) {
	seed := rand.Uint64()
	r := random{rand.New(rand.NewPCG(seed, 6))}
	var seen [3]int
	for range 3000 {
		n := r.node(4)
		before := fmt.Sprintf("%#v", n)
		s := ir.Simplify(n)
		if after := fmt.Sprintf("%#v", n); after != before {
			t.Fatalf("seed %d: simplifying changed its argument\n%s\n%s", seed, before, after)
		}
		for range 20 {
			ev := r.event()
			want := reference.Eval(n, ev)
			seen[want]++
			if got := reference.Eval(s, ev); got != want {
				t.Fatalf("seed %d: %s, simplified %s\n%#v\n%#v", seed, want, got, n, s)
			}
		}
		if bad := stray(s, true); bad != "" {
			t.Fatalf("seed %d: %s is left in %#v of %#v", seed, bad, s, n)
		}
	}
	if seen[ir.Null] == 0 || seen[ir.False] == 0 || seen[ir.True] == 0 {
		t.Errorf("truth values reached: %v", seen)
	}
}

// TestSimplifyValues: the same for conditions with computed values, of this event and of earlier ones.
func TestSimplifyValues(t *testing.T) {
	seed := rand.Uint64()
	src := &irtest.Source{Rand: rand.New(rand.NewPCG(seed, 7)), Stages: 2, Lineage: true}
	kinds := make(map[string]int)
	for range 3000 {
		n := src.Node(1 + src.IntN(3))
		before := fmt.Sprintf("%#v", n)
		s := ir.Simplify(n)
		if after := fmt.Sprintf("%#v", n); after != before {
			t.Fatalf("seed %d: simplifying changed its argument\n%s\n%s", seed, before, after)
		}
		if _, ok := n.(ir.Test); ok {
			kinds[fmt.Sprintf("%T", s)]++
		}
		for range 15 {
			env := &reference.Env{Event: src.Event(), Stages: []*event.Event{src.Event(), nil}}
			ancestor := src.IntN(2) == 0
			env.Lineage = func(ir.Lineage) bool { return ancestor }
			want := reference.EvalIn(n, env)
			if got := reference.EvalIn(s, env); got != want {
				t.Fatalf("seed %d: %s, simplified %s\n%#v\n%#v", seed, want, got, n, s)
			}
		}
	}
	// A test of a computed value becomes each kind of test of a field.
	for _, kind := range []string{"StringTest", "IntTest", "StringOrder", "FieldTest", "IPIn", "Not", "Const", "Test"} {
		if kinds["ir."+kind] == 0 {
			t.Errorf("seed %d: no test became %s: %v", seed, kind, kinds)
		}
	}
}

// TestAtoms: what a test of a computed value becomes.
func TestAtoms(t *testing.T) {
	own := func(f event.FieldID) ir.Expr { return ir.Value{Field: f, Stage: ir.Own} }
	lit := func(v any) ir.Expr { return ir.Lit{Value: v} }
	op := func(fn ir.Fn, args ...ir.Expr) ir.Expr { return ir.Op{Fn: fn, Args: args} }
	text := func(f event.FieldID, kind ir.PatternKind, s string) ir.Node {
		return ir.StringTest{Field: f, Patterns: []ir.Pattern{{Kind: kind, Text: s}}}
	}
	name, args, pid := own(event.FieldName), own(event.FieldArgs), own(event.FieldPID)
	sum := op(ir.FnGt, op(ir.FnAdd, pid, lit(int64(1))), lit(int64(2)))
	for _, c := range []struct {
		what string
		x    ir.Expr
		want ir.Node
	}{
		{"equal", op(ir.FnEq, name, lit("a")), text(event.FieldName, ir.Exact, "a")},
		{"unequal", op(ir.FnNe, name, lit("a")), ir.Not{Arg: text(event.FieldName, ir.Exact, "a")}},
		{"unequal of an array asks each element", op(ir.FnNe, args, lit("a")), ir.Test{X: op(ir.FnNe, args, lit("a"))}},
		{"begins", op(ir.FnStartsWith, args, lit("a")), text(event.FieldArgs, ir.Prefix, "a")},
		{"begins, sides exchanged", op(ir.FnStartsWith, lit("a"), name), ir.Test{X: op(ir.FnStartsWith, lit("a"), name)}},
		{"ends, in any case", ir.Op{Fn: ir.FnEndsWith, Fold: true, Args: []ir.Expr{name, lit("A")}},
			ir.StringTest{Field: event.FieldName, Patterns: []ir.Pattern{{Kind: ir.Suffix, Text: "A", Fold: true}}}},
		{"contains", op(ir.FnStringContains, name, lit("a")), text(event.FieldName, ir.Contains, "a")},
		{"every text contains the empty one", op(ir.FnStringContains, name, lit("")), text(event.FieldName, ir.Contains, "")},
		{"a number as text", op(ir.FnStartsWith, op(ir.FnString, pid), lit("1")), text(event.FieldPID, ir.Prefix, "1")},
		{"text order", op(ir.FnLt, name, lit("a")), ir.StringOrder{Field: event.FieldName, Cmp: ir.Lt, Value: "a"}},
		{"text order, sides exchanged", op(ir.FnLe, lit("a"), name), ir.StringOrder{Field: event.FieldName, Cmp: ir.Ge, Value: "a"}},
		{"number", op(ir.FnGt, lit(int64(3)), pid), ir.IntTest{Field: event.FieldPID, Cmp: ir.Lt, Value: 3}},
		{"number with a float", op(ir.FnGt, pid, lit(1.5)), ir.Test{X: op(ir.FnGt, pid, lit(1.5))}},
		{"two numbers", op(ir.FnLt, pid, own(event.FieldParentPID)),
			ir.FieldTest{Left: event.FieldPID, Right: event.FieldParentPID, Cmp: ir.Lt}},
		{"two texts", op(ir.FnNe, name, own(event.FieldExecutable)),
			ir.FieldTest{Left: event.FieldName, Right: event.FieldExecutable, Cmp: ir.Ne}},
		{"an earlier event", op(ir.FnEq, ir.Value{Field: event.FieldName}, lit("a")),
			ir.Test{X: op(ir.FnEq, ir.Value{Field: event.FieldName}, lit("a"))}},
		{"computed", sum, ir.Test{X: sum}},
		{"computed of constants", op(ir.FnGt, op(ir.FnAdd, lit(int64(1)), lit(1.5)), lit(int64(2))), ir.Const{Value: ir.True}},
		{"null", op(ir.FnEq, op(ir.FnConcat, name, lit(nil)), lit("a")), ir.Const{Value: ir.Null}},
		{"a condition compared", op(ir.FnNe, ir.Cond{Node: ir.Present{Field: event.FieldName}}, lit(true)),
			ir.Not{Arg: ir.Present{Field: event.FieldName}}},
		{"null test of a field", ir.Cond{Node: ir.IsNull{X: name}}, ir.Not{Arg: ir.Present{Field: event.FieldName}}},
		{"null test of a constant", ir.Cond{Node: ir.IsNull{X: op(ir.FnLength, lit("a"))}}, ir.Const{Value: ir.False}},
		{"nothing fits", ir.Cond{Node: ir.Lineage{Event: &ir.Stage{Cond: ir.Const{Value: ir.Null}}}}, ir.Const{Value: ir.False}},
	} {
		if got := ir.Simplify(ir.Test{X: c.x}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v\nwant %#v", c.what, got, c.want)
		}
	}
}

// stray finds what Simplify promises to take away: constants that decide nothing, lists in lists of the same kind,
// double negations, tests of one field beside each other.
func stray(n ir.Node, top bool) string {
	list := func(args []ir.Node, or bool) string {
		fields := make(map[event.FieldID]bool)
		if len(args) < 2 {
			return "a list of " + fmt.Sprint(len(args))
		}
		for _, a := range args {
			switch a := a.(type) {
			case ir.And:
				if !or {
					return "and in and"
				}
			case ir.Or:
				if or {
					return "or in or"
				}
			case ir.Const:
				if a.Value != ir.Null {
					return "a constant"
				}
				continue
			case ir.StringTest:
				if or && fields[a.Field] {
					return "two tests of one field"
				}
				fields[a.Field] = true
			}
			if s := stray(a, false); s != "" {
				return s
			}
		}
		return ""
	}
	switch n := n.(type) {
	case ir.And:
		return list(n.Args, false)
	case ir.Or:
		return list(n.Args, true)
	case ir.Not:
		if _, ok := n.Arg.(ir.Not); ok {
			return "not not"
		}
		return stray(n.Arg, false)
	case ir.IsTrue:
		return stray(n.Arg, false)
	case ir.Const:
		if !top {
			return "a constant"
		}
	}
	return ""
}

func TestDescribe(t *testing.T) {
	many := ir.StringTest{Field: event.FieldName}
	for i := range 20 {
		many.Patterns = append(many.Patterns, ir.Pattern{Text: fmt.Sprint("n", i)})
	}
	for _, c := range []struct {
		n    ir.Node
		want string
	}{
		{ir.Present{Field: event.FieldName}, "process.name is there"},
		{ir.StringTest{Field: event.FieldName, Patterns: []ir.Pattern{{Kind: ir.Prefix, Text: "a", Fold: true}, {Kind: ir.Regex, Text: "b+"}}},
			`process.name begins with "a" in any case, or matches "b+"`},
		{ir.IntTest{Field: event.FieldPID, Cmp: ir.Ge, Value: -1}, "process.pid >= -1"},
		{ir.IntIn{Field: event.FieldPID, Values: []int64{1, 2}}, "process.pid is one of [1 2]"},
		{ir.StringOrder{Field: event.FieldName, Cmp: ir.Lt, Value: "x"}, `process.name < "x"`},
		{ir.FieldTest{Left: event.FieldName, Right: event.FieldExecutable, Cmp: ir.Ne}, "process.name != process.executable"},
		{ir.Const{Value: ir.Null}, "null"},
		{many, "8 more"},
		{ir.Test{X: ir.Op{Fn: ir.FnGt, Args: []ir.Expr{ir.Op{Fn: ir.FnLength, Args: []ir.Expr{ir.Value{Field: event.FieldArgs, Stage: ir.Own}}},
			ir.Op{Fn: ir.FnMul, Args: []ir.Expr{ir.Lit{Value: int64(2)}, ir.Op{Fn: ir.FnNeg, Args: []ir.Expr{ir.Lit{Value: 1.5}}}}}}}},
			"length(process.args) > (2 * -1.5)"},
		{ir.Test{X: ir.Op{Fn: ir.FnEq, Fold: true, Args: []ir.Expr{ir.Value{Field: event.FieldName, Stage: 1}, ir.Lit{Value: "a"}}}},
			`process.name of step 2 == "a" in any case`},
		{ir.Test{X: ir.Op{Fn: ir.FnIndexOf, Fold: true, Args: []ir.Expr{ir.Lit{}, ir.Lit{Value: true}}}}, "indexOf~(null, true)"},
		{ir.IsNull{X: ir.Cond{Node: ir.Present{Field: event.FieldPID}}}, "(process.pid is there) is null"},
		{ir.Test{X: ir.Match{X: ir.Value{Field: event.FieldName}, Patterns: []ir.Pattern{{Text: "a"}}}}, `process.name of step 1 is "a"`},
		{ir.Test{X: ir.InNet{X: ir.Lit{Value: "::1"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("::/0")}}}, `"::1" is in [::/0]`},
		{ir.Lineage{Rel: ir.ChildOf, Event: &ir.Stage{Category: event.CategoryProcess, Cond: ir.And{Args: []ir.Node{
			ir.Or{Args: []ir.Node{ir.Present{Field: event.FieldPID}, ir.Not{Arg: ir.Const{Value: ir.True}}}}, ir.IsTrue{Arg: ir.And{}}}}}},
			"child of [process where (process.pid is there or not (true)) and (true) is true]"},
	} {
		if got := ir.Describe(c.n); got != c.want && !(strings.HasSuffix(got, c.want) && len(got) < 400) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
