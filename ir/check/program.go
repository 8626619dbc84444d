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
	ir.Walk(n, func(n ir.Node) bool {
		switch n.(type) {
		case ir.And, ir.Or, ir.Not:
		default:
			s.parts++
		}
		return true
	}, func(x ir.Expr) bool {
		s.parts++
		if v, ok := x.(ir.Value); ok && v.Field.Kind() == event.KindStrings {
			s.arrays++
		}
		return true
	})
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
	conjuncts = slices.DeleteFunc(slices.Clone(conjuncts), func(n ir.Node) bool { return !ir.IsLater(n) })
	if len(conjuncts) > 0 {
		c.program(at, ir.And{Args: conjuncts})
	}
}
