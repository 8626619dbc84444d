// Command kestrel is the full tool: it compiles and tests rules on a host, and captures, matches, records and replays
// events on a device.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/version"
)

// Exit codes of SPEC section 2.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
)

// errFailed is for a check that said all there is to say already.
var errFailed = errors.New("")

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == benchmarkName {
		args = append([]string{"bench"}, args...)
	}
	os.Exit(run(args))
}

func run(args []string) int {
	root := &cobra.Command{
		Use:           "kestrel",
		Short:         "endpoint detection for small Linux devices",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(), validateCommand(), compileCommand(), listCommand(), testCommand(), huntCommand(),
		recordCommand(), replayCommand(), benchCommand(), doctorCommand(), versionCommand())
	for _, c := range root.Commands() {
		c.Args = noArguments
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		// Asked for the help of a command that is none, cobra would print its own and be content.
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd(args...)
		if found, _, err := root.Find(args[:1]); err != nil || found == root {
			return exitCode(usagef("unknown command %q; kestrel --help lists them", args[0]))
		}
	}
	root.SetArgs(args)
	return exitCode(root.Execute())
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q; see kestrel %s --help", c.Name(), args[0], c.Name())
	}
	return nil
}

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errFailed) {
		fmt.Fprintln(os.Stderr, "kestrel: "+strings.TrimRight(err.Error(), "\n"))
	}
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.Is(err, agent.ErrUnavailable):
		return exitUnavailable
	}
	return exitFailed
}

func versionCommand() *cobra.Command {
	var json bool
	c := &cobra.Command{Use: "version", Short: "version, commit, build tags, image format and schema", RunE: func(c *cobra.Command, _ []string) error {
		text := version.Lines("kestrel")
		if json {
			text = version.JSON("kestrel")
		}
		_, err := fmt.Fprint(c.OutOrStdout(), text)
		return err
	}}
	c.Flags().BoolVar(&json, "json", false, "print JSON")
	return c
}
