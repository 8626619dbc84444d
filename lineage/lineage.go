// Package lineage remembers which processes were seen in events that fit the conditions of `descendant of`, `child of`
// and `event of`: a mark is the number of such a condition, and each process has a set of them.
//
// A process is known from its first event on, with its parent. What its ancestors were marked with then is kept with it,
// so that a mark outlives the process that bears it; marks that an ancestor gets later are found by walking up.
//
// Memory: New carves the table. When it is full the process touched longest ago goes; one that has marks, or whose
// ancestors have, gets a second chance. What is lost with marks is counted. A Table belongs to one goroutine and takes
// no time: the same events give the same answers.
package lineage

import "math/bits"

// Marks are the marks of an event's process, of its parent, and of all its ancestors, the parent among them.
type Marks struct{ Own, Parent, Ancestors uint64 }

// Counters of a Table, all since New.
type Counters struct {
	Marked  uint64 // marks set that were not
	Evicted uint64 // processes given up that had marks
}

// Plus adds the counts of another table.
func (c Counters) Plus(d Counters) Counters {
	c.Marked += d.Marked
	c.Evicted += d.Evicted
	return c
}

const none = int32(-1)

// depthMax bounds the walk to the ancestors of a process: a login shell stands five or six below init, a build forty.
const depthMax = 64

// chancesMax bounds the processes with marks that one eviction passes over.
const chancesMax = 16

type entry struct {
	entity    uint64
	parent    uint64 // entity of the parent, 0 when unknown
	own       uint64
	inherited uint64 // marks of the ancestors when the process became known
	next      int32  // of the bucket
	newer     int32
	older     int32
	_         int32
}

const entryBytes = 48

// Table holds the marks of processes.
type Table struct {
	Counters Counters

	entries        []entry
	buckets        []int32 // entry + 1; 0 is an empty bucket
	shift          uint
	used           int32
	newest, oldest int32
}

// Bytes is the memory that New carves.
func Bytes(entries int) int {
	if entries == 0 {
		return 0
	}
	return entries*entryBytes + 4<<bits.Len(uint(entries-1))
}

// New carves a table for so many processes, at least one.
func New(entries int) *Table {
	entries = max(entries, 1)
	n := bits.Len(uint(entries - 1))
	return &Table{
		entries: make([]entry, entries), buckets: make([]int32, 1<<n), shift: uint(64 - n), newest: none, oldest: none,
	}
}

// Begin makes a process known. An entity of 0 is no process.
func (t *Table) Begin(entity, parent uint64) {
	if entity != 0 {
		t.get(entity, parent)
	}
}

// Mark notes that the process was seen in an event that fits the conditions of a set of marks.
func (t *Table) Mark(entity, parent, marks uint64) {
	if entity == 0 {
		return
	}
	e := &t.entries[t.get(entity, parent)]
	t.Counters.Marked += uint64(bits.OnesCount64(marks &^ e.own))
	e.own |= marks
}

// Of are the marks that a process and its ancestors have; parent is what the event says of it.
func (t *Table) Of(entity, parent uint64) (m Marks) {
	inherited := uint64(0)
	if i := t.find(entity); i != none {
		e := &t.entries[i]
		m.Own, inherited = e.own, e.inherited
		if e.parent != 0 {
			parent = e.parent
		}
	}
	m.Parent, m.Ancestors = t.above(parent)
	m.Ancestors |= inherited
	return m
}

// above are the marks of a process, and of it and its ancestors together.
func (t *Table) above(entity uint64) (own, all uint64) {
	for depth := 0; depth < depthMax && entity != 0; depth++ {
		i := t.find(entity)
		if i == none {
			break
		}
		e := &t.entries[i]
		if depth == 0 {
			own = e.own
		}
		all |= e.own | e.inherited
		entity = e.parent
	}
	return own, all
}

func (t *Table) bucket(entity uint64) *int32 {
	return &t.buckets[entity*0x9e3779b97f4a7c15>>t.shift&uint64(len(t.buckets)-1)]
}

func (t *Table) find(entity uint64) int32 {
	if entity == 0 {
		return none
	}
	for i := *t.bucket(entity) - 1; i != none; i = t.entries[i].next {
		if t.entries[i].entity == entity {
			return i
		}
	}
	return none
}

// get finds the entry of a process or makes one, and moves it to the front.
func (t *Table) get(entity, parent uint64) int32 {
	if i := t.find(entity); i != none {
		if t.newest != i {
			t.unlink(i)
			t.link(i)
		}
		if e := &t.entries[i]; e.parent == 0 {
			e.parent = parent
		}
		return i
	}
	i := t.used
	if int(i) < len(t.entries) {
		t.used++
	} else {
		i = t.evict()
	}
	_, inherited := t.above(parent)
	b := t.bucket(entity)
	t.entries[i] = entry{entity: entity, parent: parent, inherited: inherited, next: *b - 1}
	*b = i + 1
	t.link(i)
	return i
}

func (t *Table) link(i int32) {
	e := &t.entries[i]
	e.newer, e.older = none, t.newest
	if t.newest != none {
		t.entries[t.newest].newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
}

func (t *Table) unlink(i int32) {
	e := &t.entries[i]
	if e.newer != none {
		t.entries[e.newer].older = e.older
	} else {
		t.newest = e.older
	}
	if e.older != none {
		t.entries[e.older].newer = e.newer
	} else {
		t.oldest = e.newer
	}
}

// evict takes an entry out of use and returns it.
func (t *Table) evict() int32 {
	for range chancesMax {
		i := t.oldest
		if e := &t.entries[i]; e.own|e.inherited == 0 {
			break
		}
		t.unlink(i)
		t.link(i)
	}
	i := t.oldest
	e := &t.entries[i]
	if e.own|e.inherited != 0 {
		t.Counters.Evicted++
	}
	t.unlink(i)
	if b := t.bucket(e.entity); *b == i+1 {
		*b = e.next + 1
	} else {
		link := &t.entries[*b-1].next
		for *link != i {
			link = &t.entries[*link].next
		}
		*link = e.next
	}
	return i
}
