package bench

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Timing is how long something took per unit, over rounds.
type Timing struct {
	Best   float64 `json:"best_ns"`
	Median float64 `json:"median_ns"`
	Rounds int     `json:"rounds"`
}

// perSecond is the rate of a time in ns.
func perSecond(ns float64) float64 {
	if ns <= 0 {
		return 0
	}
	return 1e9 / ns
}

// roundsMax bounds the rounds of one measurement.
const roundsMax = 200

// effort says how long a measurement may take. Rounds 1 is for tests.
type effort struct {
	rounds int           // exactly so many, 0: as many as fit the budget
	budget time.Duration // for one measurement
}

// roundsMin lets a median mean something where one round takes longer than the budget.
const roundsMin = 5

// work is something to be timed: f does n units. prepare goes before each round, untimed, and may be nil.
type work struct {
	n          int
	prepare, f func()
}

func (w *work) ready() {
	if w.prepare != nil {
		w.prepare()
	}
}

// measure times rounds of one work; see together.
func (e effort) measure(w work) (Timing, uint64) {
	t, mallocs := e.together(w)
	return t[0], mallocs[0]
}

// together times works that will be compared: a round of each in turn, so that what else the machine does falls on all of
// them. One round of each before is not counted. It returns the heap objects made in all timed rounds of a work as well:
// the whole process is counted, with the collector off.
func (e effort) together(list ...work) ([]Timing, []uint64) {
	for i := range list {
		list[i].ready()
		list[i].f()
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	times, mallocs := make([][]float64, len(list)), make([]uint64, len(list))
	for i := range times {
		times[i] = make([]float64, 0, roundsMax)
	}
	var before, after runtime.MemStats
	begin := time.Now()
	for round := 1; ; round++ {
		for i := range list {
			w := &list[i]
			w.ready()
			runtime.ReadMemStats(&before)
			t0 := time.Now()
			w.f()
			d := time.Since(t0)
			runtime.ReadMemStats(&after)
			mallocs[i] += after.Mallocs - before.Mallocs
			times[i] = append(times[i], float64(d)/float64(w.n))
		}
		if round == roundsMax || round == e.rounds ||
			e.rounds == 0 && round >= roundsMin && time.Since(begin) > time.Duration(len(list))*e.budget {
			break
		}
	}
	timings := make([]Timing, len(list))
	for i, t := range times {
		slices.Sort(t)
		timings[i] = Timing{Best: t[0], Median: t[len(t)/2], Rounds: len(t)}
	}
	return timings, mallocs
}

// Quantiles are those of single times in ns.
type Quantiles struct {
	Count int   `json:"count"`
	P50   int64 `json:"p50_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p999_ns"`
	Max   int64 `json:"max_ns"`
}

// quantiles sorts the samples.
func quantiles(samples []uint32) Quantiles {
	if len(samples) == 0 {
		return Quantiles{}
	}
	slices.Sort(samples)
	at := func(permille int) int64 { return int64(samples[(len(samples)-1)*permille/1000]) }
	return Quantiles{len(samples), at(500), at(990), at(999), at(1000)}
}

// clamp keeps a time in a sample of 32 bits: four seconds.
func clamp(d time.Duration) uint32 { return uint32(min(max(d, 0), 1<<32-1)) }

// clockCost is what two readings of the clock take when nothing lies between them: it is in every single time.
func clockCost() Quantiles {
	const n = 100000
	samples := make([]uint32, n)
	for i := range samples {
		t0 := time.Now()
		samples[i] = clamp(time.Since(t0))
	}
	return quantiles(samples)
}
