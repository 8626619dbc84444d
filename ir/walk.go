package ir

import "slices"

// Walk calls node for a condition and for every condition in it, and value for every computed value in these: parents
// first, then their parts from left to right. Conditions inside computed values are among them; those of a Lineage are
// not, which are about other events. A part is left out with all that is in it when its function returns false. Either
// function may be nil, which leaves nothing out.
func Walk(n Node, node func(Node) bool, value func(Expr) bool) {
	if node != nil && !node(n) {
		return
	}
	switch n := n.(type) {
	case And:
		for _, a := range n.Args {
			Walk(a, node, value)
		}
	case Or:
		for _, a := range n.Args {
			Walk(a, node, value)
		}
	case Not:
		Walk(n.Arg, node, value)
	case IsTrue:
		Walk(n.Arg, node, value)
	case Test:
		WalkExpr(n.X, node, value)
	case IsNull:
		WalkExpr(n.X, node, value)
	}
}

// WalkExpr is Walk that begins at a computed value.
func WalkExpr(x Expr, node func(Node) bool, value func(Expr) bool) {
	if value != nil && !value(x) {
		return
	}
	switch x := x.(type) {
	case Op:
		for _, a := range x.Args {
			WalkExpr(a, node, value)
		}
	case Match:
		WalkExpr(x.X, node, value)
	case InNet:
		WalkExpr(x.X, node, value)
	case Cond:
		Walk(x.Node, node, value)
	}
}

// Values are the fields that the computed values of a condition read, in the order in which they stand there.
func Values(n Node) (list []Value) {
	Walk(n, nil, func(x Expr) bool {
		if v, ok := x.(Value); ok {
			list = append(list, v)
		}
		return true
	})
	return list
}

// Lineages are the tests of lineage in a condition, without those inside them, in the order in which they stand there.
func Lineages(n Node) (list []Lineage) {
	Walk(n, func(n Node) bool {
		if l, ok := n.(Lineage); ok {
			list = append(list, l)
		}
		return true
	}, nil)
	return list
}

// IsLater tells whether a condition needs more than the event: fields of earlier events, or the lineage of the process.
func IsLater(n Node) bool {
	return len(Lineages(n)) > 0 || slices.ContainsFunc(Values(n), func(v Value) bool { return v.Stage != Own })
}

// Conditions are the stages of the rule, and behind them until if there is one: the rule's own, not copies.
func (r *Rule) Conditions() []*Stage {
	list := make([]*Stage, 0, len(r.Stages)+1)
	for i := range r.Stages {
		list = append(list, &r.Stages[i])
	}
	if r.Until != nil {
		list = append(list, r.Until)
	}
	return list
}
