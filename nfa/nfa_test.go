package nfa_test

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// sequence is a rule of so many stages with the same keys; every stage takes any event, since the tests say which
// stages an event fits.
func sequence(id string, stages int, until bool, maxspan time.Duration, keys ...ir.Key) ir.Rule {
	stage := ir.Stage{Category: event.CategoryAny, Cond: ir.Const{Value: ir.True}, Keys: keys}
	r := ir.Rule{ID: id, Name: id, Form: ir.FormSequence, MaxSpan: maxspan, Stages: slices.Repeat([]ir.Stage{stage}, stages)}
	if until {
		r.Until = &stage
	}
	return r
}

func load(tb testing.TB, rules ...ir.Rule) *image.Image {
	tb.Helper()
	file, _, err := build.Build(&ir.Ruleset{Name: "test", Rules: rules}, build.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// occurrence is an event: when, with which values of the two key fields (nil is null), and which stages it fits.
type occurrence struct {
	id, time uint64
	name     *string // process.name
	user     *int64  // user.id
	mask     uint32
}

// recordBytes holds the largest event of these tests.
const recordBytes = 1024

func (o occurrence) event() event.Event {
	b := event.Builder{Buf: make([]byte, recordBytes)}
	b.Begin(event.TypeExec, o.time)
	if o.name != nil {
		b.String(event.SlotName, *o.name, 0)
	}
	if o.user != nil {
		b.Int(event.SlotUID, *o.user)
	}
	rec := b.End()
	rec.SetID(o.id)
	ev := event.Event{Own: rec, Proc: rec}
	ev.SetCategory()
	return ev
}

// parse reads "time:key:stages ..." where a key is "name" or "name/user" and "-" is null, and stages are the letters
// from A on, U for until. Ids count from 1.
func parse(t *testing.T, text string) (list []occurrence) {
	t.Helper()
	for i, word := range strings.Fields(text) {
		part := strings.Split(word, ":")
		if len(part) != 3 {
			t.Fatalf("event %q", word)
		}
		o := occurrence{id: uint64(i + 1)}
		var err error
		if o.time, err = strconv.ParseUint(part[0], 10, 64); err != nil {
			t.Fatal(err)
		}
		name, user, both := strings.Cut(part[1], "/")
		if name != "-" {
			o.name = &name
		}
		if both && user != "-" {
			n, err := strconv.ParseInt(user, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			o.user = &n
		}
		for _, s := range part[2] {
			if s == 'U' {
				o.mask |= 1 << image.StageUntil
			} else {
				o.mask |= 1 << (s - 'A')
			}
		}
		list = append(list, o)
	}
	return list
}

// collector keeps completed sequences as text: rule, ids of the events, * after an eviction, ! after a limit per key.
type collector struct {
	got  []string
	all  []nfa.Completed // without what is borrowed
	asks func(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool
}

func (c *collector) Holds(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool {
	return c.asks(rule, stage, p, ev)
}

func (c *collector) Sequence(d *nfa.Completed) {
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
	s := fmt.Sprint(d.Rule, ids)
	if d.Evicted {
		s += "*"
	}
	if d.Bound {
		s += "!"
	}
	c.got = append(c.got, s)
	keep := *d
	keep.Pending, keep.Last, keep.Host = nfa.Pending{}, nil, nil
	c.all = append(c.all, keep)
}

var roomy = nfa.Config{Tracks: 64, States: 64, Evidence: 64}

func ended(c nfa.Counters) uint64 {
	return c.Completed + c.Joined + c.Replaced + c.Expired + c.Cleared + c.Tainted + c.KeptOut + c.Evicted
}

var (
	byName         = []ir.Key{{Field: event.FieldName}}
	byOptional     = []ir.Key{{Field: event.FieldName, Optional: true}}
	byNameAndUser  = []ir.Key{{Field: event.FieldName}, {Field: event.FieldUserID}}
	byNameMaybeUID = []ir.Key{{Field: event.FieldName}, {Field: event.FieldUserID, Optional: true}}
)

func TestSemantics(t *testing.T) {
	for _, c := range []struct {
		name   string
		stages int
		span   time.Duration
		keys   []ir.Key
		events string
		want   string // ids of the completed sequences
		counts nfa.Counters
	}{
		{"a pair", 2, 0, byName, "1:a:A 2:a:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"the second step alone", 2, 0, byName, "1:a:B 2:a:B", "", nfa.Counters{}},
		{"the first step stays", 2, 0, byName, "1:a:A", "", nfa.Counters{Started: 1}},
		{"once for each start", 2, 0, byName, "1:a:A 2:a:B 3:a:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"a newer event replaces", 2, 0, byName, "1:a:A 2:a:A 3:a:B", "[2 3]", nfa.Counters{Started: 2, Completed: 1, Replaced: 1}},
		{"again", 2, 0, byName, "1:a:A 2:a:B 3:a:A 4:a:B", "[1 2] [3 4]", nfa.Counters{Started: 2, Completed: 2}},
		{"keys are apart", 2, 0, byName, "1:a:A 2:b:A 3:b:B 4:a:B 5:c:B", "[2 3] [1 4]", nfa.Counters{Started: 2, Completed: 2}},
		{"a newer event replaces further on", 3, 0, byName, "1:a:A 2:a:B 3:a:A 4:a:B 5:a:C", "[3 4 5]",
			nfa.Counters{Started: 2, Advanced: 2, Completed: 1, Replaced: 1}},
		{"a state for each stage", 3, 0, byName, "1:a:A 2:a:B 3:a:A 4:a:C 5:a:B 6:a:C", "[1 2 4] [3 5 6]",
			nfa.Counters{Started: 2, Advanced: 2, Completed: 2}},
		{"a step out of turn", 3, 0, byName, "1:a:A 2:a:C 3:a:B 4:a:C", "[1 3 4]", nfa.Counters{Started: 1, Advanced: 1, Completed: 1}},
		{"the same event for two stages", 2, 0, byName, "1:a:AB 2:a:AB 3:a:AB", "[1 2] [2 3]", nfa.Counters{Started: 3, Completed: 2}},
		{"the same event for three stages", 3, 0, byName, "1:a:ABC 2:a:ABC 3:a:ABC 4:a:ABC", "[1 2 3] [2 3 4]",
			nfa.Counters{Started: 4, Advanced: 3, Completed: 2}},
		{"many stages", 5, 0, byName, "1:a:A 2:a:B 3:a:C 4:a:D 5:a:E 6:a:E", "[1 2 3 4 5]", nfa.Counters{Started: 1, Advanced: 3, Completed: 1}},

		{"maxspan includes its end", 2, 10, byName, "5:a:A 15:a:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"maxspan is over", 2, 10, byName, "5:a:A 16:a:B", "", nfa.Counters{Started: 1, Expired: 1}},
		{"maxspan counts from the first", 3, 10, byName, "1:a:A 6:a:B 12:a:C", "", nfa.Counters{Started: 1, Advanced: 1, Expired: 1}},
		{"maxspan counts from the first, in time", 3, 10, byName, "1:a:A 6:a:B 11:a:C", "[1 2 3]", nfa.Counters{Started: 1, Advanced: 1, Completed: 1}},
		{"what is over is gone", 2, 10, byName, "1:a:A 20:a:B 5:a:B", "", nfa.Counters{Started: 1, Expired: 1}},
		{"a start after the end", 2, 10, byName, "1:a:A 20:a:B 21:a:A 22:a:B", "[3 4]", nfa.Counters{Started: 2, Expired: 1, Completed: 1}},
		{"no maxspan", 2, 0, byName, "1:a:A 9000000000000000000:a:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"a newer start counts anew", 2, 10, byName, "1:a:A 9:a:A 19:a:B", "[2 3]", nfa.Counters{Started: 2, Replaced: 1, Completed: 1}},
		{"an earlier time after a later", 2, 10, byName, "50:a:A 5:a:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"an earlier time in the middle", 3, 10, byName, "50:a:A 5:a:B 60:a:C", "[1 2 3]", nfa.Counters{Started: 1, Advanced: 1, Completed: 1}},

		{"until clears", 2, 0, byName, "1:a:A 2:a:U 3:a:B", "", nfa.Counters{Started: 1, Cleared: 1}},
		{"until clears all stages", 3, 0, byName, "1:a:A 2:a:B 3:a:A 4:a:U 5:a:B 6:a:C", "", nfa.Counters{Started: 2, Advanced: 1, Cleared: 2}},
		{"until clears its key", 2, 0, byName, "1:a:A 2:b:A 3:b:U 4:a:B 5:b:B", "[1 4]", nfa.Counters{Started: 2, Cleared: 1, Completed: 1}},
		{"until and a later start", 2, 0, byName, "1:a:A 2:a:U 3:a:A 4:a:B", "[3 4]", nfa.Counters{Started: 2, Cleared: 1, Completed: 1}},
		{"until with nothing pending", 2, 0, byName, "1:a:U 2:a:A 3:a:B 4:a:U", "[2 3]", nfa.Counters{Started: 1, Completed: 1}},
		{"until that completes first", 2, 0, byName, "1:a:A 2:a:BU", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"until that starts", 2, 0, byName, "1:a:AU 2:a:B", "", nfa.Counters{Started: 1, Cleared: 1}},
		{"until without a key", 2, 0, byName, "1:a:A 2:-:U 3:a:B", "[1 3]", nfa.Counters{Started: 1, Completed: 1, NullKeys: 1}},

		{"no keys", 2, 0, nil, "1:a:A 2:b:B 3:-:A 4:c:B", "[1 2] [3 4]", nfa.Counters{Started: 2, Completed: 2}},
		{"null key", 2, 0, byName, "1:-:A 2:-:B", "", nfa.Counters{NullKeys: 1}},
		{"null key between", 2, 0, byName, "1:a:A 2:-:A 3:-:B 4:a:B", "[1 4]", nfa.Counters{Started: 1, Completed: 1, NullKeys: 2}},
		{"optional null key", 2, 0, byOptional, "1:-:A 2:-:B", "[1 2]", nfa.Counters{Started: 1, Completed: 1}},
		{"null is a value of its own", 2, 0, byOptional, "1:-:A 2:a:B 3::B 4:-:B", "[1 4]", nfa.Counters{Started: 1, Completed: 1}},
		{"the empty text is no null", 2, 0, byOptional, "1::A 2:-:B 3::B", "[1 3]", nfa.Counters{Started: 1, Completed: 1}},
		{"two keys", 2, 0, byNameAndUser, "1:a/1:A 2:a/2:B 3:b/1:B 4:a/1:B", "[1 4]", nfa.Counters{Started: 1, Completed: 1}},
		{"two keys, the second null", 2, 0, byNameAndUser, "1:a/-:A 2:a/-:B 3:-/1:A 4:-/1:B", "", nfa.Counters{NullKeys: 2}},
		{"two keys, the second optional", 2, 0, byNameMaybeUID, "1:a/-:A 2:a/0:B 3:a/-:B", "[1 3]", nfa.Counters{Started: 1, Completed: 1}},
		{"two keys, the first null", 2, 0, byNameMaybeUID, "1:-/1:A 2:-/1:B", "", nfa.Counters{NullKeys: 1}},
		{"text of 15, 16 and 17 bytes", 2, 0, byName, "1:aaaaaaaaaaaaaaa:A 2:aaaaaaaaaaaaaaaa:A 3:aaaaaaaaaaaaaaaaa:A 4:aaaaaaaaaaaaaaa:B 5:aaaaaaaaaaaaaaaaa:B 6:aaaaaaaaaaaaaaaa:B",
			"[1 4] [3 5] [2 6]", nfa.Counters{Started: 3, Completed: 3}},
		{"long texts that differ at the end", 2, 0, byName, "1:" + strings.Repeat("x", 40) + "1:A 2:" + strings.Repeat("x", 40) + "2:B 3:" + strings.Repeat("x", 40) + "1:B",
			"[1 3]", nfa.Counters{Started: 1, Completed: 1}},
		{"negative number", 2, 0, byNameAndUser, "1:a/-1:A 2:a/1:B 3:a/-1:B", "[1 3]", nfa.Counters{Started: 1, Completed: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := sequence("r", c.stages, strings.Contains(c.events, "U"), c.span, c.keys...)
			s := nfa.New(load(t, rule), roomy, nil)
			out := &collector{}
			for _, o := range parse(t, c.events) {
				ev := o.event()
				s.Event(0, o.mask, &ev, out)
			}
			got := strings.Join(out.got, " ")
			if want := strings.ReplaceAll(c.want, "[", "0 ["); got != want {
				t.Errorf("completed %q, want %q", got, want)
			}
			if s.Counters != c.counts {
				t.Errorf("counters %+v, want %+v", s.Counters, c.counts)
			}
			if s.Counters.Started != ended(s.Counters)+uint64(s.Active()) {
				t.Errorf("%d started, %d ended, %d active", s.Counters.Started, ended(s.Counters), s.Active())
			}
		})
	}
}

// TestRulesApart: rules with the same key do not touch each other's states.
func TestRulesApart(t *testing.T) {
	img := load(t, sequence("x", 2, true, 0, byName...), sequence("y", 2, true, 0, byName...))
	s := nfa.New(img, roomy, nil)
	out := &collector{}
	name := "a"
	for i, step := range []struct {
		rule uint32
		mask uint32
	}{{0, 1}, {1, 1}, {0, 1 << image.StageUntil}, {1, 2}, {0, 2}} {
		ev := occurrence{id: uint64(i + 1), time: uint64(i), name: &name, mask: step.mask}.event()
		s.Event(step.rule, step.mask, &ev, out)
	}
	if got := strings.Join(out.got, " "); got != "1 [2 4]" {
		t.Errorf("completed %q", got)
	}
}

// TestEvictedFlag: the pool holds one state; the one that goes is told by the next alert of its rule, once.
func TestEvictedFlag(t *testing.T) {
	for _, cfg := range []nfa.Config{{Tracks: 1, States: 9, Evidence: 9}, {Tracks: 9, States: 1, Evidence: 9}, {Tracks: 9, States: 9, Evidence: 1}} {
		t.Run(fmt.Sprint(cfg), func(t *testing.T) {
			s := nfa.New(load(t, sequence("r", 2, false, 0, byName...), sequence("other", 2, false, 0, byName...)), cfg, nil)
			out := &collector{}
			for _, o := range parse(t, "1:a:A 2:b:A 3:a:B 4:b:B 5:b:A 6:b:B") {
				ev := o.event()
				s.Event(0, o.mask, &ev, out)
			}
			for _, o := range parse(t, "1:a:A 2:a:B") {
				ev := o.event()
				s.Event(1, o.mask, &ev, out)
			}
			if got := strings.Join(out.got, " "); got != "0 [2 4]* 0 [5 6] 1 [1 2]" {
				t.Errorf("completed %q", got)
			}
			if s.Counters.Evicted != 1 || s.Active() != 0 {
				t.Errorf("counters %+v, %d active", s.Counters, s.Active())
			}
		})
	}
}

// TestOldestGoes: the track that was touched longest ago goes, not the one that began first; what is over is no loss.
func TestOldestGoes(t *testing.T) {
	for _, c := range []struct {
		name, events, want string
		span               time.Duration
		evicted, expired   uint64
	}{
		{"touched", "1:a:A 2:b:A 3:a:A 4:c:A 5:b:B 6:a:B 7:c:B", "0 [3 6]* 0 [4 7]", 0, 1, 0},
		{"over", "1:a:A 2:b:A 20:c:A 21:b:B 22:c:B", "0 [3 5]", 10, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := nfa.New(load(t, sequence("r", 2, false, c.span, byName...)), nfa.Config{Tracks: 2, States: 2, Evidence: 2}, nil)
			out := &collector{}
			for _, o := range parse(t, c.events) {
				ev := o.event()
				s.Event(0, o.mask, &ev, out)
			}
			if got := strings.Join(out.got, " "); got != c.want || s.Counters.Evicted != c.evicted || s.Counters.Expired != c.expired {
				t.Errorf("completed %q, want %q; counters %+v", got, c.want, s.Counters)
			}
		})
	}
}

// TestNoRoomAtAll: pools that cannot hold one state refuse and count.
func TestNoRoomAtAll(t *testing.T) {
	for _, cfg := range []nfa.Config{{}, {Tracks: 1}, {Tracks: 1, States: 1}, {States: 1, Evidence: 1}} {
		s := nfa.New(load(t, sequence("r", 2, false, 0, byName...)), cfg, nil)
		out := &collector{}
		for _, o := range parse(t, "1:a:A 2:a:B 3:b:AB 4:b:B") {
			ev := o.event()
			s.Event(0, o.mask, &ev, out)
		}
		if len(out.got) != 0 || s.Counters != (nfa.Counters{Refused: 2}) || s.Active() != 0 {
			t.Errorf("%+v: completed %q, counters %+v, %d active", cfg, out.got, s.Counters, s.Active())
		}
	}
}

// TestStagesMax runs a sequence of the most stages there are, with until in the top bit of the mask.
func TestStagesMax(t *testing.T) {
	const stages = limits.StagesMax - 1
	s := nfa.New(load(t, sequence("r", stages, true, 0)), nfa.Config{Tracks: 1, States: stages, Evidence: stages * stages}, nil)
	out := &collector{}
	for i := range uint64(2 * stages) {
		ev := occurrence{id: i + 1, time: i}.event()
		s.Event(0, 1<<stages-1, &ev, out)
	}
	if len(out.got) != stages+1 || s.Active() != stages-1 {
		t.Errorf("%d completed, %d active", len(out.got), s.Active())
	}
	ev := occurrence{id: 1000, time: 1000}.event()
	s.Event(0, 1<<image.StageUntil, &ev, out)
	if s.Active() != 0 || s.Counters.Cleared != stages-1 {
		t.Errorf("after until: %d active, counters %+v", s.Active(), s.Counters)
	}
}

// TestBytes: what New carves for one configuration is what Bytes promises, within what the allocator rounds up.
func TestBytes(t *testing.T) {
	img := load(t, shape("+ !", 1))
	for _, cfg := range []nfa.Config{{Tracks: 1000, States: 10, Evidence: 1}, {Tracks: 10, States: 10000, Evidence: 1}, {Tracks: 1, States: 1, Evidence: 1000}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := nfa.New(img, cfg, nil)
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(s)
		if got, want := int(after.TotalAlloc-before.TotalAlloc), nfa.Bytes(cfg, 1); got > want+want/4+4096 || got < want/2 {
			t.Errorf("%+v: %d bytes carved, Bytes says %d", cfg, got, want)
		}
	}
}

// TestKeyText: a join key is the text that rules see. A command line that follows from arguments joins one that the
// source gave as text, as the two are equal for every other test of a rule.
func TestKeyText(t *testing.T) {
	rule := sequence("r", 2, false, 0, ir.Key{Field: event.FieldCommandLine})
	s := nfa.New(load(t, rule), roomy, nil)
	out := &collector{}
	for i, slot := range []int{event.SlotArgs, event.SlotCommandLine} {
		b := event.Builder{Buf: make([]byte, recordBytes)}
		b.Begin(event.TypeExec, uint64(i))
		b.Bytes(slot, []byte([]string{"sh\x00-c", "sh -c"}[i]), 0, false)
		rec := b.End()
		rec.SetID(uint64(i + 1))
		ev := event.Event{Own: rec, Proc: rec}
		ev.SetCategory()
		want, _ := reference.Values(event.FieldCommandLine, &ev)
		if !slices.Equal(want, []string{"sh -c"}) {
			t.Fatalf("a rule sees %q", want)
		}
		s.Event(0, 1<<i, &ev, out)
	}
	if got := strings.Join(out.got, " "); got != "0 [1 2]" {
		t.Errorf("completed %q, want 0 [1 2]", got)
	}
}
