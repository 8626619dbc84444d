package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/ir"
)

// listed is one rule as list shows it.
type listed struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Severity    string          `json:"severity"`
	Kind        string          `json:"kind"`
	Runtime     string          `json:"runtime"`
	Strategy    string          `json:"strategy"`
	Index       []string        `json:"index"`
	Bounds      *listedBounds   `json:"bounds,omitempty"`
	Suppress    *listedSuppress `json:"suppress,omitempty"`
	Enforceable string          `json:"enforceable"`
	File        string          `json:"file"`
	Tags        []string        `json:"tags,omitempty"`
	Mitre       []string        `json:"mitre,omitempty"`
}

// listedBounds is what ends a sequence that does not complete.
type listedBounds struct {
	MaxspanMS int64 `json:"maxspan_ms,omitempty"` // absent: no bound
	Until     bool  `json:"until,omitempty"`
	Events    int   `json:"events"`            // that an alert is made of
	Missing   int   `json:"missing,omitempty"` // steps that must not happen
}

type listedSuppress struct {
	By    []string `json:"by"`
	ForMS int64    `json:"for_ms"`
}

func listCommand() *cobra.Command {
	var f ruleFlags
	var asJSON bool
	var show string
	c := &cobra.Command{Use: "list", Short: "the rules and how they are evaluated", RunE: func(c *cobra.Command, _ []string) error {
		s, err := f.compiled()
		if err != nil {
			return err
		}
		if show != "" {
			p := s.Only(show)
			if p == nil {
				return fmt.Errorf("no rule %s", show)
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), strings.TrimRight(p.Queries[0], "\n"))
			return err
		}
		list := make([]listed, 0, len(s.Set.Rules))
		for i := range s.Set.Rules {
			list = append(list, s.listed(i))
		}
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(list)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSEVERITY\tKIND\tRUNTIME\tSTRATEGY\tINDEXED BY\tBOUNDS\tSUPPRESSED\tENFORCEABLE\tNAME")
		for _, l := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Severity, l.Kind, l.Runtime, l.Strategy,
				strings.Join(l.Index, ", "), l.Bounds, l.Suppress, l.Enforceable, l.Name)
		}
		return w.Flush()
	}}
	f.add(c)
	f.addSkip(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&show, "show", "", "print the query of one rule; of one from another language, the EQL it became")
	return c
}

func (s *compileSet) listed(i int) listed {
	r, rep := &s.Set.Rules[i], &s.report.Rules[i]
	l := listed{ID: r.ID, Name: r.Name, Severity: alert.Severity(r.Severity).String(), Kind: "event", Runtime: "native",
		Strategy: rep.Strategy, Index: rep.Index, Enforceable: "no: this version has no guard", File: r.File, Tags: r.Tags,
		Mitre: r.Mitre}
	if r.Action == ir.ActionAlert {
		l.Enforceable = "no: the rule only alerts"
	}
	if rep.Always {
		l.Index = append(l.Index, "every event of the category")
	}
	if l.Index == nil {
		l.Index = []string{}
	}
	switch r.Form {
	case ir.FormSequence:
		l.Kind = fmt.Sprintf("sequence of %d", len(r.Stages))
	case ir.FormSample:
		l.Kind = fmt.Sprintf("sample of %d", len(r.Stages))
	}
	if r.Form != ir.FormEvent {
		l.Bounds = &listedBounds{MaxspanMS: r.MaxSpan.Milliseconds(), Until: r.Until != nil}
		for _, st := range r.Stages {
			if st.Missing {
				l.Bounds.Missing++
			} else {
				l.Bounds.Events += max(st.Runs, 1)
			}
		}
	}
	if r.Suppress != nil {
		l.Suppress = &listedSuppress{By: []string{}, ForMS: r.Suppress.For.Milliseconds()}
		for _, f := range r.Suppress.By {
			l.Suppress.By = append(l.Suppress.By, event.FieldByID(f).Name)
		}
	}
	return l
}

// String is the column BOUNDS.
func (b *listedBounds) String() string {
	if b == nil {
		return "-"
	}
	var parts []string
	if b.MaxspanMS > 0 {
		parts = append(parts, short(time.Duration(b.MaxspanMS)*time.Millisecond))
	}
	if b.Until {
		parts = append(parts, "until")
	}
	if b.Missing > 0 {
		parts = append(parts, fmt.Sprintf("%d missing", b.Missing))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// String is the column SUPPRESSED.
func (s *listedSuppress) String() string {
	if s == nil {
		return "-"
	}
	text := short(time.Duration(s.ForMS) * time.Millisecond)
	if len(s.By) > 0 {
		text += " by " + strings.Join(s.By, ", ")
	}
	return text
}

// short writes a time without the zeros that Go adds: 5m for 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
