package nfa

import (
	"fmt"
	"unsafe"
)

// Check walks the pools: every entry is in use once or free once, and the timers are a heap.
func (s *Sequencer) Check() error {
	states, nodes := make([]int, len(s.states)), make([]int, len(s.nodes))
	chain := func(n int32) {
		for ; n != none; n = s.nodes[n].next {
			nodes[n]++
		}
	}
	alive, tracks := 0, 0
	var state func(i int32)
	state = func(i int32) {
		states[i]++
		x := &s.states[i]
		if x.alive() {
			alive++
		}
		if x.kind == window {
			count := uint32(0)
			for e := x.first; e != none; e = s.states[e].next {
				state(e)
				count++
			}
			if count != x.count || count == 0 || !s.states[x.first].alive() {
				panic(fmt.Sprintf("a window of %d says %d", count, x.count))
			}
			return
		}
		if x.flags&flagGhost != 0 && x.first != none {
			panic("a ghost has a past")
		}
		chain(x.first)
		if x.own != none {
			nodes[x.own]++
		}
		if x.kind == timed && s.timers[x.place].state != i {
			panic("a timer is not in its place")
		}
	}
	for t := s.newest; t != none; t = s.tracks[t].older {
		tracks++
		if s.tracks[t].states == none {
			return fmt.Errorf("track %d has nothing", t)
		}
		for i := s.tracks[t].states; i != none; i = s.states[i].next {
			state(i)
		}
	}
	for i := s.freeState; i != none; i = s.states[i].next {
		states[i]++
	}
	for n := s.freeNode; n != none; n = s.nodes[n].next {
		nodes[n]++
	}
	for t := s.freeTrack; t != none; t = s.tracks[t].bucketNext {
		tracks++
	}
	if alive != s.active || tracks != int(s.usedTracks) {
		return fmt.Errorf("%d alive, %d active; %d tracks of %d", alive, s.active, tracks, s.usedTracks)
	}
	for i := range s.usedStates {
		if states[i] != 1 {
			return fmt.Errorf("state %d is there %d times", i, states[i])
		}
	}
	refs := make([]int, len(s.texts))
	for n := range s.usedNodes {
		if nodes[n] != 1 {
			return fmt.Errorf("node %d is there %d times", n, nodes[n])
		}
		refs[s.nodes[n].text]++
	}
	for n := s.freeNode; n != none; n = s.nodes[n].next {
		refs[s.nodes[n].text]--
	}
	free := make([]bool, len(s.texts))
	for n := s.freeText; n != none; n = s.texts[n].next {
		free[n] = true
	}
	for n := range s.usedTexts {
		if want := int(s.texts[n].refs); refs[n] != want || free[n] != (want == 0) {
			return fmt.Errorf("evidence %d has %d nodes, and says %d; free %v", n, refs[n], want, free[n])
		}
	}
	for i := 1; i < s.nTimers; i++ {
		if s.timers[i].less(&s.timers[(i-1)/2]) {
			return fmt.Errorf("timer %d is before its parent", i)
		}
	}
	return nil
}

// InUse counts the tracks and the states, of any kind, that are not free.
func (s *Sequencer) InUse() (tracks, states int) {
	tracks, states = int(s.usedTracks), int(s.usedStates)
	for t := s.freeTrack; t != none; t = s.tracks[t].bucketNext {
		tracks--
	}
	for i := s.freeState; i != none; i = s.states[i].next {
		states--
	}
	return tracks, states
}

// The sizes that Bytes sums up are those of the entries.
const (
	_ = -uint(unsafe.Sizeof(track{}) - trackBytes)
	_ = -uint(unsafe.Sizeof(state{}) - stateBytes)
	_ = -uint(unsafe.Sizeof(timer{}) - timerBytes)
	_ = -uint(unsafe.Sizeof(node{}) - nodeBytes)
	_ = -uint(unsafe.Sizeof(text{}) - textBytes)
	_ = -uint(unsafe.Sizeof(form{}) + 1 - ruleBytes)
	_ = uint(sequencerBytes - unsafe.Sizeof(Sequencer{}))
)
