package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// Scale is the cost of an event with a number of rules, and what the same rules cost one by one.
type Scale struct {
	Rules      int     `json:"rules"`
	Event      Timing  `json:"event"`
	Growth     float64 `json:"growth"` // of the median, against the first row
	GrowthBest float64 `json:"growth_of_best"`
	Predicates float64 `json:"predicates_per_event"`
	Matches    float64 `json:"match_rate"`
	ImageBytes int     `json:"image_bytes"`
	Dense      int     `json:"automaton_bytes,omitempty"` // bound of the dense parts, where it is not the default
	BuildMS    int64   `json:"build_ms"`
	Mallocs    uint64  `json:"mallocs"`
	// Rule by rule, where the number of rules lets it end in time.
	Direct         *Timing `json:"rule_by_rule,omitempty"`
	DirectTimes    float64 `json:"rule_by_rule_times,omitempty"`
	Reference      float64 `json:"interpreter_ns,omitempty"`
	ReferenceTimes float64 `json:"interpreter_times,omitempty"`
	Refused        string  `json:"refused,omitempty"` // why there is no image
}

// scaleSizes are the numbers of rules, besides the number that is given.
var scaleSizes = []int{10, 100, 1000, 10000}

// directMax is the number of rules up to which they are evaluated one by one as well.
const directMax = 1000

// referenceEvents bounds the events that the interpreter sees: it takes a hundred times as long.
const referenceEvents = 400

// scale measures rule sets of rising size, made from those that can be evaluated event by event. Of a size that does not
// fit an image half is measured.
func (r *runner) scale(base *ruleSet, sizes []int) ([]Scale, error) {
	var list []Scale
	var sets [][]ir.Rule
	var engines []*engine.Engine // nil: there is no image
	var works []work
	defer func() {
		for _, e := range engines {
			if e != nil {
				e.Close()
			}
		}
	}()
	for sizes = slices.Clone(sizes); len(sizes) > 0; sizes = sizes[1:] {
		r.progress("%d rules: compile", sizes[0])
		rules, s := base.scaled(sizes[0]), Scale{}
		img, err := s.compile(rules)
		if err != nil {
			return nil, err
		}
		var e *engine.Engine
		if img != nil {
			e = newEngine(img, 1, &counter{})
			works = append(works, r.steps(e))
		} else if half := sizes[0] / 2; len(list) > 0 && half > list[len(list)-1].Rules {
			sizes = slices.Insert(sizes, 1, half)
		}
		list, sets, engines = append(list, s), append(sets, rules), append(engines, e)
	}
	r.progress("%d rule sets", len(works))
	times, mallocs := r.effort.together(works...)
	at := 0
	for i, e := range engines {
		if e == nil {
			continue
		}
		s, c := &list[i], e.Counters()
		s.Event, s.Mallocs = times[at], mallocs[at]
		at++
		s.Growth, s.GrowthBest = s.Event.Median/times[0].Median, s.Event.Best/times[0].Best
		s.Predicates, s.Matches = per(c.Candidates, c.Events), per(c.Matches, c.Events)
		if len(sets[i]) > directMax {
			continue
		}
		r.progress("%d rules: one by one", len(sets[i]))
		if err := r.oneByOne(sets[i], s, c.Matches*uint64(r.events.n)/c.Events); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// denseLeast bounds the dense part of each field's automaton where an image would be too large otherwise.
const denseLeast = 64 << 10

// compile makes the image; none, when the image writer refuses the rules.
func (s *Scale) compile(rules []ir.Rule) (*image.Image, error) {
	s.Rules = len(rules)
	var file []byte
	var err error
	begin := time.Now()
	for _, s.Dense = range []int{0, denseLeast} {
		file, _, err = build.Build(&ir.Ruleset{Name: "scaled", Rules: rules}, build.Options{AutomatonBytes: s.Dense})
		if err == nil {
			break
		}
	}
	s.BuildMS = time.Since(begin).Milliseconds()
	if err != nil {
		s.Refused = err.Error()
		return nil, nil
	}
	s.ImageBytes = len(file)
	return image.Load(file)
}

// oneByOne measures the same events with the same rules evaluated one by one, and proves that they find the same.
func (r *runner) oneByOne(rules []ir.Rule, s *Scale, want uint64) error {
	d, err := newDirect(rules)
	if err != nil {
		return err
	}
	found := uint64(0)
	t, _ := r.effort.measure(work{n: r.events.n, prepare: func() { found = 0 }, f: func() {
		for _, batch := range r.events.batches {
			for i := range batch {
				found += uint64(len(d.event(&batch[i])))
			}
		}
	}})
	if found != want {
		return fmt.Errorf("%d rules one by one: %d matches, the engine has %d", len(rules), found, want)
	}
	s.Direct, s.DirectTimes = &t, t.Median/s.Event.Median
	some := r.events.some(referenceEvents)
	begin, sum, sum2 := time.Now(), 0, 0
	for i := range some {
		sum += len(d.reference(some[i]))
	}
	s.Reference = float64(time.Since(begin)) / float64(len(some))
	s.ReferenceTimes = s.Reference / s.Event.Median
	for i := range some {
		sum2 += len(d.event(some[i]))
	}
	if sum != sum2 {
		return fmt.Errorf("%d rules: the interpreter has %d matches, the programs %d", len(rules), sum, sum2)
	}
	return nil
}

func per(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
