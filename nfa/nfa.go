// Package nfa runs the sequences: it keeps, per rule and join key, one pending state per stage and moves it on when the
// next stage's event comes.
//
// The rules are Elastic's. An event of the first stage starts a state; a newer one replaces it. An event of stage n
// takes the state that waits behind stage n-1 with it and replaces what waited behind stage n. An event that fits several
// stages serves the latest first, so it never follows itself. maxspan counts from the first event and includes its end;
// until clears what is pending for the key. An event with a null join key takes no part, unless the key is optional.
//
// Memory: everything is carved in New: tracks (a rule and a key), states, and evidence, a copy of what an event adds to
// the alert. When a pool is empty a track goes: of those touched longest ago one whose span is over, counted as Expired, or else
// the oldest, counted as Evicted; the next alert of its rule says so. Nothing depends on a clock: the same events give
// the same alerts.
//
// A Sequencer belongs to one goroutine.
package nfa

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// Config sizes the pools.
type Config struct {
	Tracks   int // rule and key pairs with something pending
	States   int // pending states
	Evidence int // events kept for pending states
}

// Emitter receives a completed sequence. pending yields the evidence of the earlier events in order, borrowed for the
// call; last is the event that completed it.
type Emitter interface {
	Sequence(rule uint32, pending *Pending, last *event.Event, evicted bool)
}

// Counters of a Sequencer. What was started is completed, replaced, expired, cleared, evicted, or pending still.
type Counters struct {
	Started   uint64 // states begun
	Advanced  uint64
	Completed uint64
	Replaced  uint64 // by a newer event at the same stage
	Expired   uint64 // found past their maxspan
	Cleared   uint64 // by until
	Evicted   uint64 // dropped alive, for want of room
	Refused   uint64 // not begun, since a pool is smaller than one sequence
	NullKeys  uint64 // events without a value for a join key
}

// Plus adds the counts of another Sequencer.
func (c Counters) Plus(d Counters) Counters {
	c.Started += d.Started
	c.Advanced += d.Advanced
	c.Completed += d.Completed
	c.Replaced += d.Replaced
	c.Expired += d.Expired
	c.Cleared += d.Cleared
	c.Evicted += d.Evicted
	c.Refused += d.Refused
	c.NullKeys += d.NullKeys
	return c
}

const none = int32(-1)

// keyBytes holds one encoded join key value: a number, a string of at most 15 bytes, or the hash of a longer one.
const keyBytes = 16

type key [limits.KeysMax * keyBytes]byte

type track struct {
	key        key
	hash       uint64
	rule       uint32
	bucketNext int32
	newer      int32 // in order of use
	older      int32
	states     int32 // head of its list
}

type state struct {
	start uint64 // time of the first event
	next  int32  // of the track, or of the free list
	track int32
	first int32 // evidence
	last  int32
	stage uint8 // the stage whose event came last
}

// Sequencer holds the pending sequences of one image.
type Sequencer struct {
	Counters Counters

	img     *image.Image
	buckets []int32 // track + 1; 0 is an empty bucket
	mask    uint64
	tracks  []track
	states  []state
	nodes   []node
	slab    []byte // limits.EvidenceBytesMax each

	// What was never used is taken in order and what was freed is taken first, so that pages nobody needed are never
	// touched: a pool costs what it holds.
	freeTrack, freeState, freeNode    int32
	usedTracks, usedStates, usedNodes int32
	newest, oldest                    int32
	active                            int
	evicted                           []bool // by rule, since its last alert
	pending                           Pending
}

type node struct {
	next int32
	len  int32
}

// Bytes is the memory that New carves for a Config and an image with so many rules.
func Bytes(cfg Config, rules int) int {
	const trackBytes, stateBytes, nodeBytes = 128, 32, 8
	return cfg.Tracks*(trackBytes+8) + cfg.States*stateBytes + cfg.Evidence*(nodeBytes+limits.EvidenceBytesMax) + rules
}

// New carves the pools. slab is memory for the evidence, cfg.Evidence*limits.EvidenceBytesMax bytes that the Sequencer
// owns from then on; nil allocates it.
func New(img *image.Image, cfg Config, slab []byte) *Sequencer {
	buckets := 1
	for buckets < cfg.Tracks {
		buckets <<= 1
	}
	if slab == nil {
		slab = make([]byte, cfg.Evidence*limits.EvidenceBytesMax)
	}
	s := &Sequencer{
		img: img, buckets: make([]int32, buckets), mask: uint64(buckets - 1), tracks: make([]track, cfg.Tracks),
		states: make([]state, cfg.States), nodes: make([]node, cfg.Evidence), slab: slab,
		evicted: make([]bool, len(img.Rules)), newest: none, oldest: none,
	}
	s.freeTrack, s.freeState, s.freeNode = none, none, none
	s.pending.s = s
	return s
}

// Active is the number of pending states.
func (s *Sequencer) Active() int { return s.active }

// Pending walks the evidence of the earlier events of a sequence.
type Pending struct {
	s  *Sequencer
	at int32
}

// Next is the evidence of the next event, as alert.AppendEvidence wrote it.
func (p *Pending) Next() (alert.Evidence, bool) {
	if p.at == none {
		return nil, false
	}
	n := &p.s.nodes[p.at]
	from := int(p.at) * limits.EvidenceBytesMax
	p.at = n.next
	return p.s.slab[from : from+int(n.len)], true
}

// Event takes an event that fits the stages in mask of a sequence rule; the bit image.StageUntil is its until condition.
func (s *Sequencer) Event(rule, mask uint32, ev *event.Event, out Emitter) {
	r := &s.img.Rules[rule]
	var k key
	for stage := int(r.NStages) - 1; stage >= 0; stage-- {
		if mask>>uint(stage)&1 == 0 {
			continue
		}
		if !s.key(&s.img.Stages[int(r.Stages)+stage], ev, &k) {
			s.Counters.NullKeys++
			continue
		}
		if stage == 0 {
			s.begin(rule, &k, ev)
		} else {
			s.advance(rule, r, &k, stage, ev, out)
		}
	}
	if mask>>image.StageUntil&1 == 0 {
		return
	}
	if !s.key(&s.img.Stages[int(r.Stages)+int(r.NStages)], ev, &k) {
		s.Counters.NullKeys++
		return
	}
	if t := s.find(rule, hash(rule, &k), &k); t != none {
		for s.tracks[t].states != none {
			s.Counters.Cleared++
			s.dropFirst(t)
		}
		s.freeTrackOf(t)
	}
}

func (s *Sequencer) begin(rule uint32, k *key, ev *event.Event) {
	h := hash(rule, k)
	t := s.find(rule, h, k)
	if t == none {
		if t = s.newTrack(rule, h, k, ev.Own.Time()); t == none {
			s.Counters.Refused++
			return
		}
	}
	s.touch(t)
	if s.take(t, 0) {
		s.Counters.Replaced++
	}
	st := s.newState(t, ev.Own.Time())
	if st == none {
		s.Counters.Refused++
		s.freeIfEmpty(t)
		return
	}
	s.states[st].start = ev.Own.Time()
	if !s.addEvidence(st, t, ev) {
		s.take(t, 0)
		s.Counters.Refused++
		s.freeIfEmpty(t)
		return
	}
	s.Counters.Started++
}

func (s *Sequencer) advance(rule uint32, r *image.Rule, k *key, stage int, ev *event.Event, out Emitter) {
	t := s.find(rule, hash(rule, k), k)
	if t == none {
		return
	}
	st := s.at(t, uint8(stage-1))
	if st == none {
		return
	}
	if s.over(r, st, ev.Own.Time()) {
		s.Counters.Expired++
		s.take(t, uint8(stage-1))
		s.freeIfEmpty(t)
		return
	}
	s.touch(t)
	if stage == int(r.NStages)-1 {
		s.pending.at = s.states[st].first
		s.Counters.Completed++
		evicted := s.evicted[rule]
		s.evicted[rule] = false
		out.Sequence(rule, &s.pending, ev, evicted)
		s.take(t, uint8(stage-1))
		s.freeIfEmpty(t)
		return
	}
	if s.take(t, uint8(stage)) {
		s.Counters.Replaced++
	}
	s.states[st].stage = uint8(stage)
	if !s.addEvidence(st, t, ev) {
		// A sequence that has more events than the pool: the state goes like any other that finds no room.
		s.take(t, uint8(stage))
		s.Counters.Evicted++
		s.evicted[rule] = true
		s.freeIfEmpty(t)
		return
	}
	s.Counters.Advanced++
}

// over tells whether a state's span is over at time now.
func (s *Sequencer) over(r *image.Rule, st int32, now uint64) bool {
	start := s.states[st].start
	return r.MaxSpan > 0 && now > start && now-start > r.MaxSpan
}

// at finds the state of a track that waits behind stage.
func (s *Sequencer) at(t int32, stage uint8) int32 {
	for i := s.tracks[t].states; i != none; i = s.states[i].next {
		if s.states[i].stage == stage {
			return i
		}
	}
	return none
}

// take frees the state of a track that waits behind stage, if there is one.
func (s *Sequencer) take(t int32, stage uint8) bool {
	link := &s.tracks[t].states
	for *link != none {
		i := *link
		if s.states[i].stage == stage {
			*link = s.states[i].next
			s.freeStateOf(i)
			return true
		}
		link = &s.states[i].next
	}
	return false
}

func (s *Sequencer) dropFirst(t int32) {
	i := s.tracks[t].states
	s.tracks[t].states = s.states[i].next
	s.freeStateOf(i)
}

func (s *Sequencer) freeStateOf(i int32) {
	st := &s.states[i]
	for n := st.first; n != none; {
		next := s.nodes[n].next
		s.nodes[n].next, s.freeNode = s.freeNode, n
		n = next
	}
	st.next, s.freeState = s.freeState, i
	s.active--
}

func (s *Sequencer) newState(t int32, now uint64) int32 {
	i := s.freeState
	for ; i == none; i = s.freeState {
		if int(s.usedStates) < len(s.states) {
			i = s.usedStates
			s.usedStates++
			s.states[i].next = none
			break
		}
		if !s.evict(t, now) {
			return none
		}
	}
	s.freeState = s.states[i].next
	s.states[i] = state{next: s.tracks[t].states, track: t, first: none, last: none}
	s.tracks[t].states = i
	s.active++
	return i
}

func (s *Sequencer) addEvidence(st, t int32, ev *event.Event) bool {
	n := s.freeNode
	for ; n == none; n = s.freeNode {
		if int(s.usedNodes) < len(s.nodes) {
			n = s.usedNodes
			s.usedNodes++
			s.nodes[n].next = none
			break
		}
		if !s.evict(t, ev.Own.Time()) {
			return false
		}
	}
	s.freeNode = s.nodes[n].next
	from := int(n) * limits.EvidenceBytesMax
	dst := s.slab[from : from : from+limits.EvidenceBytesMax]
	s.nodes[n] = node{none, int32(len(alert.AppendEvidence(dst, ev, limits.EvidenceBytesMax)))}
	if s.states[st].last == none {
		s.states[st].first = n
	} else {
		s.nodes[s.states[st].last].next = n
	}
	s.states[st].last = n
	return true
}
