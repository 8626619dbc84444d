package build

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// split parts a condition in two: bound reads the event alone and is true whenever the condition is; rest, nil for
// nothing, is what remains to be tested once the earlier events are known. Both together are the condition.
func split(n ir.Node) (bound, rest ir.Node) {
	if !ir.IsLater(n) {
		return n, nil
	}
	var bounds, rests []ir.Node
	for _, c := range conjuncts(n, false, nil) {
		if !ir.IsLater(c) {
			bounds = append(bounds, c)
			continue
		}
		bounds = append(bounds, upper(c, false))
		rests = append(rests, c)
	}
	return ir.Simplify(ir.And{Args: bounds}), ir.Simplify(ir.And{Args: rests})
}

// conjuncts appends what must all be true for n, negated if neg, to be true.
func conjuncts(n ir.Node, neg bool, to []ir.Node) []ir.Node {
	switch x := n.(type) {
	case ir.And:
		if !neg {
			for _, a := range x.Args {
				to = conjuncts(a, false, to)
			}
			return to
		}
	case ir.Or:
		if neg {
			for _, a := range x.Args {
				to = conjuncts(a, true, to)
			}
			return to
		}
	case ir.Not:
		return conjuncts(x.Arg, !neg, to)
	case ir.IsTrue:
		if !neg {
			return conjuncts(x.Arg, false, to)
		}
	}
	if neg {
		n = ir.Not{Arg: n}
	}
	return append(to, n)
}

// upper is a condition on the event alone that is true whenever n, negated if neg, is: what reads more is taken as
// true, whatever its sign.
func upper(n ir.Node, neg bool) ir.Node {
	if !ir.IsLater(n) {
		if neg {
			return ir.Not{Arg: n}
		}
		return n
	}
	each := func(args []ir.Node) (list []ir.Node) {
		for _, a := range args {
			list = append(list, upper(a, neg))
		}
		return list
	}
	switch n := n.(type) {
	case ir.And:
		if neg {
			return ir.Or{Args: each(n.Args)}
		}
		return ir.And{Args: each(n.Args)}
	case ir.Or:
		if neg {
			return ir.And{Args: each(n.Args)}
		}
		return ir.Or{Args: each(n.Args)}
	case ir.Not:
		return upper(n.Arg, !neg)
	case ir.IsTrue:
		// Negated it is true for null as well, which no bound of the negation covers.
		if !neg {
			return upper(n.Arg, false)
		}
	}
	return ir.Const{Value: ir.True}
}

// mark is a condition inside `descendant of`, `child of` or `event of`.
type mark struct {
	stage  *ir.Stage
	serves string // rule that asks first
	height int    // how deep such conditions are nested in it
	number int
}

// marks collects the conditions on ancestors of a rule set, equal ones once. A condition comes before those that stand
// inside it: of the marks of an event, only the others' must count for it, which are set after its own was looked for.
type marks struct {
	byKey map[string]*mark
	list  []*mark
}

// keyWriter writes a text that two conditions have in common only when they are equal. Go's own form of a value will
// not do: the stage of a lineage leaf is a pointer.
type keyWriter struct{ strings.Builder }

func markKey(s *ir.Stage) string {
	var k keyWriter
	k.stage(s)
	return k.String()
}

func nodeKey(n ir.Node) string {
	var k keyWriter
	k.node(n)
	return k.String()
}

func (k *keyWriter) stage(s *ir.Stage) {
	fmt.Fprint(k, s.Category, " where ")
	k.node(ir.Simplify(s.Cond))
}

func (k *keyWriter) node(n ir.Node) {
	switch n := n.(type) {
	case ir.And:
		k.list("and", n.Args)
	case ir.Or:
		k.list("or", n.Args)
	case ir.Not:
		k.list("not", []ir.Node{n.Arg})
	case ir.IsTrue:
		k.list("true", []ir.Node{n.Arg})
	case ir.Test:
		k.WriteString("test")
		k.expr(n.X)
	case ir.IsNull:
		k.WriteString("null")
		k.expr(n.X)
	case ir.Lineage:
		fmt.Fprint(k, n.Rel, "[")
		k.stage(n.Event)
		k.WriteString("]")
	default:
		fmt.Fprintf(k, "%#v", n)
	}
}

func (k *keyWriter) list(name string, args []ir.Node) {
	k.WriteString(name + "(")
	for _, a := range args {
		k.node(a)
		k.WriteString(",")
	}
	k.WriteString(")")
}

func (k *keyWriter) expr(x ir.Expr) {
	k.WriteString("(")
	defer k.WriteString(")")
	switch x := x.(type) {
	case ir.Op:
		fmt.Fprint(k, x.Fn, x.Fold)
		for _, a := range x.Args {
			k.expr(a)
		}
	case ir.Match:
		k.expr(x.X)
		fmt.Fprintf(k, "%#v", x.Patterns)
	case ir.InNet:
		k.expr(x.X)
		fmt.Fprint(k, x.Prefixes)
	case ir.Cond:
		k.node(x.Node)
	default:
		fmt.Fprintf(k, "%#v", x)
	}
}

func collectMarks(rules []ir.Rule) (*marks, error) {
	m := &marks{byKey: make(map[string]*mark)}
	for i := range rules {
		for _, s := range rules[i].Conditions() {
			m.add(ir.Simplify(s.Cond), rules[i].ID)
		}
		if len(m.list) > limits.MarksMax {
			return nil, fmt.Errorf("compile rule %s: it makes %d different conditions inside descendant of, child of and "+
				"event of (max %d)", rules[i].ID, len(m.list), limits.MarksMax)
		}
	}
	slices.SortStableFunc(m.list, func(a, b *mark) int { return cmp.Compare(b.height, a.height) })
	for i, x := range m.list {
		x.number = i
	}
	return m, nil
}

// add collects the marks in a condition and says how deep they are nested.
func (m *marks) add(n ir.Node, serves string) (height int) {
	for _, l := range ir.Lineages(n) {
		if len(m.list) > limits.MarksMax {
			break // which the caller refuses
		}
		key := markKey(l.Event)
		x := m.byKey[key]
		if x == nil {
			x = &mark{stage: l.Event, serves: serves}
			m.byKey[key] = x
			m.list = append(m.list, x)
			x.height = 1 + m.add(ir.Simplify(l.Event.Cond), serves)
		}
		height = max(height, x.height)
	}
	return height
}

// number is the number of a lineage condition, -1 for one that was not collected.
func (m *marks) number(l ir.Lineage) int {
	if x := m.byKey[markKey(l.Event)]; x != nil {
		return x.number
	}
	return -1
}

// rule is the hidden rule that sets a mark.
func (x *mark) rule() *ir.Rule {
	return &ir.Rule{ID: x.serves, Name: x.serves, Stages: []ir.Stage{{Category: x.stage.Category, Cond: x.stage.Cond}}}
}

// inherit is the hidden rule that tells which events begin a process.
func inherit() *ir.Rule {
	start := ir.StringTest{Field: event.FieldEventType, Patterns: []ir.Pattern{{Text: "start"}}}
	return &ir.Rule{Stages: []ir.Stage{{Category: event.CategoryProcess, Cond: start}}}
}
