package rules

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
)

// loadFile reads a single file: a query, an Elastic or a Sigma rule, or JSON lines of {"id", "name", "query"}. The file of
// a manifest stands for its directory.
func loadFile(name string, d eql.Dialect) (*Package, error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	if base == manifestName || base == legacyName {
		return LoadFS(os.DirFS(dir), dir, d)
	}
	l := newLoader(os.DirFS(dir), dir, d)
	src, err := l.read(base)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	ext := filepath.Ext(base)
	l.pkg.Set.Name = base[:len(base)-len(ext)]
	switch ext {
	case ".eql", ".toml", ".yml", ".yaml":
		l.oneFile(base, true)
	case ".jsonl", ".ndjson":
		l.lines(base, src)
	default:
		return nil, fmt.Errorf("read rules: %s is neither a directory nor a .eql, .toml, .yml or .jsonl file", name)
	}
	l.finish()
	l.some()
	return &l.pkg, nil
}

// lines loads a rule from each line.
func (l *loader) lines(file string, src []byte) {
	if len(bytes.TrimSpace(src)) == 0 {
		l.problem(file, 1, 1, "no rule")
	}
	whole := eql.NewSource(l.place(file), string(src))
	l.sources[file] = whole
	at := 0
	for line := range bytes.Lines(src) {
		if len(bytes.TrimSpace(line)) > 0 {
			j := jsonLine{l: l, file: file, whole: whole, src: line, at: at}
			j.load()
		}
		at += len(line)
	}
}

// jsonLine is the rule of a line.
type jsonLine struct {
	l     *loader
	file  string
	whole *eql.Source
	src   []byte // the line
	at    int    // where it begins
}

func (j *jsonLine) load() {
	j.l.begin("")
	defer j.l.end()
	root, at, err := jsonTree(j.src)
	if err != nil {
		j.problem(at, "%v", err)
		return
	}
	members, ok := root.v.([]jsonMember)
	if !ok {
		j.problem(root.at, "a rule is %s, want an object with id, name and query", root.what())
		return
	}
	texts := make(map[string]string)
	places := make(map[string]int)
	for _, m := range members {
		if m.key != "id" && m.key != "name" && m.key != "query" && m.key != "severity" || m.value.v == nil {
			continue
		}
		if texts[m.key], ok = m.value.v.(string); !ok {
			j.problem(m.value.at, "%s is %s, want text", m.key, m.value.what())
			return
		}
		places[m.key] = m.value.at
	}
	r := ir.Rule{ID: texts["id"], Name: texts["name"], Severity: ir.Medium, File: j.file}
	if j.l.rule = r.ID; r.ID == "" || texts["query"] == "" {
		j.problem(root.at, "a rule needs an id and a query")
		return
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if name := texts["severity"]; name != "" {
		if r.Severity, ok = severity(name); !ok {
			j.problem(places["severity"], "rule %s: severity %q (low, medium, high or critical)", r.ID, name)
		}
	}
	j.query(r, texts["query"], places["query"], places["id"])
}

// query loads the query, which stands in quotes at an offset of the line. What is wrong with it names the rule: a reader
// of such a file does not see it otherwise.
func (j *jsonLine) query(r ir.Rule, text string, at, id int) {
	move := movedBy(j.whole, text, jsonOffsets(j.src, j.at, at, text))
	p := j.whole.Position(j.at + id)
	j.l.query(r, []byte(text), origin{file: j.file, line: p.Line, col: p.Col, dialect: j.l.dialect, whole: j.whole,
		moved: func(d eql.Diagnostic) eql.Diagnostic {
			d.Msg = "rule " + r.ID + ": " + d.Msg
			return move(d)
		}})
}

func (j *jsonLine) problem(at int, format string, args ...any) {
	p := j.whole.Position(j.at + at)
	j.l.problem(j.file, p.Line, p.Col, format, args...)
}

// jsonOffsets maps byte offsets of a string's value to those of the file, whose line src begins at an offset of it. at is
// that of the string within the line. Escapes are in the file only.
func jsonOffsets(src []byte, line, at int, value string) func(int) int {
	offsets := make([]int, 0, len(value)+1)
	i := at + 1
	for len(offsets) < len(value) && i < len(src) {
		n, out := 1, 1
		switch {
		case src[i] == '\\' && i+1 < len(src) && src[i+1] == 'u':
			_, out = utf8.DecodeRuneInString(value[len(offsets):])
			if n = 6; out > 3 {
				n = 12 // a pair of surrogates
			}
		case src[i] == '\\':
			n = 2
		default:
			// A byte that is not UTF-8 is read as U+FFFD.
			if r, size := utf8.DecodeRune(src[i:]); r == utf8.RuneError && size == 1 {
				out = utf8.RuneLen(utf8.RuneError)
			}
		}
		for range out {
			offsets = append(offsets, line+i)
		}
		i += n
	}
	end := line + min(i, len(src))
	return func(o int) int {
		if o >= 0 && o < len(offsets) {
			return offsets[o]
		}
		return end
	}
}
