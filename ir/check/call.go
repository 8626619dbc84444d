package check

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// call lowers a function.
func (c *checker) call(x *eql.Call) operand {
	f := functionByName(x.Name)
	if f == nil {
		c.unknownFunction(x)
		return wrongOperand(x)
	}
	args := make([]operand, len(x.Args))
	good := c.arity(x, f)
	for i, a := range x.Args {
		args[i] = c.operand(a)
		good = good && args[i].typ != typWrong
	}
	if x.Fold && !f.folds {
		if c.dialect == eql.Elastic {
			c.errorf(x.NameSpan, "write "+f.name, "function %s has no form with ~", f.name)
			return wrongOperand(x)
		}
		c.warnf(x.NameSpan, "write "+f.name, "~ means nothing here: %s compares no letters", f.name)
	}
	if !good {
		return wrongOperand(x)
	}
	switch {
	case f.fn == cidrMatch:
		return c.cidrMatch(x, f, args)
	case f.fn == ir.FnString:
		return stringOf(x, &args[0])
	case f.result == typNumber && f.params[0].want == wantNumber:
		return c.arithmetic(x, f.fn, args[0], args[1])
	}
	return c.apply(x, f, args)
}

// unknownFunction reports a function that rules do not have. Arguments of one that nobody has are checked all the same.
func (c *checker) unknownFunction(x *eql.Call) {
	if hint := otherFunctions[strings.ToLower(x.Name)]; hint != "" {
		c.errorf(x.NameSpan, hint, "function %s is not for rules", x.Name)
		return
	}
	for _, a := range x.Args {
		c.operand(a)
	}
	c.errorf(x.NameSpan, DidYouMean(x.Name, functionNames()), "unknown function %s", shorten(x.Name))
}

// arity reports the wrong number of arguments.
func (c *checker) arity(x *eql.Call, f *function) bool {
	least, most := 0, len(f.params)
	for _, p := range f.params {
		if !p.optional {
			least++
		}
	}
	if f.variadic {
		most = argumentsMax
	}
	n := len(x.Args)
	if n >= least && n <= most {
		return true
	}
	takes := ""
	switch {
	case f.variadic && n > most:
		takes = fmt.Sprintf("at most %d arguments", most)
	case f.variadic && least == 1:
		takes = "at least one argument"
	case f.variadic:
		takes = fmt.Sprintf("at least %d arguments", least)
	case most > least:
		takes = fmt.Sprintf("%d or %d arguments", least, most)
	case least == 1:
		takes = "one argument"
	default:
		takes = fmt.Sprintf("%d arguments", least)
	}
	c.errorf(x.Span, "", "%s takes %s, found %d", f.signature(), takes, n)
	return false
}

// argumentsMax bounds what a function with any number of arguments takes: each is an instruction of the device's stack
// machine. Networks of cidrMatch are none; public rules list 30.
const argumentsMax = 1024

// apply checks the arguments and applies the function. A test of a field's text against a constant becomes an atom.
func (c *checker) apply(x *eql.Call, f *function, args []operand) operand {
	exprs := make([]ir.Expr, len(args))
	good, constant := true, true
	for i := range args {
		var ok bool
		exprs[i], ok = c.argument(f, i, &args[i])
		good, constant = good && ok, constant && args[i].lit
	}
	if !good {
		return wrongOperand(x)
	}
	if constant {
		return fold(x, f.fn, x.Fold && f.folds, exprs)
	}
	o := operand{src: x, typ: f.result, x: ir.Op{Fn: f.fn, Fold: x.Fold && f.folds, Args: exprs}}
	if f.result != typBool {
		return o
	}
	kind, ok := testKinds[f.fn]
	if ok && args[0].ownText && args[1].lit && args[1].typ == typText {
		p := ir.Pattern{Kind: kind, Text: args[1].value().(string), Fold: x.Fold}
		// As in Elasticsearch, no text contains the empty one, with which each begins and ends.
		if p.Text != "" || kind != ir.Contains {
			o.cond = ir.StringTest{Field: args[0].field, Patterns: []ir.Pattern{p}}
			return o
		}
	}
	o.cond = c.computed(x.Span, o.x)
	return o
}

// fold applies an operation to constants.
func fold(x eql.Expr, fn ir.Fn, ignoreCase bool, args []ir.Expr) operand {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.(ir.Lit).Value
	}
	return literal(x, ir.Apply(fn, ignoreCase, values))
}

// testKinds are the functions that test text as patterns do.
var testKinds = map[ir.Fn]ir.PatternKind{ir.FnStartsWith: ir.Prefix, ir.FnEndsWith: ir.Suffix,
	ir.FnStringContains: ir.Contains}

// argument gives an argument as the function takes it, or reports it.
func (c *checker) argument(f *function, i int, o *operand) (ir.Expr, bool) {
	p := f.param(i)
	if o.typ == typNull {
		return o.x, true
	}
	good := false
	switch p.want {
	case wantAny:
		good = true
	case wantText:
		if x, ok := c.text(o); ok {
			return x, true
		}
	case wantNumber:
		good = o.typ.isNumber()
	case wantWhole:
		good = o.typ.isWhole()
		if fl, ok := o.x.(ir.Lit); ok && o.typ == typNumber {
			if v := fl.Value.(float64); v == math.Trunc(v) && math.Abs(v) < 1<<63 {
				return ir.Lit{Value: int64(v)}, true
			}
		}
	case wantBool:
		good = o.typ == typBool
	}
	if !good {
		hint := ""
		switch {
		case p.want == wantText && o.lit:
			hint = "put it in quotes"
		case p.want == wantText && (o.typ.isNumber() || o.typ == typIP):
			hint = "string(..) makes text of it"
		}
		c.errorf(o.src.Range(), hint, "%s: %s must be %s, %s", f.signature(), p.name, wantNames[p.want], c.is(o))
	}
	if f.fn == ir.FnNumber && i == 1 && o.lit && good {
		if base, _ := ir.Number(o.value()); base < baseMin || base > baseMax {
			c.errorf(o.src.Range(), "", "%s: %s must be %d to %d", f.signature(), p.name, baseMin, baseMax)
			good = false
		}
	}
	return o.x, good
}

// The bases that digits and letters suffice for.
const (
	baseMin = 2
	baseMax = 36
)

// stringOf is the text of an operand. That of a field of the event can be tested by atoms.
func stringOf(x *eql.Call, a *operand) operand {
	if a.lit {
		return fold(x, ir.FnString, false, []ir.Expr{a.x})
	}
	o := operand{src: x, typ: typText, ownText: a.ownText, field: a.field, x: a.x}
	if a.typ != typText && a.typ != typIP && a.typ != typEntity {
		o.x = ir.Op{Fn: ir.FnString, Args: []ir.Expr{a.x}}
	}
	return o
}

func (c *checker) cidrMatch(x *eql.Call, f *function, args []operand) operand {
	source := &args[0]
	var prefixes []netip.Prefix
	seen := make(map[netip.Prefix]bool)
	good := true
	for i := range args[1:] {
		a := &args[i+1]
		at := a.src.Range()
		s, isText := "", false
		if a.lit {
			s, isText = a.value().(string)
		}
		if !isText {
			c.errorf(at, "", "%s: %s must be a constant text", f.signature(), f.param(i+1).name)
			good = false
			continue
		}
		p, err := prefix(s)
		switch {
		case err != nil:
			c.errorf(at, "", "%q is not a network", shorten(s))
			good = false
		case seen[p]:
			c.warnf(at, "", "%q stands in the list twice", s)
		default:
			seen[p] = true
			prefixes = append(prefixes, p)
		}
	}
	if source.typ == typNull {
		return condition(x, ir.Const{Value: ir.Null})
	}
	if hint, ok := source.address(); !ok {
		c.errorf(source.src.Range(), hint, "%s, not an address", c.is(source))
		good = false
	}
	if !good {
		return wrongOperand(x)
	}
	return condition(x, c.netTest(x.Span, source, prefixes))
}

// address tells what may be an address. A plain text field is none; whoever knows better says string(field).
func (o *operand) address() (hint string, ok bool) {
	if o.typ != typIP && o.typ != typText {
		return "", false
	}
	if v, isValue := o.x.(ir.Value); isValue && v.Field.Kind() == event.KindString && !o.isString() {
		return "if its text is an address, write string(..)", false
	}
	return "", true
}

// isString tells string(field) from the field.
func (o *operand) isString() bool {
	_, isCall := o.src.(*eql.Call)
	return isCall
}
