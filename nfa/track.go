package nfa

type track struct {
	key        key
	hash       uint64
	rule       uint32
	bucketNext int32
	newer      int32 // in order of use
	older      int32
	states     int32 // head of its list
}

func (s *Sequencer) find(rule uint32, h uint64, k *key) int32 {
	for t := s.buckets[h&s.mask] - 1; t != none; t = s.tracks[t].bucketNext {
		if tr := &s.tracks[t]; tr.hash == h && tr.rule == rule && tr.key == *k {
			return t
		}
	}
	return none
}

func (s *Sequencer) newTrack(rule uint32, h uint64, k *key, now uint64) int32 {
	t := s.freeTrack
	for ; t == none; t = s.freeTrack {
		if int(s.usedTracks) < len(s.tracks) {
			t = s.usedTracks
			s.usedTracks++
			s.tracks[t].bucketNext = none
			break
		}
		if !s.evict(none, now) {
			return none
		}
	}
	s.forms[rule].live++
	tr := &s.tracks[t]
	s.freeTrack = tr.bucketNext
	bucket := &s.buckets[h&s.mask]
	*tr = track{key: *k, hash: h, rule: rule, bucketNext: *bucket - 1, newer: none, older: s.newest, states: none}
	*bucket = t + 1
	if s.newest != none {
		s.tracks[s.newest].newer = t
	} else {
		s.oldest = t
	}
	s.newest = t
	return t
}

func (s *Sequencer) unlink(t int32) {
	tr := &s.tracks[t]
	if tr.newer != none {
		s.tracks[tr.newer].older = tr.older
	} else {
		s.newest = tr.older
	}
	if tr.older != none {
		s.tracks[tr.older].newer = tr.newer
	} else {
		s.oldest = tr.newer
	}
}

func (s *Sequencer) touch(t int32) {
	if s.newest == t {
		return
	}
	s.unlink(t)
	tr := &s.tracks[t]
	tr.newer, tr.older = none, s.newest
	if s.newest != none {
		s.tracks[s.newest].newer = t
	} else {
		s.oldest = t
	}
	s.newest = t
}

func (s *Sequencer) freeIfEmpty(t int32) {
	if s.tracks[t].states == none {
		s.freeTrackOf(t)
	}
}

func (s *Sequencer) freeTrackOf(t int32) {
	s.unlink(t)
	tr := &s.tracks[t]
	s.forms[tr.rule].live--
	if head := &s.buckets[tr.hash&s.mask]; *head == t+1 {
		*head = tr.bucketNext + 1
	} else {
		link := &s.tracks[*head-1].bucketNext
		for *link != t {
			link = &s.tracks[*link].bucketNext
		}
		*link = tr.bucketNext
	}
	tr.bucketNext, s.freeTrack = s.freeTrack, t
}

// evictLook is how many of the tracks touched longest ago are looked at for one whose spans are over. Rules differ in
// their spans: an old track may be alive while younger ones are not.
const evictLook = 64

// victim is the track to give up: among those touched longest ago one that is over, or else the oldest. It is never
// keep; none when there is no other.
func (s *Sequencer) victim(keep int32, now uint64) int32 {
	oldest := none
	for t, n := s.oldest, 0; t != none && n < evictLook; t, n = s.tracks[t].newer, n+1 {
		if t == keep {
			continue
		}
		if s.allOver(t, now) {
			return t
		}
		if oldest == none {
			oldest = t
		}
	}
	return oldest
}

// allOver tells whether the span of every state of a track is over. What waits for a time has fired before that.
func (s *Sequencer) allOver(t int32, now uint64) bool {
	r := &s.img.Rules[s.tracks[t].rule]
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		if x := &s.states[i]; x.kind == mark {
			if !exceeds(x.seen, now, r.MaxSpan) {
				return false
			}
		} else if !s.over(r, i, now) {
			return false
		}
	}
	return true
}

// evict frees a track other than keep. false when there is none.
func (s *Sequencer) evict(keep int32, now uint64) bool {
	t := s.victim(keep, now)
	if t == none {
		return false
	}
	tr := &s.tracks[t]
	r := &s.img.Rules[tr.rule]
	for i := tr.states; i != none; i = s.states[i].next {
		x := &s.states[i]
		switch x.kind {
		case mark:
			if !exceeds(x.seen, now, r.MaxSpan) {
				s.forget(tr.rule)
			}
		case window:
			for e := x.first; e != none; e = s.states[e].next {
				if s.states[e].alive() {
					s.countOut(tr.rule, s.over(r, e, now))
				}
			}
		default:
			s.countOut(tr.rule, s.over(r, i, now))
		}
	}
	for tr.states != none {
		s.dropFirst(t)
	}
	s.freeTrackOf(t)
	return true
}

// countOut counts a state that is given up.
func (s *Sequencer) countOut(rule uint32, over bool) {
	if over {
		s.Counters.Expired++
		return
	}
	s.Counters.Evicted++
	s.degraded[rule] |= degradedEvicted
}
