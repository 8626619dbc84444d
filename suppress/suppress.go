// Package suppress keeps rules from raising the same alert again and again: a rule may say by which fields of its last
// event two alerts are the same, and for how long one stands for those that follow.
//
// The time begins with the alert that is raised and is not prolonged by those that are not. Each of these is counted,
// and the next alert that is raised for the values, or else for the rule, states the count.
//
// Memory: New carves the table. When it is full the entry made longest ago goes, counted: an alert may then be raised
// before its time, never lost. A Table belongs to one goroutine; time is that of the events, so a replay suppresses what
// the device did.
package suppress

import (
	"encoding/binary"
	"math/bits"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

// Counters of a Table, all since New.
type Counters struct {
	Suppressed uint64 // alerts not raised
	Evicted    uint64 // entries given up before their time
}

// Plus adds the counts of another table.
func (c Counters) Plus(d Counters) Counters {
	c.Suppressed += d.Suppressed
	c.Evicted += d.Evicted
	return c
}

// Key stands for a rule and the values it suppresses by: a hash of 128 bits.
type Key struct{ a, b uint64 }

const (
	mul1 = 0x9e3779b97f4a7c15
	mul2 = 0xd6e8feb86659fd93
)

// KeyOf begins the key of a rule.
func KeyOf(rule uint32) Key { return Key{uint64(rule)*mul1 + mul2, uint64(rule) ^ mul1} }

func (k Key) mix(v uint64) Key {
	hi, lo := bits.Mul64(k.a^v, mul2)
	return Key{hi ^ k.b, lo + bits.RotateLeft64(v, 29)*mul1}
}

func (k Key) bytes(v []byte, blank bool) Key {
	n := uint64(len(v))
	for len(v) > 0 {
		m := min(len(v), 8)
		var word [8]byte
		for i, c := range v[:m] {
			if blank && c == 0 {
				c = ' '
			}
			word[i] = c
		}
		k, v = k.mix(binary.LittleEndian.Uint64(word[:])), v[m:]
	}
	return k.mix(n)
}

// absent stands for a field that an event does not have: such events are alike.
const absent = 0x6e6f6e65

// Event adds the value that a field has in an event.
func (k Key) Event(f event.FieldID, ev *event.Event) Key {
	if f.Kind().IsNumber() {
		if v, ok := ev.Int(f); ok {
			return k.mix(uint64(v)).mix(1)
		}
		return k.mix(absent)
	}
	if v, ok := ev.Bytes(f); ok {
		return k.bytes(v, f.NulIsSpace())
	}
	return k.mix(absent)
}

// Evidence adds the value that a field has in what was kept of an event.
func (k Key) Evidence(f event.FieldID, e alert.Evidence) Key {
	for it := e.Fields(); ; {
		field, ok := it.Next()
		if !ok {
			return k.mix(absent)
		}
		if field.ID != f {
			continue
		}
		if f.Kind().IsNumber() {
			return k.mix(uint64(field.Int())).mix(1)
		}
		return k.bytes(field.Value, f.NulIsSpace())
	}
}

const none = int32(-1)

type entry struct {
	key   Key
	until uint64
	rule  uint32
	count uint32 // suppressed since the alert
	next  int32  // of the bucket
	_     int32
}

const entryBytes = 40

// Table holds what is suppressed now.
type Table struct {
	Counters Counters

	entries []entry // a circle: the entry made longest ago is replaced first
	buckets []int32 // entry + 1; 0 is an empty bucket
	carried []uint32
	made    int // entries ever made
}

// Bytes is the memory that New carves for so many entries and rules.
func Bytes(entries, rules int) int {
	if entries == 0 {
		return 0
	}
	return entries*entryBytes + 4<<bits.Len(uint(entries-1)) + 4*rules
}

// New carves a table for so many entries, at least one, and a rule set.
func New(entries, rules int) *Table {
	entries = max(entries, 1)
	return &Table{
		entries: make([]entry, 0, entries), buckets: make([]int32, 1<<bits.Len(uint(entries-1))), carried: make([]uint32, rules),
	}
}

// Raise tells whether an alert of a rule is raised at time now, and how many were not since the last one. If it is, those
// of the next window ns are not.
func (t *Table) Raise(rule uint32, k Key, now, window uint64) (since uint32, ok bool) {
	b := &t.buckets[k.a&uint64(len(t.buckets)-1)]
	for i := *b - 1; i != none; i = t.entries[i].next {
		e := &t.entries[i]
		if e.key != k {
			continue
		}
		if now < e.until {
			e.count = more(e.count, 1)
			t.Counters.Suppressed++
			return 0, false
		}
		since = more(e.count, t.carried[rule])
		t.carried[rule], e.count, e.until = 0, 0, now+window
		return since, true
	}
	i := t.place(now)
	since, t.carried[rule] = t.carried[rule], 0
	t.entries[i] = entry{key: k, until: now + window, rule: rule, next: *b - 1}
	*b = i + 1
	return since, true
}

// more adds counts and stays at the largest.
func more(a, b uint32) uint32 {
	if s := a + b; s >= a {
		return s
	}
	return 1<<32 - 1
}

// place is the next free place; what stood there is unlinked and its count kept for the rule.
func (t *Table) place(now uint64) int32 {
	i := int32(t.made % cap(t.entries))
	t.made++
	if len(t.entries) < cap(t.entries) {
		t.entries = t.entries[:len(t.entries)+1]
		return i
	}
	e := &t.entries[i]
	if now < e.until {
		t.Counters.Evicted++
	}
	t.carried[e.rule] = more(t.carried[e.rule], e.count)
	link := &t.buckets[e.key.a&uint64(len(t.buckets)-1)]
	if *link == i+1 {
		*link = e.next + 1
		return i
	}
	at := *link - 1
	for t.entries[at].next != i {
		at = t.entries[at].next
	}
	t.entries[at].next = e.next
	return i
}
