package agent

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf"
	"github.com/kestrel-detection/kestrel/event"
	evring "github.com/kestrel-detection/kestrel/event/ring"
	"github.com/kestrel-detection/kestrel/sink"
)

// parkMany fills the runtime's caches of what a parked goroutine needs (at most 128 a processor, then shared): goroutines
// that park on one processor and wake on another drain the one and fill the other until then.
func parkMany() {
	const goroutines = 1024
	gate, done := make(chan struct{}), make(chan struct{})
	for range goroutines {
		go func() { <-gate; done <- struct{}{} }()
	}
	close(gate)
	for range goroutines {
		<-done
	}
	// The same for threads: one that waits in a system call makes the runtime start another.
	const threads = 16
	for range threads {
		go func() { pause(20 * time.Millisecond); done <- struct{}{} }()
	}
	for range threads {
		<-done
	}
}

func skipRace(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector makes heap objects of its own")
	}
}

// nullSink writes JSON lines to a descriptor.
func nullSink(t *testing.T, fd int) Sink {
	t.Helper()
	s, err := sink.OpenStdout(fd, true, make([]byte, sink.BufferBytesMin))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quiet switches the collector off until the test ends: it makes objects of its own and empties the runtime's caches.
func quiet(t *testing.T) {
	runtime.GC()
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	parkMany()
}

// within runs f up to ten times and gives the least number of heap objects that the whole process made in one. On
// a busy machine the runtime may need another thread, whenever that is; what events cost shows in every round.
func within(t *testing.T, f func()) (least uint64) {
	const rounds = 10
	least = math.MaxUint64
	var before, after runtime.MemStats
	for i := range rounds {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		n := after.Mallocs - before.Mallocs
		if least = min(least, n); n == 0 {
			break
		}
		t.Logf("round %d: %d heap objects", i+1, n)
	}
	return least
}

// TestNoAllocation: from the event ring through the pipeline and the alert ring to a sink no heap object is made, over
// more than four capacities of both rings, with a loss now and then.
func TestNoAllocation(t *testing.T) {
	for _, c := range []struct {
		name    string
		workers int
		pipe    bool
	}{{"file", 1, false}, {"pipe", 1, true}, {"workers", 3, false}} {
		t.Run(c.name, func(t *testing.T) { noAllocation(t, c.workers, c.pipe) })
	}
}

func noAllocation(t *testing.T, workers int, pipe bool) {
	skipRace(t)
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if pipe {
		var in *os.File
		if in, out, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		go drain(int(in.Fd()))
		defer in.Close()
	}
	defer out.Close()

	s := DeviceSizes
	s.Workers = workers
	// Small pools: evictions are part of it.
	s.Processes, s.Tracks, s.States, s.Evidence = 128, 64, 64, 64
	l := &live{
		source: &source{log: NewLog(os.Stderr, LevelWarn), captured: make(chan struct{}), failed: make(chan error, 1)},
		sinks:  []*namedSink{{Sink: nullSink(t, int(out.Fd())), name: "null"}}, matched: make(chan struct{}), written: make(chan struct{}),
		swap: make(chan *Rules), swapped: make(chan swapped),
	}
	if l.events, err = evring.New(256 << 10); err != nil {
		t.Fatal(err)
	}
	if l.alerts, err = evring.New(alertRingBytes); err != nil {
		t.Fatal(err)
	}
	if l.pipe, err = newPipeline(loadImage(t, compile(t, manyAlerts)), s, nil, alertPusher{l.alerts}); err != nil {
		t.Fatal(err)
	}
	recs := recorded(t)
	loss := newLossReporter(l.events)
	quiet(t)
	go l.match()
	go l.write()

	at, bytesIn, written, lost := 0, 0, uint64(0), Stats{}
	push := func(n int) {
		for range n {
			rec := recs[at]
			if at++; at == len(recs) {
				at = 0
			}
			for l.events.Used() > l.events.Size()/2 || l.alerts.Used() > l.alerts.Size()/2 {
				pause(50 * time.Microsecond)
			}
			if !l.events.Push(rec) {
				panic("the event ring has no room when half of it is free")
			}
			bytesIn += len(rec)
			if at%1000 == 0 {
				lost.Kernel.Dropped[at/1000%2]++
				lost.Refused[event.ClassFile]++
				loss.report(&lost)
			}
		}
	}
	push(len(recs))
	mallocs := within(t, func() {
		bytesIn, written = 0, l.sinks[0].Counters().Bytes
		push(3 * len(recs))
		written = l.sinks[0].Counters().Bytes - written
	})
	close(l.captured)
	<-l.written
	l.pipe.close()
	if mallocs != 0 {
		t.Errorf("%d heap objects for %d records", mallocs, 3*len(recs))
	}
	// JSON is at most a few times as long as the alert; half of what was written is a low reckoning of ring bytes.
	if bytesIn < 4*l.events.Size() || written < 8*alertRingBytes {
		t.Errorf("%d bytes of events through a ring of %d, %d bytes of alerts behind one of %d: less than four times", bytesIn,
			l.events.Size(), written, alertRingBytes)
	}
	c := l.pipe.eng.Counters()
	end := l.sinks[0].Counters()
	if n := c.Alerts - c.AlertsLost; n != l.alerts.Pushed() || n != end.Alerts+end.Lost+end.Pending {
		t.Errorf("%d alerts, %d lost, %d through the ring; the output: %+v", c.Alerts, c.AlertsLost, l.alerts.Pushed(), end)
	}
	if n, _ := l.pipe.eng.Sequences(); n.Evicted == 0 || n.Completed == 0 {
		t.Errorf("sequences: %+v", n)
	}
	if n := l.pipe.table.Stats(); n.Lost[event.ClassFile] == 0 || n.Evicted == 0 {
		t.Errorf("processes: %+v", n)
	}
}

// TestNoAllocationLive is the same with the kernel in front: what it captures of a load goes through all three
// goroutines of a running agent.
func TestNoAllocationLive(t *testing.T) {
	requireCapture(t)
	skipRace(t)
	program := tinyProgram(t, t.TempDir())
	c, err := bpf.Load(bpf.Options{RingBytes: 256 << 10, Classes: 1<<event.ClassProcess | 1<<event.ClassFile | 1<<event.ClassNetwork,
		Exclude: []uint32{uint32(os.Getpid())}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cfg := small()
	cfg.Alerts.Outputs = []string{"file"}
	cfg.Alerts.FilePath = t.TempDir() + "/alerts"
	cfg.Alerts.MaxFileSizeMB = 0 // to begin a new file takes names, which are heap objects, and no event waits for that
	o := Options{Config: cfg, Rules: ImageBytes(compile(t, manyAlerts)), Log: NewLog(os.Stderr, LevelWarn)}
	l, err := newLive(o, c.Handles())
	if err != nil {
		t.Fatal(err)
	}
	l.sinks = append(l.sinks, &namedSink{Sink: nullSink(t, int(null.Fd())), name: "null"})
	quiet(t)
	l.start()

	work := helperCommand(os.Args[0], "load", program, "0")
	stop, err := work.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Start(); err != nil {
		t.Fatal(err)
	}
	// Then /proc is read and each goroutine has had a tick.
	pause(3 * tick)
	before := l.copyStats()
	mallocs := within(t, func() { pause(time.Second) })
	after := l.copyStats()
	stop.Close()
	if err := work.Wait(); err != nil {
		t.Error(err)
	}
	l.halt()
	<-l.written
	events := after.Engine.Events - before.Engine.Events
	t.Logf("%d events and %d alerts", events, after.Engine.Alerts-before.Engine.Alerts)
	if events < 1000 || after.Engine.Alerts == before.Engine.Alerts {
		t.Errorf("only %d events, %d alerts", events, after.Engine.Alerts-before.Engine.Alerts)
	}
	if mallocs != 0 {
		t.Errorf("%d heap objects for %d events", mallocs, events)
	}
	for _, s := range l.sinks {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	l.pipe.close()
	l.rules.Close()
	l.kernel.Close() // the handles are the capture's, which closes them
}

// drain reads a pipe until it ends, in memory it has once and for all.
func drain(fd int) {
	var b [16 << 10]byte
	for {
		if n, err := unix.Read(fd, b[:]); n == 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// pause sleeps without a timer of the runtime, which is a heap object.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}

func (l *live) copyStats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}
