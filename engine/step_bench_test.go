package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/testdata"
)

type discard struct{}

func (discard) Push([]byte) bool { return true }

// batches are the events of the recorded capture as the process table completed them, in batches of the largest size.
// What the table lent them is copied, once for all events that were lent the same, as it is in the table.
func batches(b *testing.B) (out [][]event.Event, events int) {
	r, err := evlog.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		b.Fatal(err)
	}
	table, err := proc.New(proc.Config{Entries: 4096, LimboBlocks: 4})
	if err != nil {
		b.Fatal(err)
	}
	var batch []event.Event
	copies := make(map[string]event.Record)
	keep := func(rec event.Record) event.Record {
		c, ok := copies[string(rec)]
		if !ok && rec != nil {
			c = bytes.Clone(rec)
			copies[string(rec)] = c
		}
		return c
	}
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return append(out, batch), events
		}
		if err != nil {
			b.Fatal(err)
		}
		var ev event.Event
		if table.Apply(bytes.Clone(rec), &ev) {
			events++
			ev.Own.SetID(uint64(events))
			ev.Proc, ev.Parent, ev.Session = keep(ev.Proc), keep(ev.Parent), keep(ev.Session)
			if batch = append(batch, ev); len(batch) == limits.BatchMax {
				out, batch = append(out, batch), nil
			}
		}
		table.Release()
	}
}

// BenchmarkStep is the cost of matching and sequencing an event of the recorded mix with the default rules, without the
// process table.
func BenchmarkStep(b *testing.B) {
	img, err := image.Load(defaults.Image())
	if err != nil {
		b.Fatal(err)
	}
	list, events := batches(b)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			e := engine.New(img, engine.Config{Workers: workers, NFA: nfa.Config{Tracks: 512, States: 1000, Evidence: 1000}}, discard{})
			defer e.Close()
			b.ReportAllocs()
			for b.Loop() {
				for _, batch := range list {
					e.Step(batch, 0)
				}
			}
			c := e.Counters()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
			b.ReportMetric(float64(c.Candidates)/float64(c.Events), "predicates/event")
			b.ReportMetric(float64(len(img.Rules)), "rules")
		})
	}
}
