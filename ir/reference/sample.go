package reference

import (
	"slices"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// sample keeps every event of a key until there is one for each stage: of the events, the newest that do; of the ways
// to give them to the stages, the one where the first stage has the oldest it can have, then the second, and so on.
func (in *Interpreter) sample(r int, rule *ir.Rule, ev *event.Event) (out []Match) {
	var order []string
	fits := make(map[string][]int)
	for i := range rule.Stages {
		st := &rule.Stages[i]
		if !in.holds(st, &Env{Event: ev}) {
			continue
		}
		for _, key := range joinKeys(st.Keys, ev) {
			if fits[key] == nil {
				order = append(order, key)
			}
			fits[key] = append(fits[key], i)
		}
	}
	for _, key := range order {
		at := in.at(r, key)
		at.sample = append(at.sample, &taken{ev: clone(ev), stages: fits[key]})
		if ids, ok := draw(at.sample, len(rule.Stages)); ok {
			out = append(out, Match{r, ids})
			at.sample = nil
		}
	}
	return out
}

// draw finds an event for each stage.
func draw(all []*taken, stages int) (ids []uint64, ok bool) {
	var chosen []*taken // from new to old
	for i := len(all) - 1; i >= 0; i-- {
		if with := append(slices.Clone(chosen), all[i]); assignable(with, nil) {
			chosen = with
		}
	}
	if len(chosen) < stages {
		return nil, false
	}
	slices.Reverse(chosen)
	for stage := range stages {
		for i, t := range chosen {
			rest := slices.Delete(slices.Clone(chosen), i, i+1)
			if slices.Contains(t.stages, stage) && assignable(rest, func(s int) bool { return s > stage }) {
				ids, chosen = append(ids, t.id()), rest
				break
			}
		}
	}
	return ids, true
}

// assignable tells whether each event can have a stage of its own among those allowed, by trying all ways.
func assignable(events []*taken, allowed func(stage int) bool) bool {
	used := make(map[int]bool)
	var try func(i int) bool
	try = func(i int) bool {
		if i == len(events) {
			return true
		}
		for _, s := range events[i].stages {
			if used[s] || allowed != nil && !allowed(s) {
				continue
			}
			used[s] = true
			if try(i + 1) {
				return true
			}
			used[s] = false
		}
		return false
	}
	return try(0)
}
