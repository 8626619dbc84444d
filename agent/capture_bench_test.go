package agent

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/testdata"
)

// recorded is the capture of a working machine, in memory.
func recorded(tb testing.TB) []event.Record {
	r, err := evlog.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		tb.Fatal(err)
	}
	var recs []event.Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return recs
		}
		if err != nil {
			tb.Fatal(err)
		}
		recs = append(recs, event.Record(bytes.Clone(rec)))
	}
}

type discard struct{ alerts int }

func (d *discard) Push([]byte) bool { d.alerts++; return true }

// BenchmarkCapture is the cost of an event of the recorded mix, from the event ring's far end to the alert: process
// table, match and sequence, with the default rules.
func BenchmarkCapture(b *testing.B) {
	recs := recorded(b)
	img, err := image.Load(defaults.Image())
	if err != nil {
		b.Fatal(err)
	}
	out := &discard{}
	p, err := newPipeline(img, DeviceSizes, nil, out)
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	events := uint64(0)
	for b.Loop() {
		for _, rec := range recs {
			if p.full() {
				p.flush()
			}
			// A replayed record has been given an id and an entity; both are given anew.
			rec.SetID(0)
			p.add(rec)
		}
		p.flush()
	}
	c := p.eng.Counters()
	events = c.Events
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(c.Candidates)/float64(events), "predicates/event")
	b.ReportMetric(float64(out.alerts)/float64(events), "alerts/event")
	b.ReportMetric(float64(len(img.Rules)), "rules")
}
