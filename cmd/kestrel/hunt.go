package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// huntFlags are the flags of hunt as they were given.
type huntFlags struct {
	query, expression       string
	events, schema          string
	dialect, format         string
	fields                  events.Schema
	globals                 []string
	size, samples           int
	check                   bool
	sensitive, notSensitive bool
}

func huntCommand() *cobra.Command {
	var f huntFlags
	c := &cobra.Command{Use: "hunt", Short: "ad-hoc EQL over NDJSON or a recorded log",
		Example: "  kestrel hunt --events events.ndjson --query 'process where process.name : \"nc*\"'\n" +
			"  kestrel hunt --events capture.klog --query @lateral.eql --format ids",
		RunE: func(c *cobra.Command, _ []string) error {
			d, opt, err := f.options(c)
			if err != nil {
				return err
			}
			if f.expression != "" {
				return f.evaluate(c, d, opt)
			}
			return f.hunt(c, d, opt)
		}}
	fs := c.Flags()
	fs.StringVar(&f.query, "query", "", "the query, or @FILE")
	fs.StringVar(&f.expression, "expression", "", "evaluate an expression without events instead, or @FILE")
	fs.StringVar(&f.events, "events", "", "NDJSON or a recorded log, plain or gzip (default: standard input)")
	fs.StringVar(&f.schema, "schema", "", "JSON file of special fields and types (default: inferred from the events)")
	fs.StringVar(&f.dialect, "dialect", "kestrel", "kestrel, elastic or endgame")
	fs.StringVar(&f.format, "format", "json", "json, or ids: a line a match, -1 for a missing event")
	fs.BoolVar(&f.check, "check", false, "parse and check types only, against the fields of --events if given")
	fs.StringVar(&f.fields.Timestamp, "timestamp-field", "", "default: @timestamp, timestamp, timestamp_ns")
	fs.StringVar(&f.fields.Tiebreaker, "tiebreaker-field", "", "orders events of one time (default: event.sequence)")
	fs.StringVar(&f.fields.Category, "category-field", "", "default: event.category, event_type")
	fs.StringVar(&f.fields.ID, "id-field", "", "default: event.id, _id, id, serial_event_id, else the line")
	fs.StringArrayVar(&f.globals, "global", nil, "values of $NAME in the query, as NAME=VALUE,VALUE (may be repeated)")
	fs.IntVar(&f.size, "size", 0, "give at most so many matches (default: all)")
	fs.IntVar(&f.samples, "max-samples-per-key", hunt.SamplesDefault, "matches of a sample for each key")
	fs.BoolVar(&f.sensitive, "case-sensitive", false, "endgame: strings compare with regard to case")
	fs.BoolVar(&f.notSensitive, "case-insensitive", false, "endgame: strings compare without case (the default)")
	return c
}

// options checks the flags.
func (f *huntFlags) options(c *cobra.Command) (d eql.Dialect, opt hunt.Options, err error) {
	if d, err = eql.ParseDialect(f.dialect); err != nil {
		return d, opt, usageError{err}
	}
	limited := c.Flags().Changed("size")
	switch {
	case (f.query == "") == (f.expression == ""):
		return d, opt, usagef("hunt needs either --query or --expression")
	case f.format != "json" && f.format != "ids":
		return d, opt, usagef("--format %s: the formats are json and ids", f.format)
	case f.size < 0:
		return d, opt, usagef("--size %d is less than 0", f.size)
	case f.samples < 1:
		return d, opt, usagef("--max-samples-per-key %d is less than 1", f.samples)
	case f.sensitive && f.notSensitive:
		return d, opt, usagef("--case-sensitive and --case-insensitive exclude each other")
	case f.notSensitive && d != eql.Endgame:
		return d, opt, usagef("--case-insensitive: %s says in the query where case does not count (`:`, in~, like~)", d)
	}
	opt = hunt.Options{CaseSensitive: f.sensitive, Limit: f.size, Limited: limited, SamplesPerKey: f.samples,
		Globals: map[string][]value.Value{}}
	for _, g := range f.globals {
		name, list, ok := strings.Cut(g, "=")
		if !ok || name == "" {
			return d, opt, usagef("--global %s: write NAME=VALUE,VALUE", g)
		}
		for _, v := range strings.Split(list, ",") {
			opt.Globals[name] = append(opt.Globals[name], globalValue(v))
		}
	}
	return d, opt, nil
}

// globalValue is a number when the text is one.
func globalValue(text string) value.Value {
	if n, ok := value.Canonical(text); ok {
		return n
	}
	return value.String(text)
}

// sourceText is the text of a flag, or of the file that it names, with the name that messages give it.
func sourceText(flag, text string) (name string, src []byte, err error) {
	file, ok := strings.CutPrefix(text, "@")
	if !ok {
		return flag, []byte(text), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	src, err = io.ReadAll(io.LimitReader(f, eql.MaxSourceBytes+1))
	return file, src, err
}

// report prints diagnostics and says whether there was an error among them.
func report(c *cobra.Command, diags eql.Diagnostics) error {
	for _, d := range diags {
		fmt.Fprintln(c.ErrOrStderr(), d)
	}
	if diags.HasErrors() {
		return errFailed
	}
	return nil
}

func (f *huntFlags) evaluate(c *cobra.Command, d eql.Dialect, opt hunt.Options) error {
	name, src, err := sourceText("expression", f.expression)
	if err != nil {
		return err
	}
	v, diags, err := hunt.Expression(name, string(src), d, opt)
	if failed := report(c, diags); failed != nil || err != nil || f.check {
		return errors.Join(failed, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", v.AppendJSON(nil))
	return err
}

func (f *huntFlags) hunt(c *cobra.Command, d eql.Dialect, opt hunt.Options) error {
	name, src, err := sourceText("query", f.query)
	if err != nil {
		return err
	}
	q, diags := eql.Parse(name, src, d)
	if err := report(c, diags); err != nil {
		return err
	}
	schema, err := f.declared()
	if err != nil {
		return err
	}
	if f.check && f.events == "" {
		_, diags := hunt.Compile(q, schema, opt)
		return report(c, diags)
	}
	log, err := f.open(c, schema)
	if err != nil {
		return err
	}
	defer log.Close()
	h, diags := hunt.Compile(q, log.Schema(), opt)
	if err := report(c, diags); err != nil || f.check {
		return err
	}
	if q.MaxSpan != nil && log.Len() > 0 && !log.Timed() {
		return fmt.Errorf("%s: no event has a time for maxspan: name its field with --timestamp-field", f.events)
	}
	return f.print(c, h, log)
}

// declared is what the schema file and the flags say.
func (f *huntFlags) declared() (*events.Schema, error) {
	schema := &events.Schema{}
	if f.schema != "" {
		file, err := os.Open(f.schema)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if schema, err = events.ReadSchema(file); err != nil {
			return nil, fmt.Errorf("%s: %w", f.schema, err)
		}
	}
	for _, x := range []struct{ given, to *string }{
		{&f.fields.Timestamp, &schema.Timestamp}, {&f.fields.Tiebreaker, &schema.Tiebreaker},
		{&f.fields.Category, &schema.Category}, {&f.fields.ID, &schema.ID},
	} {
		if *x.given != "" {
			*x.to = *x.given
		}
	}
	return schema, nil
}

func (f *huntFlags) open(c *cobra.Command, schema *events.Schema) (*events.Log, error) {
	if f.events == "" || f.events == "-" {
		return events.Read("stdin", c.InOrStdin(), schema)
	}
	return events.Open(f.events, schema)
}

func (f *huntFlags) print(c *cobra.Command, h *hunt.Hunt, log *events.Log) error {
	w := bufio.NewWriter(c.OutOrStdout())
	var line []byte
	err := h.Run(log.All(), func(m hunt.Match) (err error) {
		if f.format == "ids" {
			line, err = m.AppendIDs(line[:0])
		} else {
			line = m.AppendJSON(line[:0])
		}
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	})
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil // who reads has seen enough
	}
	return err
}
