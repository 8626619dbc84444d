package nfa_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint("value ", i))
	}
	return list
}

// TestArrayKeys: an event takes part once for each element, of several arrays for each combination, equal ones once,
// and for no more than the limit.
func TestArrayKeys(t *testing.T) {
	one, two := []ir.Key{{Field: event.FieldArgs}}, []ir.Key{{Field: event.FieldArgs}, {Field: event.FieldArgs}}
	for _, c := range []struct {
		name          string
		keys          []ir.Key
		first, second []string
		completed     int
		cut           uint64
	}{
		{"one common", one, []string{"a", "b"}, []string{"b", "c"}, 1, 0},
		{"none common", one, []string{"a", "b"}, []string{"c"}, 0, 0},
		{"all common", one, []string{"a", "b", "c"}, []string{"c", "b", "a"}, 3, 0},
		{"equal elements", one, []string{"a", "a", "b"}, []string{"a", "a"}, 1, 0},
		{"an empty element", one, []string{"", "a"}, []string{""}, 1, 0},
		{"a long element", one, []string{strings.Repeat("x", 40)}, []string{strings.Repeat("x", 40), "x"}, 1, 0},
		{"null", one, nil, []string{"a"}, 0, 0},
		{"combinations", two, []string{"a", "b"}, []string{"b", "a", "c"}, 4, 0},
		{"the limit", one, numbered(limits.CombosMax), numbered(limits.CombosMax), limits.CombosMax, 0},
		{"over the limit", one, numbered(limits.CombosMax + 1), numbered(limits.CombosMax + 3), limits.CombosMax, 4},
		{"combinations over the limit", two, numbered(16), numbered(17), 15*16 + 1, 17*17 - limits.CombosMax},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := shape("+ +", 0, c.keys...)
			rule.Stages[0].Cond, rule.Stages[1].Cond = fits(0), fits(1)
			s := nfa.New(load(t, rule), nfa.Config{Tracks: 512, States: 512, Evidence: 512}, nil)
			ref := reference.New([]ir.Rule{rule})
			out, completed := &collector{}, 0
			for i, args := range [][]string{c.first, c.second} {
				ev := (&detail{id: uint64(i + 1), time: 1, bits: 1 << i, args: args}).event()
				s.Event(0, 1<<i, &ev, out)
				completed += len(ref.Event(&ev))
			}
			if len(out.got) != c.completed || completed != c.completed || s.Counters.KeysCut != c.cut {
				t.Errorf("%d completed, the reference %d, want %d; %+v", len(out.got), completed, c.completed, s.Counters)
			}
			if c.cut > 0 && !strings.HasSuffix(out.got[0], "!") {
				t.Errorf("%q does not say that something was cut", out.got[0])
			}
		})
	}
}

// TestManyCombinations: five arrays of thousands of elements cost no more than the limit.
func TestManyCombinations(t *testing.T) {
	rule := shape("+ +", 0, slices.Repeat([]ir.Key{{Field: event.FieldArgs}}, limits.KeysMax)...)
	s := nfa.New(load(t, rule), nfa.Config{Tracks: 512, States: 512, Evidence: 512}, nil)
	ev := (&detail{id: 1, time: 1, args: strings.Split(strings.Repeat("x ", 6000), " ")}).event()
	s.Event(0, 1, &ev, &collector{})
	if s.Active() != 1 || s.Counters.KeysCut < 1<<60 {
		t.Errorf("%d active, %+v", s.Active(), s.Counters)
	}
}

// TestSample: an event may fit several stages; which serves which is found whenever there is a way.
func TestSample(t *testing.T) {
	for _, c := range []struct {
		name   string
		stages int
		events string
		want   string
	}{
		{"in order", 2, "1:a:A 2:a:B", "[1 2]"},
		{"the other way round", 2, "1:a:B 2:a:A", "[2 1]"},
		{"keys are apart", 2, "1:a:B 2:b:A 3:a:A", "[3 1]"},
		{"an event serves one stage", 2, "1:a:AB 2:a:AB", "[1 2]"},
		{"an event moves on", 2, "1:a:AB 2:a:A", "[2 1]"},
		{"two events move on", 3, "1:a:AB 2:a:BC 3:a:A", "[3 1 2]"},
		{"a long path", 4, "1:a:AB 2:a:BC 3:a:CD 4:a:A", "[4 1 2 3]"},
		{"a newer event replaces", 2, "1:a:A 2:a:A 3:a:B", "[2 3]"},
		{"the oldest that can give way goes", 3, "1:a:AB 2:a:AB 3:a:A 4:a:C", "[3 2 4]"},
		{"one that cannot give way stays", 4, "1:a:C 2:a:AB 3:a:AB 4:a:B 5:a:A 6:a:D", "[5 4 1 6]"},
		{"the key starts anew", 2, "1:a:A 2:a:B 3:a:B 4:a:A", "[1 2] [4 3]"},
		{"one stage", 1, "1:a:A 2:b:A 3:a:A", "[1] [2] [3]"},
		{"a null key", 2, "1:-:A 2:a:B 3:-:B", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := shape(strings.Repeat("+ ", c.stages), 0, byName...)
			rule.Form = ir.FormSample
			s := nfa.New(load(t, rule), roomy, nil)
			if got := play(t, s, c.events); got != c.want {
				t.Errorf("completed %q, want %q", got, c.want)
			}
		})
	}
}

// TestSampleKeys: a stage has keys of its own, so an event may take part under different keys.
func TestSampleKeys(t *testing.T) {
	rule := shape("+ +", 0, byName...)
	rule.Form = ir.FormSample
	rule.Stages[1].Keys = []ir.Key{{Field: event.FieldExecutable}}
	s := nfa.New(load(t, rule), roomy, nil)
	out := &collector{}
	for i, d := range []detail{{name: "a", path: "b"}, {name: "b", path: "c"}, {name: "c", path: "c"}, {name: "c", path: "x"}} {
		d.id, d.time = uint64(i+1), uint64(i)
		ev := d.event()
		s.Event(0, 3, &ev, out)
	}
	// The second is named as the path of the first. The third is named as the path of the second, and has the same
	// path, so either could be the second stage: it is the older one. What the fourth could join is gone.
	if got := strings.Join(out.got, " "); got != "0 [2 1] 0 [3 2]" {
		t.Errorf("completed %q", got)
	}
}

// TestSampleStagesMax runs a sample of the most stages there are: it is complete as soon as it can be.
func TestSampleStagesMax(t *testing.T) {
	const stages = limits.StagesMax - 1
	rule := shape(strings.Repeat("+ ", stages), 0)
	rule.Form = ir.FormSample
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 6))
	s := nfa.New(load(t, rule), nfa.Config{Tracks: 1, States: stages, Evidence: stages}, nil)
	out := &collector{}
	var held []uint32 // masks of the events since the last sample
	n := 0
	for i := range 3000 {
		mask := uint32(1)<<rng.IntN(stages) | 1<<rng.IntN(stages)
		ev := (&detail{id: uint64(i + 1), time: uint64(i)}).event()
		s.Event(0, mask, &ev, out)
		held = append(held, mask)
		if matchable(held, stages) != (len(out.got) > n) {
			t.Fatalf("seed %d, event %d: %d samples, and a matching of all stages is there or not", seed, i, len(out.got))
		}
		if len(out.got) > n {
			n, held = len(out.got), nil
		}
	}
	if n < 10 || s.Counters.Refused+s.Counters.Evicted > 0 {
		t.Errorf("%d samples, %+v", n, s.Counters)
	}
}

// matchable tells whether every stage can have an event of its own, by Hall's way: stage by stage, moving others on.
func matchable(masks []uint32, stages int) bool {
	of := make([]int, len(masks)) // stage of an event + 1
	var find func(stage int, seen []bool) bool
	find = func(stage int, seen []bool) bool {
		for i, m := range masks {
			if m>>stage&1 == 0 || seen[i] {
				continue
			}
			seen[i] = true
			if of[i] == 0 || find(of[i]-1, seen) {
				of[i] = stage + 1
				return true
			}
		}
		return false
	}
	for stage := range stages {
		if !find(stage, make([]bool, len(masks))) {
			return false
		}
	}
	return true
}

// kept is a rule whose last stage wants the executable of its first.
func kept(stages int, keys ...ir.Key) ir.Rule {
	rule := shape(strings.Repeat("+ ", stages), 0, keys...)
	rule.Stages[stages-1].Cond = sameAs(0, true)
	return rule
}

// TestKept: states whose fields are read later wait side by side; an event takes the newest that fits it.
func TestKept(t *testing.T) {
	img := load(t, kept(2), kept(3))
	s := nfa.New(img, roomy, nil)
	out := &collector{asks: asker(img)}
	id := uint64(0)
	feed := func(rule uint32, stage int, path string) {
		id++
		ev := (&detail{id: id, time: id, path: path}).event()
		s.Event(rule, 1<<stage, &ev, out)
	}
	feed(0, 0, "/x") // 1
	feed(0, 0, "/y") // 2
	feed(0, 0, "/x") // 3
	feed(0, 1, "/z")
	feed(0, 1, "/y") // 5 takes 2
	feed(0, 1, "/x") // 6 takes 3
	feed(0, 1, "/x") // 7 takes 1
	feed(0, 1, "/x")
	feed(1, 0, "/x") // 9
	feed(1, 0, "/y") // 10
	feed(1, 1, "/q") // 11 takes 10, which stays beside
	feed(1, 1, "/q") // 12 takes 9
	feed(1, 2, "/y") // 13
	feed(1, 2, "/x") // 14
	if got, want := strings.Join(out.got, " "), "0 [2 5] 0 [3 6] 0 [1 7] 1 [10 11 13] 1 [9 12 14]"; got != want {
		t.Errorf("completed %q, want %q", got, want)
	}
	if s.Active() != 0 || s.Counters.Replaced != 0 {
		t.Errorf("%d active, %+v", s.Active(), s.Counters)
	}
}

// TestKeptStatesMax: no more states wait side by side than the limit; the oldest goes and the next alert says so, once.
func TestKeptStatesMax(t *testing.T) {
	img := load(t, kept(2))
	s := nfa.New(img, roomy, nil)
	out := &collector{asks: asker(img)}
	id := uint64(0)
	feed := func(stage int, path string) {
		id++
		ev := (&detail{id: id, time: id, path: path}).event()
		s.Event(0, 1<<stage, &ev, out)
	}
	for i := range limits.KeptStatesMax {
		feed(0, fmt.Sprint("/", i))
	}
	if s.Active() != limits.KeptStatesMax || s.Counters.KeptOut != 0 {
		t.Fatalf("%d active, %+v", s.Active(), s.Counters)
	}
	feed(0, "/another")
	if s.Active() != limits.KeptStatesMax || s.Counters.KeptOut != 1 {
		t.Fatalf("%d active, %+v", s.Active(), s.Counters)
	}
	feed(1, "/0")
	feed(1, "/1")
	feed(1, "/2")
	if want := []string{"0 [2 19]!", "0 [3 20]"}; !slices.Equal(out.got, want) {
		t.Errorf("completed %q, want %q", out.got, want)
	}
}

// TestHoldsPending: what Holds is given is the evidence of the events of one state, by stage, of a run the last.
func TestHoldsPending(t *testing.T) {
	rule := shape("+ +*3 +", 0)
	rule.Stages[1].Cond, rule.Stages[2].Cond = sameAs(0, true), ir.And{Args: []ir.Node{sameAs(0, true), sameAs(1, true)}}
	img := load(t, rule)
	s := nfa.New(img, roomy, nil)
	ask := asker(img)
	var seen []string
	out := &collector{asks: func(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool {
		text := fmt.Sprint(stage, ":")
		for st := range 4 {
			if e, ok := p.At(st); ok {
				text += fmt.Sprint(" ", e.ID())
			}
		}
		var walk []uint64
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			walk = append(walk, e.ID())
		}
		seen = append(seen, fmt.Sprint(text, walk))
		return ask(rule, stage, p, ev)
	}}
	for i, stage := range []int{0, 1, 1, 1, 2} {
		ev := (&detail{id: uint64(i + 1), time: uint64(i), path: "/x"}).event()
		s.Event(0, 1<<stage, &ev, out)
	}
	want := []string{"1: 1[1]", "1: 1 2[1 2]", "1: 1 3[1 2 3]", "2: 1 4[1 2 3 4]"}
	if !slices.Equal(seen, want) || len(out.got) != 1 || out.got[0] != "0 [1 2 3 4 5]" {
		t.Errorf("asked %q, want %q; completed %q", seen, want, out.got)
	}
}

// TestLongKeptRun: a run whose states wait side by side keeps as much evidence as another.
func TestLongKeptRun(t *testing.T) {
	const runs = 40
	rule := shape(fmt.Sprintf("+ +*%d +", runs), 0)
	rule.Stages[1].Cond = sameAs(0, true)
	img := load(t, rule)
	s := nfa.New(img, roomy, nil)
	id, found := uint64(0), false
	out := &longRuns{collector: collector{asks: asker(img)}, want: func(ids []uint64, elided int) {
		found = true
		if want := []uint64{1, 2, 35, 36, 37, 38, 39, 40, 41, 42}; !slices.Equal(ids, want) || elided != runs-8 {
			t.Errorf("%d, %d left out; want %d", ids, elided, want)
		}
	}}
	feed := func(stage, times int) {
		for range times {
			id++
			ev := (&detail{id: id, time: id, path: "/x"}).event()
			s.Event(0, 1<<stage, &ev, out)
		}
	}
	feed(0, 1)
	feed(1, runs)
	feed(2, 1)
	if err := s.Check(); err != nil || !found || s.Active() != 0 {
		t.Errorf("%v, found %t, %+v", err, found, s.Counters)
	}
}

// TestFormsNoAllocation: no form of a sequence allocates, with pools that are too small at that.
func TestFormsNoAllocation(t *testing.T) {
	r := newFormRound(3, true)
	r.rules = []ir.Rule{
		shape("+*20", 0, byName...), shape("! + ! +*3 ! + !", 20, byName...), shape("+ +*5 +", 9, ir.Key{Field: event.FieldArgs}),
		kept(3, byName...), shape("+ + +", 0, byName...),
	}
	for i := range r.rules {
		r.rules[i].ID = fmt.Sprint("r", i)
	}
	r.rules[4].Form = ir.FormSample
	img := load(t, r.rules...)
	s := nfa.New(img, nfa.Config{Tracks: 12, States: 60, Evidence: 50}, nil)
	const events = 500
	evs, masks := make([]event.Event, events), make([]uint32, events)
	for i := range evs {
		d := r.next()
		evs[i], masks[i] = d.event(), uint32(d.bits)
	}
	// The times of a second round are those of the first: what waits for a time fires at the end of each.
	out := &allocating{ask: asker(img)}
	if n := mallocs.Least(func() {
		for i := range evs {
			s.Advance(evs[i].Own.Time(), out)
			for rule := range r.rules {
				if m := masks[i] & (1<<len(r.rules[rule].Stages) - 1); m != 0 {
					s.Event(uint32(rule), m, &evs[i], out)
				}
			}
		}
		s.Advance(1<<64-1, out)
	}); n != 0 {
		t.Errorf("%d allocations in %d events", n, events)
	}
	c := s.Counters
	if c.Completed == 0 || c.TimersFired == 0 || c.Evicted == 0 || c.Tainted == 0 || c.Joined == 0 {
		t.Errorf("%+v: the test does too little", c)
	}
}

// allocating evaluates what remains of conditions and keeps nothing.
type allocating struct {
	counter
	ask func(uint32, int, *nfa.Pending, *event.Event) bool
}

func (a *allocating) Holds(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool {
	return a.ask(rule, stage, p, ev)
}
