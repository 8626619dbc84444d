package hunt

import (
	"slices"

	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// join runs a join: its steps come in any order. For each key the first event that fits a step is kept, an event fills
// one step, and a complete join begins anew.
type join struct {
	h     *Hunt
	push  func(Match) error
	rules keyRules
	open  map[string]*group
}

type group struct {
	events []*events.Event
	keys   []value.Value
}

func newJoin(h *Hunt, push func(Match) error) *join {
	return &join{h: h, push: push, rules: h.keyRules(), open: map[string]*group{}}
}

func (j *join) event(env *expr.Env) error {
	filled := map[string]bool{}
	kept := env.Event.Slim()
	for i, key := range j.h.fits(env, j.rules) {
		g := j.open[key.text]
		if g == nil {
			g = &group{events: make([]*events.Event, len(j.h.stages)), keys: key.values}
			j.open[key.text] = g
		}
		if filled[key.text] || g.events[i] != nil {
			continue
		}
		g.events[i], filled[key.text] = kept, true
		if slices.Contains(g.events, nil) {
			continue
		}
		delete(j.open, key.text)
		if err := j.push(Match{Events: g.events, Keys: g.keys}); err != nil {
			return err
		}
	}
	if until := j.h.until; until != nil && until.holds(env) {
		for _, key := range until.joins(env, j.rules) {
			delete(j.open, key.text)
		}
	}
	return nil
}

func (j *join) finish() error { return nil }
