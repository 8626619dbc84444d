package dfa

import (
	"encoding/binary"
	"unsafe"
)

// gramAt says whether the filter has the gram in the low three bytes of w.
//
// Preconditions: filter has two to the power of 32-shift bits, which checkGrams holds, so every hash is one of them.
func gramAt(filter unsafe.Pointer, w uint64, shift uint32) bool {
	i := uint32(w) * gramMul >> (shift & 31)
	return *(*uint32)(unsafe.Add(filter, uintptr(i>>5)*4))>>(i&31)&1 != 0
}

// scanGrams looks for all literals of two bytes and more. A word of the value has six grams; the last word has one for
// every byte but the last, and is filled with spaces, for literals of two bytes at its end. The branches below are
// seldom taken, so the six do not wait for each other.
func (s *Set) scanGrams(value []byte, sc *Scratch, h *Hits) {
	var (
		filter = unsafe.Pointer(unsafe.SliceData(s.grams))
		shift  = s.gramShift
		n      = len(value)
	)
	for i := 0; n-i >= 2; i += chunkGrams {
		var w uint64
		if n-i >= 8 {
			w = binary.LittleEndian.Uint64(value[i:]) | gramFold
		} else {
			w = lastChunk(value, i)
		}
		if gramAt(filter, w, shift) {
			s.gram(uint32(w), i, value, sc, h)
		}
		if gramAt(filter, w>>8, shift) {
			s.gram(uint32(w>>8), i+1, value, sc, h)
		}
		if gramAt(filter, w>>16, shift) {
			s.gram(uint32(w>>16), i+2, value, sc, h)
		}
		if gramAt(filter, w>>24, shift) {
			s.gram(uint32(w>>24), i+3, value, sc, h)
		}
		if gramAt(filter, w>>32, shift) {
			s.gram(uint32(w>>32), i+4, value, sc, h)
		}
		if gramAt(filter, w>>40, shift) {
			s.gram(uint32(w>>40), i+5, value, sc, h)
		}
	}
}
