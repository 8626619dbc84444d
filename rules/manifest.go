package rules

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
		Globals      yaml.Node             `yaml:"globals"`
		Suppressions []manifestSuppression `yaml:"suppressions"`
	} `yaml:"ruleset"`
}

type category struct {
	Name     text         `yaml:"name"`
	Severity text         `yaml:"severity"`
	Rules    []ruleHeader `yaml:"rules"`
}

type ruleHeader struct {
	ID       text      `yaml:"id"`
	Name     string    `yaml:"name"`
	File     text      `yaml:"file"`
	Action   text      `yaml:"action"`
	Runtime  text      `yaml:"runtime"`
	Tags     []string  `yaml:"tags"`
	Mitre    []string  `yaml:"mitre"`
	Suppress yaml.Node `yaml:"suppress"`
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
		col, hint := 1, ""
		if p := yamlUnknown.FindStringSubmatch(m); p != nil {
			m = "unknown key " + p[1]
			hint = check.DidYouMean(p[1], manifestKeys)
			if lines := bytes.Split(src, []byte{'\n'}); line <= len(lines) {
				col += max(bytes.Index(lines[line-1], []byte(p[1])), 0)
			}
		}
		l.problem(file, line, col, "%s", m).Hint = hint
	}
}

// yamlUnknown finds the key in the YAML reader's complaint of an unknown one.
var yamlUnknown = regexp.MustCompile(`^field (\S+) not found in type `)

// manifestKeys are offered for a misspelt one.
var manifestKeys = []string{"ruleset", "name", "version", "description", "author", "date", "categories", "globals", "suppressions",
	"severity", "rules", "id", "file", "action", "runtime", "tags", "mitre", "suppress", "rule_id", "conditions"}

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
	l.define(&rs.Globals)
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
	l.suppressEvents(rs.Suppressions)
	l.unused(&rs.Globals)
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

func (l *loader) header(h ruleHeader, sev ir.Severity) {
	r := ir.Rule{ID: h.ID.Value, Name: h.Name, Severity: sev, Tags: h.Tags, Mitre: h.Mitre, File: h.File.Value}
	if r.Name == "" {
		r.Name = r.ID
	}
	at := h.ID
	l.begin(r.ID)
	defer l.end()
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
	r.Suppress = l.suppression(r.ID, &h.Suppress)
	before := len(l.pkg.Set.Rules)
	l.ownFile(r, manifestName, place{at.line, at.col}, place{h.File.line, h.File.col})
	if r.Suppress != nil && len(l.pkg.Set.Rules) > before {
		l.suppressWorks(&l.pkg.Set.Rules[before], &h.Suppress)
	}
}

// suppressEvents reads the conditions of events that do not count.
func (l *loader) suppressEvents(list []manifestSuppression) {
	l.suppressions = make(map[string][]ir.Node)
	places := make(map[string][]text)
	for _, s := range list {
		id := s.RuleID.Value
		if _, ok := l.ids[id]; !ok {
			l.problem(manifestName, s.RuleID.line, s.RuleID.col, "suppression of unknown rule %s", id).Hint =
				check.DidYouMean(id, slices.Sorted(maps.Keys(l.ids)))
			continue
		}
		for _, c := range s.Conditions {
			n, doubtful := l.condition(id, c)
			if n == nil {
				continue
			}
			if !doubtful {
				l.shadowed(id, n, c, places[id])
			}
			l.suppressions[id], places[id] = append(l.suppressions[id], n), append(places[id], c)
		}
	}
}

// condition reads one condition; nil when it cannot be used. doubtful says that there is a warning already.
func (l *loader) condition(id string, c text) (n ir.Node, doubtful bool) {
	l.rule = id
	defer l.end()
	whole, offset := l.inManifest(c)
	x, ds := eql.ParseExpr(l.place(manifestName), []byte(c.Value), l.dialect)
	if !ds.HasErrors() {
		l.uses(x)
		n, ds = check.Expr(eql.NewSource(l.place(manifestName), c.Value), x, l.dialect, l.globals)
	}
	move := movedBy(whole, c.Value, offset)
	for i := range ds {
		ds[i] = move(ds[i])
		ds[i].Msg = "suppression of " + id + ": " + ds[i].Msg
	}
	l.diagnostics(manifestName, whole, ds)
	if ds.HasErrors() {
		return nil, true
	}
	return n, len(ds) > 0
}

// inManifest gives the place in the manifest of each byte of a text that stands in one line as it is, without escapes; of
// another text the place where it begins.
func (l *loader) inManifest(c text) (*eql.Source, func(int) int) {
	whole := l.source(manifestName)
	start := textOffset(whole.Text, c.line, c.col)
	rest := whole.Text[start:]
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') && strings.HasPrefix(rest[1:], c.Value) {
		start, rest = start+1, rest[1:]
	}
	if !strings.HasPrefix(rest, c.Value) {
		return whole, func(int) int { return start }
	}
	return whole, func(o int) int { return start + min(o, len(c.Value)) }
}

// shadowed warns of a condition that changes nothing: one that never holds, or that an earlier one of the rule covers.
// of are the places of the earlier ones.
func (l *loader) shadowed(id string, n ir.Node, c text, of []text) {
	warn := func(format string, args ...any) {
		l.warning(manifestName, c.line, c.col, "suppression of "+id+": "+format, args...).Rule = id
	}
	for i, earlier := range l.suppressions[id] {
		if covers(earlier, n) {
			warn("what this describes is suppressed already by line %d", of[i].line)
			return
		}
	}
	r := slices.IndexFunc(l.pkg.Set.Rules, func(r ir.Rule) bool { return r.ID == id })
	if r < 0 {
		return
	}
	never, always := true, true
	for _, s := range l.pkg.Set.Rules[r].Stages {
		t := possible(n, s.Category)
		never = never && t&canBeTrue == 0
		always = always && t == canBeTrue
	}
	switch {
	case never:
		warn("this is never true for an event of the rule")
	case always:
		warn("this is always true: the rule never raises an alert")
	}
}
