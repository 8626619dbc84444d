package nfa

import (
	"math/bits"

	"github.com/kestrel-detection/kestrel/limits"
)

// A sample is complete when each stage has an event of its own, in any order. An event may fit several stages, so which
// event serves which stage is a matching: a new event takes a free stage, or one whose event can move on to another,
// and so forth until a free one (an augmenting path). When there is no such path, the oldest of the events that could
// give their stage to the new one goes. So the events held cover as many stages as those that came before ever could,
// and of the events that do they are the newest.

// sample takes an event of a sample.
func (s *Sequencer) sample(v *visit, mask uint32) {
	s.keys.reset()
	for stage := range int(v.r.NStages) {
		if mask>>uint(stage)&1 == 0 {
			continue
		}
		if s.gatherNone(); !s.holds(v, stage) {
			continue
		}
		if !s.expand(v, s.stage(v, stage), 1<<uint(stage)) {
			s.Counters.NullKeys++
		}
	}
	for i := range s.keys.n {
		s.gatherSample(v, &s.keys.list[i], s.keys.fits[i])
	}
}

// holders are the states of a sample by the stages they serve.
type holders [limits.StagesMax]int32

func (s *Sequencer) gatherSample(v *visit, k *key, fits uint32) {
	h := hash(v.rule, k)
	t := s.find(v.rule, h, k)
	if t == none {
		if t = s.newTrack(v.rule, h, k, v.now); t == none {
			s.Counters.Refused++
			return
		}
	}
	s.touch(t)
	var by holders
	n := s.holdersOf(t, &by)
	seen := uint32(0)
	stage := s.augment(&by, fits, &seen)
	if stage < 0 {
		stage = s.replace(t, &by, fits, seen)
		n--
	}
	st := s.newState(t, v.now)
	if st == none {
		s.Counters.Refused++
		s.freeIfEmpty(t)
		return
	}
	s.Counters.Started++
	x := &s.states[st]
	x.kind, x.stage, x.count, x.seen = held, uint8(stage), fits, v.now
	x.start = v.now
	if !s.addEvidence(st, t, uint8(stage), v.ev) {
		s.lose(v.rule, st)
		s.freeIfEmpty(t)
		return
	}
	s.link(t, st)
	if n+1 == int(v.r.NStages) {
		s.drawn(v, t)
	}
}

// holdersOf finds the states of a track by stage, and counts them.
func (s *Sequencer) holdersOf(t int32, by *holders) (n int) {
	for i := range by {
		by[i] = none
	}
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		by[s.states[i].stage] = i
		n++
	}
	return n
}

// augment finds a stage for an event that fits some, moving others on where that makes room; -1 when there is none.
// seen are the stages that were tried: when there is none, those whose events could give way.
func (s *Sequencer) augment(by *holders, fits uint32, seen *uint32) int {
	for left := fits; left != 0; left &= left - 1 {
		stage := bits.TrailingZeros32(left)
		if *seen>>uint(stage)&1 != 0 {
			continue
		}
		*seen |= 1 << uint(stage)
		i := by[stage]
		if i == none {
			return stage
		}
		if to := s.augment(by, s.states[i].count, seen); to >= 0 {
			s.move(by, i, to)
			return stage
		}
	}
	return -1
}

func (s *Sequencer) move(by *holders, i int32, to int) {
	by[to] = i
	s.states[i].stage = uint8(to)
}

// replace frees the oldest of the events whose stages are in seen and gives the stage that the new event gets for it.
func (s *Sequencer) replace(t int32, by *holders, fits, seen uint32) int {
	var oldest *int32
	for link := &s.tracks[t].states; *link != none; link = &s.states[*link].next {
		if seen>>s.states[*link].stage&1 != 0 {
			oldest = link
		}
	}
	i := *oldest
	*oldest = s.states[i].next
	by[s.states[i].stage] = none
	s.freeStateOf(i)
	s.Counters.Replaced++
	seen = 0
	return s.augment(by, fits, &seen)
}

// drawn hands over a complete sample; its key starts anew. Of the ways to give the events to the stages it takes the
// one in which the first stage has the oldest event it can have, then the second, and so on.
func (s *Sequencer) drawn(v *visit, t int32) {
	var by holders
	n := s.holdersOf(t, &by)
	var age [limits.StagesMax]int32 // from young to old
	for i, at := s.tracks[t].states, 0; i != none; i, at = s.states[i].next, at+1 {
		age[at] = i
	}
	fixed := uint32(0)
	for stage := range n {
		for at := n - 1; at >= 0; at-- {
			if s.assign(&by, age[at], stage, fixed) {
				break
			}
		}
		fixed |= 1 << uint(stage)
	}
	s.gatherNone()
	for stage := range n {
		x := &s.states[by[stage]]
		s.nodes[x.first].stage = uint8(stage)
		s.gatherOne(x.first)
	}
	d := &s.done
	d.Entity, d.Time, d.Host, d.Elided = v.ev.Own.Entity(), v.now, v.ev.Host, 0
	s.hand(v.rule, v.out)
	s.Counters.Joined += uint64(n - 1)
	for s.tracks[t].states != none {
		s.dropFirst(t)
	}
	s.freeTrackOf(t)
}

// assign gives a stage to an event of a complete matching, if the others can be matched without touching the stages
// that are fixed.
func (s *Sequencer) assign(by *holders, i int32, stage int, fixed uint32) bool {
	x := &s.states[i]
	from := int(x.stage)
	if x.count>>uint(stage)&1 == 0 || fixed>>uint(from)&1 != 0 {
		return false
	}
	if from == stage {
		return true
	}
	// The event leaves its stage free; the one that gives way must find a path there.
	other := by[stage]
	by[from] = none
	seen := fixed | 1<<uint(stage)
	to := s.augment(by, s.states[other].count, &seen)
	if to < 0 {
		by[from] = i
		return false
	}
	s.move(by, other, to)
	s.move(by, i, stage)
	return true
}
