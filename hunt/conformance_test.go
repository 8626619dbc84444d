package hunt

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
	"github.com/kestrel-detection/kestrel/internal/corpus"
)

// agreeMin is the share of each suite that must agree, in percent.
const agreeMin = 99

type conformanceCase struct{ corpus.Case }

var corpusDialects = map[string]eql.Dialect{
	"elasticsearch": eql.Elastic, "endpoint": eql.Kestrel, "endgame": eql.Endgame,
}

// readDisagreements is the table of cases where this hunter decides otherwise, each with its reason.
func readDisagreements(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("testdata/disagreements.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			t.Errorf("disagreements.txt: %s has no reason", id)
		}
		table[id] = reason
	}
	return table
}

// TestConformance runs every public case.
func TestConformance(t *testing.T) {
	known := readDisagreements(t)
	logs := openDatasets(t)
	var table strings.Builder
	for _, suite := range corpus.Suites(t) {
		cases, agree := corpus.Cases(t, suite), 0
		for _, c := range cases {
			err := (&conformanceCase{c}).run(logs)
			_, listed := known[c.ID]
			delete(known, c.ID)
			switch {
			case err == nil && listed:
				t.Errorf("%s agrees: take it out of disagreements.txt", c.ID)
			case err != nil && !listed:
				t.Errorf("%s: %v", c.ID, err)
			}
			if err == nil {
				agree++
			}
		}
		fmt.Fprintf(&table, "\n%-26s %5d cases %5d agree", suite, len(cases), agree)
		if agree*100 < len(cases)*agreeMin && len(cases)-agree > 1 {
			t.Errorf("%s: %d of %d agree (min %d %%)", suite, agree, len(cases), agreeMin)
		}
	}
	for id := range known {
		t.Errorf("disagreements.txt: there is no case %s", id)
	}
	t.Log(table.String())
}

func openDatasets(t *testing.T) map[string]*events.Log {
	t.Helper()
	var entries map[string]json.RawMessage
	corpus.JSON(t, corpus.Path(t, "conformance/datasets/datasets.json"), &entries)
	logs := map[string]*events.Log{}
	for name, entry := range entries {
		schema, err := events.ReadSchema(strings.NewReader(string(entry)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		log, err := events.Open(corpus.Dataset(t, name), schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { log.Close() })
		logs[name] = log
	}
	return logs
}

// run says how the case disagrees, nil when it does not.
func (c *conformanceCase) run(logs map[string]*events.Log) error {
	d, ok := corpusDialects[c.Dialect]
	if !ok {
		return fmt.Errorf("unknown dialect %s", c.Dialect)
	}
	switch c.Kind {
	case "match":
		return c.eachMode(d, func(opt Options) error { return c.match(d, opt, logs[c.Dataset]) })
	case "fold":
		return c.eachMode(d, func(opt Options) error { return c.fold(d, opt) })
	case "accept", "reject":
		return c.check(d)
	case "optimizer", "equivalent":
		return c.eachMode(d, func(opt Options) error { return c.sameMeaning(d, opt) })
	case "state_machine":
		return c.stateMachine()
	}
	return fmt.Errorf("unknown kind %s", c.Kind)
}

// eachMode runs a case of Endgame in both modes of case unless it names one.
func (c *conformanceCase) eachMode(d eql.Dialect, f func(Options) error) error {
	opt := Options{SamplesPerKey: c.SamplesPerKey}
	if c.Size != nil {
		opt.Limit, opt.Limited = *c.Size, true
	}
	if d != eql.Endgame {
		return f(opt)
	}
	for _, sensitive := range []bool{false, true} {
		if c.CaseSensitive != nil && *c.CaseSensitive != sensitive {
			continue
		}
		opt.CaseSensitive = sensitive
		if err := f(opt); err != nil {
			return fmt.Errorf("case sensitive %t: %w", sensitive, err)
		}
	}
	return nil
}

func (c *conformanceCase) match(d eql.Dialect, opt Options, log *events.Log) error {
	q, diags := eql.Parse(c.ID, []byte(c.Query), d)
	if err := diags.Err(); err != nil {
		return err
	}
	h, diags := Compile(q, log.Schema(), opt)
	if err := diags.Err(); err != nil {
		return err
	}
	var got []string
	err := h.Run(log.All(), func(m Match) error {
		line, err := m.AppendIDs(nil)
		got = append(got, string(line))
		return err
	})
	if err != nil {
		return err
	}
	wanted := c.Alternatives
	if wanted == nil {
		wanted = [][]int64{c.IDs}
	}
	var texts []string
	for _, ids := range wanted {
		text := strings.Trim(fmt.Sprint(ids), "[]")
		if text == strings.Join(got, " ") {
			return nil
		}
		texts = append(texts, text)
	}
	return fmt.Errorf("%s\nfound %q, want %q", c.Query, strings.Join(got, " "), texts)
}

func (c *conformanceCase) fold(d eql.Dialect, opt Options) error {
	v, diags, err := Expression(c.ID, c.Expression, d, opt)
	if c.ExpectError {
		if !diags.HasErrors() {
			return fmt.Errorf("%s is accepted", c.Expression)
		}
		return nil
	}
	if err := errors.Join(diags.Err(), err); err != nil {
		return err
	}
	got := string(v.AppendJSON(nil))
	want, err := json.Marshal(c.Expected)
	if err != nil {
		return err
	}
	var decoded any
	if err := json.Unmarshal([]byte(got), &decoded); err != nil {
		return err
	}
	if again, err := json.Marshal(decoded); err != nil || string(again) != string(want) {
		return fmt.Errorf("%s is %s, want %s", c.Expression, got, want)
	}
	return nil
}

// check parses and checks as the command does with --check. Of a case of the level syntax only the grammar is asked.
func (c *conformanceCase) check(d eql.Dialect) error {
	var diags eql.Diagnostics
	if c.Entry == "expression" {
		_, diags, _ = Expression(c.ID, c.Expression+c.Query, d, Options{})
	} else {
		var q *eql.Query
		q, diags = eql.Parse(c.ID, []byte(c.Query), d)
		if !diags.HasErrors() && c.Level != "syntax" {
			_, more := Compile(q, nil, Options{})
			diags = append(diags, more...)
		}
	}
	if diags.HasErrors() == (c.Kind == "accept") {
		return fmt.Errorf("%s %s\n%s", c.Query+c.Expression, c.Kind, diags)
	}
	return nil
}

// sameMeaning compares two forms of an expression on events with all combinations of some values.
func (c *conformanceCase) sameMeaning(d eql.Dialect, opt Options) error {
	other := c.Optimized + c.Alternate
	var hunts []*Hunt
	for _, text := range []string{c.Expression, other} {
		q, diags := eql.Parse(c.ID, []byte("any where ("+text+") == true"), d)
		if err := diags.Err(); err != nil {
			return err
		}
		h, diags := Compile(q, nil, opt)
		if err := diags.Err(); err != nil {
			return err
		}
		hunts = append(hunts, h)
	}
	log, differ := combinations(), false
	var got [2][]string
	for i, h := range hunts {
		list, err := h.All(log)
		if err != nil {
			return err
		}
		for _, m := range list {
			got[i] = append(got[i], m.Events[0].ID())
		}
		differ = differ || !slices.Equal(got[i], got[0])
	}
	if differ {
		return fmt.Errorf("%s holds for the events %v, %s for %v", c.Expression, got[0], other, got[1])
	}
	return nil
}

// combinations are events with all combinations of the fields a, b, c and field.
func combinations() func(yield func(*events.Event, error) bool) {
	truths := []string{"null", "true", "false", "1"}
	texts := []string{"null", `"a"`, `"a-b-c"`, `"ab"`, `"foo-bar"`, `"foo"`}
	return func(yield func(*events.Event, error) bool) {
		line := 0
		for _, a := range truths {
			for _, b := range truths {
				for _, c := range truths {
					for _, field := range texts {
						line++
						raw := fmt.Sprintf(`{"a":%s,"b":%s,"c":%s,"field":%s}`, a, b, c, field)
						if !yield(events.New(&events.Schema{}, []byte(raw), line)) {
							return
						}
					}
				}
			}
		}
	}
}

// stateMachine drives the machine of sequences with events whose steps are given.
func (c *conformanceCase) stateMachine() error {
	m := newMachine(c.Stages, -1)
	ids := map[*events.Event]int64{}
	got := []string{}
	for i, x := range c.Events {
		e, err := events.New(&events.Schema{Timestamp: "t"}, fmt.Appendf(nil, `{"t":%d}`, x.Time), i)
		if err != nil {
			return err
		}
		ids[e] = x.Time
		key := joined{text: "null"}
		if x.Key != nil {
			key = joined{*x.Key, []value.Value{value.String(*x.Key)}}
		}
		if p := m.take(x.Stage, key, e, nil); p != nil {
			row := []int64{}
			for _, e := range p.events {
				row = append(row, ids[e])
			}
			got = append(got, fmt.Sprint(row))
		}
	}
	var want []string
	for _, row := range c.Matches {
		list := []int64{}
		for _, id := range row {
			list = append(list, *id)
		}
		want = append(want, fmt.Sprint(list))
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("found %v, want %v", got, want)
	}
	return nil
}
