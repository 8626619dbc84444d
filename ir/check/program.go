package check

import (
	"cmp"
	"slices"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// computation is a computed condition and where it stands.
type computation struct {
	at eql.Span
	n  ir.Node
}

// computed makes a condition of a computed truth value.
func (c *checker) computed(at eql.Span, x ir.Expr) ir.Node { return c.compute(at, ir.Test{X: x}) }

// compute notes a computed condition, to be tried when the whole rule is known.
func (c *checker) compute(at eql.Span, n ir.Node) ir.Node {
	c.computations = append(c.computations, computation{at, n})
	return n
}

// programs tries whether the computed conditions become programs that a device can hold. What stands inside another is
// tried with it.
func (c *checker) programs() {
	if c.diags.HasErrors() {
		return
	}
	slices.SortStableFunc(c.computations, func(a, b computation) int {
		return cmp.Or(cmp.Compare(a.at.Start, b.at.Start), cmp.Compare(b.at.End, a.at.End))
	})
	end := 0
	for _, p := range c.computations {
		if p.at.End <= end {
			continue
		}
		end = p.at.End
		if m := measure(p.n); m.parts > small || m.arrays > 2 {
			c.program(p.at, p.n)
		}
	}
}

// small is a number of parts that no bound of a program can be met with: the tightest is on conditions inside tests of
// arrays, 64. Nearly all programs are small and need no trial.
const small = 60

// size is what a condition is made of: tests, operations, values and constants, and how many values of arrays are among
// them.
type size struct{ parts, arrays int }

func measure(n ir.Node) (s size) {
	switch n := n.(type) {
	case ir.And:
		return sum(n.Args, measure)
	case ir.Or:
		return sum(n.Args, measure)
	case ir.Not:
		return measure(n.Arg)
	case ir.Test:
		s = measureValue(n.X)
	case ir.IsNull:
		s = measureValue(n.X)
	}
	s.parts++
	return s
}

func measureValue(x ir.Expr) (s size) {
	switch x := x.(type) {
	case ir.Value:
		if x.Field.Kind() == event.KindStrings {
			s.arrays = 1
		}
	case ir.Op:
		s = sum(x.Args, measureValue)
	case ir.Match:
		s = measureValue(x.X)
	case ir.InNet:
		s = measureValue(x.X)
	case ir.Cond:
		s = measure(x.Node)
	}
	s.parts++
	return s
}

func sum[T any](list []T, measure func(T) size) (s size) {
	for _, x := range list {
		m := measure(x)
		s.parts, s.arrays = s.parts+m.parts, s.arrays+m.arrays
	}
	return s
}

func (c *checker) program(at eql.Span, n ir.Node) {
	mark := func(ir.Lineage) int { return 0 }
	if _, err := new(build.Builder).Add(n, mark); err != nil {
		c.errorf(at, "", "%v", err)
	}
}

// later tries the program that tests what a condition asks of earlier events and other processes.
func (c *checker) later(at eql.Span, cond ir.Node) {
	conjuncts := []ir.Node{cond}
	if and, ok := cond.(ir.And); ok {
		conjuncts = and.Args
	}
	conjuncts = slices.DeleteFunc(slices.Clone(conjuncts), func(n ir.Node) bool { return !readsLater(n) })
	if len(conjuncts) > 0 {
		c.program(at, ir.And{Args: conjuncts})
	}
}

// readsLater tells conditions that are known only when a step's turn has come: of earlier events and of lineage.
func readsLater(n ir.Node) bool {
	switch n := n.(type) {
	case ir.And:
		return slices.ContainsFunc(n.Args, readsLater)
	case ir.Or:
		return slices.ContainsFunc(n.Args, readsLater)
	case ir.Not:
		return readsLater(n.Arg)
	case ir.IsTrue:
		return readsLater(n.Arg)
	case ir.Test:
		return valueLater(n.X)
	case ir.IsNull:
		return valueLater(n.X)
	case ir.Lineage:
		return true
	}
	return false
}

func valueLater(x ir.Expr) bool {
	switch x := x.(type) {
	case ir.Value:
		return x.Stage != ir.Own
	case ir.Op:
		return slices.ContainsFunc(x.Args, valueLater)
	case ir.Match:
		return valueLater(x.X)
	case ir.InNet:
		return valueLater(x.X)
	case ir.Cond:
		return readsLater(x.Node)
	}
	return false
}
