package dfa

import (
	"unicode/utf8"
	"unsafe"
)

// runDFA says whether value matches a regex that was determinised on the host. It relies on dfaValid, by which every
// entry is the first of a row, and on alphabetValid, by which every class is an entry of it.
func runDFA(d []uint32, value []byte) bool {
	a := alphabetOf(d)
	body := regexBody(d)
	var (
		state     = body[0]
		accepting = body[1]
		all       = body[2]
		rows      = unsafe.Pointer(unsafe.SliceData(body[RegexHeadWords:]))
		ascii     = (*[utf8.RuneSelf]byte)(a.ascii)
	)
	for i := 0; i < len(value); {
		var class uint32
		if c := value[i]; c < utf8.RuneSelf {
			class = uint32(ascii[c])
			i++
		} else {
			var n int
			class, n = a.next(value[i:])
			i += n
		}
		next := uint32(*(*uint16)(unsafe.Add(rows, uintptr(state+class)*2)))
		if next == state {
			// Most of a value is passed in a state that stays: there no step waits for the one before.
			row := unsafe.Add(rows, uintptr(state)*2)
			for i < len(value) && value[i] < utf8.RuneSelf &&
				uint32(*(*uint16)(unsafe.Add(row, uintptr(ascii[value[i]])*2))) == state {
				i++
			}
			continue
		}
		state = next
		// The dead state is 0; without a state that accepts everything, all is 0 as well.
		if state == 0 || state == all {
			return state != 0
		}
	}
	return state >= accepting
}
