package proc

import "math/bits"

// none is no entry.
const none = ^uint32(0)

// entry is one process. Its facts are the record in its block.
type entry struct {
	entity, parent uint64
	session        uint64 // entity of the session's leader; 0 unknown
	facts          uint64 // see event.Event.ProcFacts
	pid            uint32
	block          uint32
	prev, next     uint32 // neighbours in the list of live or of exited processes
	exited         bool
}

// list is a doubly linked list of entries, the one seen last first.
type list struct{ head, tail uint32 }

// store holds entries, finds and evicts them, and hands out blocks by number. It knows nothing of what is in them.
//
// Invariants: entries[:used] are in use, each in exactly one list, in byID, and holding one block; blocks are held by
// an entry, free, in limbo, or not below fresh.
type store struct {
	entries []entry
	used    uint32
	lists   [2]list // live, exited
	byID    index
	byPid   index

	free   []uint32
	limbo  []uint32
	fresh  uint32 // the first block never used: its pages were never touched
	blocks uint32
}

func (s *store) init(entries, blocks, limbo int) {
	s.entries = make([]entry, entries)
	s.lists = [2]list{{none, none}, {none, none}}
	s.byID.init(entries)
	s.byPid.init(entries)
	s.free = make([]uint32, 0, blocks)
	s.limbo = make([]uint32, 0, limbo)
	s.blocks = uint32(blocks)
}

// take gives out a block that no Event borrows.
func (s *store) take() uint32 {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	if s.fresh == s.blocks {
		batchTooLong()
	}
	s.fresh++
	return s.fresh - 1
}

func batchTooLong() { panic("BUG: process table: more records in a batch than limbo blocks") }

func (s *store) release() {
	s.free = append(s.free, s.limbo...)
	s.limbo = s.limbo[:0]
}

func (s *store) retire(block uint32) {
	if len(s.limbo) == cap(s.limbo) {
		batchTooLong()
	}
	s.limbo = append(s.limbo, block)
}

func (s *store) byEntity(entity uint64) uint32 {
	x := &s.byID
	tag := entityTag(entity)
	for at := x.home(tag); ; at = (at + 1) & x.mask {
		v := x.slots[at]
		if v == 0 {
			return none
		}
		if uint32(v>>32) == tag {
			if i := uint32(v) - 1; s.entries[i].entity == entity {
				return i
			}
		}
	}
}

// byPID is the entry that had the pid last.
func (s *store) byPID(pid uint32) uint32 {
	x := &s.byPid
	tag := pidTag(pid)
	for at := x.home(tag); ; at = (at + 1) & x.mask {
		v := x.slots[at]
		if v == 0 {
			return none
		}
		if uint32(v>>32) == tag {
			return uint32(v) - 1
		}
	}
}

// insert makes an entry, of which the caller sets parent and session. When there is no room another process is forgotten.
func (s *store) insert(entity uint64, pid, block uint32) (i uint32, evicted bool) {
	if int(s.used) < len(s.entries) {
		i = s.used
		s.used++
	} else {
		i = s.lists[1].tail
		if i == none {
			i = s.lists[0].tail
		}
		s.evict(i)
		evicted = true
	}
	s.entries[i] = entry{entity: entity, pid: pid, block: block}
	s.pushFront(i)
	s.byID.add(entityTag(entity), i)
	s.latest(pid, i)
	return i, evicted
}

func (s *store) evict(i uint32) {
	en := &s.entries[i]
	s.unlink(i)
	s.byID.remove(entityTag(en.entity), i)
	s.byPid.remove(pidTag(en.pid), i)
	s.retire(en.block)
}

// latest makes i the entry that had the pid last.
func (s *store) latest(pid, i uint32) {
	if pid == 0 {
		return
	}
	if old := s.byPID(pid); old != i {
		if old != none {
			s.byPid.remove(pidTag(pid), old)
		}
		s.byPid.add(pidTag(pid), i)
	}
}

// replace gives a known process a new block and makes it live.
func (s *store) replace(i, pid, block uint32) {
	en := &s.entries[i]
	s.retire(en.block)
	en.block = block
	s.unlink(i)
	en.exited = false
	s.pushFront(i)
	if en.pid != pid {
		s.byPid.remove(pidTag(en.pid), i)
		en.pid = pid
	}
	s.latest(pid, i)
}

// exit moves a process to those that are forgotten first. It is false when it was there already.
func (s *store) exit(i uint32) bool {
	if s.entries[i].exited {
		return false
	}
	s.unlink(i)
	s.entries[i].exited = true
	s.pushFront(i)
	return true
}

// exitAll does so with all, and forgets which pid was whose. The order in which they are forgotten stays.
func (s *store) exitAll() {
	for s.lists[0].tail != none {
		s.exit(s.lists[0].tail)
	}
	clear(s.byPid.slots)
}

// touch makes a process the one seen last.
func (s *store) touch(i uint32) {
	if s.entries[i].prev == none {
		return
	}
	s.unlink(i)
	s.pushFront(i)
}

func (s *store) listOf(en *entry) *list {
	if en.exited {
		return &s.lists[1]
	}
	return &s.lists[0]
}

func (s *store) pushFront(i uint32) {
	en := &s.entries[i]
	l := s.listOf(en)
	en.prev, en.next = none, l.head
	if l.head != none {
		s.entries[l.head].prev = i
	} else {
		l.tail = i
	}
	l.head = i
}

func (s *store) unlink(i uint32) {
	en := &s.entries[i]
	l := s.listOf(en)
	if en.prev != none {
		s.entries[en.prev].next = en.next
	} else {
		l.head = en.next
	}
	if en.next != none {
		s.entries[en.next].prev = en.prev
	} else {
		l.tail = en.prev
	}
}

// index maps tags to entries by open addressing with linear probing: a slot is tag<<32 | entry+1, 0 is empty. The home
// of a tag is its upper bits, so the tag alone says where a slot belongs.
type index struct {
	slots []uint64
	mask  uint32
	shift uint8
}

// indexSlots is a power of two of at least twice the entries: probes stay short.
func indexSlots(entries int) int { return 1 << bits.Len(uint(2*entries-1)) }

func (x *index) init(entries int) {
	n := indexSlots(entries)
	x.slots = make([]uint64, n)
	x.mask = uint32(n - 1)
	x.shift = uint8(32 - bits.TrailingZeros(uint(n)))
}

func (x *index) home(tag uint32) uint32 { return tag >> x.shift }

func (x *index) add(tag, i uint32) {
	at := x.home(tag)
	for x.slots[at] != 0 {
		at = (at + 1) & x.mask
	}
	x.slots[at] = uint64(tag)<<32 | uint64(i+1)
}

// remove takes the slot of (tag, i) out, if there is one, and closes the gap (Knuth, volume 3, section 6.4, algorithm R).
func (x *index) remove(tag, i uint32) {
	want := uint64(tag)<<32 | uint64(i+1)
	at := x.home(tag)
	for x.slots[at] != want {
		if x.slots[at] == 0 {
			return
		}
		at = (at + 1) & x.mask
	}
	gap := at
	for {
		at = (at + 1) & x.mask
		v := x.slots[at]
		if v == 0 {
			break
		}
		// A slot moves into the gap unless its home lies behind the gap on the way to where it is.
		if home := x.home(uint32(v >> 32)); (at-home)&x.mask >= (at-gap)&x.mask {
			x.slots[gap] = v
			gap = at
		}
	}
	x.slots[gap] = 0
}

// The multipliers are 2 to the power of 64 and 32 divided by the golden ratio, made odd (Knuth, volume 3, section
// 6.4); the second is a bijection, so that a tag stands for one pid.
func entityTag(entity uint64) uint32 { return uint32(entity * 0x9e3779b97f4a7c15 >> 32) }

func pidTag(pid uint32) uint32 { return pid * 0x9e3779b1 }
