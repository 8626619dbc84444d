package check

import (
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// typ is what the checker knows of a value.
type typ uint8

const (
	typWrong  typ = iota // reported as wrong: what follows from it is not
	typNull              // null whatever the event
	typBool              // a condition
	typInt               // a whole number
	typNumber            // a number that may have a fraction
	typText
	typID     // a number that stands for itself in text too
	typIP     // an address; as a value its text
	typEntity // an entity id; as a value its text
	typTime   // as a value milliseconds since 1970
)

var typNames = [...]string{"wrong", "null", "a condition", "a number", "a number", "text", "a numeric string", "an address",
	"an entity id", "a time"}

// kindTypes are the types of fields.
var kindTypes = [event.Kinds]typ{event.KindString: typText, event.KindStrings: typText, event.KindInt: typInt,
	event.KindID: typID, event.KindIP: typIP, event.KindBool: typBool, event.KindEntity: typEntity, event.KindTime: typTime}

// isNumber tells the types that arithmetic takes.
func (t typ) isNumber() bool { return t == typInt || t == typNumber || t == typID || t == typTime }

// isWhole tells the types whose numbers have no fraction.
func (t typ) isWhole() bool { return t.isNumber() && t != typNumber }

// isText tells the types that a text function takes as they are, or as they are written.
func (t typ) isText() bool { return t == typText || t == typID || t == typIP || t == typEntity }

// operand is a lowered expression.
type operand struct {
	src  eql.Expr
	typ  typ
	x    ir.Expr // the value; of a wrong one nil
	cond ir.Node // of typBool: the same as a condition
	lit  bool    // x is an ir.Lit
	// own says that this is field, a field of the event itself; ownText, that it is the text of field. Tests of them
	// against constants are atoms.
	own, ownText bool
	field        event.FieldID
}

// value is the constant of an operand that is one.
func (o *operand) value() any { return o.x.(ir.Lit).Value }

// isNull tells the literal null, which makes a comparison a null test. An optional field that is always null does not.
func (o *operand) isNull() bool {
	_, ok := o.src.(*eql.Null)
	return ok
}

func wrongOperand(x eql.Expr) operand { return operand{src: x} }

func literal(x eql.Expr, v any) operand {
	o := operand{src: x, x: ir.Lit{Value: v}, lit: true}
	switch v := v.(type) {
	case nil:
		o.typ = typNull
	case bool:
		o.typ, o.cond = typBool, truth(v)
	case int64:
		o.typ = typInt
	case float64:
		o.typ = typNumber
	case string:
		o.typ = typText
	}
	return o
}

// condition is an expression whose value is a truth value.
func condition(x eql.Expr, n ir.Node) operand {
	return operand{src: x, typ: typBool, x: ir.Cond{Node: n}, cond: n}
}

// operand lowers an expression of any type.
func (c *checker) operand(x eql.Expr) operand {
	switch x := x.(type) {
	case *eql.Null:
		return literal(x, nil)
	case *eql.Bool:
		return literal(x, x.Value)
	case *eql.String:
		return literal(x, x.Value)
	case *eql.Number:
		if x.IsInt {
			return literal(x, x.Int)
		}
		return literal(x, x.Float)
	case *eql.Var:
		return c.variable(x)
	case *eql.Field:
		return c.fieldOperand(x)
	case *eql.Unary:
		return c.signed(x)
	case *eql.Arith:
		return c.arithmetic(x, arithFns[x.Op], c.operand(x.L), c.operand(x.R))
	case *eql.Call:
		return c.call(x)
	case *eql.Compare:
		return condition(x, c.compare(x))
	case *eql.Match:
		return condition(x, c.match(x))
	case *eql.Not:
		return condition(x, ir.Not{Arg: c.boolean(x.X)})
	case *eql.Logical:
		return condition(x, c.logical(x))
	case *eql.Lineage:
		return condition(x, c.lineage(x))
	}
	// The parser has said what is wrong with *eql.Bad.
	return wrongOperand(x)
}

func (c *checker) variable(x *eql.Var) operand {
	values, ok := c.global(x)
	if !ok {
		return wrongOperand(x)
	}
	if len(values) != 1 {
		c.errorf(x.Span, "write in $"+x.Name, "$%s has %d values and is compared with one", x.Name, len(values))
		return wrongOperand(x)
	}
	return literal(x, values[0])
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

func (c *checker) fieldOperand(x *eql.Field) operand {
	ref, ok := c.field(x)
	if !ok {
		if !x.Optional {
			return wrongOperand(x)
		}
		return literal(x, nil)
	}
	kind := ref.id.Kind()
	o := operand{src: x, typ: kindTypes[kind], x: ir.Value{Field: ref.id, Stage: ref.stage}, field: ref.id}
	if ref.stage == ir.Own {
		o.own = true
		o.ownText = kind != event.KindBool && kind != event.KindTime
	}
	if o.typ == typBool {
		if o.own {
			o.cond = ir.IntTest{Field: ref.id, Cmp: ir.Eq, Value: 1}
		} else {
			o.cond = ir.Test{X: o.x}
		}
	}
	return o
}

func (c *checker) signed(x *eql.Unary) operand {
	o := c.operand(x.X)
	switch {
	case o.typ == typWrong || o.typ == typNull:
		o.src = x
		return o
	case !o.typ.isNumber():
		c.notNumber(&o)
		return wrongOperand(x)
	case x.Op == eql.Pos:
		o.src = x
		return o
	case o.lit:
		return c.constant(x, ir.FnSub, int64(0), o.value())
	}
	return operand{src: x, typ: numberType(o.typ), x: ir.Op{Fn: ir.FnNeg, Args: []ir.Expr{o.x}}}
}

// numberType is the type of a sum whose operands have the types.
func numberType(types ...typ) typ {
	for _, t := range types {
		if !t.isWhole() {
			return typNumber
		}
	}
	return typInt
}

var arithFns = [...]ir.Fn{eql.Add: ir.FnAdd, eql.Sub: ir.FnSub, eql.Mul: ir.FnMul, eql.Div: ir.FnDiv, eql.Mod: ir.FnMod}

// arithmetic lowers l op r, also where it is written as a function.
func (c *checker) arithmetic(x eql.Expr, fn ir.Fn, l, r operand) operand {
	good := true
	for _, o := range []*operand{&l, &r} {
		if o.typ != typWrong && o.typ != typNull && !o.typ.isNumber() {
			c.notNumber(o)
			o.typ = typWrong
		}
		good = good && o.typ != typWrong
	}
	switch {
	case !good:
		return wrongOperand(x)
	case l.typ == typNull || r.typ == typNull:
		return literal(x, nil)
	case l.lit && r.lit:
		return c.constant(x, fn, l.value(), r.value())
	case r.lit && isZero(r.value()) && (fn == ir.FnDiv || fn == ir.FnMod):
		c.errorf(x.Range(), "", "division by zero")
		return wrongOperand(x)
	}
	return operand{src: x, typ: numberType(l.typ, r.typ), x: ir.Op{Fn: fn, Args: []ir.Expr{l.x, r.x}}}
}

func (c *checker) notNumber(o *operand) {
	hint := ""
	switch {
	case o.lit && o.typ == typText:
		hint = "leave the quotes out"
	case o.typ == typText:
		hint = "number(..) reads a number from text"
	}
	c.errorf(o.src.Range(), hint, "arithmetic takes numbers, %s", c.is(o))
}

func isZero(v any) bool {
	n, _ := ir.Number(v)
	return n == 0
}

// constant folds arithmetic of constants, so that what has no value is an error and not null in every event.
func (c *checker) constant(x eql.Expr, fn ir.Fn, l, r any) operand {
	if isZero(r) && (fn == ir.FnDiv || fn == ir.FnMod) {
		c.errorf(x.Range(), "", "division by zero")
		return wrongOperand(x)
	}
	v := ir.Apply(fn, false, []any{l, r})
	if v != nil {
		return literal(x, v)
	}
	_, leftInt := l.(int64)
	_, rightInt := r.(int64)
	if leftInt && rightInt {
		c.errorf(x.Range(), "", "the value does not fit 64 bits")
	} else {
		c.errorf(x.Range(), "", "the value is too large")
	}
	return wrongOperand(x)
}

// text is an operand as a text function takes it; ok is false when it is none.
func (c *checker) text(o *operand) (x ir.Expr, ok bool) {
	switch {
	case o.typ == typNull || o.typ == typText || o.typ == typEntity, o.typ == typIP && c.dialect == eql.Kestrel:
		return o.x, true
	case o.typ == typID, o.typ == typInt && o.ownText && c.dialect == eql.Kestrel:
		return ir.Op{Fn: ir.FnString, Args: []ir.Expr{o.x}}, true
	}
	return nil, false
}

// is says what an operand is, for messages: "process.pid is an integer".
func (c *checker) is(o *operand) string {
	at := o.src.Range()
	f, isField := o.src.(*eql.Field)
	v, isValue := o.x.(ir.Value)
	switch {
	case isField && isValue:
		return f.Path() + " is " + kindName(v.Field.Kind())
	case o.lit && o.typ == typText:
		return strconv.Quote(shorten(o.value().(string))) + " is text"
	}
	return "`" + shorten(c.src.Text[at.Start:at.End]) + "` is " + typNames[o.typ]
}

// shownMax bounds what a message cites, in code points.
const shownMax = 40

func shorten(text string) string {
	if most := 16 * shownMax; len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	text = strings.Join(strings.Fields(text), " ")
	runes := 0
	for i := range text {
		if runes++; runes > shownMax {
			return text[:i] + "..."
		}
	}
	return text
}
