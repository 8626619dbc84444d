package check

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// never stands for a condition that was reported as wrong: it adds no further errors.
var never = ir.Const{Value: ir.False}

// boolean lowers an expression whose value is a truth value.
func (c *checker) boolean(x eql.Expr) ir.Node {
	switch x := x.(type) {
	case *eql.Logical:
		return c.logical(x)
	case *eql.Not:
		return ir.Not{Arg: c.boolean(x.X)}
	case *eql.Var:
		// Its values are strings and integers, however many.
		c.global(x)
		c.errorf(x.Span, "", "a condition is expected here")
		return never
	}
	o := c.operand(x)
	switch {
	case o.typ == typBool:
		return o.cond
	case o.typ == typNull:
		return ir.Const{Value: ir.Null}
	case o.typ == typWrong:
	case o.lit:
		c.errorf(x.Range(), "", "a condition is expected here")
	default:
		c.errorf(x.Range(), "compare it with something", "%s, not a condition", c.is(&o))
	}
	return never
}

func (c *checker) logical(x *eql.Logical) ir.Node {
	args := make([]ir.Node, len(x.Args))
	for i, a := range x.Args {
		args[i] = c.boolean(a)
	}
	if x.Op == eql.And {
		return ir.And{Args: args}
	}
	return ir.Or{Args: args}
}

var compareOps = [...]ir.Cmp{eql.Eq: ir.Eq, eql.Ne: ir.Ne, eql.Lt: ir.Lt, eql.Le: ir.Le, eql.Gt: ir.Gt, eql.Ge: ir.Ge}

// mirrored is the comparison with its sides exchanged.
var mirrored = [...]ir.Cmp{ir.Eq: ir.Eq, ir.Ne: ir.Ne, ir.Lt: ir.Gt, ir.Le: ir.Ge, ir.Gt: ir.Lt, ir.Ge: ir.Le}

var compareFns = [...]ir.Fn{ir.Eq: ir.FnEq, ir.Ne: ir.FnNe, ir.Lt: ir.FnLt, ir.Le: ir.FnLe, ir.Gt: ir.FnGt, ir.Ge: ir.FnGe}

func (c *checker) compare(x *eql.Compare) ir.Node {
	op := compareOps[x.Op]
	l, r := c.operand(x.L), c.operand(x.R)
	switch {
	case l.typ == typWrong || r.typ == typWrong:
		return never
	case r.isNull():
		return c.nullTest(x.Span, &l, op)
	case l.isNull():
		return c.nullTest(x.Span, &r, op)
	case l.typ == typNull || r.typ == typNull:
		return ir.Const{Value: ir.Null}
	case l.lit && r.lit:
		return c.compareConst(x.Span, op, &l, &r)
	case l.own && r.lit:
		return c.compareField(x.Span, &l, op, r.value())
	case r.own && l.lit:
		return c.compareField(x.Span, &r, mirrored[op], l.value())
	}
	return c.compareComputed(x.Span, &l, op, &r)
}

// nullTest lowers o == null and its like.
func (c *checker) nullTest(at eql.Span, o *operand, op ir.Cmp) ir.Node {
	if op != ir.Eq && op != ir.Ne {
		c.warnf(at, "use == null or != null", "an order with null is null")
		return ir.Const{Value: ir.Null}
	}
	if o.lit {
		return truth((o.typ == typNull) == (op == ir.Eq))
	}
	if o.own {
		if op == ir.Eq {
			return ir.Not{Arg: ir.Present{Field: o.field}}
		}
		return ir.Present{Field: o.field}
	}
	n := c.compute(at, ir.IsNull{X: o.x})
	if op == ir.Eq {
		return n
	}
	return ir.Not{Arg: n}
}

func (c *checker) compareConst(at eql.Span, op ir.Cmp, l, r *operand) ir.Node {
	a, aNumber := ir.Number(l.value())
	b, bNumber := ir.Number(r.value())
	switch {
	case aNumber && bNumber:
		ai, aInt := l.value().(int64)
		bi, bInt := r.value().(int64)
		if aInt && bInt {
			return truth(ordered(op, compareValue(ai, bi)))
		}
		return truth(ordered(op, compareValue(a, b)))
	case l.typ == typText && r.typ == typText:
		return truth(ordered(op, strings.Compare(l.value().(string), r.value().(string))))
	case l.typ == typBool && r.typ == typBool && (op == ir.Eq || op == ir.Ne):
		return truth((l.value() == r.value()) == (op == ir.Eq))
	}
	c.errorf(at, "", "values of different types are compared")
	return never
}

func compareValue[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(op ir.Cmp, order int) bool {
	switch op {
	case ir.Eq:
		return order == 0
	case ir.Ne:
		return order != 0
	case ir.Lt:
		return order < 0
	case ir.Le:
		return order <= 0
	case ir.Gt:
		return order > 0
	}
	return order >= 0
}

func truth(b bool) ir.Node {
	if b {
		return ir.Const{Value: ir.True}
	}
	return ir.Const{Value: ir.False}
}

// compareComputed lowers a comparison that is no test of a field against a constant.
func (c *checker) compareComputed(at eql.Span, l *operand, op ir.Cmp, r *operand) ir.Node {
	if l.lit {
		l, r, op = r, l, mirrored[op]
	}
	if c.dialect == eql.Elastic && !r.lit {
		c.errorf(at, "", "the elastic dialect compares with constants only")
		return never
	}
	equality := op == ir.Eq || op == ir.Ne
	if !equality {
		for _, o := range []*operand{l, r} {
			if o.typ == typBool || o.typ == typIP || o.typ == typEntity {
				c.errorf(at, "", "%s and has no order", c.is(o))
				return never
			}
		}
	}
	if l.typ == typBool && r.typ == typBool && r.lit {
		if r.value().(bool) != (op == ir.Eq) {
			return ir.Not{Arg: l.cond}
		}
		return l.cond
	}
	if l.own && r.own && fieldsCompare(l.field.Kind(), op, r.field.Kind()) {
		return ir.FieldTest{Left: l.field, Right: r.field, Cmp: op}
	}
	if r.lit && r.typ == typText && equality {
		n := c.equalText(at, l, r.value().(string))
		if op == ir.Ne {
			return ir.Not{Arg: n}
		}
		return n
	}
	a, b, ok := c.alike(l, r)
	if !ok && r.lit {
		c.mismatch(at, l, r.value())
		return never
	}
	if !ok {
		c.errorf(at, "", "%s, %s: they cannot be compared", c.is(l), c.is(r))
		return never
	}
	return c.relation(at, a, op, b)
}

// fieldsCompare tells the kinds of fields that one instruction of a predicate compares. For two arrays it would have to go
// through all pairs of their elements, which is bounded for computed values only.
func fieldsCompare(a event.Kind, op ir.Cmp, b event.Kind) bool {
	equality := op == ir.Eq || op == ir.Ne
	return comparable(a, b) && (equality || a.IsNumber()) && (a != event.KindStrings || b != event.KindStrings)
}

// relation applies a comparison. That nothing is equal is the negation of that something is, also for arrays.
func (c *checker) relation(at eql.Span, a ir.Expr, op ir.Cmp, b ir.Expr) ir.Node {
	if op == ir.Ne {
		return ir.Not{Arg: c.computed(at, ir.Op{Fn: ir.FnEq, Args: []ir.Expr{a, b}})}
	}
	return c.computed(at, ir.Op{Fn: compareFns[op], Args: []ir.Expr{a, b}})
}

// alike gives two operands as values of one type: both numbers, both texts or both conditions.
func (c *checker) alike(l, r *operand) (a, b ir.Expr, ok bool) {
	switch {
	case l.typ == typBool && r.typ == typBool, l.typ.isNumber() && r.typ.isNumber():
		return l.x, r.x, true
	case l.typ == typTime && r.lit && r.typ == typText:
		ns, ok := integer(event.KindTime, r.value())
		return l.x, ir.Lit{Value: millis(ns)}, ok
	case l.typ == typID && r.lit && r.typ == typText:
		n, ok := integer(event.KindID, r.value())
		return l.x, ir.Lit{Value: n}, ok
	case l.typ.isText() && r.typ.isText():
		a, _ = c.text(l)
		b, _ = c.text(r)
		return a, b, true
	}
	return nil, nil, false
}

// millis is a time as a value: whole milliseconds as long as nothing is lost.
func millis(ns int64) any {
	const perMilli = 1e6
	if ns%perMilli == 0 {
		return ns / perMilli
	}
	return float64(ns) / perMilli
}

// equalText lowers equality with a constant text.
func (c *checker) equalText(at eql.Span, o *operand, s string) ir.Node {
	switch o.typ {
	case typText:
		c.star(at, s)
		if o.ownText {
			return ir.StringTest{Field: o.field, Patterns: []ir.Pattern{{Kind: ir.Exact, Text: s}}}
		}
	case typIP:
		if p, err := prefix(s); err == nil {
			return c.computed(at, ir.InNet{X: o.x, Prefixes: []netip.Prefix{p}})
		}
		c.errorf(at, "", "%q is neither an address nor a network", s)
		return never
	case typEntity:
		n, ok := integer(event.KindEntity, s)
		if !ok {
			c.mismatch(at, o, s)
			return never
		}
		s = "0x" + strconv.FormatUint(uint64(n), 16)
	case typID:
		if n, ok := integer(event.KindID, s); ok {
			return c.relation(at, o.x, ir.Eq, ir.Lit{Value: n})
		}
	case typTime:
		ns, ok := integer(event.KindTime, s)
		if !ok {
			c.mismatch(at, o, s)
			return never
		}
		return c.relation(at, o.x, ir.Eq, ir.Lit{Value: millis(ns)})
	default:
		c.mismatch(at, o, s)
		return never
	}
	x, _ := c.text(o)
	return c.relation(at, x, ir.Eq, ir.Lit{Value: s})
}

// mismatch reports a constant that an operand cannot be compared with.
func (c *checker) mismatch(at eql.Span, o *operand, v any) ir.Node {
	what, hint := "a number", ""
	switch v := v.(type) {
	case string:
		what = strconv.Quote(shorten(v))
		if _, err := strconv.ParseInt(v, 10, 64); err == nil && o.typ.isNumber() {
			hint = "leave the quotes out"
		}
	case bool:
		what = strconv.FormatBool(v)
	case int64:
		if o.typ.isText() {
			hint = "put it in quotes"
		}
	}
	c.errorf(at, hint, "%s and cannot be compared with %s", c.is(o), what)
	return never
}

// star warns of a text that looks like a pattern where every letter stands for itself.
func (c *checker) star(at eql.Span, s string) {
	if !strings.Contains(s, "*") {
		return
	}
	hint := "write `:` or `like` for a pattern"
	if c.dialect == eql.Kestrel {
		hint = "write `:`, `like` or `in (..)` for a pattern"
	}
	c.warnf(at, hint, "`*` stands for itself here")
}
