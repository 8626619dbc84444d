package engine

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// text is a computed string.
func (g generator) text(depth int) ir.Expr {
	if depth == 0 {
		if g.IntN(4) == 0 {
			return ir.Lit{Value: g.word()}
		}
		// Few array fields: an expression reads two at most.
		return ir.Value{Field: g.field([]event.FieldID{event.FieldName, event.FieldExecutable, event.FieldFilePath, event.FieldUserName}), Stage: ir.Own}
	}
	switch g.IntN(5) {
	case 0:
		return ir.Op{Fn: ir.FnConcat, Args: []ir.Expr{g.text(depth - 1), g.value(depth - 1)}}
	case 1:
		return ir.Op{Fn: ir.FnSubstring, Args: []ir.Expr{g.text(depth - 1), ir.Lit{Value: int64(g.IntN(5) - 2)}, ir.Lit{Value: int64(g.IntN(5))}}}
	case 2:
		return ir.Op{Fn: ir.FnBetween, Fold: g.IntN(2) == 0, Args: []ir.Expr{g.text(depth - 1), g.text(0), g.text(0)}}
	case 3:
		return ir.Op{Fn: ir.FnString, Args: []ir.Expr{g.value(depth - 1)}}
	}
	return g.text(depth - 1)
}

// number is a computed number.
func (g generator) number(depth int) ir.Expr {
	if depth == 0 {
		switch g.IntN(4) {
		case 0:
			return ir.Lit{Value: int64(g.IntN(5))}
		case 1:
			return ir.Lit{Value: 1.5}
		}
		return ir.Value{Field: g.field(intFields[:5]), Stage: ir.Own}
	}
	switch g.IntN(5) {
	case 0, 1:
		fn := []ir.Fn{ir.FnAdd, ir.FnSub, ir.FnMul, ir.FnDiv, ir.FnMod}[g.IntN(5)]
		return ir.Op{Fn: fn, Args: []ir.Expr{g.number(depth - 1), g.number(depth - 1)}}
	case 2:
		return ir.Op{Fn: ir.FnLength, Args: []ir.Expr{g.text(depth - 1)}}
	case 3:
		return ir.Op{Fn: ir.FnIndexOf, Args: []ir.Expr{g.text(depth - 1), g.text(0)}}
	}
	return ir.Op{Fn: ir.FnNumber, Args: []ir.Expr{g.text(depth - 1)}}
}

func (g generator) value(depth int) ir.Expr {
	if g.IntN(2) == 0 {
		return g.text(depth)
	}
	return g.number(depth)
}

// truth is a computed truth value.
func (g generator) truth(depth int) ir.Expr {
	args := ir.Value{Field: event.FieldArgs, Stage: ir.Own}
	switch g.IntN(7) {
	case 0:
		return ir.Match{X: g.text(depth), Patterns: []ir.Pattern{g.pattern(), g.pattern()}}
	case 1:
		return ir.Match{X: args, Patterns: []ir.Pattern{g.pattern()}}
	case 2:
		return ir.Op{Fn: ir.FnStartsWith, Fold: g.IntN(2) == 0, Args: []ir.Expr{args, g.text(depth)}}
	case 3:
		return ir.InNet{X: g.text(depth), Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	}
	fn := ir.Fn(int(ir.FnEq) + g.IntN(6))
	if g.IntN(2) == 0 {
		return ir.Op{Fn: fn, Args: []ir.Expr{g.text(depth), g.text(depth)}}
	}
	return ir.Op{Fn: fn, Args: []ir.Expr{g.number(depth), g.number(depth)}}
}

var joinFields = [][]ir.Key{
	{},
	{{Field: event.FieldEntityID}},
	{{Field: event.FieldUserID}, {Field: event.FieldName}},
	{{Field: event.FieldExecutable, Optional: true}},
	{{Field: event.FieldArgs}},
	{{Field: event.FieldArgs, Optional: true}, {Field: event.FieldArgs}},
}

func (g generator) rule(i int) ir.Rule {
	r := ir.Rule{ID: fmt.Sprint("r", i), Name: fmt.Sprint("rule ", i), Severity: ir.Severity(g.IntN(4))}
	switch g.IntN(6) {
	case 0, 1:
		g.sequence(&r)
	case 2:
		r.Form = ir.FormSample
		keys := joinFields[1+g.IntN(len(joinFields)-1)]
		for range 2 + g.IntN(2) {
			r.Stages = append(r.Stages, ir.Stage{Category: g.category(), Cond: g.node(2), Keys: keys})
		}
	default:
		r.Stages = []ir.Stage{{Category: g.category(), Cond: g.later(g.node(3), nil)}}
	}
	return r
}

func (g generator) sequence(r *ir.Rule) {
	r.Form = ir.FormSequence
	keys := joinFields[g.IntN(len(joinFields))]
	if g.IntN(2) == 0 {
		r.MaxSpan = time.Duration(1 + g.IntN(20))
	}
	missing := r.MaxSpan > 0 && !g.late && g.IntN(2) == 0
	var earlier []int
	stages := 2 + g.IntN(3)
	for s := range stages {
		st := ir.Stage{Category: g.category(), Cond: g.later(g.node(3), earlier), Keys: keys}
		switch {
		case missing && g.IntN(3) == 0 && (len(earlier) > 0 || s < stages-1):
			st.Missing = true
		case g.IntN(5) == 0:
			st.Runs = 2 + g.IntN(3)
		}
		if !st.Missing {
			earlier = append(earlier, s)
		}
		r.Stages = append(r.Stages, st)
	}
	if !missing && g.IntN(3) == 0 {
		r.Until = &ir.Stage{Category: g.category(), Cond: g.node(2), Keys: keys}
	}
}

// later adds, now and then, a test of earlier events or of the process's ancestors.
func (g generator) later(n ir.Node, earlier []int) ir.Node {
	var more ir.Node
	switch {
	case len(earlier) > 0 && !g.late && g.IntN(3) == 0:
		f := g.field([]event.FieldID{event.FieldName, event.FieldExecutable, event.FieldUserName, event.FieldArgs})
		then := ir.Value{Field: f, Stage: earlier[g.IntN(len(earlier))]}
		now := ir.Value{Field: g.field([]event.FieldID{event.FieldName, event.FieldExecutable}), Stage: ir.Own}
		more = ir.Test{X: ir.Op{Fn: []ir.Fn{ir.FnEq, ir.FnStartsWith, ir.FnStringContains, ir.FnNe}[g.IntN(4)], Args: []ir.Expr{now, then}}}
	case g.IntN(6) == 0:
		more = ir.Lineage{Rel: ir.Relation(g.IntN(3)), Event: &ir.Stage{Category: g.category(), Cond: g.node(1)}}
	default:
		return n
	}
	if g.IntN(4) == 0 {
		more = ir.Not{Arg: more}
	}
	if g.IntN(2) == 0 {
		return ir.And{Args: []ir.Node{n, more}}
	}
	return ir.Or{Args: []ir.Node{n, more}}
}
