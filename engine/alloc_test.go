package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
	"github.com/kestrel-detection/kestrel/ir"
)

// full refuses every alert.
type full struct{ n int }

func (f *full) Push([]byte) bool { f.n++; return false }

// load is a random image and events that give it work.
func load(tb testing.TB, rules, events int) (*image.Image, []event.Event) {
	g := generator{Rand: rand.New(rand.NewPCG(7, 7))}
	rs := &ir.Ruleset{Name: "random", Version: "1"}
	for i := range rules {
		rs.Rules = append(rs.Rules, g.rule(i))
	}
	file, _, err := build.Build(rs, build.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		tb.Fatal(err)
	}
	host := &event.Host{}
	host.Users.Set(0, []byte("root"))
	evs := make([]event.Event, events)
	for i := range evs {
		evs[i] = g.event(uint64(i+1), host)
	}
	return img, evs
}

// parkMany fills the runtime's caches of what a parked goroutine needs (at most 128 a processor, then shared): goroutines
// that park on one processor and wake on another drain the one and fill the other until then.
func parkMany() {
	const goroutines = 1024
	gate, done := make(chan struct{}), make(chan struct{})
	for range goroutines {
		go func() { <-gate; done <- struct{}{} }()
	}
	close(gate)
	for range goroutines {
		<-done
	}
}

// TestNoAllocation counts the heap objects of the whole process: a Step makes none, with one worker or more, also when
// pools are too small and the receiver of alerts is full.
func TestNoAllocation(t *testing.T) {
	img, events := load(t, 200, 256)
	for _, workers := range []int{1, 3} {
		small := testPools
		small.Tracks, small.States, small.Evidence = 16, 16, 16
		parkMany()
		out := &full{}
		e := New(img, Config{Workers: workers, NFA: small}, out)
		for range 20 {
			e.Step(events, 0)
		}
		if out.n == 0 {
			t.Fatal("no alert: the test does nothing")
		}
		least := mallocs.Least(func() {
			for range 200 {
				e.Step(events, 0)
			}
		})
		e.Close()
		if least != 0 {
			t.Errorf("%d workers: at least %d allocations in 200 steps", workers, least)
		}
		if c := e.Counters(); c.AlertsLost != c.Alerts || c.Alerts == 0 {
			t.Errorf("%d alerts, %d lost: the receiver took none", c.Alerts, c.AlertsLost)
		}
		if s, _ := e.Sequences(); s.Evicted == 0 {
			t.Error("no state was evicted from pools of 16")
		}
	}
}
