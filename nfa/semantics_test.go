package nfa_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// shape makes a rule of stages written as "+ !- +*3": taken, missing, taken three times.
func shape(text string, span time.Duration, keys ...ir.Key) ir.Rule {
	r := ir.Rule{ID: "r", Name: "r", Form: ir.FormSequence, MaxSpan: span}
	for _, word := range strings.Fields(text) {
		st := ir.Stage{Category: event.CategoryAny, Cond: ir.Const{Value: ir.True}, Keys: keys, Missing: word[0] == '!'}
		if _, runs, ok := strings.Cut(word, "*"); ok {
			st.Runs, _ = strconv.Atoi(runs)
		}
		r.Stages = append(r.Stages, st)
	}
	return r
}

// play takes events written as for parse through a Sequencer and returns what was completed; an alert without a last
// event is followed by its time.
func play(t *testing.T, s *nfa.Sequencer, events string) string {
	t.Helper()
	out := &collector{}
	for _, o := range parse(t, events) {
		ev := o.event()
		s.Advance(o.time, out)
		s.Event(0, o.mask, &ev, out)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if c := s.Counters; c.Started != ended(c)+uint64(s.Active()) {
		t.Errorf("%+v, %d active", c, s.Active())
	}
	return strings.ReplaceAll(strings.Join(out.got, " "), "0 [", "[")
}

func TestMissing(t *testing.T) {
	for _, c := range []struct{ name, stages, events, want string }{
		{"between: none", "+ ! +", "1:a:A 2:a:C", "[1 2]"},
		{"between: one", "+ ! +", "1:a:A 2:a:B 3:a:C", ""},
		{"between: of another key", "+ ! +", "1:a:A 2:b:B 3:a:C", "[1 3]"},
		{"between: before", "+ ! +", "1:a:B 2:a:A 3:a:C", "[2 3]"},
		{"between: at the time of the first", "+ ! +", "1:a:A 1:a:B 3:a:C", "[1 3]"},
		{"between: at the time of the second", "+ ! +", "1:a:A 3:a:B 3:a:C", "[1 3]"},
		{"between: the earlier of two", "+ ! +", "1:a:A 2:a:B 3:a:B 3:a:C", ""},
		{"between: the event itself", "+ ! +", "1:a:AB 2:a:BC", "[1 2]"},
		{"between: a state that is tainted is taken first", "+ ! +", "1:a:A 2:a:B 3:a:C 4:a:C", ""},
		{"between: a newer state is not tainted", "+ ! +", "1:a:A 2:a:B 3:a:A 4:a:C", "[3 4]"},
		{"between: a tainted state replaces", "+ ! + +", "1:a:A 2:a:C 3:a:A 4:a:B 5:a:C 6:a:D", ""},
		{"between: the second gap is another", "+ ! + ! +", "1:a:A 2:a:D 3:a:C 4:a:B 5:a:E", "[1 3 5]"},
		{"between: two stages in one gap", "+ ! ! +", "1:a:A 2:a:C 3:a:D", ""},
		{"between: behind a run that has left its window", "+ +*2 ! +", "1:a:A 2:a:B 3:a:B 3:a:B 3:a:C 5:a:D", "[1 2 3 6]"},
		{"between: behind a run that has left its window, later", "+ +*2 ! +", "1:a:A 2:a:B 3:a:B 3:a:B 4:a:C 5:a:D", ""},
		{"until leaves no state", "+ ! +", "1:a:A 2:a:U 3:a:C", ""},

		{"before: none", "! + +", "1:a:B 2:a:C", "[1 2]"},
		{"before: one", "! + +", "1:a:A 2:a:B 3:a:C", ""},
		{"before: at the time of the first", "! + +", "2:a:A 2:a:B 3:a:C", "[2 3]"},
		{"before: one earlier, and one at the time of the first", "! + +", "1:a:A 2:a:A 2:a:B 3:a:C", ""},
		{"before: later than the first", "! + +", "2:a:B 3:a:A 4:a:C", "[1 3]"},
		{"before: a span before the last", "! + +", "1:a:A 5:a:B 11:a:C", ""},
		{"before: more than a span before the last", "! + +", "1:a:A 5:a:B 12:a:C", "[2 3]"},
		{"before: one event", "! +", "1:a:A 2:a:B 12:a:B", "[3]"},
		{"before: one event, another key", "! +", "1:a:A 2:b:B", "[2]"},
		{"before: until does not make it forgotten", "! +", "1:a:A 2:a:U 3:a:B", ""},
		{"before: with runs", "! +*3", "1:a:A 2:a:B 3:a:B 4:a:B 12:a:B 13:a:B", "[3 4 5] [4 5 6]"},

		{"behind: none", "+ + !", "1:a:A 2:a:B 11:-:B 12:-:B", "[1 2]"},
		{"behind: one", "+ + !", "1:a:A 2:a:B 3:a:C 20:-:B", ""},
		{"behind: one at the end of the span", "+ + !", "1:a:A 2:a:B 11:a:C 20:-:B", ""},
		{"behind: one after the end of the span", "+ + !", "1:a:A 2:a:B 12:a:C 20:-:B", "[1 2]"},
		{"behind: at the time of the last", "+ + !", "1:a:A 2:a:B 2:a:C 20:-:B", "[1 2]"},
		{"behind: of another key", "+ + !", "1:a:A 2:a:B 3:b:C 20:-:B", "[1 2]"},
		{"behind: before the last", "+ + !", "1:a:A 2:a:C 3:a:B 20:-:B", "[1 3]"},
		{"behind: one event each", "+ !", "1:a:A 2:a:A 3:b:A 12:a:B 20:-:B", "[1] [3]"},
		{"behind: until does not clear what is complete", "+ + !", "1:a:A 2:a:B 3:a:U 20:-:B", "[1 2]"},
		{"behind: with runs", "+*2 !", "1:a:A 2:a:A 3:a:A 12:a:B 20:-:B", "[1 2]"},

		{"both: neither", "! + !", "5:a:B 6:-:B", "[1]"},
		{"both: only before", "! + !", "1:a:A 5:a:B 11:-:B 12:-:B", "[2]"},
		{"both: only behind", "! + !", "5:a:B 6:a:C 20:-:B", "[1]"},
		{"both: a span apart", "! + !", "1:a:A 5:a:B 11:a:C 30:-:B", ""},
		{"both: more than a span apart", "! + !", "1:a:A 5:a:B 12:a:C 30:-:B", "[2]"},
		{"both and between", "! + ! + !", "1:a:B 2:a:C 3:a:D 30:-:B", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := shape(c.stages, 10, byName...)
			if strings.Contains(c.events, "U") {
				rule.Until = &ir.Stage{Category: event.CategoryAny, Cond: ir.Const{Value: ir.True}, Keys: byName}
			}
			if got := play(t, nfa.New(load(t, rule), roomy, nil), c.events); got != c.want {
				t.Errorf("completed %q, want %q", got, c.want)
			}
		})
	}
}

// TestTimers: they fire in the order of their times, then of the rules, then of when they began, strictly after the
// time, and say what completed.
func TestTimers(t *testing.T) {
	s := nfa.New(load(t, shape("+ !", 20, byName...), shape("+ !", 10, byName...)), roomy, nil)
	out := &collector{}
	host := &event.Host{}
	at := func(id, time uint64, rule uint32, name string) {
		ev := (&detail{id: id, time: time, name: name, entity: id * 100}).event()
		ev.Host = host
		s.Advance(time, out)
		s.Event(rule, 1, &ev, out)
	}
	if _, waits := s.Deadline(); waits {
		t.Error("a deadline of nothing")
	}
	at(1, 1, 0, "a")  // 21
	at(2, 11, 1, "b") // 21
	at(3, 11, 1, "a") // 21, later begun
	at(4, 5, 1, "c")  // 15
	at(5, 12, 0, "d") // 32
	if due, waits := s.Deadline(); !waits || due != 15 {
		t.Errorf("deadline %d, %t", due, waits)
	}
	s.Advance(15, out)
	if len(out.got) != 0 {
		t.Errorf("fired at its time: %q", out.got)
	}
	s.Advance(22, out)
	if want := []string{"1 [4]", "0 [1]", "1 [2]", "1 [3]"}; !slices.Equal(out.got, want) {
		t.Errorf("fired %q, want %q", out.got, want)
	}
	for i, want := range []nfa.Completed{{Rule: 1, Entity: 400, Time: 15}, {Rule: 0, Entity: 100, Time: 21}} {
		if out.all[i] != want {
			t.Errorf("%+v, want %+v", out.all[i], want)
		}
	}
	if due, waits := s.Deadline(); !waits || due != 32 || s.Counters.TimersFired != 4 || s.Active() != 1 {
		t.Errorf("deadline %d, %t, %+v", due, waits, s.Counters)
	}
}

// TestTimerHeap: timers that begin and end in any order fire in theirs.
func TestTimerHeap(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 7))
	var rules []ir.Rule
	for i := range 4 {
		rules = append(rules, shape("+ !", time.Duration(100+200*i), byName...))
	}
	s := nfa.New(load(t, rules...), nfa.Config{Tracks: 512, States: 512, Evidence: 512}, nil)
	out := &collector{}
	now, last := uint64(0), 0
	for i := range uint64(6000) {
		now += uint64(rng.IntN(3))
		ev := (&detail{id: i + 1, time: now, name: fmt.Sprint("n", rng.IntN(100))}).event()
		s.Advance(now, out)
		s.Event(uint32(rng.IntN(len(rules))), uint32(1+rng.IntN(2)), &ev, out)
		for ; last < len(out.all); last++ {
			if last > 0 && out.all[last].Time < out.all[last-1].Time || out.all[last].Time >= now {
				t.Fatalf("seed %d, event %d: %+v", seed, i+1, out.all[last])
			}
		}
		if err := s.Check(); err != nil {
			t.Fatalf("seed %d, event %d: %v", seed, i+1, err)
		}
	}
	if c := s.Counters; c.TimersFired < 100 || c.Tainted < 100 || c.Evicted > 0 {
		t.Errorf("seed %d: %+v: the test does too little", seed, c)
	}
}

// TestMarksEnd: the time of a missing event is not kept longer than it counts.
func TestMarksEnd(t *testing.T) {
	s := nfa.New(load(t, shape("! + +", 10, byName...)), roomy, nil)
	play(t, s, "1:a:A 2:a:B 11:a:B")
	if tracks, states := s.InUse(); tracks != 1 || states != 2 {
		t.Errorf("%d tracks, %d states", tracks, states)
	}
	play(t, s, "12:a:C")
	if tracks, states := s.InUse(); tracks != 0 || states != 0 {
		t.Errorf("%d tracks, %d states in use", tracks, states)
	}
}

// TestTimersPerKey: an event that comes without end leaves the room of other keys alone.
func TestTimersPerKey(t *testing.T) {
	const timersMax = 64 // of a key
	s := nfa.New(load(t, shape("+ !", 1<<40, byName...)), nfa.Config{Tracks: 8, States: 128, Evidence: 128}, nil)
	out := &collector{}
	for i := range uint64(timersMax + 2) {
		name := "a"
		if i == 1 {
			name = "b"
		}
		ev := (&detail{id: i + 1, time: i, name: name}).event()
		s.Event(0, 1, &ev, out)
	}
	if s.Active() != timersMax+1 || s.Counters.KeptOut != 1 {
		t.Fatalf("%d active, %+v", s.Active(), s.Counters)
	}
	s.Advance(1<<64-1, out)
	if len(out.got) != timersMax+1 || out.got[0] != "0 [2]!" || out.got[1] != "0 [3]" {
		t.Errorf("%d fired, first %q", len(out.got), out.got[:2])
	}
}

// TestTimerEvicted: what is complete but for a time goes like others when there is no room, and is missed.
func TestTimerEvicted(t *testing.T) {
	s := nfa.New(load(t, shape("+ !", 100, byName...)), nfa.Config{Tracks: 2, States: 2, Evidence: 2}, nil)
	if got := play(t, s, "1:a:A 2:b:A 3:c:A 200:-:B"); got != "[2]* [3]" || s.Counters.Evicted != 1 {
		t.Errorf("completed %q, %+v", got, s.Counters)
	}
}

// TestForgotten: without room for the time of a missing event before the first the alert says that it may be wrong.
func TestForgotten(t *testing.T) {
	s := nfa.New(load(t, shape("! +", 100, byName...)), nfa.Config{Tracks: 1, States: 1, Evidence: 1}, nil)
	if got := play(t, s, "1:a:A 2:b:A 3:a:B 4:a:B"); got != "[3]* [4]" || s.Counters.Forgotten != 1 {
		t.Errorf("completed %q, %+v", got, s.Counters)
	}
}

// longRuns hands the evidence and the number of what was left out to want.
type longRuns struct {
	collector
	want func(ids []uint64, elided int)
}

func (l *longRuns) Sequence(d *nfa.Completed) {
	var ids []uint64
	for p := d.Pending; ; {
		ev, ok := p.Next()
		if !ok {
			break
		}
		ids = append(ids, ev.ID())
	}
	if d.Last != nil {
		ids = append(ids, d.Last.Own.ID())
	}
	l.want(ids, d.Elided)
}

// TestLongRuns: of a run the evidence of the first event and of the last seven is kept before the one that completes
// it, in order, and the rest is counted. When the window moves on, the first may be missing; the last never are.
func TestLongRuns(t *testing.T) {
	for _, c := range []struct {
		stages string
		before int // events of other stages
		behind int
	}{{"+*%d", 0, 0}, {"+*%d +", 0, 1}, {"+ +*%d", 1, 0}, {"+ +*%d +", 1, 1}, {"+*%d !", 0, 0}, {"+ +*%d + +", 1, 2}} {
		for _, runs := range []int{2, 7, 8, 9, 10, 20, limits.RunsMax} {
			t.Run(fmt.Sprintf(c.stages, runs), func(t *testing.T) {
				s := nfa.New(load(t, shape(fmt.Sprintf(c.stages, runs), 1<<40)), nfa.Config{Tracks: 2, States: 600, Evidence: 600}, nil)
				n, id, waits := 0, uint64(0), strings.HasSuffix(c.stages, "!")
				out := &longRuns{want: func(ids []uint64, elided int) {
					n++
					total := runs + c.before + c.behind
					if len(ids)+elided != total {
						t.Fatalf("%d events and %d left out, of %d: %d", len(ids), elided, total, ids)
					}
					if waits {
						return
					}
					first := id - uint64(total) + 1
					for i := range ids {
						want := first + uint64(i)
						if i > c.before { // behind the gap
							want = id - uint64(len(ids)-1-i)
						}
						if ids[i] != want && (n == 1 || i > c.before) {
							t.Fatalf("alert %d of events up to %d: %d, %d left out", n, id, ids, elided)
						}
					}
					if n == 1 && elided > max(0, runs-8) || elided > max(0, runs-7) {
						t.Fatalf("alert %d leaves %d of %d out", n, elided, runs)
					}
				}}
				feed := func(stage, times int) {
					for range times {
						id++
						ev := (&detail{id: id, time: id}).event()
						s.Event(0, 1<<stage, &ev, out)
					}
				}
				for range 2 {
					if c.before > 0 {
						feed(0, 1)
					}
					feed(c.before, runs)
					for i := range c.behind {
						feed(c.before+1+i, 1)
					}
				}
				s.Advance(1<<64-1, out)
				if err := s.Check(); err != nil || n < 2 {
					t.Fatal(n, err)
				}
			})
		}
	}
}

// TestRunsWithoutEvidence: where there is no room for the evidence of a run, the run is found all the same.
func TestRunsWithoutEvidence(t *testing.T) {
	s := nfa.New(load(t, shape("+*4", 0)), nfa.Config{Tracks: 1, States: 8, Evidence: 2}, nil)
	if got := play(t, s, "1:-:A 2:-:A 3:-:A 4:-:A 5:-:A"); got != "[1 2 4] [2 4 5]" {
		t.Errorf("completed %q", got)
	}
}

// TestRunsEndInPlace: a run that the next stage completes needs no room for copies of what younger states need as well.
func TestRunsEndInPlace(t *testing.T) {
	s := nfa.New(load(t, shape("+*3 +", 0, byName...)), nfa.Config{Tracks: 2, States: 8, Evidence: 5}, nil)
	if got := play(t, s, "1:a:A 2:b:A 3:b:A 4:b:A 5:b:A 6:b:B 7:a:A 8:a:A 9:a:B"); got != "[3 4 5 6] [1 7 8 9]" || s.Counters.Evicted != 0 {
		t.Errorf("completed %q, %+v", got, s.Counters)
	}
}

// TestRunsStayInBounds: however long a run, it has no more evidence than its bound.
func TestRunsStayInBounds(t *testing.T) {
	s := nfa.New(load(t, shape("+*20", 0, byName...)), nfa.Config{Tracks: 2, States: 40, Evidence: 9}, nil)
	events := "1:a:A"
	for i := range 30 {
		events += fmt.Sprintf(" %d:b:A", i+2)
	}
	play(t, s, events)
	if s.Counters.Evicted != 0 || s.Counters.Completed != 11 || s.Active() != 20 {
		t.Errorf("%+v, %d active", s.Counters, s.Active())
	}
}

// TestRunsWithoutRoom: a window that outgrows the pool goes, counted.
func TestRunsWithoutRoom(t *testing.T) {
	s := nfa.New(load(t, shape("+*9", 0)), nfa.Config{Tracks: 2, States: 5, Evidence: 9}, nil)
	if got := play(t, s, "1:-:A 2:-:A 3:-:A 4:-:A 5:-:A 6:-:A 7:-:A 8:-:A 9:-:A 10:-:A 11:-:A"); got != "" {
		t.Errorf("completed %q", got)
	}
	if c := s.Counters; c.Evicted != 8 || c.Refused != 2 {
		t.Errorf("%+v", c)
	}
}
