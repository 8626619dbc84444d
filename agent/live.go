package agent

import (
	"time"

	"github.com/kestrel-detection/kestrel/bpf"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	evring "github.com/kestrel-detection/kestrel/event/ring"
	"github.com/kestrel-detection/kestrel/sink"
)

// Sink is what the agent asks of an output.
type Sink interface {
	Write(a alert.Alert) error
	Flush() error
	Close() error
	Counters() sink.Counters
}

// swapped is the rules that were replaced and the sequences that went with them.
type swapped struct {
	rules   *Rules
	pending int
}

// live is the pipeline of a running agent.
type live struct {
	*source
	o      Options
	alerts *evring.Ring
	sinks  []*namedSink
	pipe   *pipeline
	rules  *Rules

	budget budget

	matched chan struct{} // closed when the last event was matched
	written chan struct{} // closed when the last alert was given to the sinks
	swap    chan *Rules
	swapped chan swapped
}

func newLive(o Options, h bpf.Handles) (*live, error) {
	l := &live{
		o: o, matched: make(chan struct{}), written: make(chan struct{}), swap: make(chan *Rules), swapped: make(chan swapped),
	}
	var err error
	if l.rules, err = o.Rules.Load(); err != nil {
		return nil, err
	}
	if l.budget, err = newBudget(o.Config, h.RingBytes, l.rules.Image); err != nil {
		return nil, err
	}
	if l.source, err = newSource(h, l.budget.eventRing, o.Log); err != nil {
		return nil, err
	}
	if l.alerts, err = evring.New(alertRingBytes); err != nil {
		return nil, err
	}
	if l.sinks, err = openSinks(o); err != nil {
		return nil, err
	}
	if l.pipe, err = newPipeline(l.rules.Image, l.budget.sizes, l.budget.slab, alertPusher{l.alerts}); err != nil {
		return nil, err
	}
	return l, nil
}

// closeSinks ends the outputs: what one still keeps is lost then, and counted so.
func (l *live) closeSinks() {
	for _, s := range l.sinks {
		if err := s.Close(); err != nil {
			l.o.Log.Errorf("close output %s: %v", s.name, err)
		}
	}
}

// close frees the rest, after closeSinks.
func (l *live) close() {
	l.pipe.close()
	l.rules.Close()
	l.source.close()
}

// alertPusher is the engine's way into the alert ring. An alert that is refused has its sequence number already, so the
// gap shows.
type alertPusher struct{ r *evring.Ring }

func (p alertPusher) Push(a []byte) bool { return p.r.PushAs(event.ClassProcess, a) }

func (l *live) start() {
	go l.capture()
	go l.match()
	go l.write()
}

// drainedMax is how long the end waits for what was captured to be matched and written.
const drainedMax = 10 * time.Second

// stop drains: what the kernel has captured is read, matched and written before it returns. It gives up after drainedMax
// and says what is left; false then: the goroutines still use everything.
func (l *live) stop() bool {
	l.halt()
	select {
	case <-l.written:
		return true
	case <-time.After(drainedMax):
		l.log.Errorf("not drained after %s: %d bytes of events and %d bytes of alerts are lost", drainedMax, l.events.Used(), l.alerts.Used())
		return false
	}
}

// match takes events out of the event ring, a batch at a time.
func (l *live) match() {
	defer close(l.matched)
	t := time.NewTicker(tick)
	defer t.Stop()
	for ended := false; ; {
		for !l.pipe.full() {
			rec, ok := l.events.Next()
			if !ok {
				break
			}
			l.pipe.add(rec)
		}
		more := l.pipe.full()
		l.pipe.flush()
		if !more && l.events.Used() == 0 {
			l.pipe.settle(monotonic())
		}
		l.events.Release()
		l.publish()
		select {
		case r := <-l.swap:
			l.swapped <- swapped{rules: l.rules, pending: l.pipe.use(r.Image)}
		default:
		}
		switch {
		case more:
		case ended && l.events.Used() == 0:
			return
		case !ended:
			ended = l.events.Wait(l.captured, t.C) == evring.WokenStop
		}
	}
}

func (l *live) publish() {
	l.mu.Lock()
	l.stats.Engine = l.pipe.counters()
	l.stats.Sequences, l.stats.Pending = l.pipe.sequences()
	l.stats.Processes = l.pipe.table.Stats()
	l.mu.Unlock()
}

// write gives alerts to the sinks.
func (l *live) write() {
	defer close(l.written)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		for {
			b, ok := l.alerts.Next()
			if !ok {
				break
			}
			for _, s := range l.sinks {
				// A sink counts what it could not take and goes on trying; what is wrong Flush says.
				_ = s.Write(alert.Alert(b))
			}
			l.alerts.Release()
		}
		for _, s := range l.sinks {
			s.note(l.log, s.Flush())
		}
		if l.alerts.Wait(l.matched, t.C) == evring.WokenStop && l.alerts.Used() == 0 {
			return
		}
	}
}
