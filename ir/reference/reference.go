// Package reference executes typed rules the obvious way: condition by condition, rule by rule, with maps and as much
// memory as it takes. It is what the engine must agree with, and what explains to a rule author why an event did not
// match. It shares no code with the automata.
package reference

import (
	"slices"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// Match is one rule that matched and the events that made it.
type Match struct {
	Rule   int
	Events []uint64
}

// Interpreter holds the pending sequences of a rule set.
type Interpreter struct {
	rules   []ir.Rule
	plans   []plan
	keys    []map[string]*pending // by rule and key
	waits   []*partial            // complete, unless an event of a trailing missing stage comes
	begun   int                   // partials, to number them
	arrived int                   // events
	lineage *lineage
}

// pending is what is kept for a rule and a key.
type pending struct {
	steps  map[int][]*partial // by the step that came last, the newest last
	absent []sighting         // events of missing stages
	sample []*taken
}

// taken is an event that a stage took, or that a missing stage saw.
type taken struct {
	ev      *event.Event
	arrival int
	stages  []int // of a sample: those that it fits
}

func (t *taken) time() uint64 { return t.ev.Own.Time() }

func (t *taken) id() uint64 { return t.ev.Own.ID() }

// New prepares an interpreter.
func New(rules []ir.Rule) *Interpreter {
	in := &Interpreter{rules: rules, lineage: newLineage(rules)}
	for i := range rules {
		in.plans = append(in.plans, newPlan(&rules[i]))
		in.keys = append(in.keys, make(map[string]*pending))
	}
	return in
}

// Event takes the next event and returns what it completes, in the order of the rules. Before that comes what waited
// for a time that is over.
func (in *Interpreter) Event(ev *event.Event) []Match {
	out := in.Flush(ev.Own.Time())
	in.arrived++
	in.lineage.started(ev)
	for r := range in.rules {
		rule := &in.rules[r]
		switch rule.Form {
		case ir.FormEvent:
			if in.holds(&rule.Stages[0], &Env{Event: ev}) {
				out = append(out, Match{r, []uint64{ev.Own.ID()}})
			}
		case ir.FormSample:
			out = append(out, in.sample(r, rule, ev)...)
		case ir.FormSequence:
			out = append(out, in.sequence(r, rule, ev)...)
		}
	}
	in.lineage.note(ev)
	return out
}

func (in *Interpreter) holds(st *ir.Stage, env *Env) bool {
	if st.Category != event.CategoryAny && st.Category != env.Event.Cat {
		return false
	}
	ev := env.Event
	if env.Lineage == nil {
		env.Lineage = func(n ir.Lineage) bool { return in.lineage.holds(n, ev) }
	}
	return EvalIn(st.Cond, env) == ir.True
}

// at is what is kept for a key.
func (in *Interpreter) at(rule int, key string) *pending {
	p := in.keys[rule][key]
	if p == nil {
		p = &pending{steps: make(map[int][]*partial)}
		in.keys[rule][key] = p
	}
	return p
}

// clone copies an event with its records, so that it can be kept.
func clone(ev *event.Event) *event.Event {
	c := *ev
	c.Own, c.Proc, c.Parent = slices.Clone(ev.Own), slices.Clone(ev.Proc), slices.Clone(ev.Parent)
	if ev.Host != nil {
		host := *ev.Host
		c.Host = &host
	}
	return &c
}
