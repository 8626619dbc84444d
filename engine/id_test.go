package engine

import (
	"bytes"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// ids collects the ids of alerts.
type ids struct{ got [][]byte }

func (c *ids) Push(b []byte) bool {
	c.got = append(c.got, bytes.Clone(alert.Alert(b).ID()))
	return true
}

// TestAlertID: the same events give the same ids again; another boot, another time or another process does not, though
// event ids begin at 1 each time.
func TestAlertID(t *testing.T) {
	yes := ir.Stage{Category: event.CategoryAny, Cond: ir.Const{Value: ir.True}}
	file, _, err := build.Build(&ir.Ruleset{Name: "all", Rules: []ir.Rule{
		{ID: "one", Stages: []ir.Stage{yes}}, {ID: "two", Form: ir.FormSequence, Stages: []ir.Stage{yes, yes}},
	}}, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	run := func(seed uint64, time uint64, entity uint64) [][]byte {
		c := &ids{}
		e := New(img, Config{NFA: testPools}, c)
		for i := range uint64(3) {
			b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
			b.Begin(event.TypeExec, time+i)
			b.Process(1, 1, 0, entity)
			ev := event.Event{Own: b.End(), Host: &event.Host{Seed: seed}}
			ev.Proc = ev.Own
			ev.Own.SetID(i + 1)
			ev.SetCategory()
			e.Step([]event.Event{ev}, 0)
		}
		if len(c.got) != 5 {
			t.Fatalf("%d alerts, want 3 of the event and 2 of the sequence", len(c.got))
		}
		return c.got
	}
	first := run(1, 100, 7)
	for name, other := range map[string][][]byte{"boot": run(2, 100, 7), "time": run(1, 101, 7), "process": run(1, 100, 8)} {
		for i := range first {
			if bytes.Equal(first[i], other[i]) {
				t.Errorf("alert %d has the same id with another %s", i, name)
			}
		}
	}
	for i, id := range run(1, 100, 7) {
		if !bytes.Equal(first[i], id) {
			t.Errorf("alert %d has another id the second time", i)
		}
		for j := range i {
			if bytes.Equal(first[i], first[j]) {
				t.Errorf("alerts %d and %d have the same id", i, j)
			}
		}
	}
}
