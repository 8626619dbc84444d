package bench

import (
	"fmt"
	"math/bits"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/nfa"
)

// Latency is the time of one Step of one event, the clock's own cost included.
type Latency struct {
	Clock    Quantiles      `json:"clock"` // two readings with nothing between
	Rounds   int            `json:"rounds"`
	All      Quantiles      `json:"all"`
	Quiet    Quantiles      `json:"quiet"` // of each event the least over the rounds: without what else the machine does
	Classes  []ClassLatency `json:"classes"`
	Mallocs  uint64         `json:"mallocs"`
	Buckets  []Bucket       `json:"histogram"`
	Sequence *Sequence      `json:"sequence,omitempty"`
}

// ClassLatency is the latency of the events of one class.
type ClassLatency struct {
	Class string `json:"class"`
	Quantiles
	Quiet int64 `json:"quiet_p99_ns"`
}

// Bucket counts times from From ns up to the next bucket's.
type Bucket struct {
	From  int64 `json:"from_ns"`
	Count int   `json:"count"`
}

// samplesMax bounds the single times kept.
const samplesMax = 4 << 20

// singles times every event alone, over rounds; sample [round*n+event].
func (r *runner) singles(e *engine.Engine, c *completed) (samples []uint32, rounds int, mallocs uint64) {
	rounds = max(min(samplesMax/c.n, 40), 1)
	if r.effort.rounds > 0 {
		rounds = min(rounds, r.effort.rounds)
	}
	samples = make([]uint32, rounds*c.n)
	c.next()
	for _, batch := range c.batches {
		e.Step(batch, 0) // warm-up
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	at := 0
	for range rounds {
		c.next()
		for _, batch := range c.batches {
			for i := range batch {
				t0 := time.Now()
				e.Step(batch[i:i+1:i+1], 0)
				samples[at] = clamp(time.Since(t0))
				at++
			}
		}
	}
	runtime.ReadMemStats(&after)
	return samples, rounds, after.Mallocs - before.Mallocs
}

// floors are, by event, the least of the rounds.
func floors(samples []uint32, n int) []uint32 {
	list := slices.Clone(samples[:n])
	for at := n; at < len(samples); at += n {
		for i := range list {
			list[i] = min(list[i], samples[at+i])
		}
	}
	return list
}

func (r *runner) latency(img *image.Image, rules []ir.Rule) (*Latency, error) {
	var out counter
	e := newEngine(img, 1, &out)
	defer e.Close()
	l := &Latency{Clock: clockCost()}
	samples, rounds, mallocs := r.singles(e, r.events)
	l.Rounds, l.Mallocs = rounds, mallocs
	quiet := floors(samples, r.events.n)
	for class := range event.ClassContext {
		var some, least []uint32
		at := 0
		for _, batch := range r.events.batches {
			for i := range batch {
				if batch[i].Own.Class() == class {
					least = append(least, quiet[at])
					for round := range rounds {
						some = append(some, samples[round*r.events.n+at])
					}
				}
				at++
			}
		}
		if len(some) > 0 {
			l.Classes = append(l.Classes, ClassLatency{class.String(), quantiles(some), quantiles(least).P99})
		}
	}
	l.Quiet, l.All = quantiles(quiet), quantiles(samples)
	l.Buckets = histogram(samples)
	var err error
	l.Sequence, err = r.sequences(rules)
	return l, err
}

// histogram counts sorted samples in four buckets an octave.
func histogram(sorted []uint32) (list []Bucket) {
	for _, v := range sorted {
		from := int64(v)
		if shift := bits.Len32(v) - 3; shift > 0 {
			from = from >> shift << shift
		}
		if len(list) == 0 || list[len(list)-1].From != from {
			list = append(list, Bucket{From: from})
		}
		list[len(list)-1].Count++
	}
	return list
}

// Sequence is the time of one step of the sequencer: an event that fits stages of a sequence or sample moves it on.
type Sequence struct {
	Rules    int          `json:"rules"`
	Steps    int          `json:"steps_per_round"`
	Step     Quantiles    `json:"step"`
	Quiet    Quantiles    `json:"quiet"`
	Counters nfa.Counters `json:"counters"`
}

// sequences times the sequencer alone with the rules that are sequences or samples, on what the log makes of them. It is
// nil when the log moves none.
func (r *runner) sequences(rules []ir.Rule) (*Sequence, error) {
	var list []ir.Rule
	for _, rule := range own(rules) {
		if rule.Form != ir.FormEvent {
			list = append(list, rule)
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	file, _, err := build.Build(&ir.Ruleset{Name: "sequences", Rules: list}, build.Options{})
	if err != nil {
		return nil, err
	}
	img, err := image.Load(file)
	if err != nil {
		return nil, err
	}
	d, err := newDirect(list)
	if err != nil {
		return nil, err
	}
	type step struct {
		rule, mask uint32
		ev         *event.Event
	}
	var steps []step
	for _, batch := range r.events.batches {
		for i := range batch {
			for _, rule := range d.event(&batch[i]) {
				steps = append(steps, step{rule, d.masks[rule], &batch[i]})
			}
		}
	}
	if len(steps) == 0 {
		return nil, nil
	}
	size := agent.DeviceSizes
	seq := nfa.New(img, nfa.Config{Tracks: size.Tracks, States: size.States, Evidence: size.Evidence}, nil)
	rounds := max(min(samplesMax/len(steps), 40), 1)
	if r.effort.rounds > 0 {
		rounds = min(rounds, r.effort.rounds)
	}
	samples := make([]uint32, 0, rounds*len(steps))
	for round := range rounds + 1 {
		r.events.next()
		for _, s := range steps {
			t0 := time.Now()
			seq.Event(s.rule, s.mask, s.ev, unasked{})
			if d := time.Since(t0); round > 0 { // the first is the warm-up
				samples = append(samples, clamp(d))
			}
		}
	}
	quiet := quantiles(floors(samples, len(steps)))
	return &Sequence{Rules: len(list), Steps: len(steps), Step: quantiles(samples), Quiet: quiet, Counters: seq.Counters}, nil
}

// unasked is the receiver of a sequencer whose rules leave nothing open; what is completed is counted there.
type unasked struct{}

// Holds implements nfa.Emitter.
func (unasked) Holds(rule uint32, stage int, _ *nfa.Pending, _ *event.Event) bool {
	panic(fmt.Sprintf("BUG: bench: rule %d, stage %d was taken for one without an open condition", rule, stage))
}

// Sequence implements nfa.Emitter.
func (unasked) Sequence(*nfa.Completed) {}
