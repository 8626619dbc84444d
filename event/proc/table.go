// Package proc is the process table: it follows processes through the records of a source and completes each event
// with what is known of the process that acted, its parent and the host.
//
//	record ─▶ Apply ─▶ Event{Own: the record, Proc: a block or the record, Parent and Session: a block, Host}
//	             │
//	             ├─ entries   entity, parent, pid, LRU links           [Entries]
//	             ├─ indexes   entity -> entry, pid -> latest entry     open addressing, twice Entries
//	             └─ blocks    a process's facts as a record            [Entries + LimboBlocks] of BlockBytes
//
// Memory: New allocates everything. Blocks lie in one anonymous mapping, of which only the pages in use count. The
// Events of a batch borrow blocks and the batch's own records: a block that is replaced or evicted waits in limbo and
// is used again only after Release. One Apply puts at most one block there, so a batch of at most LimboBlocks records
// never lacks one; a longer batch is a bug of the caller and panics.
//
// Goroutines: one calls Apply and Release. Others may read the Events it filled until Release.
//
// When full: the process that was not seen for longest is forgotten, those that have exited first. It is counted, and
// so is every later event of a process that is no longer known.
//
// The same records in the same batches give the same Events: no clock, no randomness, no map.
package proc

import (
	"fmt"

	"github.com/kestrel-detection/kestrel/event"
)

const (
	// EntriesMax bounds the table far above what any device runs.
	EntriesMax = 1 << 20
	// BlockBytesDefault holds the fixed part, a long path and 500 bytes of arguments.
	BlockBytesDefault = 1024
	// BlockBytesMin holds the fixed part and a short path.
	BlockBytesMin = 320
	// HostNameMax is HOST_NAME_MAX of Linux; HostIDMax has room for twice a machine-id.
	HostNameMax = 64
	HostIDMax   = 64
)

// Config sizes a table.
type Config struct {
	Entries     int // processes remembered
	BlockBytes  int // bytes remembered of each, a multiple of 8; 0 is BlockBytesDefault
	LimboBlocks int // at least the records of one batch
}

func (c *Config) check() error {
	if c.BlockBytes == 0 {
		c.BlockBytes = BlockBytesDefault
	}
	switch {
	case c.Entries < 1 || c.Entries > EntriesMax:
		return fmt.Errorf("process table: %d entries (min 1, max %d)", c.Entries, EntriesMax)
	case c.BlockBytes < BlockBytesMin || c.BlockBytes > event.RecordSizeMax || c.BlockBytes%event.RecordAlign != 0:
		return fmt.Errorf("process table: blocks of %d bytes (min %d, max %d, multiple of %d)", c.BlockBytes,
			BlockBytesMin, event.RecordSizeMax, event.RecordAlign)
	case c.LimboBlocks < 1 || c.LimboBlocks > EntriesMax:
		return fmt.Errorf("process table: %d limbo blocks (min 1, max %d)", c.LimboBlocks, EntriesMax)
	}
	return nil
}

// Bytes is what a table of this size takes when all of it is in use.
func (c Config) Bytes() int {
	if err := c.check(); err != nil {
		return 0
	}
	return c.arenaBytes() + c.Entries*entryBytes + 2*indexSlots(c.Entries)*8 + (c.Entries+2*c.LimboBlocks)*4 + tableBytes
}

// The inline context records that an event can have.
const (
	inlineProc = iota
	inlineParent
	inlineEntry
	inlineSession
	inlineGroup
	inlineReport
	inlines
)

// arenaBytes: the blocks; room behind the last, since a record is built at a block's place in a buffer of
// RecordSizeMax, and the inline records that outlive their batch.
func (c *Config) arenaBytes() int {
	return (c.Entries+c.LimboBlocks)*c.BlockBytes + event.RecordSizeMax + inlines*event.RecordSizeMax
}

// Stats counts what the table did.
type Stats struct {
	Evicted uint64 // processes forgotten to make room
	Exited  uint64 // processes that ended
	Misses  uint64 // events of a process that is not known
	// ParentMisses are events whose process names a parent that is not known: it ended before the table began, or was
	// forgotten.
	ParentMisses uint64
	Truncated    uint64                     // processes whose facts did not fit a block
	Refused      uint64                     // process records without any identity
	Late         uint64                     // process records older than what was known already
	Lost         [event.ClassContext]uint64 // events lost before they came here, as the source says
}

// Table is the process table.
type Table struct {
	cfg     Config
	store   store
	arena   []byte // blocks, build room, inline room
	builder event.Builder
	host    event.Host
	hostIDs [HostIDMax]byte
	names   [HostNameMax]byte
	lent    bool // an Event of this batch borrows host

	// Inline context records that wait for their event. They are the batch's until Release moves them to inlineRoom. A
	// report is for any event, the others for one that is inline itself.
	inline     [inlines]event.Record
	waiting    bool // one of them does
	inlineRoom [inlines][]byte

	facts uint64 // numbers given out, see event.Event.ProcFacts
	stats Stats
}

// New makes a table.
func New(cfg Config) (*Table, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	arena, err := mapBytes(cfg.arenaBytes())
	if err != nil {
		return nil, fmt.Errorf("process table: map %d bytes: %w", cfg.arenaBytes(), err)
	}
	t := &Table{cfg: cfg, arena: arena}
	t.store.init(cfg.Entries, cfg.Entries+cfg.LimboBlocks, cfg.LimboBlocks)
	room := arena[(cfg.Entries+cfg.LimboBlocks)*cfg.BlockBytes+event.RecordSizeMax:]
	for i := range t.inlineRoom {
		t.inlineRoom[i] = room[i*event.RecordSizeMax:][:event.RecordSizeMax]
	}
	return t, nil
}

// Close gives the memory back. Neither the table nor any Event it filled may be used afterwards.
func (t *Table) Close() error {
	arena := t.arena
	t.arena = nil
	return unmapBytes(arena)
}

// Stats is a copy of the counters. The goroutine of Apply calls it.
func (t *Table) Stats() Stats { return t.stats }

// Len is the number of processes in the table.
func (t *Table) Len() int { return int(t.store.used) }

// Host is what is known of the host; read-only for everyone else.
func (t *Table) Host() *event.Host { return &t.host }

// Barrier tells that rec changes what the Events of this batch see of the host: apply it after their Release. Without
// that they see the host as it is afterwards.
func (t *Table) Barrier(rec event.Record) bool {
	ty := rec.Type()
	return t.lent && (ty == event.TypeHostInfo || ty == event.TypeUserInfo)
}

// Apply takes one record into the table. For an event it fills ev and is true; for a context record, which only fills
// tables, it is false and ev is left alone. The record gets its entity id, and an exec record what it lacks and the
// table knows, written into it.
//
// Preconditions: event.Check accepts rec; rec stays as it is until Release; at most LimboBlocks records since Release.
func (t *Table) Apply(rec event.Record, ev *event.Event) bool {
	ty := rec.Type()
	if ty.IsContext() {
		t.context(ty, rec)
		return false
	}
	t.lent = true
	*ev = event.Event{Own: rec, Host: &t.host}
	ev.SetCategory()
	if t.waiting {
		ev.Report = t.inline[inlineReport]
	}
	if rec.Flags()&event.FlagInline != 0 {
		t.completeInline(rec, ev)
		t.forgetInline()
		return true
	}
	t.forgetInline()
	switch ty {
	case event.TypeExec:
		t.exec(rec, ev)
	case event.TypeFork:
		t.fork(rec, ev)
	case event.TypeExit:
		if i := t.resolve(rec, ev); i != none && t.store.exit(i) {
			t.stats.Exited++
		}
	default:
		t.resolve(rec, ev)
	}
	return true
}

// Release ends a batch: its Events and records are no longer in use.
func (t *Table) Release() {
	t.store.release()
	t.lent = false
	if t.waiting {
		t.keepInline()
	}
}

// keepInline copies the inline records whose event is in the next batch out of the batch that ends.
func (t *Table) keepInline() {
	for i, rec := range t.inline {
		if rec != nil {
			n := copy(t.inlineRoom[i], rec)
			t.inline[i] = event.Record(t.inlineRoom[i][:n:n])
		}
	}
}

// forgetInline: whatever waited was for the event that has come.
func (t *Table) forgetInline() {
	if t.waiting {
		t.inline, t.waiting = [inlines]event.Record{}, false
	}
}

func (t *Table) takeInline(i int, rec event.Record) { t.inline[i], t.waiting = rec, true }

func (t *Table) context(ty event.Type, rec event.Record) {
	switch ty {
	case event.TypeProcessInfo:
		t.processInfo(rec)
	case event.TypeReport:
		t.takeInline(inlineReport, rec)
	case event.TypeUserInfo:
		id, ok := rec.Int(event.SlotContextID)
		name, named := rec.Bytes(event.SlotContextText)
		if ok && named {
			t.host.Users.Set(uint32(id), name)
		}
	case event.TypeHostInfo:
		t.hostInfo(rec)
	case event.TypeLoss:
		for c := range t.stats.Lost {
			if n, ok := rec.Int(event.SlotContextCount0 + c); ok && n > 0 {
				t.stats.Lost[c] += uint64(n)
			}
		}
	}
}

// processInfo takes the facts of a running process, or those that are for the next event alone.
func (t *Table) processInfo(rec event.Record) {
	switch f := rec.Flags(); {
	case f&event.FlagInlineParent != 0:
		t.takeInline(inlineParent, rec)
	case f&event.FlagInlineEntry != 0:
		t.takeInline(inlineEntry, rec)
	case f&event.FlagInlineSession != 0:
		t.takeInline(inlineSession, rec)
	case f&event.FlagInlineGroup != 0:
		t.takeInline(inlineGroup, rec)
	case f&event.FlagInline != 0:
		t.takeInline(inlineProc, rec)
	default:
		t.info(rec)
	}
}

func (t *Table) hostInfo(rec event.Record) {
	offset, _ := rec.Int(event.SlotContextID)
	seed, _ := rec.Int(event.SlotContextSeed)
	name, _ := rec.Bytes(event.SlotContextText)
	id, _ := rec.Bytes(event.SlotContextText2)
	t.host.WallOffset = offset
	t.host.Name = t.names[:copy(t.names[:], name)]
	t.host.ID = t.hostIDs[:copy(t.hostIDs[:], id)]
	if t.host.Seed != uint64(seed) {
		// Another boot: its pids say nothing about the processes known so far.
		t.host.Seed = uint64(seed)
		t.store.exitAll()
	}
}

// completeInline completes an event that brings its own process facts: nothing of the table is added to them.
func (t *Table) completeInline(rec event.Record, ev *event.Event) {
	ev.Proc, ev.Parent = t.inline[inlineProc], t.inline[inlineParent]
	ev.Entry, ev.Session, ev.Group = t.inline[inlineEntry], t.inline[inlineSession], t.inline[inlineGroup]
	if ev.Proc == nil && rec.Class() == event.ClassProcess {
		ev.Proc = rec
	}
	if ev.Proc != nil {
		if e, ok := ev.Proc.Int(event.SlotParentEntity); ok {
			ev.ParentEntity = uint64(e)
			return
		}
	}
	if ev.Parent != nil {
		ev.ParentEntity = ev.Parent.Entity()
	}
}
