package engine

import (
	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/image"
)

// match says that an event fits stages of a rule.
type match struct {
	event  uint32 // in the worker's part of the batch
	rule   uint32
	stages uint32
}

// matchesMin is the least number of matches a worker's buffer holds; it always holds those of one event.
const matchesMin = 4096

// worker matches events. What it learns of one event is stamped with the event's epoch, so nothing is cleared between
// two.
type worker struct {
	img      *image.Image
	hits     *dfa.Hits
	scratch  []*dfa.Scratch // by field set
	scanned  []uint32       // by field set: epoch
	has      []bool         // by field set: the event has the field; valid when scanned
	tests    []uint32       // by test: epoch when it holds
	preds    []uint32       // by predicate: epoch when it was evaluated
	cands    []uint32
	nCands   int
	rules    []uint32 // by rule: epoch when a stage fitted
	masks    []uint32 // by rule
	touched  []uint32 // rules that the event fits
	nTouched int
	epoch    uint32
	written  [textMax]byte // a number or address
	values   []found
	own      expr.Context // what computed values read: this event alone
	exprs    *expr.Scratch
	plan     *plan
	caches   [event.Constants]cache

	batch    []event.Event
	next     int // events done
	matches  []match
	nMatches int

	candidatesSeen uint64
	work, done     chan struct{}
}

func newWorker(img *image.Image, p *plan, own bool) *worker {
	w := &worker{
		img: img, hits: dfa.NewHits(img.Atoms()), scanned: make([]uint32, len(img.Fields)),
		has: make([]bool, len(img.Fields)), tests: make([]uint32, len(img.Tests)), preds: make([]uint32, len(img.Preds)),
		cands: make([]uint32, len(img.Preds)), rules: make([]uint32, len(img.Rules)),
		masks: make([]uint32, len(img.Rules)), touched: make([]uint32, len(img.Rules)),
		matches: make([]match, max(matchesMin, len(img.Rules))), exprs: img.Exprs.NewScratch(), plan: p, values: make([]found, valuesKept),
	}
	for c := event.TypeConstant; c < event.Constants; c++ {
		w.caches[c] = p.newCache(c)
	}
	for _, set := range img.Automata {
		w.scratch = append(w.scratch, set.NewScratch())
	}
	if own {
		w.work, w.done = make(chan struct{}), make(chan struct{}, 1)
		go w.loop()
	}
	return w
}

// workerBytes is the memory of one worker.
func workerBytes(img *image.Image, p *plan) int {
	const hitBytes, matchBytes = 8, 12
	n := img.Atoms()*hitBytes + 5*len(img.Fields) + 4*len(img.Tests) + 8*len(img.Preds) + 12*len(img.Rules) +
		matchBytes*max(matchesMin, len(img.Rules)) + img.Exprs.ScratchBytes() + p.bytes() +
		valuesKept*foundBytes
	for _, set := range img.Automata {
		n += set.ScratchBytes()
	}
	return n
}

func (w *worker) loop() {
	for range w.work {
		w.run()
		w.done <- struct{}{}
	}
}

// take gives the worker its part of a batch; one with a goroutine of its own begins at once.
func (w *worker) take(batch []event.Event) {
	w.batch, w.next, w.nMatches = batch, 0, 0
	if w.work != nil {
		w.work <- struct{}{}
	}
}

// run matches events until the batch is done or there might be no room for the matches of another.
func (w *worker) run() {
	for w.next < len(w.batch) && len(w.matches)-w.nMatches >= len(w.rules) {
		w.event(&w.batch[w.next])
		w.next++
	}
}

func (w *worker) event(ev *event.Event) {
	w.epoch++
	if w.epoch == 0 {
		w.restart()
	}
	w.nCands, w.nTouched = 0, 0
	w.own.Event = ev
	img := w.img
	w.eager(ev)
	for _, p := range w.cands[:w.nCands] {
		w.predicate(p, ev)
	}
	for _, p := range image.List(img.Always, ev.Cat) {
		w.predicate(p, ev)
	}
	if w.nTouched > 0 {
		w.report()
	}
}

// restart clears the stamps when the epoch wraps round.
func (w *worker) restart() {
	clear(w.scanned)
	clear(w.tests)
	clear(w.preds)
	clear(w.rules)
	for c := range w.caches {
		w.caches[c].epoch = 0
	}
	w.epoch = 1
}

func (w *worker) predicate(p uint32, ev *event.Event) {
	pred := &w.img.Preds[p]
	if c := event.Category(pred.Category); c != ev.Cat && c != event.CategoryAny {
		return
	}
	w.candidatesSeen++
	if !w.eval(pred, ev) {
		return
	}
	for _, r := range w.img.Refs[pred.Refs : pred.Refs+pred.NRefs] {
		if w.rules[r.Rule] != w.epoch {
			w.rules[r.Rule] = w.epoch
			w.masks[r.Rule] = 0
			w.touched[w.nTouched] = r.Rule
			w.nTouched++
		}
		w.masks[r.Rule] |= 1 << r.Stage
	}
}

// report stores the event's matches in the order of the rules.
func (w *worker) report() {
	t := w.touched[:w.nTouched]
	for i := 1; i < len(t); i++ {
		for j := i; j > 0 && t[j] < t[j-1]; j-- {
			t[j], t[j-1] = t[j-1], t[j]
		}
	}
	for _, r := range t {
		w.matches[w.nMatches] = match{uint32(w.next), r, w.masks[r]}
		w.nMatches++
	}
}

// scan runs a field's automaton over its value and notes the tests that hold and the predicates they make candidates.
func (w *worker) scan(set uint32, ev *event.Event) {
	if w.scanned[set] == w.epoch {
		return
	}
	w.scanned[set] = w.epoch
	w.has[set] = w.value(set, ev, nil)
}

// value runs a field's automaton over its value, and tells whether the event has it. What it finds goes into k, or is of
// the event when that is nil.
func (w *worker) value(set uint32, ev *event.Event, k *kept) bool {
	f := event.FieldID(w.img.Fields[set].Field)
	switch f.Kind() {
	case event.KindString:
		v, ok := ev.Bytes(f)
		if ok {
			w.text(set, v, k)
		}
		return ok
	case event.KindStrings:
		v, ok := ev.Bytes(f)
		if ok {
			w.elements(set, v, k)
		}
		return ok
	case event.KindIP:
		v, ok := ev.Bytes(f)
		if ok {
			w.text(set, appendIP(w.written[:0], v), k)
		}
		return ok
	}
	v, ok := ev.Int(f)
	if ok {
		w.text(set, appendNumber(w.written[:0], v, f.Kind()), k)
	}
	return ok
}

// elements scans each element of an array.
func (w *worker) elements(set uint32, v []byte, k *kept) {
	from := 0
	for i := 0; i <= len(v); i++ {
		if i == len(v) || v[i] == 0 {
			w.text(set, v[from:i], k)
			from = i + 1
		}
	}
}

func (w *worker) hold(t uint32) {
	if w.tests[t] == w.epoch {
		return
	}
	w.tests[t] = w.epoch
	test := &w.img.Tests[t]
	for _, p := range w.img.TestPreds[test.Preds : test.Preds+test.NPreds] {
		w.candidate(p)
	}
}

func (w *worker) candidate(p uint32) {
	if w.preds[p] != w.epoch {
		w.preds[p] = w.epoch
		w.cands[w.nCands] = p
		w.nCands++
	}
}
