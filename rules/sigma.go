package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// sigmaLike tells Sigma rules from the other YAML files of a directory.
var sigmaLike = regexp.MustCompile(`(?m)^(detection|correlation)[ \t]*:`)

// sigmaCategory is what a category of Sigma's log sources is in EQL.
type sigmaCategory struct {
	query string // up to the conditions of the rule
	class event.Class
}

// sigmaCategories are those that are translated. The reports that Sigma's authors had in mind are those of Sysmon: one of
// a file comes also when an existing file is written anew, one of a connection for either side.
var sigmaCategories = map[string]sigmaCategory{
	"process_creation":   {`process where event.type == "start" and event.action == "exec"`, event.ClassProcess},
	"file_event":         {`file where event.action in ("creation", "modification")`, event.ClassFile},
	"network_connection": {`network where event.action in ("connection_attempted", "connection_accepted")`, event.ClassNetwork},
}

// sigmaLevels are the names of severity that Kestrel does not have.
var sigmaLevels = map[string]ir.Severity{"informational": ir.Low}

// sigmaTechnique is the tag of a technique.
var sigmaTechnique = regexp.MustCompile(`^(?i)attack\.(t[0-9]{4}(?:\.[0-9]{3})?)$`)

// sigma translates one rule.
type sigma struct {
	l          *loader
	file       string
	whole      *eql.Source // of the file
	name       string      // of the category
	category   sigmaCategory
	detection  *yaml.Node
	selections map[string]*sigmaNode
	names      []string // of the selections, in their order
	failed     bool
}

// sigma loads the rule of a file: its EQL is what the rule set has as its query.
func (l *loader) sigma(file string, src []byte) {
	root, err := yamlDocument(src)
	if err != nil {
		l.yamlProblems(file, src, err)
		return
	}
	s := sigma{l: l, file: file, whole: eql.NewSource(l.place(file), string(src)), selections: make(map[string]*sigmaNode)}
	top := s.top(root)
	switch {
	case s.failed:
		return
	case top["correlation"] != nil:
		s.fail(top["correlation"], "correlation rules are refused: write a sequence in EQL")
		return
	case top["action"] != nil:
		s.fail(top["action"], "rule collections (action) are refused: write one rule per file")
		return
	case top["detection"] == nil || top["logsource"] == nil:
		s.fail(root, "a Sigma rule needs logsource and detection")
		return
	}
	s.detection = top["detection"]
	id := strings.TrimSuffix(path.Base(file), path.Ext(file))
	l.rule = s.text(top["id"], "id", id)
	r := ir.Rule{ID: l.rule, Severity: s.severity(top["level"]), File: file}
	r.Name = s.text(top["title"], "title", r.ID)
	s.tags(top["tags"], &r)
	if !s.source(top["logsource"], r.ID) {
		return
	}
	condition := s.read()
	if s.failed {
		return
	}
	text, places := s.render(condition)
	at := root
	if top["id"] != nil {
		at = top["id"]
	}
	l.query(r, []byte(text), origin{file: file, line: at.Line, col: at.Column, dialect: eql.Kestrel, whole: s.whole, moved: func(d eql.Diagnostic) eql.Diagnostic {
		n := s.detection
		for _, p := range places {
			if p.offset <= d.Span.Start {
				n = p.node
			}
		}
		o := textOffset(s.whole.Text, n.Line, n.Column)
		return inFile(s.whole, d, eql.Span{Start: o, End: o + len(n.Value)})
	}})
}

func (s *sigma) fail(n *yaml.Node, format string, args ...any) *Problem {
	s.failed = true
	return s.l.problem(s.file, max(n.Line, 1), max(n.Column, 1), format, args...)
}

// top gives the values of the rule's keys. Sigma allows keys of one's own.
func (s *sigma) top(root *yaml.Node) map[string]*yaml.Node {
	if root.Kind != yaml.MappingNode {
		s.fail(root, "a Sigma rule is a mapping, this is %s", yamlWhat(root))
		return nil
	}
	return s.entries(root)
}

func (s *sigma) entries(n *yaml.Node) map[string]*yaml.Node {
	values := make(map[string]*yaml.Node)
	for _, e := range yamlEntries(n) {
		if values[e.key.Value] != nil {
			s.fail(e.key, "key %s is there twice", e.key.Value)
		}
		values[e.key.Value] = e.value
	}
	return values
}

// text is the value of a key that holds text, or what stands for it when the key is not there.
func (s *sigma) text(n *yaml.Node, key, absent string) string {
	switch {
	case n == nil:
		return absent
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "":
		s.fail(n, "%s is %s, want text", key, yamlWhat(n))
		return absent
	}
	return n.Value
}

func (s *sigma) severity(n *yaml.Node) ir.Severity {
	level := s.text(n, "level", "medium")
	if sev, ok := severity(level); ok {
		return sev
	}
	sev, ok := sigmaLevels[level]
	if !ok && n.Kind == yaml.ScalarNode {
		s.fail(n, "level %q (informational, low, medium, high or critical)", level)
	}
	return sev
}

func (s *sigma) tags(n *yaml.Node, r *ir.Rule) {
	if n == nil || n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		s.fail(n, "tags is %s, want a list of texts", yamlWhat(n))
		return
	}
	for _, t := range n.Content {
		tag := s.text(t, "a tag", "")
		r.Tags = append(r.Tags, tag)
		if p := sigmaTechnique.FindStringSubmatch(tag); p != nil {
			if id := strings.ToUpper(p[1]); !slices.Contains(r.Mitre, id) {
				r.Mitre = append(r.Mitre, id)
			}
		}
	}
}

// source tells whether the rule is for events that Kestrel has. One that is not is passed over: collections of Sigma
// rules hold those of many systems.
func (s *sigma) source(n *yaml.Node, id string) bool {
	if n.Kind != yaml.MappingNode {
		s.fail(n, "logsource is %s, want a mapping", yamlWhat(n))
		return false
	}
	m := s.entries(n)
	pass := func(at *yaml.Node, why string) bool {
		s.l.warning(s.file, at.Line, at.Column, "passed over: rule %s is for %s", id, why)
		return false
	}
	product := s.text(m["product"], "product", "linux")
	service := s.text(m["service"], "service", "")
	s.name = s.text(m["category"], "category", "")
	category, ok := sigmaCategories[s.name]
	switch {
	case s.failed:
		return false
	case product != "linux":
		return pass(m["product"], "product "+product+", and linux is translated")
	case service != "":
		return pass(m["service"], "the log of service "+service+", which Kestrel does not read")
	case s.name == "":
		return pass(n, "a log source without a category")
	case !ok:
		return pass(m["category"], "category "+s.name+" (process_creation, file_event and network_connection are translated)")
	}
	s.category = category
	return true
}

// read translates the selections and the condition.
func (s *sigma) read() *sigmaNode {
	if s.detection.Kind != yaml.MappingNode {
		s.fail(s.detection, "detection is %s, want a mapping", yamlWhat(s.detection))
		return nil
	}
	var condition *yaml.Node
	s.entries(s.detection)
	for _, e := range yamlEntries(s.detection) {
		switch e.key.Value {
		case "condition":
			condition = e.value
		case "timeframe":
			s.fail(e.key, "timeframe is refused: write a sequence with maxspan in EQL")
		default:
			s.names = append(s.names, e.key.Value)
			s.selections[e.key.Value] = s.selection(e.key, e.value)
		}
	}
	if condition == nil {
		s.fail(s.detection, "detection has no condition")
		return nil
	}
	list := []*yaml.Node{condition}
	if condition.Kind == yaml.SequenceNode && len(condition.Content) > 0 {
		list = condition.Content
	}
	any := &sigmaNode{op: sigmaOr}
	for _, c := range list {
		if c.Kind != yaml.ScalarNode || strings.TrimSpace(c.Value) == "" || c.Tag == "!!null" {
			s.fail(c, "condition is %s, want text", yamlWhat(c))
			continue
		}
		p := conditionParser{s: s, at: c}
		any.args = append(any.args, p.parse())
	}
	return any
}

// sigmaOp is how the parts of a condition are joined.
type sigmaOp uint8

const (
	sigmaLeaf sigmaOp = iota
	sigmaAnd
	sigmaOr
	sigmaNot
)

// sigmaNode is a part of a condition. A selection that the condition names twice is one node with two parents.
type sigmaNode struct {
	op   sigmaOp
	args []*sigmaNode
	// Of a leaf: its EQL, the field that it is null without, empty when it never is, and where it was written.
	text  string
	field string
	at    *yaml.Node
}

// leafPlace says which node the EQL from an offset on comes from.
type leafPlace struct {
	offset int
	node   *yaml.Node
}

// render writes the query, and where each part of it comes from.
func (s *sigma) render(n *sigmaNode) (string, []leafPlace) {
	w := sigmaWriter{}
	w.b.WriteString(s.category.query)
	for _, a := range n.flat(sigmaAnd) {
		w.b.WriteString(" and\n  ")
		w.node(a, sigmaAnd, false)
	}
	w.b.WriteByte('\n')
	return w.b.String(), w.places
}

type sigmaWriter struct {
	b      strings.Builder
	places []leafPlace
}

// only skips joints of one part.
func (n *sigmaNode) only() *sigmaNode {
	for len(n.args) == 1 && n.op != sigmaNot {
		n = n.args[0]
	}
	return n
}

// flat are the parts that an operator joins, also those of parts joined by the same.
func (n *sigmaNode) flat(op sigmaOp) []*sigmaNode {
	n = n.only()
	if n.op != op {
		return []*sigmaNode{n}
	}
	var list []*sigmaNode
	for _, a := range n.args {
		list = append(list, a.flat(op)...)
	}
	return list
}

// node writes a part of what an operator joins, in parentheses when it has to hold together. In Sigma a test of a field
// that is not there is false and its negation true; in EQL both are null. So below a not a test says that its field is
// there.
func (w *sigmaWriter) node(n *sigmaNode, within sigmaOp, negated bool) {
	if w.b.Len() > eql.MaxSourceBytes {
		return // the parser refuses it
	}
	n = n.only()
	guarded := n.op == sigmaLeaf && negated && n.field != ""
	parentheses := n.op == sigmaOr || n.op == sigmaAnd || guarded && within != sigmaAnd || n.op == sigmaLeaf && within == sigmaNot
	if parentheses {
		w.b.WriteByte('(')
	}
	switch n.op {
	case sigmaNot:
		w.b.WriteString("not ")
		w.node(n.args[0], sigmaNot, true)
	case sigmaLeaf:
		w.places = append(w.places, leafPlace{w.b.Len(), n.at})
		if guarded {
			fmt.Fprintf(&w.b, "%s != null and ", n.field)
		}
		w.b.WriteString(n.text)
	default:
		joint := " and "
		if n.op == sigmaOr {
			joint = " or "
		}
		for i, a := range n.flat(n.op) {
			if i > 0 {
				w.b.WriteString(joint)
			}
			w.node(a, n.op, negated)
		}
	}
	if parentheses {
		w.b.WriteByte(')')
	}
}
