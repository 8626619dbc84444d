package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/rules/explain"
)

// rulesInFull is up to how many rules every step of every rule is shown for every event. Of more only the steps that
// hold are: nobody reads a hundred trees an event.
const rulesInFull = 8

// explain shows for each event what each step of each rule made of it, and what became of pending sequences.
func (f *testFlags) explain(c *cobra.Command, s *compileSet) error {
	log, done, err := openEvents(c, f.events)
	if err != nil {
		return err
	}
	x := explain.New(s.Set.Rules, len(s.Set.Rules) <= rulesInFull)
	w := bufio.NewWriter(c.OutOrStdout())
	p := explainPrinter{w: w, json: json.NewEncoder(w)}
	report := p.text
	if f.json {
		report = p.asJSON
	}
	err = eachEvent(log, func(ev *event.Event) { report(x.Event(ev)) })
	if err == nil {
		report(x.Flush())
	}
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if derr := done(); err == nil {
		err = derr
	}
	return err
}

// eachEvent completes the events of a log with what is known of their processes, and numbers them from 1.
func eachEvent(log agent.RecordReader, f func(*event.Event)) error {
	table, err := proc.New(proc.Config{Entries: agent.HostSizes.Processes, LimboBlocks: 1})
	if err != nil {
		return err
	}
	defer table.Close()
	for id := uint64(0); ; {
		// The reader's records are good until the next one: nothing may borrow them then.
		table.Release()
		rec, err := log.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var ev event.Event
		if !table.Apply(rec, &ev) {
			continue
		}
		id++
		rec.SetID(id)
		f(&ev)
	}
}

// explainPrinter writes reports for people, or as a JSON line each.
type explainPrinter struct {
	w    io.Writer
	json *json.Encoder
}

// asJSON writes a report. What goes wrong with the output is seen when it is flushed.
func (p *explainPrinter) asJSON(r *explain.Report) {
	if r.Event != 0 || len(r.Alerts)+len(r.Pending) > 0 {
		_ = p.json.Encode(r)
	}
}

func (p *explainPrinter) text(r *explain.Report) {
	switch {
	case r.Event != 0:
		fmt.Fprintf(p.w, "event %d: %s %s\n", r.Event, r.Category, r.Action)
	case len(r.Alerts)+len(r.Pending) > 0:
		fmt.Fprintf(p.w, "at the end:\n")
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		name := s.Rule
		if s.Step != "" {
			name += " " + s.Step
		}
		fmt.Fprintf(p.w, "  %s: %s%s\n", name, s.Truth, noteOf(s))
		printNode(p.w, s.Why, "    ")
	}
	if r.Others > 0 {
		fmt.Fprintf(p.w, "  %d other steps do not hold; --rule ID explains a rule in full\n", r.Others)
	}
	for i := range r.Changes {
		ch := &r.Changes[i]
		note := ""
		if ch.Note != "" {
			note = " (" + ch.Note + ")"
		}
		fmt.Fprintf(p.w, "  %s %s: %s%s\n", ch.Rule, ch.What, stateText(&ch.State), note)
	}
	for i := range r.Pending {
		s := &r.Pending[i]
		fmt.Fprintf(p.w, "  %s pending: %s\n", s.Of, stateText(s))
	}
	for _, a := range r.Alerts {
		suppressed := ""
		if a.Suppressed {
			suppressed = ", suppressed: another stands for it"
		}
		fmt.Fprintf(p.w, "  ALERT %s: events %v%s\n", a.Rule, a.Events, suppressed)
	}
}

func noteOf(s *explain.Step) string {
	if s.Note == "" {
		return ""
	}
	return ", but " + s.Note
}

func stateText(s *explain.State) string {
	text := s.Place
	if len(s.Events) > 0 {
		text += fmt.Sprintf(", events %v", s.Events)
	}
	if s.Since != "" && s.Since != "0s" {
		text += ", since " + s.Since
	}
	if s.Key != "" {
		text += ", " + s.Key
	}
	return text
}

func printNode(w io.Writer, n *explain.Node, indent string) {
	text := n.Text
	if n.Truth != "" {
		text += ": " + n.Truth
	}
	if n.Seen != "" {
		text += " (" + n.Seen + ")"
	}
	fmt.Fprintf(w, "%s%s\n", indent, text)
	for _, a := range n.Args {
		printNode(w, a, indent+"  ")
	}
}
