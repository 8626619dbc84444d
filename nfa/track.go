package nfa

import (
	"encoding/binary"
	"math/bits"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
)

// key encodes an event's join key values; false when one is null and not optional.
func (s *Sequencer) key(st *image.Stage, ev *event.Event, k *key) bool {
	*k = key{}
	for i := range int(st.NKeys) {
		f := s.img.Keys[int(st.Keys)+i]
		if !encode(event.FieldID(f.Field), ev, k[i*keyBytes:][:keyBytes]) && f.Optional == 0 {
			return false
		}
	}
	return true
}

// The last byte of an encoded value says what it is; 0 is null.
const (
	keyNumber = 0x80
	keyHash   = 0x81
	keyShort  = 1 // and up: length + 1
)

func encode(f event.FieldID, ev *event.Event, dst []byte) bool {
	switch f.Kind() {
	case event.KindString, event.KindStrings, event.KindIP:
		v, ok := ev.Bytes(f)
		if !ok {
			return false
		}
		if len(v) < keyBytes {
			copy(dst, v)
			if f.NulIsSpace() {
				for i := range v {
					dst[i] = blank(v[i])
				}
			}
			dst[keyBytes-1] = byte(keyShort + len(v))
			return true
		}
		hash128(v, f.NulIsSpace(), dst)
		dst[keyBytes-1] = keyHash
		return true
	}
	v, ok := ev.Int(f)
	if !ok {
		return false
	}
	binary.LittleEndian.PutUint64(dst, uint64(v))
	dst[keyBytes-1] = keyNumber
	return true
}

// Multipliers of hash128: odd 64-bit constants with balanced bits.
const (
	mul1 = 0x9e3779b97f4a7c15
	mul2 = 0xd6e8feb86659fd93
)

// blank reads a NUL as a blank; see event.FieldID.NulIsSpace.
func blank(c byte) byte {
	if c == 0 {
		return ' '
	}
	return c
}

// hash128 folds v into 16 bytes by two multiplicative hashes that share no constant.
func hash128(v []byte, nulIsSpace bool, dst []byte) {
	a, b := uint64(len(v))*mul1, uint64(len(v))*mul2
	for len(v) > 0 {
		var w uint64
		switch {
		case nulIsSpace:
			n := min(len(v), 8)
			for i := n - 1; i >= 0; i-- {
				w = w<<8 | uint64(blank(v[i]))
			}
			v = v[n:]
		case len(v) >= 8:
			w, v = binary.LittleEndian.Uint64(v), v[8:]
		default:
			for i := len(v) - 1; i >= 0; i-- {
				w = w<<8 | uint64(v[i])
			}
			v = nil
		}
		a, b = fold(a^w, mul1), fold(b+w, mul2)
	}
	binary.LittleEndian.PutUint64(dst, fold(a, mul2))
	binary.LittleEndian.PutUint64(dst[8:], fold(b, mul1))
}

// fold multiplies to 128 bits and adds the halves, the mixing step of wyhash.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mul2, b^a>>32)
	return hi ^ lo ^ a
}

func hash(rule uint32, k *key) uint64 {
	h := uint64(rule)*mul1 + mul2
	for i := 0; i < len(k); i += 8 {
		h = fold(h^binary.LittleEndian.Uint64(k[i:]), mul1)
	}
	return h
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

// victim is the track to give up: among those touched longest ago one that is over, or else the oldest. It is never keep;
// none when there is no other.
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

// allOver tells whether the span of every state of a track is over.
func (s *Sequencer) allOver(t int32, now uint64) bool {
	r := &s.img.Rules[s.tracks[t].rule]
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		if !s.over(r, i, now) {
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
	r := &s.img.Rules[s.tracks[t].rule]
	for s.tracks[t].states != none {
		if s.over(r, s.tracks[t].states, now) {
			s.Counters.Expired++
		} else {
			s.Counters.Evicted++
			s.evicted[s.tracks[t].rule] = true
		}
		s.dropFirst(t)
	}
	s.freeTrackOf(t)
	return true
}
