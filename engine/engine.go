// Package engine matches events against a rule image: Step(batch, now) takes events in and hands alerts out.
//
// A Step has two halves. Matching decides for each event which stages of which rules it fits; it has no state beyond the
// event, so workers share the batch. The sequencer then takes these matches in the order of the events, moves the
// sequences on and writes the alerts: the result does not depend on the number of workers, and since neither half reads a
// clock, the same events give the same alerts.
//
// Memory: New allocates everything for an image and a configuration; Step allocates nothing. An Engine belongs to one
// goroutine; its workers are its own. When the receiver of alerts is full it says so, and the alert is counted as lost.
package engine

import (
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/lineage"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/suppress"
)

// Config of an engine.
type Config struct {
	Workers   int // match workers, 1 .. limits.WorkersMax; 1 matches on the caller's goroutine
	NFA       nfa.Config
	Slab      []byte // see nfa.New
	Processes int    // whose marks are kept, where rules ask for lineage
	Suppress  int    // values by which alerts are suppressed at a time, where rules ask for it
	Enforce   bool   // a guard acts on block rules; without one their alerts say would_block
}

// Receiver takes finished alerts, copies them and says whether it had room.
type Receiver interface {
	Push(alert []byte) bool
}

// Counters of an engine, all since New.
type Counters struct {
	Events       uint64
	Candidates   uint64 // predicates evaluated
	Matches      uint64 // stages that fitted
	Alerts       uint64
	AlertsLost   uint64 // the receiver was full
	CacheClears  uint64 // lazy automata that began anew
	NFAFallbacks uint64 // values for which one gave up
	ExprCut      uint64 // computed values that did not fit their bounds, see package expr
	Lineage      lineage.Counters
	Suppress     suppress.Counters
}

// Plus adds the counts of another engine, such as the one before a reload.
func (c Counters) Plus(d Counters) Counters {
	c.Events += d.Events
	c.Candidates += d.Candidates
	c.Matches += d.Matches
	c.Alerts += d.Alerts
	c.AlertsLost += d.AlertsLost
	c.CacheClears += d.CacheClears
	c.NFAFallbacks += d.NFAFallbacks
	c.ExprCut += d.ExprCut
	c.Lineage = c.Lineage.Plus(d.Lineage)
	c.Suppress = c.Suppress.Plus(d.Suppress)
	return c
}

// Engine runs one image.
type Engine struct {
	img      *image.Image
	cfg      Config
	workers  []*worker
	seq      *nfa.Sequencer
	marks    *lineage.Table  // nil: no rule asks for lineage
	quiet    *suppress.Table // nil: no rule suppresses
	later    expr.Context    // what remained to be tested when an event was matched
	scratch  *expr.Scratch   // for it
	out      Receiver
	builder  alert.Builder // the alert in the making, its head and rule
	head     alert.Head
	rule     alert.Rule
	alertSeq uint64
	counters Counters
	version  string
}

// New prepares an engine for an image, which must stay mapped as long as the engine lives.
func New(img *image.Image, cfg Config, out Receiver) *Engine {
	cfg.Workers = min(max(cfg.Workers, 1), limits.WorkersMax)
	e := &Engine{
		img: img, cfg: cfg, out: out, seq: nfa.New(img, cfg.NFA, cfg.Slab), scratch: img.Exprs.NewScratch(),
		builder: alert.Builder{Buf: make([]byte, alert.SizeMax)}, version: strings.TrimSpace(img.Name + " " + img.Version),
	}
	marks, suppresses := asks(img)
	if marks {
		e.marks = lineage.New(cfg.Processes)
	}
	if suppresses {
		e.quiet = suppress.New(cfg.Suppress, len(img.Rules))
	}
	p := newPlan(img)
	for i := range cfg.Workers {
		e.workers = append(e.workers, newWorker(img, p, i > 0))
	}
	return e
}

// asks tells whether an image has rules that need the marks of processes, and rules that suppress alerts.
func asks(img *image.Image) (marks, suppresses bool) {
	for i := range img.Rules {
		marks = marks || img.Rules[i].Flags&image.RuleMark != 0
		suppresses = suppresses || img.Rules[i].SuppressFor != 0
	}
	return marks, suppresses
}

// Bytes is the memory that New takes for an image, without the pools of the sequencer.
func Bytes(img *image.Image, cfg Config) int {
	n := cfg.Workers*workerBytes(img, newPlan(img)) + img.Exprs.ScratchBytes() + alert.SizeMax
	marks, suppresses := asks(img)
	if marks {
		n += lineage.Bytes(cfg.Processes)
	}
	if suppresses {
		n += suppress.Bytes(cfg.Suppress, len(img.Rules))
	}
	return n
}

// Close ends the workers' goroutines.
func (e *Engine) Close() {
	for _, w := range e.workers[1:] {
		close(w.work)
	}
}

// Image is the rule set that runs.
func (e *Engine) Image() *image.Image { return e.img }

// AlertSeq is the number of the last alert; numbers go on across engines with SetAlertSeq.
func (e *Engine) AlertSeq() uint64 { return e.alertSeq }

// SetAlertSeq sets the number of the last alert.
func (e *Engine) SetAlertSeq(n uint64) { e.alertSeq = n }

// Counters are the engine's own and those of its workers.
func (e *Engine) Counters() Counters {
	c := e.counters
	c.ExprCut = e.scratch.Cut
	if e.marks != nil {
		c.Lineage = e.marks.Counters
	}
	if e.quiet != nil {
		c.Suppress = e.quiet.Counters
	}
	for _, w := range e.workers {
		c.Candidates += w.candidatesSeen
		c.ExprCut += w.exprs.Cut
		for _, s := range w.scratch {
			c.CacheClears += s.CacheClears
			c.NFAFallbacks += s.Fallbacks
		}
	}
	return c
}

// Sequences are the sequencer's counters and the number of states pending now.
func (e *Engine) Sequences() (nfa.Counters, int) { return e.seq.Counters, e.seq.Active() }

// Step matches the events of a batch and pushes the alerts. now is a time such that no event of a later Step is earlier,
// or as early: what waits for a time without an event, as `![...]` at the end of a sequence does, is due when now is later.
// The times of the events do the same, so a Step without events is needed only when none come.
//
// Preconditions: len(batch) <= limits.BatchMax; the events' records stay as they are during the call.
func (e *Engine) Step(batch []event.Event, now uint64) {
	e.counters.Events += uint64(len(batch))
	if len(e.workers) == 1 || len(batch) < parallelMin {
		e.serial(batch)
	} else {
		e.parallel(batch)
	}
	e.seq.Advance(now, e)
}

// Flush raises the alerts that wait for a time, as if nothing came any more. It is for the end of a test or a hunt.
func (e *Engine) Flush() { e.seq.Advance(1<<64-1, e) }

func (e *Engine) parallel(batch []event.Event) {
	n := len(e.workers)
	for i, w := range e.workers {
		w.take(batch[len(batch)*i/n : len(batch)*(i+1)/n])
	}
	e.workers[0].run()
	for i, w := range e.workers {
		if i > 0 {
			<-w.done
		}
		e.sequence(w)
		// A worker stops when its match buffer is full; what it left is done here, in order.
		e.serial(w.batch[w.next:])
	}
}

// parallelMin is the batch below which handing events to other goroutines costs more than matching them.
const parallelMin = 16

func (e *Engine) serial(batch []event.Event) {
	w := e.workers[0]
	for len(batch) > 0 {
		w.take(batch)
		w.run()
		e.sequence(w)
		batch = batch[w.next:]
	}
}

// sequence takes the matches of a worker in order.
func (e *Engine) sequence(w *worker) {
	next := 0
	marks := uint64(0)
	for i := range w.matches[:w.nMatches] {
		m := &w.matches[i]
		e.counters.Matches++
		if next <= int(m.event) { // the first match of its event
			e.advance(w.batch[next : m.event+1])
			next = int(m.event) + 1
		}
		ev := &w.batch[m.event]
		r := &e.img.Rules[m.rule]
		switch {
		case r.Flags&(image.RuleSequence|image.RuleSample) != 0:
			e.seq.Event(m.rule, m.stages, ev, e)
		case r.Flags&image.RuleInherit != 0:
			e.marks.Begin(ev.Own.Entity(), ev.ParentEntity)
		case e.img.Stages[r.Stages].Later != 0 && !e.holds(e.img.Stages[r.Stages].Later, ev):
		case r.Flags&image.RuleMark != 0:
			marks |= 1 << r.Mark
		default:
			e.single(m.rule, r, ev)
		}
		if marks != 0 && (i+1 == w.nMatches || w.matches[i+1].event != m.event) {
			// An event's marks count for later events only, so they are set when all its matches are done.
			e.marks.Mark(ev.Own.Entity(), ev.ParentEntity, marks)
			marks = 0
		}
	}
	e.advance(w.batch[next:w.next])
}

// advance tells the sequencer the times of events, also of those that fit no rule: what waits for a time must not depend
// on where a batch ends.
func (e *Engine) advance(events []event.Event) {
	for i := range events {
		if _, waits := e.seq.Deadline(); !waits {
			return
		}
		e.seq.Advance(events[i].Own.Time(), e)
	}
}

// Holds tells whether what remained of a stage's condition is true for an event, given the events of the stages before;
// it implements nfa.Emitter.
func (e *Engine) Holds(rule uint32, stage int, p *nfa.Pending, ev *event.Event) bool {
	r := &e.img.Rules[rule]
	for s := range min(stage, int(r.NStages)) {
		e.later.Stages[s], _ = p.At(s)
	}
	ok := e.holds(e.img.Stages[int(r.Stages)+stage].Later, ev)
	clear(e.later.Stages[:r.NStages])
	return ok
}

func (e *Engine) holds(later uint32, ev *event.Event) bool {
	e.later.Event = ev
	if e.marks != nil {
		m := e.marks.Of(ev.Own.Entity(), ev.ParentEntity)
		e.later.Lineage = expr.Lineage{Own: m.Own, Parent: m.Parent, Ancestors: m.Ancestors}
	}
	return e.img.Exprs.Eval(later-1, &e.later, e.scratch) == expr.True
}

func (e *Engine) single(rule uint32, r *image.Rule, ev *event.Event) {
	since, ok := e.raise(rule, r, ev, nil, ev.Own.Time())
	if !ok {
		return
	}
	e.head = alert.Head{Wall: ev.Wall(), Mono: ev.Own.Time(), Entity: ev.Own.Entity(), Suppressed: since}
	e.begin(r, idOf(e.img, rule, ev.Host).last(ev))
	e.builder.Event(ev, alert.EvidenceBytesMax)
	e.finish()
}

// raise tells whether an alert is raised for an event, or for what was kept of it, and how many were not before.
func (e *Engine) raise(rule uint32, r *image.Rule, ev *event.Event, kept alert.Evidence, now uint64) (since uint32, ok bool) {
	if r.SuppressFor == 0 {
		return 0, true
	}
	k := suppress.KeyOf(rule)
	for _, key := range e.img.Keys[r.SuppressBy : r.SuppressBy+uint32(r.NSuppressBy)] {
		if ev != nil {
			k = k.Event(event.FieldID(key.Field), ev)
		} else {
			k = k.Evidence(event.FieldID(key.Field), kept)
		}
	}
	return e.quiet.Raise(rule, k, now, r.SuppressFor)
}

// Sequence completes the alert of a sequence or sample; it implements nfa.Emitter.
func (e *Engine) Sequence(c *nfa.Completed) {
	id := idOf(e.img, c.Rule, c.Host)
	var kept alert.Evidence
	for p := c.Pending; ; {
		ev, ok := p.Next()
		if !ok {
			break
		}
		id, kept = id.pending(ev), ev
	}
	r := &e.img.Rules[c.Rule]
	since, ok := e.raise(c.Rule, r, c.Last, kept, c.Time)
	if !ok {
		return
	}
	e.head = alert.Head{Mono: c.Time, Entity: c.Entity, Suppressed: since}
	if c.Last != nil {
		id, e.head.Wall = id.last(c.Last), c.Last.Wall()
	} else {
		id, e.head.Wall = id.mix(c.Time).mix(c.Entity), kept.Wall()+int64(c.Time-kept.Mono())
	}
	if c.Evicted {
		e.head.Flags |= alert.FlagStateEvicted
	}
	if c.Bound {
		e.head.Flags |= alert.FlagBound
	}
	e.begin(r, id)
	for p := c.Pending; ; {
		ev, ok := p.Next()
		if !ok {
			break
		}
		e.builder.Evidence(ev)
	}
	if c.Last != nil {
		e.builder.Event(c.Last, alert.EvidenceBytesMax)
	}
	e.builder.Omit(c.Elided)
	e.finish()
}

// begin completes the head, which has what is particular to this alert, and begins to build it.
func (e *Engine) begin(r *image.Rule, id alertID) {
	e.alertSeq++
	e.head.Severity, e.head.Seq, e.head.ID = alert.Severity(r.Severity), e.alertSeq, id.bytes()
	if r.Action != 0 && !e.cfg.Enforce {
		e.head.Action = alert.WouldBlock
	}
	e.rule = alert.Rule{Ruleset: e.version, ID: e.img.String(r.ID), Name: e.img.String(r.Name), Title: e.img.String(r.Name)}
	e.builder.Begin(&e.head, &e.rule)
}

func (e *Engine) finish() {
	e.counters.Alerts++
	if !e.out.Push(e.builder.End()) {
		e.counters.AlertsLost++
	}
}
