package nfa

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// A stage whose fields later stages read keeps the states of different events: from it on states wait side by side, at
// most limits.KeptStatesMax of a kind, and an event takes the newest for which the condition holds. Everywhere else a
// newer state replaces an older one.

// visit is an event on its way through the stages of a rule.
type visit struct {
	rule uint32
	r    *image.Rule
	f    *form
	ev   *event.Event
	now  uint64
	out  Emitter
}

func (s *Sequencer) stage(v *visit, stage int) *image.Stage {
	return &s.img.Stages[int(v.r.Stages)+stage]
}

// formed takes an event for a rule that the plain path does not know.
func (s *Sequencer) formed(rule, mask uint32, ev *event.Event, out Emitter) {
	v := visit{rule: rule, r: &s.img.Rules[rule], f: &s.forms[rule], ev: ev, now: ev.Own.Time(), out: out}
	if v.f.flags&formSample != 0 {
		s.sample(&v, mask)
		return
	}
	n := int(v.r.NStages)
	for stage := n - 1; stage >= 0; stage-- {
		if mask>>uint(stage)&1 != 0 {
			s.keyed(&v, stage)
		}
	}
	if mask>>image.StageUntil&1 != 0 {
		s.keyed(&v, n)
	}
}

// keyed takes the event for a stage, once for each of its keys.
func (s *Sequencer) keyed(v *visit, stage int) {
	st := s.stage(v, stage)
	if v.f.flags&formArrays == 0 {
		var k key
		if !s.key(st, v.ev, &k) {
			s.Counters.NullKeys++
			return
		}
		s.meet(v, stage, &k)
		return
	}
	s.keys.reset()
	if !s.expand(v, st, 0) {
		s.Counters.NullKeys++
		return
	}
	for i := range s.keys.n {
		s.meet(v, stage, &s.keys.list[i])
	}
}

// meet takes the event for a stage and a key.
func (s *Sequencer) meet(v *visit, stage int, k *key) {
	st := s.stage(v, stage)
	switch {
	case stage == int(v.r.NStages):
		s.gatherNone()
		if s.holds(v, stage) {
			s.clear(v.rule, k)
		}
	case st.Flags&image.StageMissing != 0:
		s.absent(v, stage, k)
	case st.Runs > 1 && stage < int(v.f.keep):
		s.slide(v, stage, k)
	case stage == int(v.f.first):
		s.start(v, stage, k)
	default:
		s.follow(v, stage, k)
	}
}

// holds asks for what remains of a stage's condition, given what was gathered.
func (s *Sequencer) holds(v *visit, stage int) bool {
	return s.stage(v, stage).Later == 0 || v.out.Holds(v.rule, stage, &s.asked, v.ev)
}

// start takes an event of the first stage.
func (s *Sequencer) start(v *visit, stage int, k *key) {
	h := hash(v.rule, k)
	t := s.find(v.rule, h, k)
	runs := s.stage(v, stage).Runs
	if t != none && runs > 1 {
		s.parts(v, stage, t)
	}
	s.gatherNone()
	if !s.holds(v, stage) {
		s.settle(v, t)
		return
	}
	if stage == int(v.f.last) && runs == 1 && v.f.flags&formTrailing == 0 {
		s.alone(v, t)
		return
	}
	if t == none {
		if t = s.newTrack(v.rule, h, k, v.now); t == none {
			s.Counters.Refused++
			return
		}
	}
	s.touch(t)
	if runs == 1 && stage < int(v.f.keep) && stage != int(v.f.last) && s.dropWaiting(t, stage) {
		s.Counters.Replaced++
	}
	st := s.newState(t, v.now)
	if st == none {
		s.Counters.Refused++
	} else {
		s.states[st].start = v.now
		s.lead(v, t, &s.states[st])
		s.Counters.Started++
		s.gatherNone()
		s.arrive(v, stage, t, st)
	}
	s.settle(v, t)
}

// alone is a sequence of one event: it needs no room.
func (s *Sequencer) alone(v *visit, t int32) {
	x := state{start: v.now}
	if t != none {
		s.lead(v, t, &x)
	}
	s.Counters.Started++
	s.gatherNone()
	if verdict, _ := judge(v, &x); verdict == refuted {
		s.Counters.Tainted++
	} else {
		s.emit(v.rule, v.ev, 0, v.out)
	}
	s.settle(v, t)
}

// follow takes an event of a stage behind the first.
func (s *Sequencer) follow(v *visit, stage int, k *key) {
	t := s.find(v.rule, hash(v.rule, k), k)
	if t == none {
		return
	}
	if s.stage(v, stage).Runs > 1 {
		s.parts(v, stage, t)
	}
	ends := stage == int(v.f.last) && s.stage(v, stage).Runs == 1
	if st := s.takeBefore(v, stage, t, ends && v.f.flags&formTrailing == 0); st != none {
		s.touch(t)
		if !ends {
			s.Counters.Advanced++
		}
		s.arrive(v, stage, t, st)
	}
	s.settle(v, t)
}

// before is the last stage before one that is not missing.
func (s *Sequencer) before(v *visit, stage int) int {
	for stage--; s.stage(v, stage).Flags&image.StageMissing != 0; {
		stage--
	}
	return stage
}

// takeBefore takes the state that an event of a stage goes on with out of its list: the newest that waits behind the
// stage before and for which the condition holds. Those it meets whose span is over go. Its evidence is what was
// gathered last; when it ends with this event it gets no copies of what it shares.
func (s *Sequencer) takeBefore(v *visit, stage int, t int32, ends bool) int32 {
	behind := uint8(s.before(v, stage))
	for link := &s.tracks[t].states; *link != none; {
		i := *link
		x := &s.states[i]
		if x.stage != behind || x.kind != waiting && !(x.kind == window && s.full(v, i)) {
			link = &x.next
			continue
		}
		if x.kind == window {
			if s.over(v.r, x.first, v.now) {
				s.Counters.Expired++
				s.freeStateOf(s.pop(i))
			} else if kept := s.gatherWindow(i); s.holds(v, stage) {
				if ends {
					return s.release(i, kept)
				}
				return s.detach(t, i, v.now)
			}
			link = &x.next
			continue
		}
		if s.over(v.r, i, v.now) {
			s.Counters.Expired++
			*link = x.next
			s.freeStateOf(i)
			continue
		}
		if s.gather(i); s.holds(v, stage) {
			*link = x.next
			return i
		}
		link = &x.next
	}
	return none
}

// dropWaiting frees the state that waits behind a stage, if there is one.
func (s *Sequencer) dropWaiting(t int32, stage int) bool {
	for link := &s.tracks[t].states; *link != none; link = &s.states[*link].next {
		if i := *link; s.states[i].kind == waiting && int(s.states[i].stage) == stage {
			*link = s.states[i].next
			s.freeStateOf(i)
			return true
		}
	}
	return false
}

// parts moves the states inside a run by one event, of each length the newest for which the condition holds. A longer
// one goes first, so a state moves once.
func (s *Sequencer) parts(v *visit, stage int, t int32) {
	var gone [limits.RunsMax/64 + 1]uint64 // lengths of which a state has moved
	moved := none
	for link := &s.tracks[t].states; *link != none; {
		i := *link
		x := &s.states[i]
		if x.kind != part || int(x.stage) != stage || gone[x.count/64]>>(x.count%64)&1 != 0 {
			link = &x.next
			continue
		}
		if s.over(v.r, i, v.now) {
			s.Counters.Expired++
			*link = x.next
			s.freeStateOf(i)
			continue
		}
		if s.gather(i); !s.holds(v, stage) {
			link = &x.next
			continue
		}
		gone[x.count/64] |= 1 << (x.count % 64)
		*link, x.next, moved = x.next, moved, i
	}
	if moved != none {
		s.touch(t)
	}
	for moved != none {
		i := moved
		moved = s.states[i].next
		s.states[i].count++
		s.gather(i)
		s.put(v, stage, t, i)
	}
}

// arrive takes a state to a stage whose first event has come.
func (s *Sequencer) arrive(v *visit, stage int, t, st int32) {
	s.taint(v, st)
	s.states[st].count = 1
	s.put(v, stage, t, st)
}

// put files a state, which is in no list, after another event of a stage: as complete, as waiting for the next stage,
// or as part of a run.
func (s *Sequencer) put(v *visit, stage int, t, st int32) {
	x := &s.states[st]
	x.kind = waiting
	if x.count < uint32(s.stage(v, stage).Runs) {
		x.kind = part
	} else if stage == int(v.f.last) {
		s.complete(v, t, st)
		return
	}
	x.stage, x.seen = uint8(stage), v.now
	kept := stage >= int(v.f.keep)
	if !kept && s.dropWaiting(t, stage) {
		s.Counters.Replaced++
	}
	s.bound(v, st)
	if !s.addEvidence(st, t, uint8(stage), v.ev) {
		s.lose(v.rule, st)
		return
	}
	s.link(t, st)
	if kept {
		s.crowd(v.rule, t, st, limits.KeptStatesMax)
	}
}

// lose frees a state, which is in no list, for want of room.
func (s *Sequencer) lose(rule uint32, st int32) {
	s.Counters.Evicted++
	s.degraded[rule] |= degradedEvicted
	s.freeStateOf(st)
}

// crowd frees the oldest state like st when there are more than max.
func (s *Sequencer) crowd(rule uint32, t, st int32, max int) {
	like := &s.states[st]
	var oldest *int32
	n := 0
	for link := &s.tracks[t].states; *link != none; link = &s.states[*link].next {
		if x := &s.states[*link]; x.kind == like.kind && x.stage == like.stage && x.count == like.count {
			oldest, n = link, n+1
		}
	}
	if n > max {
		i := *oldest
		*oldest = s.states[i].next
		s.freeStateOf(i)
		s.Counters.KeptOut++
		s.degraded[rule] |= degradedBound
	}
}

// complete takes a state, which is in no list and whose evidence is gathered, when its last event has come.
func (s *Sequencer) complete(v *visit, t, st int32) {
	switch verdict, due := judge(v, &s.states[st]); verdict {
	case refuted:
		s.Counters.Tainted++
	case open:
		s.await(v, t, st, due)
		return
	default:
		s.emit(v.rule, v.ev, int(s.states[st].elided), v.out)
	}
	s.freeStateOf(st)
}

// settle frees what serves nothing in a track any more, and the track when nothing is left.
func (s *Sequencer) settle(v *visit, t int32) {
	if t == none {
		return
	}
	for link := &s.tracks[t].states; *link != none; {
		i := *link
		x := &s.states[i]
		if x.kind == window {
			s.trim(i)
		}
		if x.kind == window && x.first == none || x.kind == mark && exceeds(x.seen, v.now, v.r.MaxSpan) {
			*link = x.next
			s.freeStateOf(i)
			continue
		}
		link = &x.next
	}
	s.freeIfEmpty(t)
}
