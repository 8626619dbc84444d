package dfa

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// runGlob says whether value matches the glob whose data is d.
func (s *Set) runGlob(d []uint32, value []byte, fold bool) bool {
	nul := s.flags&FlagNulIsSpace != 0
	n := d[0]
	at := matchFront(s.segment(d, 0), value, fold, nul)
	if n == 1 || at < 0 {
		return at == len(value)
	}
	end := matchBack(s.segment(d, n-1), value, fold, nul)
	if end < at {
		return false
	}
	for k := uint32(1); k < n-1; k++ {
		text := s.segment(d, k)
		i := index(text, d[d[3+GlobSegmentWords*k]:], value[at:end], fold, nul)
		if i < 0 {
			return false
		}
		at += i + len(text)
	}
	return true
}

func (s *Set) segment(d []uint32, k uint32) []byte {
	off, n := d[1+GlobSegmentWords*k], d[2+GlobSegmentWords*k]
	return s.text[off : off+n]
}

// matchFront returns where in value the anchored segment ends, or -1.
func matchFront(segment, value []byte, fold, nul bool) int {
	at := 0
	for _, c := range segment {
		if at == len(value) {
			return -1
		}
		if c == AnyMark {
			if value[at] < utf8.RuneSelf {
				at++
				continue
			}
			_, n := utf8.DecodeRune(value[at:])
			at += n
			continue
		}
		if foldByte(value[at], fold, nul) != c {
			return -1
		}
		at++
	}
	return at
}

// matchBack returns where in value the segment that ends it begins, or -1. Stepping back code point by code point
// meets the same borders as stepping forward: valid UTF-8 ends in one place only, everything else is single bytes.
func matchBack(segment, value []byte, fold, nul bool) int {
	at := len(value)
	for i := len(segment) - 1; i >= 0; i-- {
		if at == 0 {
			return -1
		}
		c := segment[i]
		if c == AnyMark {
			_, n := utf8.DecodeLastRune(value[:at])
			at -= n
			continue
		}
		if foldByte(value[at-1], fold, nul) != c {
			return -1
		}
		at--
	}
	return at
}

// index returns the first place of text in value, or -1, in time linear in value (Knuth, Morris, Pratt 1977): entry k
// of borders is the length of the longest proper prefix of text[:k] that also ends it.
func index(text []byte, borders []uint32, value []byte, fold, nul bool) int {
	if len(text) == 0 {
		return 0
	}
	k := 0
	for i := 0; i < len(value); i++ {
		if k == 0 {
			i = skip(text[0], value, i, fold, nul)
			if len(value)-i < len(text) {
				return -1
			}
		} else {
			c := foldByte(value[i], fold, nul)
			for k > 0 && text[k] != c {
				k = int(borders[k>>1] >> (16 * uint(k&1)) & 0xffff)
			}
			if text[k] != c {
				continue
			}
		}
		k++
		if k == len(text) {
			return i - k + 1
		}
	}
	return -1
}

// skip returns the first place from i on where value reads as c, or len(value), eight bytes at a time.
func skip(c byte, value []byte, i int, fold, nul bool) int {
	for ; len(value)-i >= 8; i += 8 {
		w := foldWord(binary.LittleEndian.Uint64(value[i:]), fold, nul) ^ uint64(c)*ones
		// The lowest zero byte is where a borrow first makes a top bit.
		if z := (w - ones) & ^w & high; z != 0 {
			return i + bits.TrailingZeros64(z)/8
		}
	}
	for ; i < len(value); i++ {
		if foldByte(value[i], fold, nul) == c {
			break
		}
	}
	return i
}
