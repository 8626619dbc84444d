package nfa_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
)

// specFile holds Elasticsearch's cases for its sequence state machine; it is not part of the repository.
const specFile = "../../shared/corpus/conformance/es_sequence_spec.jsonl"

type specCase struct {
	ID     string `json:"id"`
	Stages int    `json:"stages"`
	Events []struct {
		T     uint64  `json:"t"`
		Key   *string `json:"key"`
		Stage int     `json:"stage"`
	} `json:"events"`
	Expected []struct {
		IDs []uint64 `json:"ids"`
	} `json:"expected"`
}

// TestCorpusSequences runs the cases through the Sequencer and through the reference interpreter, whose rule tells the
// stages of an event by its user id.
func TestCorpusSequences(t *testing.T) {
	f, err := os.Open(specFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no corpus beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	cases := 0
	for lines.Scan() {
		var c specCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases++
		t.Run(c.ID, func(t *testing.T) {
			rule := sequence("r", c.Stages, false, 0, byOptional...)
			for i := range rule.Stages {
				rule.Stages[i].Cond = ir.IntTest{Field: event.FieldUserID, Cmp: ir.Eq, Value: int64(i)}
			}
			s := nfa.New(load(t, rule), roomy, nil)
			ref := reference.New([]ir.Rule{rule})
			out := &collector{}
			var got, want []string
			for _, e := range c.Events {
				stage := int64(e.Stage)
				ev := occurrence{id: e.T, time: e.T, name: e.Key, user: &stage}.event()
				s.Event(0, 1<<e.Stage, &ev, out)
				for _, m := range ref.Event(&ev) {
					got = append(got, fmt.Sprint("0 ", m.Events))
				}
			}
			for _, e := range c.Expected {
				want = append(want, fmt.Sprint("0 ", e.IDs))
			}
			slices.Sort(want)
			for name, list := range map[string][]string{"sequencer": out.got, "reference": got} {
				slices.Sort(list)
				if !slices.Equal(list, want) {
					t.Errorf("%s: %q, want %q", name, list, want)
				}
			}
			if n := s.Counters; n.Refused+n.Evicted+n.NullKeys > 0 {
				t.Errorf("counters %+v", n)
			}
		})
	}
	if err := lines.Err(); err != nil || cases == 0 {
		t.Fatal(cases, err)
	}
	t.Logf("%d cases of Elasticsearch's sequence state machine", cases)
}
