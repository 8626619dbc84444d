package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
	"github.com/kestrel-detection/kestrel/rules/explain"
)

// casesReport is what became of the cases of a package.
type casesReport struct {
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Skipped int          `json:"skipped"` // of rules that were left out
	Cases   []caseResult `json:"cases"`
}

// caseResult is what became of one.
type caseResult struct {
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Rule     string        `json:"rule"`
	Name     string        `json:"name"`
	Passed   bool          `json:"passed"`
	Expected string        `json:"expected"`
	Raised   int           `json:"raised"`
	Problems []string      `json:"problems,omitempty"` // with the events
	Events   [][]uint64    `json:"events,omitempty"`   // of the alerts raised
	Near     *explain.Near `json:"near,omitempty"`     // why there was none
}

// hasCases tells whether the package has cases for its rules.
func (f *testFlags) hasCases() bool {
	tests, problems := f.readCases()
	return len(tests)+len(problems) > 0
}

// readCases reads the cases of the package that --rules names. A file that is one rule shares the cases of its folder.
func (f *testFlags) readCases() ([]rules.Test, []rules.Problem) {
	if f.dir == "" {
		return nil, nil
	}
	dir := f.folder()
	return rules.Tests(os.DirFS(dir), dir)
}

// folder is the folder that --rules names, or that of the file it names.
func (f *testFlags) folder() string {
	if info, err := os.Stat(f.dir); err == nil && info.IsDir() {
		return f.dir
	}
	return filepath.Dir(f.dir)
}

// ownFile tells whether --rules names a file that is not the manifest of a directory.
func (f *testFlags) ownFile() bool {
	info, err := os.Stat(f.dir)
	base := filepath.Base(f.dir)
	return err == nil && !info.IsDir() && base != "manifest.yaml" && base != "manifest.json"
}

// runCases runs the cases of the rules and fails when one of them does.
func (f *testFlags) runCases(c *cobra.Command, s *compileSet) error {
	tests, problems := f.readCases()
	printProblems(os.Stderr, problems)
	r := casesReport{Cases: []caseResult{}}
	w := bufio.NewWriter(c.OutOrStdout())
	defer w.Flush()
	img, err := image.Load(s.image)
	if err != nil {
		return err
	}
	byID := make(map[string]*ir.Rule)
	for i := range s.Set.Rules {
		byID[s.Set.Rules[i].ID] = &s.Set.Rules[i]
	}
	unknown := 0
	for i := range tests {
		t := &tests[i]
		rule := byID[t.Rule]
		switch {
		case rule != nil:
			result, err := runCase(t, rule, img)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", t.File, t.Line, err)
			}
			r.add(w, result, f)
		case f.rule != "" || f.ownFile():
		case s.leftOut > 0:
			r.Skipped++
		default:
			unknown++
			fmt.Fprintf(os.Stderr, "%s:%d:1: case %q is of rule %s, which is not in the package\n", t.File, t.Line, t.Name, t.Rule)
		}
	}
	if err := r.finish(w, f); err != nil {
		return err
	}
	if r.Failed+unknown+len(problems) > 0 {
		return errFailed
	}
	if len(r.Cases) == 0 {
		return f.noCases(r.Skipped)
	}
	return nil
}

// noCases is the error of having nothing to run.
func (f *testFlags) noCases(skipped int) error {
	const needs = "test needs events (--event FILE, or - for standard input)"
	switch {
	case skipped > 0:
		return fmt.Errorf("no cases but those of the %d rules left out", skipped)
	case f.dir == "":
		return usagef(needs + ": the rules in the binary come without cases")
	case f.rule != "":
		return usagef(needs+", or cases of rule %s in %s", f.rule, filepath.Join(f.folder(), "tests"))
	}
	return usagef(needs+", or cases in a folder named tests in %s", f.folder())
}

// caseSizes are what the events of a case can fill: the rest of a pipeline is not made for each of hundreds of cases.
func caseSizes(lines int) agent.Sizes {
	const least, perEvent = 256, 16
	n := least + perEvent*lines
	s := agent.HostSizes
	s.Processes, s.Tracks, s.States = min(n, s.Processes), min(n, s.Tracks), min(2*n, s.States)
	s.Evidence, s.Suppressed = min(n, s.Evidence), min(n, s.Suppressed)
	return s
}

// runCase runs a case in an engine of its own.
func runCase(t *rules.Test, rule *ir.Rule, img *image.Image) (caseResult, error) {
	r := caseResult{File: t.File, Line: t.Line, Rule: t.Rule, Name: t.Name, Expected: expected(t)}
	log := &caseRecords{Reader: ecsjson.NewReader(bytes.NewReader(t.Lines))}
	_, err := agent.Test(log, img, caseSizes(bytes.Count(t.Lines, []byte{'\n'})), func(a alert.Alert, _ []byte) error {
		if string(a.RuleID()) == t.Rule {
			r.Raised++
			r.Events = append(r.Events, eventsOf(a))
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Problems = log.problems()
	switch {
	case t.Alerts > 0:
		r.Passed = r.Raised == t.Alerts
	default:
		r.Passed = r.Raised > 0 == t.Match
	}
	r.Passed = r.Passed && log.bad == 0
	if t.Match && r.Raised == 0 {
		r.Near, err = nearest(t, rule)
	}
	return r, err
}

func expected(t *rules.Test) string {
	switch {
	case t.Alerts > 0:
		return plural(t.Alerts, "alert")
	case t.Match:
		return "an alert"
	}
	return "no alert"
}

func eventsOf(a alert.Alert) (ids []uint64) {
	for it := a.Events(); ; {
		ev, ok := it.Next()
		if !ok {
			return ids
		}
		ids = append(ids, ev.ID())
	}
}

// nearest says why a rule raised no alert.
func nearest(t *rules.Test, rule *ir.Rule) (*explain.Near, error) {
	x := explain.New([]ir.Rule{*rule}, true)
	log := &caseRecords{Reader: ecsjson.NewReader(bytes.NewReader(t.Lines))}
	if err := eachEvent(log, func(ev *event.Event) { x.Event(ev) }); err != nil {
		return nil, err
	}
	x.Flush()
	near := x.Near(0)
	return &near, nil
}

// caseRecords reads the events of a case; those that are none are remembered.
type caseRecords struct {
	*ecsjson.Reader
	bad  int
	list []string
}

// Next implements agent.RecordReader.
func (c *caseRecords) Next() (event.Record, error) {
	for {
		rec, err := c.Reader.Next()
		var line *ecsjson.LineError
		if !errors.As(err, &line) {
			return rec, err
		}
		c.bad++
		c.list = append(c.list, fmt.Sprintf("event %d: %s", line.Line, line.Reason))
	}
}

func (c *caseRecords) problems() []string {
	names, more := c.Ignored()
	for _, n := range names {
		c.list = append(c.list, fmt.Sprintf("%s: %s; not used", n.Name, n.Why))
	}
	if more > 0 {
		c.list = append(c.list, fmt.Sprintf("%d more values not used", more))
	}
	return c.list
}

// alertsShown bounds the alerts whose events are shown for a case that raised others than expected.
const alertsShown = 5

// add counts a result and prints it.
func (r *casesReport) add(w io.Writer, c caseResult, f *testFlags) {
	r.Cases = append(r.Cases, c)
	if c.Passed {
		r.Passed++
	} else {
		r.Failed++
	}
	if f.json || c.Passed && !f.verbose && len(c.Problems) == 0 {
		return
	}
	place := fmt.Sprintf("%s:%d: ", c.File, c.Line)
	switch {
	case !c.Passed:
		raised := "raised none"
		if c.Raised > 0 {
			raised = fmt.Sprintf("raised %d:", c.Raised)
			for _, ids := range c.Events[:min(len(c.Events), alertsShown)] {
				raised += fmt.Sprintf(" events %v", ids)
			}
		}
		fmt.Fprintf(w, "%sFAIL %s: %s: expected %s, %s\n", place, c.Rule, c.Name, c.Expected, raised)
	case f.verbose:
		fmt.Fprintf(w, "%sok %s: %s\n", place, c.Rule, c.Name)
	default:
		fmt.Fprintf(w, "%swarning: %s: %s\n", place, c.Rule, c.Name)
	}
	for _, p := range c.Problems {
		fmt.Fprintf(w, "  %s\n", p)
	}
	if c.Near == nil || c.Passed {
		return
	}
	if c.Near.Text != "" {
		fmt.Fprintf(w, "  %s\n", c.Near.Text)
	}
	if s := c.Near.Step; s != nil {
		to := ""
		if s.Step != "" {
			to = " to " + s.Step
		}
		fmt.Fprintf(w, "  event %d comes nearest%s: %s%s\n", c.Near.Event, to, s.Truth, noteOf(s))
		printNode(w, s.Why, "    ")
	}
}

func (r *casesReport) finish(w io.Writer, f *testFlags) error {
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	if len(r.Cases) == 0 {
		return nil
	}
	skipped := ""
	if r.Skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped (their rules were left out)", r.Skipped)
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed%s\n", r.Passed, r.Failed, skipped)
	return err
}
