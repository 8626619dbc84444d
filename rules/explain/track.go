package explain

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

const (
	// runsShown bounds the events of one run that are followed one by one; a longer run is seen at these and at its end.
	runsShown = 8
	// statesMax bounds the pending states of a rule that are remembered for display.
	statesMax = 1000
	// keysShown bounds the keys that are offered for one that nothing waits for.
	keysShown = 3
	// statesListed bounds those that one report lists.
	statesListed = 10
)

// track is what is known of one rule's pending sequences.
type track struct {
	rule      *ir.Rule
	positions []position
	keepFrom  int  // stage from which states stay side by side, since later ones read their fields; beyond the last: none
	copies    bool // states keep their events
	states    []*state
	lost      string // what became of the last state that did not complete
	quiet     map[string]uint64
	now       uint64
	near      near
}

// position is a place that a sequence waits at: after the step and, within a run, after so many events of it.
type position struct{ stage, run int }

// state is a sequence that waits at a position.
type state struct {
	position int
	key      key
	events   []uint64
	start    uint64
	copies   []*event.Event
	broken   bool // an event fitted the missing step that follows
}

// last is the event that came last.
func (s *state) last() uint64 { return s.events[len(s.events)-1] }

func newTrack(r *ir.Rule) *track {
	t := &track{rule: r, keepFrom: len(r.Stages), quiet: make(map[string]uint64), copies: r.Suppress != nil}
	for _, s := range r.Stages {
		for _, v := range ir.Values(s.Cond) {
			if v.Stage != ir.Own {
				t.keepFrom, t.copies = min(t.keepFrom, v.Stage), true
			}
		}
	}
	if r.Form == ir.FormSequence {
		for s := range r.Stages {
			runs := max(r.Stages[s].Runs, 1)
			for n := 1; n <= runs && !r.Stages[s].Missing; n++ {
				if n <= runsShown || n == runs {
					t.positions = append(t.positions, position{s, n})
				}
			}
		}
		if n := len(t.positions); n > 0 && t.positions[n-1].stage == len(r.Stages)-1 {
			t.positions = t.positions[:n-1] // there it is complete
		}
	}
	t.near.rule = r
	return t
}

// beginning is the rule that completes when a sequence has come to a position. Missing steps are left to the whole rule:
// events that fit one do not stop a sequence, they keep it from raising an alert.
func (t *track) beginning(p int) ir.Rule {
	at := t.positions[p]
	if p == 0 {
		s := t.rule.Stages[at.stage]
		return ir.Rule{Stages: []ir.Stage{{Category: s.Category, Cond: s.Cond}}}
	}
	r := ir.Rule{Form: ir.FormSequence, Stages: slices.Clone(t.rule.Stages[:at.stage+1]), Until: t.rule.Until,
		MaxSpan: t.rule.MaxSpan}
	r.Stages[at.stage].Runs = at.run
	for s := range r.Stages {
		if r.Stages[s].Missing {
			r.Stages[s].Category, r.Stages[s].Cond = event.CategoryOther, ir.Const{Value: ir.False}
		}
	}
	return r
}

// place is how people call a position.
func (t *track) place(p int) string {
	at := t.positions[p]
	text := fmt.Sprintf("step %d of %d", at.stage+1, len(t.rule.Stages))
	if runs := t.rule.Stages[at.stage].Runs; runs > 1 {
		text += fmt.Sprintf(", event %d of %d", at.run, runs)
	}
	return text
}

func (t *track) show(s *state) State {
	return State{Of: t.rule.ID, Place: t.place(s.position), Key: s.key.text(t.rule.Stages[0].Keys), Events: s.events,
		Since: t.age(s).String()}
}

func (t *track) age(s *state) time.Duration { return time.Duration(int64(t.now) - int64(s.start)) }

// waits tells a state that has all its events and waits for the time of the missing steps at the end to be over.
func (t *track) waits(s *state) bool {
	n := len(t.rule.Stages)
	return t.rule.Stages[n-1].Missing && s.position == len(t.positions)-1
}

func (t *track) change(r *Report, what string, s *state, note string) {
	c := Change{Rule: t.rule.ID, What: what, State: t.show(s), Note: note}
	c.Of = ""
	r.Changes = append(r.Changes, c)
}

// expire drops what is older than maxspan.
func (t *track) expire(r *Report) {
	t.states = slices.DeleteFunc(t.states, func(s *state) bool {
		age := t.age(s)
		if t.rule.MaxSpan == 0 || age <= t.rule.MaxSpan || t.waits(s) && !s.broken {
			return false
		}
		if s.broken {
			t.change(r, "dropped", s, "an event fitted a step that must be missing")
			return true
		}
		t.lost = fmt.Sprintf("%s was reached by event %d and had expired at event %d: %s is more than maxspan %s",
			t.place(s.position), s.last(), r.Event, age, t.rule.MaxSpan)
		t.change(r, "expired", s, "")
		return true
	})
}

// move takes over what an event began, moved on, completed, cleared or broke.
func (t *track) move(r *Report, ev *event.Event, m *matched) {
	for p := len(t.positions) - 1; p >= 0; p-- {
		for _, events := range m.begun[p] {
			t.arrive(r, p, events, ev)
		}
	}
	t.drop(r, ev)
	t.breaks(r, ev)
	t.clear(r, ev)
	if over := len(t.states) - statesMax; over > 0 {
		t.states = t.states[over:]
	}
}

// arrive is a sequence that came to a position with an event.
func (t *track) arrive(r *Report, p int, events []uint64, ev *event.Event) {
	st := &t.rule.Stages[t.positions[p].stage]
	k, ok := keyOf(st.Keys, ev)
	if !ok {
		return
	}
	s := &state{position: p, key: k, events: slices.Clone(events), start: ev.Own.Time()}
	if p > 0 {
		if from := t.remove(p-1, events[:len(events)-1]); from != nil {
			s.start, s.copies, s.broken = from.start, from.copies, from.broken
		}
	}
	if t.copies {
		s.copies = append(slices.Clone(s.copies), copyOf(ev))
	}
	note := ""
	if t.positions[p].stage < t.keepFrom && !t.waits(s) {
		t.states = slices.DeleteFunc(t.states, func(old *state) bool {
			same := old.position == p && old.key.same(k)
			if same {
				note = fmt.Sprintf("in the place of events %v", old.events)
			}
			return same
		})
	}
	t.states = append(t.states, s)
	t.near.reached(p+1, r.Event)
	what := "advanced"
	if p == 0 {
		what = "started"
	}
	t.change(r, what, s, note)
}

// remove takes out the state of a position that has the events, or one with the same events wherever it is.
func (t *track) remove(p int, events []uint64) *state {
	i := slices.IndexFunc(t.states, func(s *state) bool { return s.position == p && slices.Equal(s.events, events) })
	if i < 0 {
		i = slices.IndexFunc(t.states, func(s *state) bool { return slices.Equal(s.events, events) })
	}
	if i < 0 {
		return nil
	}
	s := t.states[i]
	t.states = slices.Delete(t.states, i, i+1)
	return s
}

// breaks marks the states that wait before a missing step which the event fits.
func (t *track) breaks(r *Report, ev *event.Event) {
	for _, s := range t.states {
		missing := t.positions[s.position].stage + 1
		if s.broken || s.last() == r.Event || missing >= len(t.rule.Stages) || !t.rule.Stages[missing].Missing {
			continue
		}
		if k, ok := keyOf(t.rule.Stages[missing].Keys, ev); !ok || !k.same(s.key) || !t.near.fits(missing, r.Event) {
			continue
		}
		s.broken = true
		t.lost = fmt.Sprintf("event %d fits step %d, which must be missing", r.Event, missing+1)
		t.change(r, "broken", s, t.lost)
	}
}

// drop takes out the state that the event completes where an event of a missing step came between.
func (t *track) drop(r *Report, ev *event.Event) {
	last := len(t.rule.Stages) - 1
	k, ok := keyOf(t.rule.Stages[last].Keys, ev)
	if t.rule.Stages[last].Missing || !ok || !t.near.fits(last, r.Event) {
		return
	}
	for i, s := range slices.Backward(t.states) {
		if s.position == len(t.positions)-1 && s.key.same(k) && s.last() != r.Event {
			if s.broken {
				t.states = slices.Delete(t.states, i, i+1)
				t.change(r, "dropped", s, t.lost)
			}
			return
		}
	}
}

// clear drops the states that until ends.
func (t *track) clear(r *Report, ev *event.Event) {
	if t.rule.Until == nil || !t.near.fits(len(t.rule.Stages), r.Event) {
		return
	}
	k, ok := keyOf(t.rule.Until.Keys, ev)
	t.states = slices.DeleteFunc(t.states, func(s *state) bool {
		if !ok || !k.same(s.key) || t.waits(s) {
			return false
		}
		t.lost = fmt.Sprintf("%s was reached by event %d and cleared by until at event %d", t.place(s.position), s.last(), r.Event)
		t.change(r, "cleared", s, "by until")
		return true
	})
}

// list adds what is pending, the newest.
func (t *track) list(r *Report) {
	for _, s := range t.states[max(len(t.states)-statesListed, 0):] {
		r.Pending = append(r.Pending, t.show(s))
	}
	if more := len(t.states) - statesListed; more > 0 {
		r.Pending = append(r.Pending, State{Of: t.rule.ID, Place: fmt.Sprintf("%d older", more)})
	}
}

// note says why an event that fits a step moves nothing on; empty when it does, or when that is not known.
func (t *track) note(s int, k key, m *matched) string {
	if t.rule.Form != ir.FormSequence || s == len(t.rule.Stages) || t.rule.Stages[s].Missing {
		return ""
	}
	last := len(t.positions)
	before := -1
	for p, at := range t.positions {
		if at.stage == s && len(m.begun[p]) > 0 {
			return ""
		}
		if at.stage < s {
			before = p
		} else if at.stage == s {
			last = p
		}
	}
	if last == len(t.positions) && len(m.complete) > 0 || before < 0 {
		return ""
	}
	var keys []string
	for _, st := range t.states {
		if st.position < before || st.position > last {
			continue
		}
		if st.key.same(k) {
			return ""
		}
		keys = append(keys, st.key.text(t.rule.Stages[0].Keys))
	}
	if len(keys) > 0 {
		slices.Sort(keys)
		keys = slices.Compact(keys)
		return fmt.Sprintf("nothing waits for it with %s; what waits has %s", k.text(t.rule.Stages[s].Keys),
			strings.Join(keys[:min(len(keys), keysShown)], "; "))
	}
	if t.lost != "" {
		return "nothing waits for it: " + t.lost
	}
	return "nothing waits for it"
}

// before are the events of the newest state that waits for a stage with a key, by stage.
func (t *track) before(stage int, k key) []*event.Event {
	if !t.copies || stage == len(t.rule.Stages) {
		return nil
	}
	for _, s := range slices.Backward(t.states) {
		if t.positions[s.position].stage >= stage || !s.key.same(k) || len(s.copies) != len(s.events) {
			continue
		}
		stages := make([]*event.Event, len(t.rule.Stages))
		i := 0
		for st := range t.rule.Stages {
			if t.rule.Stages[st].Missing {
				continue
			}
			i += max(t.rule.Stages[st].Runs, 1)
			if i > len(s.copies) {
				break
			}
			stages[st] = s.copies[i-1]
		}
		return stages
	}
	return nil
}

// alert is what a match becomes: an alert, or nothing while another stands for it. ev is the event that brought it
// about; nil: a time did.
func (t *track) alert(events []uint64, ev *event.Event) Alert {
	a, now := Alert{Rule: t.rule.ID, Events: events}, t.now
	t.near.raised = true
	if ev != nil {
		t.remove(len(t.positions)-1, events[:len(events)-1])
	} else if s := t.remove(len(t.positions)-1, events); s != nil {
		now = s.start + uint64(t.rule.MaxSpan)
		if len(s.copies) > 0 {
			ev = s.copies[len(s.copies)-1]
		}
	}
	if t.rule.Suppress == nil || ev == nil {
		return a
	}
	k := ""
	for _, f := range t.rule.Suppress.By {
		vs, ok := reference.Values(f, ev)
		k += fmt.Sprintf("%t%q", ok, vs)
	}
	if until, ok := t.quiet[k]; ok && now < until {
		a.Suppressed = true
		return a
	}
	t.quiet[k] = now + uint64(t.rule.Suppress.For)
	return a
}

// key is the values of the join keys, those of an array all.
type key [][]string

// keyOf reads the join keys. ok is false when one that is needed is not there.
func keyOf(keys []ir.Key, ev *event.Event) (k key, ok bool) {
	for _, f := range keys {
		vs, there := reference.Values(f.Field, ev)
		if !there && !f.Optional {
			return nil, false
		}
		if !there {
			vs = []string{"null"}
		}
		k = append(k, vs)
	}
	return k, true
}

// lacking names the join keys that an event does not have.
func lacking(keys []ir.Key, ev *event.Event) string {
	var names []string
	for _, f := range keys {
		if _, there := reference.Values(f.Field, ev); !there && !f.Optional {
			names = append(names, event.FieldByID(f.Field).Name)
		}
	}
	return "it has no " + strings.Join(names, ", no ") + " to join by"
}

// same tells keys that have a value in common at each place.
func (k key) same(l key) bool {
	for i := range min(len(k), len(l)) {
		if !slices.ContainsFunc(k[i], func(v string) bool { return slices.Contains(l[i], v) }) {
			return false
		}
	}
	return len(k) == len(l)
}

func (k key) text(keys []ir.Key) string {
	parts := make([]string, len(k))
	for i, vs := range k {
		value := quote(vs[0])
		if len(vs) > 1 {
			value = list(vs)
		}
		parts[i] = event.FieldByID(keys[i].Field).Name + " " + value
	}
	return strings.Join(parts, ", ")
}

// copyOf copies an event with its records, which are the reader's.
func copyOf(ev *event.Event) *event.Event {
	c := *ev
	c.Own, c.Proc, c.Parent = bytes.Clone(ev.Own), bytes.Clone(ev.Proc), bytes.Clone(ev.Parent)
	return &c
}

// lineages adds the lineage tests of a rule to those that are asked of the interpreter.
func (x *Explainer) lineages(r *ir.Rule) {
	for _, s := range r.Conditions() {
		for _, n := range ir.Lineages(s.Cond) {
			if x.probeOf(n) < 0 {
				x.probes = append(x.probes, n)
			}
		}
	}
}

func (x *Explainer) probeOf(n ir.Lineage) int {
	return slices.IndexFunc(x.probes, func(p ir.Lineage) bool { return reflect.DeepEqual(p, n) })
}
