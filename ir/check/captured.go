package check

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// captured warns of a step that no event can fulfil which this version captures: a category without events, or a test of
// event.type or event.action that asks for values only other events have. Where there are such events it warns of the
// fields that none of them has. Events read from elsewhere may have them.
func (c *checker) captured(s *eql.Stage, st *ir.Stage) {
	var types []*event.TypeInfo
	for i := range event.Types {
		t := &event.Types[i]
		if t.Captured && !t.Type.IsContext() && (st.Category == event.CategoryAny || st.Category == t.Category) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		c.warnf(s.Event.CategorySpan, "", "this version captures no %s events", st.Category)
		return
	}
	conjuncts := []ir.Node{st.Cond}
	if and, ok := st.Cond.(ir.And); ok {
		conjuncts = and.Args
	}
	for _, n := range conjuncts {
		t, ok := n.(ir.StringTest)
		if !ok || t.Field != event.FieldEventType && t.Field != event.FieldEventAction {
			continue
		}
		before := len(types)
		types = slices.DeleteFunc(types, func(e *event.TypeInfo) bool { return !has(e, t) })
		if len(types) == 0 && before > 0 {
			c.warnf(s.Event.Range(), "docs/FIELDS.md lists what is captured", "no event that this version captures has this %s",
				event.FieldByID(t.Field).Name)
			return
		}
	}
	c.unfilled(s, st.Category, types)
}

// unfilled warns of the fields of a step that no source on a device gives to events of these types, each once and where it
// is first met. Who writes ?field knows that it may be null, and what the category lacks altogether was said before.
func (c *checker) unfilled(s *eql.Stage, category event.Category, types []*event.TypeInfo) {
	var said []event.FieldID
	eql.Walk(s, func(n eql.Node) bool {
		if _, ok := n.(*eql.Lineage); ok {
			return false // a step of its own, of other events
		}
		f, ok := n.(*eql.Field)
		if !ok || f.Optional {
			return true
		}
		known := event.FieldByName(f.Path())
		if known == nil || slices.Contains(said, known.ID) || !gives(event.Types[:], category, known) {
			return true
		}
		carries := func(t *event.TypeInfo) bool { return known.ID.CarriedBy(t.Class) }
		if !known.Captured || !slices.ContainsFunc(types, carries) {
			said = append(said, known.ID)
			c.warnf(f.Span, "docs/FIELDS.md lists what is captured",
				"no source on a device gives %s in such an event yet: it is null", known.Name)
		}
		return true
	})
}

// gives tells whether an event of the category can have the field, whatever its source.
func gives(types []event.TypeInfo, category event.Category, f *event.Field) bool {
	return slices.ContainsFunc(types, func(t event.TypeInfo) bool {
		return (category == event.CategoryAny || t.Category == category) && f.ID.CarriedBy(t.Class)
	})
}

// has tells whether events of a type may fulfil a test of event.type or event.action. Patterns that are not exact are
// taken to.
func has(e *event.TypeInfo, t ir.StringTest) bool {
	values := []string{e.Action}
	if t.Field == event.FieldEventType {
		values = strings.Split(e.Types, "\x00")
	}
	return slices.ContainsFunc(t.Patterns, func(p ir.Pattern) bool {
		return p.Kind != ir.Exact || slices.ContainsFunc(values, func(v string) bool {
			return v == p.Text || p.Fold && strings.EqualFold(v, p.Text)
		})
	})
}
