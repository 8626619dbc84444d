package reference_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// named is the condition that the process has a name.
func named(name string) ir.Node {
	return ir.StringTest{Field: event.FieldName, Patterns: []ir.Pattern{{Kind: ir.Exact, Text: name}}}
}

// steps makes stages from words: a name, after ! a missing one, with *n that many times.
func steps(form ir.Form, span time.Duration, words string) ir.Rule {
	r := ir.Rule{ID: "r", Form: form, MaxSpan: span}
	for _, w := range strings.Fields(words) {
		st := ir.Stage{Category: event.CategoryProcess}
		st.Missing = w[0] == '!'
		name, runs, _ := strings.Cut(strings.TrimPrefix(w, "!"), "*")
		if _, err := fmt.Sscan(runs, &st.Runs); runs != "" && err != nil {
			panic(err)
		}
		var any []ir.Node
		for _, n := range strings.Split(name, "|") {
			any = append(any, named(n))
		}
		st.Cond = ir.Or{Args: any}
		r.Stages = append(r.Stages, st)
	}
	return r
}

// process makes an event of a process, with its entity and its parent's.
func process(id, time uint64, name string, entity, parent uint64) *event.Event {
	b := event.Builder{Buf: make([]byte, 4096)}
	b.Begin(event.TypeExec, time)
	b.String(event.SlotName, name, 0)
	rec := b.End()
	rec.SetID(id)
	rec.SetEntity(entity)
	ev := &event.Event{Own: rec, Proc: rec, ParentEntity: parent}
	ev.SetCategory()
	return ev
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		form   ir.Form
		span   time.Duration
		words  string
		events string // "time:name ...", with ids from 1 on
		want   string
	}{
		{ir.FormEvent, 0, "a", "1:a 2:b 3:a", "[1] [3]"},
		{ir.FormSequence, 0, "a b", "1:a 2:b 3:b", "[1 2]"},
		{ir.FormSequence, 0, "a b", "1:a 2:a 3:b", "[2 3]"},
		{ir.FormSequence, 10, "a b", "1:a 11:b 21:a 32:b", "[1 2]"},
		{ir.FormSequence, 0, "a*3", "1:a 2:a 3:a 4:a", "[1 2 3] [2 3 4]"},
		{ir.FormSequence, 0, "a b*2 c", "1:a 2:b 3:b 4:b 5:c", "[1 2 3 5]"},
		{ir.FormSequence, 10, "a !b c", "1:a 2:c 3:a 4:b 5:c", "[1 2]"},
		{ir.FormSequence, 10, "a !b c", "1:a 2:b 2:c", "[1 3]"},
		{ir.FormSequence, 10, "!b a", "1:b 2:a 12:a", "[3]"},
		{ir.FormSequence, 10, "a !b", "1:a 11:b", ""},
		{ir.FormSequence, 10, "a !b", "1:a 12:b", "[1]"},
		{ir.FormSequence, 10, "a !b", "1:a", "[1]"},
		{ir.FormSequence, 10, "!b a !b", "1:b 5:a 11:b", ""},
		{ir.FormSequence, 10, "!b a !b", "1:b 5:a 12:b", "[2]"},
		{ir.FormSample, 0, "a b", "1:b 2:a", "[2 1]"},
		{ir.FormSample, 0, "a|c b|c", "1:c 2:a 3:c 4:b", "[2 1] [3 4]"},
		{ir.FormSample, 0, "a b", "1:a 2:a 3:b", "[2 3]"},
	} {
		in := reference.New([]ir.Rule{steps(c.form, c.span, c.words)})
		var got []string
		add := func(list []reference.Match) {
			for _, m := range list {
				got = append(got, fmt.Sprint(m.Events))
			}
		}
		for i, w := range strings.Fields(c.events) {
			var at uint64
			clock, name, _ := strings.Cut(w, ":")
			if _, err := fmt.Sscan(clock, &at); err != nil {
				t.Fatal(err)
			}
			add(in.Event(process(uint64(i+1), at, name, 1, 0)))
		}
		add(in.Flush(1<<64 - 1))
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q over %q: %q, want %q", c.words, c.events, s, c.want)
		}
	}
}

// TestFlush: what waits for a time comes after it, in the order of the times, and before the event that shows that it
// is over.
func TestFlush(t *testing.T) {
	in := reference.New([]ir.Rule{steps(ir.FormSequence, 20, "a !x"), steps(ir.FormSequence, 10, "a !x"), steps(ir.FormEvent, 0, "b")})
	in.Event(process(1, 1, "a", 1, 0))
	in.Event(process(2, 11, "a", 1, 0))
	if got := in.Flush(11); len(got) != 0 {
		t.Errorf("at the time itself: %v", got)
	}
	got := in.Event(process(3, 22, "b", 1, 0))
	want := []reference.Match{{Rule: 1, Events: []uint64{1}}, {Rule: 0, Events: []uint64{1}}, {Rule: 1, Events: []uint64{2}}, {Rule: 2, Events: []uint64{3}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestLineage: a test of lineage knows the processes seen before, by value of its condition, and through generations.
func TestLineage(t *testing.T) {
	of := func(rel ir.Relation) ir.Rule {
		return ir.Rule{Form: ir.FormEvent, Stages: []ir.Stage{{Category: event.CategoryAny, Cond: ir.Lineage{
			Rel: rel, Event: &ir.Stage{Category: event.CategoryProcess, Cond: named("sshd")},
		}}}}
	}
	in := reference.New([]ir.Rule{of(ir.EventOf), of(ir.ChildOf), of(ir.DescendantOf)})
	for i, c := range []struct {
		name           string
		entity, parent uint64
		want           []int // rules
	}{
		{"sshd", 10, 1, nil}, {"bash", 10, 1, []int{0}}, {"bash", 11, 10, []int{1, 2}}, {"ls", 12, 11, []int{2}}, {"ls", 13, 12, []int{2}},
		{"ls", 20, 1, nil}, {"sshd", 12, 11, []int{2}}, {"ls", 13, 12, []int{1, 2}}, {"ls", 12, 11, []int{0, 2}},
	} {
		var got []int
		for _, m := range in.Event(process(uint64(i+1), uint64(i), c.name, c.entity, c.parent)) {
			got = append(got, m.Rule)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("event %d: rules %d, want %d", i+1, got, c.want)
		}
	}
}

// TestEarlierEvents: a condition reads the events of earlier stages, of a run the last, and states of different events
// wait side by side.
func TestEarlierEvents(t *testing.T) {
	r := steps(ir.FormSequence, 0, "a|b a|b|c")
	r.Stages[1].Cond = ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{
		ir.Value{Field: event.FieldName, Stage: ir.Own}, ir.Value{Field: event.FieldName, Stage: 0},
	}}}
	in := reference.New([]ir.Rule{r})
	var got []string
	for i, name := range []string{"a", "b", "c", "a", "b"} {
		for _, m := range in.Event(process(uint64(i+1), uint64(i), name, 1, 0)) {
			got = append(got, fmt.Sprint(m.Events))
		}
	}
	if want := []string{"[1 4]", "[2 5]"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
