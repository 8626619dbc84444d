package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

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
		s, err := f.compiled()
		if err != nil {
			return err
		}
		if filepath.Ext(output) != ".kri" {
			output = filepath.Join(output, "rules.kri")
		}
		if err := writeFile(output, s.image); err != nil {
			return err
		}
		r := reportOf(output, s)
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(r)
		}
		return r.print(c.OutOrStdout())
	}}
	f.add(c)
	f.addSkip(c)
	c.Flags().StringVar(&output, "output", "", "directory or file (.kri)")
	c.Flags().StringVar(&target, "target", "native", "native")
	c.Flags().StringVar(&sign, "sign", "", "key to sign with")
	c.Flags().BoolVar(&f.small, "small", false, "smaller tables, for a board with little memory; slower on values made to hurt")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

// imageReport says what an image is made of.
type imageReport struct {
	File       string           `json:"file"`
	Bytes      int              `json:"bytes"`
	Rules      int              `json:"rules"`
	LeftOut    int              `json:"left_out"`
	Predicates int              `json:"predicates"`
	Always     int              `json:"predicates_without_index"`
	Tests      int              `json:"tests"`
	Atoms      int              `json:"atoms"`
	Automata   []imageAutomaton `json:"automata"`
	Sections   []imageSection   `json:"sections"` // the other parts, in their order in the file
	Framing    int              `json:"framing_bytes"`
}

type imageAutomaton struct {
	Field    string `json:"field"`
	Bytes    int    `json:"bytes"`
	Atoms    int    `json:"atoms"`
	Strategy string `json:"strategy"`
}

type imageSection struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
}

func reportOf(file string, s *compileSet) imageReport {
	rep := s.report
	r := imageReport{File: file, Bytes: rep.Bytes, Rules: len(s.Set.Rules), LeftOut: s.leftOut, Predicates: rep.Preds,
		Always: rep.Always, Tests: rep.Tests, Atoms: rep.Atoms, Framing: rep.Bytes, Automata: []imageAutomaton{}}
	sizes := make(map[string]int)
	for _, p := range rep.Sections {
		r.Framing -= p.Bytes
		if field, ok := strings.CutPrefix(p.Name, "automaton of "); ok {
			sizes[field] = p.Bytes
			continue
		}
		r.Sections = append(r.Sections, imageSection{p.Name, p.Bytes})
	}
	for _, f := range rep.Fields {
		r.Automata = append(r.Automata, imageAutomaton{f.Field, sizes[f.Field], f.Atoms, f.Strategy})
	}
	return r
}

// print writes the sizes as a table.
func (r *imageReport) print(out io.Writer) error {
	b := bufio.NewWriter(out)
	fmt.Fprintf(b, "%s: %s, %d bytes\n", r.File, plural(r.Rules, "rule"), r.Bytes)
	lines := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	line := func(name string, bytes int, what string) {
		if what != "" {
			what = "\t" + what
		}
		fmt.Fprintf(lines, "  %s\t%9d\t%5.1f %%%s\n", name, bytes, 100*float64(bytes)/float64(max(r.Bytes, 1)), what)
	}
	for _, s := range r.Sections {
		line(s.Name, s.Bytes, r.what(s.Name))
	}
	sum := 0
	for _, a := range r.Automata {
		line("automaton of "+a.Field, a.Bytes, fmt.Sprintf("%s, %s", plural(a.Atoms, "atom"), a.Strategy))
		sum += a.Bytes
	}
	line("all automata", sum, plural(r.Atoms, "atom"))
	line("framing", r.Framing, "")
	line("image", r.Bytes, "")
	if err := lines.Flush(); err != nil {
		return err
	}
	return b.Flush()
}

// what explains the sections that a count explains.
func (r *imageReport) what(section string) string {
	switch section {
	case "rules":
		return plural(r.Rules, "rule")
	case "tests":
		return plural(r.Tests, "test")
	case "predicates":
		return fmt.Sprintf("%s, %d of them without an index", plural(r.Predicates, "predicate"), r.Always)
	}
	return ""
}
