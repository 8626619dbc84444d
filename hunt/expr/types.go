package expr

import (
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
)

// typ is what is known of a value before the data is seen.
type typ uint8

const (
	anyType typ = iota
	nullType
	boolType
	numberType
	stringType
	dateType
	ipType
	versionType
	objectType
)

var typNames = [...]string{
	"of unknown type", "null", "boolean", "a number", "a string", "a date", "an ip", "a version", "an object",
}

func (t typ) String() string { return typNames[t] }

// open says that nothing can be held against the type.
func (t typ) open() bool { return t == anyType || t == nullType }

func fieldTyp(f events.Field) typ {
	if f.Soft {
		return anyType
	}
	switch f.Type {
	case events.TypeBool:
		return boolType
	case events.TypeNumber:
		return numberType
	case events.TypeString:
		return stringType
	case events.TypeDate:
		return dateType
	case events.TypeIP:
		return ipType
	case events.TypeVersion:
		return versionType
	case events.TypeObject:
		return objectType
	}
	return anyType
}

// condition compiles an operand that is to be true or false.
func (c *Compiler) condition(x eql.Expr) node {
	n, t := c.expr(x)
	if t != boolType && !t.open() && c.Dialect != eql.Endgame {
		c.mismatch(x.Range(), "compare it with something", "this is %s, not a condition", t)
	}
	return n
}

// comparable checks the two sides of a comparison.
func (c *Compiler) comparable(x *eql.Compare, l, r typ) {
	at := x.Span
	ordered := x.Op != eql.Eq && x.Op != eql.Ne
	if ordered {
		for _, t := range [...]typ{l, r} {
			if t == boolType || t == objectType {
				c.wrong(at, "", "%s has no order", t)
				return
			}
		}
	}
	if l.open() || r.open() || l == r || c.convertible(l, r) || c.convertible(r, l) {
		return
	}
	c.wrong(at, "", "%s and %s cannot be compared", l, r)
}

// wrong reports a comparison that cannot hold. It is an error in Endgame EQL, whose fields have no types, so that only
// literals and functions can be wrong; Elasticsearch lets it pass.
func (c *Compiler) wrong(at eql.Span, hint, format string, args ...any) {
	switch c.Dialect {
	case eql.Endgame:
		c.errorf(at, hint, format, args...)
	case eql.Elastic:
		c.warnf(at, hint, format, args...)
	default:
		c.mismatch(at, hint, format, args...)
	}
}

// convertible says that values of one type are understood where the other stands.
func (c *Compiler) convertible(from, to typ) bool {
	switch to {
	case dateType:
		return from == numberType || from == stringType
	case ipType, versionType:
		return from == stringType
	case stringType:
		return c.Dialect == eql.Kestrel && from == numberType
	}
	return false
}

// arithmetic checks an operand. A condition may stand there because operators that match bind tighter than a reader of
// `a + b : 2` thinks.
func (c *Compiler) arithmetic(x eql.Expr, t typ) {
	switch {
	case t == numberType || t.open():
	case t == boolType && c.Dialect != eql.Endgame:
		c.mismatch(x.Range(), "", "arithmetic takes numbers, this is %s", t)
	default:
		c.errorf(x.Range(), "", "arithmetic takes numbers, this is %s", t)
	}
}
