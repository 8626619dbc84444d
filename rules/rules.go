// Package rules reads rule packages and the cases that test them. Host only. Everything that is wrong with a package is
// reported at its place; a package with errors has no rule set.
//
//	manifest.yaml and the queries it lists          manifest.go, suppress.go, globals.go
//	a directory without it, and what lies in it     folder.go
//	manifest.json beside rule.eql                   legacy.go
//	an Elastic detection rule, .toml                elastic.go
//	a Sigma rule, .yml, translated to EQL           sigma*.go
//	a file of JSON lines                            jsonl.go
//	tests/*.yaml                                    cases.go
//	what is wrong, and what is left out for it      problem.go, usable.go
//
// Memory: a Package owns what it holds and shares nothing with another. Goroutines: Load and Tests keep no state, any
// number may run at once. When full: a file, a rule set or a nesting beyond its limit is a problem of the package.
package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/limits"
)

// fileBytesMax bounds one file of a package before it is read: the parser's own limit for a query, and room for a
// manifest or a file of JSON lines that holds a whole public rule set.
const fileBytesMax = 64 << 20

// Package is a rule package.
type Package struct {
	Set      ir.Ruleset
	Queries  []string // by rule: its text
	Problems []Problem
	Small    bool // compile for a board with little memory, see build.Options

	declared []declaration // by rule
	name     string
}

// declaration is where a rule stands.
type declaration struct {
	unit      int // see loader.begin
	file      string
	line, col int
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
	l := newLoader(fsys, name, d)
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

// loader reads one package. Of the packages of a directory each has its own; they share ids and units.
type loader struct {
	fsys         fs.FS
	name         string
	dialect      eql.Dialect
	globals      check.Globals
	used         map[string]bool // globals that a query or a suppression names
	suppressions map[string][]ir.Node
	ids          map[string]string // rule id -> where it was defined
	sources      map[string]*eql.Source
	pkg          Package

	units *int   // counts the rules that were begun
	unit  int    // the rule that is being read; 0 for what concerns the package as a whole
	rule  string // its id, as soon as it is known
}

func newLoader(fsys fs.FS, name string, d eql.Dialect) *loader {
	return &loader{fsys: fsys, name: name, dialect: d, ids: make(map[string]string), used: make(map[string]bool),
		sources: make(map[string]*eql.Source), units: new(int), pkg: Package{name: name}}
}

// begin says that what follows, up to end, is about one rule: its errors make that rule unusable and no other.
func (l *loader) begin(id string) {
	*l.units++
	l.unit, l.rule = *l.units, id
}

func (l *loader) end() { l.unit, l.rule = 0, "" }

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

// place is a line and a column of a file.
type place struct{ line, col int }

// origin is where a rule comes from.
type origin struct {
	file      string // that declares it
	line, col int
	dialect   eql.Dialect
	// Where the query is a part of the file: the file, and what puts a diagnostic of the query to its place there. Else nil.
	whole *eql.Source
	moved func(eql.Diagnostic) eql.Diagnostic
}

// ownFile reads, parses and checks the query of one rule, which has a file of its own. at is where the rule is declared,
// named where its file is.
func (l *loader) ownFile(r ir.Rule, from string, at, named place) {
	src, err := l.read(r.File)
	if err != nil {
		l.problem(from, named.line, named.col, "rule %s: %v", r.ID, err)
		// What speaks of the rule elsewhere is not wrong for that.
		l.ids[r.ID] = l.place(r.File)
		return
	}
	l.query(r, src, origin{file: from, line: at.line, col: at.col, dialect: l.dialect})
}

// query parses and checks a query. A MaxSpan that the rule has already bounds a sequence that names none.
func (l *loader) query(r ir.Rule, src []byte, from origin) {
	if first, ok := l.ids[r.ID]; ok {
		l.problem(from.file, from.line, from.col, "rule id %s is already used by %s", r.ID, first)
		return
	}
	l.ids[r.ID] = l.place(r.File)
	if from.whole != nil {
		l.ids[r.ID] += ":" + strconv.Itoa(from.line)
	}
	if len(r.ID) > limits.NameBytesMax || len(r.Name) > limits.NameBytesMax {
		l.problem(from.file, from.line, from.col, "rule id or name of more than %d bytes", limits.NameBytesMax)
		return
	}
	q, ds := eql.Parse(l.place(r.File), src, from.dialect)
	l.uses(q)
	checked, ds := check.Rule(q, ds, l.globals)
	whole := q.Source
	if from.moved != nil {
		whole = from.whole
		for i := range ds {
			ds[i] = from.moved(ds[i])
		}
	}
	l.diagnostics(r.File, whole, ds)
	if ds.HasErrors() {
		return
	}
	r.Form, r.Stages, r.Until = checked.Form, checked.Stages, checked.Until
	if checked.Form != ir.FormSequence || checked.MaxSpan != 0 {
		r.MaxSpan = checked.MaxSpan
	}
	l.pkg.Set.Rules = append(l.pkg.Set.Rules, r)
	l.pkg.Queries = append(l.pkg.Queries, string(src))
	l.pkg.declared = append(l.pkg.declared, declaration{l.unit, l.place(from.file), from.line, from.col})
}

// finish joins the suppressions to the rules: an event that a suppression describes does not count for the rule. It
// completes the problems as well.
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
	l.excerpts()
}

func severity(name string) (ir.Severity, bool) {
	s, ok := alert.ParseSeverity(name)
	return ir.Severity(s), ok
}
