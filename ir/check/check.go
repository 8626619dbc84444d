// Package check gives a parsed query its meaning: it resolves fields against the event schema, checks types, folds
// constants and lowers the tree to package ir. Host only. Everything that is wrong with a query is reported, each thing
// at its place.
//
//	Rule ─▶ stages ─▶ boolean ─▶ compare, match ─▶ atoms: tests of one field of the event against constants (field.go)
//	                     ╰─▶ value, call ────────▶ computed values: ir.Test over ir.Expr (value.go, call.go)
//
// What can be an atom becomes one: the automata of an image index atoms. Computed values are for the rest.
//
// Memory: the result owns its nodes; the source text is borrowed by the diagnostics. Goroutines: one call is one
// goroutine, calls share nothing but tables that nobody writes. When full: after eql.MaxDiagnostics errors the checker
// goes on in silence and closes the list with one that says so; warnings beyond as many are dropped. The depth of its
// recursion is bounded by that of the tree (eql.MaxDepth).
package check

import (
	"cmp"
	"slices"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// Globals are the lists that $NAME stands for: strings and integers.
type Globals map[string][]any

// checker is one pass over one query.
type checker struct {
	src      *eql.Source
	dialect  eql.Dialect
	globals  Globals
	category event.Category // of the event whose condition is lowered
	steps    []step         // of a sequence
	at       int            // index of the step that is lowered; noStep outside of them
	blind    string         // why the steps cannot be read here; "" when they can
	// computations are all computed conditions of the query.
	computations []computation
	diags        eql.Diagnostics
	parsed       int // of diags, those of the parser
	errors       int // of diags, those of the checker that are errors
	warnings     int
}

// noStep is the place of a condition that belongs to no step.
const noStep = -1

// Rule lowers a query that the parser had the diagnostics parsed for; they are part of the result, so that all that is
// wrong with a query is said at once. The rule has stages, keys and maxspan; its id and the rest are the caller's. It is
// usable when the diagnostics hold no error.
func Rule(q *eql.Query, parsed eql.Diagnostics, globals Globals) (ir.Rule, eql.Diagnostics) {
	c := &checker{src: q.Source, dialect: q.Dialect, globals: globals, category: event.CategoryAny, at: noStep}
	c.diags, c.parsed = append(c.diags, parsed...), len(parsed)
	if !parsed.HasErrors() {
		for _, d := range eql.Check(q) {
			c.add(d)
		}
	}
	r := c.rule(q)
	c.programs()
	return r, c.finish()
}

// Expr lowers a bare condition, such as that of a suppression, for events of any category.
func Expr(src *eql.Source, x eql.Expr, d eql.Dialect, globals Globals) (ir.Node, eql.Diagnostics) {
	c := &checker{src: src, dialect: d, globals: globals, category: event.CategoryAny, at: noStep}
	n := ir.Simplify(c.boolean(x))
	c.programs()
	return n, c.finish()
}

func (c *checker) rule(q *eql.Query) ir.Rule {
	var r ir.Rule
	switch q.Kind {
	case eql.KindEvent:
	case eql.KindSequence:
		r.Form = ir.FormSequence
	case eql.KindSample:
		r.Form = ir.FormSample
	case eql.KindJoin:
		c.errorf(q.Span, "a sample takes events in any order",
			"join is not for rules: it waits for its events without bound")
		return r
	}
	for _, p := range q.Pipes {
		c.errorf(p.Span, "`kestrel hunt` takes pipes",
			"the pipe `%s` is not for rules: a rule alerts on events as they come", p.Name)
	}
	if q.MaxSpan != nil {
		r.MaxSpan = q.MaxSpan.Duration()
	}
	if len(q.Stages) > limits.StagesMax-1 {
		c.errorf(q.Stages[limits.StagesMax-1].Span, "", "%d steps (max %d)", len(q.Stages), limits.StagesMax-1)
	}
	c.nameSteps(q)
	common := c.keys(q.By)
	columns := make([][]key, 0, len(q.Stages)+1)
	for i, s := range q.Stages {
		if r.Form != ir.FormEvent {
			c.at = i
		}
		st, own := c.stage(s)
		r.Stages, columns = append(r.Stages, st), append(columns, slices.Concat(common, own))
	}
	c.at = noStep
	if q.Until != nil {
		c.blind = "until sees events that no step has taken"
		st, own := c.stage(q.Until)
		r.Until, columns = &st, append(columns, slices.Concat(common, own))
		c.blind = ""
	}
	if r.Form != ir.FormEvent && !c.diags.HasErrors() {
		c.join(q, &r, columns)
		c.reachable(q, &r)
	}
	return r
}

// add keeps a diagnostic while there is room for its kind.
func (c *checker) add(d eql.Diagnostic) {
	count := &c.errors
	if d.Severity == eql.Warning {
		count = &c.warnings
	}
	if *count++; *count <= eql.MaxDiagnostics {
		c.diags = append(c.diags, d)
	}
}

// finish sorts what was said. The note that some errors were not said has the place of the last.
func (c *checker) finish() eql.Diagnostics {
	slices.SortStableFunc(c.diags, func(a, b eql.Diagnostic) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	if c.errors > eql.MaxDiagnostics {
		last := c.diags[len(c.diags)-1]
		note := c.src.Errorf(last.Span, "", "too many errors, %d are not shown", c.errors-eql.MaxDiagnostics)
		c.diags = append(c.diags, note)
	}
	return c.diags
}

// errorf reports an error once: not what was said of the same place before, nor what the parser has complained of.
func (c *checker) errorf(at eql.Span, hint, format string, args ...any) {
	if c.errors >= eql.MaxDiagnostics {
		c.errors++
		return
	}
	d := c.src.Errorf(at, hint, format, args...)
	for i, e := range c.diags {
		if e.Severity == eql.Error && e.Span.Start == at.Start && (i < c.parsed || e.Msg == d.Msg) {
			return
		}
	}
	c.add(d)
}

func (c *checker) warnf(at eql.Span, hint, format string, args ...any) {
	if c.warnings < eql.MaxDiagnostics {
		c.add(c.src.Warnf(at, hint, format, args...))
	}
}
