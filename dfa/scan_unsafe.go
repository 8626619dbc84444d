package dfa

import "unsafe"

// automaton is a view of one automaton: a byte class table and one array of state words. A state is the index of its
// first word, so a dense row's entry is the index of the next state, already multiplied.
//
//	0           special         sparse               end
//	| dense rows | rows with     | sparse states      |
//	| no output  | outputs       | some with outputs  |
//
// One comparison a byte finds out whether anything but the next byte needs a look. In the tries row 0 is the dead
// state; the Aho-Corasick automaton has none and starts at row 0.
//
// Invariants, held by checkAutomaton, on which the loops below rely instead of bounds checks: every class is less
// than the class count, every entry of a row and every target and failure of a sparse state is a state, a failure
// lies before its state and is less deep.
type automaton struct {
	states  []uint32
	classes *[256]uint8
	count   uint32 // classes
	start   uint32
	special uint32
	sparse  uint32
}

func (a *automaton) word(i uint32) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(a.states)), uintptr(i)*4))
}

// pairBytesMin is the length of value from which on reading it in two places pays.
const pairBytesMin = 24

// scanInner runs the Aho-Corasick automaton over the whole value.
//
// A step has to wait for the one before it, most of it for memory. So a longer value is read in two places at once,
// both from the start state, as if it began again in the middle. The first lane, come to the middle, goes on until what
// it remembers, its state's depth, is no longer than what the second has read; from there on both are in the same
// state. What both see is marked once.
func (s *Set) scanInner(value []byte, sc *Scratch, h *Hits) {
	a := &s.autos[AutoInner]
	if len(value) < pairBytesMin {
		s.scanLane(value, 0, 0, sc, h)
		return
	}
	var (
		half    = len(value) / 2
		states  = unsafe.Pointer(unsafe.SliceData(a.states))
		first   = unsafe.Pointer(unsafe.SliceData(value))
		second  = unsafe.Add(first, half)
		classes = a.classes
		special = a.special
		x, y    uint32
	)
	for i := 0; i < half; i++ {
		x = *(*uint32)(unsafe.Add(states, uintptr(x+uint32(classes[*(*byte)(unsafe.Add(first, i))]))*4))
		y = *(*uint32)(unsafe.Add(states, uintptr(y+uint32(classes[*(*byte)(unsafe.Add(second, i))]))*4))
		if x < special && y < special {
			continue
		}
		for {
			if x >= special {
				s.reportState(a, x, value, i+1, sc, h)
			}
			if y >= special {
				s.reportState(a, y, value, half+i+1, sc, h)
			}
			if x < a.sparse && y < a.sparse {
				break
			}
			if i++; i == half {
				break
			}
			x = a.next(x, value[i])
			y = a.next(y, value[half+i])
		}
	}
	s.scanLane(value, 2*half, y, sc, h)
	s.finishLane(value, half, x, sc, h)
}

// finishLane goes on from state at begin, where the next lane began, until both lanes are in the same state.
func (s *Set) finishLane(value []byte, begin int, state uint32, sc *Scratch, h *Hits) {
	a := &s.autos[AutoInner]
	for i := begin; i < len(value) && a.depth(state) > i-begin; i++ {
		if state = a.next(state, value[i]); state >= a.special {
			s.reportState(a, state, value, i+1, sc, h)
		}
	}
}

// scanLane runs the Aho-Corasick automaton over value[i:] from state on.
func (s *Set) scanLane(value []byte, i int, state uint32, sc *Scratch, h *Hits) {
	a := &s.autos[AutoInner]
	var (
		states  = unsafe.Pointer(unsafe.SliceData(a.states))
		bytes   = unsafe.Pointer(unsafe.SliceData(value))
		classes = a.classes
		special = a.special
		sparse  = a.sparse
		n       = len(value)
	)
	for ; i < n; i++ {
		class := uint32(classes[*(*byte)(unsafe.Add(bytes, i))])
		if state < sparse {
			if state = *(*uint32)(unsafe.Add(states, uintptr(state+class)*4)); state < special {
				continue
			}
		} else {
			state = a.step(state, class)
		}
		if state >= special {
			s.reportState(a, state, value, i+1, sc, h)
		}
	}
}

func (s *Set) reportState(a *automaton, state uint32, value []byte, end int, sc *Scratch, h *Hits) {
	if out := a.out(state); out != 0 {
		s.report(out, value, end, sc, h)
	}
}

// next returns where the Aho-Corasick automaton goes from state.
func (a *automaton) next(state uint32, b byte) uint32 {
	class := uint32(a.classes[b])
	if state < a.sparse {
		return a.word(state + class)
	}
	return a.step(state, class)
}

func (a *automaton) depth(state uint32) int {
	if state < a.sparse {
		return int(a.word(state+a.count) >> RowDepthShift)
	}
	return int(a.word(state) >> SparseDepthBits)
}

// scanPrefix walks the prefix trie until it dies.
func (s *Set) scanPrefix(value []byte, sc *Scratch, h *Hits) {
	a := &s.autos[AutoPrefix]
	var (
		states  = unsafe.Pointer(unsafe.SliceData(a.states))
		classes = a.classes
		special = a.special
		sparse  = a.sparse
		state   = a.start
	)
	for i := 0; i < len(value); i++ {
		class := uint32(classes[value[i]])
		if state < sparse {
			if state = *(*uint32)(unsafe.Add(states, uintptr(state+class)*4)); state-1 < special-1 {
				continue
			}
		} else {
			head := *(*uint32)(unsafe.Add(states, uintptr(state)*4))
			if head&SparseKeysMask == 1 {
				if head>>SparseKeyShift&0xff != class {
					return
				}
				state = *(*uint32)(unsafe.Add(states, uintptr(state+SparseTargets)*4))
			} else {
				state = a.follow(state, class)
			}
		}
		if state == 0 {
			return
		}
		if out := a.out(state); out != 0 {
			s.report(out, value, i+1, sc, h)
		}
	}
}

// scanSuffix walks the suffix trie, which holds its literals backwards, from the end of value until it dies.
func (s *Set) scanSuffix(value []byte, sc *Scratch, h *Hits) {
	a := &s.autos[AutoSuffix]
	var (
		states  = unsafe.Pointer(unsafe.SliceData(a.states))
		classes = a.classes
		special = a.special
		sparse  = a.sparse
		state   = a.start
	)
	for i := len(value) - 1; i >= 0; i-- {
		class := uint32(classes[value[i]])
		if state < sparse {
			if state = *(*uint32)(unsafe.Add(states, uintptr(state+class)*4)); state-1 < special-1 {
				continue
			}
		} else {
			head := *(*uint32)(unsafe.Add(states, uintptr(state)*4))
			if head&SparseKeysMask == 1 {
				if head>>SparseKeyShift&0xff != class {
					return
				}
				state = *(*uint32)(unsafe.Add(states, uintptr(state+SparseTargets)*4))
			} else {
				state = a.follow(state, class)
			}
		}
		if state == 0 {
			return
		}
		if out := a.out(state); out != 0 {
			s.report(out, value, len(value), sc, h)
		}
	}
}

func (a *automaton) out(state uint32) uint32 {
	if state < a.sparse {
		return a.word(state+a.count) & OutputsMax
	}
	return a.sparseOut(state)
}

// sparseOut returns the output id of a sparse state, 0 if it has none. It is the state's last word.
func (a *automaton) sparseOut(state uint32) uint32 {
	head := a.word(state)
	if head&SparseOut == 0 {
		return 0
	}
	keys := head & SparseKeysMask
	if keys > 1 {
		keys += (keys + 3) / 4
	}
	return a.word(state + SparseTargets + keys)
}

// follow returns where a sparse state goes on class, 0 if nowhere.
func (a *automaton) follow(state, class uint32) uint32 {
	head := a.word(state)
	keys := head & SparseKeysMask
	if keys == 1 {
		if head>>SparseKeyShift&0xff == class {
			return a.word(state + SparseTargets)
		}
		return 0
	}
	for k := uint32(0); k < keys; k++ {
		if a.word(state+SparseTargets+keys+k>>2)>>(8*(k&3))&0xff == class {
			return a.word(state + SparseTargets + k)
		}
	}
	return 0
}

// step is follow with failures: it goes back to ever shorter suffixes until one goes on, at last to a dense row.
func (a *automaton) step(state, class uint32) uint32 {
	for {
		if next := a.follow(state, class); next != 0 {
			return next
		}
		state = a.word(state + SparseFail)
		if state < a.sparse {
			return a.word(state + class)
		}
	}
}
