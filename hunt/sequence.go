package hunt

import (
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// sequence runs a sequence query: the machine finds sequences of the events that must be there, absences then drops
// those where an event came in between that must not.
type sequence struct {
	h        *Hunt
	push     func(Match) error
	machine  *machine
	absences *absences
	rules    keyRules
	slim     bool // no step reads another's fields: events are kept without their values
	offers   map[*stage]offer
}

// offer is what one step makes of an event.
type offer struct {
	taken bool // the category fits, and the condition unless it reads earlier steps
	later bool // the condition reads earlier steps
	keys  []joined
}

func newSequence(h *Hunt, push func(Match) error) *sequence {
	span := int64(-1)
	if h.query.MaxSpan != nil {
		span = int64(h.query.MaxSpan.Duration())
	}
	s := &sequence{h: h, push: push, machine: newMachine(len(h.stages), span), rules: h.keyRules(), slim: true,
		offers: map[*stage]offer{}}
	s.absences = newAbsences(h, span)
	for _, st := range h.layout {
		s.slim = s.slim && st.where.Reads < 0
	}
	for i, st := range h.stages {
		s.machine.fork[i] = st.fork
		s.machine.keep[i] = h.readsBehind(i)
	}
	return s
}

func (h *Hunt) keyRules() keyRules {
	d := h.query.Dialect
	return keyRules{fold: d == eql.Endgame && !h.opt.CaseSensitive, numeric: d == eql.Kestrel}
}

// readsBehind says whether a step behind step i, also one that must be missing, reads a field of step i or of one before it.
func (h *Hunt) readsBehind(i int) bool {
	before := 0 // steps with events
	for _, st := range h.layout {
		if before > i && st.where.Reads >= 0 && st.where.Reads <= i {
			return true
		}
		if !st.missing {
			before++
		}
	}
	return false
}

func (s *sequence) event(env *expr.Env) error {
	clear(s.offers)
	kept := env.Event
	if s.slim {
		kept = env.Event.Slim()
	}
	for i := len(s.h.stages) - 1; i >= 0; i-- {
		st := s.h.stages[i]
		o := s.offer(st, env)
		if !o.taken {
			continue
		}
		var holds func(*pending) bool
		if o.later {
			holds = func(p *pending) bool { return s.holds(st, env, p) }
		}
		for _, key := range o.keys {
			if done := s.machine.take(i, key, kept, holds); done != nil {
				if err := s.complete(done, key.text); err != nil {
					return err
				}
			}
		}
	}
	if s.absences != nil {
		s.absences.event(s, env, kept)
	}
	if s.h.until != nil {
		if o := s.offer(s.h.until, env); o.taken {
			for _, key := range o.keys {
				s.machine.clear(key.text)
			}
		}
	}
	return nil
}

// offer tests an event against a step, once however many runs it has.
func (s *sequence) offer(st *stage, env *expr.Env) offer {
	if o, ok := s.offers[st]; ok {
		return o
	}
	o := offer{taken: st.takes(env.Event), later: st.where.Reads >= 0}
	if o.taken && !o.later {
		o.taken = st.where.Truth(env) == value.True
	}
	if o.taken {
		o.keys = st.joins(env, s.rules)
	}
	s.offers[st] = o
	return o
}

// holds evaluates a condition that reads earlier steps.
func (s *sequence) holds(st *stage, env *expr.Env, p *pending) bool {
	env.Steps = p.events
	held := st.where.Truth(env) == value.True
	env.Steps = nil
	return held
}

func (s *sequence) complete(p *pending, key string) error {
	if s.absences == nil {
		return s.push(Match{Events: p.events, Keys: p.keys})
	}
	return s.absences.complete(s, p, key)
}

func (s *sequence) finish() error {
	if s.absences == nil {
		return nil
	}
	return s.absences.finish(s)
}

// row puts the events of a sequence at their steps, nil at those of missing events.
func (h *Hunt) row(found []*events.Event) []*events.Event {
	row := make([]*events.Event, len(h.layout))
	for i, st := range h.layout {
		if !st.missing {
			row[i], found = found[0], found[1:]
		}
	}
	return row
}
