package ir_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/irtest"
)

// parts are the conditions and computed values that Walk finds, as text.
func parts(n ir.Node) (list []string) {
	note := func(part any) bool {
		list = append(list, fmt.Sprintf("%#v", part))
		return true
	}
	ir.Walk(n, func(n ir.Node) bool { return note(n) }, func(x ir.Expr) bool { return note(x) })
	return list
}

// reflected are the same, found by the types of the fields alone: a new type of condition needs no line here.
func reflected(v reflect.Value, list []string) []string {
	switch v.Kind() {
	case reflect.Interface:
		if node, expr := reflect.TypeFor[ir.Node](), reflect.TypeFor[ir.Expr](); v.Type() == node || v.Type() == expr {
			list = append(list, fmt.Sprintf("%#v", v.Interface()))
		}
		return reflected(v.Elem(), list)
	case reflect.Slice:
		for i := range v.Len() {
			list = reflected(v.Index(i), list)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			list = reflected(v.Field(i), list)
		}
	}
	return list // what a pointer leads to, the event of a Lineage, is no part
}

// TestWalk: Walk finds every part of random conditions of all types, each once and in order.
func TestWalk(t *testing.T) {
	seed := rand.Uint64()
	src := &irtest.Source{Rand: rand.New(rand.NewPCG(seed, 31)), Stages: 2, Lineage: true}
	seen := make(map[reflect.Type]bool)
	note := func(part any) bool {
		seen[reflect.TypeOf(part)] = true
		return true
	}
	for range 2000 {
		n := src.Node(4)
		got, want := parts(n), reflected(reflect.ValueOf(&n).Elem(), nil)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %#v\nfound %q\nwant  %q", seed, n, got, want)
		}
		ir.Walk(n, func(n ir.Node) bool { return note(n) }, func(x ir.Expr) bool { return note(x) })
	}
	if len(seen) != nodeTypes+exprTypes {
		t.Errorf("seed %d: %d types of conditions and values (want %d): %v", seed, len(seen), nodeTypes+exprTypes, seen)
	}
}

// nodeTypes and exprTypes are how many types of conditions and computed values there are.
const nodeTypes, exprTypes = 15, 6

// walked is a condition with a condition inside a value inside a condition, and a lineage test inside another:
//
//	not (string(process.name of step 2) == string((process.pid == 1) is null)) and
//	    (child of [descendant of [..]] is true or present(process.name))
func walked() (n ir.Node, early, own ir.Value, outer ir.Lineage) {
	early, own = ir.Value{Field: event.FieldName, Stage: 1}, ir.Value{Field: event.FieldPID, Stage: ir.Own}
	user := ir.Test{X: ir.Value{Field: event.FieldUserID, Stage: 3}}
	inner := ir.Lineage{Rel: ir.DescendantOf, Event: &ir.Stage{Cond: user}}
	outer = ir.Lineage{Rel: ir.ChildOf, Event: &ir.Stage{Cond: inner}}
	isOne := ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{own, ir.Lit{Value: int64(1)}}}}
	text := func(x ir.Expr) ir.Expr { return ir.Op{Fn: ir.FnString, Args: []ir.Expr{x}} }
	same := ir.Op{Fn: ir.FnEq, Args: []ir.Expr{text(early), text(ir.Cond{Node: ir.IsNull{X: ir.Cond{Node: isOne}}})}}
	return ir.And{Args: []ir.Node{
		ir.Not{Arg: ir.Test{X: same}},
		ir.Or{Args: []ir.Node{ir.IsTrue{Arg: outer}, ir.Present{Field: event.FieldName}}},
	}}, early, own, outer
}

func TestWalkPrunes(t *testing.T) {
	n, _, own, _ := walked()
	var nodes, exprs []string
	enter := func(list *[]string, part any, but string) bool {
		name := fmt.Sprintf("%T", part)
		*list = append(*list, name)
		return name != but
	}
	for _, c := range []struct{ but, nodes, exprs string }{
		{"", "[ir.And ir.Not ir.Test ir.IsNull ir.Test ir.Or ir.IsTrue ir.Lineage ir.Present]",
			"[ir.Op ir.Op ir.Value ir.Op ir.Cond ir.Cond ir.Op ir.Value ir.Lit]"},
		{"ir.And", "[ir.And]", "[]"},
		{"ir.Test", "[ir.And ir.Not ir.Test ir.Or ir.IsTrue ir.Lineage ir.Present]", "[]"},
		{"ir.IsNull", "[ir.And ir.Not ir.Test ir.IsNull ir.Or ir.IsTrue ir.Lineage ir.Present]",
			"[ir.Op ir.Op ir.Value ir.Op ir.Cond]"},
		{"ir.Op", "[ir.And ir.Not ir.Test ir.Or ir.IsTrue ir.Lineage ir.Present]", "[ir.Op]"},
		{"ir.Cond", "[ir.And ir.Not ir.Test ir.Or ir.IsTrue ir.Lineage ir.Present]", "[ir.Op ir.Op ir.Value ir.Op ir.Cond]"},
	} {
		nodes, exprs = nil, nil
		ir.Walk(n, func(n ir.Node) bool { return enter(&nodes, n, c.but) },
			func(x ir.Expr) bool { return enter(&exprs, x, c.but) })
		if fmt.Sprint(nodes) != c.nodes || fmt.Sprint(exprs) != c.exprs {
			t.Errorf("without what is in %q: %v %v", c.but, nodes, exprs)
		}
	}
	var found []ir.Expr
	ir.WalkExpr(ir.InNet{X: ir.Match{X: ir.Cond{Node: ir.Test{X: own}}}}, nil, func(x ir.Expr) bool {
		if v, ok := x.(ir.Value); ok {
			found = append(found, v)
		}
		return true
	})
	if !slices.Equal(found, []ir.Expr{own}) {
		t.Errorf("in a value: %v", found)
	}
}

func TestPartsOfConditions(t *testing.T) {
	n, early, own, outer := walked()
	if got := ir.Values(n); !slices.Equal(got, []ir.Value{early, own}) {
		t.Errorf("values %v", got)
	}
	if got := ir.Lineages(n); !slices.Equal(got, []ir.Lineage{outer}) {
		t.Errorf("lineage tests %v", got)
	}
	present := ir.Present{Field: event.FieldName}
	for _, c := range []struct {
		n     ir.Node
		later bool
	}{
		{n, true}, {ir.Not{Arg: outer}, true}, {present, false}, {ir.IsNull{X: own}, false},
		{ir.IsTrue{Arg: ir.Test{X: early}}, true},
		{ir.Or{Args: []ir.Node{present, ir.Test{X: ir.Cond{Node: ir.IsNull{X: early}}}}}, true},
	} {
		if got := ir.IsLater(c.n); got != c.later {
			t.Errorf("%s is later: %t", ir.Describe(c.n), got)
		}
	}
	r := ir.Rule{Stages: make([]ir.Stage, 2), Until: &ir.Stage{}}
	if got := r.Conditions(); !slices.Equal(got, []*ir.Stage{&r.Stages[0], &r.Stages[1], r.Until}) {
		t.Errorf("conditions %v", got)
	}
	if r.Until = nil; len(r.Conditions()) != 2 {
		t.Errorf("%d conditions without until", len(r.Conditions()))
	}
}
