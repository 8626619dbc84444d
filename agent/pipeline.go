package agent

import (
	"time"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// Sizes are what a pipeline carves at start. They come from the configuration and the board's budget.
type Sizes struct {
	Processes  int // of the process table
	Tracks     int
	States     int
	Evidence   int
	Suppressed int // values by which alerts are suppressed at a time
	Workers    int
}

// DeviceSizes are the sizes of the default budget of 16 MB. They bound, but idle memory is what was touched.
var DeviceSizes = Sizes{Processes: 2048, Tracks: 1000, States: 1000, Evidence: 1000, Suppressed: 512, Workers: 1}

// HostSizes are for analysis on a workstation, where a replay should not evict what a larger device would keep.
var HostSizes = Sizes{Processes: 16384, Tracks: 16384, States: 100000, Evidence: 20000, Suppressed: 16384, Workers: 1}

func (s Sizes) proc() proc.Config {
	return proc.Config{Entries: s.Processes, LimboBlocks: limits.BatchMax}
}

func (s Sizes) nfa() nfa.Config {
	return nfa.Config{Tracks: s.Tracks, States: s.States, Evidence: s.Evidence}
}

func (s Sizes) engine() engine.Config {
	return engine.Config{Workers: s.Workers, NFA: s.nfa(), Processes: s.Processes, Suppress: s.Suppressed}
}

// graceNanos is how far an event may stand behind a newer one: processors write into the kernel's ring side by side, and
// a busy one may be held up between reading the clock and writing. What waits for a time without an event waits so much
// longer.
const graceNanos = uint64(time.Second)

// pipeline is the deterministic core: records in, alerts out, on one goroutine. Live capture, replay and tests all go
// through it.
type pipeline struct {
	table  *proc.Table
	eng    *engine.Engine
	sizes  Sizes
	slab   []byte // for the evidence; nil: each engine makes its own
	out    engine.Receiver
	batch  []event.Event
	n      int      // events in the batch
	taken  int      // records since the last flush
	before struct { // counts of the engines that were replaced
		engine    engine.Counters
		sequences nfa.Counters
	}
	lastID uint64
	now    uint64 // time of the newest event
}

func newPipeline(img *image.Image, s Sizes, slab []byte, out engine.Receiver) (*pipeline, error) {
	table, err := proc.New(s.proc())
	if err != nil {
		return nil, err
	}
	p := &pipeline{table: table, sizes: s, slab: slab, out: out, batch: make([]event.Event, limits.BatchMax)}
	p.use(img)
	return p, nil
}

// use puts an engine for img in the place of the one before. What was pending in it is dropped; the number of pending
// states is returned.
func (p *pipeline) use(img *image.Image) (dropped int) {
	cfg := p.sizes.engine()
	cfg.Slab = p.slab
	next := engine.New(img, cfg, p.out)
	if p.eng != nil {
		p.before.engine = p.counters()
		p.before.sequences, dropped = p.sequences()
		p.before.sequences.Evicted += uint64(dropped)
		next.SetAlertSeq(p.eng.AlertSeq())
		p.eng.Close()
	}
	p.eng = next
	return dropped
}

// counters are those of every engine since the start.
func (p *pipeline) counters() engine.Counters { return p.eng.Counters().Plus(p.before.engine) }

// sequences are the counters of every engine's sequencer since the start, and the states pending now.
func (p *pipeline) sequences() (nfa.Counters, int) {
	c, pending := p.eng.Sequences()
	return c.Plus(p.before.sequences), pending
}

// full tells that the batch must be flushed before the next record.
func (p *pipeline) full() bool { return p.taken == len(p.batch) }

// add takes a record, which must stay as it is until the next flush.
//
// Preconditions: !p.full().
func (p *pipeline) add(rec event.Record) {
	if p.table.Barrier(rec) {
		p.flush()
	}
	p.taken++
	ev := &p.batch[p.n]
	if !p.table.Apply(rec, ev) {
		return
	}
	p.lastID++
	rec.SetID(p.lastID)
	p.now = max(p.now, rec.Time())
	p.n++
}

// flush matches what was added. Afterwards the records are the caller's again.
func (p *pipeline) flush() {
	if p.n > 0 {
		p.eng.Step(p.batch[:p.n], settled(p.now))
		p.n = 0
	}
	p.table.Release()
	p.taken = 0
}

// settle says that no event earlier than now - graceNanos will come any more: what waits for a time up to then is due.
//
// Preconditions: nothing was added since the last flush.
func (p *pipeline) settle(now uint64) { p.eng.Step(nil, settled(now)) }

func settled(now uint64) uint64 {
	if now < graceNanos {
		return 0
	}
	return now - graceNanos
}

func (p *pipeline) close() {
	p.eng.Close()
	// The mapping goes with the table; failing to unmap at the end of a run has no consequence.
	_ = p.table.Close()
}
