package engine

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
)

// Most fields that rules test are the same for every event of a process: its executable, name, arguments and directory, and
// those of its parent; others are the same for every event of a type. What the automata find in them is found once and kept,
// as bits by test, and with it the predicates that become candidates. An event then scans its own fields only.
//
// A number of package event says for which events a value is the same (event.Event.ConstantKey): it is never used again for
// another, so that neither exec, fork, reuse of a pid nor eviction can show an event what belongs to another process.

// entriesOf is how many values are kept at a time, per kind of constant: there are few types, and on a device few programs
// with few sets of arguments are active at a time. An event whose number has no entry scans, and takes the place of another.
var entriesOf = [event.Constants]int{event.TypeConstant: 64, event.ProcConstant: 256, event.ParentConstant: 256}

// candidatesMax bounds the predicates kept with an entry; one with more is found anew for each event.
const candidatesMax = 256

// plan says, for an image, which of its field sets and tests are kept with which constant. The workers share it.
type plan struct {
	constant []event.Constant // by field set
	bit      []uint8          // by field set: its bit among the sets of its constant
	local    []uint32         // by test: its bit among the tests of its constant
	words    [event.Constants]int
	keep     [event.Constants]int // candidates of an entry
	eager    [event.Categories]eager
}

func newPlan(img *image.Image) *plan {
	p := &plan{
		constant: make([]event.Constant, len(img.Fields)), bit: make([]uint8, len(img.Fields)), local: make([]uint32, len(img.Tests)),
	}
	var sets [event.Constants]uint8
	var tests [event.Constants]uint32
	for i := range img.Fields {
		c := event.FieldID(img.Fields[i].Field).Constant()
		p.constant[i], p.bit[i] = c, sets[c]
		if c != event.NotConstant {
			sets[c]++
		}
	}
	for i := range img.Tests {
		t := &img.Tests[i]
		c := p.constant[t.Set]
		p.local[i] = tests[c]
		tests[c]++
		p.keep[c] = min(p.keep[c]+int(t.NPreds), candidatesMax)
	}
	for c := range p.words {
		p.words[c] = (int(tests[c]) + 63) / 64
	}
	for c := range p.eager {
		p.eager[c] = newEager(img, p, event.Category(c))
	}
	return p
}

// kept is what is known of one value of the fields of a constant.
type kept struct {
	key     uint64
	scanned uint8  // sets, by their bit
	has     uint8  // sets whose field the event has
	over    bool   // there were more candidates than room
	eager   uint16 // categories, by their bit, for which all sets that make candidates were scanned
	// Candidates of the category process stand at the front, others at the back.
	front, back uint16
	preds       []uint32
	tests       []uint64 // bits
}

const keptBytes = 80

// cache keeps the values of one constant, each at the place of its number; the last is for values without one.
type cache struct {
	entries []kept
	now     *kept // of the event
	epoch   uint32
}

func (p *plan) newCache(c event.Constant) cache {
	n := entriesOf[c] + 1
	entries := make([]kept, n)
	preds, tests := make([]uint32, n*p.keep[c]), make([]uint64, n*p.words[c])
	for i := range entries {
		k := &entries[i]
		k.preds, preds = preds[:p.keep[c]:p.keep[c]], preds[p.keep[c]:]
		k.tests, tests = tests[:p.words[c]:p.words[c]], tests[p.words[c]:]
	}
	return cache{entries: entries}
}

// bytes is the memory of a worker's caches.
func (p *plan) bytes() (n int) {
	for c := event.TypeConstant; c < event.Constants; c++ {
		n += (entriesOf[c] + 1) * (keptBytes + 4*p.keep[c] + 8*p.words[c])
	}
	return n
}

// constant is what is known of an event's values that are constant for c.
func (w *worker) constant(c event.Constant, ev *event.Event) *kept {
	cc := &w.caches[c]
	if cc.epoch == w.epoch {
		return cc.now
	}
	cc.epoch = w.epoch
	key, last := ev.ConstantKey(c), len(cc.entries)-1
	k := &cc.entries[last]
	if key != 0 {
		k = &cc.entries[key&uint64(last-1)]
	}
	if k.key != key || key == 0 || k.over {
		k.key, k.scanned, k.has, k.over, k.eager, k.front, k.back = key, 0, 0, false, 0, 0, uint16(len(k.preds))
		clear(k.tests)
	}
	cc.now = k
	return k
}

// look makes sure that a field set's value was scanned.
func (w *worker) look(k *kept, set uint32, ev *event.Event) {
	if k.scanned>>w.plan.bit[set]&1 != 0 {
		return
	}
	k.scanned |= 1 << w.plan.bit[set]
	if w.value(set, ev, k) {
		k.has |= 1 << w.plan.bit[set]
	}
}

func (w *worker) learn(k *kept, t uint32) {
	local := w.plan.local[t]
	if k.tests[local/64]>>(local%64)&1 != 0 {
		return
	}
	k.tests[local/64] |= 1 << (local % 64)
	test := &w.img.Tests[t]
	for _, p := range w.img.TestPreds[test.Preds : test.Preds+test.NPreds] {
		switch {
		case k.front == k.back:
			k.over = true
			w.candidate(p)
		case event.Category(w.img.Preds[p].Category) == event.CategoryProcess:
			k.preds[k.front] = p
			k.front++
		default:
			k.back--
			k.preds[k.back] = p
		}
	}
}

// candidates takes over the candidates that an event's constant values make.
func (w *worker) candidates(k *kept, cat event.Category) {
	if cat == event.CategoryProcess {
		for _, p := range k.preds[:k.front] {
			w.candidate(p)
		}
	}
	for _, p := range k.preds[k.back:] {
		w.candidate(p)
	}
}
