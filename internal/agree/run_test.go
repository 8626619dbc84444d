package agree

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
)

// found is what one query finds: for each match the numbers of its events, from 1, in the order of the stages.
type found [][]int

func (f found) String() string { return fmt.Sprint([][]int(f)) }

// compile takes a parsed query through checker and image writer, and loads the image again.
func compile(q *eql.Query, parsed eql.Diagnostics) (ir.Rule, *image.Image, error) {
	r, ds := check.Rule(q, parsed, nil)
	if ds.HasErrors() {
		for _, d := range ds {
			if d.Severity == eql.Error {
				return r, nil, fmt.Errorf("%s", d.Msg)
			}
		}
	}
	r.ID = "r"
	file, _, err := build.Build(&ir.Ruleset{Rules: []ir.Rule{r}}, build.Options{})
	if err != nil {
		return r, nil, err
	}
	img, err := image.Load(file)
	return r, img, err
}

// alerts keeps what the engine finds.
type alerts struct {
	t    testing.TB
	list found
	cut  int // events that alerts leave out
}

// Push implements engine.Receiver.
func (a *alerts) Push(b []byte) bool {
	if fault := alert.Check(b); fault != 0 {
		a.t.Fatalf("broken alert: %v", fault)
	}
	var ids []int
	for it := alert.Alert(b).Events(); ; {
		ev, ok := it.Next()
		if !ok {
			break
		}
		ids = append(ids, int(ev.ID()))
	}
	a.list = append(a.list, ids)
	a.cut += alert.Alert(b).Omitted()
	return true
}

var pools = nfa.Config{Tracks: 1 << 12, States: 1 << 14, Evidence: 1 << 14}

// feed reads events as JSON lines, completes them as an agent does, and hands each on.
func feed(t testing.TB, lines []byte, take func(ev *event.Event)) {
	t.Helper()
	table, err := proc.New(proc.Config{Entries: 1024, LimboBlocks: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	log := ecsjson.NewReader(bytes.NewReader(lines))
	var kept [][]byte
	id := uint64(0)
	for {
		rec, err := log.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, bytes.Clone(rec))
		var ev event.Event
		if !table.Apply(event.Record(kept[len(kept)-1]), &ev) {
			continue
		}
		id++
		ev.Own.SetID(id)
		take(&ev)
		table.Release()
		kept = kept[:0]
	}
	if n := bytes.Count(lines, []byte("\n")); int(id) != n {
		t.Fatalf("%d events of %d lines", id, n)
	}
}

// onDevice runs a rule over events in the engine.
func onDevice(t testing.TB, img *image.Image, lines []byte) (found, int) {
	t.Helper()
	out := &alerts{t: t}
	e := engine.New(img, engine.Config{NFA: pools, Processes: 1024, Suppress: 64}, out)
	defer e.Close()
	batch := make([]event.Event, 1)
	feed(t, lines, func(ev *event.Event) {
		batch[0] = *ev
		e.Step(batch, 0)
	})
	e.Flush()
	return out.list, out.cut
}

// byReference runs a rule over events in the interpreter of typed rules.
func byReference(t testing.TB, r ir.Rule, lines []byte) found {
	t.Helper()
	in := reference.New([]ir.Rule{r})
	var list found
	add := func(matches []reference.Match) {
		for _, m := range matches {
			var ids []int
			for _, id := range m.Events {
				ids = append(ids, int(id))
			}
			list = append(list, ids)
		}
	}
	feed(t, lines, func(ev *event.Event) { add(in.Event(ev)) })
	add(in.Flush(1<<64 - 1))
	return list
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
