package ir_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
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

// stray finds what Simplify promises to take away: constants that decide nothing, lists in lists of the same kind, double
// negations, tests of one field beside each other.
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
	} {
		if got := ir.Describe(c.n); got != c.want && !(strings.HasSuffix(got, c.want) && len(got) < 400) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
