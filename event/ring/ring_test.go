package ring

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

func newRing(t testing.TB, size int) *Ring {
	t.Helper()
	r, err := New(size)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNewRefusesSizes(t *testing.T) {
	for _, size := range []int{-1, 0, 1, BytesMin - 1, BytesMin / 2, BytesMin + 8, 3 * BytesMin, BytesMax * 2} {
		if _, err := New(size); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("New(%d): %v", size, err)
		}
	}
	for _, size := range []int{BytesMin, 1 << 20} {
		if r := newRing(t, size); r.Size() != size {
			t.Errorf("size %d, want %d", r.Size(), size)
		}
	}
}

// TestModel runs random operations against a slice of copies.
func TestModel(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		modelRun(t, seed)
	}
}

func modelRun(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRing(t, BytesMin)
	var waiting, lent [][]byte // copies; lent[i] is what views[i] must show until released
	var views [][]byte
	var pushed, popped, refused uint64
	buf := make([]byte, BytesMin)
	for step := 0; step < 20000; step++ {
		switch op := rng.IntN(10); {
		case op < 5:
			n := rng.IntN(200)
			if rng.IntN(20) == 0 {
				n = rng.IntN(BytesMin)
			}
			for i := range buf[:n] {
				buf[i] = byte(rng.Uint32())
			}
			if r.PushAs(event.ClassFile, buf[:n]) {
				pushed++
				waiting = append(waiting, bytes.Clone(buf[:n]))
				if n > r.RecordMax() {
					t.Fatalf("seed %d: took %d bytes, more than RecordMax", seed, n)
				}
			} else {
				refused++
				if len(waiting)+len(lent) == 0 && n <= r.RecordMax() {
					t.Fatalf("seed %d: an empty ring refused %d bytes", seed, n)
				}
			}
		case op < 8:
			b, ok := r.Next()
			if ok != (len(waiting) > 0) {
				t.Fatalf("seed %d: next %v with %d waiting", seed, ok, len(waiting))
			}
			if !ok {
				continue
			}
			popped++
			if len(b) > 0 && !aligned(r, b) {
				t.Fatalf("seed %d: record is not aligned", seed)
			}
			if len(b) != cap(b) {
				t.Fatalf("seed %d: capacity %d reaches beyond the record of %d", seed, cap(b), len(b))
			}
			lent, views, waiting = append(lent, waiting[0]), append(views, b), waiting[1:]
		case op == 8:
			r.Release()
			lent, views = nil, nil
		default:
			n := rng.IntN(len(lent) + 1)
			r.ReleaseN(n)
			lent, views = lent[n:], views[n:]
		}
		for i := range lent {
			if !bytes.Equal(lent[i], views[i]) {
				t.Fatalf("seed %d: a lent record changed", seed)
			}
		}
		if (r.Used() == 0) != (len(waiting)+len(lent) == 0) {
			t.Fatalf("seed %d: used %d with %d records", seed, r.Used(), len(waiting)+len(lent))
		}
	}
	if r.Pushed() != pushed || r.Popped() != popped || r.Refused(event.ClassFile) != refused || refused == 0 {
		t.Fatalf("seed %d: counters %d %d %d, want %d %d %d", seed, r.Pushed(), r.Popped(), r.Refused(event.ClassFile),
			pushed, popped, refused)
	}
}

// aligned tells whether b starts at an aligned place of the ring's bytes.
func aligned(r *Ring, b []byte) bool {
	for i := 0; i < len(r.buf); i += event.RecordAlign {
		if &r.buf[i] == &b[0] {
			return true
		}
	}
	return false
}

func TestFullRefusesNewestByClass(t *testing.T) {
	r := newRing(t, BytesMin)
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	push := func(ty event.Type, id int64) bool {
		b.Begin(ty, 1)
		rec := b.End()
		rec.SetID(uint64(id))
		return r.Push(rec)
	}
	n := int64(0)
	for push(event.TypeExec, n) {
		n++
	}
	for _, ty := range []event.Type{event.TypeFileCreate, event.TypeConnect, event.TypeConnect, event.TypeHostInfo} {
		// A context record is smaller than what is left over, so room is taken until it is gone.
		for push(ty, -1) {
			n++
		}
	}
	before := [...]uint64{r.Refused(0), r.Refused(1), r.Refused(2), r.Refused(3)}
	if before != [...]uint64{1, 1, 2, 1} {
		t.Fatalf("refused %v", before)
	}
	for i := int64(0); ; i++ {
		rec, ok := r.Next()
		if !ok {
			if i != n {
				t.Fatalf("%d records came out, %d went in", i, n)
			}
			break
		}
		if id := event.Record(rec).ID(); id != uint64(i) && id != ^uint64(0) {
			t.Fatalf("record %d has id %d: an older one was overwritten", i, id)
		}
	}
	if push(event.TypeExec, 0) {
		t.Fatal("pushed into bytes that are lent")
	}
	r.Release()
	if !push(event.TypeExec, 0) {
		t.Fatal("no room after Release")
	}
}

func TestReleaseNTooMany(t *testing.T) {
	r := newRing(t, BytesMin)
	r.PushAs(event.ClassFile, []byte("x"))
	r.Next()
	defer func() {
		if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
			t.Fatalf("recovered %q", s)
		}
	}()
	r.ReleaseN(2)
}

// TestHammer moves numbered records of every size between two goroutines; the consumer parks whenever it runs dry.
func TestHammer(t *testing.T) {
	records := uint64(300_000)
	if testing.Short() {
		records = 30_000
	}
	r := newRing(t, BytesMin)
	stop := make(chan struct{})
	done := make(chan uint64)
	go func() {
		rng := rand.New(rand.NewPCG(7, 7))
		buf := make([]byte, 600)
		var refused uint64
		for i := uint64(0); i < records; {
			n := 8 + rng.IntN(300)
			binary.LittleEndian.PutUint64(buf, i)
			for j := 8; j < n; j++ {
				buf[j] = byte(i) + byte(j)
			}
			if r.PushAs(event.ClassNetwork, buf[:n]) {
				i++
			} else {
				refused++
				runtime.Gosched()
			}
			if i%5000 == 0 {
				time.Sleep(50 * time.Microsecond) // lets the consumer fall asleep
			}
		}
		close(stop)
		done <- refused
	}()
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	want, parked := uint64(0), 0
	for running := true; running; {
		switch r.Wait(stop, tick.C) {
		case WokenStop:
			running = false // what is left is taken below
		case WokenTick:
			parked++
		}
		lent := 0
		for {
			b, ok := r.Next()
			if !ok {
				break
			}
			if got := binary.LittleEndian.Uint64(b); got != want {
				t.Fatalf("record %d, want %d", got, want)
			}
			for j := 8; j < len(b); j++ {
				if b[j] != byte(want)+byte(j) {
					t.Fatalf("record %d: byte %d is wrong", want, j)
				}
			}
			want++
			if lent++; lent == 7 {
				r.ReleaseN(3)
				lent = 4
			}
		}
		r.Release()
	}
	refused := <-done
	if want != records || r.Pushed() != records || r.Popped() != records || r.Refused(event.ClassNetwork) != refused {
		t.Fatalf("consumed %d, pushed %d, popped %d, refused %d; want %d and %d", want, r.Pushed(), r.Popped(),
			r.Refused(event.ClassNetwork), records, refused)
	}
	if r.Used() != 0 {
		t.Fatalf("%d bytes still used", r.Used())
	}
	t.Logf("refused %d, ticks %d", refused, parked)
}

// TestNoLostWakeup passes one record at a time back and forth: a lost wake-up stops the exchange for good.
func TestNoLostWakeup(t *testing.T) {
	there, back := newRing(t, BytesMin), newRing(t, BytesMin)
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	go func() {
		for i := 0; i < rounds; i++ {
			there.Wait(nil, nil)
			b, _ := there.Next()
			back.PushAs(event.ClassFile, b)
			there.Release()
		}
	}()
	deadline := time.After(time.Minute)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := 0; i < rounds; i++ {
			there.PushAs(event.ClassFile, []byte("ping"))
			back.Wait(nil, nil)
			back.Next()
			back.Release()
		}
	}()
	select {
	case <-finished:
	case <-deadline:
		t.Fatalf("stopped after %d of %d rounds", back.Popped(), rounds)
	}
}

func TestWaitReasons(t *testing.T) {
	r := newRing(t, BytesMin)
	stop := make(chan struct{})
	close(stop)
	if w := r.Wait(stop, nil); w != WokenStop {
		t.Fatalf("woken by %d, want stop", w)
	}
	tick := make(chan time.Time, 1)
	tick <- time.Time{}
	if w := r.Wait(nil, tick); w != WokenTick {
		t.Fatalf("woken by %d, want tick", w)
	}
	r.PushAs(event.ClassFile, []byte("x"))
	if w := r.Wait(stop, tick); w != WokenRecord {
		t.Fatalf("woken by %d, want record", w)
	}
	if r.asleep.Load() != 0 || len(r.wake) != 0 {
		t.Fatal("a wake-up is left over")
	}
}

// TestAllocs: four times the ring's capacity through it, and parking, without one allocation.
func TestAllocs(t *testing.T) {
	r := newRing(t, 64<<10)
	rec := make([]byte, 200)
	stop := make(chan struct{})
	close(stop)
	run := func(bytes int) {
		for moved := 0; moved < bytes; {
			for r.PushAs(event.ClassFile, rec) {
				moved += len(rec)
			}
			r.Wait(stop, nil)
			for i := 0; ; i++ {
				if _, ok := r.Next(); !ok {
					break
				}
				if i%2 == 0 {
					r.ReleaseN(1)
				}
			}
			r.Release()
			r.Wait(stop, nil)
		}
	}
	run(r.Size()) // fills the runtime's own caches for select
	if n := mallocs.Least(func() { run(4 * r.Size()) }); n != 0 {
		t.Fatalf("%d allocations", n)
	}
}

func BenchmarkPushNextRelease(b *testing.B) {
	r := newRing(b, 1<<20)
	rec := make([]byte, 256)
	b.SetBytes(int64(len(rec)))
	for i := 0; b.Loop(); i++ {
		r.PushAs(event.ClassFile, rec)
		r.Next()
		if i%64 == 63 {
			r.Release()
		}
	}
}

func BenchmarkTwoGoroutines(b *testing.B) {
	r := newRing(b, 1<<20)
	rec := make([]byte, 256)
	b.SetBytes(int64(len(rec)))
	n := b.N
	done := make(chan struct{})
	go func() {
		for got := 0; got < n; {
			r.Wait(nil, nil)
			for {
				if _, ok := r.Next(); !ok {
					break
				}
				if got++; got%64 == 0 {
					r.Release()
				}
			}
			r.Release()
		}
		close(done)
	}()
	b.ResetTimer()
	for i := 0; i < n; {
		if r.put(rec) {
			i++
		} else {
			runtime.Gosched()
		}
	}
	<-done
}
