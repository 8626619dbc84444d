package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/sink"
	"github.com/kestrel-detection/kestrel/testdata"
)

func replayCommand() *cobra.Command {
	var f ruleFlags
	var log, image string
	var workers int
	var quiet bool
	c := &cobra.Command{Use: "replay", Short: "run a log through the rules; ends with a digest of the alerts", RunE: func(c *cobra.Command, _ []string) error {
		if log == "" {
			return usagef("replay needs --log FILE")
		}
		if workers < 1 || workers > limits.WorkersMax {
			return usagef("--workers %d (1 to %d)", workers, limits.WorkersMax)
		}
		src, err := ruleSource(f, image)
		if err != nil {
			return err
		}
		file, err := os.Open(log)
		if err != nil {
			return err
		}
		defer file.Close()
		r, err := evlog.NewReader(bufio.NewReaderSize(file, 1<<20))
		if err != nil {
			return fmt.Errorf("%s: %w", log, err)
		}
		err = replay(c, src, r, workers, quiet)
		if errors.As(err, new(*evlog.Error)) {
			err = fmt.Errorf("%s: %w", log, err)
		}
		return err
	}}
	f.add(c)
	f.addSkip(c)
	c.Flags().StringVar(&log, "log", "", "log that record wrote; may be compressed with gzip")
	c.Flags().StringVar(&image, "image", "", "rule image (.kri)")
	c.Flags().IntVar(&workers, "workers", 1, "match workers; the alerts do not depend on it")
	c.Flags().BoolVar(&quiet, "quiet", false, "print the digest only")
	return c
}

// printer writes alerts as they are wanted: lines for people on a terminal, JSON lines elsewhere.
type printer struct {
	w     *bufio.Writer
	lines bool
	buf   []byte
	quiet bool
}

func newPrinter(c *cobra.Command, quiet bool) *printer {
	return &printer{w: bufio.NewWriter(c.OutOrStdout()), lines: terminal(c.OutOrStdout()), quiet: quiet}
}

func (p *printer) alert(a alert.Alert, json []byte) error {
	if p.quiet {
		return nil
	}
	if p.lines {
		p.buf = sink.AppendLine(p.buf[:0], a, os.Getenv("NO_COLOR") == "")
		json = p.buf
	}
	_, err := p.w.Write(json)
	return err
}

// run puts records through the rules and prints the alerts.
func (p *printer) run(rules *agent.Rules, log agent.RecordReader, workers int) (agent.Result, error) {
	s := agent.HostSizes
	s.Workers = workers
	return agent.Replay(log, rules.Image, s, p.alert)
}

func replay(c *cobra.Command, src agent.RuleSource, log agent.RecordReader, workers int, quiet bool) error {
	rules, err := src.Load()
	if err != nil {
		return err
	}
	defer rules.Close()
	p := newPrinter(c, quiet)
	r, err := p.run(rules, log, workers)
	if p.lines {
		part := ""
		if !r.Complete {
			part = " of the part that could be read"
		}
		fmt.Fprintf(p.w, "%d events, %d alerts, digest%s sha256:%x\n", r.Engine.Events, r.Engine.Alerts, part, r.Digest)
	} else {
		fmt.Fprintf(p.w, "{\"replay\":{\"events\":%d,\"alerts\":%d,\"complete\":%t,\"digest\":\"sha256:%x\"}}\n", r.Engine.Events,
			r.Engine.Alerts, r.Complete, r.Digest)
	}
	if ferr := p.w.Flush(); err == nil {
		err = ferr
	}
	for class, n := range r.Processes.Lost {
		if n > 0 {
			fmt.Fprintf(os.Stderr, "kestrel: %d %s events were lost while the log was recorded\n", n, event.Class(class))
		}
	}
	return err
}

// replayDemo shows what alerts look like where nothing can be captured.
func replayDemo(c *cobra.Command, src agent.RuleSource) error {
	r, err := evlog.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		return fmt.Errorf("the capture in the binary: %w", err)
	}
	return replay(c, src, r, 1, false)
}

// jsonRecords reads NDJSON events; lines that are none are reported and passed over.
type jsonRecords struct {
	*ecsjson.Reader
	name string
	bad  int
}

// Next implements agent.RecordReader.
func (j *jsonRecords) Next() (event.Record, error) {
	for {
		rec, err := j.Reader.Next()
		var line *ecsjson.LineError
		if !errors.As(err, &line) {
			return rec, err
		}
		j.bad++
		fmt.Fprintf(os.Stderr, "%s:%d:1: %s\n", j.name, line.Line, line.Reason)
	}
}

func (j *jsonRecords) finish() error {
	names, more := j.Ignored()
	for _, n := range names {
		fmt.Fprintf(os.Stderr, "%s: %s: %s in %d events; not used\n", j.name, n.Name, n.Why, n.Count)
	}
	if more > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d more values not used\n", j.name, more)
	}
	if j.bad > 0 {
		return errFailed
	}
	return nil
}

// openEvents opens events to read: NDJSON or a recorded log, "-" or "" for standard input.
func openEvents(c *cobra.Command, name string) (agent.RecordReader, func() error, error) {
	in, label, closeFile := c.InOrStdin(), "stdin", func() error { return nil }
	if name != "" && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		in, label, closeFile = f, name, f.Close
	}
	b := bufio.NewReaderSize(in, 64<<10)
	const magicBytes = 8
	if start, err := b.Peek(magicBytes); err == nil && evlog.IsLog(start) {
		r, err := evlog.NewReader(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", label, err)
		}
		return r, closeFile, nil
	}
	j := &jsonRecords{Reader: ecsjson.NewReader(io.Reader(b)), name: label}
	return j, func() error { return errors.Join(closeFile(), j.finish()) }, nil
}

// offline matches given events and prints the alerts.
func offline(c *cobra.Command, src agent.RuleSource, name string) error {
	return matchEvents(c, src, name, agent.Replay, false)
}

// matcher is agent.Replay or agent.Test.
type matcher func(agent.RecordReader, *image.Image, agent.Sizes, func(alert.Alert, []byte) error) (agent.Result, error)

func matchEvents(c *cobra.Command, src agent.RuleSource, name string, match matcher, asJSON bool) error {
	log, done, err := openEvents(c, name)
	if err != nil {
		return err
	}
	rules, err := src.Load()
	if err != nil {
		return err
	}
	defer rules.Close()
	p := newPrinter(c, false)
	p.lines = p.lines && !asJSON
	_, err = match(log, rules.Image, agent.HostSizes, p.alert)
	if ferr := p.w.Flush(); err == nil {
		err = ferr
	}
	if derr := done(); err == nil {
		err = derr
	}
	return err
}
