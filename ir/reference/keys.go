package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// joinKeys are the keys by which an event takes part: one, or one for each combination of the elements of arrays, equal
// ones once, and no more combinations than the limit. None when a value is null that must not be.
func joinKeys(keys []ir.Key, ev *event.Event) []string {
	combinations := []string{""}
	for _, k := range keys {
		texts := []string{"null"}
		if vs, ok := Values(k.Field, ev); ok {
			texts = nil
			for _, v := range vs {
				texts = append(texts, fmt.Sprintf("%q", v))
			}
		} else if !k.Optional {
			return nil
		}
		var longer []string
		for _, c := range combinations {
			for _, t := range texts {
				longer = append(longer, c+t+",")
			}
		}
		combinations = longer[:min(len(longer), limits.CombosMax)]
	}
	var list []string
	for _, c := range combinations {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// walk calls visit for a condition or value and for all that it is made of, without what a lineage test says of other
// events.
func walk(n any, visit func(any)) {
	visit(n)
	switch n := n.(type) {
	case ir.And:
		for _, a := range n.Args {
			walk(a, visit)
		}
	case ir.Or:
		for _, a := range n.Args {
			walk(a, visit)
		}
	case ir.Not:
		walk(n.Arg, visit)
	case ir.IsTrue:
		walk(n.Arg, visit)
	case ir.Test:
		walk(n.X, visit)
	case ir.IsNull:
		walk(n.X, visit)
	case ir.Op:
		for _, a := range n.Args {
			walk(a, visit)
		}
	case ir.Match:
		walk(n.X, visit)
	case ir.InNet:
		walk(n.X, visit)
	case ir.Cond:
		walk(n.Node, visit)
	}
}

// conditions are the stages of a rule, until among them.
func conditions(r *ir.Rule) (list []*ir.Stage) {
	for i := range r.Stages {
		list = append(list, &r.Stages[i])
	}
	if r.Until != nil {
		list = append(list, r.Until)
	}
	return list
}

// stagesRead are the stages whose events the conditions of a rule read.
func stagesRead(r *ir.Rule) (list []int) {
	for _, st := range conditions(r) {
		// What no event could make a difference to is not read: the same rule must have the same states everywhere.
		walk(ir.Simplify(st.Cond), func(n any) {
			if v, ok := n.(ir.Value); ok && v.Stage != ir.Own {
				list = append(list, v.Stage)
			}
		})
	}
	return list
}

// lineageTests are the tests of lineage in a condition.
func lineageTests(cond ir.Node) (list []ir.Lineage) {
	walk(cond, func(n any) {
		if l, ok := n.(ir.Lineage); ok {
			list = append(list, l)
		}
	})
	return list
}

// unique joins texts in a form that differs when they do.
func unique(texts ...string) string { return strings.Join(texts, "\x00") }
