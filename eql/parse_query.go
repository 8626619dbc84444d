package eql

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// query parses a whole source.
func (p *parser) query() *Query {
	q := &Query{}
	start := p.start()
	switch form := p.queryForm(); form {
	case KindEvent:
		p.eventQuery(q)
	default:
		q.Kind = form
		p.sequence(q)
	}
	p.pipes(q)
	for p.kind() != tEOF {
		p.fail(p.afterQueryHint(), "expected `|` or the end of the query, found %s", p.found())
		p.next()
		p.skipTo(tPipe)
		p.pipes(q)
	}
	q.Span = p.since(start)
	if p.deep {
		return &Query{Span: q.Span, Kind: q.Kind}
	}
	return q
}

func (p *parser) afterQueryHint() string {
	switch p.kind() {
	case tRBrack:
		return "`]` closes nothing here"
	case tLBrack, tMissing:
		return "steps in brackets need `sequence` at the start of the query"
	}
	return ""
}

// queryForm decides by the first token and reads the keyword of the form.
func (p *parser) queryForm() Kind {
	forms := [...]struct {
		kind kind
		form Kind
		word string
	}{{tSequence, KindSequence, "sequence"}, {tSample, KindSample, "sample"}, {tJoin, KindJoin, "join"}}
	for _, f := range forms {
		if p.accept(f.kind) {
			return f.form
		}
		if p.looseWord(f.word) {
			switch after := p.peek(1); {
			case after.kind == tLBrack, after.kind == tMissing, after.kind == tBy, after.kind == tWith,
				after.kind == tIdent && isLoose(p.tokText(after), "by", "with"):
				if p.d == Endgame && f.form == KindSample {
					p.notIn(p.tok().span(), "", "`sample` belongs", "kestrel and elastic dialects")
				} else {
					p.lowerCase(f.word)
				}
				p.next()
				return f.form
			}
		}
	}
	if k := p.kind(); k == tLBrack || k == tMissing {
		p.expected("a query", "write `sequence` before the first step")
		return KindSequence
	}
	return KindEvent
}

func (p *parser) eventQuery(q *Query) {
	start := p.start()
	if p.kind() == tEOF || p.kind() == tPipe {
		p.fail("a query is `category where condition`", "expected a query, found %s", p.found())
		q.Stages = []*Stage{{Span: p.since(start), Event: &Event{Where: &Bad{}}}}
		return
	}
	ev := p.event()
	q.Stages = []*Stage{{Span: ev.Span, Event: ev}}
}

// event parses category where condition.
func (p *parser) event() *Event {
	start := p.start()
	ev := &Event{}
	p.category(ev)
	if p.looseWord("where") {
		p.lowerCase("where")
		p.next()
	} else if !p.accept(tWhere) {
		p.missingWhere(ev)
		if !p.startsOperand() {
			ev.Where = &Bad{p.tok().span()}
			p.skipTo(tRBrack, tLBrack, tMissing, tUntil, tPipe)
			ev.Span = p.since(start)
			return ev
		}
	}
	if k := p.kind(); k == tEOF || k == tRBrack || k == tPipe {
		p.expected("a condition after `where`", "write `where true` to match every event of the category")
	}
	ev.Where = p.expr()
	ev.Span = p.since(start)
	return ev
}

func (p *parser) category(ev *Event) {
	t := p.tok()
	ev.CategorySpan = t.span()
	switch t.kind {
	case tAny:
		ev.Any = true
	case tIdent, tQuoted:
		ev.Category = p.name(t)
	case tString:
		if p.d == Endgame {
			p.notIn(t.span(), "", "quoted event categories belong", "kestrel and elastic dialects")
		}
		ev.Category = p.stringValue(t)
	case tWhere:
		p.fail("write `any where` to match every event", "expected an event category before `where`")
		return
	default:
		p.expected("an event category", "a query is `category where condition`")
		if !t.kind.isKeyword() || p.peek(1).kind != tWhere {
			return
		}
	}
	p.next()
}

func (p *parser) missingWhere(ev *Event) {
	switch p.kind() {
	case tDot, tEq, tNe, tLt, tLe, tGt, tGe, tColon, tIn, tInFold, tLike, tLikeFold, tRegex, tRegexFold, tAssign, tLParen:
		p.expected("`where`", "a condition needs a category before it: `any where condition`")
		return
	}
	what := "`where` after the event category"
	if ev.Category != "" {
		what += " `" + shorten(ev.Category) + "`"
	}
	p.expected(what, "")
}

// name returns the name of a tIdent or tQuoted token.
func (p *parser) name(t token) string {
	text := p.tokText(t)
	if t.kind != tQuoted {
		return text
	}
	if t.broken {
		return strings.TrimPrefix(text, "`")
	}
	return strings.ReplaceAll(text[1:len(text)-1], "``", "`")
}

// sequence parses what follows the keyword of a sequence, sample or join.
func (p *parser) sequence(q *Query) {
	p.sequenceHead(q)
	for {
		switch k := p.kind(); {
		case k == tLBrack || k == tMissing:
			if q.Until != nil {
				p.failAt(p.tok().span(), "", "the steps stand before `until`")
			}
			q.Stages = append(q.Stages, p.stage(q.Kind, false))
		case k == tUntil:
			p.until(q)
		case k == tWith && p.peek(1).kind == tMaxspan:
			if p.d != Kestrel {
				p.notIn(p.tok().span(), "write it before the first step",
					"`with maxspan` after the steps belongs", "kestrel dialect")
			}
			p.maxSpan(q)
		case k == tEOF || k == tPipe:
			if len(q.Stages) == 0 {
				p.expected("`[` to open a step", "")
			}
			return
		case p.looseWord("until"):
			p.lowerCase("until")
			p.toks[p.i].kind = tUntil
		default:
			p.expected("`[` to open a step", p.stepHint())
			p.next()
			p.skipTo(tLBrack, tMissing, tUntil, tPipe)
		}
	}
}

func (p *parser) stepHint() string {
	switch k := p.kind(); {
	case k == tBang:
		return "a missing event is `![`, without a space"
	case k == tMaxspan || p.looseWord("maxspan"):
		return "write `with maxspan=30s`"
	case k == tBy || k == tWith:
		return "`by` and `with` stand before the first step or directly after a `]`"
	case k == tComma || k == tAnd:
		return "steps follow each other without a separator"
	}
	return ""
}

func (p *parser) sequenceHead(q *Query) {
	for {
		switch {
		case p.looseWord("by"):
			p.lowerCase("by")
			p.toks[p.i].kind = tBy
		case p.looseWord("with"):
			p.lowerCase("with")
			p.toks[p.i].kind = tWith
		case p.kind() == tBy:
			at := p.tok().span()
			if q.MaxSpan != nil && p.d == Elastic {
				p.failAt(at, "write `by` first", "`by` stands before `with maxspan`")
			}
			if q.By != nil {
				p.failAt(at, "separate keys with commas", "this %s already has its `by` keys", q.Kind)
			}
			q.By = append(q.By, p.keys()...)
		case p.kind() == tWith:
			p.maxSpan(q)
		default:
			return
		}
	}
}

// keys parses by key, key.
func (p *parser) keys() []Expr {
	p.next()
	var keys []Expr
	for {
		start := p.start()
		key := p.additive()
		if isBad(key) {
			return keys
		}
		if _, ok := key.(*Field); !ok && p.d != Endgame {
			p.failAt(p.since(start), "", "a join key is a field, an expression is possible only in the endgame dialect")
		}
		keys = append(keys, key)
		if len(keys) > MaxListLen {
			p.tooLong()
		}
		if !p.accept(tComma) {
			return keys
		}
	}
}

func (p *parser) tooLong() {
	p.failAt(p.tok().span(), "split the list", "the list is too long here (max %d elements)", MaxListLen)
	p.halt()
}

// maxSpan parses with maxspan=30s.
func (p *parser) maxSpan(q *Query) {
	start := p.start()
	p.next()
	if !p.accept(tMaxspan) {
		if p.looseWord("maxspan") {
			p.lowerCase("maxspan")
			p.next()
		} else {
			p.expected("`maxspan` after `with`", "`with runs=N` follows the `]` of a step")
			p.next()
			p.skipTo(tLBrack, tMissing, tUntil, tPipe, tBy)
			return
		}
	}
	p.assign("maxspan", "`with maxspan=30s`")
	span := p.duration()
	if span == nil {
		return
	}
	span.Span = p.since(start)
	switch {
	case q.Kind != KindSequence:
		p.failAt(span.Span, "", "a %s has no `maxspan`, only a sequence has", q.Kind)
	case q.MaxSpan != nil:
		p.failAt(span.Span, "", "maxspan is given twice, first at %s", p.place(token{start: int32(q.MaxSpan.Start)}))
	default:
		q.MaxSpan = span
	}
}

func (p *parser) assign(word, example string) {
	if p.kind() == tEq {
		p.fail("write "+example, "expected `=` after `%s`, found `==`", word)
		p.next()
	} else if !p.accept(tAssign) {
		p.expected("`=` after `"+word+"`", "write "+example)
	}
}

// duration parses 30s. It returns nil when there is none or it does not fit.
func (p *parser) duration() *MaxSpan {
	const units = "units are ms, s, m, h and d"
	number := p.tok()
	start := p.start()
	if number.kind != tInt && number.kind != tFloat {
		p.expected("a duration such as 30s", units)
		switch number.kind {
		case tIdent, tString, tTrue, tFalse, tNull, tBad, tMinus:
			p.next()
			p.skipTo(tLBrack, tMissing, tUntil, tPipe, tBy)
		}
		return nil
	}
	p.next()
	unit := p.tok()
	if unit.kind != tIdent {
		p.failAt(number.span(), units, "duration %s has no unit", p.tokText(number))
		return nil
	}
	p.next()
	at := p.since(start)
	text := p.text[at.Start:at.End]
	size := unitOf(p.tokText(unit))
	if size == 0 {
		p.failAt(at, units, "duration `%s` has an unknown unit `%s`", shorten(text), shorten(p.tokText(unit)))
		return nil
	}
	if number.kind == tFloat {
		p.failAt(at, "use a smaller unit", "duration `%s` is not a whole number", shorten(text))
		return nil
	}
	value, err := strconv.ParseInt(p.tokText(number), 10, 64)
	if err != nil || value > int64(math.MaxInt64/size) {
		p.failAt(at, "", "duration `%s` is too long (max %dd)", shorten(text), math.MaxInt64/(24*time.Hour))
		return nil
	}
	return &MaxSpan{Value: value, Unit: p.tokText(unit)}
}

func (p *parser) until(q *Query) {
	at := p.tok().span()
	p.next()
	if k := p.kind(); k != tLBrack && k != tMissing {
		p.expected("`[` after `until`", "write `until [category where condition]`")
		return
	}
	stage := p.stage(q.Kind, true)
	switch {
	case q.Kind == KindSample:
		p.failAt(at, "", "a sample has no `until`")
	case q.Until != nil:
		p.failAt(at, "", "a %s has only one `until`", q.Kind)
	default:
		q.Until = stage
	}
}

// pipes parses | name args | name args.
func (p *parser) pipes(q *Query) {
	for p.kind() == tPipe {
		start := p.start()
		p.next()
		if p.kind() != tIdent {
			p.expected("the name of a pipe after `|`", "as in `| head 5`")
			p.skipTo(tPipe)
			continue
		}
		pipe := &Pipe{Name: p.word()}
		p.next()
		p.inPipe = true
		p.pipeArgs(pipe)
		p.inPipe = false
		pipe.Span = p.since(start)
		q.Pipes = append(q.Pipes, pipe)
		if p.kind() != tPipe && p.kind() != tEOF {
			p.expected("`|` or the end of the query", "")
			p.skipTo(tPipe)
		}
	}
}

func (p *parser) pipeArgs(pipe *Pipe) {
	for p.kind() != tPipe && p.kind() != tEOF {
		before := p.i
		if p.d == Endgame {
			// Arguments may stand side by side, so what follows one is no error.
			pipe.Args = append(pipe.Args, p.or())
		} else {
			pipe.Args = append(pipe.Args, p.expr())
		}
		if len(pipe.Args) > MaxListLen {
			p.tooLong()
		}
		if p.accept(tComma) {
			if p.kind() == tPipe || p.kind() == tEOF {
				p.expected("another argument after `,`", "")
			}
			continue
		}
		if p.d != Endgame || p.i == before || !p.startsOperand() {
			return
		}
	}
}
