package expr

import "unsafe"

// view is n entries of an aligned table from a byte offset on.
//
// Preconditions: offset is a multiple of T's alignment, the entries lie within the table, and T has no pointers.
func view[T any](table []byte, offset, n uint32) []T {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&table[offset])), n)
}

func sizeOf[T any]() uint64 {
	var t T
	return uint64(unsafe.Sizeof(t))
}

func aligned(table []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(table)))%tableAlign == 0
}

// littleEndian says whether this machine reads the table's numbers as they are stored.
func littleEndian() bool {
	x := uint32(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}

// borrowed is a text as a string, for functions that take one and do not keep it.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
