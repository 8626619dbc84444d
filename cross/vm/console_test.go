package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// boot is a console up to the first program, as QEMU prints it: with escape sequences of the firmware and CR LF.
const boot = "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2)\r\n[    0.9] hello\r\n\r\nKESTREL-INIT 6.1.0-50-cloud-amd64\r\n"

// output is what a test binary prints.
const output = `=== RUN   TestA
    a_test.go:10: some log
--- PASS: TestA (0.10s)
=== RUN   TestB
=== RUN   TestB/x
=== RUN   TestB/y
    b_test.go:5: skipped: no pseudo terminals
--- PASS: TestB (0.02s)
    --- PASS: TestB/x (0.01s)
    --- SKIP: TestB/y (0.00s)
=== RUN   TestC
    c_test.go:7: skipped: short
--- SKIP: TestC (0.00s)
PASS
`

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func whole(body string, code string) string {
	return boot + crlf("KESTREL-BEGIN bpf\n"+body+"KESTREL-END bpf "+code+" 1234\n")
}

func TestConsole(t *testing.T) {
	broken := strings.Replace(strings.Replace(output, "--- PASS: TestA", "    a_test.go:11: 2, want 1\n        and more\n--- FAIL: TestA", 1),
		"\nPASS\n", "\nFAIL\n", 1)
	panicked := "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n=== RUN   TestB/x\npanic: boom [recovered]\n\ngoroutine 7:\n"
	oops := "[    5.1] BUG: kernel NULL pointer dereference\n[    5.2] Kernel panic - not syncing: Fatal exception\n"
	for _, c := range []struct {
		name    string
		console string
		err     error
		want    counts
		problem []string // one substring for each problem
	}{
		{"good", whole(output, "0") + "RESULT 0\r\n", nil, counts{2, 0, 2}, nil},
		{"test-failed", whole(broken, "1") + "RESULT 1\r\n", nil, counts{1, 1, 2}, []string{"TestA failed: some log"}},
		{"failed-by-exit-code", whole(output, "1") + "RESULT 1\r\n", nil, counts{2, 0, 2}, []string{"bpf: exit code 1"}},
		{"test-binary-panicked", whole(panicked, "2") + "RESULT 1\r\n", nil, counts{1, 1, 0},
			[]string{"panic: boom", "TestB/x did not end"}},
		{"no-tests", whole("testing: warning: no tests to run\nPASS\n", "0") + "RESULT 0\r\n", nil, counts{},
			[]string{"no tests ran"}},
		{"no-result", whole(output, "0"), nil, counts{2, 0, 2}, []string{"no RESULT line"}},
		{"result-cut", whole(output, "0") + "RESULT 0", nil, counts{2, 0, 2}, []string{"no RESULT line"}},
		{"result-without-number", whole(output, "0") + "RESULT \r\n", nil, counts{2, 0, 2}, []string{"no RESULT line"}},
		{"result-with-more", whole(output, "0") + "RESULT 0 or so\r\n", nil, counts{2, 0, 2}, []string{"no RESULT line"}},
		{"result-says-more", whole(output, "0") + "RESULT 1\r\n", nil, counts{2, 0, 2}, []string{"RESULT 1, but 0"}},
		{"result-of-a-test", boot + crlf("KESTREL-BEGIN bpf\n"+output+"RESULT 0\n"), nil, counts{2, 0, 2},
			[]string{"no RESULT line", "bpf did not end"}},
		{"end-of-another", boot + crlf("KESTREL-BEGIN bpf\n"+output+"KESTREL-END dfa 0 1\nRESULT 0\n"), nil, counts{2, 0, 2},
			[]string{"no RESULT line", "bpf did not end"}},
		{"end-cut", boot + crlf("KESTREL-BEGIN bpf\n"+output) + "KESTREL-END bpf 0", nil, counts{2, 0, 2},
			[]string{"no RESULT line", "bpf did not end"}},
		{"not-run", boot + "RESULT 0\r\n", nil, counts{}, []string{"bpf did not run"}},
		{"kernel-panic-in-a-test", boot + crlf("KESTREL-BEGIN bpf\n=== RUN   TestA\n"+oops), nil, counts{0, 1, 0},
			[]string{"kernel panic: Fatal exception", "no RESULT line", "TestA did not end", "bpf did not end"}},
		{"kernel-panic-at-boot", "[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", nil, counts{},
			[]string{"kernel panic: VFS", "no first process"}},
		{"kernel-complained", whole(output, "0") + "KESTREL-KERNEL WARNING: CPU: 0 PID: 9 at kernel/x.c:1\r\nRESULT 0\r\n", nil,
			counts{2, 0, 2}, []string{"kernel: WARNING: CPU: 0"}},
		{"killed", boot + crlf("KESTREL-BEGIN bpf\n=== RUN   TestA\n"), errors.New("timed out after 8m"), counts{0, 1, 0},
			[]string{"timed out after 8m", "no RESULT line", "TestA did not end", "bpf did not end"}},
		{"nothing", "", errors.New("no first process after 2m"), counts{}, []string{"no first process after", "no first process; last"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseConsole(c.console)
			m := &machine{series: "6.1", arch: "amd64", run: r, problem: judge(r, c.err, []string{"bpf"})}
			if len(m.problem) != len(c.problem) {
				t.Fatalf("problems %q, want %q", m.problem, c.problem)
			}
			for i, want := range c.problem {
				if !strings.Contains(m.problem[i], want) {
					t.Errorf("problem %q, want %q", m.problem[i], want)
				}
			}
			var got counts
			for _, p := range r.programs {
				got = p.counts()
			}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if c.problem != nil && m.counts().failed == 0 {
				t.Error("a machine with a problem counts no failure")
			}
		})
	}
}

// TestConsoleCut: a console cut anywhere before the end of its result line never passes.
func TestConsoleCut(t *testing.T) {
	text := whole(output, "0") + "RESULT 0\r\n"
	for n := range len(text) {
		if p := judge(parseConsole(text[:n]), nil, []string{"bpf"}); len(p) == 0 {
			t.Fatalf("cut after %d of %d bytes passes", n, len(text))
		}
	}
	if p := judge(parseConsole(text), nil, []string{"bpf"}); len(p) != 0 {
		t.Errorf("the whole does not pass: %q", p)
	}
}

func TestReport(t *testing.T) {
	good := parseConsole(whole(output, "0") + "RESULT 0\r\n")
	bad := parseConsole(strings.Replace(whole(strings.Replace(output, "--- PASS: TestA", "--- FAIL: TestA", 1), "1"), "6.1.0-50", "7.3.4+deb13", 1) +
		"RESULT 1\r\n")
	machines := []*machine{
		{series: "6.1", arch: "amd64", pkg: "linux-image-6.1 1", run: good, problem: judge(good, nil, []string{"bpf"})},
		{series: "7.x", arch: "amd64", pkg: "linux-binary-7.3 1", run: bad, problem: judge(bad, nil, []string{"bpf"})},
		{series: "5.10", arch: "arm64", skip: "suite bullseye cannot be read: 404"},
	}
	var b strings.Builder
	for _, m := range machines {
		m.print(&b)
	}
	const lines = `6.1 amd64: PASS bpf 4 tests, 2 skipped (no pseudo terminals; short)
7.3 amd64: FAIL bpf 4 tests, 1 failed, 2 skipped (no pseudo terminals; short)
    bpf: TestA failed: some log
5.10 arm64: SKIP (suite bullseye cannot be read: 404)
`
	if b.String() != lines {
		t.Errorf("got\n%swant\n%s", b.String(), lines)
	}
	got := markdown(machines, []suite{{pkg: "./bpf"}})
	want, err := os.ReadFile("testdata/report.md")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFacts(t *testing.T) {
	body := "=== RUN   TestProbe\n" +
		"    p_test.go:1: type information (BTF)                   yes             found\n" +
		"    p_test.go:1: attach to a function (fentry)            no              needs 6.4\n" +
		"    p_test.go:1: ring buffer                              yes             \n" +
		"--- PASS: TestProbe (0.01s)\nPASS\n"
	r := parseConsole(whole(body, "0") + "RESULT 0\r\n")
	got := markdown([]*machine{{series: "6.1", arch: "amd64", run: r}}, []suite{{pkg: "./bpf", facts: "TestProbe"}})
	for _, want := range []string{"| type information (BTF) | yes |\n", "| attach to a function (fentry) | no (1) |\n",
		"| ring buffer | yes |\n", "\n1. needs 6.4\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
