package dfa

import "unsafe"

// alignment of a table in memory: its word arrays are read in place.
const alignment = 8

func aligned(table []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(table)))%alignment == 0
}

// littleEndian says whether this machine reads the table's words as they are stored.
func littleEndian() bool {
	x := uint32(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}

// wordsAt views n words of an aligned table from a byte offset on.
//
// Preconditions: offset is a multiple of 4 and offset+4*n <= len(table).
func wordsAt(table []byte, offset, n uint32) []uint32 {
	if n == 0 {
		return nil
	}
	b := table[offset : offset+4*n]
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// halvesOf views words as 16-bit entries, low half first.
func halvesOf(words []uint32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(words))), 2*len(words))
}

// bytesOf views words as bytes.
func bytesOf(words []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
}
