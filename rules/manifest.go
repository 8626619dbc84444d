package rules

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// manifest is manifest.yaml; unknown keys are errors.
type manifest struct {
	Ruleset struct {
		Name         string                `yaml:"name"`
		Version      string                `yaml:"version"`
		Description  string                `yaml:"description"`
		Author       string                `yaml:"author"`
		Date         string                `yaml:"date"`
		Categories   []category            `yaml:"categories"`
		Globals      map[string][]scalar   `yaml:"globals"`
		Suppressions []manifestSuppression `yaml:"suppressions"`
	} `yaml:"ruleset"`
}

type category struct {
	Name     text         `yaml:"name"`
	Severity text         `yaml:"severity"`
	Rules    []ruleHeader `yaml:"rules"`
}

type ruleHeader struct {
	ID      text     `yaml:"id"`
	Name    string   `yaml:"name"`
	File    text     `yaml:"file"`
	Action  text     `yaml:"action"`
	Runtime text     `yaml:"runtime"`
	Tags    []string `yaml:"tags"`
	Mitre   []string `yaml:"mitre"`
}

type manifestSuppression struct {
	RuleID     text   `yaml:"rule_id"`
	Conditions []text `yaml:"conditions"`
}

// text is a string that remembers its place.
type text struct {
	Value     string
	line, col int
}

func (t *text) UnmarshalYAML(n *yaml.Node) error {
	t.line, t.col = n.Line, n.Column
	return n.Decode(&t.Value)
}

// scalar is an element of a global: a string or an integer.
type scalar struct{ v any }

func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Tag == "!!int" {
		i, err := strconv.ParseInt(n.Value, 0, 64)
		s.v = i
		return err
	}
	var str string
	err := n.Decode(&str)
	s.v = str
	return err
}

// yamlLine finds the place in an error of the YAML reader.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func (l *loader) yamlProblems(file string, err error) {
	msgs := []string{err.Error()}
	var te *yaml.TypeError
	if errors.As(err, &te) {
		msgs = te.Errors
	}
	for _, m := range msgs {
		line := 1
		if p := yamlLine.FindStringSubmatch(m); p != nil {
			line, _ = strconv.Atoi(p[1])
			m = p[2]
		}
		l.problem(file, line, 1, "%s", m)
	}
}

func (l *loader) manifest(src []byte) {
	var m manifest
	dec := yaml.NewDecoder(bytes.NewReader(src))
	dec.KnownFields(true)
	if err := dec.Decode(&m); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the manifest is empty")
		}
		l.yamlProblems(manifestName, err)
		return
	}
	rs := &m.Ruleset
	l.pkg.Set.Name, l.pkg.Set.Version = rs.Name, rs.Version
	if rs.Name == "" {
		l.problem(manifestName, 1, 1, "ruleset.name is missing")
	}
	l.globals = make(check.Globals)
	for name, list := range rs.Globals {
		values := make([]any, len(list))
		for i, s := range list {
			values[i] = s.v
		}
		l.globals[name] = values
	}
	for _, c := range rs.Categories {
		sev, ok := severity(c.Severity.Value)
		if !ok {
			l.problem(manifestName, c.Name.line, c.Name.col, "category %s: severity %q (low, medium, high or critical)", c.Name.Value, c.Severity.Value)
		}
		for _, h := range c.Rules {
			l.header(h, sev)
		}
	}
	l.suppress(rs.Suppressions)
}

func (l *loader) header(h ruleHeader, sev ir.Severity) {
	r := ir.Rule{ID: h.ID.Value, Name: h.Name, Severity: sev, Tags: h.Tags, Mitre: h.Mitre, File: h.File.Value}
	if r.Name == "" {
		r.Name = r.ID
	}
	at := h.ID
	switch {
	case r.ID == "":
		l.problem(manifestName, max(h.File.line, 1), h.File.col, "a rule has no id")
		return
	case r.File == "":
		l.problem(manifestName, at.line, at.col, "rule %s has no file", r.ID)
		return
	}
	switch h.Action.Value {
	case "", "alert":
	case "block":
		r.Action = ir.ActionBlock
	case "kill":
		r.Action = ir.ActionKill
	default:
		l.problem(manifestName, h.Action.line, h.Action.col, "rule %s: action %q (alert, block or kill)", r.ID, h.Action.Value)
	}
	if rt := h.Runtime; rt.Value != "" && rt.Value != "native" {
		l.problem(manifestName, rt.line, rt.col, "rule %s: runtime %q is not supported by this version (native)", r.ID, rt.Value)
	}
	l.rule(r, manifestName, at.line, at.col)
}

func (l *loader) suppress(list []manifestSuppression) {
	l.suppressions = make(map[string][]ir.Node)
	for _, s := range list {
		id := s.RuleID.Value
		if _, ok := l.ids[id]; !ok {
			l.problem(manifestName, s.RuleID.line, s.RuleID.col, "suppression of unknown rule %s", id)
			continue
		}
		for _, c := range s.Conditions {
			// The condition's own line and column are those inside its text: name the place in the manifest instead.
			x, ds := eql.ParseExpr(l.place(manifestName), []byte(c.Value), l.dialect)
			if !ds.HasErrors() {
				var n ir.Node
				n, ds = check.Expr(eql.NewSource(l.place(manifestName), c.Value), x, l.dialect, l.globals)
				if !ds.HasErrors() {
					l.suppressions[id] = append(l.suppressions[id], n)
				}
			}
			for _, d := range ds {
				l.problem(manifestName, c.line, c.col, "suppression of %s: %s", id, d.Msg)
			}
		}
	}
}
