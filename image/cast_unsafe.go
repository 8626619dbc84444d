package image

import "unsafe"

// cast views little-endian bytes as a table of fixed-width entries. Both architectures that Kestrel runs on are
// little-endian; TestLayout holds the sizes.
//
// Preconditions: b is aligned to 8 and T has no pointers and no need of more than 8.
func cast[T any](b []byte) (table []T, whole bool) {
	var t T
	size := int(unsafe.Sizeof(t))
	if len(b) == 0 {
		return nil, true
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size), len(b)%size == 0
}

// Bytes views a table as the bytes that the writer stores.
func Bytes[T any](table []T) []byte {
	if len(table) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(table))), len(table)*int(unsafe.Sizeof(table[0])))
}

func aligned(b []byte) bool {
	return len(b) == 0 || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%align == 0
}

// String is a string of the image, borrowed as Text is.
func (m *Image) String(s Span) string {
	if s.Len == 0 {
		return ""
	}
	return unsafe.String(unsafe.SliceData(m.Text(s)), int(s.Len))
}
