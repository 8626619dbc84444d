// Package rules reads rule packages and the cases that test them. Host only. Everything that is wrong with a package is
// reported at its place; a package with errors has no rule set.
//
//	manifest.yaml and the queries it lists          manifest.go
//	a directory without it, and what lies in it     folder.go
//	manifest.json beside rule.eql                   legacy.go
//	an Elastic detection rule, .toml                elastic.go
//	a Sigma rule, .yml, translated to EQL           sigma*.go
//	a file of JSON lines                            jsonl.go
//	tests/*.yaml                                    cases.go
//
// Memory: a Package owns what it holds and shares nothing with another. Goroutines: Load and Tests keep no state, any
// number may run at once. When full: a file, a rule set or a nesting beyond its limit is a problem of the package.
package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/limits"
)

// fileBytesMax bounds one file of a package before it is read: the parser's own limit for a query, and room for a
// manifest or a file of JSON lines that holds a whole public rule set.
const fileBytesMax = 64 << 20

// Problem is something wrong with a package, at its place.
type Problem struct {
	File      string
	Line, Col int
	Warning   bool
	Msg       string
	Detail    string // the same with the line and a caret, when there is one
}

// String is file:line:col: message.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d:%d", p.Line, max(p.Col, 1))
	}
	if p.Warning {
		return s + ": warning: " + p.Msg
	}
	return s + ": " + p.Msg
}

// Package is a rule package.
type Package struct {
	Set      ir.Ruleset
	Queries  []string // by rule: its text
	Problems []Problem
}

// HasErrors tells whether the rule set is unusable.
func (p *Package) HasErrors() bool {
	return slices.ContainsFunc(p.Problems, func(q Problem) bool { return !q.Warning })
}

// Err says in one line what is wrong, nil when nothing is.
func (p *Package) Err() error {
	var first string
	n := 0
	for _, q := range p.Problems {
		if q.Warning {
			continue
		}
		if n++; n == 1 {
			first = q.String()
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return errors.New(first)
	}
	return fmt.Errorf("%s (and %d more; kestrel validate lists them)", first, n-1)
}

// Load reads the package at a path, a directory or a file.
func Load(name string, d eql.Dialect) (*Package, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	if info.IsDir() {
		return LoadFS(os.DirFS(name), name, d)
	}
	return loadFile(name, d)
}

// LoadFS reads a package from a file system; name stands before file names in problems.
func LoadFS(fsys fs.FS, name string, d eql.Dialect) (*Package, error) {
	l := &loader{fsys: fsys, name: name, dialect: d, ids: make(map[string]string)}
	text, err := l.read(manifestName)
	switch {
	case err == nil:
		l.manifest(text)
	case !errors.Is(err, fs.ErrNotExist):
	case l.isLegacy("."):
		err = l.legacy(".")
	default:
		err = l.folder()
	}
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	l.finish()
	l.some()
	return &l.pkg, nil
}

// some reports a package without a rule: watching with none is a mistake.
func (l *loader) some() {
	if len(l.pkg.Set.Rules) == 0 && !l.pkg.HasErrors() {
		l.problem("", 0, 0, "there is no rule that can be used")
	}
}

const manifestName = "manifest.yaml"

// Compile makes the rule image of a package without errors.
func (p *Package) Compile() ([]byte, *build.Report, error) {
	if err := p.Err(); err != nil {
		return nil, nil, err
	}
	return build.Build(&p.Set, build.Options{})
}

type loader struct {
	fsys         fs.FS
	name         string
	dialect      eql.Dialect
	globals      check.Globals
	suppressions map[string][]ir.Node
	ids          map[string]string // rule id -> where it was defined
	pkg          Package
}

func (l *loader) read(file string) ([]byte, error) {
	f, err := l.fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > fileBytesMax {
		return nil, fmt.Errorf("%s: %d bytes (max %d)", file, info.Size(), fileBytesMax)
	}
	return fs.ReadFile(l.fsys, file)
}

func (l *loader) place(file string) string { return filepath.Join(l.name, file) }

func (l *loader) problem(file string, line, col int, format string, args ...any) {
	l.pkg.Problems = append(l.pkg.Problems, Problem{File: l.place(file), Line: line, Col: col, Msg: fmt.Sprintf(format, args...)})
}

func (l *loader) warning(file string, line, col int, format string, args ...any) {
	l.problem(file, line, col, format, args...)
	l.pkg.Problems[len(l.pkg.Problems)-1].Warning = true
}

func (l *loader) diagnostics(file string, ds eql.Diagnostics) {
	for _, d := range ds {
		msg := d.Msg
		if d.Hint != "" {
			msg += " (" + d.Hint + ")"
		}
		l.pkg.Problems = append(l.pkg.Problems, Problem{
			File: l.place(file), Line: d.Pos.Line, Col: d.Pos.Col, Warning: d.Severity == eql.Warning, Msg: msg, Detail: d.Detail(),
		})
	}
}

// origin is where a rule comes from.
type origin struct {
	file      string // that declares it
	line, col int
	dialect   eql.Dialect
	// moved puts a diagnostic of the query to its place in the file; nil when the file is the query.
	moved func(eql.Diagnostic) eql.Diagnostic
}

// rule reads, parses and checks the query of one rule, which has a file of its own.
func (l *loader) rule(r ir.Rule, from string, line, col int) {
	src, err := l.read(r.File)
	if err != nil {
		l.problem(from, line, col, "rule %s: %v", r.ID, err)
		return
	}
	l.query(r, src, origin{file: from, line: line, col: col, dialect: l.dialect})
}

// query parses and checks a query. A MaxSpan that the rule has already bounds a sequence that names none.
func (l *loader) query(r ir.Rule, src []byte, from origin) {
	if first, ok := l.ids[r.ID]; ok {
		l.problem(from.file, from.line, from.col, "rule id %s is already used by %s", r.ID, first)
		return
	}
	l.ids[r.ID] = l.place(r.File)
	if len(r.ID) > limits.NameBytesMax || len(r.Name) > limits.NameBytesMax {
		l.problem(from.file, from.line, from.col, "rule id or name of more than %d bytes", limits.NameBytesMax)
		return
	}
	q, ds := eql.Parse(l.place(r.File), src, from.dialect)
	checked, ds := check.Rule(q, ds, l.globals)
	if from.moved != nil {
		for i := range ds {
			ds[i] = from.moved(ds[i])
		}
	}
	l.diagnostics(r.File, ds)
	if ds.HasErrors() {
		return
	}
	r.Sequence, r.Stages, r.Until = checked.Sequence, checked.Stages, checked.Until
	if !checked.Sequence || checked.MaxSpan != 0 {
		r.MaxSpan = checked.MaxSpan
	}
	l.pkg.Set.Rules = append(l.pkg.Set.Rules, r)
	l.pkg.Queries = append(l.pkg.Queries, string(src))
}

// finish joins the suppressions to the rules: an event that a suppression describes does not count for the rule.
func (l *loader) finish() {
	for i := range l.pkg.Set.Rules {
		r := &l.pkg.Set.Rules[i]
		for _, cond := range l.suppressions[r.ID] {
			for s := range r.Stages {
				r.Stages[s].Cond = ir.And{Args: []ir.Node{r.Stages[s].Cond, ir.Not{Arg: ir.IsTrue{Arg: cond}}}}
			}
		}
	}
	if len(l.pkg.Set.Rules) > limits.RulesMax {
		l.problem("", 0, 0, "%d rules (max %d)", len(l.pkg.Set.Rules), limits.RulesMax)
	}
}

func severity(name string) (ir.Severity, bool) {
	s, ok := alert.ParseSeverity(name)
	return ir.Severity(s), ok
}
