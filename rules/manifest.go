package rules

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
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
		Globals      map[string]yaml.Node  `yaml:"globals"`
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

// yamlLine finds the place in an error of the YAML reader.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func (l *loader) yamlProblems(file string, src []byte, err error) {
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
		col := 1
		if p := yamlUnknown.FindStringSubmatch(m); p != nil {
			m = "unknown key " + p[1]
			if hint := check.DidYouMean(p[1], manifestKeys); hint != "" {
				m += " (" + hint + ")"
			}
			if lines := bytes.Split(src, []byte{'\n'}); line <= len(lines) {
				col += max(bytes.Index(lines[line-1], []byte(p[1])), 0)
			}
		}
		l.problem(file, line, col, "%s", m)
	}
}

// yamlUnknown finds the key in the YAML reader's complaint of an unknown one.
var yamlUnknown = regexp.MustCompile(`^field (\S+) not found in type `)

// manifestKeys are offered for a misspelt one.
var manifestKeys = []string{"ruleset", "name", "version", "description", "author", "date", "categories", "globals", "suppressions",
	"severity", "rules", "id", "file", "action", "runtime", "tags", "mitre", "rule_id", "conditions"}

func (l *loader) manifest(src []byte) {
	var m manifest
	dec := yaml.NewDecoder(bytes.NewReader(src))
	dec.KnownFields(true)
	if err := dec.Decode(&m); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the manifest is empty")
		}
		l.yamlProblems(manifestName, src, err)
		return
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		l.problem(manifestName, max(more.Line, 1), max(more.Column, 1), "a manifest is one YAML document; here a second begins")
		return
	}
	rs := &m.Ruleset
	l.pkg.Set.Name, l.pkg.Set.Version = rs.Name, rs.Version
	if rs.Name == "" {
		l.problem(manifestName, 1, 1, "ruleset.name is missing")
	}
	l.globals = make(check.Globals)
	for name, n := range rs.Globals {
		l.globals[name] = l.values(name, &n)
	}
	for _, c := range rs.Categories {
		sev, ok := severity(c.Severity.Value)
		if !ok {
			at := c.Severity
			if at.line == 0 {
				at = c.Name
			}
			l.problem(manifestName, max(at.line, 1), max(at.col, 1), "category %s: severity %q (low, medium, high or critical)", c.Name.Value, c.Severity.Value)
		}
		for _, h := range c.Rules {
			l.header(h, sev)
		}
	}
	l.suppress(rs.Suppressions)
	l.unnamed(rs.Categories)
}

// unnamed warns of queries that lie in the package and that the manifest does not name.
func (l *loader) unnamed(categories []category) {
	named := make(map[string]bool)
	for _, c := range categories {
		for _, h := range c.Rules {
			named[path.Clean(h.File.Value)] = true
		}
	}
	// What cannot be walked was read before, or is nobody's rule.
	_ = fs.WalkDir(l.fsys, ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && path.Ext(p) == ".eql" && !named[p] {
			l.pkg.Problems = append(l.pkg.Problems, Problem{File: l.place(p), Warning: true,
				Msg: "no rule of " + manifestName + " names this file; it is not used"})
		}
		return nil
	})
}

// values reads the list of a global: text and whole numbers.
func (l *loader) values(name string, n *yaml.Node) []any {
	if n.Kind != yaml.SequenceNode {
		l.problem(manifestName, n.Line, n.Column, "global %s is not a list", name)
		return nil
	}
	var values []any
	for _, e := range n.Content {
		switch e.Tag {
		case "!!int":
			i, err := strconv.ParseInt(e.Value, 0, 64)
			if err != nil {
				l.problem(manifestName, e.Line, e.Column, "global %s: %s does not fit 64 bits", name, e.Value)
			}
			values = append(values, i)
		case "!!str":
			values = append(values, e.Value)
		default:
			l.problem(manifestName, e.Line, e.Column, "global %s: %q is neither text nor a whole number; text may need quotes", name, e.Value)
		}
	}
	return values
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
				msg := d.Msg
				if d.Hint != "" {
					msg += " (" + d.Hint + ")"
				}
				l.problem(manifestName, c.line, c.col, "suppression of %s: %s", id, msg)
				l.pkg.Problems[len(l.pkg.Problems)-1].Warning = d.Severity == eql.Warning
			}
		}
	}
}
