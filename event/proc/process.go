package proc

import "github.com/kestrel-detection/kestrel/event"

// identify finds the entry of the acting process and gives the record its entity id. A record without a start time is
// of the process that had the pid last.
func (t *Table) identify(rec event.Record) uint32 {
	e := rec.Entity()
	if e == 0 {
		pid := rec.PID()
		if pid == 0 {
			return none
		}
		start := rec.Start()
		if start == 0 {
			i := t.store.byPID(pid)
			if i != none {
				rec.SetEntity(t.store.entries[i].entity)
			}
			return i
		}
		e = event.EntityID(t.host.Seed, pid, start)
		rec.SetEntity(e)
	}
	return t.store.byEntity(e)
}

// identifyNew is identify for a record that may be the first of its process. A record without a start time takes the
// time of the record for it, unless the pid is in use by a process that may be meant (fresh says it is not).
func (t *Table) identifyNew(rec event.Record, fresh bool) uint32 {
	if rec.Entity() != 0 || rec.PID() == 0 || rec.Start() != 0 {
		return t.identify(rec)
	}
	if !fresh {
		if i := t.store.byPID(rec.PID()); i != none && !t.store.entries[i].exited {
			rec.SetEntity(t.store.entries[i].entity)
			return i
		}
	}
	e := event.EntityID(t.host.Seed, rec.PID(), rec.Time())
	rec.SetEntity(e)
	return t.store.byEntity(e)
}

// resolve completes an event of a process that should be known.
func (t *Table) resolve(rec event.Record, ev *event.Event) uint32 {
	i := t.identify(rec)
	if i == none {
		t.stats.Misses++
		return none
	}
	t.store.touch(i)
	en := &t.store.entries[i]
	ev.Proc, ev.ProcFacts = t.record(en.block), en.facts
	t.parent(en.parent, ev)
	t.session(i, ev)
	return i
}

// parent completes an event with the parent's facts.
func (t *Table) parent(entity uint64, ev *event.Event) {
	ev.ParentEntity = entity
	if entity == 0 {
		return
	}
	if i := t.store.byEntity(entity); i != none {
		t.store.touch(i)
		ev.Parent, ev.ParentFacts = t.record(t.store.entries[i].block), t.store.entries[i].facts
		return
	}
	t.stats.ParentMisses++
}

// session completes an event with the facts of the leader of its process's session, when that is known. It is no reason to
// remember the leader for longer.
//
// Preconditions: ev.Proc and the parent are set.
func (t *Table) session(i uint32, ev *event.Event) {
	en := &t.store.entries[i]
	switch en.session {
	case 0:
	case en.entity:
		ev.Session = ev.Proc
	case ev.ParentEntity:
		ev.Session = ev.Parent
	default:
		if j := t.store.byEntity(en.session); j != none {
			ev.Session = t.record(t.store.entries[j].block)
		}
	}
}

// sessionOf is the entity of the leader of a process's session: the process whose pid is the number of the session. As
// long as the session has members the kernel gives that pid to no other process.
func (t *Table) sessionOf(i uint32) uint64 {
	en := &t.store.entries[i]
	sid, ok := t.record(en.block).Int(event.SlotSessionID)
	if !ok || sid <= 0 {
		return 0
	}
	if uint32(sid) == en.pid {
		return en.entity
	}
	if j := t.store.byPID(uint32(sid)); j != none {
		return t.store.entries[j].entity
	}
	return 0
}

// parentOf is the entity id of the parent that the process record rec names, 0 when it names none that can be told.
func (t *Table) parentOf(rec event.Record) uint64 {
	if e, ok := rec.Int(event.SlotParentEntity); ok && e != 0 {
		return uint64(e)
	}
	pid, ok := rec.Int(event.SlotParentPID)
	if !ok || pid == 0 {
		return 0
	}
	if start, ok := rec.Int(event.SlotParentStart); ok && start != 0 {
		return event.EntityID(t.host.Seed, uint32(pid), uint64(start))
	}
	if i := t.store.byPID(uint32(pid)); i != none {
		return t.store.entries[i].entity
	}
	return 0
}

// exec replaces a process's facts. The event sees the record itself, whose strings are whole.
func (t *Table) exec(rec event.Record, ev *event.Event) {
	i := t.identifyNew(rec, false)
	ev.Proc = rec
	if rec.Entity() == 0 {
		t.stats.Refused++
		return
	}
	var old event.Record
	parent := uint64(0)
	if i != none {
		old = t.record(t.store.entries[i].block)
		parent = t.store.entries[i].parent
	}
	if p := t.parentOf(rec); p != 0 {
		parent = p
	}
	if old != nil {
		inheritInts(rec, old) // after parentOf: a parent known by its pid alone is told by who had the pid then
	}
	block, cut := t.build(rec, old, inheritExec)
	i = t.put(i, rec, parent, block, t.newFacts())
	where := old != nil && !rec.Has(event.SlotCwd) && old.Has(event.SlotCwd)
	if where && !cut {
		ev.Proc = t.record(block) // says all that the record says, and where it ran
	}
	if !cut {
		ev.ProcFacts = t.store.entries[i].facts
	}
	t.parent(parent, ev)
	t.session(i, ev)
}

// fork gives the child its parent's facts.
func (t *Table) fork(rec event.Record, ev *event.Event) {
	i := t.identifyNew(rec, true)
	if rec.Entity() == 0 {
		t.stats.Refused++
		return
	}
	parent := t.parentOf(rec)
	t.parent(parent, ev)
	if i != none && t.late(i, rec) {
		t.store.touch(i)
		ev.Proc, ev.ProcFacts = t.record(t.store.entries[i].block), t.store.entries[i].facts
		t.session(i, ev)
		return
	}
	if ev.Parent == nil {
		t.stats.Misses++
	}
	block, cut := t.build(rec, ev.Parent, inheritFork)
	facts := ev.ParentFacts
	if ev.Parent == nil || cut || rec.Present()&(programMask|argsMask|1<<event.SlotCwd) != 0 {
		facts = t.newFacts()
	}
	i = t.put(i, rec, parent, block, facts)
	ev.Proc, ev.ProcFacts = t.record(block), facts
	t.session(i, ev)
}

// info takes what a look at the running process gave.
func (t *Table) info(rec event.Record) {
	i := t.identifyNew(rec, false)
	if rec.Entity() == 0 {
		t.stats.Refused++
		return
	}
	var old event.Record
	parent := uint64(0)
	exited := false
	if i != none {
		if t.late(i, rec) {
			return
		}
		old = t.record(t.store.entries[i].block)
		parent, exited = t.store.entries[i].parent, t.store.entries[i].exited
	}
	if p := t.parentOf(rec); p != 0 {
		parent = p
	}
	block, _ := t.build(rec, old, inheritInfo)
	if i = t.put(i, rec, parent, block, t.newFacts()); exited {
		t.store.exit(i)
	}
}

// late tells whether what is known of a process is newer than rec. Records of different processors, and a look into
// /proc, may overtake each other.
func (t *Table) late(i uint32, rec event.Record) bool {
	if t.record(t.store.entries[i].block).Time() <= rec.Time() {
		return false
	}
	t.stats.Late++
	return true
}

// newFacts is a number that no facts had before.
func (t *Table) newFacts() uint64 {
	t.facts++
	return t.facts
}

// put stores block as the facts of the process of rec, whose entry is i or none yet. What the facts say of the program has
// the number facts.
func (t *Table) put(i uint32, rec event.Record, parent uint64, block uint32, facts uint64) uint32 {
	if i == none {
		var evicted bool
		if i, evicted = t.store.insert(rec.Entity(), rec.PID(), block); evicted {
			t.stats.Evicted++
		}
	} else {
		t.store.replace(i, rec.PID(), block)
	}
	t.store.entries[i].parent = parent
	t.store.entries[i].session = t.sessionOf(i)
	t.store.entries[i].facts = facts
	return i
}

// record is the record in a block.
func (t *Table) record(block uint32) event.Record {
	b := t.arena[int(block)*t.cfg.BlockBytes:][:t.cfg.BlockBytes]
	n := event.Record(b).Size()
	return event.Record(b[:n:n])
}
