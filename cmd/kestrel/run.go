package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/image/defaults"
)

// ruleSource is where run, replay and test take their rules from: an image, a package, or the binary.
func ruleSource(f ruleFlags, image string) (agent.RuleSource, error) {
	switch {
	case image != "" && f.dir != "":
		return nil, usagef("--rules and --image exclude each other")
	case image != "":
		return agent.ImageFile(image), nil
	case f.dir != "":
		return compiledRules{f}, nil
	}
	return agent.ImageBytes(defaults.Image()), nil
}

// liveFlags are the flags of commands that capture.
type liveFlags struct {
	config   string
	logLevel string
	json     bool
}

func (f *liveFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "configuration file (default "+config.DefaultPath+" when it is there)")
	c.Flags().StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error (default: the configuration's)")
	c.Flags().BoolVar(&f.json, "json", false, "JSON lines on a terminal, too")
}

func (f *liveFlags) options() (agent.Options, error) {
	path := f.config
	if path == "" {
		path = config.DefaultPath
	}
	cfg, err := config.Load(path, f.config != "")
	if err != nil {
		return agent.Options{}, err
	}
	if cfg.Board.Profile == "" {
		cfg.ApplyIoT()
	}
	name := f.logLevel
	if name == "" {
		name = cfg.General.LogLevel
	}
	level, ok := agent.ParseLevel(name)
	if !ok {
		return agent.Options{}, usagef("log level %q (debug, info, warn or error)", name)
	}
	return agent.Options{Config: cfg, JSON: f.json, Log: agent.NewLog(os.Stderr, level)}, nil
}

func runCommand() *cobra.Command {
	var f ruleFlags
	var lf liveFlags
	var image, mode, source string
	var demo bool
	c := &cobra.Command{Use: "run", Short: "watch: capture, match, alert", RunE: func(c *cobra.Command, _ []string) error {
		o, err := lf.options()
		if err != nil {
			return err
		}
		if o.Rules, err = ruleSource(f, image); err != nil {
			return err
		}
		if mode == "" {
			mode = o.Config.General.Mode
		}
		switch mode {
		case "detect", "offline":
		case "enforce":
			return agent.Unavailable("mode enforce: this version has no guard")
		default:
			return usagef("--mode %s (detect, enforce or offline)", mode)
		}
		switch {
		case source == "stdin":
			return offline(c, o.Rules, "-")
		case strings.HasPrefix(source, "replay:"):
			return offline(c, o.Rules, strings.TrimPrefix(source, "replay:"))
		case mode == "offline":
			return usagef("--mode offline needs --source stdin or --source replay:FILE")
		case source == "fanotify" || source == "proc" || source == "audit":
			return agent.Unavailable("source %s is not part of this version (auto, ebpf, stdin, replay:FILE)", source)
		case source != "auto" && source != "ebpf":
			return usagef("--source %s (auto, ebpf, stdin or replay:FILE)", source)
		}
		err = agent.Run(o)
		if demo && errors.Is(err, agent.ErrUnavailable) {
			o.Log.Warnf("%v", err)
			o.Log.Infof("showing the recorded events in this binary instead; this is not your machine")
			return replayDemo(c, o.Rules)
		}
		return err
	}}
	f.add(c)
	f.addSkip(c)
	lf.add(c)
	c.Flags().StringVar(&image, "image", "", "rule image (.kri)")
	c.Flags().StringVar(&mode, "mode", "", "detect, enforce or offline (default: the configuration's)")
	c.Flags().StringVar(&source, "source", "auto", "auto, ebpf, stdin (NDJSON events) or replay:FILE")
	c.Flags().BoolVar(&demo, "demo", false, "where nothing can be captured, replay the capture in the binary")
	return c
}

func recordCommand() *cobra.Command {
	var lf liveFlags
	var output string
	var duration time.Duration
	c := &cobra.Command{Use: "record", Short: "write captured events to a log", RunE: func(_ *cobra.Command, _ []string) error {
		if output == "" {
			return usagef("record needs --output FILE")
		}
		if duration < 0 {
			return usagef("--duration %s (0 is until a signal)", duration)
		}
		o, err := lf.options()
		if err != nil {
			return err
		}
		return agent.Record(o, output, duration)
	}}
	lf.add(c)
	c.Flags().StringVar(&output, "output", "", "log to write")
	c.Flags().DurationVar(&duration, "duration", 0, "how long to record (default: until a signal)")
	return c
}

func doctorCommand() *cobra.Command {
	var json bool
	c := &cobra.Command{Use: "doctor", Short: "what this kernel can do, and which source will be used", RunE: func(c *cobra.Command, _ []string) error {
		ok, err := agent.Doctor(c.OutOrStdout(), json)
		if err == nil && !ok {
			err = agent.Unavailable("no source of events")
		}
		return err
	}}
	c.Flags().BoolVar(&json, "json", false, "print JSON")
	return c
}
