package eql

import "strings"

// The grammar of conditions, loosest first. Match operators bind to the single
// operand before them, as in Elasticsearch: a + b in (1) is a + (b in (1)).
//
//	or          and { "or" and }
//	and         not { "and" not }
//	not         "not" not | relation "of" "[" event "]" | comparison
//	comparison  additive [ op additive ]
//	additive    multiplicative { ("+"|"-") multiplicative }
//	multiplic.  unary { ("*"|"/"|"%") unary }
//	unary       ("-"|"+") unary | predicate
//	predicate   primary [ ["not"] "in" list | match values ]

// bareExpr parses a whole source that is one condition.
func (p *parser) bareExpr() Expr {
	if p.kind() == tEOF {
		p.expected("a condition", "")
		return &Bad{p.tok().span()}
	}
	x := p.expr()
	if p.kind() != tEOF {
		p.expected("the end of the condition", "")
	}
	if p.deep {
		return &Bad{x.Range()}
	}
	return x
}

// expr parses a condition and everything up to a token that can follow one in
// the current context, reporting what it has to skip.
func (p *parser) expr() Expr {
	start := p.start()
	x := p.or()
	for !p.atExprEnd() {
		if p.kind() == tRParen {
			p.fail("", "`)` closes no `(`")
			p.next()
		} else {
			p.expectedOperator()
			if p.syncExpr(); p.kind() == tRParen && p.parens == 0 {
				continue
			}
		}
		if p.atAnd() || p.atOr() {
			p.next()
			right := p.or()
			x = &Logical{Span: p.since(start), Op: And, Args: []Expr{x, right}}
		}
	}
	return x
}

// atExprEnd says whether the current token can stand after a condition.
func (p *parser) atExprEnd() bool {
	switch p.kind() {
	case tRParen:
		return p.parens > 0
	case tComma:
		return p.parens > 0 || p.inPipe
	case tEOF, tRBrack, tLBrack, tMissing, tPipe, tUntil, tWith, tBy, tWhere, tSequence, tJoin, tSample:
		return true
	}
	return false
}

// syncExpr skips to a token from which parsing can go on. It leaves the token
// where it is when it is one already.
func (p *parser) syncExpr() {
	for depth := 0; ; p.next() {
		switch p.kind() {
		case tEOF, tLBrack, tMissing, tRBrack, tPipe, tUntil:
			return
		case tLParen:
			depth++
		case tRParen:
			if depth == 0 {
				return
			}
			depth--
		case tAnd, tOr:
			if depth == 0 {
				return
			}
		case tComma:
			if depth == 0 && (p.parens > 0 || p.inPipe) {
				return
			}
		}
	}
}

func (p *parser) expectedOperator() {
	if p.isStrayWord() {
		return
	}
	what := "`and`, `or` or the end of the condition"
	switch {
	case p.parens > 0:
		what = "`and`, `or`, `,` or `)`"
	case p.nested > 0:
		what = "`and`, `or` or `]`"
	}
	hint := ""
	switch prev := p.peekBack(); {
	case prev.kind == tInt && p.kind() == tIdent && prev.end == p.tok().start:
		hint = "a name that starts with a digit needs backquotes: `" + shorten(p.tokText(prev)+p.word()) + "`"
	case p.kind() == tFloat && p.word()[0] == '.' && prev.end == p.tok().start:
		hint = "a name that starts with a digit needs backquotes"
	case p.kind() == tComma:
		hint = "a list of values stands in parentheses after in, :, like or regex"
	case p.kind() == tTilde:
		hint = "`~` follows in, like, regex or a function name"
	}
	p.expected(what, hint)
}

// isStrayWord reports operators of other languages.
func (p *parser) isStrayWord() bool {
	if p.kind() == tBang && p.peek(1).kind == tColon {
		p.fail("write `not field : ...`", "`!:` is not an operator")
		return true
	}
	if p.kind() != tIdent {
		return false
	}
	word, hint := strings.ToLower(p.word()), ""
	switch word {
	case "is":
		hint = "write `== null` or `!= null`"
	case "equals", "eq":
		hint = "write `==`"
	case "matches", "match", "rlike":
		hint = "write `regex`, or `like` for wildcards"
	case "ilike":
		hint = "write `like~`"
	case "xor", "between":
	default:
		return false
	}
	p.fail(hint, "`%s` is not an operator", p.word())
	return true
}

func (p *parser) peekBack() token {
	if p.i == 0 {
		return token{}
	}
	return p.toks[p.i-1]
}

// atOr says whether the current token is `or`, or was meant to be; then it is
// reported and the parser goes on as if it were.
func (p *parser) atOr() bool { return p.atLogic(tOr, tOrOr, "or", "||") }

// atAnd is atOr for `and`.
func (p *parser) atAnd() bool { return p.atLogic(tAnd, tAndAnd, "and", "&&") }

func (p *parser) atLogic(k, sign kind, word, signText string) bool {
	switch {
	case p.kind() == k:
		return true
	case p.kind() == sign:
		p.fail("write `"+word+"`", "`%s` is not an operator", signText)
		return true
	case p.looseWord(word):
		p.lowerCase(word)
		return true
	}
	return false
}

func (p *parser) or() Expr {
	start := p.start()
	x := p.and()
	if !p.atOr() {
		return x
	}
	chain, height := []Expr{x}, p.height
	for p.atOr() {
		p.next()
		chain = append(chain, p.and())
		height = max(height, p.height)
	}
	p.grow(height)
	return &Logical{Span: p.since(start), Op: Or, Args: chain}
}

func (p *parser) and() Expr {
	start := p.start()
	x := p.not()
	if !p.atAnd() {
		return x
	}
	chain, height := []Expr{x}, p.height
	for p.atAnd() {
		p.next()
		chain = append(chain, p.not())
		height = max(height, p.height)
	}
	p.grow(height)
	return &Logical{Span: p.since(start), Op: And, Args: chain}
}

func (p *parser) not() Expr {
	if p.kind() == tIdent && p.peek(1).kind == tOf {
		return p.lineage()
	}
	if !p.atNot() {
		return p.comparison()
	}
	defer p.leave()
	start := p.start()
	if !p.enter() {
		return &Bad{p.tok().span()}
	}
	p.next()
	x := p.not()
	p.grow(p.height)
	return &Not{Span: p.since(start), X: x}
}

func (p *parser) atNot() bool {
	switch {
	case p.kind() == tNot:
		return true
	case p.kind() == tBang && p.peek(1).kind != tColon:
		p.fail("write `not`", "`!` is not an operator")
		return true
	case p.looseWord("not"):
		switch p.peek(1).kind {
		case tIdent, tQuoted, tTilde, tString, tLParen, tQuestion, tVar, tNot, tTrue, tFalse:
			p.lowerCase("not")
			return true
		}
	}
	return false
}

// lineage parses child of [ event ].
func (p *parser) lineage() Expr {
	start := p.start()
	x := &Lineage{}
	switch word := p.word(); word {
	case "child":
		x.Rel = ChildOf
	case "descendant":
		x.Rel = DescendantOf
	case "event":
		x.Rel = EventOf
	default:
		p.fail("relations are child, descendant and event", "unknown relation `%s of`", shorten(word))
	}
	p.next()
	p.next()
	if p.d == Elastic {
		p.notIn(p.since(start), "", "`"+x.Rel.String()+" of` belongs", "kestrel and endgame dialects")
	}
	if p.kind() != tLBrack {
		p.expected("`[` after `of`", "write `"+x.Rel.String()+" of [category where condition]`")
		return &Bad{p.since(start)}
	}
	defer p.leave()
	if !p.enter() {
		return &Bad{p.tok().span()}
	}
	x.Event = p.bracketed(p.tok())
	x.Span = p.since(start)
	p.grow(p.height)
	return x
}

func (p *parser) comparison() Expr {
	start := p.start()
	x := p.additive()
	op, ok := p.compareOp()
	if !ok {
		return x
	}
	height := p.height
	right := p.additive()
	p.grow(max(height, p.height))
	x = &Compare{Span: p.since(start), Op: op, L: x, R: right}
	for {
		at := p.tok().span()
		if _, more := p.compareOp(); !more {
			return x
		}
		p.failAt(at, "join two comparisons with `and`", "comparisons do not chain")
		p.additive()
	}
}

// compareOp reads a comparison operator, also the misspelt ones.
func (p *parser) compareOp() (CompareOp, bool) {
	t, after := p.tok(), p.peek(1)
	adjacent := t.end == after.start
	op, wrong := Eq, ""
	switch {
	case t.kind == tEq:
	case t.kind == tNe:
		op = Ne
	case t.kind == tLt && after.kind == tGt && adjacent:
		op, wrong = Ne, "<>"
	case t.kind == tLt:
		op = Lt
	case t.kind == tLe:
		op = Le
	case t.kind == tGt:
		op = Gt
	case t.kind == tGe:
		op = Ge
	case t.kind == tAssign && after.kind == tGt && adjacent:
		op, wrong = Ge, "=>"
	case t.kind == tAssign && after.kind == tLt && adjacent:
		op, wrong = Le, "=<"
	case t.kind == tAssign:
		if p.d != Endgame {
			p.fail("write `==` to compare", "`=` is not a comparison in the %s dialect", p.d)
		}
	default:
		return 0, false
	}
	if wrong != "" {
		p.fail("write `"+op.String()+"`", "`%s` is not an operator", wrong)
		p.next()
	}
	p.next()
	if p.kind() == tAssign && wrong == "" && p.peekBack().end == p.tok().start {
		p.fail("write `"+op.String()+"`", "unexpected `=` after `%s`", p.tokText(p.peekBack()))
		p.next()
	}
	return op, true
}

func (p *parser) additive() Expr {
	start := p.start()
	x := p.multiplicative()
	for {
		op := Add
		switch p.kind() {
		case tPlus:
		case tMinus:
			op = Sub
		default:
			return x
		}
		height := p.height
		p.next()
		right := p.multiplicative()
		p.grow(max(height, p.height))
		x = &Arith{Span: p.since(start), Op: op, L: x, R: right}
	}
}

func (p *parser) multiplicative() Expr {
	start := p.start()
	x := p.unary()
	for {
		op := Mul
		switch p.kind() {
		case tStar:
		case tSlash:
			op = Div
		case tPercent:
			op = Mod
		default:
			return x
		}
		height := p.height
		p.next()
		right := p.unary()
		p.grow(max(height, p.height))
		x = &Arith{Span: p.since(start), Op: op, L: x, R: right}
	}
}

// unary parses a signed operand. A sign becomes part of the literal after it.
func (p *parser) unary() Expr {
	k := p.kind()
	if k != tMinus && k != tPlus {
		return p.predicate()
	}
	defer p.leave()
	start := p.start()
	if !p.enter() {
		return &Bad{p.tok().span()}
	}
	p.next()
	digits := p.tok()
	x := p.unary()
	span := p.since(start)
	if n, ok := x.(*Number); ok {
		switch {
		case k == tPlus:
		case digits.kind == tInt && p.tokText(digits) == minInt64Digits:
			n = &Number{IsInt: true, Int: -1 << 63}
		default:
			n = n.negate()
		}
		n.Span = span
		return n
	}
	op := Neg
	if k == tPlus {
		op = Pos
	}
	p.grow(p.height)
	return &Unary{Span: span, Op: op, X: x}
}
