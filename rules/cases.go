package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/eql"
)

// Test is a case of a rule: events that must raise its alert, or must not. Other rules may alert on them as well.
type Test struct {
	Rule   string // id
	Name   string
	Match  bool   // the rule must alert
	Alerts int    // so many times; 0 with Match: once or more
	Lines  []byte // the events as JSON lines, as package ecsjson reads them
	File   string
	Line   int
}

// alertsMax bounds the alerts that a case may ask for. A case has a handful of events.
const alertsMax = 1_000_000

// casesFolder is the folder of a package whose .yaml files hold cases.
const casesFolder = "tests"

// The keys of a file of cases, and of a case.
var (
	casesKeys = []string{"rule", "match", "no_match"}
	caseKeys  = []string{"name", "events", "alerts"}
)

// Tests reads the cases of a package and of those below it: every .yaml file in a folder named tests, in the order of
// their names. What is wrong with a file is a problem at its place, and the file's good cases are still there. name stands
// before file names.
func Tests(fsys fs.FS, name string) ([]Test, []Problem) {
	var c caseReader
	l := newLoader(fsys, name, eql.Kestrel)
	err := fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() || path.Base(path.Dir(p)) != casesFolder:
			return nil
		case path.Ext(p) != ".yaml" && path.Ext(p) != ".yml":
			return nil
		}
		src, err := l.read(p)
		if err != nil {
			return err
		}
		c.file = p
		c.read(l, src)
		return nil
	})
	if err != nil {
		l.problem("", 0, 0, "read tests: %v", err)
	}
	l.excerpts()
	return c.tests, l.pkg.Problems
}

type caseReader struct {
	l     *loader
	file  string
	tests []Test
}

func (c *caseReader) problem(n *yaml.Node, format string, args ...any) *Problem {
	return c.l.problem(c.file, max(n.Line, 1), max(n.Column, 1), format, args...)
}

func (c *caseReader) read(l *loader, src []byte) {
	c.l = l
	root, err := yamlDocument(src)
	switch {
	case errors.Is(err, io.EOF):
		l.problem(c.file, 1, 1, "no cases")
		return
	case err != nil:
		l.yamlProblems(c.file, src, err)
		return
	}
	top := c.mapping(root, "a file of cases", casesKeys)
	if top == nil {
		return
	}
	rule := c.text(root, top["rule"], "the file", "rule")
	l.rule = rule
	defer l.end()
	seen := make(map[string]bool)
	for _, key := range casesKeys[1:] {
		list := top[key]
		if list == nil {
			continue
		}
		if list.Kind != yaml.SequenceNode {
			c.problem(list, "%s is %s, want a list of cases", key, yamlWhat(list))
			continue
		}
		for _, n := range list.Content {
			c.one(n, Test{Rule: rule, Match: key == "match", File: l.place(c.file), Line: n.Line}, seen)
		}
	}
	if top["match"] == nil && top["no_match"] == nil {
		c.problem(root, "no cases: neither match nor no_match is there")
	}
}

func (c *caseReader) one(n *yaml.Node, t Test, seen map[string]bool) {
	m := c.mapping(n, "a case", caseKeys)
	if m == nil {
		return
	}
	t.Name = c.text(n, m["name"], "a case", "name")
	if t.Name != "" && seen[t.Name] {
		c.problem(m["name"], "there is a case %q already", t.Name)
	}
	seen[t.Name] = true
	if m["events"] == nil {
		c.problem(n, "a case has no events")
		return
	}
	good := t.Rule != "" && t.Name != ""
	if m["alerts"] != nil && !c.alerts(unaliased(m["alerts"]), &t) {
		good = false
	}
	if c.events(unaliased(m["events"]), &t) && good {
		c.tests = append(c.tests, t)
	}
}

// alerts reads how often the rule must alert.
func (c *caseReader) alerts(n *yaml.Node, t *Test) bool {
	v, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < 0 || v > alertsMax:
		c.problem(n, "alerts is %s, want how often the rule must alert", yamlWhat(n))
	case v == 0 && t.Match:
		c.problem(n, "alerts: 0 stands under match").Hint = "a case without an alert belongs under no_match"
	case v > 0 && !t.Match:
		c.problem(n, "alerts: %d stands under no_match", v).Hint = "a case with alerts belongs under match"
	default:
		t.Alerts = v
		return true
	}
	return false
}

// events reads a list of events, each a mapping or a JSON object as text, or JSON lines in one text.
func (c *caseReader) events(n *yaml.Node, t *Test) bool {
	switch {
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.TrimSpace(n.Value) != "":
		return c.lines(n, t)
	default:
		c.problem(n, "events is %s, want a list of events", yamlWhat(n))
		return false
	}
	good := true
	for _, e := range n.Content {
		if e = unaliased(e); e.Kind == yaml.ScalarNode && strings.HasPrefix(strings.TrimSpace(e.Value), "{") {
			good = c.lines(e, t) && good
			continue
		}
		line, ok := c.event(e)
		good = good && ok
		t.Lines = append(append(t.Lines, line...), '\n')
	}
	return good
}

// lines takes events that are JSON lines already.
func (c *caseReader) lines(n *yaml.Node, t *Test) (good bool) {
	good = true
	for i, line := range strings.Split(n.Value, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		root, at, err := jsonTree([]byte(line))
		if _, ok := root.v.([]jsonMember); err == nil && !ok {
			err = fmt.Errorf("an event is %s, want a JSON object", root.what())
		}
		if err != nil {
			c.problem(c.inText(n, i, line, at), "%v", err)
			good = false
		}
		t.Lines = append(append(t.Lines, line...), '\n')
	}
	return good
}

// inText is the place of an offset within a line of a text, as far as it can be told from the file.
func (c *caseReader) inText(n *yaml.Node, i int, line string, at int) *yaml.Node {
	place := *n
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		place.Line += 1 + i
		place.Column = 1
	}
	if src := c.l.source(c.file); src != nil {
		if first := strings.Index(src.Line(place.Line), line); first >= 0 {
			place.Column = 1 + utf8.RuneCountInString(src.Line(place.Line)[:first+at])
		}
	}
	return &place
}

// event gives a mapping of fields to values as JSON.
func (c *caseReader) event(n *yaml.Node) ([]byte, bool) {
	if n.Kind != yaml.MappingNode && n.Kind != yaml.AliasNode || len(n.Content) == 0 && n.Kind == yaml.MappingNode {
		c.problem(n, "an event is %s, want fields and their values", yamlWhat(n))
		return nil, false
	}
	var fields map[string]any
	if err := n.Decode(&fields); err != nil {
		c.l.yamlProblems(c.file, nil, err)
		return nil, false
	}
	line, err := json.Marshal(fields)
	if err != nil {
		c.problem(n, "event: %v", err)
		return nil, false
	}
	return line, true
}

// mapping gives the values of a mapping by their keys, nil when it is none.
func (c *caseReader) mapping(n *yaml.Node, what string, keys []string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		c.problem(n, "%s is %s, want a mapping with %s", what, yamlWhat(n), strings.Join(keys, ", "))
		return nil
	}
	values := make(map[string]*yaml.Node)
	for _, e := range yamlEntries(n) {
		known := false
		for _, k := range keys {
			known = known || k == e.key.Value
		}
		switch {
		case !known:
			c.problem(e.key, "unknown key %s", e.key.Value).Hint = hintOf(e.key.Value, keys)
		case values[e.key.Value] != nil:
			c.problem(e.key, "key %s is there twice", e.key.Value)
		default:
			values[e.key.Value] = e.value
		}
	}
	return values
}

func (c *caseReader) text(in, n *yaml.Node, what, key string) string {
	switch {
	case n == nil:
		c.problem(in, "%s has no %s", what, key)
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "":
		c.problem(n, "%s is %s, want text", key, yamlWhat(n))
	default:
		return n.Value
	}
	return ""
}

// yamlDocument reads the one document of a file.
func yamlDocument(src []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: here a second document begins, and one is read", max(more.Line, 1))
	}
	return doc.Content[0], nil
}

// yamlEntry is a key of a mapping and its value.
type yamlEntry struct{ key, value *yaml.Node }

// yamlEntries are the entries of a mapping, in their order.
func yamlEntries(n *yaml.Node) []yamlEntry {
	var list []yamlEntry
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, yamlEntry{n.Content[i], n.Content[i+1]})
	}
	return list
}

// yamlWhat names the kind of a node.
func yamlWhat(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) == 0 {
			return "an empty mapping"
		}
		return "a mapping"
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			return "an empty list"
		}
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch {
	case n.Tag == "!!null":
		return "empty"
	case n.Value == "":
		return "an empty text"
	}
	return fmt.Sprintf("%q", n.Value)
}
