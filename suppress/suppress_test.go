package suppress

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

func TestEntryBytes(t *testing.T) {
	if got := unsafe.Sizeof(entry{}); got != entryBytes {
		t.Errorf("an entry has %d bytes, Bytes reckons with %d", got, entryBytes)
	}
}

// TestWindow: the window begins with the alert that is raised, is not prolonged, and ends exactly.
func TestWindow(t *testing.T) {
	table := New(4, 2)
	k := KeyOf(1)
	for _, c := range []struct {
		at    uint64
		ok    bool
		since uint32
	}{{100, true, 0}, {100, false, 0}, {150, false, 0}, {199, false, 0}, {200, true, 3}, {299, false, 0}, {300, true, 1}, {1000, true, 0}} {
		since, ok := table.Raise(1, k, c.at, 100)
		if ok != c.ok || since != c.since {
			t.Errorf("at %d: raised %v since %d, want %v %d", c.at, ok, since, c.ok, c.since)
		}
	}
	if table.Counters != (Counters{Suppressed: 4}) {
		t.Errorf("%+v", table.Counters)
	}
}

// TestCounts: whatever the traffic and however small the table, every alert is raised or counted, and every count is
// stated by a later alert of the same rule or waits in the table.
func TestCounts(t *testing.T) {
	for _, size := range []int{0, 1, 3, 64} {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 1))
		const rules = 3
		table := New(size, rules)
		var raised, suppressed, stated uint64
		now := uint64(0)
		for range 20000 {
			now += r.Uint64N(5)
			rule := uint32(r.IntN(rules))
			k := KeyOf(rule).mix(r.Uint64N(20))
			since, ok := table.Raise(rule, k, now, 30)
			if ok {
				raised++
				stated += uint64(since)
			} else {
				suppressed++
			}
		}
		for i := range table.entries {
			stated += uint64(table.entries[i].count)
		}
		for _, n := range table.carried {
			stated += uint64(n)
		}
		if suppressed != table.Counters.Suppressed || suppressed != stated || suppressed == 0 || raised == 0 {
			t.Errorf("seed %d size %d: %d suppressed, %d counted, %d stated", seed, size, suppressed, table.Counters.Suppressed, stated)
		}
		if size == 64 && table.Counters.Evicted != 0 || size == 1 && table.Counters.Evicted == 0 {
			t.Errorf("seed %d size %d: %d evicted", seed, size, table.Counters.Evicted)
		}
	}
}

// TestKeys: events that differ in a field have different keys, equal ones equal keys, and an event has the key of its
// evidence.
func TestKeys(t *testing.T) {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	seen := make(map[Key]string)
	for _, name := range []string{"", "a", "a\x00", "b", "abcdefgh", "abcdefgh\x00", "abcdefghi"} {
		for _, uid := range []int64{-1, 0, 1} {
			b.Begin(event.TypeExec, 1)
			b.String(event.SlotName, name, 0)
			if uid >= 0 {
				b.Int(event.SlotUID, uid)
			}
			ev := &event.Event{Own: b.End()}
			ev.Proc = ev.Own
			ev.SetCategory()
			k := KeyOf(1).Event(event.FieldName, ev).Event(event.FieldUserID, ev)
			e := alert.Evidence(alert.AppendEvidence(make([]byte, 0, alert.EvidenceBytesMax), ev, alert.EvidenceBytesMax))
			if got := KeyOf(1).Evidence(event.FieldName, e).Evidence(event.FieldUserID, e); got != k {
				t.Errorf("%q %d: the evidence has another key", name, uid)
			}
			what := fmt.Sprintf("%q %d", name, uid)
			if other, ok := seen[k]; ok {
				t.Errorf("%s has the key of %s", what, other)
			}
			seen[k] = what
			if KeyOf(2).Event(event.FieldName, ev).Event(event.FieldUserID, ev) == k {
				t.Error("two rules have one key")
			}
		}
	}
}
