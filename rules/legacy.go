package rules

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/limits"
)

// A package of the earlier Kestrel is a directory with one rule: a manifest and the query, or a module in its place.
const (
	legacyName  = "manifest.json"
	legacyQuery = "rule.eql"
)

// legacyModules are what the earlier Kestrel ran instead of a query.
var legacyModules = []string{"predicate.lua", "rule.wasm"}

// legacyKind is what a key of the manifest holds.
type legacyKind uint8

const (
	legacyObject legacyKind = iota
	legacyText
	legacyTexts
	legacyBool
	legacyVersion // text or a number
	legacyMillis
)

var legacyKindNames = [...]string{"an object", "text", "a list of texts", "true or false", "text or a number",
	"a whole number of milliseconds, not negative"}

var legacyKeys = map[string]legacyKind{
	"format_version":               legacyVersion,
	"metadata":                     legacyObject,
	"metadata.rule_id":             legacyText,
	"metadata.rule_name":           legacyText,
	"metadata.rule_version":        legacyVersion,
	"metadata.author":              legacyText,
	"metadata.description":         legacyText,
	"metadata.tags":                legacyTexts,
	"metadata.severity":            legacyText,
	"metadata.schema_version":      legacyVersion,
	"metadata.references":          legacyTexts,
	"capabilities":                 legacyObject,
	"capabilities.supports_inline": legacyBool,
	"capabilities.requires_alert":  legacyBool,
	"capabilities.requires_block":  legacyBool,
	"capabilities.max_span_ms":     legacyMillis,
	"capabilities.mitre_attack":    legacyTexts,
}

// legacyManifest is a manifest.json with the values that are of the right kind, by their keys.
type legacyManifest struct {
	l      *loader
	file   string
	src    *eql.Source
	values map[string]jsonValue
}

func (l *loader) isLegacy(dir string) bool {
	_, err := fs.Stat(l.fsys, path.Join(dir, legacyName))
	return err == nil
}

// legacy loads the one rule of a directory with a manifest.json.
func (l *loader) legacy(dir string) error {
	l.begin("")
	defer l.end()
	m := legacyManifest{l: l, file: path.Join(dir, legacyName), values: make(map[string]jsonValue)}
	text, err := l.read(m.file)
	if err != nil {
		return err
	}
	m.src = eql.NewSource(l.place(m.file), string(text))
	root, at, err := jsonTree(text)
	if err != nil {
		m.problem(at, "%v", err)
		return nil
	}
	members, ok := root.v.([]jsonMember)
	if !ok {
		m.problem(root.at, "the manifest is %s, want an object", root.what())
		return nil
	}
	m.read("", members)
	r := ir.Rule{ID: m.text("metadata.rule_id"), Name: m.text("metadata.rule_name"), Severity: m.severity(),
		Tags: m.texts("metadata.tags"), Mitre: m.texts("capabilities.mitre_attack"), File: path.Join(dir, legacyQuery)}
	if l.rule = r.ID; r.ID == "" {
		m.problem(m.values["metadata"].at, "metadata.rule_id is missing")
		return nil
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if block, _ := m.values["capabilities.requires_block"].v.(bool); block {
		r.Action = ir.ActionBlock
	}
	if ms, ok := millis(m.values["capabilities.max_span_ms"]); ok {
		r.MaxSpan = ms
	}
	if dir == "." {
		l.pkg.Set.Name, l.pkg.Set.Version = r.ID, m.version()
	}
	m.rule(dir, r)
	return nil
}

// rule loads the query, or says what stands in its place.
func (m *legacyManifest) rule(dir string, r ir.Rule) {
	_, err := fs.Stat(m.l.fsys, r.File)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range legacyModules {
			module := path.Join(dir, name)
			if _, err := fs.Stat(m.l.fsys, module); err == nil {
				m.l.problem(module, 0, 0, "rule %s is a module, and this version runs no modules yet: it takes %s", r.ID, legacyQuery)
				return
			}
		}
	}
	at := m.src.Position(m.values["metadata.rule_id"].at)
	m.l.ownFile(r, m.file, place{at.Line, at.Col}, place{at.Line, at.Col})
}

func (m *legacyManifest) problem(at int, format string, args ...any) {
	pos := m.src.Position(at)
	m.l.problem(m.file, pos.Line, pos.Col, format, args...)
}

func (m *legacyManifest) warning(at int, format string, args ...any) *Problem {
	pos := m.src.Position(at)
	return m.l.warning(m.file, pos.Line, pos.Col, format, args...)
}

// read keeps the members that are of the right kind. An unknown key is a warning only: these files come from elsewhere.
func (m *legacyManifest) read(prefix string, members []jsonMember) {
	for _, e := range members {
		key := prefix + e.key
		kind, ok := legacyKeys[key]
		if !ok {
			m.warning(e.at, "unknown key %s is ignored", key).Hint = check.DidYouMean(key, legacyNames())
			continue
		}
		if e.value.v == nil {
			continue
		}
		if bad := wrongKind(e.value, kind); bad != nil {
			m.problem(bad.at, "%s is %s, want %s", key, bad.what(), legacyKindNames[kind])
			continue
		}
		if _, ok := m.values[key]; ok {
			m.warning(e.at, "%s is there twice, the later counts", key)
		}
		m.values[key] = e.value
		if object, ok := e.value.v.([]jsonMember); ok {
			m.read(key+".", object)
		}
	}
}

func legacyNames() []string {
	names := make([]string, 0, len(legacyKeys))
	for k := range legacyKeys {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

// wrongKind returns the value, or the element of it, that is not what the key holds.
func wrongKind(j jsonValue, kind legacyKind) *jsonValue {
	ok := false
	switch v := j.v.(type) {
	case string:
		ok = kind == legacyText || kind == legacyVersion
	case bool:
		ok = kind == legacyBool
	case json.Number:
		_, isMillis := millis(j)
		ok = kind == legacyVersion || kind == legacyMillis && isMillis
	case []jsonMember:
		ok = kind == legacyObject
	case []jsonValue:
		ok = kind == legacyTexts
		for i := range v {
			if _, isText := v[i].v.(string); ok && !isText {
				return &v[i]
			}
		}
	}
	if ok {
		return nil
	}
	return &j
}

func (m *legacyManifest) text(key string) string {
	s, _ := m.values[key].v.(string)
	return s
}

func (m *legacyManifest) texts(key string) (list []string) {
	elements, _ := m.values[key].v.([]jsonValue)
	for _, e := range elements {
		if s, ok := e.v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// version is that of the rule, which an image bounds.
func (m *legacyManifest) version() string {
	v := m.values["metadata.rule_version"]
	s, ok := v.v.(string)
	if n, isNumber := v.v.(json.Number); isNumber {
		s, ok = n.String(), true
	}
	if ok && len(s) > limits.NameBytesMax {
		m.problem(v.at, "metadata.rule_version of %d bytes (max %d)", len(s), limits.NameBytesMax)
		return ""
	}
	return s
}

// severity is medium when the manifest names none. The earlier Kestrel also had one below low.
func (m *legacyManifest) severity() ir.Severity {
	v, ok := m.values["metadata.severity"]
	if !ok {
		return ir.Medium
	}
	name := m.text("metadata.severity")
	if s, ok := severity(name); ok {
		return s
	}
	if strings.EqualFold(name, "informational") || strings.EqualFold(name, "info") {
		return ir.Low
	}
	m.problem(v.at, "metadata.severity %q (low, medium, high or critical)", name)
	return ir.Medium
}

// millis reads a duration in whole milliseconds.
func millis(j jsonValue) (time.Duration, bool) {
	n, ok := j.v.(json.Number)
	if !ok {
		return 0, false
	}
	ms, err := strconv.ParseInt(n.String(), 10, 64)
	return time.Duration(ms) * time.Millisecond, err == nil && ms >= 0 && ms <= math.MaxInt64/int64(time.Millisecond)
}
