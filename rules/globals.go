package rules

import (
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// define reads the globals of a manifest.
func (l *loader) define(n *yaml.Node) {
	l.globals = make(check.Globals)
	n = unaliased(n)
	switch {
	case n.Kind == 0 || n.Tag == "!!null":
		return
	case n.Kind != yaml.MappingNode:
		l.at(n, "globals is %s, want names and their lists", yamlWhat(n))
		return
	}
	lines := make(map[string]int)
	for _, e := range yamlEntries(n) {
		name := e.key.Value
		if first, ok := lines[name]; ok {
			l.at(e.key, "global %s is there twice, first in line %d", name, first)
			continue
		}
		lines[name] = e.key.Line
		l.globals[name] = l.values(name, unaliased(e.value))
	}
}

// unused warns of globals that nothing names, and of those that say the same as another. What cannot be read may name
// any: then nothing is said.
func (l *loader) unused(n *yaml.Node) {
	if n = unaliased(n); n.Kind != yaml.MappingNode || l.pkg.HasErrors() {
		return
	}
	same := make(map[string]*yaml.Node)
	for _, e := range yamlEntries(n) {
		if !l.used[e.key.Value] {
			l.at(e.key, "global %s is used by no rule and no suppression", e.key.Value).Warning = true
		}
		key := ""
		for _, v := range unaliased(e.value).Content {
			key += strconv.Quote(v.Tag + v.Value)
		}
		if first := same[key]; first != nil {
			l.at(e.key, "global %s has the values of %s, line %d", e.key.Value, first.Value, first.Line).Warning = true
		} else {
			same[key] = e.key
		}
	}
}

// uses notes the globals that a query or a condition names.
func (l *loader) uses(n eql.Node) {
	eql.Walk(n, func(n eql.Node) bool {
		if v, ok := n.(*eql.Var); ok {
			l.used[v.Name] = true
		}
		return true
	})
}

// values reads the list of a global: text and whole numbers.
func (l *loader) values(name string, n *yaml.Node) []any {
	if n.Kind != yaml.SequenceNode {
		l.at(n, "global %s is not a list", name)
		return nil
	}
	var values []any
	seen := make(map[any]bool)
	for _, e := range n.Content {
		e = unaliased(e)
		var value any = e.Value
		switch e.Tag {
		case "!!int":
			i, err := strconv.ParseInt(e.Value, 0, 64)
			if err != nil {
				l.at(e, "global %s: %s does not fit 64 bits", name, e.Value)
			}
			value = i
		case "!!str":
		default:
			l.at(e, "global %s: %q is neither text nor a whole number; text may need quotes", name, e.Value)
			continue
		}
		if seen[value] {
			l.at(e, "global %s: %q is there twice", name, e.Value).Warning = true
		}
		seen[value] = true
		values = append(values, value)
	}
	return values
}

// at reports a problem at a node of the manifest.
func (l *loader) at(n *yaml.Node, format string, args ...any) *Problem {
	return l.problem(manifestName, max(n.Line, 1), max(n.Column, 1), format, args...)
}

// unaliased is what a node stands for.
func unaliased(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// hintOf offers the nearest of the names, or all of them.
func hintOf(wrong string, names []string) string {
	if hint := check.DidYouMean(wrong, names); hint != "" {
		return hint
	}
	all := "there are "
	for i, n := range names {
		if i > 0 {
			all += ", "
		}
		all += n
	}
	return all
}
