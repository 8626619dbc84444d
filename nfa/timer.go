package nfa

import "github.com/kestrel-detection/kestrel/event"

// timer is a sequence that is complete when nothing of a missing stage comes until a time.
type timer struct {
	due   uint64
	age   uint64
	rule  uint32
	track int32
	state int32
	_     int32
}

// timedMax bounds the sequences of one key that wait for a time: an event that comes without end must not take the room
// of all others. It is what one key may have of a pool of a thousand.
const timedMax = 64

// less is the order in which timers fire. Ages differ, so no two are equal.
func (a *timer) less(b *timer) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	if a.rule != b.rule {
		return a.rule < b.rule
	}
	return a.age < b.age
}

// Deadline is the earliest time that something waits for; Advance with a later one fires it.
func (s *Sequencer) Deadline() (due uint64, ok bool) {
	if s.nTimers == 0 {
		return 0, false
	}
	return s.timers[0].due, true
}

// Advance fires what waits for a time before now, in the order of these times, then of the rules, then of when it began
// to wait. It is to be called with the time of each event, before the event, since an event at the time itself counts.
func (s *Sequencer) Advance(now uint64, out Emitter) {
	for s.nTimers > 0 && s.timers[0].due < now {
		s.fire(s.timers[0], out)
	}
}

func (s *Sequencer) fire(e timer, out Emitter) {
	s.unlinkState(e.track, e.state)
	s.gather(e.state)
	x, d := &s.states[e.state], &s.done
	d.Entity = 0
	if x.last != none {
		d.Entity = entityOf(s, x.last)
	}
	d.Time, d.Host, d.Elided = e.due, s.host, int(x.elided)
	s.Counters.TimersFired++
	s.hand(e.rule, out)
	s.freeStateOf(e.state)
	s.freeIfEmpty(e.track)
}

// entityOf is the entity of an event that was kept, 0 when it has none.
func entityOf(s *Sequencer, n int32) uint64 {
	for fields := s.evidence(n).Fields(); ; {
		f, ok := fields.Next()
		if !ok {
			return 0
		}
		if f.ID == event.FieldEntityID {
			return uint64(f.Int())
		}
	}
}

// await lets a state, which is in no list and whose last event has come, wait for a time.
func (s *Sequencer) await(v *visit, t, st int32, due uint64) {
	x := &s.states[st]
	x.stage, x.seen = v.f.last, v.now
	s.bound(v, st)
	if !s.addEvidence(st, t, v.f.last, v.ev) {
		s.lose(v.rule, st)
		return
	}
	x.kind, x.count = timed, 0
	s.link(t, st)
	s.host = v.ev.Host
	s.age++
	x.place = int32(s.nTimers)
	s.timers[s.nTimers] = timer{due: due, age: s.age, rule: v.rule, track: t, state: st}
	s.nTimers++
	s.up(s.nTimers - 1)
	s.crowd(v.rule, t, st, timedMax)
}

// refute drops what waits for a time when an event of a missing stage behind the last comes before that.
func (s *Sequencer) refute(v *visit, stage int, t int32) {
	for link := &s.tracks[t].states; *link != none; {
		i := *link
		x := &s.states[i]
		if x.kind == timed && v.now > x.seen && v.now <= s.timers[x.place].due {
			if s.gather(i); s.holds(v, stage) {
				*link = x.next
				s.Counters.Tainted++
				s.freeStateOf(i)
				continue
			}
		}
		link = &x.next
	}
}

// disarm takes a state's timer out of the heap.
func (s *Sequencer) disarm(st int32) {
	at := int(s.states[st].place)
	s.nTimers--
	if at == s.nTimers {
		return
	}
	s.timers[at] = s.timers[s.nTimers]
	s.states[s.timers[at].state].place = int32(at)
	s.up(at)
	s.down(at)
}

func (s *Sequencer) up(at int) {
	for at > 0 {
		parent := (at - 1) / 2
		if !s.timers[at].less(&s.timers[parent]) {
			return
		}
		s.swap(at, parent)
		at = parent
	}
}

func (s *Sequencer) down(at int) {
	for {
		least := at
		for child := 2*at + 1; child <= 2*at+2 && child < s.nTimers; child++ {
			if s.timers[child].less(&s.timers[least]) {
				least = child
			}
		}
		if least == at {
			return
		}
		s.swap(at, least)
		at = least
	}
}

func (s *Sequencer) swap(a, b int) {
	s.timers[a], s.timers[b] = s.timers[b], s.timers[a]
	s.states[s.timers[a].state].place = int32(a)
	s.states[s.timers[b].state].place = int32(b)
}
