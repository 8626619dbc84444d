package agent

import (
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
	evring "github.com/kestrel-detection/kestrel/event/ring"
)

// losses empties a ring and gives place and counts of each loss record.
func losses(t *testing.T, r *evring.Ring) (got [][4]int64) {
	t.Helper()
	for {
		b, ok := r.Next()
		if !ok {
			r.Release()
			return got
		}
		if e := event.Check(b); e != event.ErrNone {
			t.Fatalf("a damaged record: %v", e)
		}
		rec := event.Record(b)
		if rec.Type() != event.TypeLoss {
			continue
		}
		var l [4]int64
		for i, slot := range []int{event.SlotContextID, event.SlotContextCount0, event.SlotContextCount1, event.SlotContextCount2} {
			l[i], _ = rec.Int(slot)
		}
		got = append(got, l)
	}
}

// TestLossIsToldOnce: each loss comes into the stream once, with its place and class, and one that found no room comes
// later together with what was added.
func TestLossIsToldOnce(t *testing.T) {
	out, err := evring.New(evring.BytesMin)
	if err != nil {
		t.Fatal(err)
	}
	r := newLossReporter(out)
	var s Stats
	check := func(want ...[4]int64) {
		t.Helper()
		if got := losses(t, out); !slices.Equal(got, want) {
			t.Errorf("losses %v, want %v", got, want)
		}
	}
	r.report(&s)
	check()

	s.Kernel.Dropped[ring.PointExec] = 2
	s.Kernel.Missed[ring.PointExit] = 1
	s.Kernel.Dropped[ring.PointFile] = 5
	r.report(&s)
	check([4]int64{PlaceKernel, 3, 5, 0})
	r.report(&s)
	check()

	s.Refused[event.ClassNetwork] = 7
	s.Kernel.Dropped[ring.PointNetwork] = 1
	r.report(&s)
	check([4]int64{PlaceKernel, 0, 0, 1}, [4]int64{PlaceEvents, 0, 0, 7})

	// No room: nothing is told, and nothing forgotten.
	for out.Push(execOf(1, 1, "/bin/filler")) {
	}
	for out.PushAs(event.ClassContext, make([]byte, 8)) {
	}
	refused := out.Refused(event.ClassProcess)
	s.Refused[event.ClassProcess], s.Kernel.Dropped[ring.PointFile] = 4, 6
	r.report(&s)
	s.Refused[event.ClassProcess], s.Refused[event.ClassFile] = 6, 1
	r.report(&s)
	if out.Refused(event.ClassProcess) != refused {
		t.Error("a loss record without room counts as a lost event")
	}
	for {
		if _, ok := out.Next(); !ok {
			break
		}
	}
	out.Release()
	r.report(&s)
	check([4]int64{PlaceKernel, 0, 1, 0}, [4]int64{PlaceEvents, 6, 1, 0})
	r.report(&s)
	check()
}

// TestLossReachesProcessTable: what was told is what the pipeline counts.
func TestLossReachesProcessTable(t *testing.T) {
	out, err := evring.New(evring.BytesMin)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPipeline(loadImage(t, compile(t, manyAlerts)), testSizes, nil, &keeper{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	s := Stats{Refused: [event.ClassContext]uint64{1, 2, 3}}
	s.Kernel.Dropped[ring.PointFile] = 40
	newLossReporter(out).report(&s)
	for {
		rec, ok := out.Next()
		if !ok {
			break
		}
		p.add(rec)
	}
	p.flush()
	if got := p.table.Stats().Lost; got != [event.ClassContext]uint64{1, 42, 3} {
		t.Errorf("lost %v", got)
	}
	if n := p.eng.Counters().Events; n != 0 {
		t.Errorf("%d events of loss records", n)
	}
}
