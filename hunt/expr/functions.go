package expr

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// param is what a function takes at one place.
type param uint8

const (
	anyParam param = iota
	stringParam
	numberParam
	boolParam
	addressParam // an address, or a string that is one
	networkParam // a constant network
	patternParam // a constant regular expression
)

// function is one function of the language. The value of a call is null when an argument before `least` is null.
type function struct {
	name     string
	params   []param
	least    int  // arguments that must be given
	nullable int  // arguments from this one on may be null; 0 for none
	variadic bool // the last parameter repeats
	result   typ
	folds    bool // has a form with ~
	in       dialects
	call     func(fold bool, args []value.Value) value.Value
}

type dialects uint8

const (
	inKestrel dialects = 1 << eql.Kestrel
	inElastic dialects = 1 << eql.Elastic
	inEndgame dialects = 1 << eql.Endgame
	inAll              = inKestrel | inElastic | inEndgame
)

// The parameters that several functions have.
var (
	numbers = []param{numberParam, numberParam}
	strs    = []param{stringParam, stringParam}
	search  = []param{anyParam, anyParam, boolParam}
)

// functions is every function of the three dialects.
var functions = []function{
	{name: "add", params: numbers, least: 2, result: numberType, in: inAll, call: computes(value.Add)},
	{name: "subtract", params: numbers, least: 2, result: numberType, in: inAll, call: computes(value.Sub)},
	{name: "multiply", params: numbers, least: 2, result: numberType, in: inAll, call: computes(value.Mul)},
	{name: "divide", params: numbers, least: 2, result: numberType, in: inAll, call: computes(value.Div)},
	{name: "modulo", params: numbers, least: 2, result: numberType, in: inAll, call: computes(value.Mod)},

	{name: "between", params: []param{stringParam, stringParam, stringParam, boolParam, boolParam}, least: 3,
		nullable: 3, result: stringType, folds: true, in: inAll, call: between},
	{name: "concat", params: []param{anyParam}, least: 1, variadic: true, result: stringType, in: inAll, call: concat},
	{name: "endsWith", params: strs, least: 2, result: boolType, folds: true, in: inAll,
		call: tests(strings.HasSuffix)},
	{name: "indexOf", params: []param{stringParam, stringParam, numberParam}, least: 2, nullable: 2,
		result: numberType, folds: true, in: inAll, call: indexOf},
	{name: "length", params: []param{stringParam}, least: 1, result: numberType, in: inAll, call: length},
	{name: "number", params: []param{stringParam, numberParam}, least: 1, nullable: 1, result: numberType, in: inAll,
		call: number},
	{name: "startsWith", params: strs, least: 2, result: boolType, folds: true, in: inAll,
		call: tests(strings.HasPrefix)},
	{name: "string", params: []param{anyParam}, least: 1, result: stringType, in: inAll, call: text},
	{name: "stringContains", params: strs, least: 2, result: boolType, folds: true, in: inAll,
		call: tests(strings.Contains)},
	{name: "substring", params: []param{stringParam, numberParam, numberParam}, least: 2, nullable: 1,
		result: stringType, in: inAll, call: substring},
	{name: "cidrMatch", params: []param{addressParam, networkParam}, least: 2, variadic: true, result: boolType,
		in: inAll, call: cidrMatch},

	// These have nodes of their own.
	{name: "match", params: []param{stringParam, patternParam}, least: 2, variadic: true, result: boolType, folds: true,
		in: inKestrel | inEndgame},
	{name: "matchLite", params: []param{stringParam, patternParam}, least: 2, variadic: true, result: boolType,
		folds: true, in: inKestrel | inEndgame},
	{name: "wildcard", params: strs, least: 2, variadic: true, result: boolType, folds: true,
		in: inKestrel | inEndgame},
	{name: "arrayContains", params: []param{anyParam, anyParam}, least: 2, variadic: true, result: boolType,
		folds: true, in: inKestrel | inEndgame},
	{name: "arraySearch", params: search, least: 3, result: boolType, in: inKestrel | inEndgame},
	{name: "arrayCount", params: search, least: 3, result: numberType, in: inKestrel | inEndgame},
	{name: "safe", params: []param{anyParam}, least: 1, result: anyType, in: inKestrel | inEndgame},
}

// find looks a function up: by its exact name in Endgame, without regard to case elsewhere.
func (c *Compiler) find(x *eql.Call) *function {
	var names []string
	for i := range functions {
		f := &functions[i]
		if f.in&(1<<c.Dialect) == 0 {
			continue
		}
		if f.name == x.Name || c.Dialect != eql.Endgame && strings.EqualFold(f.name, x.Name) {
			return f
		}
		names = append(names, f.name)
	}
	hint := didYouMean(x.Name, names)
	for i := range functions {
		if hint == "" && strings.EqualFold(functions[i].name, x.Name) {
			hint = functions[i].name + " belongs to the kestrel and endgame dialects"
		}
	}
	c.errorf(x.NameSpan, hint, "unknown function %s", x.Name)
	return nil
}

func (c *Compiler) call(x *eql.Call) (node, typ) {
	f := c.find(x)
	if f == nil {
		return null, nullType
	}
	if x.Fold && !f.folds {
		c.errorf(x.NameSpan, "", "%s has no form with `~`", f.name)
	}
	if !c.arity(x, f) {
		return null, f.result
	}
	switch f.name {
	case "arraySearch", "arrayCount":
		return c.arrayFunction(x, f), f.result
	case "safe":
		return c.expr(x.Args[0])
	}
	args, types := make([]node, len(x.Args)), make([]typ, len(x.Args))
	for i, a := range x.Args {
		args[i], types[i] = c.expr(a)
	}
	for i := range args {
		c.argument(x, f, i, args[i], types[i])
	}
	if f.name == "length" && c.Dialect == eql.Endgame {
		return &arrayLength{args[0]}, f.result
	}
	fold := x.Fold || c.fold()
	switch f.name {
	case "arrayContains":
		return &arrayContains{args[0], args[1:], value.Rules{Fold: fold, Numeric: c.Dialect == eql.Kestrel}}, f.result
	case "wildcard":
		if c.Dialect == eql.Endgame {
			return &stars{args, fold}, f.result
		}
		return &textMatch{op: eql.Like, x: args[0], values: args[1:], fold: fold, numbers: true}, f.result
	case "match", "matchLite":
		return c.matchFunction(x, args, fold), f.result
	}
	return &call{f, args, fold, c.Dialect == eql.Kestrel}, f.result
}

// arity checks the number of arguments.
func (c *Compiler) arity(x *eql.Call, f *function) bool {
	least, most := f.least, len(f.params)
	n := len(x.Args)
	if f.name == "between" && n == most && c.Dialect != eql.Endgame {
		c.mismatch(x.Args[4].Range(), "write between~ to ignore case", "between takes at most 4 arguments")
	}
	switch {
	case n >= least && (n <= most || f.variadic):
		return true
	case f.variadic:
		c.errorf(x.Span, "", "%s takes at least %d %s, found %d", f.name, least, arguments(least), n)
	case least == most:
		c.errorf(x.Span, "", "%s takes %d %s, found %d", f.name, least, arguments(least), n)
	default:
		c.errorf(x.Span, "", "%s takes %d to %d arguments, found %d", f.name, least, most, n)
	}
	return false
}

func arguments(n int) string {
	if n == 1 {
		return "argument"
	}
	return "arguments"
}

// argument checks the type of one argument.
func (c *Compiler) argument(x *eql.Call, f *function, i int, n node, t typ) {
	at := x.Args[i].Range()
	want := f.params[min(i, len(f.params)-1)]
	k, isConst := n.(constant)
	if want == networkParam || want == patternParam {
		if !isConst || k.v.Kind() != value.KindString {
			c.errorf(at, "", "argument %d of %s is a constant string", i+1, f.name)
		} else if _, ok := value.ParseNetwork(k.v.Text()); want == networkParam && !ok {
			c.errorf(at, `as in "10.0.0.0/8"`, "%q is no network", k.v.Text())
		}
		return
	}
	if t.open() || want == anyParam {
		return
	}
	right := false
	switch want {
	case stringParam:
		right = t == stringType || t == versionType || c.Dialect == eql.Kestrel && (t == numberType || t == ipType)
		if f.name == "number" && t == numberType && !right {
			c.mismatch(at, "leave number() out", "argument %d of %s is a string, this is %s", i+1, f.name, t)
			return
		}
	case numberParam:
		right = t == numberType
	case boolParam:
		right = t == boolType
	case addressParam:
		right = t == ipType || t == stringType
	}
	if !right {
		c.errorf(at, "", "argument %d of %s is %s, this is %s", i+1, f.name, paramNames[want], t)
	}
}

var paramNames = [...]string{
	stringParam: "a string", numberParam: "a number", boolParam: "true or false", addressParam: "an address",
}

// call is a function over values.
type call struct {
	f       *function
	args    []node
	fold    bool
	numbers bool // numbers and addresses stand for their text where a string is wanted
}

func (n *call) eval(env *Env) multi {
	args := evalAll(env, n.args...)
	if n.f.result != boolType {
		return mapped(env, args, n.apply)
	}
	return single(anyCombination(env, args, func(v []value.Value) value.Truth { return n.apply(v).Truth() }).Value())
}

// apply calls the function with arguments that have been brought to its types, or gives null.
func (n *call) apply(args []value.Value) value.Value {
	args = slices.Clone(args)
	for i := range args {
		if args[i].IsNull() {
			if n.f.nullable > 0 && i >= n.f.nullable {
				continue
			}
			return value.Null
		}
		if !n.fits(&args[i], n.f.params[min(i, len(n.f.params)-1)]) {
			return value.Null
		}
	}
	return n.f.call(n.fold, args)
}

func (n *call) fits(v *value.Value, want param) bool {
	switch want {
	case stringParam, addressParam:
		if v.IsNumber() && (n.numbers || n.f.name == "number") {
			*v = value.String(v.Text())
		}
		return v.IsText()
	case numberParam:
		return v.IsNumber()
	case boolParam:
		return v.Kind() == value.KindBool
	}
	return true
}
