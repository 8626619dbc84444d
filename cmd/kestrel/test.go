package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
)

// testFlags are those of the command test.
type testFlags struct {
	ruleFlags
	rule    string
	events  string
	cases   bool
	verbose bool
	json    bool
}

func testCommand() *cobra.Command {
	var f testFlags
	c := &cobra.Command{Use: "test", Short: "run the cases of a package, or events through its rules",
		Long: `Runs rules on a host, without privileges.

With events, it prints the alerts they raise, or with --verbose what each step of each rule made of each event. Events are
NDJSON or a recorded log: --event FILE, --event - for standard input, or simply piped in.

Without events, it runs the cases that lie in the folders named tests of the package, and fails when one does. It does so
also when standard input is empty; --cases does not look at standard input at all.`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) }}
	f.add(c)
	f.addSkip(c)
	c.Flags().StringVar(&f.rule, "rule", "", "test this rule only")
	c.Flags().StringVar(&f.events, "event", "", "file of events: NDJSON or a recorded log; - is standard input")
	c.Flags().BoolVar(&f.cases, "cases", false, "run the cases of the package, whatever standard input is")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "explain each event: which test of which rule held or failed; of cases, name those that pass")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON on a terminal, too; of cases, a report as JSON")
	return c
}

func (f *testFlags) run(c *cobra.Command) error {
	if f.cases && f.events != "" {
		return usagef("--cases and --event exclude each other")
	}
	s, err := f.compiled()
	if err != nil {
		return err
	}
	if f.rule != "" {
		if s.Package = s.Only(f.rule); s.Package == nil {
			return fmt.Errorf("no rule %s", f.rule)
		}
		if s.image, s.report, err = s.Compile(); err != nil {
			return err
		}
	}
	input := noInput
	if f.events == "" && !f.cases {
		input = stdinHolds(c)
	}
	if f.events == "" && input != eventsInput {
		if has := f.hasCases(); has || f.cases || input == noInput {
			return f.runCases(c, s)
		}
	}
	if f.verbose {
		return f.explain(c, s)
	}
	return matchEvents(c, agent.ImageBytes(s.image), f.events, agent.Test, f.json)
}

// input is what standard input is good for.
type input uint8

const (
	noInput     input = iota // a terminal, or nothing
	emptyInput               // a pipe or file that holds nothing
	eventsInput              // something to read
)

// stdinHolds looks at the standard input of a command. It waits for the first byte of a pipe.
func stdinHolds(c *cobra.Command) input {
	f, ok := c.InOrStdin().(*os.File)
	if !ok {
		return eventsInput
	}
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeCharDevice != 0 {
		return noInput
	}
	b := bufio.NewReaderSize(f, 64<<10)
	c.SetIn(b)
	if _, err := b.Peek(1); err != nil {
		return emptyInput
	}
	return eventsInput
}
