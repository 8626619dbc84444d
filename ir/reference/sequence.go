package reference

import (
	"cmp"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// plan is a sequence as a row of steps that take one event each: a stage with runs is as many of them.
type plan struct {
	steps []int // the stage of each
	gaps  [][]int
	keep  int // from this step on states wait side by side
}

// newPlan expands a rule. gaps are the missing stages before each step, and behind the last.
func newPlan(r *ir.Rule) plan {
	p := plan{}
	read := stagesRead(r)
	var gap []int
	for i := range r.Stages {
		st := &r.Stages[i]
		if st.Missing {
			gap = append(gap, i)
			continue
		}
		if len(read) > 0 && slices.Min(read) > i {
			p.keep += max(st.Runs, 1)
		}
		for range max(st.Runs, 1) {
			p.steps, p.gaps = append(p.steps, i), append(p.gaps, gap)
			gap = nil
		}
	}
	p.gaps = append(p.gaps, gap)
	if len(read) == 0 {
		p.keep = len(p.steps)
	}
	return p
}

func (p *plan) leading() []int { return p.gaps[0] }

func (p *plan) trailing() []int { return p.gaps[len(p.gaps)-1] }

// partial is a sequence in the making, or one that waits for a time.
type partial struct {
	rule     int
	number   int
	at       *pending
	events   []*taken // of the steps in order
	deadline uint64
}

func (p *partial) first() *taken { return p.events[0] }

func (p *partial) last() *taken { return p.events[len(p.events)-1] }

func (p *partial) ids() (list []uint64) {
	for _, t := range p.events {
		list = append(list, t.id())
	}
	return list
}

// known are the events of a partial by stage, of a run the last; those of stages before one.
func (in *Interpreter) known(p *partial, before int) []*event.Event {
	rule := &in.rules[p.rule]
	list := make([]*event.Event, len(rule.Stages))
	for i, t := range p.events {
		if stage := in.plans[p.rule].steps[i]; stage < before {
			list[stage] = t.ev
		}
	}
	return list
}

// sighting is an event of a missing stage.
type sighting struct {
	taken
	stage   int
	lineage func(ir.Lineage) bool
}

func (in *Interpreter) sequence(r int, rule *ir.Rule, ev *event.Event) (out []Match) {
	t := &taken{ev: ev, arrival: in.arrived}
	for s := len(in.plans[r].steps) - 1; s >= 0; s-- {
		stage := &rule.Stages[in.plans[r].steps[s]]
		if stage.Category != event.CategoryAny && stage.Category != ev.Cat {
			continue
		}
		for _, key := range joinKeys(stage.Keys, ev) {
			if p := in.takes(r, s, key, ev); p != nil {
				if t.ev == ev {
					t.ev = clone(ev)
				}
				p.events = append(p.events, t)
				out = append(out, in.arrive(p, s)...)
			}
		}
	}
	in.sight(r, rule, ev)
	if u := rule.Until; u != nil && in.holds(u, &Env{Event: ev}) {
		for _, key := range joinKeys(u.Keys, ev) {
			in.at(r, key).steps = make(map[int][]*partial)
		}
	}
	return out
}

// takes finds the partial that an event goes on with as step s of a rule: a new one at the first step, elsewhere the
// newest behind the step before for which the condition holds. One whose span is over goes instead.
func (in *Interpreter) takes(r, s int, key string, ev *event.Event) *partial {
	rule := &in.rules[r]
	stage := in.plans[r].steps[s]
	if s == 0 {
		if !in.holds(&rule.Stages[stage], &Env{Event: ev}) {
			return nil
		}
		in.begun++
		return &partial{rule: r, number: in.begun, at: in.at(r, key)}
	}
	at := in.keys[r][key]
	if at == nil {
		return nil
	}
	list := at.steps[s-1]
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if !in.holds(&rule.Stages[stage], &Env{Event: ev, Stages: in.known(p, stage)}) {
			continue
		}
		list = slices.Delete(list, i, i+1)
		at.steps[s-1] = list
		if rule.MaxSpan == 0 || !longer(p.first().time(), ev.Own.Time(), rule.MaxSpan) {
			return p
		}
	}
	return nil
}

// longer tells whether more than a span lies between two times.
func longer(from, to uint64, span time.Duration) bool { return to > from && to-from > uint64(span) }

// arrive files a partial that has its event of step s.
func (in *Interpreter) arrive(p *partial, s int) []Match {
	pl := &in.plans[p.rule]
	if s == len(pl.steps)-1 {
		return in.complete(p)
	}
	if s < pl.keep {
		p.at.steps[s] = []*partial{p}
		return nil
	}
	list := append(p.at.steps[s], p)
	if len(list) > limits.KeptStatesMax {
		list = list[1:]
	}
	p.at.steps[s] = list
	return nil
}

// sight keeps an event that may fit missing stages; whether it does is seen when a sequence is complete.
func (in *Interpreter) sight(r int, rule *ir.Rule, ev *event.Event) {
	for i := range rule.Stages {
		st := &rule.Stages[i]
		if !st.Missing || st.Category != event.CategoryAny && st.Category != ev.Cat {
			continue
		}
		for _, key := range joinKeys(st.Keys, ev) {
			at := in.at(r, key)
			seen := taken{ev: clone(ev), arrival: in.arrived}
			at.absent = append(at.absent, sighting{seen, i, in.lineage.verdicts(st.Cond, ev)})
		}
	}
}

// sighted are the times of the events that fit one of the missing stages and came after one event and before another,
// either of which may be nil.
func (in *Interpreter) sighted(p *partial, stages []int, after, before *taken) (times []uint64) {
	for i := range p.at.absent {
		a := &p.at.absent[i]
		if !slices.Contains(stages, a.stage) ||
			after != nil && (a.arrival <= after.arrival || a.time() <= after.time()) ||
			before != nil && (a.arrival >= before.arrival || a.time() >= before.time()) {
			continue
		}
		if in.holds(&in.rules[p.rule].Stages[a.stage], &Env{Event: a.ev, Stages: in.known(p, a.stage), Lineage: a.lineage}) {
			times = append(times, a.time())
		}
	}
	return times
}

// complete decides about a partial that has all its events, as Elasticsearch does.
func (in *Interpreter) complete(p *partial) []Match {
	pl, span := &in.plans[p.rule], in.rules[p.rule].MaxSpan
	for i := 1; i < len(pl.steps); i++ {
		if len(in.sighted(p, pl.gaps[i], p.events[i-1], p.events[i])) > 0 {
			return nil
		}
	}
	from := p.first().time()
	if len(pl.leading()) > 0 {
		times := in.sighted(p, pl.leading(), nil, p.first())
		if len(times) == 0 {
			return []Match{{p.rule, p.ids()}}
		}
		from = slices.Max(times)
	}
	switch {
	case len(pl.leading())+len(pl.trailing()) == 0, longer(from, p.last().time(), span):
		return []Match{{p.rule, p.ids()}}
	case len(pl.trailing()) > 0:
		p.deadline = from + uint64(span)
		in.waits = append(in.waits, p)
	}
	return nil
}

// Flush returns what waited for a time before now.
func (in *Interpreter) Flush(now uint64) (out []Match) {
	slices.SortStableFunc(in.waits, func(a, b *partial) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.rule, b.rule),
			cmp.Compare(a.last().arrival, b.last().arrival))
	})
	for len(in.waits) > 0 && in.waits[0].deadline < now {
		p := in.waits[0]
		in.waits = in.waits[1:]
		times := in.sighted(p, in.plans[p.rule].trailing(), p.last(), nil)
		if len(times) == 0 || slices.Min(times) > p.deadline {
			out = append(out, Match{p.rule, p.ids()})
		}
	}
	return out
}
