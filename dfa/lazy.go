package dfa

import (
	"math/bits"
	"unicode/utf8"
)

// lazyCache is the lazy DFA of all regexes of a set that are too large to be determinised on the host. A DFA state is
// a set of NFA states, made when it is first reached. When states or members run out the cache is emptied, counted,
// and filled anew; a value that fills it again and again is left to the NFA, whose work for a code point is bounded by
// its edges.
//
//	rows     [state][class] next state, or unknown
//	first    [state] where its NFA states begin in members; [state+1] where they end
//	buckets  hash of regex and NFA states -> state+1
type lazyCache struct {
	rows    []uint16
	first   []uint32
	members []uint16
	owner   []uint16 // [state] lazy index of its regex
	accepts []bool   // [state]
	buckets []uint16
	starts  []uint16 // [lazy index] its start state, or unknown
	stride  int      // classes of a row: the most any of the regexes has
	count   int      // states made

	current, other []uint16 // NFA state lists, ascending
	reached        []uint64 // bits by NFA state, all zero between steps
}

const (
	unknown = 0xffff // no transition yet
	full    = 0xfffe // what intern answers when the cache has no room
)

func (c *lazyCache) init(s *Set, states, members int) {
	*c = lazyCache{
		rows:    make([]uint16, states*s.lazyClasses),
		first:   make([]uint32, states+1),
		members: make([]uint16, members),
		owner:   make([]uint16, states),
		accepts: make([]bool, states),
		buckets: make([]uint16, 2*states),
		starts:  make([]uint16, s.lazies),
		stride:  s.lazyClasses,
		current: make([]uint16, s.lazyStates),
		other:   make([]uint16, s.lazyStates),
		reached: make([]uint64, (s.lazyStates+63)/64),
	}
	c.empty()
}

func lazyBytes(s *Set, states, members int) int {
	return states*(2*s.lazyClasses+4+2+1+4) + 4 + 2*members + 2*s.lazies + s.lazyStates*(2+2) + (s.lazyStates+63)/64*8
}

func (c *lazyCache) empty() {
	c.count = 0
	clear(c.buckets)
	for i := range c.starts {
		c.starts[i] = unknown
	}
}

// nfa is a view of the NFA of one regex. State 0 is the start.
//
//	edges    target<<16 | first class<<8 | last class
type nfa struct {
	alphabet
	first   []uint32 // [state] its first edge; one more for the end
	accepts []uint32 // bits by state
	edges   []uint32
}

func nfaOf(d []uint32) nfa {
	body := regexBody(d)
	states, edges := body[0], body[1]
	at := RegexHeadWords + states + 1
	words := (states + 31) / 32
	return nfa{
		alphabet: alphabetOf(d),
		first:    body[RegexHeadWords:at],
		accepts:  body[at : at+words],
		edges:    body[at+words : at+words+edges],
	}
}

func (f *nfa) accepting(list []uint16) bool {
	for _, q := range list {
		if f.accepts[q>>5]>>(q&31)&1 != 0 {
			return true
		}
	}
	return false
}

// step fills c.other with the NFA states that list leads to on class, ascending, so that a set has one form, and
// returns how many they are.
func (c *lazyCache) step(f *nfa, list []uint16, class uint32) int {
	for _, q := range list {
		for _, e := range f.edges[f.first[q]:f.first[q+1]] {
			if e>>8&0xff <= class && class <= e&0xff {
				c.reached[e>>22] |= 1 << (e >> 16 & 63)
			}
		}
	}
	n := 0
	for i, w := range c.reached {
		for ; w != 0; w &= w - 1 {
			c.other[n] = uint16(i<<6 + bits.TrailingZeros64(w))
			n++
		}
		c.reached[i] = 0
	}
	return n
}

// run says whether value matches the regex whose data is d and whose number among the lazy ones is index.
func (c *lazyCache) run(d []uint32, index uint32, value []byte, sc *Scratch) bool {
	f := nfaOf(d)
	state := c.starts[index]
	if state == unknown {
		c.other[0] = 0
		if state = c.intern(&f, index, 1); state == full {
			c.empty()
			sc.CacheClears++
			if state = c.intern(&f, index, 1); state == full {
				return c.fallBack(&f, value, 1, sc)
			}
		}
		c.starts[index] = state
	}
	clears := 0
	for i := 0; i < len(value); {
		var class uint32
		if b := value[i]; b < utf8.RuneSelf {
			class = uint32(f.ascii[b])
			i++
		} else {
			var n int
			class, n = f.next(value[i:])
			i += n
		}
		next := c.rows[int(state)*c.stride+int(class)]
		if next == unknown {
			n := c.step(&f, c.set(state), class)
			next = c.intern(&f, index, n)
			if next == full {
				c.empty()
				sc.CacheClears++
				clears++
				if clears <= lazyClearsMax {
					next = c.intern(&f, index, n)
				}
				if next == full {
					return c.fallBack(&f, value[i:], n, sc)
				}
			} else {
				c.rows[int(state)*c.stride+int(class)] = next
			}
		}
		state = next
		if c.first[state] == c.first[state+1] {
			return false
		}
	}
	return c.accepts[state]
}

func (c *lazyCache) set(state uint16) []uint16 {
	return c.members[c.first[state]:c.first[state+1]]
}

// intern returns the DFA state for the first n NFA states of c.other, made if need be, or full.
func (c *lazyCache) intern(f *nfa, index uint32, n int) uint16 {
	list := c.other[:n]
	key := uint32(index)*0x9e3779b1 + uint32(n)
	for _, q := range list {
		key = (key ^ uint32(q)) * 0x85ebca6b
		key ^= key >> 15
	}
	size := uint32(len(c.buckets))
	if size == 0 {
		return full
	}
	at := key % size
	for c.buckets[at] != 0 {
		state := c.buckets[at] - 1
		if uint32(c.owner[state]) == index && same(c.set(state), list) {
			return state
		}
		if at++; at == size {
			at = 0
		}
	}
	begin := uint32(0)
	if c.count > 0 {
		begin = c.first[c.count]
	}
	if c.count == len(c.owner) || int(begin)+n > len(c.members) {
		return full
	}
	state := uint16(c.count)
	c.count++
	c.first[state] = begin
	copy(c.members[begin:], list)
	c.first[c.count] = begin + uint32(n)
	c.owner[state] = uint16(index)
	c.accepts[state] = f.accepting(list)
	row := c.rows[int(state)*c.stride : (int(state)+1)*c.stride]
	for i := range row {
		row[i] = unknown
	}
	c.buckets[at] = state + 1
	return state
}

func same(a, b []uint16) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// fallBack runs the NFA over value from the first n states of c.other on.
func (c *lazyCache) fallBack(f *nfa, value []byte, n int, sc *Scratch) bool {
	sc.Fallbacks++
	for i := 0; i < len(value) && n > 0; {
		var class uint32
		if b := value[i]; b < utf8.RuneSelf {
			class = uint32(f.ascii[b])
			i++
		} else {
			var size int
			class, size = f.next(value[i:])
			i += size
		}
		c.current, c.other = c.other, c.current
		n = c.step(f, c.current[:n], class)
	}
	return n > 0 && f.accepting(c.other[:n])
}
