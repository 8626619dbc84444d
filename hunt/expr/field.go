package expr

import (
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// place says where a field is read: the event itself, the event of an earlier step, or an event of a match in a pipe.
type place struct {
	of    placeOf
	index int
}

type placeOf uint8

const (
	ofEvent placeOf = iota
	ofStep
	ofRow
)

func (p place) event(env *Env) *events.Event {
	switch p.of {
	case ofStep:
		if p.index < len(env.Steps) {
			return env.Steps[p.index]
		}
		return nil
	case ofRow:
		if p.index < len(env.Row) {
			return env.Row[p.index]
		}
		return nil
	}
	return env.Event
}

// fieldNode is a field of an event.
type fieldNode struct {
	place place
	path  string
	field events.Field
	extra bool // a pipe may have added it
}

func (n *fieldNode) eval(env *Env) multi {
	if n.extra {
		if v, ok := env.Extra[n.path]; ok {
			return spreadValue(v)
		}
	}
	e := n.place.event(env)
	if e == nil {
		return multi{}
	}
	return spread(e.Values(n.path, n.field))
}

func (n *fieldNode) whole(env *Env) value.Value {
	if n.extra {
		if v, ok := env.Extra[n.path]; ok {
			return v
		}
	}
	if e := n.place.event(env); e != nil {
		return e.Whole(n.path)
	}
	return value.Null
}

// spreadValue makes a multi of a value, of an array one for each element.
func spreadValue(v value.Value) multi {
	if v.Kind() != value.KindArray {
		return single(v)
	}
	var list []value.Value
	for _, x := range v.List() {
		m := spreadValue(x)
		for _, x := range m.values() {
			if !x.IsNull() {
				list = append(list, x)
			}
		}
	}
	return spread(list)
}

// varNode is the variable of an array function.
type varNode struct{ slot int }

func (n varNode) eval(env *Env) multi        { return spreadValue(n.whole(env)) }
func (n varNode) whole(env *Env) value.Value { return env.vars[n.slot] }

// partNode is an element of an array, or a member of an object.
type partNode struct {
	base  node
	name  string // of the member, unless isIndex
	index int
	is    bool // index
}

func (n *partNode) eval(env *Env) multi { return spreadValue(n.whole(env)) }

func (n *partNode) whole(env *Env) value.Value {
	v := wholeOf(n.base, env)
	if !n.is {
		return events.Whole(v, n.name)
	}
	if list := v.List(); n.index < len(list) {
		return list[n.index]
	}
	return value.Null
}

func (c *Compiler) bound(name string) bool {
	for _, v := range c.vars {
		if v == name {
			return true
		}
	}
	return false
}

// slot is the place of the innermost variable of a name.
func (c *Compiler) slot(name string) int {
	for i := len(c.vars) - 1; i >= 0; i-- {
		if c.vars[i] == name {
			return i
		}
	}
	panic("BUG: no variable " + name)
}

// field finds out what a field name means, the innermost first: a variable, an event of a pipe, an earlier step, a
// field.
func (c *Compiler) field(x *eql.Field) (node, typ) {
	first := x.Parts[0].Name
	if c.bound(first) && !x.Optional {
		return parts(varNode{c.slot(first)}, x.Parts[1:]), anyType
	}
	if c.Pipe && first == "events" && len(x.Parts) > 2 && x.Parts[1].IsIndex {
		return c.fieldAt(x, x.Parts[2:], place{ofRow, x.Parts[1].Index})
	}
	if step, ok := c.Named[first]; ok && len(x.Parts) > 1 && !x.Parts[1].IsIndex {
		if c.reads < 0 || step < c.reads {
			c.reads = step
		}
		return c.fieldAt(x, x.Parts[1:], place{ofStep, step})
	}
	return c.fieldAt(x, x.Parts, place{})
}

// fieldAt compiles a path of an event.
func (c *Compiler) fieldAt(x *eql.Field, path []eql.Part, at place) (node, typ) {
	names, rest := path, []eql.Part(nil)
	for i, p := range path {
		if p.IsIndex {
			names, rest = path[:i], path[i:]
			break
		}
	}
	name := (&eql.Field{Parts: names}).Path()
	n := &fieldNode{place: at, path: name, extra: at == place{} && c.Extra[name]}
	t := anyType
	if c.Schema != nil {
		f, ok := c.Schema.Lookup(name)
		n.field = f
		switch {
		case ok && c.Dialect != eql.Endgame:
			t = fieldTyp(f)
		case !ok && !n.extra && c.unknown(x, name):
			return absent{}, nullType
		}
	}
	if len(rest) > 0 {
		return parts(n, rest), anyType
	}
	return n, t
}

// unknown deals with a field that no event has, and says whether it is to be read as null.
func (c *Compiler) unknown(x *eql.Field, name string) bool {
	switch {
	case !c.Schema.Closed, c.Dialect == eql.Endgame:
		return false
	case x.Optional:
		return true
	}
	hint := didYouMean(name, c.Schema.Names())
	if hint == "" {
		hint = "write ?" + x.Path() + " if it may be missing"
	}
	c.errorf(x.Span, hint, "unknown field %s", x.Path())
	return true
}

func parts(base node, list []eql.Part) node {
	for i := 0; i < len(list); {
		if list[i].IsIndex {
			base = &partNode{base: base, index: list[i].Index, is: true}
			i++
			continue
		}
		var names []string
		for ; i < len(list) && !list[i].IsIndex; i++ {
			names = append(names, list[i].Name)
		}
		base = &partNode{base: base, name: strings.Join(names, ".")}
	}
	return base
}

// variable compiles $name: a variable of an array function, or a global with one value.
func (c *Compiler) variable(x *eql.Var) (node, typ) {
	if c.bound(x.Name) {
		return parts(varNode{c.slot(x.Name)}, x.Parts), anyType
	}
	list, ok := c.Globals[x.Name]
	switch {
	case !ok:
		names := make([]string, 0, len(c.Globals))
		for name := range c.Globals {
			names = append(names, name)
		}
		c.errorf(x.Span, didYouMean(x.Name, names), "unknown global $%s", x.Name)
	case len(x.Parts) > 0:
		c.errorf(x.Span, "", "$%s is a list of values and has no fields", x.Name)
	case len(list) != 1:
		c.errorf(x.Span, "write in $"+x.Name, "$%s has %d values and is used as one", x.Name, len(list))
	default:
		return constant{list[0]}, constTyp(list[0])
	}
	return null, nullType
}
