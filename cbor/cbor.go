// Package cbor reads and writes the part of CBOR (RFC 8949) that Kestrel's images and frames use, in its core
// deterministic form: shortest lengths, no indefinite items, map keys in ascending order as the writer gives them.
//
// The Reader works in place and allocates nothing: byte strings are borrowed from the input. It refuses anything that
// the Writer would not have written, so that equal content has one encoding.
package cbor

// Error is why input was refused.
type Error uint8

// The reasons.
const (
	ErrNone Error = iota
	ErrTruncated
	ErrType
	ErrForm
	ErrLimit
	ErrTrailing
	errorsMax
)

var errorTexts = [errorsMax]string{
	"", "input ends inside an item", "item of another type expected", "item not in its shortest form",
	"length above the limit", "bytes after the end",
}

func (e Error) Error() string { return errorTexts[e] }

// Major types of RFC 8949 section 3.1.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
)

// Reader reads items one after the other. After an error it stays at that error and yields zero values.
type Reader struct {
	b   []byte
	off int
	err Error
}

// NewReader reads b, which is borrowed.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Err is the first error, and where in the input it was found.
func (r *Reader) Err() (Error, int) { return r.err, r.off }

// Offset is where the next item begins.
func (r *Reader) Offset() int { return r.off }

func (r *Reader) fail(e Error) {
	if r.err == ErrNone {
		r.err = e
	}
}

func (r *Reader) head(major byte, max uint64) uint64 {
	if r.err != ErrNone {
		return 0
	}
	if r.off >= len(r.b) {
		r.fail(ErrTruncated)
		return 0
	}
	first := r.b[r.off]
	if first>>5 != major {
		r.fail(ErrType)
		return 0
	}
	info := first & 31
	if info < 24 {
		if uint64(info) > max {
			r.fail(ErrLimit)
			return 0
		}
		r.off++
		return uint64(info)
	}
	if info > 27 {
		r.fail(ErrForm)
		return 0
	}
	n := 1 << (info - 24)
	if r.off+1+n > len(r.b) {
		r.fail(ErrTruncated)
		return 0
	}
	var v uint64
	for _, c := range r.b[r.off+1 : r.off+1+n] {
		v = v<<8 | uint64(c)
	}
	if shortest(v) != n {
		r.fail(ErrForm)
		return 0
	}
	if v > max {
		r.fail(ErrLimit)
		return 0
	}
	r.off += 1 + n
	return v
}

// shortest is the number of bytes after the first that v needs.
func shortest(v uint64) int {
	switch {
	case v < 24:
		return 0
	case v < 1<<8:
		return 1
	case v < 1<<16:
		return 2
	case v < 1<<32:
		return 4
	}
	return 8
}

// Uint reads an unsigned integer of at most max.
func (r *Reader) Uint(max uint64) uint64 { return r.head(majorUint, max) }

// Array reads the head of an array of at most max items.
func (r *Reader) Array(max int) int { return int(r.head(majorArray, uint64(max))) }

// Map reads the head of a map of at most max pairs.
func (r *Reader) Map(max int) int { return int(r.head(majorMap, uint64(max))) }

// Bytes reads a byte string of at most max bytes, borrowed.
func (r *Reader) Bytes(max int) []byte { return r.str(majorBytes, max) }

// Text reads a text string of at most max bytes, borrowed. That it is UTF-8 is not checked.
func (r *Reader) Text(max int) []byte { return r.str(majorText, max) }

func (r *Reader) str(major byte, max int) []byte {
	n := int(r.head(major, uint64(max)))
	if r.err != ErrNone {
		return nil
	}
	if n > len(r.b)-r.off {
		r.fail(ErrTruncated)
		return nil
	}
	s := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return s
}

// End reports whether the input is used up and was good.
func (r *Reader) End() Error {
	if r.err == ErrNone && r.off != len(r.b) {
		r.fail(ErrTrailing)
	}
	return r.err
}

// Writer appends items to B, which grows as append does: it is for the host.
type Writer struct{ B []byte }

func (w *Writer) head(major byte, v uint64) {
	n := shortest(v)
	if n == 0 {
		w.B = append(w.B, major<<5|byte(v))
		return
	}
	info := byte(24)
	for i := 1; i < n; i <<= 1 {
		info++
	}
	w.B = append(w.B, major<<5|info)
	for i := n - 1; i >= 0; i-- {
		w.B = append(w.B, byte(v>>(8*i)))
	}
}

// Uint writes an unsigned integer.
func (w *Writer) Uint(v uint64) { w.head(majorUint, v) }

// Array writes the head of an array.
func (w *Writer) Array(n int) { w.head(majorArray, uint64(n)) }

// Map writes the head of a map; the caller gives the keys in ascending order.
func (w *Writer) Map(n int) { w.head(majorMap, uint64(n)) }

// Bytes writes a byte string.
func (w *Writer) Bytes(b []byte) {
	w.head(majorBytes, uint64(len(b)))
	w.B = append(w.B, b...)
}

// Text writes a text string.
func (w *Writer) Text(s string) {
	w.head(majorText, uint64(len(s)))
	w.B = append(w.B, s...)
}

// HeadSize is the size of the head of a byte string of n bytes: what comes before its content.
func HeadSize(n int) int { return 1 + shortest(uint64(n)) }
