package rules

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// truths is a set of truth values.
type truths uint8

const (
	canBeNull  truths = 1 << ir.Null
	canBeFalse truths = 1 << ir.False
	canBeTrue  truths = 1 << ir.True
	anyTruth          = canBeNull | canBeFalse | canBeTrue
)

// possible are the values that a condition can take for events of a category, as far as that can be told without looking
// into the leaves: from constants, and from fields that no such event has.
func possible(n ir.Node, c event.Category) truths {
	switch n := n.(type) {
	case ir.Const:
		return 1 << n.Value
	case ir.Not:
		return negated(possible(n.Arg, c))
	case ir.IsTrue:
		t := possible(n.Arg, c)
		result := t & canBeTrue
		if t&^canBeTrue != 0 {
			result |= canBeFalse
		}
		return result
	case ir.And:
		return joined(n.Args, c, canBeTrue, canBeFalse)
	case ir.Or:
		return joined(n.Args, c, canBeFalse, canBeTrue)
	case ir.Present:
		if !carriedBy(n.Field, c) {
			return canBeFalse
		}
		return canBeFalse | canBeTrue
	case ir.Test, ir.IsNull, ir.Lineage:
		return anyTruth
	case ir.FieldTest:
		if !carriedBy(n.Left, c) || !carriedBy(n.Right, c) {
			return canBeNull
		}
	default:
		if f, ok := ir.FieldOf(n); ok && !carriedBy(f, c) {
			return canBeNull
		}
	}
	return anyTruth
}

func negated(t truths) truths {
	n := t & canBeNull
	if t&canBeTrue != 0 {
		n |= canBeFalse
	}
	if t&canBeFalse != 0 {
		n |= canBeTrue
	}
	return n
}

// joined are the values of an And or Or: unit is the value of an empty one, zero the one that decides.
func joined(args []ir.Node, c event.Category, unit, zero truths) truths {
	all := unit
	for _, a := range args {
		t := possible(a, c)
		var next truths
		if (all|t)&zero != 0 {
			next |= zero
		}
		if all&unit != 0 && t&unit != 0 {
			next |= unit
		}
		if all&canBeNull != 0 && t&^zero != 0 || t&canBeNull != 0 && all&^zero != 0 {
			next |= canBeNull
		}
		all = next
	}
	return all
}

// carriedBy tells whether an event of a category can have a field.
func carriedBy(f event.FieldID, c event.Category) bool {
	if c == event.CategoryAny {
		return true
	}
	for i := range event.Types {
		if t := &event.Types[i]; t.Category == c && f.CarriedBy(t.Class) {
			return true
		}
	}
	return false
}

// coverStepsMax bounds a comparison of two conditions, whose nested parts are compared with each other. Those that people
// write take fewer than a hundred.
const coverStepsMax = 10_000

// cover compares conditions.
type cover struct{ steps int }

// covers tells that a is true whenever b is, as far as their forms show it. It may say no of what is covered.
func covers(a, b ir.Node) bool { return (&cover{}).covers(a, b) }

func (c *cover) covers(a, b ir.Node) bool {
	if c.steps++; c.steps > coverStepsMax {
		return false
	}
	if k, ok := a.(ir.Const); ok && k.Value == ir.True || reflect.DeepEqual(a, b) {
		return true
	}
	holds := func(x ir.Node) bool { return c.covers(a, x) }
	if b, ok := b.(ir.Or); ok {
		return subset(b.Args, holds)
	}
	if b, ok := b.(ir.And); ok && slices.ContainsFunc(b.Args, holds) {
		return true
	}
	switch a := a.(type) {
	case ir.And:
		return subset(a.Args, func(x ir.Node) bool { return c.covers(x, b) })
	case ir.Or:
		return slices.ContainsFunc(a.Args, func(x ir.Node) bool { return c.covers(x, b) })
	}
	return leafCovers(a, b)
}

func leafCovers(a, b ir.Node) bool {
	switch a := a.(type) {
	case ir.Present:
		// Every other test of the field is null without it.
		f, ok := ir.FieldOf(b)
		_, same := b.(ir.Present)
		return ok && !same && f == a.Field
	case ir.StringTest:
		if b, ok := b.(ir.StringTest); ok && a.Field == b.Field {
			return subset(b.Patterns, func(p ir.Pattern) bool {
				folded := p
				folded.Fold = true
				return slices.Contains(a.Patterns, p) || slices.Contains(a.Patterns, folded)
			})
		}
	case ir.IntIn:
		switch b := b.(type) {
		case ir.IntIn:
			return a.Field == b.Field && subset(b.Values, func(v int64) bool { return slices.Contains(a.Values, v) })
		case ir.IntTest:
			return a.Field == b.Field && b.Cmp == ir.Eq && slices.Contains(a.Values, b.Value)
		}
	case ir.IPIn:
		if b, ok := b.(ir.IPIn); ok && a.Field == b.Field {
			return subset(b.Prefixes, func(p netip.Prefix) bool {
				return slices.ContainsFunc(a.Prefixes, func(q netip.Prefix) bool {
					return q.Bits() <= p.Bits() && q.Contains(p.Addr())
				})
			})
		}
	}
	return false
}

// subset tells that all elements are in a set.
func subset[T any](list []T, in func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !in(v) })
}
