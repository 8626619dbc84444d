package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

// ruleFlags are the flags of commands that read rules.
type ruleFlags struct {
	dir     string
	dialect string
}

func (f *ruleFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "rules", "", "rule package: a directory, or a .eql, .toml, .yml or .jsonl file (default: the rules in the binary)")
	c.Flags().StringVar(&f.dialect, "dialect", "kestrel", "kestrel or elastic")
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

// printProblems writes one line per problem and tells whether one is an error.
func printProblems(p *rules.Package, detail bool) bool {
	for _, q := range p.Problems {
		fmt.Fprintln(os.Stderr, q)
		if detail && q.Detail != "" {
			if _, excerpt, ok := strings.Cut(q.Detail, "\n"); ok {
				fmt.Fprintln(os.Stderr, excerpt)
			}
		}
	}
	return p.HasErrors()
}

// compiled loads rules and compiles them; problems are printed, errors end it.
func (f *ruleFlags) compiled() (*rules.Package, []byte, *build.Report, error) {
	p, err := f.load()
	if err != nil {
		return nil, nil, nil, err
	}
	if printProblems(p, false) {
		return nil, nil, nil, errFailed
	}
	img, rep, err := p.Compile()
	return p, img, rep, err
}

// compiledRules compiles the rules anew at each load, for run and its reload.
type compiledRules struct{ f ruleFlags }

// Load implements agent.RuleSource.
func (r compiledRules) Load() (*agent.Rules, error) {
	p, err := r.f.load()
	if err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	img, _, err := p.Compile()
	if err != nil {
		return nil, err
	}
	return agent.ImageBytes(img).Load()
}

func validateCommand() *cobra.Command {
	var f ruleFlags
	var verbose bool
	c := &cobra.Command{Use: "validate", Short: "check every rule; one line per problem", RunE: func(c *cobra.Command, _ []string) error {
		p, err := f.load()
		if err != nil {
			return err
		}
		if printProblems(p, verbose) {
			return errFailed
		}
		_, rep, err := p.Compile()
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d rules are good\n", len(rep.Rules))
		return nil
	}}
	f.add(c)
	c.Flags().BoolVar(&verbose, "verbose", false, "show the line and the place of each problem")
	return c
}

func compileCommand() *cobra.Command {
	var f ruleFlags
	var output, target, sign string
	var asJSON bool
	c := &cobra.Command{Use: "compile", Short: "write the rule image", RunE: func(c *cobra.Command, _ []string) error {
		switch {
		case output == "":
			return usagef("compile needs --output DIR or FILE.kri")
		case target != "native":
			return usagef("--target %s is not supported by this version (native)", target)
		case sign != "":
			return usagef("--sign is not supported by this version")
		}
		_, img, rep, err := f.compiled()
		if err != nil {
			return err
		}
		if filepath.Ext(output) != ".kri" {
			output = filepath.Join(output, "rules.kri")
		}
		if err := writeFile(output, img); err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(rep)
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %d rules, %d bytes\n", output, len(rep.Rules), rep.Bytes)
		for _, s := range rep.Sections {
			fmt.Fprintf(c.OutOrStdout(), "  %-40s %9d\n", s.Name, s.Bytes)
		}
		return nil
	}}
	f.add(c)
	c.Flags().StringVar(&output, "output", "", "directory or file (.kri)")
	c.Flags().StringVar(&target, "target", "native", "native")
	c.Flags().StringVar(&sign, "sign", "", "key to sign with")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
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

// listed is one rule as list shows it.
type listed struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Severity    string   `json:"severity"`
	Kind        string   `json:"kind"`
	Runtime     string   `json:"runtime"`
	Strategy    string   `json:"strategy"`
	Index       []string `json:"index"`
	Enforceable string   `json:"enforceable"`
	Query       string   `json:"query,omitempty"`
}

func listCommand() *cobra.Command {
	var f ruleFlags
	var asJSON bool
	var show string
	c := &cobra.Command{Use: "list", Short: "the rules and how they are evaluated", RunE: func(c *cobra.Command, _ []string) error {
		p, _, rep, err := f.compiled()
		if err != nil {
			return err
		}
		var list []listed
		for i, r := range p.Set.Rules {
			l := listed{ID: r.ID, Name: r.Name, Severity: alert.Severity(r.Severity).String(), Kind: "event", Runtime: "native",
				Strategy: rep.Rules[i].Strategy, Index: rep.Rules[i].Index, Enforceable: "no: this version has no guard"}
			if r.Sequence {
				l.Kind = fmt.Sprintf("sequence of %d", len(r.Stages))
			}
			if r.Action == ir.ActionAlert {
				l.Enforceable = "no: the rule only alerts"
			}
			if rep.Rules[i].Always {
				l.Index = append(l.Index, "every event of the category")
			}
			if show == r.ID {
				fmt.Fprint(c.OutOrStdout(), strings.TrimRight(p.Queries[i], "\n")+"\n")
				return nil
			}
			list = append(list, l)
		}
		if show != "" {
			return fmt.Errorf("no rule %s", show)
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(list)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSEVERITY\tKIND\tRUNTIME\tSTRATEGY\tINDEXED BY\tENFORCEABLE\tNAME")
		for _, l := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Severity, l.Kind, l.Runtime, l.Strategy,
				strings.Join(l.Index, ", "), l.Enforceable, l.Name)
		}
		return w.Flush()
	}}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&show, "show", "", "print the query of one rule")
	return c
}
