package eql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// parser is a recursive-descent parser over the token list. After an error it
// skips to a token that can be understood again and goes on; a token is
// reported at most once, so the callers above the fault stay silent about it.
type parser struct {
	src   *Source
	text  string
	d     Dialect
	toks  []token
	i     int
	diags *diagSink

	depth  int // recursion, bounded by MaxDepth
	height int // of the tree that the last expression function returned

	lastFail int  // index of the token reported last, -1 for none
	halted   bool // nothing more is parsed or reported
	deep     bool // halted because of MaxDepth: the tree may be too high

	parens int  // open parentheses since the last bracket
	inPipe bool // in the arguments of a pipe
	nested int  // brackets around the current event
}

func newParser(name string, src []byte, d Dialect) *parser {
	text := ""
	if len(src) <= MaxSourceBytes {
		text = string(src)
	}
	source := NewSource(name, text)
	diags := &diagSink{src: source}
	p := &parser{src: source, text: text, d: d, diags: diags, lastFail: -1}
	if len(src) > MaxSourceBytes {
		diags.add(source.Errorf(Span{}, "", "query is too large: %d bytes (max %d)", len(src), MaxSourceBytes))
	} else if at, ok := invalidUTF8(text); ok {
		diags.add(source.Errorf(Span{at, at + 1}, "save the file as UTF-8", "invalid UTF-8: byte 0x%02x", text[at]))
	} else {
		lex := &lexer{src: source, d: d, diags: diags}
		p.toks = lex.run()
		return p
	}
	p.toks = []token{{kind: tEOF, broken: true}}
	p.halted = true
	return p
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8.
func invalidUTF8(s string) (int, bool) {
	if utf8.ValidString(s) {
		return 0, false
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return i, true
		}
		i += size
	}
	return 0, false
}

func (p *parser) tok() token { return p.toks[p.i] }

func (p *parser) kind() kind { return p.toks[p.i].kind }

// peek returns the token n places on; the last one is repeated.
func (p *parser) peek(n int) token { return p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) next() {
	if p.i < len(p.toks)-1 {
		p.i++
	}
}

func (p *parser) accept(k kind) bool {
	if p.kind() != k {
		return false
	}
	p.next()
	return true
}

func (p *parser) start() int { return int(p.toks[p.i].start) }

// since spans from an offset to the end of the last token read.
func (p *parser) since(start int) Span {
	if p.i == 0 {
		return Span{start, start}
	}
	return Span{start, max(start, int(p.toks[p.i-1].end))}
}

func (p *parser) tokText(t token) string { return p.text[t.start:t.end] }

func (p *parser) word() string { return p.tokText(p.tok()) }

// isWord says whether the current token is that plain name.
func (p *parser) isWord(word string) bool { return p.kind() == tIdent && p.word() == word }

// fail reports the current token, unless it or the one before it has been
// reported already. The format says what was expected or what is wrong.
func (p *parser) fail(hint, format string, args ...any) {
	if p.mute() {
		return
	}
	p.lastFail = p.i
	p.failAt(p.tok().span(), hint, format, args...)
}

// mute says whether fail would stay silent.
func (p *parser) mute() bool {
	if p.halted || p.i == p.lastFail || p.tok().broken || p.i > 0 && p.toks[p.i-1].broken {
		p.lastFail = p.i
		return true
	}
	return false
}

// expected is fail for a token that is not the one that should stand there.
func (p *parser) expected(what, hint string) {
	p.fail(hint, "expected %s, found %s", what, p.found())
}

// failAt reports a span. Unlike fail it is not silenced by earlier errors.
func (p *parser) failAt(at Span, hint, format string, args ...any) {
	if p.halted {
		return
	}
	if !p.diags.add(p.src.Errorf(at, hint, format, args...)) {
		p.halt()
	}
}

func (p *parser) warnAt(at Span, hint, format string, args ...any) {
	if !p.halted && !p.diags.add(p.src.Warnf(at, hint, format, args...)) {
		p.halt()
	}
}

// halt jumps to the end, so that every loop of the parser finishes.
func (p *parser) halt() {
	p.halted = true
	p.i = len(p.toks) - 1
}

// notIn reports a construct that the dialect lacks and names those that have it.
func (p *parser) notIn(at Span, hint, what, owners string) {
	p.failAt(at, hint, "%s to the %s, this query is in %s", what, owners, p.d)
}

// enter counts one level of recursion and says whether it is allowed.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > MaxDepth {
		p.tooDeep()
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

func (p *parser) tooDeep() {
	p.failAt(p.tok().span(), "split the condition", "the expression is nested too deeply here (max %d levels)", MaxDepth)
	p.deep = true
	p.halt()
}

// grow records the height of a node above children of height h.
func (p *parser) grow(h int) {
	p.height = h + 1
	if p.height > MaxDepth {
		p.tooDeep()
	}
}

// found describes the current token for a message.
func (p *parser) found() string {
	t := p.tok()
	text := shorten(p.tokText(t))
	switch {
	case t.kind == tEOF:
		return "the end of the query"
	case t.kind == tString:
		return "string " + text
	case t.kind == tInt || t.kind == tFloat:
		return "number " + text
	case t.kind.isKeyword():
		return "keyword `" + text + "`"
	case t.kind == tQuoted:
		return "name " + text
	case t.kind == tIdent:
		end := t.end
		for n := 1; n <= shownMax && p.peek(n).kind == tDot && p.peek(n+1).kind == tIdent; n += 2 {
			end = p.peek(n + 1).end
		}
		text = shorten(p.text[t.start:end])
	}
	return "`" + text + "`"
}

// closeBracket reads the counterpart of the bracket that opened at open.
func (p *parser) closeBracket(k kind, open token) bool {
	if p.accept(k) {
		return true
	}
	if p.mute() { // place is not free
		return false
	}
	want := ")"
	if k == tRBrack {
		want = "]"
	}
	p.fail("", "expected `%s` to close the `%s` opened at %s, found %s",
		want, p.tokText(open), p.place(open), p.found())
	return false
}

// place is the line and column of a token, for a message about another place.
func (p *parser) place(t token) string {
	pos := p.src.Position(int(t.start))
	return fmt.Sprintf("%d:%d", pos.Line, pos.Col)
}

// looseWord says whether the current token is a name that differs from a
// lower-case word in case only.
func (p *parser) looseWord(word string) bool {
	if p.kind() != tIdent {
		return false
	}
	t := p.tok()
	return int(t.end-t.start) == len(word) && strings.EqualFold(p.tokText(t), word)
}

// isLoose says whether text is one of the words when case is ignored.
func isLoose(text string, words ...string) bool {
	for _, word := range words {
		if strings.EqualFold(text, word) {
			return true
		}
	}
	return false
}

// lowerCase reports a keyword that was written with capitals.
func (p *parser) lowerCase(word string) {
	p.fail("write `"+word+"`", "keywords are lower case, found `%s`", p.word())
}

// skipTo passes tokens until one of the kinds, or the end of the text.
func (p *parser) skipTo(kinds ...kind) {
	for {
		k := p.kind()
		if k == tEOF {
			return
		}
		for _, stop := range kinds {
			if k == stop {
				return
			}
		}
		p.next()
	}
}
