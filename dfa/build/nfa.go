package build

import (
	"fmt"
	"slices"

	"github.com/kestrel-detection/kestrel/dfa"
)

const (
	// thompsonStatesMax bounds the automaton with empty steps, before they are removed and with them most states.
	thompsonStatesMax = 8 * dfa.NFAStatesMax
	// innerStatesMax bounds the automata determinised for `~` and `&`.
	innerStatesMax = 1024
)

// edge is a step on any class of on.
type edge struct {
	on classSet
	to int
}

// nfa is an automaton over character classes. State 0 is the start.
type nfa struct {
	edges   [][]edge // by state, by ascending target
	accepts []bool
}

// thompson builds an automaton with empty steps (Thompson 1968). It panics with tooLarge when over a limit.
type thompson struct {
	symbols *symbols
	empty   [][]int
	edges   [][]edge
}

type tooLarge string

func (t *thompson) state() int {
	if len(t.empty) >= thompsonStatesMax {
		panic(tooLarge(fmt.Sprintf("regex needs more than %d states", thompsonStatesMax)))
	}
	t.empty = append(t.empty, nil)
	t.edges = append(t.edges, nil)
	return len(t.empty) - 1
}

func (t *thompson) skip(from, to int) { t.empty[from] = append(t.empty[from], to) }

// build adds n and returns the state behind it; from is the state before it.
func (t *thompson) build(n *node, from int) int {
	switch n.op {
	case opEmpty:
		return from
	case opNone:
		return t.state()
	case opSet:
		to := t.state()
		t.edges[from] = append(t.edges[from], edge{t.symbols.classes(n.set), to})
		return to
	case opConcat:
		for _, sub := range n.subs {
			from = t.build(sub, from)
		}
		return from
	case opUnion:
		to := t.state()
		for _, sub := range n.subs {
			begin := t.state()
			t.skip(from, begin)
			t.skip(t.build(sub, begin), to)
		}
		return to
	case opRepeat:
		return t.repeat(n, from)
	case opInterval:
		return t.build(intervalNode(n), from)
	}
	return t.embed(t.combined(n), from)
}

func (t *thompson) repeat(n *node, from int) int {
	for range n.min {
		from = t.build(n.subs[0], from)
	}
	if n.max < 0 {
		begin, to := t.state(), t.state()
		t.skip(from, begin)
		t.skip(begin, to)
		t.skip(t.build(n.subs[0], begin), begin)
		return to
	}
	to := t.state()
	for range n.max - n.min {
		t.skip(from, to)
		begin := t.state()
		t.skip(from, begin)
		from = t.build(n.subs[0], begin)
	}
	t.skip(from, to)
	return to
}

// combined determinises the operands of `~` or `&` and combines them.
func (t *thompson) combined(n *node) *matrix {
	var all *matrix
	for _, sub := range n.subs {
		inner := thompson{symbols: t.symbols}
		start := inner.state()
		m := determinise(inner.clean(start, inner.build(sub, start)), t.symbols.count, innerStatesMax)
		if m == nil {
			panic(tooLarge(fmt.Sprintf("an operand of ~ or & needs more than %d states", innerStatesMax)))
		}
		if all == nil {
			all = m
		} else if all = intersect(all, m, innerStatesMax); all == nil {
			panic(tooLarge(fmt.Sprintf("an intersection needs more than %d states", innerStatesMax)))
		}
	}
	if n.op == opNot {
		for i := range all.accepts {
			all.accepts[i] = !all.accepts[i]
		}
	}
	return all
}

// embed adds a copy of m.
func (t *thompson) embed(m *matrix, from int) int {
	base := len(t.empty)
	for range m.accepts {
		t.state()
	}
	to := t.state()
	t.skip(from, base+m.start)
	for q := range m.accepts {
		byTarget := map[int]*classSet{}
		for class, next := range m.row(q) {
			if byTarget[next] == nil {
				byTarget[next] = new(classSet)
			}
			byTarget[next].add(class)
		}
		for next := range m.accepts {
			if on := byTarget[next]; on != nil {
				t.edges[base+q] = append(t.edges[base+q], edge{*on, base + next})
			}
		}
		if m.accepts[q] {
			t.skip(base+q, to)
		}
	}
	return to
}

// clean removes the empty steps and all states that do not lie between start and end.
func (t *thompson) clean(start, end int) *nfa {
	closures := make([][]int, len(t.empty))
	seen := make([]int, len(t.empty))
	closure := func(q int) []int {
		if closures[q] == nil {
			list := []int{q}
			seen[q] = q + 1
			for i := 0; i < len(list); i++ {
				for _, to := range t.empty[list[i]] {
					if seen[to] != q+1 {
						seen[to] = q + 1
						list = append(list, to)
					}
				}
			}
			closures[q] = list
		}
		return closures[q]
	}
	// Keep what the start reaches, in the order found.
	ids := map[int]int{start: 0}
	order := []int{start}
	out := &nfa{}
	total := 0
	for i := 0; i < len(order); i++ {
		to := map[int]classSet{}
		accepts := false
		for _, q := range closure(order[i]) {
			accepts = accepts || q == end
			for _, e := range t.edges[q] {
				id, known := ids[e.to]
				if !known {
					id = len(order)
					ids[e.to] = id
					order = append(order, e.to)
				}
				on := to[id]
				on.merge(&e.on)
				to[id] = on
			}
		}
		edges := make([]edge, 0, len(to))
		for id, on := range to {
			edges = append(edges, edge{on, id})
		}
		slices.SortFunc(edges, func(a, b edge) int { return a.to - b.to })
		if total += len(edges); total > dfa.NFAEdgesMax {
			panic(tooLarge(fmt.Sprintf("regex needs more than %d steps", dfa.NFAEdgesMax)))
		}
		out.edges = append(out.edges, edges)
		out.accepts = append(out.accepts, accepts)
	}
	return out.trim()
}

// trim removes states that lead nowhere.
func (f *nfa) trim() *nfa {
	live := slices.Clone(f.accepts)
	for changed := true; changed; {
		changed = false
		for q := len(live) - 1; q >= 0; q-- {
			for _, e := range f.edges[q] {
				if !live[q] && live[e.to] {
					live[q], changed = true, true
				}
			}
		}
	}
	ids := make([]int, len(live))
	n := 1
	for q := 1; q < len(live); q++ {
		if live[q] {
			ids[q] = n
			n++
		}
	}
	out := &nfa{}
	for q := range live {
		if q > 0 && !live[q] {
			continue
		}
		var edges []edge
		for _, e := range f.edges[q] {
			if live[e.to] && e.on.len() > 0 {
				edges = append(edges, edge{e.on, ids[e.to]})
			}
		}
		out.edges = append(out.edges, edges)
		out.accepts = append(out.accepts, f.accepts[q])
	}
	return out
}

// words returns the NFA as it stands behind the alphabet in a program's data.
func (f *nfa) words(classes int) ([]uint32, error) {
	n := len(f.accepts)
	first := []uint32{0}
	bits := make([]uint32, (n+31)/32)
	var edges []uint32
	for q, list := range f.edges {
		for _, e := range list {
			for k := 0; k < classes; k++ {
				if !e.on.has(k) {
					continue
				}
				from := k
				for k+1 < classes && e.on.has(k+1) {
					k++
				}
				edges = append(edges, uint32(e.to)<<16|uint32(from)<<8|uint32(k))
			}
		}
		first = append(first, uint32(len(edges)))
		if f.accepts[q] {
			bits[q/32] |= 1 << (q % 32)
		}
	}
	if n > dfa.NFAStatesMax || len(edges) > dfa.NFAEdgesMax {
		return nil, fmt.Errorf("regex needs %d states and %d steps (max %d and %d)",
			n, len(edges), dfa.NFAStatesMax, dfa.NFAEdgesMax)
	}
	out := []uint32{uint32(n), uint32(len(edges)), 0, 0}
	return append(append(append(out, first...), bits...), edges...), nil
}

// intervalNode spells out <n-m>: numbers of one length between two bounds are a few digit ranges, and where the length
// is free any number of zeros may stand before.
func intervalNode(n *node) *node {
	var subs []*node
	if n.width > 0 {
		subs = between(digits(n.low, n.width), digits(n.high, n.width))
		return &node{op: opUnion, subs: subs}
	}
	low := n.low
	for width, next := 1, uint64(10); ; width, next = width+1, next*10 {
		if low < next {
			subs = append(subs, between(digits(low, width), digits(min(n.high, next-1), width))...)
			if n.high < next {
				break
			}
			low = next
		}
	}
	zeros := &node{op: opRepeat, max: -1, subs: []*node{digitNode('0', '0')}}
	return &node{op: opConcat, subs: []*node{zeros, {op: opUnion, subs: subs}}}
}

func digits(n uint64, width int) string { return fmt.Sprintf("%0*d", width, n) }

func digitNode(low, high byte) *node {
	n := &node{op: opUnion}
	for c := low; c <= high; c++ {
		n.subs = append(n.subs, &node{op: opSet, set: []span{{rune(c), rune(c)}}})
	}
	return n
}

// between returns alternatives for the numbers from low to high, which have equally many digits.
func between(low, high string) []*node {
	if len(low) == 0 {
		return []*node{{op: opEmpty}}
	}
	if low[0] == high[0] {
		rest := &node{op: opUnion, subs: between(low[1:], high[1:])}
		return []*node{{op: opConcat, subs: []*node{digitNode(low[0], low[0]), rest}}}
	}
	nines, zeros := digits(0, len(low)), digits(0, len(low))[1:]
	b := []byte(nines[1:])
	for i := range b {
		b[i] = '9'
	}
	nines = string(b)
	part := func(from, to byte, low, high string) *node {
		rest := &node{op: opUnion, subs: between(low, high)}
		return &node{op: opConcat, subs: []*node{digitNode(from, to), rest}}
	}
	out := []*node{part(low[0], low[0], low[1:], nines)}
	if low[0]+1 <= high[0]-1 {
		out = append(out, part(low[0]+1, high[0]-1, zeros, nines))
	}
	return append(out, part(high[0], high[0], zeros, high[1:]))
}
