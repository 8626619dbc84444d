package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/rules"
)

func testCommand() *cobra.Command {
	var f ruleFlags
	var rule, events string
	var verbose bool
	c := &cobra.Command{Use: "test", Short: "NDJSON events in, alerts out", RunE: func(c *cobra.Command, _ []string) error {
		p, err := f.load()
		if err != nil {
			return err
		}
		if printProblems(p, false) {
			return errFailed
		}
		if rule != "" {
			if p = only(p, rule); len(p.Set.Rules) == 0 {
				return fmt.Errorf("no rule %s", rule)
			}
		}
		if verbose {
			return explain(c, p, events)
		}
		img, _, err := p.Compile()
		if err != nil {
			return err
		}
		return offline(c, agent.ImageBytes(img), events)
	}}
	f.add(c)
	c.Flags().StringVar(&rule, "rule", "", "test this rule only")
	c.Flags().StringVar(&events, "event", "", "file of events: NDJSON or a recorded log (default: standard input)")
	c.Flags().BoolVar(&verbose, "verbose", false, "say which test of which rule held or failed")
	return c
}

func only(p *rules.Package, id string) *rules.Package {
	one := &rules.Package{Set: ir.Ruleset{Name: p.Set.Name, Version: p.Set.Version}}
	for i, r := range p.Set.Rules {
		if r.ID == id {
			one.Set.Rules, one.Queries = append(one.Set.Rules, r), append(one.Queries, p.Queries[i])
		}
	}
	return one
}

// explain shows for each event and each step of each rule of its category what the tests made of it.
func explain(c *cobra.Command, p *rules.Package, name string) error {
	log, done, err := openEvents(c, name)
	if err != nil {
		return err
	}
	table, err := proc.New(proc.Config{Entries: agent.HostSizes.Processes, LimboBlocks: 1})
	if err != nil {
		return err
	}
	defer table.Close()
	w := bufio.NewWriter(c.OutOrStdout())
	in := reference.New(p.Set.Rules)
	for id := uint64(0); ; {
		// The reader's records are good until the next one: nothing may borrow them then.
		table.Release()
		rec, err := log.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		var ev event.Event
		if !table.Apply(rec, &ev) {
			continue
		}
		id++
		rec.SetID(id)
		action, _ := ev.Bytes(event.FieldEventAction)
		fmt.Fprintf(w, "event %d: %s %s\n", id, ev.Cat, action)
		for i := range p.Set.Rules {
			explainRule(w, &p.Set.Rules[i], &ev)
		}
		for _, m := range in.Event(&ev) {
			fmt.Fprintf(w, "  ALERT %s: events %v\n", p.Set.Rules[m.Rule].ID, m.Events)
		}
	}
	return errors.Join(w.Flush(), done())
}

func explainRule(w io.Writer, r *ir.Rule, ev *event.Event) {
	stages := r.Stages
	if r.Until != nil {
		stages = append(stages[:len(stages):len(stages)], *r.Until)
	}
	for s := range stages {
		st := &stages[s]
		if st.Category != ev.Cat && st.Category != event.CategoryAny {
			continue
		}
		step := ""
		switch {
		case s == len(r.Stages):
			step = " until"
		case r.Sequence:
			step = fmt.Sprintf(" step %d", s+1)
		}
		fmt.Fprintf(w, "  %s%s: %s\n", r.ID, step, reference.Eval(st.Cond, ev))
		explainNode(w, st.Cond, ev, "    ")
	}
}

func explainNode(w io.Writer, n ir.Node, ev *event.Event, indent string) {
	switch n := n.(type) {
	case ir.And:
		fmt.Fprintf(w, "%sand: %s\n", indent, reference.Eval(n, ev))
		for _, a := range n.Args {
			explainNode(w, a, ev, indent+"  ")
		}
	case ir.Or:
		fmt.Fprintf(w, "%sor: %s\n", indent, reference.Eval(n, ev))
		for _, a := range n.Args {
			explainNode(w, a, ev, indent+"  ")
		}
	case ir.Not:
		fmt.Fprintf(w, "%snot: %s\n", indent, reference.Eval(n, ev))
		explainNode(w, n.Arg, ev, indent+"  ")
	case ir.IsTrue:
		explainNode(w, n.Arg, ev, indent)
	default:
		fmt.Fprintf(w, "%s%s: %s%s\n", indent, ir.Describe(n), reference.Eval(n, ev), valueOf(n, ev))
	}
}

// valueOf is the value that a test saw.
func valueOf(n ir.Node, ev *event.Event) string {
	f, ok := ir.FieldOf(n)
	if !ok {
		return ""
	}
	vs, ok := reference.Values(f, ev)
	switch {
	case !ok:
		return " (the event has none)"
	case len(vs) == 1:
		return fmt.Sprintf(" (it is %q)", vs[0])
	}
	return fmt.Sprintf(" (they are %q)", vs)
}
