// Package nfa runs the sequences and samples: it keeps, per rule and join key, what waits for the next stage's event
// and moves it on when that comes.
//
// The rules are Elastic's. An event of the first stage starts a state; a newer one replaces it. An event of stage n
// takes the state that waits behind stage n-1 with it and replaces what waited behind stage n. An event that fits
// several stages serves the latest first, so it never follows itself. maxspan counts from the first event and includes
// its end; until clears what is pending for the key. An event with a null join key takes no part, unless the key is
// optional. What goes beyond that has a file of its own:
//
//	step.go     stages whose conditions read earlier events, so that states of different events wait side by side
//	runs.go     `with runs`: a window over the last events of a stage in place of a state for each position
//	missing.go  `![...]` before, between and behind the other stages
//	timer.go    what waits for a time to pass without an event
//	sample.go   samples: a matching of events and stages, grown along augmenting paths
//	keys.go     join keys, also those of arrays, which take part once for each element
//
// Memory: everything is carved in New: tracks (a rule and a key), states, and evidence, a copy of what an event adds to
// the alert. When a pool is empty a track goes: of those touched longest ago one whose span is over, counted as
// Expired, or else the oldest, counted as Evicted; the next alert of its rule says so. Nothing depends on a clock: the
// same events give the same alerts.
//
// A Sequencer belongs to one goroutine.
package nfa

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// Config sizes the pools.
type Config struct {
	Tracks   int // rule and key pairs with something pending
	States   int // pending states
	Evidence int // events kept for pending states
}

// Completed is a sequence or sample that was found. It is borrowed for the call that hands it over.
type Completed struct {
	Rule    uint32
	Pending Pending      // the evidence in the order of the stages, without that of Last
	Last    *event.Event // nil when a time completed it, and for a sample: then all events are in Pending
	Entity  uint64       // of the last event
	Time    uint64       // monotonic: of the last event, or when the time was over
	Host    *event.Host
	Evicted bool // since the rule's last alert, something pending was dropped for want of room
	Bound   bool // since the rule's last alert, a limit per key cut something: states side by side, keys of one event
	Elided  int  // events of long runs whose evidence was not kept
}

// Emitter is who asked for the sequences. It must not call the Sequencer.
type Emitter interface {
	// Holds tells whether what remains of a stage's condition is true for an event, given the pending events of a
	// state: the program image.Stage.Later. stage counts in the image's table of the rule, so the until condition is
	// the one behind the last. p is empty for the first stage, for until, for samples, and where a condition reads no
	// earlier event.
	Holds(rule uint32, stage int, p *Pending, ev *event.Event) bool
	// Sequence takes what was completed.
	Sequence(c *Completed)
}

// Counters of a Sequencer. A state that was started is completed, replaced, expired, cleared, tainted, crowded out,
// evicted, joined to a completed sample, or pending still.
type Counters struct {
	Started     uint64 // states begun
	Advanced    uint64 // moved on to a further stage
	Completed   uint64
	TimersFired uint64 // of the completed those for which a time had to pass
	Joined      uint64 // into a completed sample, besides the state that completed it
	Replaced    uint64 // by a newer event at the same stage
	Expired     uint64 // found past their maxspan
	Cleared     uint64 // by until
	Tainted     uint64 // ended by an event of a missing stage
	KeptOut     uint64 // crowded out by newer states side by side
	Evicted     uint64 // dropped alive, for want of room
	Forgotten   uint64 // times of missing stages before the first that were dropped for want of room
	Refused     uint64 // not begun, since a pool is smaller than one sequence
	NullKeys    uint64 // events that mattered to a rule and have no value for a join key
	KeysCut     uint64 // combinations of array elements over limits.CombosMax
}

// Plus adds the counts of another Sequencer.
func (c Counters) Plus(d Counters) Counters {
	c.Started += d.Started
	c.Advanced += d.Advanced
	c.Completed += d.Completed
	c.TimersFired += d.TimersFired
	c.Joined += d.Joined
	c.Replaced += d.Replaced
	c.Expired += d.Expired
	c.Cleared += d.Cleared
	c.Tainted += d.Tainted
	c.KeptOut += d.KeptOut
	c.Evicted += d.Evicted
	c.Forgotten += d.Forgotten
	c.Refused += d.Refused
	c.NullKeys += d.NullKeys
	c.KeysCut += d.KeysCut
	return c
}

const none = int32(-1)

// Sequencer holds the pending sequences of one image.
type Sequencer struct {
	Counters Counters

	img     *image.Image
	forms   []form  // by rule
	buckets []int32 // track + 1; 0 is an empty bucket
	mask    uint64
	tracks  []track
	states  []state
	nodes   []node
	texts   []text
	slab    []byte            // limits.EvidenceBytesMax each
	reads   [][]event.FieldID // by stage: fields that later stages read; nil when none does
	timers  []timer           // a heap
	nTimers int
	age     uint64      // of the youngest timer
	host    *event.Host // of the last event that began to wait for a time

	// What was never used is taken in order and what was freed is taken first, so that pages nobody needed are never
	// touched: a pool costs what it holds.
	freeTrack, freeState, freeNode, freeText     int32
	usedTracks, usedStates, usedNodes, usedTexts int32
	written                                      struct { // the last event whose evidence was written, and where
		ev   *event.Event
		id   uint64
		text int32
	}
	newest, oldest int32
	active         int
	degraded       []uint8 // by rule, since its last alert

	order [pendingMax]int32 // nodes of the state that Holds or Sequence is about
	done  Completed
	asked Pending // what Holds is given
	keys  keySet
}

// What has degraded a rule's alerts.
const (
	degradedEvicted = 1 << iota
	degradedBound
)

// Sizes of what Bytes sums up; a test compares them.
const (
	trackBytes  = 112
	bucketBytes = 8 // four for each, and as many again as there may be up to the next power of two
	stateBytes  = 64
	timerBytes  = 32
	nodeBytes   = 12
	textBytes   = 12
	ruleBytes   = 13
	// sequencerBytes is the Sequencer itself, of which the keys of an event take most.
	sequencerBytes = 24 << 10
)

// Bytes is the memory that New carves for a Config and an image with so many rules, at most: an image without timers
// needs none for them.
func Bytes(cfg Config, rules int) int {
	return cfg.Tracks*(trackBytes+bucketBytes) + cfg.States*(stateBytes+timerBytes) +
		cfg.Evidence*(nodesPerText*nodeBytes+textBytes+limits.EvidenceBytesMax) + rules*ruleBytes + sequencerBytes
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
		img: img, forms: make([]form, len(img.Rules)), buckets: make([]int32, buckets), mask: uint64(buckets - 1),
		tracks: make([]track, cfg.Tracks), states: make([]state, cfg.States), nodes: make([]node, cfg.Evidence*nodesPerText), slab: slab,
		texts:    make([]text, cfg.Evidence),
		degraded: make([]uint8, len(img.Rules)), newest: none, oldest: none,
	}
	for i := range img.Stages {
		if st := &img.Stages[i]; st.Flags&image.StageKeep != 0 {
			if s.reads == nil {
				s.reads = make([][]event.FieldID, len(img.Stages))
			}
			for _, k := range img.Keys[st.Keys+uint32(st.NKeys):][:st.NReads] {
				s.reads[i] = append(s.reads[i], event.FieldID(k.Field))
			}
		}
	}
	waits := false
	for i := range img.Rules {
		s.forms[i] = formOf(img, &img.Rules[i])
		waits = waits || s.forms[i].flags&formTrailing != 0
	}
	if waits {
		s.timers = make([]timer, cfg.States)
	}
	s.freeTrack, s.freeState, s.freeNode, s.freeText, s.written.text = none, none, none, none, none
	s.asked.s = s
	return s
}

// Active is the number of pending states.
func (s *Sequencer) Active() int { return s.active }

// Event takes an event that fits the stages in mask of a rule that is a sequence or a sample; the bit image.StageUntil
// is its until condition.
func (s *Sequencer) Event(rule, mask uint32, ev *event.Event, out Emitter) {
	f := &s.forms[rule]
	if f.live == 0 && mask&f.begins == 0 {
		return // nothing waits for it: a step behind the first may fit every event
	}
	if f.flags != 0 {
		s.formed(rule, mask, ev, out)
		return
	}
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
	s.clear(rule, &k)
}

// clear drops what is pending for a key. What a missing stage has seen stays, and what waits only for a time.
func (s *Sequencer) clear(rule uint32, k *key) {
	t := s.find(rule, hash(rule, k), k)
	if t == none {
		return
	}
	before := s.active
	for link := &s.tracks[t].states; *link != none; {
		i := *link
		if kind := s.states[i].kind; kind == mark || kind == timed {
			link = &s.states[i].next
			continue
		}
		*link = s.states[i].next
		s.freeStateOf(i)
	}
	s.Counters.Cleared += uint64(before - s.active)
	s.freeIfEmpty(t)
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
	s.link(t, st)
	s.states[st].start = ev.Own.Time()
	if !s.addEvidence(st, t, 0, ev) {
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
		s.gather(st)
		s.emit(rule, ev, 0, out)
		s.take(t, uint8(stage-1))
		s.freeIfEmpty(t)
		return
	}
	if s.take(t, uint8(stage)) {
		s.Counters.Replaced++
	}
	s.states[st].stage = uint8(stage)
	if !s.addEvidence(st, t, uint8(stage), ev) {
		// A sequence that has more events than the pool: the state goes like any other that finds no room.
		s.take(t, uint8(stage))
		s.Counters.Evicted++
		s.degraded[rule] |= degradedEvicted
		s.freeIfEmpty(t)
		return
	}
	s.Counters.Advanced++
}

// over tells whether a state's span is over at time now.
func (s *Sequencer) over(r *image.Rule, st int32, now uint64) bool {
	return r.MaxSpan > 0 && exceeds(s.states[st].start, now, r.MaxSpan)
}

// exceeds tells whether more than span lies between two times. Events of several processors may come with times that go
// back.
func exceeds(from, to, span uint64) bool { return to > from && to-from > span }

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

// emit hands over a sequence that an event completed; gather has collected its evidence.
func (s *Sequencer) emit(rule uint32, last *event.Event, elided int, out Emitter) {
	d := &s.done
	d.Last, d.Entity, d.Time, d.Host, d.Elided = last, last.Own.Entity(), last.Own.Time(), last.Host, elided
	s.hand(rule, out)
}

func (s *Sequencer) hand(rule uint32, out Emitter) {
	s.Counters.Completed++
	d, degraded := &s.done, &s.degraded[rule]
	d.Rule, d.Pending = rule, Pending{s: s, n: s.asked.n}
	d.Evicted, d.Bound = *degraded&degradedEvicted != 0, *degraded&degradedBound != 0
	*degraded = 0
	out.Sequence(d)
	d.Last, d.Host = nil, nil
}
