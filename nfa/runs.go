package nfa

// `with runs=N` means N equal stages, one behind the other: each event of the stage moves every state inside the run on
// by one, and what is N events long completes or waits for the next stage. So the states inside a run differ only in
// the event they began with, and one list serves them all:
//
//	window ──▶ oldest ──▶ element ──▶ ... ──▶ youngest
//
// An element is an event of the run. The state that began its run with that event is the element itself; it has as many
// events as there are elements from it on. An event with which no state began is a ghost: older ones need it. So the
// oldest is never a ghost. A state of N events is always the oldest, and when the next event makes another one as long,
// it is replaced; when not, it leaves the window and waits for itself.
//
// An event costs the same however long the run is: it pushes one element and at most the oldest ends. Spans end from
// the old side as long as starts do not go back; when they do, the window is looked through.

// runEvidenceMax bounds the evidence of one run: that of its first event and of the last ones. What an attacker did a
// hundred times looks the same each time, and the evidence of a device holds a thousand events in all.
const runEvidenceMax = 8

// slide takes an event of a stage with runs where a newer state replaces an older one.
func (s *Sequencer) slide(v *visit, stage int, k *key) {
	h := hash(v.rule, k)
	t := s.find(v.rule, h, k)
	first := stage == int(v.f.first)
	if t == none && !first {
		return
	}
	// The condition reads no earlier event, or states would wait side by side: what holds for one holds for all.
	if s.gatherNone(); !s.holds(v, stage) {
		return
	}
	if t == none {
		if t = s.newTrack(v.rule, h, k, v.now); t == none {
			s.Counters.Refused++
			return
		}
	}
	w := s.windowOf(t, stage)
	if w != none {
		s.touch(t)
		s.shift(v, stage, t, w)
	}
	s.join(v, stage, t, w)
	s.settle(v, t)
}

// windowOf finds the window of a stage.
func (s *Sequencer) windowOf(t int32, stage int) int32 {
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		if s.states[i].kind == window && int(s.states[i].stage) == stage {
			return i
		}
	}
	return none
}

// full tells whether the oldest of a window has its whole run and waits for the next stage.
func (s *Sequencer) full(v *visit, w int32) bool {
	x := &s.states[w]
	return x.count == uint32(s.stage(v, int(x.stage)).Runs)
}

// shift moves the states of a window on by an event that is not in it yet.
func (s *Sequencer) shift(v *visit, stage int, t, w int32) {
	runs := uint32(s.stage(v, stage).Runs)
	head := &s.states[w]
	s.expire(v, w)
	if head.count == runs {
		if next := s.states[head.first].next; next != none && s.states[next].alive() {
			s.Counters.Replaced++
			s.freeStateOf(s.pop(w))
		} else {
			s.link(t, s.detach(t, w, v.now))
		}
	}
	s.trim(w)
	if head.count == 0 || head.count != runs-1 {
		return
	}
	if stage == int(v.f.last) {
		s.finish(v, t, w)
	} else if s.dropWaiting(t, stage) {
		s.Counters.Replaced++
	}
}

// expire makes ghosts of the states whose span is over and which the event would move.
func (s *Sequencer) expire(v *visit, w int32) {
	if v.r.MaxSpan == 0 {
		return
	}
	head := &s.states[w]
	i := head.first
	if s.full(v, w) {
		i = s.states[i].next
	}
	for ; i != none; i = s.states[i].next {
		x := &s.states[i]
		if !x.alive() {
			continue
		}
		if s.over(v.r, i, v.now) {
			s.Counters.Expired++
			s.ghost(i)
		} else if head.flags&flagAstray == 0 {
			return
		}
	}
}

// ghost makes an element one of its event alone.
func (s *Sequencer) ghost(i int32) {
	x := &s.states[i]
	s.freeChain(x.first)
	x.first, x.last = none, none
	x.flags |= flagGhost
	s.active--
}

// pop takes the oldest out of a window.
func (s *Sequencer) pop(w int32) int32 {
	head := &s.states[w]
	i := head.first
	next := s.states[i].next
	head.first = next
	if head.own == i {
		head.own = next
	}
	if next == none {
		head.last, head.start = none, 0
		head.flags &^= flagAstray
	}
	head.count--
	return i
}

// trim frees the ghosts that are older than every state.
func (s *Sequencer) trim(w int32) {
	for i := s.states[w].first; i != none && !s.states[i].alive(); i = s.states[w].first {
		s.freeStateOf(s.pop(w))
	}
}

// finish ends the oldest of a window at the last stage: the event is the last of its run.
func (s *Sequencer) finish(v *visit, t, w int32) {
	head := &s.states[w]
	x := &s.states[head.first]
	switch verdict, due := judge(v, x); verdict {
	case refuted:
		s.Counters.Tainted++
		s.freeStateOf(s.pop(w))
	case open:
		s.await(v, t, s.detach(t, w, v.now), due)
	default:
		kept := s.gatherWindow(w)
		s.emit(v.rule, v.ev, int(x.elided)+int(head.count)-kept, v.out)
		s.freeStateOf(s.pop(w))
	}
	s.trim(w)
}

// gatherWindow gathers the evidence of the oldest of a window and counts that of the run.
func (s *Sequencer) gatherWindow(w int32) (kept int) {
	head := &s.states[w]
	s.gather(head.first)
	before := s.asked.n
	s.gatherOne(s.states[head.first].own)
	for i := s.keepers(w); i != none; i = s.states[i].next {
		s.gatherOne(s.states[i].own)
	}
	return int(s.asked.n - before)
}

// keepers is the first of the younger elements that keep evidence.
func (s *Sequencer) keepers(w int32) int32 {
	head := &s.states[w]
	if head.own == head.first {
		return s.states[head.first].next
	}
	return head.own
}

// release takes the oldest out of a window as a state that waits behind the stage, without the evidence that it shares
// with younger ones. kept is how much evidence its run has.
func (s *Sequencer) release(w int32, kept int) int32 {
	head := &s.states[w]
	x := &s.states[head.first]
	x.elided += uint16(int(head.count) - kept)
	x.seen = s.states[head.last].seen
	x.stage, x.kind, x.count = head.stage, waiting, head.count
	st := s.pop(w)
	x.next = none
	return st
}

// detach takes the oldest out of a window, with the evidence of its run, as a state that waits behind the stage. What
// younger states need as well is copied.
func (s *Sequencer) detach(t, w int32, now uint64) int32 {
	head := &s.states[w]
	st := head.first
	x := &s.states[st]
	kept := 0
	if x.own != none {
		s.append(st, x.own)
		x.own = none
		kept++
	}
	for i := s.keepers(w); i != none; i = s.states[i].next {
		if s.states[i].own == none {
			continue
		}
		if n := s.copyNode(t, s.states[i].own, now); n != none {
			s.append(st, n)
			kept++
		}
	}
	return s.release(w, kept)
}

// join puts an event into a window, with the state that begins its run with it, if there is one.
func (s *Sequencer) join(v *visit, stage int, t, w int32) {
	e := none
	if stage == int(v.f.first) {
		if e = s.newState(t, v.now); e == none {
			s.Counters.Refused++
			s.abandon(v.rule, w)
			return
		}
		s.states[e].start = v.now
		s.lead(v, t, &s.states[e])
		s.Counters.Started++
		s.touch(t)
	} else if e = s.takeBefore(v, stage, t, false); e != none {
		s.taint(v, e)
		s.Counters.Advanced++
		s.touch(t)
	}
	if w == none && e != none {
		if w = s.newServant(t, window, v.now); w == none {
			s.lose(v.rule, e)
			return
		}
		s.states[w].stage = uint8(stage)
		s.link(t, w)
	}
	if w == none || e == none && s.states[w].count == 0 {
		return
	}
	if e == none {
		if e = s.newServant(t, element, v.now); e == none {
			s.abandon(v.rule, w)
			return
		}
		s.states[e].flags = flagGhost
	}
	s.push(v, stage, t, w, e)
}

// push makes a state, or a ghost, the youngest of a window.
func (s *Sequencer) push(v *visit, stage int, t, w, e int32) {
	x, head := &s.states[e], &s.states[w]
	x.kind, x.stage, x.seen, x.next = element, uint8(stage), v.now, none
	if x.alive() {
		if x.start < head.start {
			head.flags |= flagAstray
		}
		head.start = max(head.start, x.start)
	}
	if head.last == none {
		head.first, head.own = e, e
	} else {
		s.states[head.last].next = e
	}
	head.last = e
	head.count++
	if head.count >= runEvidenceMax {
		if old := &s.states[head.own]; head.own != head.first && old.own != none {
			s.freeNodeOf(old.own)
			old.own = none
		}
		head.own = s.states[head.own].next
	}
	// Without room the run goes on without the evidence.
	x.own = s.write(t, uint8(stage), v.ev)
}

// abandon drops the states of a window, which cannot be held for want of room.
func (s *Sequencer) abandon(rule uint32, w int32) {
	if w == none {
		return
	}
	for s.states[w].first != none {
		i := s.pop(w)
		if s.states[i].alive() {
			s.lose(rule, i)
		} else {
			s.freeStateOf(i)
		}
	}
}

// bound makes room for another piece of evidence of the run that a state is in: the second goes.
func (s *Sequencer) bound(v *visit, st int32) {
	x := &s.states[st]
	if s.stage(v, int(x.stage)).Runs <= runEvidenceMax {
		return
	}
	n, second := 0, &x.first
	for link := &x.first; *link != none; link = &s.nodes[*link].next {
		if s.nodes[*link].stage != x.stage {
			continue
		}
		if n++; n == 2 {
			second = link
		}
	}
	if n < runEvidenceMax {
		return
	}
	i := *second
	*second = s.nodes[i].next
	s.freeNodeOf(i)
	x.elided++
}
