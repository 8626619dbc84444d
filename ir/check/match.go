package check

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
)

// match lowers the operators that take a list: true when any value matches.
func (c *checker) match(x *eql.Match) ir.Node {
	o := c.operand(x.X)
	values := c.values(x)
	switch {
	case o.typ == typWrong:
		return never
	case o.typ == typNull:
		return ir.Const{Value: ir.Null}
	}
	m := matcher{c: c, op: x, o: &o}
	for i := range values {
		m.one(&values[i])
	}
	return m.node()
}

// values lowers a list. What stands in it twice is told, unless a global before it holds it too, and kept once.
func (c *checker) values(x *eql.Match) []operand {
	var out []operand
	seen := make(map[string]bool)
	global := false
	for _, e := range x.Values {
		if v, ok := e.(*eql.Var); ok {
			global = true
			list, _ := c.global(v)
			for _, g := range list {
				if name := valueName(x, g); !seen[name] {
					seen[name] = true
					out = append(out, literal(v, g))
				}
			}
			continue
		}
		o := c.operand(e)
		if o.lit {
			name := valueName(x, o.value())
			if seen[name] && !global {
				at := e.Range()
				c.warnf(at, "", "%s stands in the list twice", shorten(c.src.Text[at.Start:at.End]))
			}
			if seen[name] {
				continue
			}
			seen[name] = true
		}
		if o.typ != typWrong {
			out = append(out, o)
		}
	}
	return out
}

// valueName tells values of a list apart as the operator does.
func valueName(x *eql.Match, v any) string {
	switch v := v.(type) {
	case string:
		if x.Fold || x.Op == eql.Seq {
			return `"` + asciiLower(v)
		}
		return `"` + v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, ch := range b {
		if 'A' <= ch && ch <= 'Z' {
			b[i] = ch + 'a' - 'A'
		}
	}
	return string(b)
}

// matcher makes one node per way of testing out of the values: strings, numbers, addresses.
type matcher struct {
	c        *checker
	op       *eql.Match
	o        *operand
	patterns []ir.Pattern
	ints     []int64
	prefixes []netip.Prefix
	rest     []ir.Node
}

func (m *matcher) one(v *operand) {
	switch {
	case v.typ == typNull:
		m.rest = append(m.rest, ir.Const{Value: ir.Null})
	case !v.lit:
		m.rest = append(m.rest, m.computed(v))
	case m.o.lit:
		m.rest = append(m.rest, m.constant(v))
	case m.o.own:
		m.keep(m.atom(v))
	case m.o.typ == typBool:
		m.rest = append(m.rest, m.value(v)) // may be a test of any field
	default:
		m.keep(m.value(v))
	}
}

// keep collects tests that one node can do together.
func (m *matcher) keep(n ir.Node) {
	switch n := n.(type) {
	case ir.StringTest:
		m.patterns = append(m.patterns, n.Patterns...)
		return
	case ir.IntTest:
		if n.Cmp == ir.Eq {
			m.ints = append(m.ints, n.Value)
			return
		}
	case ir.IPIn:
		m.prefixes = append(m.prefixes, n.Prefixes...)
		return
	case ir.Test:
		switch x := n.X.(type) {
		case ir.Match:
			m.patterns = append(m.patterns, x.Patterns...)
			return
		case ir.InNet:
			m.prefixes = append(m.prefixes, x.Prefixes...)
			return
		}
	}
	m.rest = append(m.rest, n)
}

// node is the disjunction of what was collected.
func (m *matcher) node() ir.Node {
	o, out := m.o, m.rest
	if len(m.patterns) > 0 {
		out = append(out, m.c.textTest(m.op.Span, o, m.patterns...))
	}
	switch {
	case len(m.ints) == 1:
		out = append(out, ir.IntTest{Field: o.field, Cmp: ir.Eq, Value: m.ints[0]})
	case len(m.ints) > 1:
		out = append(out, ir.IntIn{Field: o.field, Values: m.ints})
	}
	if len(m.prefixes) > 0 {
		out = append(out, m.c.netTest(m.op.Span, o, m.prefixes))
	}
	if len(out) == 1 {
		return out[0]
	}
	return ir.Or{Args: out}
}

// textTest tests the text of an operand, as an atom where that is possible.
func (c *checker) textTest(at eql.Span, o *operand, patterns ...ir.Pattern) ir.Node {
	if o.ownText {
		return ir.StringTest{Field: o.field, Patterns: patterns}
	}
	x, _ := c.text(o)
	return c.computed(at, ir.Match{X: x, Patterns: patterns})
}

// netTest tests an address.
func (c *checker) netTest(at eql.Span, o *operand, prefixes []netip.Prefix) ir.Node {
	if o.own && o.typ == typIP {
		return ir.IPIn{Field: o.field, Prefixes: prefixes}
	}
	x, _ := c.text(o)
	return c.computed(at, ir.InNet{X: x, Prefixes: prefixes})
}

// atom tests a field of the event against one constant.
func (m *matcher) atom(v *operand) ir.Node {
	c, x, at := m.c, m.op, v.src.Range()
	switch x.Op {
	case eql.In:
		if s, ok := v.value().(string); ok && c.dialect != eql.Kestrel && m.o.typ == typText {
			c.star(at, s)
		}
		return c.equal(at, m.o, v.value(), c.dialect == eql.Kestrel, x.Fold)
	case eql.Seq:
		return c.equal(at, m.o, v.value(), true, true)
	}
	return m.pattern(v)
}

// value tests a computed value against one constant.
func (m *matcher) value(v *operand) ir.Node {
	c, x, at := m.c, m.op, v.src.Range()
	if x.Op != eql.In && x.Op != eql.Seq {
		return m.pattern(v)
	}
	s, isText := v.value().(string)
	glob := x.Op == eql.Seq || c.dialect == eql.Kestrel
	switch {
	case isText && glob && strings.ContainsAny(s, "*?"):
		return c.pattern(at, m.o, ir.Pattern{Kind: ir.Wildcard, Text: s, Fold: x.Fold || x.Op == eql.Seq})
	case isText && m.o.typ == typText:
		if !glob {
			c.star(at, s)
		}
		return c.pattern(at, m.o, ir.Pattern{Kind: ir.Exact, Text: s, Fold: x.Fold || x.Op == eql.Seq})
	}
	return c.compareComputed(at, m.o, ir.Eq, v)
}

// pattern lowers the operators that take text only. On an array each tests the elements: `process.args contains "x"` is
// true when x is a part of some argument.
func (m *matcher) pattern(v *operand) ir.Node {
	at := v.src.Range()
	s, ok := v.value().(string)
	if !ok {
		m.c.errorf(at, "put it in quotes", "%s takes text", m.op.Op)
		return never
	}
	return m.c.pattern(at, m.o, ir.Pattern{Kind: patternKinds[m.op.Op], Text: s, Fold: m.op.Fold})
}

// patternKinds are the operators that compare text.
var patternKinds = [...]ir.PatternKind{eql.Like: ir.Wildcard, eql.Regex: ir.Regex, eql.Contains: ir.Contains,
	eql.StartsWith: ir.Prefix, eql.EndsWith: ir.Suffix}

// pattern lowers a text test of an operand.
func (c *checker) pattern(at eql.Span, o *operand, p ir.Pattern) ir.Node {
	if p.Kind == ir.Regex && !c.regex(at, p) {
		return never
	}
	if _, ok := c.text(o); !ok {
		hint := ""
		if o.typ.isNumber() || o.typ == typIP {
			hint = "string(..) makes text of it"
		}
		c.errorf(at, hint, "%s, not text", c.is(o))
		return never
	}
	return c.textTest(at, o, p)
}

func (c *checker) regex(at eql.Span, p ir.Pattern) bool {
	err := build.CheckRegex(p.Text, p.Fold)
	if err != nil {
		c.errorf(at, "", "regular expression %q: %v", shorten(p.Text), err)
	}
	return err == nil
}

// textFns are the operators that take a computed value on the right as well.
var textFns = map[eql.MatchOp]ir.Fn{eql.Contains: ir.FnStringContains, eql.StartsWith: ir.FnStartsWith,
	eql.EndsWith: ir.FnEndsWith}

// computed lowers a match with one value that is no constant.
func (m *matcher) computed(v *operand) ir.Node {
	c, at := m.c, v.src.Range()
	if c.dialect == eql.Elastic {
		c.errorf(at, "", "a list holds constants in the elastic dialect")
		return never
	}
	if m.op.Op == eql.In && !m.op.Fold {
		return c.compareComputed(at, m.o, ir.Eq, v)
	}
	left, ok := c.text(m.o)
	right, ok2 := c.text(v)
	fn, known := textFns[m.op.Op]
	switch {
	case !known:
		c.errorf(at, "", "%s takes constants", c.src.Text[m.op.OpSpan.Start:m.op.OpSpan.End])
	case !ok:
		c.errorf(m.o.src.Range(), "", "%s, not text", c.is(m.o))
	case !ok2:
		c.errorf(at, "", "%s, not text", c.is(v))
	default:
		return c.computed(at, ir.Op{Fn: fn, Fold: m.op.Fold, Args: []ir.Expr{left, right}})
	}
	return never
}

// constant folds a match of two constants.
func (m *matcher) constant(v *operand) ir.Node {
	c, at, l := m.c, v.src.Range(), m.o.value()
	text, isText := l.(string)
	pattern, isPattern := v.value().(string)
	if isText && isPattern {
		return truth(m.matches(at, text, pattern))
	}
	if m.op.Op != eql.In && m.op.Op != eql.Seq {
		c.errorf(at, "", "%s takes text", m.op.Op)
		return never
	}
	a, aNumber := ir.Number(l)
	b, bNumber := ir.Number(v.value())
	if aNumber && bNumber {
		return truth(a == b)
	}
	return truth(l == v.value())
}

func (m *matcher) matches(at eql.Span, text, pattern string) bool {
	p := ir.Pattern{Text: pattern, Fold: m.op.Fold}
	switch m.op.Op {
	case eql.In:
		if m.c.dialect == eql.Kestrel {
			p.Kind = ir.Wildcard
		}
	case eql.Seq:
		p.Kind, p.Fold = ir.Wildcard, true
	default:
		p.Kind = patternKinds[m.op.Op]
	}
	if p.Kind == ir.Regex && !m.c.regex(at, p) {
		return false
	}
	return build.Match(build.Pattern{Kind: build.Kind(p.Kind), Text: p.Text, Fold: p.Fold}, build.Options{}, []byte(text))
}
