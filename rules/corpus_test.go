package rules_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/internal/corpus"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/rules"
)

// corpusPackages are the public Linux rules, a package a file.
func corpusPackages(t *testing.T) (list []*rules.Package) {
	t.Helper()
	for _, set := range corpus.Linux {
		d, err := eql.ParseDialect(set.Dialect)
		if err != nil {
			t.Fatal(err)
		}
		p, err := rules.Load(corpus.RulesPath(t, set.Name), d)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

// corpusRules are the public Linux rules that this version takes.
func corpusRules(t *testing.T) (list []ir.Rule) {
	t.Helper()
	for _, p := range corpusPackages(t) {
		list = append(list, p.Set.Rules...)
	}
	return list
}

// both runs events through the engine and through the reference interpreter side by side and compares what each event
// brings about. It returns, by rule, the events of its alerts, counted from 1.
func both(t *testing.T, set *ir.Ruleset, lines []byte) map[string][][]uint64 {
	t.Helper()
	file, _, err := build.Build(set, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	const records = 16 // of one event, with room
	table, err := proc.New(proc.Config{Entries: 4096, LimboBlocks: records})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	out := &pushed{}
	eng := engine.New(img, engine.Config{NFA: nfa.Config{Tracks: 1 << 14, States: 1 << 14, Evidence: 1 << 13}}, out)
	defer eng.Close()
	ref := reference.New(set.Rules)
	log := ecsjson.NewReader(bytes.NewReader(lines))
	alerts := make(map[string][][]uint64)
	batch := make([]event.Event, 1)
	kept := make([][]byte, 0, records)
	for id := uint64(0); ; {
		rec, err := log.Next()
		if errors.Is(err, io.EOF) {
			if id == 0 {
				t.Fatal("no events")
			}
			return alerts
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, bytes.Clone(rec))
		if !table.Apply(event.Record(kept[len(kept)-1]), &batch[0]) {
			continue
		}
		id++
		batch[0].Own.SetID(id)
		out.got = out.got[:0]
		eng.Step(batch, batch[0].Own.Time())
		var want []string
		for _, m := range ref.Event(&batch[0]) {
			rule := set.Rules[m.Rule].ID
			want = append(want, fmt.Sprint(rule, m.Events))
			alerts[rule] = append(alerts[rule], m.Events)
		}
		if !slices.Equal(out.got, want) {
			t.Errorf("event %d: engine %q, reference %q", id, out.got, want)
		}
		table.Release()
		kept = kept[:0]
	}
}

// pushed keeps the alerts of a Step as the reference states them.
type pushed struct{ got []string }

func (p *pushed) Push(b []byte) bool {
	a := alert.Alert(b)
	var ids []uint64
	for it := a.Events(); ; {
		ev, ok := it.Next()
		if !ok {
			break
		}
		ids = append(ids, ev.ID())
	}
	p.got = append(p.got, fmt.Sprint(string(a.RuleID()), ids))
	return true
}

// caseLines are the events of all cases of the default rules, as one stream.
func caseLines(t *testing.T) []byte {
	t.Helper()
	files := readCases(t)
	var lines []byte
	for _, r := range slices.Sorted(maps.Keys(files)) {
		for _, c := range files[r] {
			lines = append(lines, c.Lines...)
		}
	}
	return lines
}

// TestDefaultAgainstReference: on the events of all cases in one stream, the engine raises what the reference does.
func TestDefaultAgainstReference(t *testing.T) {
	p, _, _ := loadDefault(t)
	if alerts := both(t, &p.Set, caseLines(t)); len(alerts) != len(p.Set.Rules) {
		t.Errorf("%d of %d rules raised an alert", len(alerts), len(p.Set.Rules))
	}
}

// TestCorpusAgainstReference: the public rules on the events of our cases and on the public recordings.
func TestCorpusAgainstReference(t *testing.T) {
	set := &ir.Ruleset{Name: "corpus", Rules: corpusRules(t)}
	t.Logf("%d rules; with alerts on our cases: %d", len(set.Rules), len(both(t, set, caseLines(t))))
	expected := readExpected(t)
	for _, name := range corpus.Recordings(t) {
		alerts := both(t, set, corpus.Read(t, name))
		for _, r := range set.Rules {
			if len(alerts[r.ID]) > 0 {
				t.Logf("%s: %s: %v", filepath.Base(name), r.Name, alerts[r.ID])
			}
		}
		for _, e := range expected {
			if e.Dataset == filepath.Base(name) && fmt.Sprint(alerts[e.RuleID]) != fmt.Sprint(e.Matches) {
				t.Errorf("%s: rule %s: %v, the corpus says %v", e.Dataset, e.RuleID, alerts[e.RuleID], e.Matches)
			}
		}
	}
}

// expectation is what a public rule is known to find in a recording, by the number of the event.
type expectation struct {
	RuleID  string     `json:"rule_id"`
	Dataset string     `json:"dataset"`
	Matches [][]uint64 `json:"expected_matches"`
}

func readExpected(t *testing.T) (list []expectation) {
	t.Helper()
	if corpus.JSON(t, corpus.Path(t, "datasets/expected.json"), &list); len(list) == 0 {
		t.Fatal("nothing expected")
	}
	return list
}
