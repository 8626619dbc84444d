package check

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// captured warns of a step that no event can fulfil which this version captures: a category without events, or a test of
// event.type or event.action that asks for values only other events have. Events read from elsewhere may have them.
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
