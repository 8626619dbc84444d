package eql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexer turns the text into tokens in one pass; each byte is looked at a fixed
// number of times. The text is valid UTF-8 and within MaxSourceBytes.
type lexer struct {
	src   *Source
	text  string
	d     Dialect
	pos   int
	toks  []token
	diags *diagSink
	// brokenEnd marks the final tEOF when the rest of the text was lost.
	brokenEnd bool
	// eol is a line end that lineEnd found; every offset between that search
	// and eol lies on the same line.
	eol int
}

func (l *lexer) run() []token {
	// A token with its white space takes some six bytes in real rules.
	l.toks = make([]token, 0, len(l.text)/6+8)
	l.text = l.src.Text
	if strings.HasPrefix(l.text, "\uFEFF") {
		l.pos = len("\uFEFF")
	}
	for l.skipBlank() {
		if l.diags.full {
			l.brokenEnd = true
			break
		}
		l.lexToken()
	}
	end := int32(len(l.text))
	l.toks = append(l.toks, token{start: end, end: end, kind: tEOF, broken: l.brokenEnd})
	return l.toks
}

func (l *lexer) errorf(start, end int, hint, format string, args ...any) {
	if l.diags.full {
		return
	}
	l.diags.add(l.src.Errorf(Span{start, end}, hint, format, args...))
}

// peek returns the byte i places on, 0 beyond the end.
func (l *lexer) peek(i int) byte {
	if l.pos+i < len(l.text) {
		return l.text[l.pos+i]
	}
	return 0
}

func (l *lexer) emit(k kind, size int) {
	l.toks = append(l.toks, token{start: int32(l.pos), end: int32(l.pos + size), kind: k})
	l.pos += size
}

func (l *lexer) emitBroken(k kind, size int) {
	l.emit(k, size)
	l.toks[len(l.toks)-1].broken = true
}

// lineEnd returns the offset of the end of the current line, without \r. It is
// kept, so that many strings on one long line do not scan it again and again.
func (l *lexer) lineEnd() int {
	if l.pos >= l.eol {
		l.eol = len(l.text)
		if i := strings.IndexAny(l.text[l.pos:], "\r\n"); i >= 0 {
			l.eol = l.pos + i
		}
	}
	return l.eol
}

// skipBlank passes white space and comments and says whether a token follows.
func (l *lexer) skipBlank() bool {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.pos++
		case c == '/' && l.peek(1) == '/':
			l.pos = l.lineEnd()
		case c == '/' && l.peek(1) == '*':
			end := strings.Index(l.text[l.pos+2:], "*/")
			if end < 0 {
				l.errorf(l.pos, l.pos+2, "end it with */", "comment is never closed")
				l.pos, l.brokenEnd = len(l.text), true
				return false
			}
			l.pos += 2 + end + 2
		case c == '#':
			if l.d != Kestrel {
				l.errorf(l.pos, l.pos+1, "write // instead",
					"`#` comments belong to the kestrel dialect, this query is in %s", l.d)
			}
			l.pos = l.lineEnd()
		default:
			return true
		}
	}
	return false
}

func (l *lexer) lexToken() {
	c := l.text[l.pos]
	switch {
	case isNameStart(c):
		l.lexWord()
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		l.lexNumber()
	case c == '"':
		l.lexDoubleQuoted()
	case c == '\'':
		l.lexSingleQuoted()
	case c == '`':
		l.lexBackquoted()
	case c == '$':
		l.lexVar()
	case c == '?' && (l.peek(1) == '"' || l.peek(1) == '\''):
		l.lexRawEndgame()
	default:
		l.lexPunct(c)
	}
}

func (l *lexer) lexWord() {
	size := 1
	for isNamePart(l.peek(size)) {
		size++
	}
	k := keyword(l.text[l.pos:l.pos+size], l.d)
	if l.peek(size) == '~' {
		switch k {
		case tIn:
			l.emit(tInFold, size+1)
			return
		case tLike:
			l.emit(tLikeFold, size+1)
			return
		case tRegex:
			l.emit(tRegexFold, size+1)
			return
		case tIdent:
			l.emit(tTilde, size+1)
			return
		}
	}
	l.emit(k, size)
}

func (l *lexer) lexNumber() {
	k, size := tInt, 0
	for isDigit(l.peek(size)) {
		size++
	}
	if l.peek(size) == '.' {
		k = tFloat
		size++
		for isDigit(l.peek(size)) {
			size++
		}
	}
	if c := l.peek(size); c == 'e' || c == 'E' {
		digits := size + 1
		if s := l.peek(digits); s == '+' || s == '-' {
			digits++
		}
		if isDigit(l.peek(digits)) {
			k = tFloat
			for size = digits; isDigit(l.peek(size)); {
				size++
			}
		}
	}
	l.emit(k, size)
}

// lexDoubleQuoted reads "..." and """...""". The content is decoded later.
func (l *lexer) lexDoubleQuoted() {
	if !strings.HasPrefix(l.text[l.pos:], `"""`) {
		l.lexEscaped('"', 1)
		return
	}
	rest := l.text[l.pos+3 : l.lineEnd()]
	end := strings.Index(rest, `"""`)
	if end < 0 {
		if l.d == Endgame {
			l.emit(tString, 2) // an empty string before another one
			return
		}
		l.errorf(l.pos, l.pos+3, `close it with """ on the same line`, `raw string """ is not closed before the end of the line`)
		l.emitBroken(tString, 3+len(rest))
		return
	}
	end += 3
	for extra := 0; extra < 2 && end < len(rest) && rest[end] == '"'; extra++ {
		end++ // up to two quotes before the closing ones belong to the content
	}
	if l.d == Endgame {
		l.errorf(l.pos, l.pos+3+end, `write ?"..."`,
			`"""raw strings""" belong to the kestrel and elastic dialects, this query is in endgame`)
	}
	l.emit(tString, 3+end)
}

// lexEscaped reads to the closing quote, passing over backslash pairs. prefix
// is the length of the opening.
func (l *lexer) lexEscaped(quote byte, prefix int) {
	for size := prefix; ; size++ {
		switch c := l.peek(size); {
		case c == quote:
			l.emit(tString, size+1)
			return
		case c == '\n' || c == '\r' || l.pos+size >= len(l.text):
			l.errorf(l.pos, l.pos+prefix, "a string ends on the line where it starts",
				"string %c is not closed before the end of the line", quote)
			l.emitBroken(tString, size)
			return
		case c == '\\' && l.peek(size+1) != '\n' && l.peek(size+1) != '\r' && l.pos+size+1 < len(l.text):
			size++
		}
	}
}

func (l *lexer) lexSingleQuoted() {
	start := l.pos
	l.lexEscaped('\'', 1)
	if t := l.toks[len(l.toks)-1]; l.d != Endgame && !t.broken {
		body := l.text[start+1 : t.end-1]
		l.errorf(start, int(t.end), "write \""+shorten(body)+"\"",
			"single-quoted strings belong to the endgame dialect, this query is in %s", l.d)
	}
}

// lexRawEndgame reads ?"..." and ?'...'.
func (l *lexer) lexRawEndgame() {
	start := l.pos
	l.lexEscaped(l.peek(1), 2)
	if t := l.toks[len(l.toks)-1]; l.d != Endgame && !t.broken {
		l.errorf(start, int(t.end), `write """`+shorten(l.text[start+2:t.end-1])+`"""`,
			"?\"raw strings\" belong to the endgame dialect, this query is in %s", l.d)
	}
}

func (l *lexer) lexBackquoted() {
	for size := 1; ; size++ {
		switch c := l.peek(size); {
		case c == '`' && l.peek(size+1) == '`':
			size++
		case c == '`':
			if size == 1 {
				l.errorf(l.pos, l.pos+2, "", "the name between backquotes is empty")
				l.emitBroken(tQuoted, 2)
				return
			}
			l.emit(tQuoted, size+1)
			return
		case c == '\n' || c == '\r' || l.pos+size >= len(l.text):
			l.errorf(l.pos, l.pos+1, "", "name ` is not closed before the end of the line")
			l.emitBroken(tQuoted, size)
			return
		}
	}
}

func (l *lexer) lexVar() {
	if c := l.peek(1); !isLetter(c) && c != '_' {
		l.errorf(l.pos, l.pos+1, "", "expected a name after `$`")
		l.emitBroken(tBad, 1)
		return
	}
	size := 2
	for isNamePart(l.peek(size)) {
		size++
	}
	l.emit(tVar, size)
}

func (l *lexer) lexPunct(c byte) {
	next := l.peek(1)
	switch {
	case c == '=' && next == '=':
		l.emit(tEq, 2)
	case c == '!' && next == '=':
		l.emit(tNe, 2)
	case c == '!' && next == '[':
		l.emit(tMissing, 2)
	case c == '<' && next == '=':
		l.emit(tLe, 2)
	case c == '>' && next == '=':
		l.emit(tGe, 2)
	case c == '&' && next == '&':
		l.emit(tAndAnd, 2)
	case c == '|' && next == '|':
		l.emit(tOrOr, 2)
	case c == '*' && next == '/':
		l.errorf(l.pos, l.pos+2, "comments do not nest", "`*/` closes no comment")
		l.emitBroken(tBad, 2)
	default:
		if k := punct(c); k != tBad {
			l.emit(k, 1)
			return
		}
		l.lexUnknown()
	}
}

func punct(c byte) kind {
	switch c {
	case '(':
		return tLParen
	case ')':
		return tRParen
	case '[':
		return tLBrack
	case ']':
		return tRBrack
	case ',':
		return tComma
	case '.':
		return tDot
	case '|':
		return tPipe
	case '?':
		return tQuestion
	case ':':
		return tColon
	case '<':
		return tLt
	case '>':
		return tGt
	case '+':
		return tPlus
	case '-':
		return tMinus
	case '*':
		return tStar
	case '/':
		return tSlash
	case '%':
		return tPercent
	case '=':
		return tAssign
	case '!':
		return tBang
	}
	return tBad
}

// lexUnknown reports a run of characters that no token starts with, once.
func (l *lexer) lexUnknown() {
	first, size := utf8.DecodeRuneInString(l.text[l.pos:])
	hint := ""
	switch {
	case strings.ContainsRune("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019", first):
		hint = `strings use plain double quotes: "..."`
	case unicode.IsLetter(first):
		hint = "write names outside A-Z, a-z, 0-9 and _ in backquotes"
	case unicode.IsSpace(first):
		hint = "use a plain space"
	case first == '\\':
		hint = "a backslash stands only inside a string"
	case first == '&':
		hint = "write `and`"
	case first == '~':
		hint = "`~` directly follows in, like, regex or a function name"
	}
	end := size
	for l.pos+end < len(l.text) {
		r, n := utf8.DecodeRuneInString(l.text[l.pos+end:])
		if r < utf8.RuneSelf && (unicode.IsSpace(r) || r > ' ' && r != '\\' && r != '~') {
			break
		}
		end += n
	}
	if unicode.IsPrint(first) {
		l.errorf(l.pos, l.pos+end, hint, "unexpected character `%c`", first)
	} else {
		l.errorf(l.pos, l.pos+end, hint, "unexpected character %U", first)
	}
	l.emitBroken(tBad, end)
}

// shownMax bounds a piece of the source quoted in a message.
const shownMax = 40

// shorten cuts s to shownMax code points for a message and keeps it on one line.
func shorten(s string) string {
	n := 0
	for i := range s {
		if n == shownMax {
			s = s[:i] + "..."
			break
		}
		n++
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
