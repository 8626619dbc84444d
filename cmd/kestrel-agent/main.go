// Command kestrel-agent is the firmware binary: it loads compiled rule images, captures, matches and replays. It has no
// rule compiler inside.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/version"
)

// Exit codes of SPEC section 2.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
)

const usage = `usage: kestrel-agent COMMAND [flags]

  run      watch: capture, match, alert
  replay   run a recorded log through the rules; ends with a digest of the alerts
  doctor   what this kernel can do, and which source will be used
  version  version, commit, build tags, image format and schema

kestrel-agent COMMAND -h lists the flags of a command.
`

// errUsage is for a command line that the flag package has complained of already.
var errUsage = errors.New("")

func main() { os.Exit(exitCode(run(os.Args[1:]))) }

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "kestrel-agent: "+strings.TrimRight(err.Error(), "\n"))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	if errors.Is(err, agent.ErrUnavailable) {
		return exitUnavailable
	}
	return exitFailed
}

func run(args []string) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("kestrel-agent "+name, flag.ContinueOnError)
	switch name {
	case "run":
		return runCommand(fs, args)
	case "replay":
		return replayCommand(fs, args)
	case "doctor":
		json := fs.Bool("json", false, "print JSON")
		if err := parse(fs, args); err != nil {
			return err
		}
		ok, err := agent.Doctor(os.Stdout, *json)
		if err == nil && !ok {
			err = agent.Unavailable("no source of events")
		}
		return err
	case "version":
		json := fs.Bool("json", false, "print JSON")
		if err := parse(fs, args); err != nil {
			return err
		}
		text := version.Lines("kestrel-agent")
		if *json {
			text = version.JSON("kestrel-agent")
		}
		_, err := io.WriteString(os.Stdout, text)
		return err
	case "help", "-h", "--help":
		_, err := io.WriteString(os.Stdout, usage)
		return err
	}
	if name != "" {
		return usagef("unknown command %q; kestrel-agent help lists them", name)
	}
	fmt.Fprint(os.Stderr, usage)
	return errUsage
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if fs.NArg() > 0 {
		return usagef("%s takes no argument %q", fs.Name(), fs.Arg(0))
	}
	return nil
}

// rules are the image file, or the default rules in the binary.
func rules(image string) agent.RuleSource {
	if image == "" {
		return agent.ImageBytes(defaults.Image())
	}
	return agent.ImageFile(image)
}

func runCommand(fs *flag.FlagSet, args []string) error {
	path := fs.String("config", "", "configuration file (default "+config.DefaultPath+" when it is there)")
	image := fs.String("image", "", "rule image (default: the rules in the binary)")
	level := fs.String("log-level", "", "debug, info, warn or error (default: the configuration's)")
	json := fs.Bool("json", false, "JSON lines on a terminal, too")
	if err := parse(fs, args); err != nil {
		return err
	}
	explicit := *path != ""
	if !explicit {
		*path = config.DefaultPath
	}
	cfg, err := config.Load(*path, explicit)
	if err != nil {
		return err
	}
	// The firmware binary is for small boards: what the file leaves open has the small profile's values.
	cfg.ApplyIoT()
	if *level == "" {
		*level = cfg.General.LogLevel
	}
	l, ok := agent.ParseLevel(*level)
	if !ok {
		return usagef("log level %q (debug, info, warn or error)", *level)
	}
	if cfg.General.Mode == "offline" {
		return usagef("mode offline: use kestrel-agent replay")
	}
	if cfg.General.Mode == "enforce" {
		return agent.Unavailable("mode enforce: this version has no guard")
	}
	return agent.Run(agent.Options{Config: cfg, Rules: rules(*image), JSON: *json, Log: agent.NewLog(os.Stderr, l)})
}

func replayCommand(fs *flag.FlagSet, args []string) error {
	name := fs.String("log", "", "log that kestrel record wrote; may be compressed with gzip")
	image := fs.String("image", "", "rule image (default: the rules in the binary)")
	workers := fs.Int("workers", 1, "match workers; the alerts do not depend on it")
	quiet := fs.Bool("quiet", false, "print the digest only")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case *name == "":
		return usagef("replay needs -log FILE")
	case *workers < 1 || *workers > limits.WorkersMax:
		return usagef("-workers %d (1 to %d)", *workers, limits.WorkersMax)
	}
	f, err := os.Open(*name)
	if err != nil {
		return err
	}
	defer f.Close()
	log, err := evlog.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	r, err := rules(*image).Load()
	if err != nil {
		return err
	}
	defer r.Close()
	s := agent.HostSizes
	s.Workers = *workers
	w := bufio.NewWriter(os.Stdout)
	res, err := agent.Replay(log, r.Image, s, func(_ alert.Alert, json []byte) error {
		if *quiet {
			return nil
		}
		_, err := w.Write(json)
		return err
	})
	fmt.Fprintf(w, "{\"replay\":{\"events\":%d,\"alerts\":%d,\"complete\":%t,\"digest\":\"sha256:%x\"}}\n", res.Engine.Events,
		res.Engine.Alerts, res.Complete, res.Digest)
	if errors.As(err, new(*evlog.Error)) {
		err = fmt.Errorf("%s: %w", *name, err)
	}
	return errors.Join(err, w.Flush())
}
