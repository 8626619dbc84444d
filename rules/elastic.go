package rules

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
)

// elasticFile is what is read of a file of Elastic's detection-rules; the rest of it is for other programs.
type elasticFile struct {
	Rule *elasticRule `toml:"rule"`
}

type elasticRule struct {
	ID       string          `toml:"rule_id"`
	Name     string          `toml:"name"`
	Severity string          `toml:"severity"`
	Language string          `toml:"language"`
	Type     string          `toml:"type"`
	Query    string          `toml:"query"`
	Tags     []string        `toml:"tags"`
	Filters  []any           `toml:"filters"`
	Threat   []elasticThreat `toml:"threat"`

	Suppression *elasticSuppression `toml:"alert_suppression"`
}

type elasticThreat struct {
	Framework string             `toml:"framework"`
	Technique []elasticTechnique `toml:"technique"`
}

type elasticTechnique struct {
	ID           string `toml:"id"`
	Subtechnique []struct {
		ID string `toml:"id"`
	} `toml:"subtechnique"`
}

// elastic loads a rule in the elastic dialect. alone says that the user named this file; in a directory a .toml file may
// be something else.
func (l *loader) elastic(file string, src []byte, alone bool) {
	var f elasticFile
	if err := toml.Unmarshal(src, &f); err != nil {
		l.tomlProblem(file, err)
		return
	}
	whole := eql.NewSource(l.place(file), string(src))
	places := tomlPlaces(src)
	at := func(key string) (line, col int) {
		p := whole.Position(places[key].at)
		return p.Line, p.Col
	}
	if f.Rule == nil {
		if alone {
			l.problem(file, 1, 1, "there is no [rule] in this file: it is no detection rule of Elastic")
		} else {
			l.warning(file, 1, 1, "passed over: there is no [rule] in this file")
		}
		return
	}
	r := f.Rule
	l.rule = r.ID
	if key, value := r.otherLanguage(places); key != "" {
		line, col := at(key)
		l.warning(file, line, col, "passed over: rule %s is in another language (%s = %q), and eql is read", r.ID, key, value)
		return
	}
	line, col := at("rule")
	if r.ID == "" || strings.TrimSpace(r.Query) == "" {
		l.problem(file, line, col, "a rule needs rule_id and query")
		return
	}
	out := ir.Rule{ID: r.ID, Name: r.Name, Severity: ir.Medium, Tags: r.Tags, Mitre: techniques(r.Threat), File: file}
	if out.Name == "" {
		out.Name = out.ID
	}
	if r.Severity != "" {
		sev, ok := severity(r.Severity)
		if !ok {
			line, col := at("rule.severity")
			l.problem(file, line, col, "rule %s: severity %q (low, medium, high or critical)", r.ID, r.Severity)
		}
		out.Severity = sev
	}
	if len(r.Filters) > 0 {
		line, col := at("rule.filters")
		l.warning(file, line, col, "rule %s: the filters beside the query are not applied, so it may alert more often than in Elastic", r.ID)
	}
	out.Suppress = l.alertSuppression(file, r.ID, r.Suppression, at)
	from := origin{file: file, dialect: eql.Elastic, whole: whole}
	from.line, from.col = at("rule.rule_id")
	query := places["rule.query"]
	from.moved = movedBy(whole, r.Query, tomlOffsets(src, query, r.Query))
	l.query(out, []byte(r.Query), from)
}

// otherLanguage is the key, and its value, that says that a rule is not in EQL; empty when it is.
func (r *elasticRule) otherLanguage(places map[string]tomlPlace) (key, value string) {
	_, language := places["rule.language"]
	_, kind := places["rule.type"]
	switch {
	case r.Language != "eql" && language:
		return "rule.language", r.Language
	case r.Language != "eql", kind && r.Type != "eql":
		return "rule.type", r.Type
	}
	return "", ""
}

// techniques are the ids of the techniques and of the subtechniques, each once.
func techniques(threats []elasticThreat) (ids []string) {
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, t := range threats {
		if t.Framework != "" && !strings.Contains(t.Framework, "ATT&CK") {
			continue
		}
		for _, q := range t.Technique {
			add(q.ID)
			for _, s := range q.Subtechnique {
				add(s.ID)
			}
		}
	}
	return ids
}

// tomlWrong finds in the reader's complaint what stands where something else is expected.
var tomlWrong = regexp.MustCompile(`^toml: cannot (?:decode TOML (\S+)|store an? (.+)) in`)

// tomlWants are the keys that do not hold text.
var tomlWants = map[string]string{"rule": "a table", "threat": "a list of tables", "technique": "a list of tables",
	"subtechnique": "a list of tables", "filters": "a list of tables", "tags": "a list of texts"}

func (l *loader) tomlProblem(file string, err error) {
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		l.problem(file, 1, 1, "%s", strings.TrimPrefix(err.Error(), "toml: "))
		return
	}
	msg := strings.TrimPrefix(de.Error(), "toml: ")
	if p := tomlWrong.FindStringSubmatch(de.Error()); p != nil && len(de.Key()) > 0 {
		key := de.Key()
		want := tomlWants[key[len(key)-1]]
		if want == "" {
			want = "text"
		}
		msg = strings.Join(key, ".") + " is of type " + p[1] + p[2] + ", want " + want
	}
	line, col := de.Position()
	l.problem(file, line, col, "%s", msg)
}

// tomlPlace is where a value stands, with its quotes, or a table's header.
type tomlPlace struct{ at, end int }

// tomlPlaces are the places of the tables and values of a document that has been read without an error, by their keys,
// of several with the same key the first.
func tomlPlaces(src []byte) map[string]tomlPlace {
	places := make(map[string]tomlPlace)
	add := func(key string, at, end int) {
		if _, ok := places[key]; !ok {
			places[key] = tomlPlace{at, end}
		}
	}
	var p unstable.Parser
	p.Reset(src)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		first := -1
		for it := e.Key(); it.Next(); {
			if parts = append(parts, string(it.Node().Data)); first < 0 {
				first = int(it.Node().Raw.Offset)
			}
		}
		key := strings.Join(parts, ".")
		if e.Kind != unstable.KeyValue {
			table = key + "."
			add(key, first, first)
			continue
		}
		add(table+key, first, first)
		if v := e.Value(); v.Kind == unstable.String && v.Raw.Length > 0 {
			places[table+key] = tomlPlace{int(v.Raw.Offset), int(v.Raw.Offset + v.Raw.Length)}
		}
	}
	return places
}

// tomlOffsets maps byte offsets of a string's value to those of the file it was read from. Both are walked side by side:
// escapes, line ends that are left out and the quotes are in the file only.
func tomlOffsets(src []byte, at tomlPlace, value string) func(int) int {
	raw := src[at.at:at.end]
	i, escapes := 1, bytes.HasPrefix(raw, []byte{'"'})
	if bytes.HasPrefix(raw, []byte(`"""`)) || bytes.HasPrefix(raw, []byte(`'''`)) {
		i = 3
		for _, end := range []string{"\r\n", "\n"} {
			if bytes.HasPrefix(raw[i:], []byte(end)) {
				i += len(end)
				break
			}
		}
	}
	offsets := make([]int, 0, len(value)+1)
	for len(offsets) < len(value) && i < len(raw) {
		if !escapes || raw[i] != '\\' {
			offsets = append(offsets, at.at+i)
			i++
			continue
		}
		n, bytesOut := tomlEscape(raw[i:], value[len(offsets):])
		for range bytesOut {
			offsets = append(offsets, at.at+i)
		}
		i += n
	}
	end := at.at + min(i, len(raw))
	return func(o int) int {
		if o >= 0 && o < len(offsets) {
			return offsets[o]
		}
		return end
	}
}

// tomlEscape measures the escape at the start of raw: its length, and that of what it stands for, which value begins with.
func tomlEscape(raw []byte, value string) (n, out int) {
	if len(raw) < 2 {
		return len(raw), 0
	}
	switch raw[1] {
	case 'u', 'U', 'x':
		n = map[byte]int{'x': 4, 'u': 6, 'U': 10}[raw[1]]
		for i := range value {
			if i > 0 {
				return n, i
			}
		}
		return n, len(value)
	case ' ', '\t', '\r', '\n':
		return 1 + len(raw[1:]) - len(bytes.TrimLeft(raw[1:], " \t\r\n")), 0
	}
	return 2, 1
}
