// Package hunt runs EQL over logged events: ad-hoc queries on a workstation, in any dialect, over any fields.
//
//	eql.Query ──Compile──▶ Hunt ──Run(events in order)──▶ matches, through the pipes
//
// It evaluates the tree of package eql as the language is defined, event by event, and shares nothing with the engine
// that runs on devices, so that each can be tested against the other.
//
// Memory: what is kept (pending sequences, the groups of a sample, what a pipe collects) grows with the data and stays
// linear in it. Kept events hold their text and not their decoded values. Goroutines: one uses a Hunt at a time. When
// full: the limits here and in the packages below end the run with an error; nothing is dropped in silence.
package hunt

import (
	"errors"
	"iter"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// StepsMax bounds the steps of a query, runs counted singly: each is tried with each event. One step may have hundreds.
const StepsMax = 1024

// SamplesDefault is the number of matches that a sample gives for one key, as in Elasticsearch.
const SamplesDefault = 1

// Options are what a query leaves open.
type Options struct {
	// CaseSensitive is for Endgame, where strings compare without case unless it is set.
	CaseSensitive bool
	// Limit is the most matches to give, when Limited.
	Limit   int
	Limited bool
	// SamplesPerKey is the most matches of a sample for one key; 0 is SamplesDefault.
	SamplesPerKey int
	// Globals are the values of $NAME.
	Globals map[string][]value.Value
}

// Match is one result.
type Match struct {
	// Events are the event of each step, nil where a missing event was asked for; none in a row of the pipe count.
	Events []*events.Event
	// Keys are the values of the join keys.
	Keys []value.Value
	// Extra are the fields that the pipes count and unique_count add.
	Extra map[string]value.Value
}

// first is the event that stands for the match in pipes.
func (m *Match) first() *events.Event {
	for _, e := range m.Events {
		if e != nil {
			return e
		}
	}
	return nil
}

// Hunt is a compiled query.
type Hunt struct {
	query   *eql.Query
	opt     Options
	stages  []*stage // steps that match events, runs one by one
	layout  []*stage // all steps in order, for the result
	until   *stage
	lineage []filter
	kinds   []eql.Relation // of lineage
	pipes   []pipeSpec
}

// filter is an event query: a category and a condition.
type filter struct {
	any      bool
	category string
	fold     bool
	where    *expr.Expr
}

// stage is one step.
type stage struct {
	filter
	keys    []key
	missing bool
	fork    bool
}

type key struct {
	x        *expr.Expr
	optional bool
}

// Compile checks a query that parsed without errors, without a schema or against one, and makes it ready to run. With
// errors among the diagnostics there is no Hunt.
func Compile(q *eql.Query, schema *events.Schema, opt Options) (*Hunt, eql.Diagnostics) {
	diags := eql.Check(q)
	c := &compiler{
		h: &Hunt{query: q, opt: opt},
		Compiler: expr.Compiler{
			Options: expr.Options{Dialect: q.Dialect, CaseSensitive: opt.CaseSensitive, Globals: opt.Globals},
			Source:  q.Source, Schema: schema,
		},
	}
	c.Lineage = c.relation
	c.query(q)
	diags = append(diags, c.Diags...)
	if len(diags) > eql.MaxDiagnostics {
		diags = diags[:eql.MaxDiagnostics]
	}
	if diags.HasErrors() || c.Diags.HasErrors() {
		return nil, diags
	}
	return c.h, diags
}

type compiler struct {
	expr.Compiler
	h *Hunt
}

func (c *compiler) fold() bool { return c.Dialect == eql.Endgame && !c.CaseSensitive }

func (c *compiler) errorf(at eql.Span, hint, format string, args ...any) {
	c.Diags = append(c.Diags, c.Source.Errorf(at, hint, format, args...))
}

func (c *compiler) query(q *eql.Query) {
	named := map[string]int{}
	for _, st := range q.Stages {
		c.Named = named
		s := c.stage(q, st)
		runs := max(1, st.Runs)
		for range runs {
			c.h.layout = append(c.h.layout, s)
			if !s.missing {
				c.h.stages = append(c.h.stages, s)
			}
		}
		if st.Name != "" {
			named[st.Name] = len(c.h.stages) - 1
		}
	}
	if len(c.h.layout) > StepsMax {
		c.errorf(q.Span, "", "the query has %d steps, runs counted singly (max %d)", len(c.h.layout), StepsMax)
	}
	c.Named = nil
	if q.Until != nil {
		c.h.until = c.stage(q, q.Until)
	}
	c.pipes(q)
}

func (c *compiler) stage(q *eql.Query, st *eql.Stage) *stage {
	s := &stage{filter: c.filter(st.Event), missing: st.Missing, fork: st.Fork}
	if st.Fork && st == q.Stages[0] {
		c.errorf(st.Span, "", "the first step has no sequence to `fork`")
	}
	for _, list := range [...][]eql.Expr{q.By, st.By} {
		for _, x := range list {
			k := key{x: c.Value(x)}
			if f, ok := x.(*eql.Field); ok {
				k.optional = f.Optional
			}
			s.keys = append(s.keys, k)
		}
	}
	return s
}

func (c *compiler) filter(ev *eql.Event) filter {
	return filter{any: ev.Any, category: ev.Category, fold: c.fold(), where: c.Condition(ev.Where)}
}

// relation compiles the event of a lineage operator. Those inside it come first and get the smaller numbers.
func (c *compiler) relation(x *eql.Lineage) int {
	outer := c.Named
	c.Named = nil
	f := c.filter(x.Event)
	c.Named = outer
	c.h.lineage, c.h.kinds = append(c.h.lineage, f), append(c.h.kinds, x.Rel)
	return len(c.h.lineage) - 1
}

// takes says whether the category of an event is the one asked for.
func (f *filter) takes(e *events.Event) bool {
	if f.any {
		return true
	}
	for _, category := range e.Categories() {
		if category == f.category || f.fold && strings.EqualFold(category, f.category) {
			return true
		}
	}
	return false
}

func (f *filter) holds(env *expr.Env) bool {
	return f.takes(env.Event) && f.where.Truth(env) == value.True
}

// errStop ends a run early: no more matches are wanted.
var errStop = errors.New("stop")

// form is what one of the four forms of queries does with the events.
type form interface {
	event(env *expr.Env) error
	finish() error
}

// Run gives the matches of the events, which come in the order of their time. It ends with the first error of in or
// emit.
func (h *Hunt) Run(in iter.Seq2[*events.Event, error], emit func(Match) error) error {
	out := h.chain(emit)
	f, relations := h.form(out.push), h.relations()
	env := &expr.Env{Lineage: relations.holds}
	var failed error
	for e, err := range in {
		if err != nil {
			return err
		}
		env.Event, env.Steps = e, nil
		relations.event(env)
		if relations.at {
			relations.note(env)
		}
		failed = f.event(env)
		if !relations.at {
			env.Event, env.Steps = e, nil
			relations.note(env)
		}
		if failed == nil {
			failed = env.Err
		}
		if failed != nil {
			break
		}
	}
	if failed == nil {
		failed = f.finish()
	}
	if failed == nil || errors.Is(failed, errStop) {
		failed = out.finish()
	}
	if errors.Is(failed, errStop) {
		return nil
	}
	return failed
}

// All runs the hunt and collects the matches.
func (h *Hunt) All(in iter.Seq2[*events.Event, error]) ([]Match, error) {
	var list []Match
	err := h.Run(in, func(m Match) error {
		list = append(list, m)
		return nil
	})
	return list, err
}

func (h *Hunt) form(push func(Match) error) form {
	switch h.query.Kind {
	case eql.KindSequence:
		return newSequence(h, push)
	case eql.KindSample:
		return newSample(h, push)
	case eql.KindJoin:
		return newJoin(h, push)
	}
	return &single{h.stages[0], push}
}

// single is an event query.
type single struct {
	stage *stage
	push  func(Match) error
}

func (s *single) event(env *expr.Env) error {
	if !s.stage.holds(env) {
		return nil
	}
	return s.push(Match{Events: []*events.Event{env.Event}})
}

func (s *single) finish() error { return nil }
