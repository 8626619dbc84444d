package hunt

import (
	"errors"
	"slices"

	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// sample runs a sample: for each key, in the order of the keys, different events that fit the steps, whatever their
// order in time. Of several such choices those of the earlier events come first, at most a given number for each key.
type sample struct {
	h      *Hunt
	push   func(Match) error
	rules  keyRules
	groups map[string]*pool
}

// pool is the events of one key, by step.
type pool struct {
	keys  []value.Value
	steps [][]*events.Event
}

func newSample(h *Hunt, push func(Match) error) *sample {
	return &sample{h: h, push: push, rules: h.keyRules(), groups: map[string]*pool{}}
}

func (s *sample) event(env *expr.Env) error {
	kept := env.Event.Slim()
	for i, key := range s.h.fits(env, s.rules) {
		g := s.groups[key.text]
		if g == nil {
			g = &pool{keys: key.values, steps: make([][]*events.Event, len(s.h.stages))}
			s.groups[key.text] = g
		}
		g.steps[i] = append(g.steps[i], kept)
	}
	return nil
}

func (s *sample) finish() error {
	var list []*pool
	for _, g := range s.groups {
		if !slices.ContainsFunc(g.steps, func(step []*events.Event) bool { return step == nil }) {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b *pool) int { return slices.CompareFunc(a.keys, b.keys, compareValues) })
	most := s.h.opt.SamplesPerKey
	if most == 0 {
		most = SamplesDefault
	}
	for _, g := range list {
		choices, err := g.choose(most)
		if err != nil {
			return err
		}
		for _, found := range choices {
			if err := s.push(Match{Events: found, Keys: g.keys}); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose finds up to most choices of one event for each step, all different.
func (g *pool) choose(most int) ([][]*events.Event, error) {
	var found [][]*events.Event
	tried := 0
	row := make([]*events.Event, 0, len(g.steps))
	var place func(step int)
	place = func(step int) {
		if step == len(g.steps) {
			found = append(found, slices.Clone(row))
			return
		}
		for _, e := range g.steps[step] {
			if tried++; len(found) == most || tried > choicesMax {
				return
			}
			if !slices.Contains(row, e) {
				row = append(row, e)
				place(step + 1)
				row = row[:step]
			}
		}
	}
	place(0)
	if tried > choicesMax && len(found) < most {
		return nil, errTangled
	}
	return found, nil
}

// choicesMax bounds the search for different events of one key. It is long only when many events fit several steps and
// still too few of them fit together.
const choicesMax = 1 << 24

var errTangled = errors.New("a sample finds no end: too many events with one join key fit several steps")
