package main

import (
	"fmt"
	"regexp"
	"strings"
)

// markdown is the report for the documentation: what ran, what each kernel offers, and test by kernel.
func markdown(machines []*machine, set []suite) string {
	var b strings.Builder
	b.WriteString("# Kernels\n\nWritten by `go run ./cross/vm -table FILE`: Debian's cloud kernels under QEMU, one processor, " +
		memoryMiB + " MiB,\nno hardware virtualization.\n\n")
	b.WriteString("| kernel | Debian package | result |\n|---|---|---|\n")
	for _, m := range machines {
		result := "not tried: " + m.skip
		if m.skip == "" {
			c := m.counts()
			result = fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
			if len(m.problem) > 0 {
				result = "**FAIL**: " + result
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.name(), cell(m.pkg), cell(result))
	}
	var ran []*machine
	for _, m := range machines {
		if m.skip == "" && m.run != nil {
			ran = append(ran, m)
		}
	}
	if len(ran) == 0 {
		return b.String()
	}
	n := new(notes)
	for _, s := range set {
		writeFacts(&b, ran, s, n)
	}
	for _, s := range set {
		writeTests(&b, ran, s.name(), n)
	}
	for i, text := range n.texts {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d. %s\n", i+1, text)
	}
	return b.String()
}

// notes are the numbered remarks below the tables.
type notes struct {
	texts []string
}

// mark returns the number of a remark, as it stands in a cell.
func (n *notes) mark(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	for i, t := range n.texts {
		if t == text {
			return fmt.Sprintf("(%d)", i+1)
		}
	}
	n.texts = append(n.texts, text)
	return fmt.Sprintf("(%d)", len(n.texts))
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func header(b *strings.Builder, title, first string, ran []*machine) {
	fmt.Fprintf(b, "\n## %s\n\n| %s |", title, first)
	for _, m := range ran {
		fmt.Fprintf(b, " %s |", m.name())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(ran)) + "\n")
}

// columnsRE separates the columns that a facts test prints.
var columnsRE = regexp.MustCompile(`\s{2,}`)

// writeFacts writes what the facts test of a suite logged: name, answer and an explanation, which becomes a note.
func writeFacts(b *strings.Builder, ran []*machine, s suite, n *notes) {
	if s.facts == "" {
		return
	}
	var order []string
	answers := map[string]map[*machine]string{}
	for _, m := range ran {
		t := m.test(s.name(), s.facts)
		if t == nil {
			continue
		}
		for _, line := range t.logs {
			f := columnsRE.Split(strings.TrimSpace(line), 3)
			if len(f) < 2 {
				continue
			}
			if answers[f[0]] == nil {
				answers[f[0]] = map[*machine]string{}
				order = append(order, f[0])
			}
			answer := f[1]
			if len(f) == 3 && answer != "yes" {
				answer += " " + n.mark(f[2])
			}
			answers[f[0]][m] = answer
		}
	}
	if len(order) == 0 {
		return
	}
	header(b, "What the kernels offer", "", ran)
	for _, name := range order {
		fmt.Fprintf(b, "| %s |", cell(name))
		for _, m := range ran {
			fmt.Fprintf(b, " %s |", cell(answers[name][m]))
		}
		b.WriteString("\n")
	}
}

func (m *machine) test(program, name string) *test {
	for _, p := range m.run.programs {
		if p.name != program {
			continue
		}
		for _, t := range p.tests {
			if t.name == name {
				return t
			}
		}
	}
	return nil
}

// row is the part of a test's name that the table tells apart: the test and its first subtest.
func row(name string) string {
	parts := strings.SplitN(name, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}

// writeTests writes the tests of one program by kernel.
func writeTests(b *strings.Builder, ran []*machine, program string, n *notes) {
	var order []string
	tests := map[string]map[*machine][]*test{}
	for _, m := range ran {
		for _, p := range m.run.programs {
			if p.name != program {
				continue
			}
			for _, t := range p.leaves() {
				r := row(t.name)
				if tests[r] == nil {
					tests[r] = map[*machine][]*test{}
					order = append(order, r)
				}
				tests[r][m] = append(tests[r][m], t)
			}
		}
	}
	if len(order) == 0 {
		return
	}
	header(b, "Tests of "+program, "test", ran)
	for _, r := range order {
		fmt.Fprintf(b, "| %s |", cell(r))
		for _, m := range ran {
			fmt.Fprintf(b, " %s |", answer(tests[r][m], n))
		}
		b.WriteString("\n")
	}
}

// answer is the cell of a row: how its tests ended on one kernel.
func answer(tests []*test, n *notes) string {
	if len(tests) == 0 {
		return "-"
	}
	var pass int
	var skips, fails []string
	for _, t := range tests {
		switch t.verdict {
		case passed:
			pass++
		case skipped:
			skips = append(skips, n.mark(t.reason()))
		case failed:
			fails = append(fails, n.mark(t.name+": "+t.reason()))
		case noVerdict:
			fails = append(fails, n.mark(t.name+": did not end"))
		}
	}
	switch {
	case len(fails) > 0:
		return "**FAIL** " + strings.Join(unique(fails), " ")
	case pass == 0:
		return "skip " + strings.Join(unique(skips), " ")
	case len(skips) > 0:
		return fmt.Sprintf("pass, %d of %d skip %s", len(skips), len(tests), strings.Join(unique(skips), " "))
	}
	return "pass"
}

func unique(marks []string) (out []string) {
	seen := map[string]bool{}
	for _, m := range marks {
		if !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	return out
}
