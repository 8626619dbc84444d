package eql

import (
	"math"
	"strconv"
	"strings"
)

// startsOperand says whether the current token can begin an operand.
func (p *parser) startsOperand() bool {
	switch p.kind() {
	case tIdent, tQuoted, tTilde, tString, tInt, tFloat, tVar, tLParen, tQuestion,
		tMinus, tPlus, tNot, tTrue, tFalse, tNull:
		return true
	}
	return false
}

// primary parses a literal, a field, a call or a condition in parentheses. On
// anything else it reads nothing and returns *Bad.
func (p *parser) primary() Expr {
	t := p.tok()
	p.height = 1
	switch t.kind {
	case tString:
		s := &String{Span: t.span()}
		s.Value, s.Raw = p.decode(t)
		p.next()
		return s
	case tInt, tFloat:
		n, ok := decodeNumber(p.tokText(t), t.kind)
		if !ok {
			p.fail("", "number %s is too large", shorten(p.tokText(t)))
		}
		n.Span = t.span()
		p.next()
		return n
	case tTrue, tFalse:
		p.next()
		return &Bool{Span: t.span(), Value: t.kind == tTrue}
	case tNull:
		p.next()
		return &Null{t.span()}
	case tLParen:
		return p.paren()
	case tIdent:
		if p.peek(1).kind == tLParen {
			return p.call()
		}
		return p.field()
	case tQuoted, tQuestion:
		return p.field()
	case tTilde:
		return p.call()
	case tVar:
		return p.variable()
	}
	p.expectedOperand()
	return &Bad{t.span()}
}

func (p *parser) expectedOperand() {
	const what = "a value, a field or a function call"
	t := p.tok()
	switch {
	case t.kind.isKeyword() && t.kind != tAnd && t.kind != tOr && p.usedAsName():
		p.expected(what, "write `"+p.tokText(t)+"` in backquotes if it is the name of a field")
	case t.kind == tStar:
		p.expected(what, "wildcards stand in a string: \"*\"")
	case t.kind == tAssign, t.kind == tEq:
		p.expected(what, "the operand before the comparison is missing")
	default:
		p.expected(what, "")
	}
}

// usedAsName says whether the keyword under the cursor stands where a field
// would: before an operator or a dot.
func (p *parser) usedAsName() bool {
	switch p.peek(1).kind {
	case tDot, tEq, tNe, tLt, tLe, tGt, tGe, tColon, tIn, tInFold, tLike, tLikeFold, tRegex, tRegexFold,
		tAssign, tAnd, tOr, tRParen, tRBrack, tEOF:
		return true
	}
	return false
}

// stringValue decodes a string token.
func (p *parser) stringValue(t token) string {
	value, _ := p.decode(t)
	return value
}

func (p *parser) decode(t token) (value string, raw bool) {
	if t.broken {
		return "", false
	}
	value, raw, fault := decodeString(p.tokText(t))
	if fault != nil {
		at := int(t.start) + fault.at
		p.failAt(Span{at, at + fault.size}, fault.hint, "%s", fault.msg)
	}
	return value, raw
}

func (p *parser) paren() Expr {
	defer p.leave()
	open := p.tok()
	if !p.enter() {
		return &Bad{open.span()}
	}
	p.next()
	p.parens++
	x := p.expr()
	if p.kind() == tComma {
		if !p.mute() {
			p.failAt(open.span(), "test a list with `in`, `:`, `like` or `regex`", "a list of values is not a value")
			p.lastFail = p.i
		}
		for p.accept(tComma) {
			p.expr()
		}
	}
	p.closeBracket(tRParen, open)
	p.parens--
	return x
}

// call parses name(args) and name~(args).
func (p *parser) call() Expr {
	defer p.leave()
	t := p.tok()
	c := &Call{Name: strings.TrimSuffix(p.tokText(t), "~"), NameSpan: t.span(), Fold: t.kind == tTilde}
	if !p.enter() {
		return &Bad{t.span()}
	}
	p.next()
	if p.kind() != tLParen {
		p.expected("`(` after the function name `"+p.tokText(t)+"`", "")
		return &Bad{t.span()}
	}
	if c.Fold && p.d == Endgame {
		p.notIn(t.span(), "", "functions with `~` belong", "kestrel and elastic dialects")
	}
	open := p.tok()
	p.next()
	p.parens++
	height := 0
	for p.kind() != tRParen {
		p.height = 0
		c.Args = append(c.Args, p.expr())
		height = max(height, p.height)
		if len(c.Args) > MaxListLen {
			p.tooLong()
		}
		if !p.accept(tComma) || p.trailingComma() {
			break
		}
	}
	p.closeBracket(tRParen, open)
	p.parens--
	c.Span = p.since(int(t.start))
	p.grow(height)
	return c
}

// field parses ?a.b[0].`c d`.
func (p *parser) field() Expr {
	start := p.start()
	f := &Field{}
	if p.kind() == tQuestion {
		f.Optional = true
		if p.d == Endgame {
			p.notIn(p.tok().span(), "", "optional fields `?name` belong", "kestrel and elastic dialects")
		}
		p.next()
	}
	t := p.tok()
	if t.kind != tIdent && t.kind != tQuoted {
		p.expected("a field name after `?`", "")
		return &Bad{p.since(start)}
	}
	p.next()
	f.Parts = p.parts(append(make([]Part, 0, 3), Part{Name: p.name(t)}))
	f.Span = p.since(start)
	p.checkFieldEnd(f, t)
	p.height = 1
	return f
}

// checkFieldEnd reports what looks like a field and was meant otherwise.
func (p *parser) checkFieldEnd(f *Field, first token) {
	if p.kind() == tLParen && !f.Optional && len(f.Parts) > 1 {
		p.fail("", "`%s` cannot be called, function names have no dots", shorten(p.text[f.Start:f.End]))
		return
	}
	if len(f.Parts) != 1 || first.kind != tIdent || f.Optional {
		return
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.EqualFold(f.Parts[0].Name, word) {
			p.warnAt(f.Span, "write `"+word+"`", "`%s` is read as a field name, literals are lower case", f.Parts[0].Name)
		}
	}
}

// parts parses the rest of a path.
func (p *parser) parts(list []Part) []Part {
	for {
		switch {
		case p.kind() == tDot:
			p.next()
			t := p.tok()
			if t.kind != tIdent && t.kind != tQuoted {
				hint := ""
				if t.kind.isKeyword() {
					hint = "write `" + p.tokText(t) + "` in backquotes"
				}
				p.expected("a name after `.`", hint)
				if t.kind.isKeyword() {
					p.next()
				}
				return list
			}
			p.next()
			list = append(list, Part{Name: p.name(t)})
		case p.kind() == tLBrack && p.peek(1).kind == tInt:
			open, number := p.tok(), p.peek(1)
			p.next()
			p.next()
			index, err := strconv.ParseInt(p.tokText(number), 10, 64)
			if err != nil || index > math.MaxInt32 {
				p.failAt(number.span(), "", "array index %s is too large (max %d)", shorten(p.tokText(number)), math.MaxInt32)
			}
			if p.closeBracket(tRBrack, open) && p.d == Elastic {
				p.notIn(p.since(int(open.start)), "", "array indexes belong", "kestrel and endgame dialects")
			}
			list = append(list, Part{Index: int(index), IsIndex: true})
		default:
			return list
		}
	}
}

func (p *parser) variable() Expr {
	t := p.tok()
	v := &Var{Name: p.tokText(t)[1:]}
	p.next()
	v.Parts = p.parts(nil)
	v.Span = p.since(int(t.start))
	if p.d != Kestrel {
		p.notIn(v.Span, "", "`$"+shorten(v.Name)+"` variables belong", "kestrel dialect")
	}
	p.height = 1
	return v
}
