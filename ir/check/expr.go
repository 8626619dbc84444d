package check

import (
	"math"
	"math/big"
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
	case *eql.Bad:
		return never
	case *eql.Bool:
		if x.Value {
			return ir.Const{Value: ir.True}
		}
		return ir.Const{Value: ir.False}
	case *eql.Null:
		return ir.Const{Value: ir.Null}
	case *eql.Logical:
		args := make([]ir.Node, len(x.Args))
		for i, a := range x.Args {
			args[i] = c.boolean(a)
		}
		if x.Op == eql.And {
			return ir.And{Args: args}
		}
		return ir.Or{Args: args}
	case *eql.Not:
		return ir.Not{Arg: c.boolean(x.X)}
	case *eql.Compare:
		return c.compare(x)
	case *eql.Match:
		return c.match(x)
	case *eql.Call:
		return c.call(x)
	case *eql.Field:
		id, ok := c.field(x)
		if !ok {
			return ir.Const{Value: ir.Null}
		}
		if id.Kind() != event.KindBool {
			c.errorf(x.Span, "compare it with something", "%s is %s, not a condition", x.Path(), kindName(id.Kind()))
			return never
		}
		return ir.IntTest{Field: id, Cmp: ir.Eq, Value: 1}
	case *eql.Lineage:
		c.errorf(x.Span, "", "%s of is not supported by this version", x.Rel)
		return never
	}
	c.errorf(x.Range(), "", "a condition is expected here")
	return never
}

// isBoolean tells expressions whose value is a truth value, so that `(a == b) == true` is understood.
func isBoolean(x eql.Expr) bool {
	switch x := x.(type) {
	case *eql.Logical, *eql.Not, *eql.Compare, *eql.Match, *eql.Lineage, *eql.Bool:
		return true
	case *eql.Call:
		_, ok := tests[strings.ToLower(x.Name)]
		return ok
	}
	return false
}

// literal folds an expression of constants: a string, an int64, a float64, a bool or nil for null. ok is false when it
// is no constant.
func (c *checker) literal(x eql.Expr) (v any, ok bool) {
	switch x := x.(type) {
	case *eql.String:
		return x.Value, true
	case *eql.Bool:
		return x.Value, true
	case *eql.Null:
		return nil, true
	case *eql.Number:
		if x.IsInt {
			return x.Int, true
		}
		return x.Float, true
	case *eql.Unary:
		v, ok := c.literal(x.X)
		if !ok || x.Op == eql.Pos {
			return v, ok
		}
		return c.arithmetic(x.Span, eql.Sub, int64(0), v)
	case *eql.Arith:
		l, ok := c.literal(x.L)
		r, ok2 := c.literal(x.R)
		if !ok || !ok2 {
			return nil, false
		}
		return c.arithmetic(x.Span, x.Op, l, r)
	case *eql.Var:
		if values, ok := c.global(x); ok && len(values) == 1 {
			return values[0], true
		}
	}
	return nil, false
}

func (c *checker) arithmetic(at eql.Span, op eql.ArithOp, l, r any) (any, bool) {
	if isWrong(l) || isWrong(r) {
		return wrong{}, true
	}
	if l == nil || r == nil {
		return nil, true
	}
	a, aInt := l.(int64)
	b, bInt := r.(int64)
	if !aInt || !bInt {
		x, ok := number(l)
		y, ok2 := number(r)
		switch {
		case !ok || !ok2:
			c.errorf(at, "", "arithmetic takes numbers")
			return wrong{}, true
		case y == 0 && (op == eql.Div || op == eql.Mod):
			c.errorf(at, "", "division by zero")
			return wrong{}, true
		}
		return floatArithmetic(op, x, y), true
	}
	if b == 0 && (op == eql.Div || op == eql.Mod) {
		c.errorf(at, "", "division by zero")
		return wrong{}, true
	}
	v := new(big.Int)
	switch x, y := big.NewInt(a), big.NewInt(b); op {
	case eql.Add:
		v.Add(x, y)
	case eql.Sub:
		v.Sub(x, y)
	case eql.Mul:
		v.Mul(x, y)
	case eql.Div:
		v.Quo(x, y)
	case eql.Mod:
		v.Rem(x, y)
	}
	if !v.IsInt64() {
		c.errorf(at, "", "the value does not fit 64 bits")
		return wrong{}, true
	}
	return v.Int64(), true
}

// wrong stands for a constant that was reported as wrong.
type wrong struct{}

func isWrong(v any) bool {
	_, ok := v.(wrong)
	return ok
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func floatArithmetic(op eql.ArithOp, a, b float64) float64 {
	switch op {
	case eql.Add:
		return a + b
	case eql.Sub:
		return a - b
	case eql.Mul:
		return a * b
	case eql.Div:
		return a / b
	}
	return math.Mod(a, b)
}

func (c *checker) global(x *eql.Var) ([]any, bool) {
	if len(x.Parts) > 0 {
		c.errorf(x.Span, "", "$%s is a list of values and has no fields", x.Name)
		return nil, false
	}
	values, ok := c.globals[x.Name]
	if !ok {
		var names []string
		for n := range c.globals {
			names = append(names, n)
		}
		hint := DidYouMean(x.Name, names)
		if hint == "" {
			hint = "define it under globals in manifest.yaml"
		}
		c.errorf(x.Span, hint, "unknown global $%s", x.Name)
		return nil, false
	}
	return values, true
}

var compareOps = [...]ir.Cmp{eql.Eq: ir.Eq, eql.Ne: ir.Ne, eql.Lt: ir.Lt, eql.Le: ir.Le, eql.Gt: ir.Gt, eql.Ge: ir.Ge}

// mirrored is the comparison with its sides exchanged.
var mirrored = [...]ir.Cmp{ir.Eq: ir.Eq, ir.Ne: ir.Ne, ir.Lt: ir.Gt, ir.Le: ir.Ge, ir.Gt: ir.Lt, ir.Ge: ir.Le}

func (c *checker) compare(x *eql.Compare) ir.Node {
	op := compareOps[x.Op]
	if isBoolean(x.L) && isBoolean(x.R) {
		return c.compareTruth(x, op)
	}
	l, lConst := c.literal(x.L)
	r, rConst := c.literal(x.R)
	if isWrong(l) || isWrong(r) {
		return never
	}
	if lConst && rConst {
		return c.compareConst(x, op, l, r)
	}
	lf, lField := x.L.(*eql.Field)
	rf, rField := x.R.(*eql.Field)
	switch {
	case lField && rField:
		return c.compareFields(x, op, lf, rf)
	case lField && rConst:
		return c.compareField(x.Span, lf, op, r)
	case rField && lConst:
		return c.compareField(x.Span, rf, mirrored[op], l)
	}
	for _, side := range []eql.Expr{x.L, x.R} {
		if _, ok := c.literal(side); ok {
			continue
		}
		if _, ok := side.(*eql.Field); ok {
			continue
		}
		c.operand(side)
	}
	return never
}

// operand reports an operand that this version cannot evaluate, by what it is.
func (c *checker) operand(x eql.Expr) {
	switch x := x.(type) {
	case *eql.Bad:
	case *eql.Var:
		if values, ok := c.global(x); ok {
			c.errorf(x.Span, "write in $"+x.Name, "$%s has %d values and is compared with one", x.Name, len(values))
		}
	case *eql.Call:
		c.errorf(x.Span, "", "function %s is not supported here by this version", x.Name)
	case *eql.Arith, *eql.Unary:
		c.errorf(x.Range(), "", "arithmetic on fields is not supported by this version")
	default:
		c.errorf(x.Range(), "", "a field or a value is expected here")
	}
}

// compareTruth lowers == and != between truth values: only with a constant.
func (c *checker) compareTruth(x *eql.Compare, op ir.Cmp) ir.Node {
	cond, k := x.L, x.R
	if _, ok := k.(*eql.Bool); !ok {
		cond, k = x.R, x.L
	}
	b, ok := k.(*eql.Bool)
	if !ok || op != ir.Eq && op != ir.Ne {
		c.errorf(x.Span, "use and, or and not", "conditions cannot be compared with each other")
		return never
	}
	n := c.boolean(cond)
	if b.Value != (op == ir.Eq) {
		return ir.Not{Arg: n}
	}
	return n
}

func (c *checker) compareConst(x *eql.Compare, op ir.Cmp, l, r any) ir.Node {
	if l == nil || r == nil {
		// null == null is true in a null test, as for fields.
		if op == ir.Eq || op == ir.Ne {
			return truth((l == nil && r == nil) == (op == ir.Eq))
		}
		return ir.Const{Value: ir.Null}
	}
	if a, ok := number(l); ok {
		if b, ok := number(r); ok {
			ai, aInt := l.(int64)
			bi, bInt := r.(int64)
			if aInt && bInt {
				return truth(ordered(op, compareValue(ai, bi)))
			}
			return truth(ordered(op, compareValue(a, b)))
		}
	}
	if a, ok := l.(string); ok {
		if b, ok := r.(string); ok {
			return truth(ordered(op, strings.Compare(a, b)))
		}
	}
	c.errorf(x.Span, "", "values of different types are compared")
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

func (c *checker) compareFields(x *eql.Compare, op ir.Cmp, l, r *eql.Field) ir.Node {
	a, ok := c.field(l)
	b, ok2 := c.field(r)
	if !ok || !ok2 {
		return ir.Const{Value: ir.Null}
	}
	if c.dialect == eql.Elastic {
		c.errorf(x.Span, "", "the elastic dialect does not compare a field with a field")
		return never
	}
	ka, kb := a.Kind(), b.Kind()
	if !comparable(ka, kb) {
		c.errorf(x.Span, "", "%s is %s and %s %s", l.Path(), kindName(ka), r.Path(), kindName(kb))
		return never
	}
	if ka == event.KindStrings && kb == event.KindStrings {
		c.errorf(x.Span, "", "%s and %s have several values each and cannot be compared", l.Path(), r.Path())
		return never
	}
	if !ka.IsNumber() && op != ir.Eq && op != ir.Ne {
		c.errorf(x.Span, "", "text fields can only be compared with == and !=")
		return never
	}
	return ir.FieldTest{Left: a, Right: b, Cmp: op}
}
