package lineage

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestEntryBytes(t *testing.T) {
	if got := unsafe.Sizeof(entry{}); got != entryBytes {
		t.Errorf("an entry has %d bytes, Bytes reckons with %d", got, entryBytes)
	}
}

// family is the obvious form: every process for ever.
type family struct {
	parent map[uint64]uint64
	own    map[uint64]uint64
}

func (f *family) of(entity, parent uint64) (m Marks) {
	m.Own = f.own[entity]
	if p := f.parent[entity]; p != 0 {
		parent = p
	}
	m.Parent = f.own[parent]
	for ; parent != 0; parent = f.parent[parent] {
		m.Ancestors |= f.own[parent]
	}
	return m
}

// TestFamily: as long as nothing is evicted, the table answers what a complete family tree does.
func TestFamily(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 50 {
		table := New(64)
		f := &family{make(map[uint64]uint64), make(map[uint64]uint64)}
		for step := range 400 {
			// A parent is always older than its child, so there are no circles.
			entity := 1 + r.Uint64N(60)
			parent := r.Uint64N(entity)
			if p := f.parent[entity]; p != 0 {
				parent = p
			}
			known := table.find(entity) != none
			switch r.IntN(3) {
			case 0:
				table.Begin(entity, parent)
			case 1:
				marks := uint64(1) << r.IntN(64)
				table.Mark(entity, parent, marks)
				f.own[entity] |= marks
			default:
				if got, want := table.Of(entity, parent), f.of(entity, parent); got != want {
					t.Fatalf("seed %d round %d step %d: process %d of %d: %+v, want %+v", seed, round, step, entity, parent, got, want)
				}
				continue
			}
			if !known || f.parent[entity] == 0 {
				f.parent[entity] = parent
			}
		}
		if table.Counters.Evicted != 0 {
			t.Fatalf("%d evicted of 60 processes in 64 entries", table.Counters.Evicted)
		}
	}
}

// TestMarkOutlivesProcess: a descendant knows of marks whose bearer was evicted.
func TestMarkOutlivesProcess(t *testing.T) {
	table := New(2)
	table.Mark(1, 0, 1<<5)
	table.Begin(2, 1)
	table.Begin(3, 2)
	table.Begin(4, 3)
	if m := table.Of(4, 3); m.Ancestors != 1<<5 || m.Own != 0 {
		t.Errorf("%+v", m)
	}
	if table.Counters.Evicted == 0 {
		t.Error("nothing counted as evicted")
	}
}

// TestSecondChance: processes without marks go before one that has some, however old.
func TestSecondChance(t *testing.T) {
	table := New(8)
	table.Mark(1, 0, 1)
	for e := uint64(2); e < 1000; e++ {
		table.Begin(e, 0)
	}
	if m := table.Of(1, 0); m.Own != 1 || table.Counters.Evicted != 0 {
		t.Errorf("%+v, evicted %d", m, table.Counters.Evicted)
	}
}

// TestFull: any traffic keeps the lists whole.
func TestFull(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 16, 17} {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 2))
		table := New(size)
		for range 5000 {
			e := r.Uint64N(100)
			if r.IntN(2) == 0 {
				table.Mark(e, r.Uint64N(100), 1<<r.IntN(64))
			} else {
				table.Begin(e, r.Uint64N(100))
			}
			table.Of(r.Uint64N(100), r.Uint64N(100))
		}
		n := 0
		for i := table.newest; i != none; i = table.entries[i].older {
			if table.find(table.entries[i].entity) != i {
				t.Fatalf("seed %d: an entry in use is not found", seed)
			}
			n++
		}
		if n != len(table.entries) {
			t.Errorf("seed %d: %d entries in the list of %d", seed, n, len(table.entries))
		}
	}
}

func BenchmarkOf(b *testing.B) {
	table := New(2048)
	for e := uint64(1); e < 2000; e++ {
		table.Begin(e, e-1)
	}
	for b.Loop() {
		table.Of(8, 7)
	}
}
