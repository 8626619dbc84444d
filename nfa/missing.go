package nfa

// A missing stage tells events that must not come. How they count is Elasticsearch's, which looks for them when a
// sequence is complete, by their times alone:
//
//	between two stages    none with a time between those of the two events, these excluded
//	before the first      the last one, F, has a time before the first event's
//	behind the last       the first one, L, has a time after the last event's
//
// With missing stages on one side only, the other end is the sequence's own: F is the time of the first event, or L
// that of the last. The sequence stands when there is no F or no L, or more than maxspan lies between them. So a state
// whose gap was filled still moves on and replaces others, and is dropped only where it would raise an alert. What is
// not there behind the last event shows when the time is over; see timer.go.

// What judge finds.
const (
	stands uint8 = iota
	refuted
	open // until a time
)

// judge decides about a sequence whose last event has come.
func judge(v *visit, x *state) (verdict uint8, due uint64) {
	if x.flags&flagTainted != 0 {
		return refuted, 0
	}
	if v.f.flags&(formLeading|formTrailing) == 0 {
		return stands, 0
	}
	from := x.start
	if v.f.flags&formLeading != 0 {
		if x.flags&flagLead == 0 {
			return stands, 0
		}
		from = x.lead
	}
	if exceeds(from, v.now, v.r.MaxSpan) {
		return stands, 0
	}
	if v.f.flags&formTrailing == 0 {
		return refuted, 0
	}
	return open, from + v.r.MaxSpan
}

// absent takes an event of a missing stage.
func (s *Sequencer) absent(v *visit, stage int, k *key) {
	h := hash(v.rule, k)
	t := s.find(v.rule, h, k)
	switch {
	case stage < int(v.f.first):
		s.gatherNone()
		if s.holds(v, stage) {
			s.note(v, t, h, k)
		}
	case t == none:
	case stage > int(v.f.last):
		s.refute(v, stage, t)
		s.settle(v, t)
	default:
		s.fill(v, stage, t)
	}
}

// fill notes the event in the states that wait for the stage behind the missing one.
func (s *Sequencer) fill(v *visit, stage int, t int32) {
	behind := uint8(s.before(v, stage))
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		x := &s.states[i]
		if x.stage != behind {
			continue
		}
		seen := x.seen
		switch {
		case x.kind == waiting:
			s.gather(i)
		case x.kind == window && s.full(v, i):
			s.gatherWindow(i)
			seen = s.states[x.last].seen
			x = &s.states[x.first]
		default:
			continue
		}
		if v.now > seen && (x.flags&flagMiss == 0 || v.now < x.miss) && s.holds(v, stage) {
			x.flags |= flagMiss
			x.miss = v.now
		}
	}
}

// taint closes the gap before the event that a state goes on with.
func (s *Sequencer) taint(v *visit, st int32) {
	x := &s.states[st]
	if x.flags&flagMiss != 0 && x.miss < v.now {
		x.flags |= flagTainted
	}
	x.flags &^= flagMiss
}

// note keeps the time of an event of a missing stage before the first, and that of the one before it: of events of the
// same time the first stage's may be among them.
func (s *Sequencer) note(v *visit, t int32, h uint64, k *key) {
	if t == none {
		if t = s.newTrack(v.rule, h, k, v.now); t == none {
			s.forget(v.rule)
			return
		}
	}
	s.touch(t)
	i := s.markOf(t)
	if i == none {
		if i = s.newServant(t, mark, v.now); i == none {
			s.forget(v.rule)
			s.settle(v, t)
			return
		}
		s.states[i].seen = v.now
		s.link(t, i)
		return
	}
	if x := &s.states[i]; v.now > x.seen {
		x.start, x.seen = x.seen, v.now
		x.flags |= flagLead
	}
}

func (s *Sequencer) forget(rule uint32) {
	s.Counters.Forgotten++
	s.degraded[rule] |= degradedEvicted
}

func (s *Sequencer) markOf(t int32) int32 {
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		if s.states[i].kind == mark {
			return i
		}
	}
	return none
}

// lead gives a state that begins now the time of the last event before it that fits a missing stage before the first.
func (s *Sequencer) lead(v *visit, t int32, x *state) {
	if v.f.flags&formLeading == 0 {
		return
	}
	i := s.markOf(t)
	if i == none {
		return
	}
	m := &s.states[i]
	switch {
	case m.seen < v.now:
		x.lead = m.seen
	case m.flags&flagLead != 0 && m.start < v.now:
		x.lead = m.start
	default:
		return
	}
	x.flags |= flagLead
}
