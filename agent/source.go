package agent

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kestrel-detection/kestrel/agent/procfs"
	"github.com/kestrel-detection/kestrel/bpf"
	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/proc"
	evring "github.com/kestrel-detection/kestrel/event/ring"
	"github.com/kestrel-detection/kestrel/nfa"
)

// source is the capture: it moves records from the kernel's ring into the event ring and counts what gets lost.
type source struct {
	log     *Log
	handles bpf.Handles
	kernel  *ring.Reader
	counts  *ring.Counters
	events  *evring.Ring

	stopping atomic.Bool   // capture is to drain and end
	captured chan struct{} // closed when it has
	failed   chan error

	mu    sync.Mutex
	stats Stats // as of the last tick
}

// Stats are the counters of a run, at one moment each of its goroutines.
type Stats struct {
	Kernel    ring.Stats
	Read      uint64 // records read from the kernel's ring
	Bad       uint64 // of these refused as damaged
	Pushed    uint64 // into the event ring, context records included
	Refused   [event.ClassContext]uint64
	Engine    engine.Counters
	Sequences nfa.Counters
	Pending   int
	Processes proc.Stats
}

// tick is how often the goroutines look for something to do besides their ring and publish their counters.
const tick = 250 * time.Millisecond

// kernelWaitMillis is the deadline after which the kernel's ring is read although it is not a quarter full.
const kernelWaitMillis = 100

func newSource(h bpf.Handles, eventRing int, log *Log) (*source, error) {
	s := &source{log: log, handles: h, captured: make(chan struct{}), failed: make(chan error, 1)}
	var err error
	if s.kernel, err = ring.Open(h.Ring, h.RingBytes); err != nil {
		return nil, err
	}
	if s.counts, err = ring.OpenCounters(h.Counters, h.Programs); err != nil {
		return nil, err
	}
	if s.events, err = evring.New(eventRing); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *source) close() {
	s.kernel.Close()
	s.handles.Close()
}

// halt tells capture to read what the kernel has and to end.
func (s *source) halt() { s.stopping.Store(true) }

func (s *source) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// capture reads the kernel's ring into the event ring, after the processes that are there already.
func (s *source) capture() {
	defer close(s.captured)
	loss := newLossReporter(s.events)
	facts := procfs.New("/proc", "/etc")
	push := func(rec event.Record) { s.events.Push(rec) }
	if err := s.snapshot(facts); err != nil {
		s.log.Errorf("read /proc: %v; processes that run already are unknown", err)
	}
	var next, giveUp time.Time
	for {
		last := s.stopping.Load()
		if last && giveUp.IsZero() {
			giveUp = time.Now().Add(drainMax)
			s.handles.Detach()
		}
		// A load that fills the ring as fast as it is read must not keep the counters or the end waiting.
		for range drainBatch {
			rec, ok := s.kernel.Next()
			if !ok {
				break
			}
			s.events.Push(rec)
			s.kernel.Release()
		}
		s.kernel.Release()
		now := time.Now()
		if last || now.After(next) {
			next = now.Add(tick)
			s.count(loss)
			if err := facts.Refresh(push); err != nil {
				s.log.Debugf("%v", err)
			}
		}
		// A program that ran when its hook was detached still sends what it has.
		if last && (s.drained() || now.After(giveUp)) {
			return
		}
		if s.kernel.Avail() > 0 {
			continue
		}
		if err := s.kernel.Wait(kernelWaitMillis); err != nil {
			s.fail(fmt.Errorf("capture: %w", err))
			return
		}
	}
}

// drainBatch is how many records are moved before the clock is looked at, drainMax how long the end waits for programs
// of the kernel that run yet.
const (
	drainBatch = 4096
	drainMax   = time.Second
)

// drained tells that everything the kernel's programs sent was read.
func (s *source) drained() bool {
	sent := uint64(0)
	for c := range event.ClassContext {
		sent += s.stats.Kernel.Sent(c)
	}
	return s.stats.Read+s.stats.Bad >= sent
}

// snapshot puts the host, its users and the processes that run already into the event stream. It waits for room: the
// kernel's ring takes what happens meanwhile.
func (s *source) snapshot(facts *procfs.Snapshot) error {
	stats, err := facts.Run(func(rec event.Record) {
		for s.events.Used() > s.events.Size()/2 && !s.stopping.Load() {
			time.Sleep(time.Millisecond)
		}
		s.events.Push(rec)
	})
	s.log.Debugf("%d processes and %d users at start, %d gone while looked at, %d beyond the limit", stats.Processes,
		stats.Users, stats.Vanished, stats.Skipped)
	return err
}

// count publishes the kernel's counters and puts what was lost since the last time into the event stream.
func (s *source) count(loss *lossReporter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.counts.Read(&s.stats.Kernel); err != nil {
		s.fail(fmt.Errorf("capture: %w", err))
		return
	}
	s.stats.Read, s.stats.Bad = s.kernel.Records, s.kernel.Bad
	s.stats.Pushed = s.events.Pushed()
	for c := range s.stats.Refused {
		s.stats.Refused[c] = s.events.Refused(event.Class(c))
	}
	loss.report(&s.stats)
}
