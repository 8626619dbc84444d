package agent

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
)

// monotonic is the time of CLOCK_BOOTTIME, the clock of the kernel programs.
func monotonic() uint64 {
	var ts unix.Timespec
	// The clock is there on every kernel since 2.6.39; a failure would leave zero.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return uint64(time.Duration(ts.Nano()))
}

// report says what was captured and what was lost, by class and place, so that a reader can add it up.
func (l *live) report() {
	l.mu.Lock()
	s := l.stats
	l.mu.Unlock()
	var classes []string
	for c := range event.ClassContext {
		classes = append(classes, fmt.Sprintf("%s %d captured, %d lost in the kernel, %d in the event ring", c, s.Kernel.Sent(c), s.Kernel.Lost(c), s.Refused[c]))
	}
	l.o.Log.Infof("events: %s", strings.Join(classes, "; "))
	l.o.Log.Infof("engine: %d events, %d alerts, %d lost for a full ring; sequences: %d pending, %d completed, %d expired, %d evicted; processes: %d unknown, %d parents unknown, %d evicted",
		s.Engine.Events, s.Engine.Alerts, s.Engine.AlertsLost, s.Pending, s.Sequences.Completed, s.Sequences.Expired,
		s.Sequences.Evicted, s.Processes.Misses, s.Processes.ParentMisses, s.Processes.Evicted)
	for _, k := range l.sinks {
		c := k.Counters()
		l.o.Log.Infof("output %s: %d alerts written, %d lost, %d waiting, %d errors", k.name, c.Alerts, c.Lost, c.Pending, c.Errors)
	}
	if s.Bad > 0 {
		l.o.Log.Warnf("%d records of the kernel's ring were damaged", s.Bad)
	}
}
