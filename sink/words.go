package sink

import (
	"strconv"
	"unicode/utf8"
)

// plain writes text that needs no quotes because it ends at a place of ours, at most max characters of it.
func (l *line) plain(v []byte, max int) {
	for n := 0; len(v) > 0; n++ {
		if n == max {
			l.text("...")
			return
		}
		if v[0] == '"' || v[0] == '\\' {
			l.b, v = append(l.b, v[0]), v[1:]
			continue
		}
		v = l.rune(v)
	}
}

// word writes text that ends at a blank, in quotes when it could be taken for several words, at most max characters of
// it, and dots for the rest. It gives the number of characters and whether there was a rest.
func (l *line) word(v []byte, max int) (n int, cut bool) {
	quoted := needsQuotes(v)
	if quoted {
		l.text(`"`)
	}
	for ; len(v) > 0 && n < max; n++ {
		v = l.rune(v)
	}
	if cut = len(v) > 0; cut {
		l.text("...")
	}
	if quoted {
		l.text(`"`)
	}
	return n, cut
}

// needsQuotes: blanks would make two words of one, parentheses could pass for ours, and an escape can be told from the
// same characters only in quotes.
func needsQuotes(v []byte) bool {
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '"', '\'', '(', ')', '\\':
			return true
		default:
			if c <= ' ' || c >= 0x7f {
				return true
			}
		}
	}
	return len(v) == 0
}

// rune writes the first character of v, escaped unless it prints.
func (l *line) rune(v []byte) (rest []byte) {
	c := v[0]
	switch {
	case c == '"' || c == '\\':
		l.b = append(l.b, '\\', c)
		return v[1:]
	case c >= ' ' && c < 0x7f:
		l.b = append(l.b, c)
		return v[1:]
	case c == '\n':
		l.text(`\n`)
		return v[1:]
	case c == '\t':
		l.text(`\t`)
		return v[1:]
	}
	r, n := utf8.DecodeRune(v)
	switch {
	case n == 1:
		l.b = append(l.b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	case strconv.IsPrint(r):
		l.b = append(l.b, v[:n]...)
	default:
		l.text(`\u{`)
		l.b = strconv.AppendUint(l.b, uint64(r), 16)
		l.text("}")
	}
	return v[n:]
}
