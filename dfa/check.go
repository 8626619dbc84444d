package dfa

import (
	"errors"
	"math/bits"
)

// checkPrograms checks all programs and finds what the lazy DFA needs.
func (s *Set) checkPrograms() error {
	programs := len(s.programs) / ProgramWords
	if programs > ProgramsMax || len(s.masks) != programs*MaskWords {
		return errors.New("dfa: too many programs, or not all have a mask")
	}
	for _, p := range s.starts {
		if p >= uint32(programs) {
			return errors.New("dfa: a program that always runs is missing")
		}
	}
	for r := s.programs; len(r) > 0; r = r[ProgramWords:] {
		needs := r[ProgFlags] >> ProgNeedsShift
		if !within(r[ProgAtomList], r[ProgAtoms], len(s.lists)) || !within(r[ProgData], r[ProgDataWords], len(s.data)) ||
			!within(r[ProgData]+r[ProgDataWords], needs, len(s.data)) {
			return errors.New("dfa: a program lies outside the table")
		}
		for _, out := range s.data[r[ProgData]+r[ProgDataWords]:][:needs] {
			if out >= uint32(s.reports()) {
				return errors.New("dfa: a program needs an output that is missing")
			}
		}
		d := s.data[r[ProgData] : r[ProgData]+r[ProgDataWords]]
		ok := false
		switch r[ProgKind] {
		case ProgGlob:
			ok = s.globValid(d)
		case ProgDFA:
			ok = alphabetValid(d) && dfaValid(regexBody(d), d[AlphaClasses])
		case ProgNFA:
			ok = alphabetValid(d) && nfaValid(regexBody(d)) && r[ProgLazy] == uint32(s.lazies)
			if ok {
				s.lazies++
				s.lazyStates = max(s.lazyStates, int(regexBody(d)[0]))
				s.lazyClasses = max(s.lazyClasses, int(d[AlphaClasses]))
			}
		}
		if !ok {
			return errors.New("dfa: a program is malformed")
		}
	}
	return nil
}

// checkGrams checks the literals and how they are found. A filter or bucket that misses one is no danger to a scan.
func (s *Set) checkGrams() error {
	count := uint32(len(s.literals) / LiteralWords)
	s.firstLiteral = uint32(len(s.outputs) / OutputWords)
	if count > LiteralsMax || s.singles > count {
		return errors.New("dfa: the number of literals is out of range")
	}
	for l := s.literals; len(l) > 0; l = l[LiteralWords:] {
		if !within(l[LitText], l[LitShape]&LitBytesMask, len(s.text)) || !within(l[LitActions], l[LitCount], len(s.actions)) {
			return errors.New("dfa: a literal lies outside the table")
		}
		if !s.actionsKnown(l[LitActions], l[LitCount]) {
			return errors.New("dfa: an action of a literal is out of range")
		}
		if l[LitGram]&GramPair != 0 {
			s.pairs |= pairBit(l[LitGram])
		}
	}
	if len(s.grams) == 0 {
		if len(s.buckets) != 0 {
			return errors.New("dfa: the filter of the literals is missing")
		}
		return nil
	}
	n, b := 32*len(s.grams), len(s.buckets)-1
	if n&(n-1) != 0 || n < 1<<GramBitsMin || n > 1<<GramBitsMax || b < 1 || b&(b-1) != 0 {
		return errors.New("dfa: the size of the filter of the literals is wrong")
	}
	s.gramShift, s.bucketBits = 32-uint32(bits.Len(uint(n))-1), uint32(bits.Len(uint(b))-1)
	for i, at := range s.buckets {
		if at > count || i > 0 && at < s.buckets[i-1] {
			return errors.New("dfa: the literals of a gram lie outside the table")
		}
	}
	return nil
}

func (s *Set) globValid(d []uint32) bool {
	if len(d) == 0 || d[0] == 0 || uint64(d[0])*GlobSegmentWords+1 > uint64(len(d)) {
		return false
	}
	for k := uint32(0); k < d[0]; k++ {
		g := d[1+GlobSegmentWords*k:]
		if !within(g[0], g[1], len(s.text)) {
			return false
		}
		if k == 0 || k == d[0]-1 {
			continue
		}
		if g[1] > LiteralBytesMax || !within(g[2], (g[1]+1)/2, len(d)) {
			return false
		}
		for i := uint32(1); i < g[1]; i++ {
			if d[g[2]+i/2]>>(16*(i&1))&0xffff >= i {
				return false
			}
		}
	}
	return true
}

func alphabetValid(d []uint32) bool {
	if len(d) < AlphaRangeStart || d[AlphaClasses] == 0 || d[AlphaClasses] > RegexClassesMax || d[AlphaRanges] == 0 ||
		AlphaRangeStart+2*uint64(d[AlphaRanges])+RegexHeadWords > uint64(len(d)) {
		return false
	}
	a := alphabetOf(d)
	for _, c := range a.ascii {
		if uint32(c) >= d[AlphaClasses] {
			return false
		}
	}
	for _, c := range a.kinds {
		if c >= d[AlphaClasses] {
			return false
		}
	}
	return true
}

func dfaValid(body []uint32, classes uint32) bool {
	entries := body[3]
	rows := halvesOf(body[RegexHeadWords:])
	if uint64(entries) > uint64(len(rows)) || entries == 0 || entries%classes != 0 ||
		body[0] >= entries || body[0]%classes != 0 {
		return false
	}
	for _, to := range rows[:entries] {
		if uint32(to) >= entries || uint32(to)%classes != 0 {
			return false
		}
	}
	return true
}

func nfaValid(body []uint32) bool {
	states, edges := body[0], body[1]
	if states == 0 || states > NFAStatesMax || edges > NFAEdgesMax ||
		uint64(RegexHeadWords)+uint64(states)+1+uint64(states+31)/32+uint64(edges) > uint64(len(body)) {
		return false
	}
	f := nfa{
		first: body[RegexHeadWords : RegexHeadWords+states+1],
		edges: body[RegexHeadWords+states+1+(states+31)/32:][:edges],
	}
	for q := uint32(0); q < states; q++ {
		if f.first[q] > f.first[q+1] || f.first[q+1] > edges {
			return false
		}
	}
	for _, e := range f.edges {
		if e>>16 >= states {
			return false
		}
	}
	return true
}
