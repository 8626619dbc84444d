package agent

import (
	"github.com/kestrel-detection/kestrel/event"
	evring "github.com/kestrel-detection/kestrel/event/ring"
)

// Places where an event can be lost before it reaches the engine; SlotContextID of a loss record.
const (
	PlaceKernel = iota // no room in the kernel's ring, or the kernel program could not read what it needed
	PlaceEvents        // no room in the event ring: the engine is behind
	places
)

// lossReporter puts losses into the event stream as records, so that a replay and the process table know of them. A
// record that itself finds no room is tried again with what was added since.
type lossReporter struct {
	out  *evring.Ring
	told [places][event.ClassContext]uint64
	b    event.Builder
}

func newLossReporter(out *evring.Ring) *lossReporter {
	return &lossReporter{out: out, b: event.Builder{Buf: make([]byte, event.RecordSizeMax)}}
}

func (r *lossReporter) report(s *Stats) {
	for place := range places {
		var lost [event.ClassContext]uint64
		any := false
		for c := range event.ClassContext {
			total := s.Refused[c]
			if place == PlaceKernel {
				total = s.Kernel.Lost(c)
			}
			lost[c] = total - r.told[place][c]
			any = any || lost[c] > 0
		}
		if !any {
			continue
		}
		r.b.Begin(event.TypeLoss, monotonic())
		r.b.Int(event.SlotContextID, int64(place))
		for c := range lost {
			r.b.Int(event.SlotContextCount0+c, int64(lost[c]))
		}
		// PushAs with the context class: a refused loss record is no lost event.
		if r.out.PushAs(event.ClassContext, r.b.End()) {
			for c := range lost {
				r.told[place][c] += lost[c]
			}
		}
	}
}
