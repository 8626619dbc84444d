// Package rules reads rule packages: a directory with a manifest, a directory of queries without one, or a file of JSON
// lines. Host only. Everything that is wrong with a package is reported at its place; a package with errors has no rule
// set.
package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

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
	case errors.Is(err, fs.ErrNotExist):
		err = l.queries()
	case err == nil:
		l.manifest(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	l.finish()
	return &l.pkg, nil
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

// queries loads a directory without a manifest: each .eql file is a rule named after the file, and a directory further
// down that has a manifest is a package of its own, with its own globals.
func (l *loader) queries() error {
	l.pkg.Set.Name = filepath.Base(l.name)
	var files, packages []string
	err := fs.WalkDir(l.fsys, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != ".":
			if _, err := fs.Stat(l.fsys, path.Join(p, manifestName)); err == nil {
				packages = append(packages, p)
				return fs.SkipDir
			}
		case path.Ext(p) == ".eql":
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(files)+len(packages) == 0 {
		return fmt.Errorf("%s has neither a %s nor .eql files", l.name, manifestName)
	}
	for _, p := range packages {
		if err := l.nested(p); err != nil {
			return err
		}
	}
	if len(packages) != 1 || len(files) > 0 {
		l.pkg.Set.Name, l.pkg.Set.Version = filepath.Base(l.name), ""
	}
	for _, f := range files {
		id := strings.TrimSuffix(path.Base(f), ".eql")
		l.rule(ir.Rule{ID: id, Name: id, Severity: ir.Medium, File: f}, f, 1, 1)
	}
	return nil
}

// nested loads the package in a directory below. Its rules share the ids with the others.
func (l *loader) nested(dir string) error {
	sub, err := fs.Sub(l.fsys, dir)
	if err != nil {
		return err
	}
	n := &loader{fsys: sub, name: filepath.Join(l.name, dir), dialect: l.dialect, ids: l.ids}
	text, err := n.read(manifestName)
	if err != nil {
		return err
	}
	n.manifest(text)
	n.finish()
	l.pkg.Set.Name, l.pkg.Set.Version = n.pkg.Set.Name, n.pkg.Set.Version
	l.pkg.Set.Rules = append(l.pkg.Set.Rules, n.pkg.Set.Rules...)
	l.pkg.Queries = append(l.pkg.Queries, n.pkg.Queries...)
	l.pkg.Problems = append(l.pkg.Problems, n.pkg.Problems...)
	return nil
}

// rule reads, parses and checks the query of one rule. from is where the rule was declared.
func (l *loader) rule(r ir.Rule, from string, line, col int) {
	src, err := l.read(r.File)
	if err != nil {
		l.problem(from, line, col, "rule %s: %v", r.ID, err)
		return
	}
	l.query(r, src, from, line, col)
}

func (l *loader) query(r ir.Rule, src []byte, from string, line, col int) {
	if first, ok := l.ids[r.ID]; ok {
		l.problem(from, line, col, "rule id %s is already used by %s", r.ID, first)
		return
	}
	l.ids[r.ID] = r.File
	if len(r.ID) > limits.NameBytesMax || len(r.Name) > limits.NameBytesMax {
		l.problem(from, line, col, "rule id or name of more than %d bytes", limits.NameBytesMax)
		return
	}
	q, ds := eql.Parse(l.place(r.File), src, l.dialect)
	checked, ds := check.Rule(q, ds, l.globals)
	l.diagnostics(r.File, ds)
	if ds.HasErrors() {
		return
	}
	r.Sequence, r.Stages, r.Until, r.MaxSpan = checked.Sequence, checked.Stages, checked.Until, checked.MaxSpan
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
