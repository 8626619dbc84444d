package build

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/irtest"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/limits"
)

// TestSplit: the bound reads the event alone, and a condition is true exactly when its bound and its rest are.
func TestSplit(t *testing.T) {
	seed := rand.Uint64()
	src := &irtest.Source{Rand: rand.New(rand.NewPCG(seed, 12)), Stages: 2, Lineage: true}
	whole, parts, useful := 0, 0, 0
	for range 3000 {
		n := ir.Simplify(src.Node(4))
		bound, rest := split(n)
		if ir.IsLater(bound) || rest == nil && ir.IsLater(n) {
			t.Fatalf("seed %d: bound %#v\nrest %#v\nof %#v", seed, bound, rest, n)
		}
		if rest == nil {
			continue
		}
		whole++
		for range 15 {
			ancestor := src.IntN(2) == 0
			env := &reference.Env{Event: src.Event(), Stages: []*event.Event{src.Event(), nil}, Lineage: func(ir.Lineage) bool { return ancestor }}
			holds := reference.Eval(bound, env.Event) == ir.True
			both := holds && reference.EvalIn(rest, env) == ir.True
			if want := reference.EvalIn(n, env) == ir.True; both != want {
				t.Fatalf("seed %d: bound %v, both %v, want %v\nbound %#v\nrest %#v\nof %#v", seed, holds, both, want, bound, rest, n)
			}
			parts++
			if !holds {
				useful++
			}
		}
	}
	if whole < 100 || useful == 0 || useful == parts {
		t.Errorf("%d conditions read more than the event, %d of %d bounds say no", whole, useful, parts)
	}
}

func TestSplitExamples(t *testing.T) {
	name, path := is(event.FieldName, "a"), is(event.FieldExecutable, "/b")
	lineage := ir.Lineage{Rel: ir.ChildOf, Event: &ir.Stage{Cond: name}}
	other := ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{ir.Value{Field: event.FieldName, Stage: ir.Own}, ir.Value{Field: event.FieldName}}}}
	for _, c := range []struct{ cond, bound, rest string }{
		{"a and L", "a", "L"},
		{"L and b and T", "b", "L and T"},
		{"a or L", "true", "a or L"},
		{"a and (b or L)", "a", "b or L"},
		{"(a and L) or (b and T)", "a or b", "(a and L) or (b and T)"},
		{"not (a or L)", "not a", "not L"},
		{"not (a and L)", "true", "not (a and L)"},
		{"a and not (b and not L)", "a", "not (b and not L)"},
		{"is true (a and L)", "a", "L"},
		{"not is true (a and L)", "true", "not is true (a and L)"},
		{"L", "true", "L"},
	} {
		parse := func(s string) ir.Node {
			return (&exampleParser{s, map[byte]ir.Node{'a': name, 'b': path, 'L': lineage, 'T': other}}).or()
		}
		bound, rest := split(ir.Simplify(parse(c.cond)))
		if want := ir.Simplify(parse(c.bound)); nodeKey(bound) != nodeKey(want) {
			t.Errorf("%s: bound %s, want %s", c.cond, ir.Describe(bound), ir.Describe(want))
		}
		if want := ir.Simplify(parse(c.rest)); nodeKey(rest) != nodeKey(want) {
			t.Errorf("%s: rest %s, want %s", c.cond, ir.Describe(rest), ir.Describe(want))
		}
	}
}

// exampleParser reads the conditions of TestSplitExamples.
type exampleParser struct {
	rest   string
	leaves map[byte]ir.Node
}

func (p *exampleParser) word(w string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	ok := strings.HasPrefix(p.rest, w)
	if ok {
		p.rest = p.rest[len(w):]
	}
	return ok
}

func (p *exampleParser) or() ir.Node {
	args := []ir.Node{p.and()}
	for p.word("or") {
		args = append(args, p.and())
	}
	return ir.Or{Args: args}
}

func (p *exampleParser) and() ir.Node {
	args := []ir.Node{p.leaf()}
	for p.word("and") {
		args = append(args, p.leaf())
	}
	return ir.And{Args: args}
}

func (p *exampleParser) leaf() ir.Node {
	switch {
	case p.word("not"):
		return ir.Not{Arg: p.leaf()}
	case p.word("is true"):
		return ir.IsTrue{Arg: p.leaf()}
	case p.word("true"):
		return ir.Const{Value: ir.True}
	case p.word("("):
		n := p.or()
		p.word(")")
		return n
	}
	n := p.leaves[p.rest[0]]
	p.rest = p.rest[1:]
	return n
}

// ids collects the rules of alerts.
type ids struct{ list []string }

func (i *ids) Push(b []byte) bool {
	i.list = append(i.list, string(alert.Alert(b).RuleID()))
	return true
}

// TestRandomRules: rules of one event with conditions of every kind, computed values among them, raise the alerts that
// the reference says, indexed or not.
func TestRandomRules(t *testing.T) {
	seed := rand.Uint64()
	src := &irtest.Source{Rand: rand.New(rand.NewPCG(seed, 13))}
	alerts, programs := 0, 0
	for range 15 {
		rs := set()
		for i := range 40 {
			r := single(fmt.Sprint(i), src.Node(1+src.IntN(4)))
			r.Stages[0].Category = event.CategoryAny
			if _, _, err := Build(set(r), Options{}); err == nil {
				rs.Rules = append(rs.Rules, r) // not of three arrays at once
			}
		}
		img, rep, err := built(t, rs)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		programs += rep.Programs
		out := &ids{}
		e := engine.New(img, engine.Config{Workers: 1}, out)
		for range 100 {
			ev := src.Event()
			out.list = out.list[:0]
			e.Step([]event.Event{*ev}, 0)
			var want []string
			for _, r := range rs.Rules {
				if reference.Eval(r.Stages[0].Cond, ev) == ir.True {
					want = append(want, r.ID)
				}
			}
			if !slices.Equal(out.list, want) {
				t.Fatalf("seed %d: alerts of %v, want %v", seed, out.list, want)
			}
			alerts += len(want)
		}
		e.Close()
	}
	if alerts == 0 || programs == 0 {
		t.Errorf("%d alerts, %d programs", alerts, programs)
	}
}

func childOf(n ir.Node) ir.Node {
	return ir.Lineage{Rel: ir.ChildOf, Event: &ir.Stage{Category: event.CategoryProcess, Cond: n}}
}

// TestMarks: equal conditions on ancestors share a mark, one that stands inside another comes behind it, and each has a
// rule of its own behind those that raise alerts.
func TestMarks(t *testing.T) {
	a, b, c := is(event.FieldName, "a"), is(event.FieldName, "b"), is(event.FieldName, "c")
	inner := func() ir.Node { return childOf(and(b, ir.Const{Value: ir.True})) }
	img, rep, err := built(t, set(
		single("one", and(c, inner())),
		single("two", or(inner(), childOf(and(a, inner())))),
		single("three", and(c, childOf(and(a, inner())), childOf(ir.Const{Value: ir.False}))),
		single("four", c),
	))
	if err != nil {
		t.Fatal(err)
	}
	if img.Alerting != 4 || img.Marks != 2 || len(img.Rules) != 7 || len(rep.Rules) != 4 {
		t.Fatalf("%d rules raise alerts, %d set marks, %d in all, %d reported", img.Alerting, img.Marks, len(img.Rules), len(rep.Rules))
	}
	later := func(i int) bool { return img.Stages[img.Rules[i].Stages].Later != 0 }
	// The third rule's condition is false: its last part never holds.
	for i, want := range []bool{true, true, false, false, true, false, false} {
		if later(i) != want || i < 3 && rep.Rules[i].Later != want {
			t.Errorf("rule %d reads more than the event: %v", i, later(i))
		}
	}
	outer, last := &img.Rules[4], &img.Rules[6]
	if outer.Flags != image.RuleMark || outer.Mark != 0 || img.String(outer.Name) != "two" || img.Rules[5].Mark != 1 ||
		img.String(img.Rules[5].ID) != "one" || last.Flags != image.RuleInherit {
		t.Errorf("hidden rules %+v", img.Rules[4:])
	}
	if rep.Rules[0].Strategy != "exact hash + expression" || rep.Rules[3].Strategy != "exact hash" || rep.Rules[1].Strategy != "expression" {
		t.Errorf("strategies %q", []string{rep.Rules[0].Strategy, rep.Rules[1].Strategy, rep.Rules[3].Strategy})
	}
	if !rep.Rules[1].Always || rep.Rules[0].Always || !rep.Rules[2].NeverTrue {
		t.Errorf("reports %+v", rep.Rules)
	}
}

func TestMarksLimit(t *testing.T) {
	var rules []ir.Rule
	for i := range limits.MarksMax {
		rules = append(rules, single(fmt.Sprint("r", i), childOf(is(event.FieldName, fmt.Sprint(i)))))
	}
	if img, _, err := built(t, set(rules...)); err != nil || img.Marks != limits.MarksMax {
		t.Errorf("%v", err)
	}
	rules = append(rules, single("more", childOf(is(event.FieldName, "x"))))
	if _, _, err := built(t, set(rules...)); err == nil || !strings.Contains(err.Error(), "rule more: it makes 65 different conditions") {
		t.Errorf("%v", err)
	}
	// Rules for marks are rules of the image.
	many := set()
	for i := range limits.RulesMax - 2 {
		many.Rules = append(many.Rules, single(fmt.Sprint(i), ir.Const{Value: ir.True}))
	}
	many.Rules[0].Stages[0].Cond = childOf(ir.Const{Value: ir.True})
	if _, _, err := built(t, many); err != nil {
		t.Error(err)
	}
	many.Rules = append(many.Rules, single("x", ir.Const{Value: ir.True}))
	if _, _, err := built(t, many); err == nil || !strings.Contains(err.Error(), "16385 rules, 2 of them for conditions on ancestors (max 16384)") {
		t.Errorf("%v", err)
	}
}

// sequence has a step for each condition; earlier says that a step's name is that of an earlier one.
func sequence(conds ...ir.Node) ir.Rule {
	r := ir.Rule{ID: "r", Name: "r", Form: ir.FormSequence, MaxSpan: time.Minute}
	for _, c := range conds {
		r.Stages = append(r.Stages, ir.Stage{Category: event.CategoryProcess, Cond: c})
	}
	return r
}

func earlier(stage int) ir.Node {
	return ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{ir.Value{Field: event.FieldName, Stage: ir.Own}, ir.Value{Field: event.FieldExecutable, Stage: stage}}}}
}

// TestStages: what a stage says of runs, missing events, and events that later stages read.
func TestStages(t *testing.T) {
	a := is(event.FieldName, "a")
	r := sequence(a, a, and(a, earlier(0)), a, or(earlier(0), not(ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{ir.Cond{Node: earlier(2)}, ir.Lit{Value: true}}}})))
	r.Stages[1].Runs, r.Stages[3].Missing = 7, true
	r.Suppress = &ir.Suppress{By: []event.FieldID{event.FieldName, event.FieldPID}, For: time.Hour}
	r.Stages[0].Keys = []ir.Key{{Field: event.FieldEntityID}}
	for i := range r.Stages {
		r.Stages[i].Keys = r.Stages[0].Keys
	}
	img, rep, err := built(t, set(r))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range img.Stages {
		got = append(got, fmt.Sprint(s.Runs, s.Flags, s.Later != 0))
	}
	want := []string{"1 2 false", "7 0 false", "1 2 true", "1 1 false", "1 0 true"}
	if !slices.Equal(got, want) {
		t.Errorf("stages %q, want %q", got, want)
	}
	rule := img.Rules[0]
	by := img.Keys[rule.SuppressBy:][:rule.NSuppressBy]
	if rule.SuppressFor != uint64(time.Hour) || len(by) != 2 || by[1].Field != uint16(event.FieldPID) || !rep.Rules[0].Later {
		t.Errorf("rule %+v, suppressed by %v", rule, by)
	}
}

// TestForms: what no image can say is refused by name.
func TestForms(t *testing.T) {
	a := is(event.FieldName, "a")
	change := func(r ir.Rule, f func(r *ir.Rule)) ir.Rule {
		r.Stages = slices.Clone(r.Stages)
		f(&r)
		return r
	}
	two := sequence(a, a)
	until := &ir.Stage{Category: event.CategoryProcess, Cond: a}
	for _, c := range []struct {
		r   ir.Rule
		bad string
	}{
		{two, ""},
		{sequence(a), "two steps"},
		{change(sequence(a), func(r *ir.Rule) { r.Stages[0].Runs = 2 }), ""},
		{change(sequence(a), func(r *ir.Rule) { r.Stages[0].Runs = limits.RunsMax }), ""},
		{change(sequence(a), func(r *ir.Rule) { r.Stages[0].Runs = limits.RunsMax + 1 }), "step 1: 257 runs (max 256)"},
		{change(two, func(r *ir.Rule) { r.Stages[1].Missing = true }), ""},
		{change(two, func(r *ir.Rule) { r.Stages[0].Missing = true }), ""},
		{change(two, func(r *ir.Rule) { r.Stages[0].Missing, r.Stages[1].Missing = true, true }), "two steps"},
		{change(two, func(r *ir.Rule) { r.Stages[1].Missing, r.MaxSpan = true, 0 }), "need a maxspan"},
		{change(two, func(r *ir.Rule) { r.Stages[1].Missing, r.Stages[1].Runs = true, 2 }), "step 2: a missing event with runs"},
		{change(two, func(r *ir.Rule) { r.Until = until }), ""},
		{change(two, func(r *ir.Rule) { r.Until = &ir.Stage{Cond: a, Runs: 2} }), "until: runs"},
		{change(two, func(r *ir.Rule) { r.Until = &ir.Stage{Cond: earlier(0)} }), "until: it reads the event of step 1"},
		{change(two, func(r *ir.Rule) { r.Until = &ir.Stage{Category: event.CategoryAny, Cond: childOf(a)} }), ""},
		{change(two, func(r *ir.Rule) { r.Stages[1].Keys = []ir.Key{{Field: event.FieldPID}} }), "step 2: 1 join keys, the first step has 0"},
		{change(two, func(r *ir.Rule) { r.Form = ir.FormSample }), "a sample has"},
		{change(two, func(r *ir.Rule) { r.Form, r.MaxSpan = ir.FormSample, 0 }), ""},
		{change(two, func(r *ir.Rule) { r.Form, r.MaxSpan, r.Stages[0].Runs = ir.FormSample, 0, 2 }), "a sample has"},
		{change(two, func(r *ir.Rule) { r.Form = ir.FormEvent }), "one event cannot"},
		{change(two, func(r *ir.Rule) { r.MaxSpan = -1 }), "maxspan of -1ns"},
		{ir.Rule{ID: "r"}, "one event cannot"},
		{sequence(), "two steps"},
		{sequence(a, earlier(0)), ""},
		{sequence(a, earlier(1)), "step 2: it reads the event of step 2, which is none before it"},
		{sequence(earlier(1), a), "step 1: it reads the event of step 2"},
		{single("r", earlier(0)), "step 1: it reads the event of step 1"},
		{single("r", childOf(earlier(0))), "rule r: condition on an ancestor: step 1: it reads the event of step 1"},
		{change(sequence(a, a, earlier(1)), func(r *ir.Rule) { r.Stages[1].Missing = true }), "step 3: it reads the event of step 2"},
		{change(two, func(r *ir.Rule) { r.Suppress = &ir.Suppress{For: 1} }), ""},
		{change(two, func(r *ir.Rule) {
			r.Suppress = &ir.Suppress{By: make([]event.FieldID, limits.SuppressKeysMax+1), For: 1}
		}), "by 6 fields"},
		{change(two, func(r *ir.Rule) { r.Suppress = &ir.Suppress{By: []event.FieldID{event.FieldPID}} }), "for 0s"},
		{change(two, func(r *ir.Rule) { r.Suppress = &ir.Suppress{By: []event.FieldID{9999}, For: 1} }), "unknown field 9999"},
	} {
		_, _, err := built(t, set(c.r))
		if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%v, want %q", err, c.bad)
		}
	}
}
