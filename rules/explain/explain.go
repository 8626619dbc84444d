// Package explain says to a rule author why an event fitted a rule or did not, and what became of the sequences it
// touched: what `kestrel test --verbose` prints, and what stands below a failing case. Host only.
//
// Truth is that of package reference: an interpreter runs the rules and, beside each sequence, its beginnings (the steps
// up to the first, the second, ...). When a beginning is complete the sequence has come so far. What this package adds is
// bookkeeping for people; it decides nothing.
//
// Memory: an Explainer keeps copies of the events that pending sequences refer to; a report owns all it says. It belongs
// to one goroutine. When full: of more than statesMax pending states of a rule the oldest is no longer shown.
package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// Report is what an event brought about.
type Report struct {
	Event    uint64   `json:"event"`
	Time     string   `json:"time"` // wall time
	Category string   `json:"category"`
	Action   string   `json:"action,omitempty"`
	Steps    []Step   `json:"steps,omitempty"`
	Others   int      `json:"other_steps,omitempty"` // that do not hold and are not explained
	Changes  []Change `json:"changes,omitempty"`
	Pending  []State  `json:"pending,omitempty"` // of the rules with changes
	Alerts   []Alert  `json:"alerts,omitempty"`
}

// Step is what a step of a rule made of an event of its category.
type Step struct {
	Rule  string `json:"rule"`
	Step  string `json:"step,omitempty"` // "step 2", "until"; empty for a rule of one event
	Truth string `json:"truth"`
	Note  string `json:"note,omitempty"` // why a step that fits moved nothing on
	Why   *Node  `json:"why"`
}

// Holds tells whether the event fits the step.
func (s *Step) Holds() bool { return s.Why.truth == ir.True }

// Change is something that became of a pending sequence or sample.
type Change struct {
	Rule string `json:"rule"`
	What string `json:"what"` // started, advanced, expired, cleared, broken, dropped
	State
	Note string `json:"note,omitempty"`
}

// State is a pending sequence.
type State struct {
	Of     string   `json:"of,omitempty"`    // rule
	Place  string   `json:"place,omitempty"` // step 2 of 3
	Key    string   `json:"key,omitempty"`
	Events []uint64 `json:"events,omitempty"`
	Since  string   `json:"since,omitempty"` // how long ago its first event was
}

// Alert is a rule that matched.
type Alert struct {
	Rule       string   `json:"rule"`
	Events     []uint64 `json:"events"`
	Suppressed bool     `json:"suppressed,omitempty"` // by the rule's suppress: no alert is raised
}

// Explainer follows a rule set through events.
type Explainer struct {
	in       *reference.Interpreter
	full     bool
	rules    []*track
	probes   []ir.Lineage // by the rule of the interpreter from probe on
	probe    int
	beginsAt []begin // by the rule of the interpreter from len(rules) to probe: whose beginning it is
}

// begin is one of the interpreter's rules that stands for the beginning of another.
type begin struct{ rule, position int }

// New prepares an Explainer. full says that steps which do not hold are explained as well as those that do, which takes
// its time for every event; Near needs it.
func New(rules []ir.Rule, full bool) *Explainer {
	x := &Explainer{full: full}
	all := append([]ir.Rule(nil), rules...)
	for i := range rules {
		t := newTrack(&rules[i])
		x.rules = append(x.rules, t)
		for p := range t.positions {
			all = append(all, t.beginning(p))
			x.beginsAt = append(x.beginsAt, begin{i, p})
		}
	}
	x.probe = len(all)
	for i := range rules {
		x.lineages(&rules[i])
	}
	for _, n := range x.probes {
		all = append(all, ir.Rule{Stages: []ir.Stage{{Category: event.CategoryAny, Cond: n}}})
	}
	x.in = reference.New(all)
	return x
}

// Event takes the next event. Its record has an id, and its time is not before that of the last.
func (x *Explainer) Event(ev *event.Event) *Report {
	action, _ := ev.Bytes(event.FieldEventAction)
	r := &Report{Event: ev.Own.ID(), Time: time.Unix(0, ev.Wall()).UTC().Format(time.RFC3339Nano),
		Category: ev.Cat.String(), Action: string(action)}
	matches := x.sort(x.in.Event(ev))
	for i, t := range x.rules {
		m := &matches.rules[i]
		changes := len(r.Changes)
		t.now = ev.Own.Time()
		// What a time completed comes before the event.
		byEvent := m.complete[:0:0]
		for _, events := range m.complete {
			if slices.Contains(events, r.Event) {
				byEvent = append(byEvent, events)
			} else {
				r.Alerts = append(r.Alerts, t.alert(events, nil))
			}
		}
		m.complete = byEvent
		t.expire(r)
		x.steps(r, t, ev, m, matches.lineage)
		for _, events := range m.complete {
			r.Alerts = append(r.Alerts, t.alert(events, ev))
		}
		t.move(r, ev, m)
		if len(r.Changes) > changes {
			t.list(r)
		}
	}
	return r
}

// Flush is the end of the events: what waits for a time completes.
func (x *Explainer) Flush() *Report {
	r := &Report{}
	for i, m := range x.sort(x.in.Flush(1<<64 - 1)).rules {
		t := x.rules[i]
		for _, events := range m.complete {
			r.Alerts = append(r.Alerts, t.alert(events, nil))
		}
		t.list(r)
	}
	return r
}

// matched is what the interpreter found, by rule.
type matched struct {
	complete [][]uint64
	begun    map[int][][]uint64 // by position
}

type sorted struct {
	rules   []matched
	lineage []bool // by probe
}

func (x *Explainer) sort(list []reference.Match) sorted {
	s := sorted{rules: make([]matched, len(x.rules)), lineage: make([]bool, len(x.probes))}
	for _, m := range list {
		switch {
		case m.Rule < len(x.rules):
			s.rules[m.Rule].complete = append(s.rules[m.Rule].complete, m.Events)
		case m.Rule < x.probe:
			b := x.beginsAt[m.Rule-len(x.rules)]
			of := &s.rules[b.rule]
			if of.begun == nil {
				of.begun = make(map[int][][]uint64)
			}
			if list := of.begun[b.position]; len(list) == 0 || !slices.Equal(list[len(list)-1], m.Events) {
				of.begun[b.position] = append(list, m.Events) // of several keys of one event the first
			}
		default:
			s.lineage[m.Rule-x.probe] = true
		}
	}
	return s
}

// steps explains the steps of a rule that are of the event's category.
func (x *Explainer) steps(r *Report, t *track, ev *event.Event, m *matched, lineage []bool) {
	all := t.rule.Stages
	if t.rule.Until != nil {
		all = append(all[:len(all):len(all)], *t.rule.Until)
	}
	for s := range all {
		st := &all[s]
		if st.Category != ev.Cat && st.Category != event.CategoryAny {
			t.near.other(s, ev)
			continue
		}
		key, hasKey := keyOf(st.Keys, ev)
		env := &reference.Env{Event: ev, Stages: t.before(s, key), Lineage: func(n ir.Lineage) bool {
			i := x.probeOf(n)
			return i >= 0 && lineage[i]
		}}
		if !x.full && reference.EvalIn(st.Cond, env) != ir.True {
			r.Others++
			continue
		}
		tree := newTree(env, t.rule).node(st.Cond)
		step := Step{Rule: t.rule.ID, Step: t.stepName(s), Truth: tree.Truth, Why: tree}
		if tree.truth == ir.True {
			if step.Note = t.note(s, key, m); !hasKey {
				step.Note = lacking(st.Keys, ev)
			}
		}
		t.near.step(s, ev, &step)
		r.Steps = append(r.Steps, step)
	}
}

// stepName is how people call a stage.
func (t *track) stepName(s int) string {
	switch {
	case s == len(t.rule.Stages):
		return "until"
	case t.rule.Form == ir.FormEvent:
		return ""
	}
	return fmt.Sprintf("step %d", s+1)
}
