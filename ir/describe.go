package ir

import (
	"fmt"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
)

func (t Truth) String() string { return [...]string{Null: "null", False: "false", True: "true"}[t] }

func (c Cmp) String() string {
	return [...]string{Eq: "==", Ne: "!=", Lt: "<", Le: "<=", Gt: ">", Ge: ">="}[c]
}

func (k PatternKind) String() string {
	return [...]string{Exact: "is", Prefix: "begins with", Suffix: "ends with", Contains: "contains", Wildcard: "is like",
		Regex: "matches"}[k]
}

// FieldOf is the field that a leaf tests first.
func FieldOf(n Node) (event.FieldID, bool) {
	switch n := n.(type) {
	case Present:
		return n.Field, true
	case StringTest:
		return n.Field, true
	case IntTest:
		return n.Field, true
	case IntIn:
		return n.Field, true
	case IPIn:
		return n.Field, true
	case StringOrder:
		return n.Field, true
	case FieldTest:
		return n.Left, true
	}
	return 0, false
}

// Describe says in words what a leaf tests.
func Describe(n Node) string {
	f, ok := FieldOf(n)
	if !ok {
		if c, isConst := n.(Const); isConst {
			return c.Value.String()
		}
		return fmt.Sprintf("%T", n)
	}
	name := event.FieldByID(f).Name
	switch n := n.(type) {
	case Present:
		return name + " is there"
	case StringTest:
		return name + " " + describePatterns(n.Patterns)
	case IntTest:
		return fmt.Sprintf("%s %s %d", name, n.Cmp, n.Value)
	case IntIn:
		return fmt.Sprintf("%s is one of %d", name, n.Values)
	case IPIn:
		return fmt.Sprintf("%s is in %v", name, n.Prefixes)
	case StringOrder:
		return fmt.Sprintf("%s %s %q", name, n.Cmp, n.Value)
	case FieldTest:
		return fmt.Sprintf("%s %s %s", name, n.Cmp, event.FieldByID(n.Right).Name)
	}
	return name
}

// patternsShown bounds what a description spells out of a long list.
const patternsShown = 12

func describePatterns(patterns []Pattern) string {
	var parts []string
	for _, p := range patterns[:min(len(patterns), patternsShown)] {
		s := fmt.Sprintf("%s %q", p.Kind, p.Text)
		if p.Fold {
			s += " in any case"
		}
		parts = append(parts, s)
	}
	if more := len(patterns) - patternsShown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", or ")
}
