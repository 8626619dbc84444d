// Package expr evaluates EQL expressions over dynamic values, directly on the tree of package eql. It is the obvious
// meaning of the language in its three dialects, and the measure for engines that are built to be fast.
//
//	eql.Expr ──Compiler──▶ Expr ──Eval(Env)──▶ value, Truth(Env) ──▶ true, false, unknown
//
// An expression that reads arrays has one value for each combination of their elements. A test (a comparison, a match,
// a function that answers yes or no) holds when some combination makes it hold, fails when none does and some makes it
// fail, and is unknown otherwise; `a != b` is `not a == b`.
//
// Memory: an Expr owns its nodes and keeps the schema; evaluation allocates as it needs. Goroutines: an Expr remembers
// what its regular expressions matched last, so one goroutine uses it at a time. When full: combinations beyond
// CombosMax end the evaluation with an error in the Env; the depth of an expression is bounded by eql.MaxDepth.
package expr

import (
	"fmt"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// CombosMax bounds the combinations of array elements of one function call. Four arrays of thirty elements stay below;
// more is a query that was not meant.
const CombosMax = 1 << 20

// Env is what an expression reads.
type Env struct {
	Event *events.Event
	// Steps are the events that the steps of a sequence took, for fields of named steps.
	Steps []*events.Event
	// Row is the events of a match, in the arguments of pipes; Event is the first of them.
	Row []*events.Event
	// Extra are fields that pipes add; they go before those of the event.
	Extra map[string]value.Value
	// Lineage answers a relation, by the number it was given when it was compiled.
	Lineage func(id int) bool
	// Err is what went wrong; the values are of no use then.
	Err error

	vars []value.Value // of array functions, the innermost last
}

// multi is the value of an expression: one, or one for each combination of array elements.
type multi struct {
	one  value.Value
	many []value.Value // nil for a single value; never empty
}

func single(v value.Value) multi { return multi{one: v} }

// spread makes a multi of an array, leaving out null.
func spread(list []value.Value) multi {
	switch len(list) {
	case 0:
		return multi{}
	case 1:
		return multi{one: list[0]}
	}
	return multi{many: list}
}

func (m *multi) values() []value.Value {
	if m.many != nil {
		return m.many
	}
	return []value.Value{m.one}
}

type node interface {
	eval(env *Env) multi
}

// whole is a node that can tell an array as one value.
type whole interface {
	whole(env *Env) value.Value
}

// wholeOf is the value of a node, an array as one value.
func wholeOf(n node, env *Env) value.Value {
	if w, ok := n.(whole); ok {
		return w.whole(env)
	}
	m := n.eval(env)
	if m.many != nil {
		return value.Array(m.many)
	}
	return m.one
}

// Expr is a compiled expression.
type Expr struct {
	root  node
	loose bool
	// Reads is the first of the steps in Env.Steps that the expression reads, -1 when it reads none.
	Reads int
}

// Eval is the value of the expression, that of an array field as an array.
func (e *Expr) Eval(env *Env) value.Value {
	m := e.root.eval(env)
	if m.many != nil {
		return value.Array(m.many)
	}
	return m.one
}

// Values are the values of the expression, one for each combination of array elements.
func (e *Expr) Values(env *Env) []value.Value {
	m := e.root.eval(env)
	return m.values()
}

// Truth is the value of the expression as a condition.
func (e *Expr) Truth(env *Env) value.Truth { return truthOf(e.root, env, e.loose) }

// truthOf is the truth of a node: a field that is an array holds when an element does.
func truthOf(n node, env *Env, loose bool) value.Truth {
	m := n.eval(env)
	if m.many == nil {
		return truth(m.one, loose)
	}
	return anyOf(m.many, func(v value.Value) value.Truth { return truth(v, loose) })
}

func truth(v value.Value, loose bool) value.Truth {
	if loose {
		return v.Loose()
	}
	return v.Truth()
}

func anyOf(list []value.Value, test func(value.Value) value.Truth) value.Truth {
	result := value.Unknown
	for _, v := range list {
		switch test(v) {
		case value.True:
			return value.True
		case value.False:
			result = value.False
		}
	}
	return result
}

// combine calls f with every combination of values of the arguments until it says stop. The slice is used again.
func combine(env *Env, args []multi, f func([]value.Value) (more bool)) {
	total := 1
	for i := range args {
		if n := len(args[i].many); n > 1 {
			if total > CombosMax/n {
				env.fail(fmt.Errorf("more than %d combinations of array elements", CombosMax))
				return
			}
			total *= n
		}
	}
	values := make([]value.Value, len(args))
	for c := range total {
		for i := range args {
			if args[i].many == nil {
				values[i] = args[i].one
				continue
			}
			n := len(args[i].many)
			values[i] = args[i].many[c%n]
			c /= n
		}
		if !f(values) {
			return
		}
	}
}

// anyCombination is the truth of a test that holds when it does for some combination of values of the arguments.
func anyCombination(env *Env, args []multi, test func([]value.Value) value.Truth) value.Truth {
	result := value.Unknown
	combine(env, args, func(v []value.Value) bool {
		switch test(v) {
		case value.True:
			result = value.True
			return false
		case value.False:
			result = value.False
		}
		return true
	})
	return result
}

func evalAll(env *Env, nodes ...node) []multi {
	list := make([]multi, len(nodes))
	for i, n := range nodes {
		list[i] = n.eval(env)
	}
	return list
}

func (env *Env) fail(err error) {
	if env.Err == nil {
		env.Err = err
	}
}

// Options choose what an expression may say and what it means.
type Options struct {
	Dialect eql.Dialect
	// CaseSensitive is for Endgame, where strings compare without case unless it is set. The other dialects say it in
	// the query.
	CaseSensitive bool
	// Globals are the values of $NAME.
	Globals map[string][]value.Value
}

func (o *Options) fold() bool { return o.Dialect == eql.Endgame && !o.CaseSensitive }

// Compiler makes expressions of trees. Its fields are set before the first use; Diags holds what is wrong.
type Compiler struct {
	Options
	Source *eql.Source
	// Schema may be nil: then every field may exist and have any type.
	Schema *events.Schema
	// Named are the earlier steps that fields can be read of, by name.
	Named map[string]int
	// Extra are the fields that Env.Extra will have.
	Extra map[string]bool
	// Pipe allows events[n].field.
	Pipe bool
	// Lineage compiles a relation and numbers it; nil where there is none.
	Lineage func(*eql.Lineage) int

	Diags eql.Diagnostics

	vars  []string
	reads int
}

// Condition compiles an expression that is to be true or false.
func (c *Compiler) Condition(x eql.Expr) *Expr {
	return c.compile(func() node { return c.condition(x) })
}

// Value compiles an expression of any type.
func (c *Compiler) Value(x eql.Expr) *Expr {
	return c.compile(func() node {
		n, _ := c.expr(x)
		return n
	})
}

// compile begins an expression of its own. It may stand inside another, whose variables it does not see.
func (c *Compiler) compile(build func() node) *Expr {
	vars, reads := c.vars, c.reads
	c.vars, c.reads = nil, -1
	e := &Expr{root: build(), loose: c.Dialect == eql.Endgame}
	e.Reads = c.reads
	c.vars, c.reads = vars, reads
	return e
}

func (c *Compiler) errorf(at eql.Span, hint, format string, args ...any) {
	c.Diags = append(c.Diags, c.Source.Errorf(at, hint, format, args...))
}

// mismatch reports what a type checker refuses. Without a schema it is a warning, since what the fields hold is not
// known and the query may have been written for others.
func (c *Compiler) mismatch(at eql.Span, hint, format string, args ...any) {
	if c.Schema != nil && len(c.Schema.Fields) > 0 {
		c.errorf(at, hint, format, args...)
		return
	}
	c.warnf(at, hint, format, args...)
}

func (c *Compiler) warnf(at eql.Span, hint, format string, args ...any) {
	c.Diags = append(c.Diags, c.Source.Warnf(at, hint, format, args...))
}
