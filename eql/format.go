package eql

import (
	"strconv"
	"strings"
)

// Format prints a tree in canonical form: single spaces, no redundant
// parentheses, keys and windows before the steps. Parsing the result in the
// same dialect gives an equal tree apart from the spans, provided that the tree
// came from that dialect.
func Format(n Node, d Dialect) string {
	f := &printer{d: d}
	f.node(n)
	return f.b.String()
}

// String prints the query in its own dialect.
func (q *Query) String() string { return Format(q, q.Dialect) }

// ExprString prints an expression in the Kestrel dialect.
func ExprString(x Expr) string { return Format(x, Kestrel) }

// Binding strengths, loosest first; see the grammar in parse_expr.go.
const (
	bindOr = iota
	bindAnd
	bindNot
	bindCompare
	bindAdd
	bindMul
	bindUnary
	bindMatch
	bindPrimary
)

type printer struct {
	b strings.Builder
	d Dialect
}

func (f *printer) node(n Node) {
	switch n := n.(type) {
	case *Query:
		f.query(n)
	case *MaxSpan:
		f.b.WriteString("with maxspan=")
		f.b.WriteString(strconv.FormatInt(n.Value, 10))
		f.b.WriteString(n.Unit)
	case *Stage:
		f.stage(n)
	case *Event:
		f.event(n)
	case *Pipe:
		f.pipe(n)
	case Expr:
		f.expr(n, bindOr)
	}
}

func (f *printer) query(q *Query) {
	if q.Kind == KindEvent {
		for _, st := range q.Stages {
			f.event(st.Event)
		}
	} else {
		f.b.WriteString(q.Kind.String())
		f.by(q.By)
		if q.MaxSpan != nil {
			f.b.WriteByte(' ')
			f.node(q.MaxSpan)
		}
		for _, st := range q.Stages {
			f.b.WriteString("\n  ")
			f.stage(st)
		}
		if q.Until != nil {
			f.b.WriteString("\nuntil ")
			f.stage(q.Until)
		}
	}
	for _, pipe := range q.Pipes {
		f.b.WriteByte('\n')
		f.pipe(pipe)
	}
}

func (f *printer) by(keys []Expr) {
	for i, key := range keys {
		if i == 0 {
			f.b.WriteString(" by ")
		} else {
			f.b.WriteString(", ")
		}
		f.expr(key, bindAdd)
	}
}

func (f *printer) stage(st *Stage) {
	if st.Missing {
		f.b.WriteByte('!')
	}
	f.b.WriteByte('[')
	f.event(st.Event)
	f.b.WriteByte(']')
	if st.Name != "" {
		f.b.WriteString(" as ")
		f.b.WriteString(st.Name)
	}
	if st.Fork {
		f.b.WriteString(" fork")
	}
	f.by(st.By)
	if st.Runs != 0 {
		f.b.WriteString(" with runs=")
		f.b.WriteString(strconv.Itoa(st.Runs))
	}
}

func (f *printer) event(ev *Event) {
	switch {
	case ev.Any:
		f.b.WriteString("any")
	case isPlainName(ev.Category, f.d):
		f.b.WriteString(ev.Category)
	case f.d == Endgame:
		f.name(ev.Category)
	default:
		quoteString(&f.b, ev.Category)
	}
	f.b.WriteString(" where ")
	f.expr(ev.Where, bindOr)
}

func (f *printer) pipe(pipe *Pipe) {
	f.b.WriteString("| ")
	f.b.WriteString(pipe.Name)
	if len(pipe.Args) > 0 {
		f.b.WriteByte(' ')
		f.list(pipe.Args)
	}
}

func (f *printer) list(list []Expr) {
	for i, x := range list {
		if i > 0 {
			f.b.WriteString(", ")
		}
		f.expr(x, bindOr)
	}
}

func (f *printer) name(s string) {
	if isPlainName(s, f.d) {
		f.b.WriteString(s)
		return
	}
	f.b.WriteByte('`')
	f.b.WriteString(strings.ReplaceAll(s, "`", "``"))
	f.b.WriteByte('`')
}

func (f *printer) parts(list []Part, dot bool) {
	for _, part := range list {
		if part.IsIndex {
			f.b.WriteByte('[')
			f.b.WriteString(strconv.Itoa(part.Index))
			f.b.WriteByte(']')
			continue
		}
		if dot {
			f.b.WriteByte('.')
		}
		f.name(part.Name)
		dot = true
	}
}

// bindOf returns how tightly the printed form of x holds together.
func bindOf(x Expr) int {
	switch x := x.(type) {
	case *Logical:
		if x.Op == Or {
			return bindOr
		}
		return bindAnd
	case *Not:
		if m, ok := x.X.(*Match); ok && m.Op == In {
			return bindMatch // x not in (..)
		}
		return bindNot
	case *Lineage:
		return bindNot
	case *Compare:
		return bindCompare
	case *Arith:
		if x.Op == Add || x.Op == Sub {
			return bindAdd
		}
		return bindMul
	case *Unary:
		return bindUnary
	case *Number:
		if x.negative() {
			return bindUnary
		}
	case *Match:
		return bindMatch
	}
	return bindPrimary
}

// expr prints x, in parentheses when it binds less tightly than the place asks.
func (f *printer) expr(x Expr, least int) {
	if bindOf(x) < least {
		f.b.WriteByte('(')
		f.expr(x, bindOr)
		f.b.WriteByte(')')
		return
	}
	switch x := x.(type) {
	case *Bad:
		f.b.WriteString("<error>")
	case *Null:
		f.b.WriteString("null")
	case *Bool:
		f.b.WriteString(strconv.FormatBool(x.Value))
	case *Number:
		f.b.WriteString(x.text())
	case *String:
		f.str(x)
	case *Field:
		if x.Optional {
			f.b.WriteByte('?')
		}
		f.parts(x.Parts, false)
	case *Var:
		f.b.WriteByte('$')
		f.b.WriteString(x.Name)
		f.parts(x.Parts, true)
	case *Call:
		f.b.WriteString(x.Name)
		if x.Fold {
			f.b.WriteByte('~')
		}
		f.b.WriteByte('(')
		f.list(x.Args)
		f.b.WriteByte(')')
	case *Unary:
		f.b.WriteString(x.Op.String())
		f.expr(x.X, bindUnary)
	case *Arith:
		level := bindOf(x)
		f.binary(x.L, level, x.Op.String(), x.R, level+1)
	case *Compare:
		f.binary(x.L, bindAdd, x.Op.String(), x.R, bindAdd)
	case *Match:
		f.match(x, false)
	case *Not:
		f.not(x)
	case *Logical:
		f.logical(x)
	case *Lineage:
		f.b.WriteString(x.Rel.String())
		f.b.WriteString(" of [")
		f.event(x.Event)
		f.b.WriteByte(']')
	}
}

func (f *printer) str(s *String) {
	if s.Raw {
		if raw, ok := rawForm(s.Value, f.d); ok {
			f.b.WriteString(raw)
			return
		}
	}
	quoteString(&f.b, s.Value)
}

func (f *printer) binary(l Expr, lLeast int, op string, r Expr, rLeast int) {
	f.expr(l, lLeast)
	f.b.WriteByte(' ')
	f.b.WriteString(op)
	f.b.WriteByte(' ')
	f.expr(r, rLeast)
}

func (f *printer) not(x *Not) {
	if m, ok := x.X.(*Match); ok && m.Op == In {
		f.match(m, true)
		return
	}
	f.b.WriteString("not ")
	f.expr(x.X, bindNot)
}

func (f *printer) logical(x *Logical) {
	least := bindAnd
	if x.Op == And {
		least = bindNot
	}
	for i, arg := range x.Args {
		if i > 0 {
			f.b.WriteByte(' ')
			f.b.WriteString(x.Op.String())
			f.b.WriteByte(' ')
		}
		f.expr(arg, least)
	}
}

func (f *printer) match(m *Match, negated bool) {
	f.expr(m.X, bindPrimary)
	if negated {
		f.b.WriteString(" not")
	}
	f.b.WriteByte(' ')
	f.b.WriteString(m.Op.String())
	if m.Fold {
		f.b.WriteByte('~')
	}
	f.b.WriteByte(' ')
	if len(m.Values) == 1 {
		v := m.Values[0]
		_, isVar := v.(*Var)
		if isVar || m.Op != In && bindOf(v) == bindPrimary {
			f.expr(v, bindPrimary)
			return
		}
	}
	f.b.WriteByte('(')
	f.list(m.Values)
	f.b.WriteByte(')')
}
