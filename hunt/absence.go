package hunt

import (
	"math"
	"sort"

	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
)

// absences decides about the steps ![ .. ] of a sequence, after its other steps were found.
//
//	![L]  first ... ![M] ... last  ![T]
//
// Between two steps no M may lie. A window of the length of maxspan holds the whole sequence: with ![T] alone it begins
// with the first event, with ![L] alone it ends with the last, and inside it no T or L may lie. With both it may lie
// anywhere, so the sequence is dropped when even the best place does not do: when the last L and the first T are not
// further apart than maxspan. What comes last is only known at the end of the log, so sequences with ![T] wait for it.
type absences struct {
	span    int64
	steps   []absence
	waiting []candidate
	leads   bool
	trails  bool
}

// absence is one step ![ .. ].
type absence struct {
	stage *stage
	after int // steps with events before it: 0 leads, all of them trails
	seen  map[string][]occurrence
}

// occurrence is an event that fits a missing event.
type occurrence struct {
	time  int64
	event *events.Event // set when the condition reads other steps and is yet to be tested
}

// candidate is a sequence whose end is not decided.
type candidate struct {
	pending *pending
	key     string
}

// newAbsences is nil for a sequence without missing events.
func newAbsences(h *Hunt, span int64) *absences {
	a := &absences{span: span}
	after := 0
	for _, st := range h.layout {
		if !st.missing {
			after++
			continue
		}
		a.steps = append(a.steps, absence{stage: st, after: after, seen: map[string][]occurrence{}})
		a.leads = a.leads || after == 0
		a.trails = a.trails || after == len(h.stages)
	}
	if a.steps == nil {
		return nil
	}
	return a
}

// event takes note of an event that must not be in some sequences.
func (a *absences) event(s *sequence, env *expr.Env, kept *events.Event) {
	for i := range a.steps {
		step := &a.steps[i]
		o := s.offer(step.stage, env)
		if !o.taken {
			continue
		}
		seen := occurrence{time: env.Event.Time()}
		if o.later {
			seen.event = kept
		}
		for _, key := range o.keys {
			step.seen[key.text] = append(step.seen[key.text], seen)
		}
	}
}

// complete decides about a sequence, or keeps it until the end of the log.
func (a *absences) complete(s *sequence, p *pending, key string) error {
	c := candidate{pending: p, key: key}
	for i := range a.steps {
		step := &a.steps[i]
		if step.after == 0 || step.after == len(p.events) {
			continue
		}
		if _, found := step.next(s, &c, p.events[step.after-1].Time(), p.events[step.after].Time()); found {
			return nil
		}
	}
	if a.trails {
		a.waiting = append(a.waiting, c)
		return nil
	}
	if last, found := a.leading(s, &c); found && c.end()-last <= a.span {
		return nil
	}
	return s.push(Match{Events: s.h.row(p.events), Keys: p.keys})
}

// finish decides about the sequences that waited.
func (a *absences) finish(s *sequence) error {
	for i := range a.waiting {
		c := &a.waiting[i]
		from, bound := c.pending.first(), true
		if a.leads {
			from, bound = a.leading(s, c)
		}
		if next, found := a.trailing(s, c); found && bound && next-from <= a.span {
			continue
		}
		if err := s.push(Match{Events: s.h.row(c.pending.events), Keys: c.pending.keys}); err != nil {
			return err
		}
	}
	return nil
}

func (c *candidate) end() int64 { return c.pending.events[len(c.pending.events)-1].Time() }

// leading is the time of the last event before the sequence that a leading step fits.
func (a *absences) leading(s *sequence, c *candidate) (last int64, found bool) {
	for i := range a.steps {
		if step := &a.steps[i]; step.after == 0 {
			if t, ok := step.previous(s, c, c.end()-a.span); ok && (!found || t > last) {
				last, found = t, true
			}
		}
	}
	return last, found
}

// trailing is the time of the first event behind the sequence that a trailing step fits.
func (a *absences) trailing(s *sequence, c *candidate) (next int64, found bool) {
	n := len(c.pending.events)
	for i := range a.steps {
		if step := &a.steps[i]; step.after == n {
			if t, ok := step.next(s, c, c.end(), math.MaxInt64); ok && (!found || t < next) {
				next, found = t, true
			}
		}
	}
	return next, found
}

// next is the time of the first event between two times, both left out: as in Elasticsearch, an event of the time of a
// step's own is neither before nor behind it.
func (st *absence) next(s *sequence, c *candidate, after, before int64) (int64, bool) {
	list := st.seen[c.key]
	for i := sort.Search(len(list), func(i int) bool { return list[i].time > after }); i < len(list); i++ {
		if list[i].time >= before {
			break
		}
		if st.fits(s, c, &list[i]) {
			return list[i].time, true
		}
	}
	return 0, false
}

// previous is the time of the last event before a sequence, none that is earlier than since.
func (st *absence) previous(s *sequence, c *candidate, since int64) (int64, bool) {
	list := st.seen[c.key]
	for i := sort.Search(len(list), func(i int) bool { return list[i].time >= c.pending.events[0].Time() }) - 1; i >= 0; i-- {
		if list[i].time < since {
			break
		}
		if st.fits(s, c, &list[i]) {
			return list[i].time, true
		}
	}
	return 0, false
}

// fits tests a condition that reads steps of the sequence.
func (st *absence) fits(s *sequence, c *candidate, o *occurrence) bool {
	if o.event == nil {
		return true
	}
	return s.holds(st.stage, &expr.Env{Event: o.event}, c.pending)
}
