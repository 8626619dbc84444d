// Command testreport reads the output of `go test -json`, passes on what a person wants to see, and ends with every test
// that was skipped and why, and the counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// line is what `go test -json` writes; see `go doc test2json`.
type line struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type report struct {
	out                     io.Writer
	output                  map[string][]string // of tests and packages that are not done
	skips                   []string
	passed, failed, skipped int
	broken                  int // packages that failed without a failing test
	failedIn                map[string]bool
}

func main() {
	r := &report{out: os.Stdout, output: make(map[string][]string), failedIn: make(map[string]bool)}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		text, err := in.ReadBytes('\n')
		if len(text) > 0 {
			r.line(text)
		}
		if err != nil {
			break
		}
	}
	os.Exit(r.end())
}

func (r *report) line(text []byte) {
	var l line
	if json.Unmarshal(text, &l) != nil {
		fmt.Fprint(r.out, string(text))
		return
	}
	key := l.Package + " " + l.Test
	switch l.Action {
	case "build-output":
		fmt.Fprint(r.out, l.Output)
	case "output":
		r.output[key] = append(r.output[key], l.Output)
	case "pass", "fail", "skip":
		if l.Test == "" {
			r.pack(&l, key)
		} else {
			r.test(&l, key)
		}
		delete(r.output, key)
	}
}

func (r *report) test(l *line, key string) {
	switch l.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", l.Package, l.Test, reason(r.output[key])))
	case "fail":
		r.failed++
		r.failedIn[l.Package] = true
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	}
}

func (r *report) pack(l *line, key string) {
	switch {
	case l.Action == "fail" && !r.failedIn[l.Package]:
		r.broken++
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	case l.Action == "fail":
		fmt.Fprintf(r.out, "FAIL  %s\n", l.Package)
	case l.Action == "pass":
		fmt.Fprintf(r.out, "ok    %s  %.1fs\n", l.Package, l.Elapsed)
	}
}

// place is the file and line that a skip's reason begins with.
var place = regexp.MustCompile(`^\s*\S+_test\.go:\d+: `)

func reason(output []string) string {
	var parts []string
	for _, o := range output {
		o = strings.TrimSpace(o)
		if o == "" || strings.HasPrefix(o, "===") || strings.HasPrefix(o, "---") {
			continue
		}
		parts = append(parts, place.ReplaceAllString(o, ""))
	}
	if len(parts) == 0 {
		return "no reason given"
	}
	return strings.Join(parts, " ")
}

func (r *report) end() int {
	if len(r.skips) > 0 {
		fmt.Fprintf(r.out, "\nSkipped:\n")
		for _, s := range r.skips {
			fmt.Fprintf(r.out, "  %s\n", strings.TrimPrefix(s, "github.com/kestrel-detection/kestrel/"))
		}
	}
	if r.broken > 0 {
		fmt.Fprintf(r.out, "\n%d packages did not build or ended early\n", r.broken)
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed+r.broken, r.skipped)
	if r.failed+r.broken > 0 || r.passed == 0 {
		return 1
	}
	return 0
}
