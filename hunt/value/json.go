package value

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// DepthMax bounds the nesting of JSON, for the recursion over it. Events of real products have below ten levels.
const DepthMax = 1000

// Member is one name of an object and its value.
type Member struct {
	Name  string
	Value Value
}

// Parse reads one JSON text (RFC 8259) with nothing behind it. Strings without escapes are parts of s and keep it
// alive. A number without fraction and exponent that fits 64 bits is an integer; one that is too large for a float is
// null. What is not UTF-8 becomes U+FFFD.
func Parse(s string) (Value, error) {
	p := parser{s: s, valid: utf8.ValidString(s), members: make([]Member, 0, 16)}
	v, err := p.value(0)
	if err != nil {
		return Null, err
	}
	if p.blank(); p.i < len(s) {
		return Null, p.errorf("data behind the JSON text")
	}
	return v, nil
}

type parser struct {
	s     string
	i     int
	valid bool
	// What was read of the objects and arrays that are open, so that each list is made once, in its size.
	members []Member
	list    []Value
}

// A SyntaxError is a fault in a JSON text.
type SyntaxError struct {
	Offset int // in bytes
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset+1, e.Reason) }

func (p *parser) errorf(format string, args ...any) error {
	if p.i >= len(p.s) {
		return &SyntaxError{len(p.s), "the JSON text is cut"}
	}
	return &SyntaxError{p.i, fmt.Sprintf(format, args...)}
}

func (p *parser) blank() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// at says whether the next byte that is not blank is c, and passes it.
func (p *parser) at(c byte) bool {
	if p.blank(); p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) value(depth int) (Value, error) {
	p.blank()
	if depth > DepthMax {
		return Null, p.errorf("nested deeper than %d levels", DepthMax)
	}
	if p.i >= len(p.s) {
		return Null, p.errorf("")
	}
	switch c := p.s[p.i]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.text()
		return String(s), err
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	for _, word := range [...]struct {
		text string
		v    Value
	}{{"true", Bool(true)}, {"false", Bool(false)}, {"null", Null}} {
		if strings.HasPrefix(p.s[p.i:], word.text) {
			p.i += len(word.text)
			return word.v, nil
		}
	}
	return Null, p.errorf("expected a value, found %q", p.s[p.i])
}

func (p *parser) object(depth int) (Value, error) {
	p.i++
	first := len(p.members)
	if p.at('}') {
		return Object(nil), nil
	}
	for {
		if p.blank(); p.i >= len(p.s) || p.s[p.i] != '"' {
			return Null, p.errorf("expected a name in quotes")
		}
		name, err := p.text()
		if err != nil {
			return Null, err
		}
		if !p.at(':') {
			return Null, p.errorf("expected `:` behind a name")
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return Null, err
		}
		p.members = append(p.members, Member{name, v})
		if p.at('}') {
			list := slices.Clone(p.members[first:])
			p.members = p.members[:first]
			return Object(list), nil
		}
		if !p.at(',') {
			return Null, p.errorf("expected `,` or `}`")
		}
	}
}

func (p *parser) array(depth int) (Value, error) {
	p.i++
	first := len(p.list)
	if p.at(']') {
		return Array(nil), nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return Null, err
		}
		p.list = append(p.list, v)
		if p.at(']') {
			list := slices.Clone(p.list[first:])
			p.list = p.list[:first]
			return Array(list), nil
		}
		if !p.at(',') {
			return Null, p.errorf("expected `,` or `]`")
		}
	}
}

func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

func (p *parser) number() (Value, error) {
	start, whole := p.i, true
	if p.s[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '0' {
		p.i++
	} else if !p.digits() {
		return Null, p.errorf("expected a digit")
	}
	if p.i < len(p.s) && p.s[p.i] == '.' {
		whole = false
		if p.i++; !p.digits() {
			return Null, p.errorf("expected a digit behind the point")
		}
	}
	if p.i < len(p.s) && (p.s[p.i] == 'e' || p.s[p.i] == 'E') {
		whole = false
		if p.i++; p.i < len(p.s) && (p.s[p.i] == '+' || p.s[p.i] == '-') {
			p.i++
		}
		if !p.digits() {
			return Null, p.errorf("expected a digit in the exponent")
		}
	}
	text := p.s[start:p.i]
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Int(n), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Null, nil
	}
	return Float(f), nil
}

// text reads a string from its opening quote on.
func (p *parser) text() (string, error) {
	p.i++
	start := p.i
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"' && p.valid:
			p.i++
			return p.s[start : p.i-1], nil
		case c == '"', c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.errorf("a control character in a string")
		}
	}
	return "", p.errorf("")
}

// escaped goes on with a string that is not a part of the text as it stands.
func (p *parser) escaped(start int) (string, error) {
	b := []byte(p.s[start:p.i])
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			if p.valid {
				return string(b), nil
			}
			return string([]rune(string(b))), nil // each byte that is wrong becomes U+FFFD
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", p.errorf("a control character in a string")
		default:
			b = append(b, c)
			p.i++
		}
	}
	return "", p.errorf("")
}

// escapes are the characters that stand behind a backslash, and what they mean.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escape() (rune, error) {
	if p.i++; p.i >= len(p.s) {
		return 0, p.errorf("")
	}
	if c := escapes[p.s[p.i]]; c != 0 {
		p.i++
		return rune(c), nil
	}
	r, ok := p.hex()
	if !ok {
		return 0, p.errorf("unknown escape in a string")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if back := p.i; strings.HasPrefix(p.s[p.i:], `\u`) {
		p.i++
		if low, ok := p.hex(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
		p.i = back
	}
	return utf8.RuneError, nil
}

// hexDigits is the number of digits behind \u.
const hexDigits = 4

// hex reads u and four digits, or nothing.
func (p *parser) hex() (rune, bool) {
	rest := p.s[p.i:]
	if len(rest) < 1+hexDigits || rest[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[1:1+hexDigits], 16, 16)
	if err != nil {
		return 0, false
	}
	p.i += 1 + hexDigits
	return rune(n), true
}
