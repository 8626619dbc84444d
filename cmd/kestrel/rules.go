package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/rules"
)

// ruleFlags are the flags of commands that read rules.
type ruleFlags struct {
	dir     string
	dialect string
	skip    bool
	small   bool
}

func (f *ruleFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "rules", "", "rule package: a directory, or a .eql, .toml, .yml or .jsonl file (default: the rules in the binary)")
	c.Flags().StringVar(&f.dialect, "dialect", "kestrel", "kestrel or elastic")
}

// addSkip adds the flag of commands that use the rules.
func (f *ruleFlags) addSkip(c *cobra.Command) {
	c.Flags().BoolVar(&f.skip, "skip-unsupported", false, "leave out rules that do not compile instead of refusing the set")
}

func (f *ruleFlags) load() (*rules.Package, error) {
	d, err := eql.ParseDialect(f.dialect)
	if err != nil {
		return nil, usageError{err}
	}
	switch {
	case d == eql.Endgame:
		return nil, usagef("--dialect endgame is not for rules (kestrel or elastic)")
	case f.dir == "":
		return rules.Default()
	}
	return rules.Load(f.dir, d)
}

// compileSet is a rule set and the image it became.
type compileSet struct {
	*rules.Package
	image   []byte
	report  *build.Report
	leftOut int // rules
}

// compiled loads rules and compiles them. Problems are printed to standard error, a line each; errors end it.
func (f *ruleFlags) compiled() (*compileSet, error) {
	p, err := f.load()
	if err != nil {
		return nil, err
	}
	p.Small = f.small
	s := &compileSet{Package: p}
	if f.skip {
		s.image, s.report, s.leftOut, err = p.CompileUsable()
	} else {
		s.image, s.report, err = p.Compile()
	}
	printProblems(os.Stderr, p.Problems)
	switch {
	case p.HasErrors():
		return nil, errFailed
	case err != nil:
		return nil, err
	}
	s.printLeftOut()
	return s, nil
}

// warningsShown is how many warnings a command shows that is not there for them: validate lists all.
const warningsShown = 10

// printProblems writes errors and what is left out for them, and of other warnings the first.
func printProblems(w io.Writer, list []rules.Problem) {
	warnings := 0
	for _, q := range list {
		if q.Warning && !q.LeftOut() {
			if warnings++; warnings > warningsShown {
				continue
			}
		}
		fmt.Fprintln(w, q)
	}
	if more := warnings - warningsShown; more > 0 {
		fmt.Fprintf(w, "kestrel: %s more; kestrel validate lists them\n", plural(more, "warning"))
	}
}

func (s *compileSet) printLeftOut() {
	if s.leftOut > 0 {
		fmt.Fprintf(os.Stderr, "kestrel: %s left out, %d used\n", plural(s.leftOut, "rule"), len(s.Set.Rules))
	}
}

// compiledRules compiles the rules anew at each load, for run and its reload, and for replay.
type compiledRules struct{ f ruleFlags }

// Load implements agent.RuleSource.
func (r compiledRules) Load() (*agent.Rules, error) {
	p, err := r.f.load()
	if err != nil {
		return nil, err
	}
	s := &compileSet{Package: p}
	if r.f.skip {
		s.image, _, s.leftOut, err = p.CompileUsable()
	} else {
		s.image, _, err = p.Compile()
	}
	if err != nil {
		return nil, err
	}
	for _, q := range p.Problems {
		if q.LeftOut() {
			fmt.Fprintln(os.Stderr, q)
		}
	}
	s.printLeftOut()
	return agent.ImageBytes(s.image).Load()
}

// writeFile replaces a file as a whole: an agent may have the old one mapped.
func writeFile(name string, content []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	t, err := os.CreateTemp(dir, ".kestrel-*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	if _, err = t.Write(content); err == nil {
		if err = t.Sync(); err == nil {
			err = t.Chmod(0o644)
		}
	}
	if cerr := t.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(t.Name(), name)
}

// terminal tells whether what is written there is for the eyes of a person.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// plural is a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(noun, "s"))
}
