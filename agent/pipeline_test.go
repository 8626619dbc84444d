package agent

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// mixed is the recorded capture with all that a stream can bring besides: another boot, users, losses and events that
// bring their own process facts, at random places.
func mixed(t *testing.T, rng *rand.Rand) []event.Record {
	recs := recorded(t)
	if len(recs) < 4096 {
		t.Fatalf("the capture has only %d records", len(recs))
	}
	first := rng.IntN(len(recs) - 4096)
	recs = append(slices.Clip(recs[:300]), recs[first:first+4096]...)
	for range 12 {
		at := rng.IntN(len(recs))
		time := recs[at].Time()
		recs = slices.Insert(recs, at, extra(t, rng, time)...)
	}
	return recs
}

func extra(t *testing.T, rng *rand.Rand, time uint64) []event.Record {
	switch rng.IntN(4) {
	case 0:
		return []event.Record{build(event.TypeUserInfo, time, 0, func(b *event.Builder) {
			b.Int(event.SlotContextID, int64(rng.IntN(3)))
			b.String(event.SlotContextText, string(rune('a'+rng.IntN(26))), 0)
		})}
	case 1:
		return []event.Record{build(event.TypeHostInfo, time, 0, func(b *event.Builder) {
			b.Int(event.SlotContextID, rng.Int64N(1e9))
			b.Int(event.SlotContextSeed, int64(1+rng.IntN(3)))
			b.String(event.SlotContextText, "another", 0)
		})}
	case 2:
		return []event.Record{build(event.TypeLoss, time, 0, func(b *event.Builder) {
			b.Int(event.SlotContextID, PlaceKernel)
			b.Int(event.SlotContextCount0, 3)
		})}
	}
	line := `{"event_type":"exec","process.pid":77,"process.executable":"/tmp/own","process.args":["own"],` +
		`"process.parent.name":"its parent","process.parent.pid":7,"user.id":"5","host.name":"elsewhere"}`
	r := ecsjson.NewReader(bytes.NewReader([]byte(line)))
	var recs []event.Record
	for {
		rec, err := r.Next()
		if err != nil {
			break
		}
		recs = append(recs, bytes.Clone(rec))
	}
	if len(recs) < 2 {
		t.Fatalf("%d records of an inline event", len(recs))
	}
	return recs
}

// outcome is all that a pipeline has to say of a run.
type outcome struct {
	alerts  [][]byte
	events  uint64
	stats   any
	nfa     any
	pending int
}

// drive feeds copies of the records and ends a batch where split says so.
func drive(t *testing.T, img *image.Image, s Sizes, recs []event.Record, split func() bool) outcome {
	t.Helper()
	out := &keeper{}
	p, err := newPipeline(img, s, nil, out)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for _, rec := range recs {
		if p.full() || split() {
			p.flush()
		}
		p.add(bytes.Clone(rec))
	}
	p.flush()
	p.flush() // nothing is left
	seq, pending := p.eng.Sequences()
	return outcome{out.alerts, p.eng.Counters().Events, p.table.Stats(), seq, pending}
}

// TestBatchesDoNotMatter: where batches end changes nothing, nor does the number of workers.
func TestBatchesDoNotMatter(t *testing.T) {
	img := loadImage(t, compile(t, manyAlerts))
	for seed := uint64(1); seed <= 6; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		recs := mixed(t, rng)
		s := testSizes
		if seed%2 == 0 {
			// Small pools: what is evicted must not depend on batches either.
			s.Processes, s.Tracks, s.States, s.Evidence = 64, 16, 16, 16
		}
		want := drive(t, img, s, recs, func() bool { return false })
		if len(want.alerts) < 100 || want.pending == 0 {
			t.Fatalf("seed %d: %d alerts, %d pending: the test does little", seed, len(want.alerts), want.pending)
		}
		for _, chance := range []int{1, 2, 7, 100, 600} {
			s.Workers = 1 + rng.IntN(3)
			got := drive(t, img, s, recs, func() bool { return rng.IntN(chance) == 0 })
			if got.events != want.events || got.stats != want.stats || got.nfa != want.nfa || got.pending != want.pending {
				t.Fatalf("seed %d, one in %d, %d workers: %+v, want %+v", seed, chance, s.Workers,
					[]any{got.events, got.stats, got.nfa, got.pending}, []any{want.events, want.stats, want.nfa, want.pending})
			}
			compareAlerts(t, got.alerts, want.alerts)
		}
	}
}

func compareAlerts(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d alerts, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("alert %d differs:\n%x\n%x", i, got[i], want[i])
		}
	}
}

// TestBatchIsBounded: a batch takes as many records as there are places, context records included, and no more.
func TestBatchIsBounded(t *testing.T) {
	p, err := newPipeline(loadImage(t, compile(t, manyAlerts)), testSizes, nil, &keeper{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for n := range limits.BatchMax {
		if p.full() {
			t.Fatalf("full with %d records", n)
		}
		ty := event.TypeProcessInfo
		if n%2 == 0 {
			ty = event.TypeExec
		}
		p.add(build(ty, uint64(n), uint32(n+1), nil))
	}
	if !p.full() {
		t.Fatalf("not full with %d records", limits.BatchMax)
	}
	p.flush()
	if p.full() || p.eng.Counters().Events != limits.BatchMax/2 {
		t.Errorf("after the flush: full %v, %d events", p.full(), p.eng.Counters().Events)
	}
}

// TestUseAnotherImage: rules may change between two events. What was pending is dropped and counted, the numbers of the
// alerts go on, and what is known of processes stays.
func TestUseAnotherImage(t *testing.T) {
	out := &keeper{}
	p, err := newPipeline(loadImage(t, compile(t, map[string]string{
		"one": `process where process.name == "a"`,
		"two": `sequence by process.entity_id [process where process.name == "a"] [file where file.path == "/x"]`,
	})), testSizes, nil, out)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	feed := func(recs ...event.Record) {
		for _, r := range recs {
			p.add(r)
		}
		p.flush()
	}
	feed(execOf(1, 100, "/bin/a"))
	next := loadImage(t, compile(t, map[string]string{"three": `file where process.name == "a" and process.parent.pid == 1`}))
	if dropped := p.use(next); dropped != 1 {
		t.Errorf("%d pending sequences dropped, want 1", dropped)
	}
	feed(openOf(2, 100, "/x"))
	var got []string
	for i, a := range out.alerts {
		got = append(got, string(alert.Alert(a).RuleID()))
		if seq := alert.Alert(a).Seq(); seq != uint64(i+1) {
			t.Errorf("alert %d has number %d", i, seq)
		}
	}
	if !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("alerts of %v", got)
	}
	if p.now != 2 {
		t.Errorf("now is %d", p.now)
	}
}
