package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// machine is one kernel on one architecture and what came of it.
type machine struct {
	series  string // as asked for
	arch    string
	pkg     string // Debian package of the kernel
	skip    string // why it was not tried; then the rest is empty
	run     *guestRun
	problem []string // empty: passed
}

var versionRE = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// name is the version and the architecture: of the kernel that ran, else of the series.
func (m *machine) name() string {
	version := m.series
	if m.run != nil {
		if v := versionRE.FindString(m.run.release); v != "" {
			version = v
		}
	}
	return version + " " + m.arch
}

// judge finds everything that speaks against a run that should have run these programs.
func judge(r *guestRun, err error, programs []string) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if err != nil {
		add("%v", err)
	}
	if r.panic != "" {
		add("kernel panic: %s", r.panic)
	}
	switch {
	case r.release == "":
		add("no first process; last line: %q", r.last)
		return problems
	case !r.done:
		add("no RESULT line; last line: %q", r.last)
	}
	bad := 0
	for i, name := range programs {
		if i >= len(r.programs) || r.programs[i].name != name {
			add("%s did not run", name)
			continue
		}
		p := r.programs[i]
		if p.ended && p.code != 0 {
			bad++
		}
		problems = append(problems, p.problems()...)
	}
	if r.done && r.result != bad {
		add("RESULT %d, but %d programs failed", r.result, bad)
	}
	for _, c := range r.complaints {
		add("kernel: %s", c)
	}
	return problems
}

func (p *programRun) problems() (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c := p.counts()
	if p.panic != "" {
		add("%s: %s", p.name, p.panic)
	}
	for _, t := range p.leaves() {
		switch t.verdict {
		case failed:
			add("%s: %s failed: %s", p.name, t.name, t.reason())
		case noVerdict:
			if t == p.last {
				add("%s: %s did not end", p.name, t.name)
			} else {
				// The testing package prints the results of subtests when the test above them ends.
				add("%s: %s has no result", p.name, t.name)
			}
		}
	}
	switch {
	case !p.ended:
		add("%s did not end", p.name)
	case p.code != 0 && len(problems) == 0:
		add("%s: exit code %d", p.name, p.code)
	case c.total() == 0:
		add("%s: no tests ran", p.name)
	}
	return problems
}

// counts of tests without subtests. A test that did not end failed.
type counts struct {
	passed, failed, skipped int
}

func (c counts) total() int { return c.passed + c.failed + c.skipped }

func (p *programRun) counts() (c counts) {
	for _, t := range p.leaves() {
		switch t.verdict {
		case passed:
			c.passed++
		case skipped:
			c.skipped++
		default:
			c.failed++
		}
	}
	return c
}

// counts of a machine: one that fails without a failed test counts as one, and so does one that was not tried.
func (m *machine) counts() (c counts) {
	if m.skip != "" {
		return counts{skipped: 1}
	}
	if m.run != nil {
		for _, p := range m.run.programs {
			n := p.counts()
			c.passed, c.failed, c.skipped = c.passed+n.passed, c.failed+n.failed, c.skipped+n.skipped
		}
	}
	if len(m.problem) > 0 && c.failed == 0 {
		c.failed = 1
	}
	return c
}

// print writes the line of a machine, and below it what went wrong.
func (m *machine) print(w io.Writer) {
	if m.skip != "" {
		fmt.Fprintf(w, "%s: SKIP (%s)\n", m.name(), m.skip)
		return
	}
	word := "PASS"
	if len(m.problem) > 0 {
		word = "FAIL"
	}
	var parts []string
	if m.run != nil {
		for _, p := range m.run.programs {
			parts = append(parts, p.summary())
		}
	}
	fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("%s: %s %s", m.name(), word, strings.Join(parts, "; "))))
	for _, p := range m.problem {
		fmt.Fprintf(w, "    %s\n", p)
	}
	if m.run == nil {
		return
	}
	for _, p := range m.run.programs {
		for _, t := range p.leaves() {
			if t.verdict == passed || t.verdict == skipped || len(t.logs) < 2 {
				continue
			}
			fmt.Fprintf(w, "    %s said:\n", t.name)
			for _, line := range t.logs {
				fmt.Fprintf(w, "        %s\n", line)
			}
		}
	}
}

// summary is "bpf 12 tests, 1 failed, 3 skipped (2 x no pseudo terminals; short)".
func (p *programRun) summary() string {
	c := p.counts()
	s := fmt.Sprintf("%s %d tests", p.name, c.total())
	if c.failed > 0 {
		s += fmt.Sprintf(", %d failed", c.failed)
	}
	if c.skipped == 0 {
		return s
	}
	var order []string
	seen := map[string]int{}
	for _, t := range p.leaves() {
		if t.verdict != skipped {
			continue
		}
		if seen[t.reason()] == 0 {
			order = append(order, t.reason())
		}
		seen[t.reason()]++
	}
	for i, reason := range order {
		if n := seen[reason]; n > 1 {
			order[i] = fmt.Sprintf("%d x %s", n, reason)
		}
	}
	return s + fmt.Sprintf(", %d skipped (%s)", c.skipped, strings.Join(order, "; "))
}
