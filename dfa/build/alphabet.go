package build

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/kestrel-detection/kestrel/dfa"
)

// classSet is a set of character classes of one regex.
type classSet [dfa.RegexClassesMax / 64]uint64

func (c *classSet) add(k int)      { c[k/64] |= 1 << (k % 64) }
func (c *classSet) has(k int) bool { return c[k/64]>>(k%64)&1 != 0 }

func (c *classSet) merge(o *classSet) {
	for i := range c {
		c[i] |= o[i]
	}
}

func (c *classSet) len() (n int) {
	for _, w := range c {
		n += bits.OnesCount64(w)
	}
	return n
}

// symbols partitions the code points into the classes that no set of a regex tells apart.
type symbols struct {
	starts []rune // first code point of each range, the first 0
	kinds  []int  // its class
	count  int
}

// partition returns the classes of all sets below n.
func partition(n *node) (*symbols, error) {
	var sets [][]span
	index := map[string]bool{}
	var walk func(*node)
	walk = func(n *node) {
		switch n.op {
		case opSet:
			if key := fmt.Sprint(n.set); !index[key] {
				index[key] = true
				sets = append(sets, n.set)
			}
		case opInterval:
			for c := '0'; c <= '9'; c++ {
				walk(&node{op: opSet, set: []span{{c, c}}})
			}
		}
		for _, sub := range n.subs {
			walk(sub)
		}
	}
	walk(n)
	starts := []rune{0, 0x80, dfa.InvalidRune}
	for _, set := range sets {
		for _, s := range set {
			starts = append(starts, s.low)
			if s.high < dfa.InvalidRune {
				starts = append(starts, s.high+1)
			}
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	a := &symbols{starts: starts}
	classes := map[string]int{}
	for _, r := range starts {
		key := make([]byte, len(sets))
		for i, set := range sets {
			if contains(set, r) {
				key[i] = 1
			}
		}
		k, known := classes[string(key)]
		if !known {
			k = len(classes)
			classes[string(key)] = k
		}
		a.kinds = append(a.kinds, k)
	}
	a.count = len(classes)
	if a.count > dfa.RegexClassesMax {
		return nil, fmt.Errorf("regex tells %d classes of characters apart (max %d)", a.count, dfa.RegexClassesMax)
	}
	return a, nil
}

func contains(set []span, r rune) bool {
	for _, s := range set {
		if s.low <= r && r <= s.high {
			return true
		}
	}
	return false
}

// classes returns the classes that make up set, which is one of those partitioned.
func (a *symbols) classes(set []span) (c classSet) {
	for i, r := range a.starts {
		if contains(set, r) {
			c.add(a.kinds[i])
		}
	}
	return c
}

// words returns the alphabet as a program's data begins with it.
func (a *symbols) words(nulIsSpace bool) []uint32 {
	var ascii [128]byte
	var starts, kinds []uint32
	for i, r := range a.starts {
		end := rune(0x80)
		if i+1 < len(a.starts) {
			end = min(end, a.starts[i+1])
		}
		for c := r; c < end; c++ {
			ascii[c] = byte(a.kinds[i])
		}
		if r >= 0x80 {
			starts = append(starts, uint32(r))
			kinds = append(kinds, uint32(a.kinds[i]))
		}
	}
	if nulIsSpace {
		ascii[0] = ascii[' ']
	}
	out := []uint32{uint32(a.count), uint32(len(starts))}
	for i := 0; i < len(ascii); i += 4 {
		out = append(out, uint32(ascii[i])|uint32(ascii[i+1])<<8|uint32(ascii[i+2])<<16|uint32(ascii[i+3])<<24)
	}
	return append(append(out, starts...), kinds...)
}
