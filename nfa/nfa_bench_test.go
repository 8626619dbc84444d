package nfa_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/nfa"
)

var benchPools = nfa.Config{Tracks: 512, States: 1000, Evidence: 1000}

// benchEvents are events with so many keys.
func benchEvents(keys int) (evs []event.Event) {
	for i := range keys {
		ev := (&detail{id: uint64(i + 1), time: uint64(i), name: fmt.Sprint("n", i), path: "/usr/bin/x", args: []string{"x", "y"}}).event()
		evs = append(evs, ev)
	}
	return evs
}

// BenchmarkStep is one step of a plain sequence of three: the state is found by its key and moved on. Every third step
// completes.
func BenchmarkStep(b *testing.B) {
	s := nfa.New(load(b, sequence("r", 3, false, time.Minute, byName...)), benchPools, nil)
	const keys = 256
	evs, out := benchEvents(keys), &counter{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Event(0, 1<<(i/keys%3), &evs[i%keys], out)
	}
	if out.n == 0 && b.N > 3*keys {
		b.Fatal("nothing completed")
	}
}

// BenchmarkNothingPending is the usual case: an event of a later stage whose key has nothing pending.
func BenchmarkNothingPending(b *testing.B) {
	s := nfa.New(load(b, sequence("r", 3, false, time.Minute, byName...)), benchPools, nil)
	evs, out := benchEvents(1), &counter{}
	for b.Loop() {
		s.Event(0, 2, &evs[0], out)
	}
}

// BenchmarkForms is one event of each form, which moves something on or completes it.
func BenchmarkForms(b *testing.B) {
	sample := shape("+ + +", 0, byName...)
	sample.Form = ir.FormSample
	arrays := shape("+ + +", 0, ir.Key{Field: event.FieldArgs})
	for _, c := range []struct {
		name   string
		rule   ir.Rule
		stages int
	}{
		{"runs=5", shape("+*5", 0, byName...), 1}, {"runs=60", shape("+*60", 0, byName...), 1},
		{"runs=256", shape("+*256", 0, byName...), 1}, {"runs=60_and_one", shape("+*60 +", 0, byName...), 1},
		{"missing", shape("+ ! +", time.Minute, byName...), 3}, {"timer", shape("+ !", time.Nanosecond, byName...), 1},
		{"kept", kept(2, byName...), 2}, {"arrays", arrays, 3}, {"sample", sample, 3},
	} {
		b.Run(c.name, func(b *testing.B) {
			img := load(b, c.rule)
			s := nfa.New(img, benchPools, nil)
			const keys = 3
			evs, out := benchEvents(keys), &allocating{ask: asker(img)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Advance(uint64(i), out)
				s.Event(0, 1<<(i/keys%c.stages), &evs[i%keys], out)
			}
			b.ReportMetric(float64(s.Counters.Completed)/float64(b.N), "completed/op")
		})
	}
}
