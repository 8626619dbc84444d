package expr

import (
	"fmt"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

var null = constant{}

// expr compiles any expression. What was reported as wrong becomes null, so that it adds no further errors.
func (c *Compiler) expr(x eql.Expr) (node, typ) {
	switch x := x.(type) {
	case *eql.Bad, *eql.Null:
		return null, nullType
	case *eql.Bool:
		return constant{value.Bool(x.Value)}, boolType
	case *eql.Number:
		return constant{numberValue(x)}, numberType
	case *eql.String:
		return constant{value.String(x.Value)}, stringType
	case *eql.Field:
		return c.field(x)
	case *eql.Var:
		return c.variable(x)
	case *eql.Call:
		return c.call(x)
	case *eql.Unary:
		n, t := c.expr(x.X)
		c.arithmetic(x.X, t)
		if x.Op == eql.Pos {
			return n, numberType
		}
		return &negate{n}, numberType
	case *eql.Arith:
		return c.arith(x)
	case *eql.Compare:
		return c.compare(x), boolType
	case *eql.Match:
		return c.match(x), boolType
	case *eql.Not:
		return &not{c.condition(x.X), c.loose()}, boolType
	case *eql.Logical:
		args := make([]node, len(x.Args))
		for i, a := range x.Args {
			args[i] = c.condition(a)
		}
		return &logical{x.Op, args, c.loose()}, boolType
	case *eql.Lineage:
		if c.Lineage == nil {
			c.errorf(x.Span, "", "`%s of` cannot stand here", x.Rel)
			return null, nullType
		}
		return lineage{c.Lineage(x)}, boolType
	}
	panic(fmt.Sprintf("BUG: no meaning of %T", x))
}

func (c *Compiler) loose() bool { return c.Dialect == eql.Endgame }

func numberValue(x *eql.Number) value.Value {
	if x.IsInt {
		return value.Int(x.Int)
	}
	return value.Float(x.Float)
}

var arithOps = [...]value.Op{
	eql.Add: value.Add, eql.Sub: value.Sub, eql.Mul: value.Mul, eql.Div: value.Div, eql.Mod: value.Mod,
}

func (c *Compiler) arith(x *eql.Arith) (node, typ) {
	l, lt := c.expr(x.L)
	r, rt := c.expr(x.R)
	c.arithmetic(x.L, lt)
	c.arithmetic(x.R, rt)
	return &arithmetic{arithOps[x.Op], l, r}, numberType
}

func (c *Compiler) rules() value.Rules {
	return value.Rules{Fold: c.fold(), Numeric: c.Dialect == eql.Kestrel}
}

func (c *Compiler) compare(x *eql.Compare) node {
	l, lt := c.expr(x.L)
	r, rt := c.expr(x.R)
	c.comparable(x, lt, rt)
	if x.Op == eql.Eq || x.Op == eql.Ne {
		if n := c.compareEqual(x, l, r); n != nil {
			return n
		}
	}
	c.checkConstants(x, l, lt, r, rt)
	return &comparison{x.Op, l, r, c.rules()}
}

// compareEqual compiles == and != with null and, in Endgame, with wildcards.
func (c *Compiler) compareEqual(x *eql.Compare, l, r node) node {
	var n node
	lConst, lok := l.(constant)
	rConst, rok := r.(constant)
	_, lAbsent := l.(absent)
	_, rAbsent := r.(absent)
	switch {
	case lAbsent && rAbsent:
		n = constant{value.Bool(true)} // as if null was written for both
	case rok && rConst.v.IsNull():
		n = &isNull{l}
	case lok && lConst.v.IsNull():
		n = &isNull{r}
	case c.Dialect == eql.Endgame && rok && isStars(rConst):
		n = &stars{[]node{l, r}, c.fold()}
	case c.Dialect == eql.Endgame && lok && isStars(lConst):
		n = &stars{[]node{r, l}, c.fold()}
	default:
		return nil
	}
	if x.Op == eql.Ne {
		return &not{n, false}
	}
	return n
}

func isStars(k constant) bool {
	if k.v.Kind() != value.KindString {
		return false
	}
	for _, b := range []byte(k.v.Text()) {
		if b == '*' {
			return true
		}
	}
	return false
}

// checkConstants reports strings that are no dates or addresses where one is compared.
func (c *Compiler) checkConstants(x *eql.Compare, l node, lt typ, r node, rt typ) {
	check := func(n node, at eql.Expr, t typ) {
		k, ok := n.(constant)
		if !ok || k.v.Kind() != value.KindString {
			return
		}
		switch {
		case t == dateType && value.ToDate(k.v).IsNull():
			c.errorf(at.Range(), `as in "2024-01-31T12:00:00Z"`, "%q is no date", k.v.Text())
		case t == ipType && !isAddress(k.v.Text()):
			c.errorf(at.Range(), "", "%q is neither an address nor a network", k.v.Text())
		}
	}
	check(l, x.L, rt)
	check(r, x.R, lt)
}

// match compiles the operators that take a list.
func (c *Compiler) match(x *eql.Match) node {
	n, t := c.expr(x.X)
	if x.Op == eql.In {
		return c.in(x, n, t)
	}
	if c.Dialect == eql.Elastic && t != stringType && t != versionType && !t.open() {
		c.mismatch(x.X.Range(), "", "`%s` tests strings, this is %s", x.Op, t)
	}
	if t == boolType || t == dateType {
		if c.Dialect == eql.Kestrel {
			c.mismatch(x.X.Range(), "", "`%s` tests text, this is %s", x.Op, t)
		}
	}
	m := &textMatch{op: x.Op, x: n, fold: x.Fold || x.Op == eql.Seq, rules: c.rules()}
	m.numbers = c.Dialect == eql.Kestrel
	m.rules.Fold = m.fold
	for _, v := range x.Values {
		for _, k := range c.listValue(v) {
			c.checkPattern(x, v, k)
			m.values = append(m.values, k)
		}
	}
	if x.Op == eql.Regex {
		m.seen = map[string]bool{}
	}
	return m
}

// listValue compiles an element of a list; a global stands for all of its values.
func (c *Compiler) listValue(x eql.Expr) []node {
	if v, ok := x.(*eql.Var); ok && !c.bound(v.Name) {
		list, ok := c.Globals[v.Name]
		if ok && len(v.Parts) == 0 {
			nodes := make([]node, len(list))
			for i := range list {
				nodes[i] = constant{list[i]}
			}
			return nodes
		}
	}
	n, _ := c.expr(x)
	return []node{n}
}

func (c *Compiler) checkPattern(x *eql.Match, at eql.Expr, n node) {
	k, ok := n.(constant)
	if !ok || k.v.IsNull() {
		return
	}
	text := k.v.Kind() == value.KindString
	switch x.Op {
	case eql.Like, eql.Regex:
		if !text {
			c.errorf(at.Range(), "put it in quotes", "`%s` takes a string, this is %s", x.Op, constTyp(k.v))
		} else if x.Op == eql.Regex {
			c.checkRegex(at, k.v.Text(), x.Fold)
		}
	case eql.Seq:
		if !text && c.Dialect == eql.Elastic {
			c.mismatch(at.Range(), "write `==`", "`:` compares strings, this is %s", constTyp(k.v))
		}
	}
}

func constTyp(v value.Value) typ {
	switch v.Kind() {
	case value.KindBool:
		return boolType
	case value.KindInt, value.KindFloat:
		return numberType
	case value.KindString:
		return stringType
	}
	return nullType
}

// in compiles `in`, which compares as == does; in Kestrel strings with * or ? are wildcards there.
func (c *Compiler) in(x *eql.Match, n node, t typ) node {
	m := &membership{x: n, rules: c.rules(), glob: c.Dialect == eql.Kestrel, set: map[string]struct{}{}}
	m.rules.Fold = m.rules.Fold || x.Fold
	for _, v := range x.Values {
		for _, k := range c.listValue(v) {
			if constant, ok := k.(constant); ok {
				c.comparable(&eql.Compare{Span: v.Range(), Op: eql.Eq}, t, constTyp(constant.v))
				m.constant(constant.v)
				continue
			}
			m.values = append(m.values, k)
		}
	}
	return m
}
