package nfa_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
)

// An event of these tests says by the bits of its user id which stages it fits. What a later stage compares is the
// executable.

// bitsMax bounds the stages of such a rule, with until.
const bitsMax = 7

// fits is the condition of a stage: the bit of its number is set.
func fits(bit int) ir.Node {
	var values []int64
	for v := range int64(1 << bitsMax) {
		if v>>bit&1 != 0 {
			values = append(values, v)
		}
	}
	return ir.IntIn{Field: event.FieldUserID, Values: values}
}

// sameAs is true when the event has the executable of the event of a stage, or another one.
func sameAs(stage int, same bool) ir.Node {
	fn := ir.FnEq
	if !same {
		fn = ir.FnNe
	}
	return ir.Test{X: ir.Op{Fn: fn, Args: []ir.Expr{
		ir.Value{Field: event.FieldExecutable, Stage: ir.Own}, ir.Value{Field: event.FieldExecutable, Stage: stage},
	}}}
}

// detail is an event for these rules.
type detail struct {
	id, time uint64
	bits     int64
	name     string // "" is null
	path     string // "" is null
	args     []string
	entity   uint64
}

func (d *detail) event() event.Event {
	b := event.Builder{Buf: make([]byte, 64<<10)}
	b.Begin(event.TypeExec, d.time)
	if d.name != "" {
		b.String(event.SlotName, d.name, 0)
	}
	if d.path != "" {
		b.String(event.SlotExecutable, d.path, 0)
	}
	if d.args != nil {
		var v []byte
		for i, a := range d.args {
			if i > 0 {
				v = append(v, 0)
			}
			v = append(v, a...)
		}
		b.Bytes(event.SlotArgs, v, 0, false)
	}
	b.Int(event.SlotUID, d.bits)
	rec := b.End()
	rec.SetID(d.id)
	rec.SetEntity(d.entity)
	ev := event.Event{Own: rec, Proc: rec}
	ev.SetCategory()
	return ev
}

// maskOf is which stages of a rule an event fits.
func maskOf(r *ir.Rule, bits int64) (mask uint32) {
	for i := range r.Stages {
		mask |= uint32(bits) & (1 << i)
	}
	if r.Until != nil && bits>>(bitsMax-1)&1 != 0 {
		mask |= 1 << image.StageUntil
	}
	return mask
}

// asker evaluates what remains of a condition as an engine does.
func asker(img *image.Image) func(uint32, int, *nfa.Pending, *event.Event) bool {
	scratch := img.Exprs.NewScratch()
	return func(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool {
		r := &img.Rules[rule]
		ctx := expr.Context{Event: ev}
		for s := range min(stage, int(r.NStages)) {
			ctx.Stages[s], _ = p.At(s)
		}
		return img.Exprs.Eval(img.Stages[int(r.Stages)+stage].Later-1, &ctx, scratch) == expr.True
	}
}

// formRound is a random rule set of all forms and the events for it.
type formRound struct {
	*rand.Rand
	rules    []ir.Rule
	orderly  bool
	time, id uint64
}

var formKeys = [][]ir.Key{
	nil, {{Field: event.FieldName}}, {{Field: event.FieldName, Optional: true}}, {{Field: event.FieldArgs}},
	{{Field: event.FieldArgs, Optional: true}, {Field: event.FieldName}}, {{Field: event.FieldArgs}, {Field: event.FieldArgs}},
}

func newFormRound(seed uint64, orderly bool) *formRound {
	r := &formRound{Rand: rand.New(rand.NewPCG(seed, 5)), orderly: orderly}
	for i := range 1 + r.IntN(3) {
		r.rules = append(r.rules, r.rule(fmt.Sprint("r", i)))
	}
	return r
}

func (r *formRound) rule(id string) ir.Rule {
	keys := formKeys[r.IntN(len(formKeys))]
	rule := ir.Rule{ID: id, Name: id, Form: ir.FormSequence}
	if r.IntN(5) == 0 {
		rule.Form = ir.FormSample
	} else if r.IntN(3) > 0 {
		rule.MaxSpan = time.Duration(3 + r.IntN(30))
	}
	var positive []int
	for i := range 1 + r.IntN(bitsMax-1) {
		st := ir.Stage{Category: event.CategoryAny, Cond: fits(i), Keys: keys}
		if rule.Form == ir.FormSequence {
			r.shape(&rule, &st, i, positive)
		}
		if !st.Missing {
			positive = append(positive, i)
		}
		rule.Stages = append(rule.Stages, st)
	}
	if len(positive) == 0 {
		rule.Stages[0].Missing, rule.Stages[0].Cond = false, fits(0)
	}
	if rule.Form == ir.FormSequence {
		if r.IntN(4) == 0 {
			rule.Until = &ir.Stage{Category: event.CategoryAny, Cond: fits(bitsMax - 1), Keys: keys}
		}
		if len(rule.Stages) == 1 && rule.Stages[0].Runs < 2 {
			rule.Stages[0].Runs = 2 // one event is no sequence
		}
	}
	return rule
}

// shape makes something particular of a stage.
func (r *formRound) shape(rule *ir.Rule, st *ir.Stage, i int, positive []int) {
	if rule.MaxSpan > 0 && r.orderly && r.IntN(3) == 0 {
		st.Missing = true
	} else if r.IntN(3) == 0 {
		st.Runs = 1 + r.IntN(6)
	}
	if len(positive) > 0 && r.orderly && r.IntN(4) == 0 {
		st.Cond = ir.And{Args: []ir.Node{fits(i), sameAs(positive[r.IntN(len(positive))], r.IntN(2) > 0)}}
	}
}

func (r *formRound) next() detail {
	r.id++
	r.time += uint64(r.IntN(3))
	if !r.orderly && r.IntN(8) == 0 {
		r.time -= min(r.time, uint64(r.IntN(12)))
	}
	d := detail{id: r.id, time: r.time, entity: 1 + uint64(r.IntN(3))}
	for bit := range bitsMax {
		if r.IntN(3) == 0 && (bit < bitsMax-1 || r.IntN(4) == 0) {
			d.bits |= 1 << bit
		}
	}
	d.name = []string{"", "a", "b"}[r.IntN(3)]
	d.path = []string{"", "/x", "/y", "/z"}[r.IntN(4)]
	for range r.IntN(4) {
		d.args = append(d.args, []string{"a", "b", "", "an argument of more than sixteen bytes"}[r.IntN(4)])
	}
	return d
}

// run takes the events of a round through a Sequencer and, when given, a reference.
func (r *formRound) run(s *nfa.Sequencer, out *collector, ref *reference.Interpreter, events int) (want []string) {
	expect := func(list []reference.Match) {
		for _, m := range list {
			want = append(want, fmt.Sprint(m.Rule, m.Events))
		}
	}
	for range events {
		d := r.next()
		ev := d.event()
		s.Advance(d.time, out)
		for i := range r.rules {
			if mask := maskOf(&r.rules[i], d.bits); mask != 0 {
				s.Event(uint32(i), mask, &ev, out)
			}
		}
		if ref != nil {
			expect(ref.Event(&ev))
		}
	}
	s.Advance(1<<64-1, out)
	if ref != nil {
		expect(ref.Flush(1<<64 - 1))
	}
	return want
}

func plus(a *nfa.Counters, b nfa.Counters) { *a = a.Plus(b) }

// TestFormsAgainstReference: with room for everything, random rules of all forms give what the reference interpreter
// gives, which writes runs out as stages and looks for missing events when a sequence is complete.
func TestFormsAgainstReference(t *testing.T) {
	rounds := 250
	if testing.Short() {
		rounds = 60
	}
	var sum nfa.Counters
	for n := range rounds {
		seed := rand.Uint64()
		r := newFormRound(seed, n%3 > 0)
		img := load(t, r.rules...)
		s := nfa.New(img, nfa.Config{Tracks: 2048, States: 4096, Evidence: 4096}, nil)
		out := &collector{asks: asker(img)}
		want := r.run(s, out, reference.New(r.rules), 300)
		for i := range out.got {
			out.got[i] = trimFlag(out.got[i])
		}
		if !slices.Equal(out.got, want) {
			at := 0
			for at < min(len(want), len(out.got)) && want[at] == out.got[at] {
				at++
			}
			t.Fatalf("seed %d, orderly %t: result %d of %d, reference %d\nrules %s\n%q\nreference\n%q", seed, r.orderly, at, len(out.got),
				len(want), describe(r.rules), out.got[at:min(at+5, len(out.got))], want[at:min(at+5, len(want))])
		}
		if c := s.Counters; c.Started != ended(c)+uint64(s.Active()) {
			t.Fatalf("seed %d: %+v, %d active", seed, c, s.Active())
		}
		if c := s.Counters; c.Evicted+c.Refused+c.Forgotten != 0 {
			t.Fatalf("seed %d: %+v: the pools are too small for the test", seed, c)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		plus(&sum, s.Counters)
	}
	t.Logf("%+v", sum)
	for _, n := range []uint64{sum.Completed, sum.TimersFired, sum.Joined, sum.Replaced, sum.Expired, sum.Cleared, sum.Tainted, sum.KeptOut, sum.NullKeys} {
		if n == 0 {
			t.Errorf("%+v: the rounds did not reach every way a state can end", sum)
		}
	}
}

// trimFlag takes off the mark of a limit per key: the reference has the limits too, and no marks.
func trimFlag(s string) string {
	if s[len(s)-1] == '!' {
		return s[:len(s)-1]
	}
	return s
}

func describe(rules []ir.Rule) (s string) {
	for _, r := range rules {
		s += fmt.Sprintf("\n%s form %d span %d until %t:", r.ID, r.Form, r.MaxSpan, r.Until != nil)
		for _, st := range r.Stages {
			s += fmt.Sprintf(" [missing %t runs %d later %v keys %v]", st.Missing, st.Runs, laterOf(st.Cond), st.Keys)
		}
	}
	return s
}

func laterOf(n ir.Node) any {
	if a, ok := n.(ir.And); ok {
		return a.Args[1]
	}
	return nil
}

// TestFormsInSmallPools: whatever the pools, every state that began is accounted for at every moment, and so is every
// entry of the pools.
func TestFormsInSmallPools(t *testing.T) {
	rounds := 250
	if testing.Short() {
		rounds = 60
	}
	var sum nfa.Counters
	for n := range rounds {
		seed := rand.Uint64()
		r := newFormRound(seed, n%3 > 0)
		img := load(t, r.rules...)
		cfg := nfa.Config{Tracks: r.IntN(6), States: r.IntN(14), Evidence: r.IntN(14)}
		s := nfa.New(img, cfg, nil)
		out := &collector{asks: asker(img)}
		for i := range 300 {
			r.run1(s, out)
			if c := s.Counters; c.Started != ended(c)+uint64(s.Active()) {
				t.Fatalf("seed %d, event %d, %+v: %+v, %d active\n%s", seed, i, cfg, c, s.Active(), describe(r.rules))
			}
			if err := s.Check(); err != nil {
				t.Fatalf("seed %d, event %d, %+v: %v\n%s", seed, i, cfg, err, describe(r.rules))
			}
		}
		s.Advance(1<<64-1, out)
		if _, waits := s.Deadline(); waits {
			t.Fatalf("seed %d: something waits behind the end of time", seed)
		}
		plus(&sum, s.Counters)
	}
	t.Logf("%+v", sum)
	if sum.Evicted == 0 || sum.Refused == 0 || sum.Forgotten == 0 || sum.TimersFired == 0 {
		t.Error("the rounds did not reach every way to run out of room")
	}
}

func (r *formRound) run1(s *nfa.Sequencer, out *collector) {
	d := r.next()
	ev := d.event()
	s.Advance(d.time, out)
	for i := range r.rules {
		if mask := maskOf(&r.rules[i], d.bits); mask != 0 {
			s.Event(uint32(i), mask, &ev, out)
		}
	}
}
