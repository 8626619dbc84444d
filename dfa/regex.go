package dfa

import "unicode/utf8"

// alphabet maps code points to the character classes of one regex. A byte that is not part of valid UTF-8 is one
// symbol, InvalidRune. With NUL as space the class of byte 0 is that of the space, so nothing here needs to know.
type alphabet struct {
	ascii  []byte   // 128 classes
	starts []uint32 // first code point of each range, ascending, the first 0x80, the last at most InvalidRune
	kinds  []uint32 // class of each range
}

func alphabetOf(d []uint32) alphabet {
	n := d[AlphaRanges]
	return alphabet{
		ascii:  bytesOf(d[AlphaASCII:AlphaRangeStart]),
		starts: d[AlphaRangeStart : AlphaRangeStart+n],
		kinds:  d[AlphaRangeStart+n : AlphaRangeStart+2*n],
	}
}

// next returns the class of the code point at the start of b and its length.
func (a *alphabet) next(b []byte) (class uint32, size int) {
	r, size := utf8.DecodeRune(b)
	c := uint32(r)
	if r == utf8.RuneError && size == 1 {
		c = InvalidRune
	}
	low, end := 0, len(a.starts)
	for end-low > 1 {
		mid := int(uint(low+end) / 2)
		if a.starts[mid] <= c {
			low = mid
		} else {
			end = mid
		}
	}
	return a.kinds[low], size
}

// regexBody returns the words behind the alphabet.
func regexBody(d []uint32) []uint32 { return d[AlphaRangeStart+2*d[AlphaRanges]:] }
