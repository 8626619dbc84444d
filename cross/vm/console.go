package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/cross/vm/plan"
)

const (
	// consoleBytesMax bounds what is kept of a guest's output; a test that prints without end fails.
	consoleBytesMax = 16 << 20
	// reasonBytesMax bounds a reason in the report.
	reasonBytesMax = 200
)

// verdict is how a test ended.
type verdict uint8

// The verdicts. A test that started and did not end has none.
const (
	noVerdict verdict = iota
	passed
	failed
	skipped
)

// test is one test or subtest of a program.
type test struct {
	name    string
	verdict verdict
	parent  bool     // has subtests: it is not counted itself
	logs    []string // its log lines, without file and line
}

// reason is why a test was skipped or failed: what it logged first.
func (t *test) reason() string {
	if len(t.logs) == 0 {
		return "no reason given"
	}
	r := strings.TrimPrefix(t.logs[0], "skipped: ")
	if len(r) > reasonBytesMax {
		r = strings.ToValidUTF8(r[:reasonBytesMax], "") + "..."
	}
	return r
}

// programRun is what one test binary printed.
type programRun struct {
	name   string
	ended  bool
	code   int
	millis int
	tests  []*test // in the order of their starts
	last   *test   // the one that started or went on last
	panic  string  // the first line of a panic of the test binary
}

// guestRun is what a guest printed, read line by line. The zero value is ready.
type guestRun struct {
	release    string // of the kernel; "": the first process did not start
	programs   []*programRun
	complaints []string // of the kernel about itself
	panic      string   // the kernel's last words
	last       string   // the last line that was not empty
	result     int
	done       bool // a complete result line came

	inside bool // between begin and end
}

// parseConsole reads everything that a guest printed. A last line without a newline is cut: it proves nothing.
func parseConsole(text string) *guestRun {
	g := new(guestRun)
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, "\n") {
			g.line(line)
		} else if strings.TrimSpace(line) != "" {
			g.last = strings.TrimSpace(line)
		}
	}
	return g
}

var (
	escapeRE = regexp.MustCompile(`\x1b(\[[0-9;?=]*[A-Za-z]|[A-Za-z])`) // what firmware does to a terminal
	resultRE = regexp.MustCompile(`^( *)--- (PASS|FAIL|SKIP): (\S+) \([0-9.]+s\)$`)
	startRE  = regexp.MustCompile(`^=== (RUN|NAME|CONT|PAUSE) +(\S+)$`)
	logRE    = regexp.MustCompile(`^ +[\w-]+\.go:[0-9]+: (.*)$`)
	moreRE   = regexp.MustCompile(`^ {8,}(.*)$`) // a log entry of several lines goes on
)

func (g *guestRun) line(line string) {
	line = strings.TrimRight(escapeRE.ReplaceAllString(strings.ReplaceAll(line, "\r", ""), ""), "\n")
	if strings.TrimSpace(line) != "" {
		g.last = strings.TrimSpace(line)
	}
	if _, text, ok := strings.Cut(line, "Kernel panic - not syncing: "); ok && g.panic == "" {
		g.panic = text
		return
	}
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case g.done:
	case word == plan.Init && !g.inside:
		g.release = rest
	case word == plan.Begin && !g.inside:
		g.inside = true
		g.programs = append(g.programs, &programRun{name: rest})
	case word == plan.End && g.inside:
		g.end(rest)
	case word == plan.Kernel && !g.inside:
		g.complaints = append(g.complaints, rest)
	case word == plan.Result && !g.inside:
		if n, err := strconv.ParseUint(rest, 10, 16); err == nil {
			g.result, g.done = int(n), true
		}
	case g.inside:
		g.testLine(g.programs[len(g.programs)-1], line)
	}
}

// end reads "NAME CODE MILLISECONDS"; anything else is output of the program that looks like it.
func (g *guestRun) end(rest string) {
	p := g.programs[len(g.programs)-1]
	f := strings.Fields(rest)
	if len(f) != 3 || f[0] != p.name {
		return
	}
	code, err1 := strconv.Atoi(f[1])
	millis, err2 := strconv.Atoi(f[2])
	if err1 != nil || err2 != nil {
		return
	}
	p.ended, p.code, p.millis = true, code, millis
	g.inside = false
}

func (g *guestRun) testLine(p *programRun, line string) {
	if m := startRE.FindStringSubmatch(line); m != nil {
		p.last = p.find(m[2])
		return
	}
	if m := resultRE.FindStringSubmatch(line); m != nil {
		t := p.find(m[3])
		t.verdict = map[string]verdict{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[2]]
		return
	}
	if m := logRE.FindStringSubmatch(line); m != nil && p.last != nil {
		p.last.logs = append(p.last.logs, strings.TrimRight(m[1], " "))
		return
	}
	if m := moreRE.FindStringSubmatch(line); m != nil && p.last != nil && len(p.last.logs) > 0 {
		p.last.logs = append(p.last.logs, strings.TrimRight(m[1], " "))
		return
	}
	if p.panic == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.HasPrefix(line, "SIGSEGV: ")) {
		p.panic = line
	}
}

// find is the test with a name, made on first sight; the tests above it in the tree become parents.
func (p *programRun) find(name string) *test {
	for _, t := range p.tests {
		if t.name == name {
			return t
		}
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		p.find(name[:i]).parent = true
	}
	t := &test{name: name}
	p.tests = append(p.tests, t)
	return t
}

// leaves are the tests that count: those without subtests, and those that failed beside their subtests.
func (p *programRun) leaves() (out []*test) {
	for _, t := range p.tests {
		if !t.parent || (t.verdict == failed || t.verdict == noVerdict) && !p.below(t) {
			out = append(out, t)
		}
	}
	return out
}

// below tells whether a subtest explains why its parent failed or did not end.
func (p *programRun) below(parent *test) bool {
	for _, t := range p.tests {
		if strings.HasPrefix(t.name, parent.name+"/") && (t.verdict == failed || t.verdict == noVerdict) {
			return true
		}
	}
	return false
}
