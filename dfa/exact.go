package dfa

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones = 0x0101010101010101
	lows = 0x7f * ones
	high = 0x80 * ones

	hashSeed = 0x9e3779b97f4a7c15
	hashMul  = 0xd6e8feb86659fd93
)

// foldWord lowers the ASCII capitals among eight bytes and, when nul is set, turns zero bytes into spaces. Both are
// the bit 0x20, so it finds the bytes concerned as a mask of their top bits and shifts that into place.
func foldWord(x uint64, fold, nul bool) uint64 {
	var m uint64
	if fold {
		h := x & lows
		m = (h + (0x80-'A')*ones) ^ (h + (0x7f-'Z')*ones)
		m &= ^x & high
	}
	if nul {
		m |= ^((x & lows) + lows | x | lows)
	}
	return x | m>>2
}

func foldByte(b byte, fold, nul bool) byte {
	if fold && b-'A' < 26 || nul && b == 0 {
		return b | 0x20
	}
	return b
}

// tailWord reads the 0 to 7 bytes of b as one word; different bytes of one length give different words.
func tailWord(b []byte) uint64 {
	switch n := len(b); {
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		return uint64(b[0]) | uint64(b[n>>1])<<8 | uint64(b[n-1])<<16
	}
	return 0
}

// Hash is the key of a value in the exact table, after folding if fold is set and with zero bytes as spaces if nul
// is. It is part of the table format.
func Hash(b []byte, fold, nul bool) uint64 {
	h := uint64(len(b))*hashMul ^ hashSeed
	for len(b) >= 8 {
		hi, lo := bits.Mul64(h^foldWord(binary.LittleEndian.Uint64(b), fold, nul), hashMul)
		h = hi ^ lo
		b = b[8:]
	}
	if len(b) > 0 {
		hi, lo := bits.Mul64(h^foldTail(b, fold, nul), hashMul)
		h = hi ^ lo
	}
	hi, lo := bits.Mul64(h, hashSeed)
	return hi ^ lo
}

// foldTail is foldWord of tailWord, but leaves the padding zero, which is no byte of the value.
func foldTail(b []byte, fold, nul bool) uint64 {
	w := tailWord(b)
	switch {
	case len(b) == 0:
		return 0
	case len(b) < 4:
		return foldWord(w, fold, nul) & (1<<24 - 1)
	}
	return foldWord(w, fold, nul)
}

// equal says whether value reads as text, which is folded already when fold is set.
//
// Preconditions: len(text) == len(value).
func equal(text, value []byte, fold, nul bool) bool {
	for len(text) >= 8 && len(value) >= 8 {
		if foldWord(binary.LittleEndian.Uint64(value), fold, nul) != binary.LittleEndian.Uint64(text) {
			return false
		}
		text, value = text[8:], value[8:]
	}
	return foldTail(value, fold, nul) == tailWord(text)
}

// scanExact marks the atoms whose whole text is value.
func (s *Set) scanExact(value []byte, h *Hits) {
	if len(value) > s.longest || s.lengths>>(uint(len(value))&63)&1 == 0 {
		return
	}
	fold, nul := s.flags&FlagExactFold != 0, s.flags&FlagNulIsSpace != 0
	key := Hash(value, fold, nul)
	mask := uint32(len(s.slots) - 1)
	print := uint32(key>>48) << 16
	for i, left := uint32(key)&mask, len(s.slots); left > 0; i, left = (i+1)&mask, left-1 {
		slot := s.slots[i]
		if slot == 0 {
			return
		}
		if slot&0xffff0000 != print {
			continue
		}
		e := s.entries[(slot&0xffff-1)*EntryWords:]
		e = e[:EntryWords]
		if int(e[1]&^EntryFold) != len(value) {
			continue
		}
		if equal(s.text[e[0]:e[0]+e[1]&^EntryFold], value, e[1]&EntryFold != 0, nul) {
			for _, atom := range s.lists[e[2] : e[2]+e[3]] {
				h.Mark(s.base + atom)
			}
		}
	}
}
