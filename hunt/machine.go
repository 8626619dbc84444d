package hunt

import (
	"slices"

	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// KeptStatesMax bounds the pending sequences that wait side by side at a step whose fields later steps read.
const KeptStatesMax = 16

// pending is a sequence that took some steps, not all.
type pending struct {
	events []*events.Event
	keys   []value.Value
}

func (p *pending) first() int64 { return p.events[0].Time() }

// machine is the state machine of a sequence. For each step and key there is one pending sequence that took the step
// last, and a newer one replaces it; only where later steps read fields of what it took there are up to KeptStatesMax,
// the oldest goes. An event is offered to the last step first, so that it never takes two steps of one sequence.
//
//	step 0        step 1        step 2
//	waiting[0] ─▶ waiting[1] ─▶ complete         each: key ─▶ pending sequences, the newest last
type machine struct {
	span    int64 // between the first and the last event, both included; -1 without bound
	keep    []bool
	fork    []bool // a sequence that goes on from the step before also stays there
	waiting []map[string][]*pending
}

func newMachine(steps int, span int64) *machine {
	m := &machine{span: span, keep: make([]bool, steps), fork: make([]bool, steps)}
	m.waiting = make([]map[string][]*pending, steps)
	for i := range m.waiting {
		m.waiting[i] = map[string][]*pending{}
	}
	return m
}

// take offers an event to a step. holds, when it is not nil, says whether the event fits a pending sequence. The
// result is the sequence that is complete now, or nil.
func (m *machine) take(step int, key joined, e *events.Event, holds func(*pending) bool) *pending {
	next := &pending{events: []*events.Event{e}, keys: key.values}
	if step > 0 {
		before := m.claim(step, key.text, e, holds)
		if before == nil {
			return nil
		}
		next.events = append(slices.Clip(before.events), e)
		next.keys = before.keys
	}
	last := len(m.waiting) - 1
	if step == last {
		return next
	}
	list := m.waiting[step][key.text]
	if !m.keep[step] {
		list = list[:0]
	}
	if len(list) == KeptStatesMax {
		list = slices.Delete(list, 0, 1)
	}
	m.waiting[step][key.text] = append(list, next)
	return nil
}

// claim finds the newest sequence that waits for the step and that the event fits, and takes it out. Those that have
// run out of time go as well.
func (m *machine) claim(step int, key string, e *events.Event, holds func(*pending) bool) *pending {
	list := m.waiting[step-1][key]
	var found *pending
	for i := len(list) - 1; i >= 0; i-- {
		p := list[i]
		if m.span >= 0 && e.Time()-p.first() > m.span {
			list = slices.Delete(list, i, i+1)
			continue
		}
		if holds != nil && !holds(p) {
			continue
		}
		if !m.fork[step] {
			list = slices.Delete(list, i, i+1)
		}
		found = p
		break
	}
	if len(list) == 0 {
		delete(m.waiting[step-1], key)
	} else {
		m.waiting[step-1][key] = list
	}
	return found
}

// clear ends the pending sequences of a key.
func (m *machine) clear(key string) {
	for _, waiting := range m.waiting {
		delete(waiting, key)
	}
}
