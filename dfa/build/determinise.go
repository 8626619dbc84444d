package build

import (
	"encoding/binary"
	"slices"
)

// matrix is a complete deterministic automaton. Its states are in the order a search from the start finds them, so
// equal automata are equal bytes.
type matrix struct {
	next    []int // [state*classes+class]
	accepts []bool
	start   int
	classes int
}

func (m *matrix) row(q int) []int { return m.next[q*m.classes : (q+1)*m.classes] }

// determinise returns the least deterministic automaton for f, or nil if the subset construction makes more than
// statesMax states.
func determinise(f *nfa, classes, statesMax int) *matrix {
	m := &matrix{classes: classes}
	ids := map[string]int{}
	var sets [][]int
	intern := func(set []int) int {
		key := make([]byte, 0, 4*len(set))
		for _, q := range set {
			key = binary.LittleEndian.AppendUint32(key, uint32(q))
		}
		id, known := ids[string(key)]
		if !known {
			id = len(sets)
			ids[string(key)] = id
			sets = append(sets, set)
			m.accepts = append(m.accepts, slices.ContainsFunc(set, func(q int) bool { return f.accepts[q] }))
		}
		return id
	}
	intern([]int{0})
	for i := 0; i < len(sets); i++ {
		if len(sets) > statesMax {
			return nil
		}
		targets := make([][]int, classes)
		for _, q := range sets[i] {
			for _, e := range f.edges[q] {
				for k := range classes {
					if e.on.has(k) {
						targets[k] = append(targets[k], e.to)
					}
				}
			}
		}
		for k := range classes {
			slices.Sort(targets[k])
			m.next = append(m.next, intern(slices.Compact(targets[k])))
		}
	}
	return m.minimise()
}

// intersect returns the automaton for the strings that both match, or nil if it needs more than statesMax states.
func intersect(a, b *matrix, statesMax int) *matrix {
	m := &matrix{classes: a.classes}
	ids := map[[2]int]int{}
	var pairs [][2]int
	intern := func(p [2]int) int {
		id, known := ids[p]
		if !known {
			id = len(pairs)
			ids[p] = id
			pairs = append(pairs, p)
			m.accepts = append(m.accepts, a.accepts[p[0]] && b.accepts[p[1]])
		}
		return id
	}
	intern([2]int{a.start, b.start})
	for i := 0; i < len(pairs); i++ {
		if len(pairs) > statesMax {
			return nil
		}
		p := pairs[i]
		for k := range a.classes {
			m.next = append(m.next, intern([2]int{a.row(p[0])[k], b.row(p[1])[k]}))
		}
	}
	return m.minimise()
}

// minimise merges the states that no string tells apart (Moore 1956), and numbers them from the start.
func (m *matrix) minimise() *matrix {
	n := len(m.accepts)
	block := make([]int, n)
	for q, a := range m.accepts {
		if a {
			block[q] = 1
		}
	}
	for blocks := 0; ; {
		ids := map[string]int{}
		refined := make([]int, n)
		for q := range n {
			key := binary.LittleEndian.AppendUint32(nil, uint32(block[q]))
			for _, to := range m.row(q) {
				key = binary.LittleEndian.AppendUint32(key, uint32(block[to]))
			}
			id, known := ids[string(key)]
			if !known {
				id = len(ids)
				ids[string(key)] = id
			}
			refined[q] = id
		}
		block = refined
		if len(ids) == blocks {
			break
		}
		blocks = len(ids)
	}
	out := &matrix{classes: m.classes}
	ids := map[int]int{block[m.start]: 0}
	order := []int{m.start}
	for i := 0; i < len(order); i++ {
		out.accepts = append(out.accepts, m.accepts[order[i]])
		for _, to := range m.row(order[i]) {
			id, known := ids[block[to]]
			if !known {
				id = len(order)
				ids[block[to]] = id
				order = append(order, to)
			}
			out.next = append(out.next, id)
		}
	}
	return out
}

// trap returns the state that leads only to itself and accepts or does not, as asked, or -1.
func (m *matrix) trap(accepts bool) int {
	for q, a := range m.accepts {
		if a == accepts && !slices.ContainsFunc(m.row(q), func(to int) bool { return to != q }) {
			return q
		}
	}
	return -1
}

// words returns the automaton as it stands behind the alphabet in a program's data: dead state first, then the
// states that do not accept, those that do, and last the one that accepts everything.
func (m *matrix) words() []uint32 {
	dead, all := m.trap(false), m.trap(true)
	place := make([]int, len(m.accepts))
	count := 1
	put := func(q int) {
		place[q] = count * m.classes
		count++
	}
	var accepting int
	for _, accepts := range [...]bool{false, true} {
		if accepts {
			accepting = count * m.classes
		}
		for q, a := range m.accepts {
			if a == accepts && q != dead && q != all {
				put(q)
			}
		}
	}
	head := []uint32{0, uint32(accepting), 0, 0}
	if all >= 0 {
		put(all)
		head[2] = uint32(place[all])
	}
	if dead >= 0 {
		place[dead] = 0
	}
	head[0] = uint32(place[m.start])
	entries := make([]uint16, count*m.classes+count*m.classes%2)
	for q := range m.accepts {
		if q == dead {
			continue
		}
		for k, to := range m.row(q) {
			entries[place[q]+k] = uint16(place[to])
		}
	}
	head[3] = uint32(count * m.classes)
	for i := 0; i < len(entries); i += 2 {
		head = append(head, uint32(entries[i])|uint32(entries[i+1])<<16)
	}
	return head
}
