package expr

import (
	"regexp"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// arrayFunction compiles arraySearch(array, variable, condition) and arrayCount.
func (c *Compiler) arrayFunction(x *eql.Call, f *function) node {
	array, _ := c.expr(x.Args[0])
	name := ""
	switch v := x.Args[1].(type) {
	case *eql.Field:
		if len(v.Parts) == 1 && !v.Optional && !v.Parts[0].IsIndex {
			name = v.Parts[0].Name
		}
	case *eql.Var:
		if len(v.Parts) == 0 {
			name = v.Name
		}
	}
	if name == "" {
		c.errorf(x.Args[1].Range(), "as in "+f.name+`(field, element, element == "a")`,
			"argument 2 of %s is the name of a variable", f.name)
		return null
	}
	c.vars = append(c.vars, name)
	test := c.condition(x.Args[2])
	c.vars = c.vars[:len(c.vars)-1]
	return &arraySearch{array: array, test: test, slot: len(c.vars), count: f.name == "arrayCount", loose: c.loose()}
}

// arraySearch says whether, or with count for how many elements, a condition holds. What is no array has no elements.
type arraySearch struct {
	array, test  node
	slot         int
	count, loose bool
}

func (n *arraySearch) eval(env *Env) multi {
	v := wholeOf(n.array, env)
	if v.IsNull() && !n.count {
		return single(value.Bool(false))
	}
	list := v.List()
	if v.Kind() != value.KindArray && !v.IsNull() {
		list = []value.Value{v}
	}
	count := int64(0)
	for _, element := range list {
		env.vars = append(env.vars[:n.slot:n.slot], element)
		held := truthOf(n.test, env, n.loose) == value.True
		env.vars = env.vars[:n.slot]
		if held && !n.count {
			return single(value.Bool(true))
		}
		if held {
			count++
		}
	}
	if n.count {
		return single(value.Int(count))
	}
	return single(value.Bool(false))
}

// arrayContains says whether one of several values is an element of an array.
type arrayContains struct {
	array  node
	values []node
	rules  value.Rules
}

func (n *arrayContains) eval(env *Env) multi {
	v := wholeOf(n.array, env)
	if v.IsNull() {
		return multi{}
	}
	list := v.List()
	if v.Kind() != value.KindArray {
		list = []value.Value{v}
	}
	for _, x := range n.values {
		wanted := wholeOf(x, env)
		for _, element := range list {
			if n.rules.Equal(element, wanted) == value.True {
				return single(value.Bool(true))
			}
		}
	}
	return single(value.Bool(false))
}

// arrayLength is the Endgame function length: the elements of an array, or the code points of a string.
type arrayLength struct{ x node }

func (n *arrayLength) eval(env *Env) multi {
	v := wholeOf(n.x, env)
	switch {
	case v.Kind() == value.KindArray:
		return single(value.Int(int64(len(v.List()))))
	case v.IsText():
		return single(value.Int(int64(utf8.RuneCountInString(v.Text()))))
	}
	return multi{}
}

// matchFunction compiles match(source, pattern..).
func (c *Compiler) matchFunction(x *eql.Call, args []node, fold bool) node {
	m := &matchCall{x: args[0]}
	for i, a := range args[1:] {
		k, ok := a.(constant)
		if !ok || k.v.Kind() != value.KindString {
			continue // reported with the arguments
		}
		re, err := compileMatch(k.v.Text(), fold)
		if err != nil {
			c.errorf(x.Args[1+i].Range(), "", "regular expression: %v", err)
			continue
		}
		m.patterns = append(m.patterns, re)
	}
	return m
}

type matchCall struct {
	x        node
	patterns []*regexp.Regexp
}

func (n *matchCall) eval(env *Env) multi {
	m := n.x.eval(env)
	return single(anyOf(m.values(), func(v value.Value) value.Truth {
		if v.IsNull() {
			return value.Unknown
		}
		for _, re := range n.patterns {
			if v.IsText() && re.MatchString(v.Text()) {
				return value.True
			}
		}
		return value.False
	}).Value())
}
