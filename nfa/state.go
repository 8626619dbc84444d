package nfa

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// What a state is. All but an element are in the list of their track.
const (
	waiting uint8 = iota // behind a stage that it is through with
	part                 // inside a run, where states wait side by side
	window               // the head of a run's window; no sequence itself
	element              // an event in a window, and the state that began its run with it unless it is a ghost
	mark                 // the times of a missing stage before the first; no sequence itself
	timed                // complete, if nothing comes until a time
	held                 // an event of a sample
)

// Flags of a state.
const (
	flagMiss    = 1 << iota // miss is valid
	flagLead                // lead is valid
	flagTainted             // an event of a missing stage lies between two of its events
	flagGhost               // element: no state began with the event, but older ones go on with it
	flagAstray              // window: a younger element has an earlier start
)

// state is something pending. The fields that only some kinds use are named with them.
type state struct {
	start uint64 // time of the first event; window: the latest of its elements; mark: the time before seen, if flagLead
	seen  uint64 // time of the event that came last; mark: of the last
	miss  uint64 // earliest time after seen of an event that fits a missing stage before the next
	lead  uint64 // time of the last event before the first that fits a missing stage before it
	next  int32  // in the list of the track, of the free ones, or of a window from old to young
	first int32  // evidence; window: the oldest element
	last  int32  // evidence; window: the youngest element
	own   int32  // element: evidence of its event; window: the oldest of the youngest that keep theirs
	place int32  // timed: in the heap
	count uint32 // part, window: events of the run; held: the stages that the event fits
	// elided counts the events of runs that the state is through with whose evidence was not kept.
	elided uint16
	stage  uint8 // the stage whose event came last
	kind   uint8
	flags  uint8
}

// node is an event in the chain of a state. Several may share a text.
type node struct {
	next  int32
	text  int32
	stage uint8
}

// text is a place of the slab: the evidence of one event, for all the nodes that are of it.
type text struct {
	refs uint32
	next int32 // of the free list
	len  uint16
}

// nodesPerText is how many chains an event may be in for each that finds no room: with a few hundred rules the execution of
// a program begins a handful of sequences.
const nodesPerText = 4

// A length fits its text.
const _ = uint(1<<16 - 1 - limits.EvidenceBytesMax)

// alive tells the states that are sequences in the making from those that only serve others.
func (x *state) alive() bool { return x.kind != window && x.kind != mark && x.flags&flagGhost == 0 }

// newState is a waiting state in no list. It gives up tracks other than t for it.
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
	s.states[i] = state{next: none, first: none, last: none, own: none, place: none}
	s.active++
	return i
}

// newServant is a state that is no sequence itself.
func (s *Sequencer) newServant(t int32, kind uint8, now uint64) int32 {
	i := s.newState(t, now)
	if i != none {
		s.states[i].kind = kind
		s.active--
	}
	return i
}

func (s *Sequencer) link(t, i int32) {
	s.states[i].next = s.tracks[t].states
	s.tracks[t].states = i
}

func (s *Sequencer) unlinkState(t, i int32) {
	link := &s.tracks[t].states
	for *link != i {
		link = &s.states[*link].next
	}
	*link = s.states[i].next
}

func (s *Sequencer) dropFirst(t int32) {
	i := s.tracks[t].states
	s.tracks[t].states = s.states[i].next
	s.freeStateOf(i)
}

// freeStateOf frees a state that is in no list any more, with all that hangs on it.
func (s *Sequencer) freeStateOf(i int32) {
	x := &s.states[i]
	switch x.kind {
	case window:
		for e := x.first; e != none; {
			next := s.states[e].next
			s.freeStateOf(e)
			e = next
		}
	case timed:
		s.disarm(i)
		s.freeChain(x.first)
	default:
		s.freeChain(x.first)
		if x.own != none {
			s.freeNodeOf(x.own)
		}
	}
	if x.alive() {
		s.active--
	}
	x.next, s.freeState = s.freeState, i
}

func (s *Sequencer) freeChain(n int32) {
	for n != none {
		next := s.nodes[n].next
		s.freeNodeOf(n)
		n = next
	}
}

func (s *Sequencer) freeNodeOf(n int32) {
	x := &s.nodes[n]
	if t := &s.texts[x.text]; t.refs == 1 {
		t.refs, t.next, s.freeText = 0, s.freeText, x.text
		if s.written.text == x.text {
			s.written.text = none
		}
	} else {
		t.refs--
	}
	x.next, s.freeNode = s.freeNode, n
}

// newNode is a node of no event. It gives up tracks other than t for it.
func (s *Sequencer) newNode(t int32, now uint64) int32 {
	n := s.freeNode
	for ; n == none; n = s.freeNode {
		if int(s.usedNodes) < len(s.nodes) {
			n = s.usedNodes
			s.usedNodes++
			s.nodes[n].next = none
			break
		}
		if !s.evict(t, now) {
			return none
		}
	}
	s.freeNode = s.nodes[n].next
	return n
}

// newText is a place for the evidence of an event. It gives up tracks other than t for it.
func (s *Sequencer) newText(t int32, now uint64) int32 {
	n := s.freeText
	for ; n == none; n = s.freeText {
		if int(s.usedTexts) < len(s.texts) {
			n = s.usedTexts
			s.usedTexts++
			s.texts[n].next = none
			break
		}
		if !s.evict(t, now) {
			return none
		}
	}
	s.freeText = s.texts[n].next
	return n
}

// write makes a node with the evidence of an event; none when there is no room. Most of the work is done once, however
// many rules wait with the event.
func (s *Sequencer) write(t int32, stage uint8, ev *event.Event) int32 {
	n := s.newNode(t, ev.Own.Time())
	if n == none {
		return none
	}
	var read []event.FieldID
	if s.reads != nil {
		read = s.reads[int(s.img.Rules[s.tracks[t].rule].Stages)+int(stage)]
	}
	w := &s.written
	if len(read) == 0 && w.text != none && w.ev == ev && w.id == ev.Own.ID() {
		s.texts[w.text].refs++
		s.nodes[n] = node{none, w.text, stage}
		return n
	}
	at := s.newText(t, ev.Own.Time())
	if at == none {
		s.nodes[n].next, s.freeNode = s.freeNode, n
		return none
	}
	from := int(at) * limits.EvidenceBytesMax
	dst := s.slab[from : from : from+limits.EvidenceBytesMax]
	if len(read) == 0 {
		dst = alert.AppendEvidence(dst, ev, limits.EvidenceBytesMax)
		w.ev, w.id, w.text = ev, ev.Own.ID(), at
	} else {
		dst = alert.AppendWhole(dst, ev, limits.EvidenceBytesMax, read)
	}
	s.texts[at] = text{refs: 1, len: uint16(len(dst))}
	s.nodes[n] = node{none, at, stage}
	return n
}

// copyNode makes another node of an event; none when there is no room.
func (s *Sequencer) copyNode(t, from int32, now uint64) int32 {
	n := s.newNode(t, now)
	if n == none {
		return none
	}
	s.nodes[n] = node{none, s.nodes[from].text, s.nodes[from].stage}
	s.texts[s.nodes[n].text].refs++
	return n
}

// append puts a piece of evidence behind those of a state.
func (s *Sequencer) append(st, n int32) {
	x := &s.states[st]
	if x.last == none {
		x.first = n
	} else {
		s.nodes[x.last].next = n
	}
	x.last = n
}

func (s *Sequencer) addEvidence(st, t int32, stage uint8, ev *event.Event) bool {
	n := s.write(t, stage, ev)
	if n == none {
		return false
	}
	s.append(st, n)
	return true
}

// form is what the Sequencer knows of a rule beforehand. Plain sequences have no flags and a path of their own.
type form struct {
	flags       uint8
	first, last uint8  // the stages that are not missing: the first and the last of them
	keep        uint8  // from this stage on states wait side by side
	live        uint32 // tracks of the rule
	begins      uint32 // stages, as bits, whose events matter when the rule has no track
}

// Flags of a form.
const (
	formSample   = 1 << iota
	formSteps    // a step that the plain path does not know
	formLeading  // missing stages before the first
	formTrailing // missing stages behind the last
	formArrays   // keys that are arrays
)

func formOf(img *image.Image, r *image.Rule) form {
	f := form{keep: limits.StagesMax}
	if r.Flags&image.RuleSample != 0 {
		f.flags |= formSample
	}
	if r.NStages == 1 {
		f.flags |= formSteps
	}
	n := int(r.NStages)
	positive := false
	for i := range n {
		st := &img.Stages[int(r.Stages)+i]
		if st.Flags&image.StageMissing == 0 {
			if !positive {
				f.first, positive = uint8(i), true
			}
			f.last = uint8(i)
		}
		if st.Flags&image.StageKeep != 0 && f.keep == limits.StagesMax {
			f.keep = uint8(i)
		}
		if st.Runs > 1 || st.Flags != 0 || st.Later != 0 {
			f.flags |= formSteps
		}
	}
	if f.first > 0 {
		f.flags |= formLeading
	}
	if int(f.last) < n-1 {
		f.flags |= formTrailing
	}
	f.begins = 1<<(f.first+1) - 1
	if f.flags&formSample != 0 {
		f.begins = 1<<n - 1
	}
	if r.Flags&image.RuleUntil != 0 {
		if img.Stages[int(r.Stages)+n].Later != 0 {
			f.flags |= formSteps
		}
		n++
	}
	for _, st := range img.Stages[r.Stages : int(r.Stages)+n] {
		for _, k := range img.Keys[st.Keys : st.Keys+uint32(st.NKeys)] {
			if event.FieldID(k.Field).Kind() == event.KindStrings {
				f.flags |= formArrays
			}
		}
	}
	return f
}
