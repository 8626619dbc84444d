package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"runtime"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/sink"
)

// newEngine makes an engine of the sizes that a device has.
func newEngine(img *image.Image, workers int, out engine.Receiver) *engine.Engine {
	s := agent.DeviceSizes
	return engine.New(img, engine.Config{Workers: workers, Processes: s.Processes, Suppress: s.Suppressed,
		NFA: nfa.Config{Tracks: s.Tracks, States: s.States, Evidence: s.Evidence}}, out)
}

// counter takes alerts and counts them; while sum is set it hashes their JSON lines as well, as a replay does.
type counter struct {
	alerts int
	sum    hash.Hash
	line   []byte
}

// Push implements engine.Receiver.
func (c *counter) Push(b []byte) bool {
	c.alerts++
	if c.sum != nil {
		c.line = append(sink.AppendJSON(c.line[:0], alert.Alert(b)), '\n')
		c.sum.Write(c.line)
	}
	return true
}

// replayBytes holds a batch of records, as agent.Replay has it.
const replayBytes = 512 << 10

const _ = uint(replayBytes - event.RecordSizeMax)

// player replays a log again and again, from the record to the alert: copy, process table, engine.
type player struct {
	log    *Log
	table  *proc.Table
	eng    *engine.Engine
	out    counter
	buf    []byte
	batch  []event.Event
	n      int // events in the batch
	taken  int // records since the last flush
	shift  uint64
	lastID uint64
	now    uint64
}

func newPlayer(log *Log, img *image.Image, workers int) (*player, error) {
	table, err := proc.New(proc.Config{Entries: agent.DeviceSizes.Processes, LimboBlocks: limits.BatchMax})
	if err != nil {
		return nil, err
	}
	p := &player{log: log, table: table, buf: make([]byte, replayBytes), batch: make([]event.Event, limits.BatchMax)}
	p.eng = newEngine(img, workers, &p.out)
	return p, nil
}

func (p *player) close() {
	p.eng.Close()
	// The mapping goes with the table; failing to unmap at the end of a run has no consequence.
	_ = p.table.Close()
}

// round replays the log once.
func (p *player) round() {
	used := 0
	for _, rec := range p.log.records {
		if p.taken == len(p.batch) || used+len(rec) > len(p.buf) {
			p.flush()
			used = 0
		}
		n := copy(p.buf[used:], rec)
		p.add(event.Record(p.buf[used : used+n : used+n]))
		used += n
	}
	p.flush()
	p.shift += p.log.span
}

func (p *player) add(rec event.Record) {
	if p.shift > 0 {
		move(rec, p.shift)
	}
	if p.table.Barrier(rec) {
		p.flush()
	}
	p.taken++
	if !p.table.Apply(rec, &p.batch[p.n]) {
		return
	}
	p.lastID++
	rec.SetID(p.lastID)
	p.now = max(p.now, rec.Time())
	p.n++
}

// graceNanos is what a replay waits for events out of order; see package agent.
const graceNanos = uint64(1e9)

func (p *player) flush() {
	if p.n > 0 {
		p.eng.Step(p.batch[:p.n], p.now-min(p.now, graceNanos))
		p.n = 0
	}
	p.table.Release()
	p.taken = 0
}

// digest replays the log once from the beginning. The result is that of `kestrel replay` with the sizes of a device: the
// hash of every alert's JSON line.
func digest(log *Log, img *image.Image) (hash string, c engine.Counters, err error) {
	p, err := newPlayer(log, img, 1)
	if err != nil {
		return "", c, err
	}
	defer p.close()
	p.out.sum = sha256.New()
	p.round()
	return hex.EncodeToString(p.out.sum.Sum(nil)), p.eng.Counters(), nil
}

// once runs every round in an engine of its own.
type once struct {
	r       *runner
	img     *image.Image
	workers int
	eng     *engine.Engine
}

func newOnce(r *runner, img *image.Image, workers int) *once {
	return &once{r, img, workers, newEngine(img, workers, &counter{})}
}

func (o *once) close() { o.eng.Close() }

// prepare makes the next engine. What the one before took is given back here, since the collector is off meanwhile.
func (o *once) prepare() {
	o.r.events.next()
	o.eng.Close()
	o.eng = nil
	runtime.GC()
	o.eng = newEngine(o.img, o.workers, &counter{})
}

func (o *once) round() {
	for _, batch := range o.r.events.batches {
		o.eng.Step(batch, 0)
	}
}
