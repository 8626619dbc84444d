// Package bench measures Kestrel: how many events a second, how long one takes, what memory, how the cost grows with the
// number of rules, what an adversary can do to it, and what the same work costs by other means. Host only.
//
// Everything runs over a recorded log, again and again: each round is the log once more at a later time, of processes that
// were not there before. Its texts are the same, so what the engine keeps of texts that come again is of more use than on a
// device; how much more, the rounds of engines tell that have seen no event. The first round is a warm-up.
// Times are of the monotonic clock; nothing is subtracted, and what reading the clock costs is a figure of its own. Ratios
// are made within one run. The result hash is the one that `kestrel replay` prints for the log.
//
//	log.go       the log in memory, and its events as the process table completes them
//	play.go      a log from record to alert, with the sizes of a device
//	latency.go   one event at a time, and one step of a sequence
//	scale.go     10 to 10,000 rules (vary.go), and the same rules one by one (direct.go)
//	patterns.go  the string automata beside ahocorasick, regexp and Hyperscan
//	stress.go    an adversary
//	memory.go    resident memory, of processes of their own
//
// Memory: a log and its completed events are held in memory; LogBytesMax bounds a log. Goroutines: one calls Run, and
// nothing else should run in the process meanwhile, since heap objects are counted for all of it. When full: a log or rule
// set beyond its limit is an error.
package bench

import (
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// Parts are what to measure.
type Parts struct {
	Throughput, Latency, Memory bool
	NFA                         bool // rules from 10 to 10,000, one by one, and the automata beside others
	Stress                      bool
}

// Config says what to measure with.
type Config struct {
	Parts     Parts
	Set       ir.Ruleset
	Image     []byte // of Set
	RulesName string
	LeftOut   int // rules that could not be compiled
	Log       *Log
	Rounds    int    // of each measurement; 0: as many as give a steady median
	Sizes     []int  // numbers of rules; nil: 10, 100, 1,000, 10,000 and that of Set
	Seed      uint64 // of what is generated
	Hyperscan string // program of bench/hyperscan; empty: there is none
	Agent     string // kestrel-agent; empty: there is none
	// Self makes a process that calls Child; nil: the memory of a replay is not measured.
	Self     func(imageFile, logFile string) *exec.Cmd
	Progress func(text string) // may be nil
}

// Share is a part of a whole.
type Share struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Earlier are the published figures of the earlier Kestrel: taken without a rule, on an i7-12700.
type Earlier struct {
	Rules     int     `json:"rules"`
	Eps       float64 `json:"eps_one_core"`
	P99       float64 `json:"p99_ns"`
	SeqP99    float64 `json:"seq_p99_ns"`
	RSS       float64 `json:"rss_bytes"`
	RuleTimes float64 `json:"rule_by_rule_times"`
}

var earlier = Earlier{Rules: 0, Eps: 4.9e6, P99: 531, SeqP99: 10660, RSS: 6.39e6, RuleTimes: 8}

// Throughput is the time of an event in batches.
type Throughput struct {
	Workers  int     `json:"workers"`
	Engine   Timing  `json:"engine"`       // match, sequences, alerts
	First    Timing  `json:"engine_first"` // the same in an engine that has seen no event: nothing it kept is of use
	Pipeline Timing  `json:"pipeline"`     // and before these a copy of the record and the process table
	Eps      float64 `json:"eps"`          // of Engine's median
	EpsPipe  float64 `json:"eps_pipeline"`
	Mallocs  uint64  `json:"mallocs"` // of all timed rounds of Engine and Pipeline
	Events   uint64  `json:"events"`  // in these
}

// Result is a report. The keys up to PredicatesPerEvent are for scripts; one that was not measured is null.
type Result struct {
	Rules      int      `json:"rules"`
	Events     int      `json:"events"`
	EpsOne     *float64 `json:"eps_one_core"`
	EpsAll     *float64 `json:"eps_all"`
	P50        *int64   `json:"p50_ns"`
	P99        *int64   `json:"p99_ns"`
	P999       *int64   `json:"p999_ns"`
	Max        *int64   `json:"max_ns"`
	SeqP50     *int64   `json:"seq_p50_ns"`
	SeqP99     *int64   `json:"seq_p99_ns"`
	Allocs     *float64 `json:"allocs_per_event"`
	RSS        *int64   `json:"rss_bytes"`
	Anon       *int64   `json:"anon_bytes"`
	ImageBytes int      `json:"image_bytes"`
	Matches    float64  `json:"match_rate"` // rules that an event fits with one stage or more, per event
	Predicates float64  `json:"predicates_per_event"`
	Hash       string   `json:"result_hash"`
	Alerts     uint64   `json:"alerts"` // in one round

	Machine    Machine      `json:"machine"`
	RulesName  string       `json:"rules_from"`
	LeftOut    int          `json:"rules_left_out"`
	LogName    string       `json:"log"`
	Mix        []Share      `json:"event_mix"`
	Earlier    Earlier      `json:"earlier_kestrel"`
	Throughput []Throughput `json:"throughput,omitempty"`
	Latency    *Latency     `json:"latency,omitempty"`
	Memory     *Memory      `json:"memory,omitempty"`
	ScaleRules int          `json:"scale_from_rules,omitempty"`
	ScaleOnce  int          `json:"scale_once_rules"` // of these, not copied
	Scale      []Scale      `json:"scale,omitempty"`
	Patterns   []Patterns   `json:"patterns,omitempty"`
	Stress     []Stress     `json:"stress,omitempty"`
	Seconds    float64      `json:"seconds"`
}

// budget is the time for one measurement: fifty rounds of the recorded capture and more.
const budget = time.Second

// runner is a run.
type runner struct {
	cfg    Config
	effort effort
	events *completed
}

func (r *runner) progress(format string, args ...any) {
	if r.cfg.Progress != nil {
		r.cfg.Progress(fmt.Sprintf(format, args...))
	}
}

// Run measures what the configuration asks for.
func Run(cfg Config) (*Result, error) {
	begin := time.Now()
	img, err := image.Load(cfg.Image)
	if err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, effort: effort{cfg.Rounds, budget}}
	res := &Result{
		Rules: len(cfg.Set.Rules), Events: cfg.Log.events, ImageBytes: len(cfg.Image), Machine: machine(),
		RulesName: cfg.RulesName, LeftOut: cfg.LeftOut, LogName: cfg.Log.Name, Mix: cfg.Log.mix(), Earlier: earlier,
	}
	hash, c, err := digest(cfg.Log, img)
	if err != nil {
		return nil, err
	}
	res.Hash, res.Alerts = "sha256:"+hash, c.Alerts
	res.Matches, res.Predicates = per(c.Matches, c.Events), per(c.Candidates, c.Events)
	if r.events, err = cfg.Log.complete(); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		wanted bool
		name   string
		run    func(*image.Image, *Result) error
	}{
		{cfg.Parts.Memory, "memory", r.runMemory},
		{cfg.Parts.Throughput, "throughput", r.runThroughput},
		{cfg.Parts.Latency, "latency", r.runLatency},
		{cfg.Parts.NFA, "automata", r.runAutomata},
		{cfg.Parts.Stress, "adversary", r.runStress},
	} {
		if !part.wanted {
			continue
		}
		r.progress("%s", part.name)
		if err := part.run(img, res); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	res.Seconds = math.Round(time.Since(begin).Seconds()*10) / 10
	return res, nil
}

func (r *runner) runMemory(img *image.Image, res *Result) (err error) {
	if res.Memory, err = r.memory(img, r.cfg.Image); err != nil {
		return err
	}
	found := res.Memory.Idle
	if found == nil {
		found = res.Memory.Replay
	}
	if found != nil {
		res.RSS, res.Anon = &found.RSS, &found.Anon
	}
	return nil
}

func (r *runner) runThroughput(img *image.Image, res *Result) error {
	workers := []int{1}
	if n := min(runtime.NumCPU(), limits.WorkersMax); n > 1 {
		workers = append(workers, n)
	}
	var list []work
	for _, n := range workers {
		e, p, err := r.players(img, n)
		if err != nil {
			return err
		}
		defer e.Close()
		defer p.close()
		first := newOnce(r, img, n)
		defer first.close()
		list = append(list, r.steps(e), work{r.events.n, first.prepare, first.round}, work{n: r.cfg.Log.events, f: p.round})
	}
	times, mallocs := r.effort.together(list...)
	for i, n := range workers {
		t := Throughput{Workers: n, Engine: times[3*i], First: times[3*i+1], Pipeline: times[3*i+2]}
		t.Mallocs = mallocs[3*i] + mallocs[3*i+2]
		t.Events = uint64((t.Engine.Rounds + t.Pipeline.Rounds) * r.events.n)
		t.Eps, t.EpsPipe = perSecond(t.Engine.Median), perSecond(t.Pipeline.Median)
		res.Throughput = append(res.Throughput, t)
	}
	one, all := res.Throughput[0], res.Throughput[len(res.Throughput)-1]
	allocs := per(one.Mallocs, one.Events)
	res.EpsOne, res.EpsAll, res.Allocs = &one.Eps, &all.Eps, &allocs
	return nil
}

// players are an engine for the completed events, and one that gets them from the process table.
func (r *runner) players(img *image.Image, workers int) (*engine.Engine, *player, error) {
	p, err := newPlayer(r.cfg.Log, img, workers)
	if err != nil {
		return nil, nil, err
	}
	return newEngine(img, workers, &counter{}), p, nil
}

// steps is a round of all completed events in an engine.
func (r *runner) steps(e *engine.Engine) work {
	return work{n: r.events.n, prepare: r.events.next, f: func() {
		for _, batch := range r.events.batches {
			e.Step(batch, 0)
		}
	}}
}

func (r *runner) runLatency(img *image.Image, res *Result) (err error) {
	if res.Latency, err = r.latency(img, r.cfg.Set.Rules); err != nil {
		return err
	}
	l := res.Latency
	res.P50, res.P99, res.P999, res.Max = &l.All.P50, &l.All.P99, &l.All.P999, &l.All.Max
	if l.Sequence != nil {
		res.SeqP50, res.SeqP99 = &l.Sequence.Step.P50, &l.Sequence.Step.P99
	}
	return nil
}

func (r *runner) runAutomata(_ *image.Image, res *Result) (err error) {
	if list := own(r.cfg.Set.Rules); len(list) > 0 {
		base, err := newRuleSet(list)
		if err != nil {
			return err
		}
		res.ScaleRules, res.ScaleOnce = len(list), base.once()
		sizes := r.cfg.Sizes
		if sizes == nil {
			sizes = append(slices.Clone(scaleSizes), len(list))
			slices.Sort(sizes)
			sizes = slices.Compact(sizes)
		}
		if res.Scale, err = r.scale(base, sizes); err != nil {
			return err
		}
	}
	r.progress("literals")
	p, err := r.literals(r.cfg.Set.Rules)
	if err != nil {
		return err
	}
	if p != nil {
		res.Patterns = append(res.Patterns, *p)
	}
	r.progress("wildcards")
	if p, err = r.wildcards(); err != nil {
		return err
	}
	res.Patterns = append(res.Patterns, *p)
	return nil
}

func (r *runner) runStress(img *image.Image, res *Result) (err error) {
	res.Stress, err = r.stress(img, r.cfg.Set.Rules)
	return err
}
