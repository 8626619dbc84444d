package check

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// tests are the functions that test a field and so become atoms. Names are compared without case.
var tests = map[string]ir.PatternKind{
	"startswith":     ir.Prefix,
	"endswith":       ir.Suffix,
	"stringcontains": ir.Contains,
	"cidrmatch":      0,
}

func (c *checker) call(x *eql.Call) ir.Node {
	name := strings.ToLower(x.Name)
	kind, ok := tests[name]
	if !ok {
		var names []string
		for n := range tests {
			names = append(names, n)
		}
		slices.Sort(names)
		c.errorf(x.NameSpan, DidYouMean(name, names), "function %s is not supported as a condition by this version", x.Name)
		return never
	}
	if len(x.Args) < 2 || name != "cidrmatch" && len(x.Args) != 2 {
		c.errorf(x.Span, "", "%s takes a field and a value", x.Name)
		return never
	}
	f, ok := x.Args[0].(*eql.Field)
	if !ok {
		c.errorf(x.Args[0].Range(), "", "the first argument of %s must be a field", x.Name)
		return never
	}
	id, known := c.field(f)
	var nodes []ir.Node
	for _, a := range x.Args[1:] {
		v, ok := c.literal(a)
		s, isText := v.(string)
		if !ok || !isText {
			c.errorf(a.Range(), "", "%s takes a constant text here", x.Name)
			return never
		}
		if known {
			nodes = append(nodes, c.callOne(x, name, kind, f, id, a.Range(), s))
		}
	}
	if !known {
		return ir.Const{Value: ir.Null}
	}
	return ir.Or{Args: nodes}
}

func (c *checker) callOne(x *eql.Call, name string, kind ir.PatternKind, f *eql.Field, id event.FieldID, at eql.Span, s string) ir.Node {
	if name != "cidrmatch" {
		return c.pattern(at, id, ir.Pattern{Kind: kind, Text: s, Fold: x.Fold})
	}
	if id.Kind() != event.KindIP {
		c.errorf(f.Span, "", "%s is %s, not an address", f.Path(), kindName(id.Kind()))
		return never
	}
	p, err := prefix(s)
	if err != nil {
		c.errorf(at, "", "%q is not a network", s)
		return never
	}
	return ir.IPIn{Field: id, Prefixes: []netip.Prefix{p}}
}
