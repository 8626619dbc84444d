package eql

import "strings"

// predicate parses an operand and a match operator after it, if there is one.
func (p *parser) predicate() Expr {
	start := p.start()
	x := p.primary()
	for p.d == Endgame && p.kind() == tColon && p.peek(1).kind == tIdent && p.peek(2).kind == tLParen {
		x = p.method(start, x)
	}
	negated := false
	if p.kind() == tNot {
		after := p.peek(1)
		op, _, ok := p.matchOp(after)
		if !ok {
			return x
		}
		if op != In {
			p.fail("write `not` before the operand: `not field "+p.tokText(after)+" ...`",
				"`not` cannot stand before `%s`", p.tokText(after))
		}
		negated = true
		p.next()
	}
	op, fold, ok := p.matchOp(p.tok())
	if !ok {
		return x
	}
	height := p.height
	m := &Match{Op: op, Fold: fold, OpSpan: p.tok().span(), X: x}
	p.checkMatchOp(op)
	p.next()
	p.height = 0
	m.Values = p.matchValues(op)
	m.Span = p.since(start)
	p.grow(max(height, p.height))
	if negated {
		p.grow(p.height)
		return &Not{Span: m.Span, X: m}
	}
	return m
}

// method parses the Endgame form value:name(args), which is name(value, args).
func (p *parser) method(start int, x Expr) Expr {
	height := p.height
	p.next()
	y := p.call()
	c, ok := y.(*Call)
	if !ok {
		return y
	}
	c.Args = append([]Expr{x}, c.Args...)
	c.Span = p.since(start)
	p.grow(max(height, p.height))
	return c
}

// matchOp says which match operator a token is, also when it is misspelt or of
// another dialect.
func (p *parser) matchOp(t token) (op MatchOp, fold, ok bool) {
	switch t.kind {
	case tIn:
		return In, false, true
	case tInFold:
		return In, true, true
	case tColon:
		return Seq, false, true
	case tLike:
		return Like, false, true
	case tLikeFold:
		return Like, true, true
	case tRegex:
		return Regex, false, true
	case tRegexFold:
		return Regex, true, true
	case tIdent, tTilde:
		if p.inPipe && p.d == Endgame {
			return 0, false, false // arguments side by side
		}
		text := p.tokText(t)
		word := strings.TrimSuffix(text, "~")
		for op = In; op <= EndsWith; op++ {
			if op != Seq && strings.EqualFold(op.String(), word) {
				return op, len(text) != len(word), true
			}
		}
	}
	return 0, false, false
}

// checkMatchOp reports an operator that the dialect does not have, or that is
// not in lower case.
func (p *parser) checkMatchOp(op MatchOp) {
	t := p.tok()
	text := p.tokText(t)
	word := strings.TrimSuffix(text, "~")
	switch {
	case op >= Contains && p.d != Kestrel:
		p.notIn(t.span(), "write the function "+functionOf[op]+"(field, value)", "the operator `"+word+"` belongs", "kestrel dialect")
	case op != Seq && word != op.String():
		p.lowerCase(op.String())
	case p.d == Endgame && t.kind != tIn:
		p.notIn(t.span(), "", "the operator `"+text+"` belongs", "kestrel and elastic dialects")
	}
}

// functionOf names the Elastic function that does what the infix operator does.
var functionOf = [...]string{Contains: "stringContains", StartsWith: "startsWith", EndsWith: "endsWith"}

// matchValues parses what follows a match operator: a list in parentheses or,
// except after in, one value. It never returns an empty list.
func (p *parser) matchValues(op MatchOp) []Expr {
	if p.kind() == tLParen {
		return p.matchList(op)
	}
	if op == In && p.kind() != tVar {
		p.expected("`(` and a list of values after `in`", "as in `field in (\"a\", \"b\")`")
		if !p.startsOperand() {
			return []Expr{&Bad{p.tok().span()}}
		}
	}
	return []Expr{p.matchValue(op, false)}
}

func (p *parser) matchList(op MatchOp) []Expr {
	open := p.tok()
	p.next()
	if p.kind() == tRParen {
		p.fail("", "the list after `%s` is empty", op)
		p.next()
		return []Expr{&Bad{open.span()}}
	}
	p.parens++
	var values []Expr
	height := 0
	for {
		values = append(values, p.matchValue(op, true))
		height = max(height, p.height)
		if len(values) > MaxListLen {
			p.tooLong()
		}
		if !p.atExprEnd() {
			p.expected("`,` or `)` in the list", "separate the values with commas")
			if p.startsOperand() && p.kind() != tMinus && p.kind() != tPlus {
				continue // only a comma is missing
			}
			p.syncExpr()
			for p.kind() == tAnd || p.kind() == tOr {
				p.next()
				p.syncExpr()
			}
		}
		if !p.accept(tComma) {
			break
		}
		if p.trailingComma() {
			break
		}
	}
	p.height = height
	p.closeBracket(tRParen, open)
	p.parens--
	return values
}

// trailingComma says whether a comma just read ends the list, which only
// Endgame allows.
func (p *parser) trailingComma() bool {
	if p.kind() != tRParen {
		return false
	}
	if p.d != Endgame {
		p.fail("remove the comma", "expected another value after `,`, found `)`")
	}
	return true
}

func isBad(x Expr) bool {
	_, ok := x.(*Bad)
	return ok
}

// matchValue parses one value. After `:`, like and regex it is a literal.
func (p *parser) matchValue(op MatchOp, inList bool) Expr {
	if !p.enter() {
		p.leave()
		return &Bad{p.tok().span()}
	}
	defer p.leave()
	start := p.start()
	switch {
	case op == In && inList, op >= Contains && inList:
		return p.expr()
	case op == In, op >= Contains:
		return p.primary()
	}
	switch p.kind() {
	case tString, tInt, tFloat, tTrue, tFalse, tNull, tVar:
		return p.primary()
	}
	if x := p.additive(); isBad(x) {
		return x
	}
	hint := ""
	if op == Seq {
		hint = "`:` compares with literals; write `==` to compare two operands"
	}
	p.failAt(p.since(start), hint, "expected a literal after `%s`, found `%s`",
		op, shorten(p.text[start:p.since(start).End]))
	return &Bad{p.since(start)}
}
