package eql

import "strconv"

// stage parses [ event ] and what belongs to it.
func (p *parser) stage(form Kind, until bool) *Stage {
	open := p.tok()
	st := &Stage{Missing: open.kind == tMissing}
	if st.Missing {
		switch {
		case p.d == Endgame:
			p.notIn(open.span(), "", "missing events `![` belong", "kestrel and elastic dialects")
		case until:
			p.failAt(open.span(), "", "`until` takes an event, not a missing event")
		case form != KindSequence:
			p.failAt(open.span(), "", "a %s has no missing events, only a sequence has", form)
		}
	}
	st.Event = p.bracketed(open)
	p.stageSuffix(st, form, until)
	st.Span = p.since(int(open.start))
	return st
}

// bracketed parses from the opening bracket to the closing one. Without a
// closing bracket it stops before the next step.
func (p *parser) bracketed(open token) *Event {
	parens, pipe := p.parens, p.inPipe
	p.parens, p.inPipe = 0, false
	p.nested++
	p.next()
	ev := p.event()
	if !p.closeBracket(tRBrack, open) {
		p.skipTo(tRBrack, tLBrack, tMissing, tUntil, tPipe)
		p.accept(tRBrack)
	}
	p.nested--
	p.parens, p.inPipe = parens, pipe
	return ev
}

func (p *parser) stageSuffix(st *Stage, form Kind, until bool) {
	forked := false
	for {
		at := p.tok().span()
		switch {
		case p.kind() == tBy:
			if st.By != nil {
				p.failAt(at, "separate keys with commas", "this step already has its `by` keys")
			}
			if st.Runs != 0 && p.d == Elastic {
				p.failAt(at, "", "`by` stands before `with runs`")
			}
			st.By = append(st.By, p.keys()...)
		case p.kind() == tWith && p.peek(1).kind != tMaxspan:
			p.runs(st, form, until)
		case p.kind() == tAs || p.isWord("as"):
			p.alias(st, form, until)
		case p.isWord("fork"):
			p.fork(st, form, forked)
			forked = true
		default:
			return
		}
	}
}

// runs parses with runs=N.
func (p *parser) runs(st *Stage, form Kind, until bool) {
	start := p.start()
	p.next()
	if !p.isWord("runs") {
		if !p.looseWord("runs") {
			p.expected("`runs` or `maxspan` after `with`", "")
			p.next()
			p.skipTo(tLBrack, tMissing, tUntil, tPipe)
			return
		}
		p.lowerCase("runs")
	}
	p.next()
	p.assign("runs", "`with runs=3`")
	number := p.tok()
	if number.kind != tInt {
		p.expected("a whole number of runs", "")
		p.next()
		p.skipTo(tLBrack, tMissing, tUntil, tPipe)
		return
	}
	p.next()
	at := p.since(start)
	value, err := strconv.ParseInt(p.tokText(number), 10, 32)
	switch {
	case err != nil:
		p.failAt(number.span(), "", "number of runs %s is too large", shorten(p.tokText(number)))
	case value < 1:
		p.failAt(number.span(), "", "number of runs must be at least 1, found %d", value)
	case p.d == Endgame:
		p.notIn(at, "", "`with runs` belongs", "kestrel and elastic dialects")
	case form != KindSequence || until:
		p.failAt(at, "", "`with runs` belongs to a step of a sequence")
	case st.Runs != 0:
		p.failAt(at, "", "this step already has `with runs`")
	default:
		st.Runs = int(value)
	}
}

// alias parses as name.
func (p *parser) alias(st *Stage, form Kind, until bool) {
	start := p.start()
	p.next()
	if p.kind() != tIdent {
		p.expected("a name after `as`", "")
		return
	}
	name := p.word()
	p.next()
	at := p.since(start)
	switch {
	case p.d != Kestrel:
		p.notIn(at, "", "`[...] as name` belongs", "kestrel dialect")
	case form != KindSequence || until || st.Missing:
		p.failAt(at, "", "only a step that matches an event of a sequence can be named with `as`")
	case st.Name != "":
		p.failAt(at, "", "this step already has the name `%s`", shorten(st.Name))
	default:
		st.Name = name
	}
}

// fork parses fork, fork=true and fork=false.
func (p *parser) fork(st *Stage, form Kind, again bool) {
	start := p.start()
	p.next()
	value := true
	if p.accept(tAssign) || p.accept(tEq) {
		switch p.kind() {
		case tTrue:
		case tFalse:
			value = false
		default:
			p.expected("true or false after `fork=`", "")
			return
		}
		p.next()
	}
	at := p.since(start)
	switch {
	case p.d != Endgame:
		p.notIn(at, "", "`fork` belongs", "endgame dialect")
	case form != KindSequence:
		p.failAt(at, "", "`fork` belongs to a step of a sequence")
	case again:
		p.failAt(at, "", "this step already has `fork`")
	default:
		st.Fork = value
	}
}
