package proc

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
)

// The model is the table written the obvious way: maps, copies, a counter for what was seen last.
type facts map[int]string // slot -> value, numbers in decimal; -1 is the time

type modelProc struct {
	entity, parent uint64
	session        uint64
	pid            uint32
	facts          facts
	exited         bool
	seen           int
}

type model struct {
	entries int
	seed    uint64
	seen    int
	procs   map[uint64]*modelProc
	latest  map[uint32]uint64
	stats   Stats
}

// view is what an Event must show.
type view struct {
	own          facts // the numbers of an exec record, which the table completes
	entity       uint64
	proc, parent facts // nil: unknown
	session      facts
	parentEntity uint64
}

var (
	modelInts    = []int{5, 6, 17, 18, 19, 20, 22, 23}
	modelParent  = []int{13, 14, 15}
	modelProgram = []int{8, 9}
	modelArgs    = []int{10, 11, 16}
)

const (
	modelCwd     = 12
	modelSession = 19
)

func any_(f facts, slots []int) bool {
	return slices.ContainsFunc(slots, func(s int) bool { _, ok := f[s]; return ok })
}

// read takes the facts out of a record.
func read(rec event.Record) facts {
	if rec == nil {
		return nil
	}
	f := facts{-1: fmt.Sprint(rec.Time())}
	for _, s := range slices.Concat(modelInts, modelParent, []int{16}) {
		if v, ok := rec.Int(s); ok {
			f[s] = fmt.Sprint(v)
		}
	}
	for _, s := range []int{8, 9, 10, 11, modelCwd} {
		if v, ok := rec.Bytes(s); ok {
			f[s] = string(v)
		}
	}
	return f
}

func fill(dst, from facts, slots []int) {
	for _, s := range slots {
		if v, ok := from[s]; ok {
			dst[s] = v
		}
	}
}

func merge(rec, old facts, parent, program bool) facts {
	out := maps.Clone(rec)
	for _, s := range append(slices.Clone(modelInts), modelCwd) {
		if _, ok := out[s]; !ok {
			fill(out, old, []int{s})
		}
	}
	if parent && !any_(rec, modelParent) {
		fill(out, old, modelParent)
	}
	if program && !any_(rec, modelProgram) {
		fill(out, old, modelProgram)
	}
	if program && !any_(rec, modelArgs) {
		fill(out, old, modelArgs)
	}
	return out
}

func (m *model) see(p *modelProc) {
	m.seen++
	p.seen = m.seen
}

func (m *model) put(entity uint64, pid uint32, parent uint64, f facts) *modelProc {
	p := m.procs[entity]
	if p == nil {
		if len(m.procs) == m.entries {
			m.evict()
		}
		p = &modelProc{entity: entity}
		m.procs[entity] = p
	}
	if p.pid != pid && m.latest[p.pid] == entity {
		delete(m.latest, p.pid)
	}
	p.pid, p.parent, p.facts, p.exited = pid, parent, f, false
	if pid != 0 {
		m.latest[pid] = entity
	}
	m.see(p)
	p.session = m.leader(p)
	return p
}

// leader is who has the number of the session for a pid.
func (m *model) leader(p *modelProc) uint64 {
	switch sid := p.facts[modelSession]; sid {
	case "", "0":
		return 0
	case fmt.Sprint(p.pid):
		return p.entity
	default:
		var pid uint32
		fmt.Sscan(sid, &pid)
		return m.latest[pid]
	}
}

// session is the leader as the event of a process shows it: itself and its parent as they are shown, others by their
// facts.
func (m *model) session(p *modelProc, v *view) {
	switch p.session {
	case 0:
	case p.entity:
		v.session = v.proc
	case v.parentEntity:
		v.session = v.parent
	default:
		if l := m.procs[p.session]; l != nil {
			v.session = l.facts
		}
	}
}

func (m *model) evict() {
	var victim *modelProc
	for _, p := range m.procs {
		if victim == nil || p.exited && !victim.exited || p.exited == victim.exited && p.seen < victim.seen {
			victim = p
		}
	}
	delete(m.procs, victim.entity)
	if m.latest[victim.pid] == victim.entity {
		delete(m.latest, victim.pid)
	}
	m.stats.Evicted++
}

func (m *model) identity(rec event.Record, first, fork bool) uint64 {
	switch {
	case rec.Entity() != 0:
		return rec.Entity()
	case rec.PID() == 0:
		return 0
	case rec.Start() != 0:
		return event.EntityID(m.seed, rec.PID(), rec.Start())
	}
	if e, ok := m.latest[rec.PID()]; ok && !fork && (!first || !m.procs[e].exited) {
		return e
	}
	if !first {
		return 0
	}
	return event.EntityID(m.seed, rec.PID(), rec.Time())
}

func (m *model) parentOf(rec event.Record) uint64 {
	if e, ok := rec.Int(15); ok && e != 0 {
		return uint64(e)
	}
	pid, _ := rec.Int(13)
	if pid == 0 {
		return 0
	}
	if start, _ := rec.Int(14); start != 0 {
		return event.EntityID(m.seed, uint32(pid), uint64(start))
	}
	return m.latest[uint32(pid)]
}

func (m *model) parent(entity uint64, v *view) {
	v.parentEntity = entity
	if p := m.procs[entity]; p != nil && entity != 0 {
		m.see(p)
		v.parent = p.facts
	} else if entity != 0 {
		m.stats.ParentMisses++
	}
}

func (m *model) late(p *modelProc, rec event.Record) bool {
	var t uint64
	fmt.Sscan(p.facts[-1], &t)
	if t > rec.Time() {
		m.stats.Late++
		return true
	}
	return false
}

func (m *model) apply(rec event.Record) (v view, isEvent bool) {
	switch rec.Type() {
	case event.TypeProcessInfo:
		m.info(rec)
		return v, false
	case event.TypeExec:
		return m.exec(rec), true
	case event.TypeFork:
		return m.fork(rec), true
	}
	v.own = read(rec)
	v.entity = m.identity(rec, false, false)
	p := m.procs[v.entity]
	if p == nil || v.entity == 0 {
		m.stats.Misses++
		return v, true
	}
	m.see(p)
	v.proc = p.facts
	m.parent(p.parent, &v)
	m.session(p, &v)
	if rec.Type() == event.TypeExit && !p.exited {
		m.stats.Exited++
		p.exited = true
		m.see(p)
	}
	return v, true
}

func (m *model) exec(rec event.Record) (v view) {
	v.own = read(rec)
	v.proc = v.own
	if v.entity = m.identity(rec, true, false); v.entity == 0 {
		m.stats.Refused++
		return v
	}
	parent := m.parentOf(rec)
	f := v.own
	if old := m.procs[v.entity]; old != nil {
		f = merge(f, old.facts, true, false)
		if parent == 0 {
			parent = old.parent
		}
	}
	v.proc = f
	v.own = maps.Clone(f)
	if _, ok := read(rec)[modelCwd]; !ok {
		delete(v.own, modelCwd)
	}
	p := m.put(v.entity, rec.PID(), parent, f)
	m.parent(parent, &v)
	m.session(p, &v)
	return v
}

func (m *model) fork(rec event.Record) (v view) {
	v.own = read(rec)
	if v.entity = m.identity(rec, true, true); v.entity == 0 {
		m.stats.Refused++
		return v
	}
	parent := m.parentOf(rec)
	m.parent(parent, &v)
	if old := m.procs[v.entity]; old != nil && m.late(old, rec) {
		m.see(old)
		v.proc = old.facts
		m.session(old, &v)
		return v
	}
	if v.parent == nil {
		m.stats.Misses++
	}
	v.proc = merge(v.own, v.parent, false, true)
	m.session(m.put(v.entity, rec.PID(), parent, v.proc), &v)
	return v
}

func (m *model) info(rec event.Record) {
	entity := m.identity(rec, true, false)
	if entity == 0 {
		m.stats.Refused++
		return
	}
	parent, f, exited := m.parentOf(rec), read(rec), false
	if old := m.procs[entity]; old != nil {
		if m.late(old, rec) {
			return
		}
		exited = old.exited
		f = merge(f, old.facts, true, true)
		if parent == 0 {
			parent = old.parent
		}
	}
	p := m.put(entity, rec.PID(), parent, f)
	if exited {
		p.exited = true
		m.see(p)
	}
}

// randomRecord makes a record of few processes, with facts left out at random.
func randomRecord(rng *rand.Rand, b *event.Builder, now uint64) event.Record {
	types := []event.Type{event.TypeExec, event.TypeExec, event.TypeFork, event.TypeFork, event.TypeExit,
		event.TypeFileCreate, event.TypeFileRead, event.TypeConnect, event.TypeSetID, event.TypeProcessInfo}
	if rng.IntN(8) == 0 {
		now -= min(now, uint64(rng.IntN(3))*1e9)
	}
	ty := types[rng.IntN(len(types))]
	b.Begin(ty, now)
	pid, start := uint32(rng.IntN(12)), uint64(rng.IntN(3))*1e9
	if start == 0 {
		b.Flag(event.FlagNoBTF)
	}
	entity := uint64(0)
	if rng.IntN(30) == 0 {
		entity = uint64(1 + rng.IntN(3))
	}
	b.Process(pid, pid, start, entity)
	if ty == event.TypeSetID || event.ClassOf(ty) != event.ClassProcess {
		return b.End()
	}
	for _, s := range slices.Concat(modelInts, []int{16}) {
		if rng.IntN(3) > 0 {
			b.Int(s, int64(rng.IntN(4)))
		}
	}
	if rng.IntN(3) > 0 {
		b.Int(13, int64(rng.IntN(12)))
		if rng.IntN(2) > 0 {
			b.Int(14, int64(rng.IntN(3))*1e9)
		}
	}
	if rng.IntN(30) == 0 {
		b.Int(15, int64(rng.IntN(4)))
	}
	for _, s := range []int{8, 9, 10, 11, modelCwd} {
		if rng.IntN(3) > 0 {
			b.String(s, fmt.Sprintf("/x/%d/%d", s, rng.IntN(1000)), 0)
		}
	}
	return b.End()
}

func TestModel(t *testing.T) {
	for _, entries := range []int{1, 2, 3, 7, 100} {
		for seed := uint64(1); seed <= 8; seed++ {
			t.Run(fmt.Sprintf("entries=%d/seed=%d", entries, seed), func(t *testing.T) { modelRun(t, entries, seed) })
		}
	}
}

func modelRun(t *testing.T, entries int, seed uint64) {
	const batchMax = 5
	rng := rand.New(rand.NewPCG(seed, uint64(entries)))
	tab := newTable(t, Config{Entries: entries, BlockBytes: 512, LimboBlocks: batchMax})
	m := &model{entries: entries, procs: map[uint64]*modelProc{}, latest: map[uint32]uint64{}}
	var events [batchMax]event.Event
	var views [batchMax]view
	programs := make(map[uint64]string)
	for batch := 0; batch < 600; batch++ {
		n := 0
		for range 1 + rng.IntN(batchMax) {
			b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
			rec := randomRecord(rng, &b, uint64(1e9+batch*1e7))
			v, isEvent := m.apply(rec)
			if got := tab.Apply(rec, &events[n]); got != isEvent {
				t.Fatalf("batch %d: Apply is %v", batch, got)
			}
			if e := event.Check(rec); e != event.ErrNone {
				t.Fatalf("batch %d: the record is broken: %v", batch, e)
			}
			if isEvent {
				views[n] = v
				n++
			}
		}
		// Compared at the end of the batch: what was borrowed must not have changed since.
		for i := range events[:n] {
			checkView(t, batch, &events[i], &views[i])
			checkFacts(t, programs, events[i].Proc, events[i].ProcFacts)
			checkFacts(t, programs, events[i].Parent, events[i].ParentFacts)
		}
		if tab.Stats() != m.stats || tab.Len() != len(m.procs) {
			t.Fatalf("batch %d: stats %+v and %d entries, want %+v and %d", batch, tab.Stats(), tab.Len(), m.stats, len(m.procs))
		}
		tab.Release()
	}
	checkStore(t, tab)
	if s := tab.Stats(); entries > 2 && entries < 10 && (s.Evicted == 0 || s.Misses == 0 || s.Late == 0 || s.Refused == 0 || s.Exited == 0) {
		t.Fatalf("the run reached too little: %+v", s)
	}
}

func checkView(t *testing.T, batch int, ev *event.Event, v *view) {
	t.Helper()
	for _, part := range []struct {
		name string
		got  event.Record
		want facts
	}{{"own", ev.Own, v.own}, {"process", ev.Proc, v.proc}, {"parent", ev.Parent, v.parent}, {"session", ev.Session, v.session}} {
		if (part.got == nil) != (part.want == nil) {
			t.Fatalf("batch %d, type %d: %s is %v, want %v", batch, ev.Own.Type(), part.name, read(part.got), part.want)
		}
		if part.got == nil || part.got.Class() != event.ClassProcess {
			continue
		}
		if e := event.Check(part.got); e != event.ErrNone {
			t.Fatalf("batch %d: %s: %v", batch, part.name, e)
		}
		if !maps.Equal(read(part.got), part.want) {
			t.Fatalf("batch %d, type %d: %s is\n%v, want\n%v", batch, ev.Own.Type(), part.name, read(part.got), part.want)
		}
	}
	if ev.Own.Entity() != v.entity || ev.ParentEntity != v.parentEntity {
		t.Fatalf("batch %d: entities %x %x, want %x %x", batch, ev.Own.Entity(), ev.ParentEntity, v.entity, v.parentEntity)
	}
}

// checkFacts: a number of facts always stands for the same program, arguments and directory.
func checkFacts(t *testing.T, programs map[uint64]string, rec event.Record, number uint64) {
	t.Helper()
	if number == 0 {
		return
	}
	what := ""
	for _, s := range []int{8, 9, 10, 11, modelCwd} {
		v, ok := rec.Bytes(s)
		what += fmt.Sprintf("%q %v ", v, ok)
	}
	if before, ok := programs[number]; ok && before != what {
		t.Fatalf("facts %d are %s, were %s", number, what, before)
	}
	programs[number] = what
}

// checkStore proves the invariants of the store.
func checkStore(t *testing.T, tab *Table) {
	t.Helper()
	s := &tab.store
	held := map[uint32]int{}
	listed := map[uint32]int{}
	for _, l := range s.lists {
		prev := none
		for i := l.head; i != none; i = s.entries[i].next {
			if s.entries[i].prev != prev {
				t.Fatal("a list is not linked backwards")
			}
			prev = i
			listed[i]++
		}
		if l.tail != prev {
			t.Fatal("the tail of a list is not its last")
		}
	}
	for i := uint32(0); i < s.used; i++ {
		held[s.entries[i].block]++
		if listed[i] != 1 || s.byEntity(s.entries[i].entity) != i {
			t.Fatalf("entry %d is in %d lists and found as %d", i, listed[i], s.byEntity(s.entries[i].entity))
		}
	}
	for _, b := range slices.Concat(s.free, s.limbo) {
		held[b]++
	}
	for b := uint32(0); b < s.fresh; b++ {
		if held[b] != 1 {
			t.Fatalf("block %d is held %d times", b, held[b])
		}
	}
	if len(held) != int(s.fresh) {
		t.Fatalf("%d blocks are held of %d ever used", len(held), s.fresh)
	}
}

func newTable(t testing.TB, cfg Config) *Table {
	t.Helper()
	tab, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tab.Close(); err != nil {
			t.Error(err)
		}
	})
	return tab
}
