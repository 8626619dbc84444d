package eql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// literalError is a fault inside a literal; at is relative to its start.
type literalError struct {
	at, size  int
	msg, hint string
}

// decodeString returns the value of a string token and whether it was raw.
func decodeString(tok string) (value string, raw bool, fault *literalError) {
	switch {
	case strings.HasPrefix(tok, `"""`):
		return tok[3 : len(tok)-3], true, nil
	case tok[0] == '?':
		return tok[2 : len(tok)-1], true, nil
	}
	body := tok[1 : len(tok)-1]
	if !strings.Contains(body, `\`) {
		return body, false, nil
	}
	var b strings.Builder
	b.Grow(len(body))
	for i := 0; i < len(body); {
		if body[i] != '\\' {
			b.WriteByte(body[i])
			i++
			continue
		}
		r, size, fault := decodeEscape(body[i:])
		if fault != nil {
			fault.at += 1 + i
			return "", false, fault
		}
		b.WriteRune(r)
		i += size
	}
	return b.String(), false, nil
}

// Elasticsearch takes two to eight hexadecimal digits in \u{..}.
const (
	unicodeDigitsMin = 2
	unicodeDigitsMax = 8
)

// decodeEscape reads the escape at the start of s, which begins with a
// backslash and has at least one more byte.
func decodeEscape(s string) (rune, int, *literalError) {
	switch s[1] {
	case 'n':
		return '\n', 2, nil
	case 't':
		return '\t', 2, nil
	case 'r':
		return '\r', 2, nil
	case 'b':
		return '\b', 2, nil
	case 'f':
		return '\f', 2, nil
	case '\\', '"', '\'':
		return rune(s[1]), 2, nil
	case 'u':
		end := strings.IndexByte(s, '}')
		if !strings.HasPrefix(s, `\u{`) || end < 0 {
			return 0, 0, &literalError{0, 2, "`\\u` needs a code point in braces", `as in \u{1F600}`}
		}
		digits := s[3:end]
		if n := len(digits); n < unicodeDigitsMin || n > unicodeDigitsMax {
			return 0, 0, &literalError{0, end + 1, fmt.Sprintf("`%s` has %d hexadecimal digits, expected %d to %d",
				shorten(s[:end+1]), n, unicodeDigitsMin, unicodeDigitsMax), `as in \u{1F600}`}
		}
		v, err := strconv.ParseUint(digits, 16, 32)
		if err != nil || v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
			return 0, 0, &literalError{0, end + 1, fmt.Sprintf("`%s` is not a Unicode code point", s[:end+1]), ""}
		}
		return rune(v), end + 1, nil
	}
	_, size := utf8.DecodeRuneInString(s[1:])
	return 0, 0, &literalError{0, 1 + size, fmt.Sprintf("unknown escape `%s` in a string", s[:1+size]),
		`write \\ for a backslash, or use a """raw string"""`}
}

// decodeNumber returns the value of a number token. Integers that do not fit
// 64 bits become floats; ok is false when even that overflows.
func decodeNumber(tok string, k kind) (n *Number, ok bool) {
	if k == tInt {
		if v, err := strconv.ParseInt(tok, 10, 64); err == nil {
			return &Number{IsInt: true, Int: v}, true
		}
	}
	f, err := strconv.ParseFloat(tok, 64)
	if err != nil || math.IsInf(f, 0) {
		return &Number{}, false
	}
	return &Number{Float: f}, true
}

// minInt64Digits is the one magnitude that fits only with its sign.
const minInt64Digits = "9223372036854775808"

// negate returns the literal with the opposite sign.
func (n *Number) negate() *Number {
	switch {
	case !n.IsInt:
		return &Number{Span: n.Span, Float: -n.Float}
	case n.Int == math.MinInt64:
		return &Number{Span: n.Span, Float: -float64(n.Int)}
	}
	return &Number{Span: n.Span, IsInt: true, Int: -n.Int}
}

// quoteString writes a string literal that decodes to s.
func quoteString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\t':
			b.WriteString(`\t`)
		case '\r':
			b.WriteString(`\r`)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		default:
			if r < ' ' || r == 0x7f {
				fmt.Fprintf(b, `\u{%02x}`, r)
			} else {
				b.WriteRune(r)
			}
		}
	}
	b.WriteByte('"')
}

// rawForm returns the raw literal of s in the dialect, if there is one.
func rawForm(s string, d Dialect) (string, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return "", false
	}
	if d == Endgame {
		for _, quote := range [...]string{`"`, `'`} {
			if endsAsRaw(s, quote[0]) {
				return "?" + quote + s + quote, true
			}
		}
		return "", false
	}
	if strings.Contains(s, `"""`) {
		return "", false
	}
	return `"""` + s + `"""`, true
}

// endsAsRaw says whether the lexer, reading s after ?" or ?', would go on to
// its end: no bare quote and no backslash that would swallow the closing one.
func endsAsRaw(s string, quote byte) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case quote:
			return false
		case '\\':
			i++
			if i == len(s) {
				return false
			}
		}
	}
	return true
}
