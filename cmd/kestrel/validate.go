package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/rules"
)

func validateCommand() *cobra.Command {
	var f ruleFlags
	var asJSON, strict, context bool
	c := &cobra.Command{Use: "validate", Short: "check every rule; one line per problem", RunE: func(c *cobra.Command, _ []string) error {
		p, err := f.load()
		if err != nil {
			return err
		}
		_, rep, err := p.Compile()
		if err != nil && !p.HasErrors() {
			return err
		}
		out := c.OutOrStdout()
		w := bufio.NewWriter(out)
		defer w.Flush()
		if asJSON {
			err = writeFindings(w, p.Problems)
		} else {
			printFindings(w, p.Problems, context || terminal(out))
		}
		switch {
		case err != nil && asJSON && !p.HasErrors():
			return err
		case p.HasErrors() || strict && len(p.Problems) > 0:
			return errFailed
		case !asJSON:
			fmt.Fprintf(w, "%s good\n", rulesAre(len(rep.Rules)))
		}
		return nil
	}}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as a JSON array")
	c.Flags().BoolVar(&strict, "strict", false, "fail for warnings, too")
	c.Flags().BoolVar(&context, "context", false, "show the line and the place of each problem, as on a terminal")
	return c
}

func rulesAre(n int) string {
	if n == 1 {
		return "1 rule is"
	}
	return fmt.Sprintf("%d rules are", n)
}

// printFindings writes one line for each problem and, when wanted, the line of the file and a caret below it.
func printFindings(w io.Writer, list []rules.Problem, context bool) {
	for _, q := range list {
		excerpt := q.Excerpt()
		if !context || excerpt == "" {
			fmt.Fprintln(w, q)
			continue
		}
		// The hint stands in the excerpt.
		q.Hint = ""
		fmt.Fprintf(w, "%s\n%s\n", q, strings.TrimRight(excerpt, "\n"))
	}
}

// finding is a problem as a script reads it.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // from 1; 0: the file as a whole
	Col      int    `json:"col"`  // in code points from 1
	EndLine  int    `json:"end_line"`
	EndCol   int    `json:"end_col"` // behind the last character
	Severity string `json:"severity"`
	RuleID   string `json:"rule_id,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// writeFindings writes an array, an element a line.
func writeFindings(w io.Writer, list []rules.Problem) error {
	joint := "["
	for _, q := range list {
		f := finding{File: q.File, Line: q.Line, Col: q.Col, EndLine: q.EndLine, EndCol: q.EndCol, Severity: "error",
			RuleID: q.Rule, Message: q.Msg, Hint: q.Hint}
		if q.Warning {
			f.Severity = "warning"
		}
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\n%s", joint, b)
		joint = ","
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "[]")
		return err
	}
	_, err := fmt.Fprintln(w, "\n]")
	return err
}
