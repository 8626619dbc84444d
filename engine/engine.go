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
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// Config of an engine.
type Config struct {
	Workers int // match workers, 1 .. limits.WorkersMax; 1 matches on the caller's goroutine
	NFA     nfa.Config
	Slab    []byte // see nfa.New
	Enforce bool   // a guard acts on block rules; without one their alerts say would_block
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
	return c
}

// Engine runs one image.
type Engine struct {
	img      *image.Image
	cfg      Config
	workers  []*worker
	seq      *nfa.Sequencer
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
		img: img, cfg: cfg, out: out, seq: nfa.New(img, cfg.NFA, cfg.Slab),
		builder: alert.Builder{Buf: make([]byte, alert.SizeMax)}, version: strings.TrimSpace(img.Name + " " + img.Version),
	}
	for i := range cfg.Workers {
		e.workers = append(e.workers, newWorker(img, i > 0))
	}
	return e
}

// Bytes is the memory that New takes for an image with so many workers, without the pools of the sequencer.
func Bytes(img *image.Image, workers int) int {
	return workers*workerBytes(img) + alert.SizeMax
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
	for _, w := range e.workers {
		c.Candidates += w.candidatesSeen
		for _, s := range w.scratch {
			c.CacheClears += s.CacheClears
			c.NFAFallbacks += s.Fallbacks
		}
	}
	return c
}

// Sequences are the sequencer's counters and the number of states pending now.
func (e *Engine) Sequences() (nfa.Counters, int) { return e.seq.Counters, e.seq.Active() }

// Step matches the events of a batch and pushes the alerts. now is the monotonic time that the batch was taken, for what
// has to happen without an event; nothing of this version does.
//
// Preconditions: len(batch) <= limits.BatchMax; the events' records stay as they are during the call.
func (e *Engine) Step(batch []event.Event, now uint64) {
	_ = now
	e.counters.Events += uint64(len(batch))
	if len(e.workers) == 1 || len(batch) < parallelMin {
		e.serial(batch)
		return
	}
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
	for i := range w.matches[:w.nMatches] {
		m := &w.matches[i]
		e.counters.Matches++
		ev := &w.batch[m.event]
		if e.img.Rules[m.rule].Flags&image.RuleSequence != 0 {
			e.seq.Event(m.rule, m.stages, ev, e)
			continue
		}
		e.single(m.rule, ev)
	}
}

func (e *Engine) single(rule uint32, ev *event.Event) {
	e.begin(rule, ev, idOf(e.img, rule, ev.Host).last(ev), false)
	e.builder.Event(ev, alert.EvidenceBytesMax)
	e.finish()
}

// Sequence completes the alert of a sequence; it implements nfa.Emitter.
func (e *Engine) Sequence(rule uint32, pending *nfa.Pending, last *event.Event, evicted bool) {
	id := idOf(e.img, rule, last.Host)
	for p := *pending; ; {
		ev, ok := p.Next()
		if !ok {
			break
		}
		id = id.pending(ev)
	}
	e.begin(rule, last, id.last(last), evicted)
	for {
		ev, ok := pending.Next()
		if !ok {
			break
		}
		e.builder.Evidence(ev)
	}
	e.builder.Event(last, alert.EvidenceBytesMax)
	e.finish()
}

func (e *Engine) begin(rule uint32, last *event.Event, id alertID, evicted bool) {
	r := &e.img.Rules[rule]
	e.alertSeq++
	e.head = alert.Head{
		Severity: alert.Severity(r.Severity), Seq: e.alertSeq, Wall: last.Wall(), Mono: last.Own.Time(),
		ID: id.bytes(), Entity: last.Own.Entity(),
	}
	if r.Action != 0 && !e.cfg.Enforce {
		e.head.Action = alert.WouldBlock
	}
	if evicted {
		e.head.Flags |= alert.FlagStateEvicted
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
