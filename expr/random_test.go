package expr_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/irtest"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// stages is how many earlier events random conditions read.
const stages = 3

// world is what a condition is evaluated in, for both sides.
type world struct {
	ctx   expr.Context
	env   reference.Env
	marks map[string]int
}

func newWorld(s *irtest.Source, marks map[string]int) *world {
	w := &world{marks: marks}
	own := s.Event()
	w.ctx.Event, w.env.Event = own, own
	for i := range stages {
		w.env.Stages = append(w.env.Stages, nil)
		if s.IntN(3) > 0 {
			ev := s.Event()
			w.env.Stages[i] = ev
			w.ctx.Stages[i] = alert.AppendEvidence(make([]byte, 0, alert.EvidenceBytesMax), ev, alert.EvidenceBytesMax)
		}
	}
	w.ctx.Lineage = expr.Lineage{Own: s.Uint64(), Parent: s.Uint64(), Ancestors: s.Uint64()}
	w.env.Lineage = func(n ir.Lineage) bool {
		bits := [...]uint64{w.ctx.Lineage.Own, w.ctx.Lineage.Parent, w.ctx.Lineage.Ancestors}[n.Rel]
		return bits>>markOf(w.marks, n)&1 != 0
	}
	return w
}

// markOf numbers lineage conditions, equal ones alike.
func markOf(marks map[string]int, n ir.Lineage) int {
	key := fmt.Sprint(n.Event.Category, n.Event.Cond)
	if _, ok := marks[key]; !ok {
		marks[key] = len(marks)
	}
	return marks[key]
}

// TestRandom: a program has the value that the reference gives the condition, for conditions of every kind over events
// with and without each field.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	src := &irtest.Source{Rand: rand.New(rand.NewPCG(seed, 11)), Stages: stages, Lineage: true}
	marks := make(map[string]int)
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	var seen [3]int
	later := 0
	for range rounds {
		var b build.Builder
		var nodes []ir.Node
		var programs []uint32
		for range 100 {
			n := src.Node(4)
			p, err := b.Add(n, func(l ir.Lineage) int { return markOf(marks, l) })
			if err != nil {
				continue // three arrays at once
			}
			nodes, programs = append(nodes, n), append(programs, p)
		}
		if len(nodes) < 50 {
			t.Fatalf("seed %d: only %d of 100 conditions compile", seed, len(nodes))
		}
		set := loaded(t, &b)
		sc := set.NewScratch()
		for i, n := range nodes {
			if set.Later(programs[i]) {
				later++
			}
			for range 20 {
				w := newWorld(src, marks)
				want := reference.EvalIn(n, &w.env)
				got := ir.Truth(set.Eval(programs[i], &w.ctx, sc))
				seen[got]++
				if got != want {
					t.Fatalf("seed %d: %s, want %s\n%#v", seed, got, want, n)
				}
			}
		}
		if sc.Cut > 0 {
			t.Errorf("seed %d: %d texts cut", seed, sc.Cut)
		}
	}
	if seen[ir.Null] == 0 || seen[ir.False] == 0 || seen[ir.True] == 0 || later == 0 {
		t.Errorf("values reached: %v, %d programs read other events", seen, later)
	}
}

func loaded(tb testing.TB, b *build.Builder) *expr.Set {
	tb.Helper()
	table, err := b.Table()
	if err != nil {
		tb.Fatal(err)
	}
	set, err := expr.Load(table)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}
