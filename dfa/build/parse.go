package build

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/dfa"
)

// Limits of one regex.
const (
	// RepeatMax bounds a repetition count; a path component has 255 bytes and `{1,1000}` is the longest seen in rules.
	RepeatMax = 1000
	// nestingMax bounds the depth of groups, for the recursion of parser and compiler.
	nestingMax = 200
	// intervalDigitsMax keeps the numbers of `<n-m>` in 64 bits.
	intervalDigitsMax = 18
)

// RegexError says where in a regex what is wrong.
type RegexError struct {
	Offset int // in bytes
	Reason string
}

func (e *RegexError) Error() string { return fmt.Sprintf("regex, byte %d: %s", e.Offset, e.Reason) }

type op uint8

const (
	opEmpty    op = iota // the empty string
	opNone               // no string
	opSet                // one code point of set
	opConcat             // subs one after the other
	opUnion              // any of subs
	opInter              // all of subs
	opNot                // every string subs[0] does not match
	opRepeat             // subs[0], min to max times; max -1 is without end
	opInterval           // a decimal number from low to high, of exactly width digits unless width is 0
)

// span is a range of code points, both ends included.
type span struct{ low, high rune }

// node is an expression of the syntax tree. Case folding is resolved: sets hold both cases.
type node struct {
	op       op
	set      []span // ascending, apart
	subs     []*node
	min, max int
	low      uint64
	high     uint64
	width    int
}

// anySet is what `.` stands for: every code point, line ends too, and every byte outside valid UTF-8.
var anySet = []span{{0, dfa.InvalidRune}}

func anyString() *node {
	return &node{op: opRepeat, max: -1, subs: []*node{{op: opSet, set: anySet}}}
}

// parser reads Lucene's regular expression syntax with all of its optional operators, as Elastic's EQL uses it. As
// there, `^` and `$` are ordinary characters, and a repetition with nothing to repeat stands for itself. Unlike there,
// `|` or `&` without an operand is an error: there it would be taken for a literal, which nobody means.
type parser struct {
	text  string
	at    int
	depth int
	fold  bool
}

func parseRegex(text string, fold bool) (n *node, err error) {
	if text == "" {
		return &node{op: opEmpty}, nil
	}
	p := parser{text: text, fold: fold}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *RegexError:
			n, err = nil, e
		default:
			panic(e)
		}
	}()
	n = p.union()
	if p.at < len(text) {
		p.fail(p.at, "')' without '('")
	}
	return n, nil
}

// fail ends the parse; parseRegex turns it into its error.
func (p *parser) fail(at int, format string, args ...any) {
	panic(&RegexError{at, fmt.Sprintf(format, args...)})
}

func (p *parser) more() bool { return p.at < len(p.text) }

func (p *parser) peek(set string) bool {
	return p.more() && strings.IndexByte(set, p.text[p.at]) >= 0
}

func (p *parser) eat(c byte) bool {
	if p.more() && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) next(what string) rune {
	if !p.more() {
		p.fail(p.at, "ends where %s is expected", what)
	}
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	return r
}

func (p *parser) union() *node {
	if p.depth++; p.depth > nestingMax {
		p.fail(p.at, "nested more than %d deep", nestingMax)
	}
	n := p.inter()
	if p.peek("|") {
		n = &node{op: opUnion, subs: []*node{n}}
		for p.eat('|') {
			n.subs = append(n.subs, p.inter())
		}
	}
	p.depth--
	return n
}

func (p *parser) inter() *node {
	n := p.concat()
	if p.peek("&") {
		n = &node{op: opInter, subs: []*node{n}}
		for p.eat('&') {
			n.subs = append(n.subs, p.concat())
		}
	}
	return n
}

func (p *parser) concat() *node {
	if !p.more() {
		p.fail(p.at, "ends where an expression is expected (write () for the empty string)")
	}
	if p.peek("|&)") {
		p.fail(p.at, "nothing before '%c' (write () for the empty string, \\%[1]c for the character)", p.text[p.at])
	}
	n := &node{op: opConcat}
	for p.more() && !p.peek("|&)") {
		n.subs = append(n.subs, p.repeat())
	}
	if len(n.subs) == 1 {
		return n.subs[0]
	}
	return n
}

func (p *parser) repeat() *node {
	n := p.complement()
	for count := 0; p.peek("?*+{"); count++ {
		if count >= nestingMax {
			p.fail(p.at, "nested more than %d deep", nestingMax)
		}
		r := &node{op: opRepeat, max: -1, subs: []*node{n}}
		switch p.text[p.at] {
		case '?':
			r.max = 1
		case '+':
			r.min = 1
		case '{':
			p.bounds(r)
		}
		p.at++
		n = r
	}
	return n
}

// bounds reads {n}, {n,} or {n,m} up to the closing brace.
func (p *parser) bounds(r *node) {
	start := p.at
	p.at++
	r.min = p.count()
	r.max = r.min
	if p.eat(',') {
		r.max = -1
		if !p.peek("}") {
			r.max = p.count()
		}
	}
	if !p.peek("}") {
		p.fail(p.at, "expected '}'")
	}
	if r.max >= 0 && r.max < r.min {
		p.fail(start, "repetition {%d,%d} is upside down", r.min, r.max)
	}
}

func (p *parser) count() int {
	start := p.at
	n := 0
	for p.peek("0123456789") {
		if n = n*10 + int(p.text[p.at]-'0'); n > RepeatMax {
			p.fail(start, "repetition count over %d", RepeatMax)
		}
		p.at++
	}
	if p.at == start {
		p.fail(start, "expected a repetition count (write \\{ for the character)")
	}
	return n
}

func (p *parser) complement() *node {
	start := p.at
	odd := false
	for p.eat('~') {
		odd = !odd
	}
	if p.at > start && (!p.more() || p.peek("|&)")) {
		p.fail(start, "'~' without an expression to complement (write \\~ for the character)")
	}
	n := p.atom()
	if odd {
		return &node{op: opNot, subs: []*node{n}}
	}
	return n
}

func (p *parser) atom() *node {
	start := p.at
	switch p.text[p.at] {
	case '.':
		p.at++
		return &node{op: opSet, set: anySet}
	case '#':
		p.at++
		return &node{op: opNone}
	case '@':
		p.at++
		return anyString()
	case '"':
		return p.quoted()
	case '[':
		return p.class()
	case '<':
		return p.interval()
	case '(':
		p.at++
		if p.eat(')') {
			return &node{op: opEmpty}
		}
		n := p.union()
		if !p.eat(')') {
			p.fail(start, "'(' without ')'")
		}
		return n
	}
	return &node{op: opSet, set: p.character()}
}

func (p *parser) quoted() *node {
	start := p.at
	p.at++
	end := strings.IndexByte(p.text[p.at:], '"')
	if end < 0 {
		p.fail(start, "'\"' without a second one")
	}
	n := &node{op: opConcat}
	for _, r := range p.text[p.at : p.at+end] {
		n.subs = append(n.subs, &node{op: opSet, set: p.folded([]span{{r, r}})})
	}
	p.at += end + 1
	if len(n.subs) == 0 {
		return &node{op: opEmpty}
	}
	return n
}

// class reads [...] or [^...]. Inside, only `\`, `-` between two characters, and `]` are special.
func (p *parser) class() *node {
	start := p.at
	p.at++
	negate := p.eat('^')
	var set []span
	for first := true; first || !p.peek("]"); first = false {
		if !p.more() {
			p.fail(start, "'[' without ']'")
		}
		if p.peek("]") {
			p.fail(p.at, "empty class (write \\] for the character)")
		}
		from := p.at
		one := p.character()
		if p.peek("-") && !p.predefined(from) {
			one = p.rangeFrom(from)
		}
		set = append(set, one...)
	}
	p.at++
	set = merge(set)
	if negate {
		set = invert(set)
	}
	return &node{op: opSet, set: set}
}

// rangeFrom reads the rest of a range whose first character stands at from.
func (p *parser) rangeFrom(from int) []span {
	p.at++
	if p.peek("]") {
		p.fail(p.at-1, "range without an end (write \\- for the character)")
	}
	end := p.at
	p.character()
	if p.predefined(end) {
		p.fail(end, "range ends in a class")
	}
	low, high := p.single(from), p.single(end)
	if high < low {
		p.fail(from, "range %c-%c is upside down", low, high)
	}
	return p.folded([]span{{low, high}})
}

// character reads one character or escape and returns what it stands for.
func (p *parser) character() []span {
	start := p.at
	r := p.next("a character")
	if r != '\\' {
		return p.folded([]span{{r, r}})
	}
	r = p.next("an escaped character")
	var set []span
	switch r {
	case 'd', 'D':
		set = []span{{'0', '9'}}
	case 'w', 'W':
		set = []span{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}
	case 's', 'S':
		set = []span{{'\t', '\n'}, {'\r', '\r'}, {' ', ' '}}
	default:
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			p.fail(start, "unknown escape \\%c", r)
		}
		return []span{{r, r}}
	}
	if r < 'a' {
		set = invert(set)
	}
	return set
}

// predefined says whether a class escape stands at at.
func (p *parser) predefined(at int) bool {
	return p.text[at] == '\\' && strings.IndexByte("dDwWsS", p.text[at+1]) >= 0
}

// single returns the character that stands, perhaps escaped, at at.
func (p *parser) single(at int) rune {
	if p.text[at] == '\\' {
		at++
	}
	r, _ := utf8.DecodeRuneInString(p.text[at:])
	return r
}

// interval reads <n-m>.
func (p *parser) interval() *node {
	start := p.at
	end := strings.IndexByte(p.text[p.at:], '>')
	if end < 0 {
		p.fail(start, "'<' without '>' (write \\< for the character)")
	}
	low, high, ok := strings.Cut(p.text[p.at+1:p.at+end], "-")
	number := func(s string) (n uint64) {
		ok = ok && s != "" && len(s) <= intervalDigitsMax
		for _, c := range s {
			ok = ok && c >= '0' && c <= '9'
			n = n*10 + uint64(c-'0')
		}
		return n
	}
	n := &node{op: opInterval, low: number(low), high: number(high)}
	if !ok {
		p.fail(start, "expected <number-number> of at most %d digits (write \\< for the character)", intervalDigitsMax)
	}
	if len(low) == len(high) {
		n.width = len(low)
	}
	if n.low > n.high {
		n.low, n.high = n.high, n.low
	}
	p.at += end + 1
	return n
}
