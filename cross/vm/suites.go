package main

import (
	"fmt"
	"path"
	"slices"
)

// suite is a package whose tests run in the guests.
type suite struct {
	pkg   string   // relative to the module, "./bpf"
	run   string   // regular expression of -test.run; "": all
	needs []string // "./cmd/NAME": built, as /bin/NAME; "/bin/NAME": a system program that init stands in for
	env   []string // "NAME=VALUE"
	full  bool     // never with -test.short
	facts string   // a test whose log lines are facts about the kernel ("name  answer  detail"), for the table
}

// suites is the list to extend. Nothing else of the system is in a guest: no shell, no C library, no Go toolchain. A
// package's testdata folder is there, in the working directory as always.
var suites = []suite{
	{pkg: "./bpf", facts: "TestProbe"},
	{pkg: "./agent/procfs", needs: []string{"/bin/sleep"}},
}

// standIns are the system programs that init can play.
var standIns = map[string]bool{"/bin/true": true, "/bin/cat": true, "/bin/sleep": true}

func (s suite) name() string { return path.Base(s.pkg) }

// testOptions hold for all suites of a run.
type testOptions struct {
	long bool
	run  string // overrides that of the suite
}

// longEnv tells tests to take their time.
const longEnv = "KESTREL_LONG=1"

// command is the argument list of the test binary and what it adds to the environment.
func (s suite) command(o testOptions) (args, env []string) {
	run := s.run
	if o.run != "" {
		run = o.run
	}
	// A test that hangs must end before the host gives up, so that the stacks of its goroutines are seen.
	timeout := guestTimeout(o.long) * 9 / 10
	args = []string{"-test.v", "-test.paniconexit0", fmt.Sprintf("-test.timeout=%s", timeout)}
	if run != "" {
		args = append(args, "-test.run="+run)
	}
	env = slices.Clone(s.env)
	if o.long {
		env = append(env, longEnv)
	} else if !s.full {
		args = append(args, "-test.short")
	}
	return args, env
}
