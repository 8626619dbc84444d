package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

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
	l := &loader{fsys: os.DirFS(dir), name: dir, dialect: d, ids: make(map[string]string)}
	src, err := l.read(base)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	ext := filepath.Ext(base)
	id := base[:len(base)-len(ext)]
	l.pkg.Set.Name = id
	switch ext {
	case ".eql":
		l.query(ir.Rule{ID: id, Name: id, Severity: ir.Medium, File: base}, src, origin{file: base, line: 1, col: 1, dialect: d})
	case ".jsonl", ".ndjson":
		l.lines(base, src)
	case ".toml":
		l.elastic(base, src, true)
	case ".yml", ".yaml":
		l.sigma(base, src)
	default:
		return nil, fmt.Errorf("read rules: %s is neither a directory nor a .eql, .toml, .yml or .jsonl file", name)
	}
	l.finish()
	l.some()
	return &l.pkg, nil
}

func (l *loader) lines(file string, src []byte) {
	if len(bytes.TrimSpace(src)) == 0 {
		l.problem(file, 1, 1, "no rule")
	}
	for n, line := range bytes.Split(src, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r struct{ ID, Name, Query, Severity string }
		if err := json.Unmarshal(line, &r); err != nil {
			l.problem(file, n+1, 1, "%v", err)
			continue
		}
		if r.ID == "" || r.Query == "" {
			l.problem(file, n+1, 1, "a rule needs an id and a query")
			continue
		}
		sev, ok := severity(r.Severity)
		if !ok {
			sev = ir.Medium
		}
		if r.Name == "" {
			r.Name = r.ID
		}
		before := len(l.pkg.Problems)
		l.query(ir.Rule{ID: r.ID, Name: r.Name, Severity: sev, File: file}, []byte(r.Query),
			origin{file: file, line: n + 1, col: 1, dialect: l.dialect})
		for i := before; i < len(l.pkg.Problems); i++ {
			// Places inside the query's text mean little to someone who sees JSON: name the line and the rule.
			p := &l.pkg.Problems[i]
			if p.Line > 0 && p.Detail != "" {
				p.Msg = fmt.Sprintf("rule %s, query line %d column %d: %s", r.ID, p.Line, p.Col, p.Msg)
				p.Line, p.Col = n+1, 1
			}
		}
	}
}
