// Package sink brings alerts to where somebody reads them: JSON lines in a file that rotates, JSON lines into a pipe,
// readable lines on a terminal.
//
// A sink has Write, which renders one alert into the sink's buffer, Flush, which the owner calls after each batch,
// Close, and Counters. The owner says what it wants of a sink in an interface of its own.
//
// Memory: the owner gives each sink a buffer of at least BufferBytesMin bytes when it opens it and the sink keeps it
// until Close; an alert is borrowed during Write only. Nothing is allocated between two rotations.
//
// Goroutine: one owner calls Write, Flush and Close. Counters may be read from any goroutine.
//
// When the other side does not take what is written (disk full, reader stalled) the buffer keeps what it has and each
// further alert is lost and counted. The sink goes on trying at every Flush and recovers by itself. At any time each
// alert given to Write is in exactly one of Alerts, Lost and Pending.
package sink

import (
	"sync/atomic"

	"github.com/kestrel-detection/kestrel/event/alert"
)

// Counters is what became of the alerts given to a sink.
type Counters struct {
	Alerts  uint64 // written as a whole
	Lost    uint64 // dropped because the other side did not take them
	Pending uint64 // in the buffer
	Errors  uint64 // system calls that failed
	Bytes   uint64 // written
	Files   uint64 // rotations
}

type counters struct{ alerts, lost, pending, errors, bytes, files atomic.Uint64 }

// Counters reads the counters. Any goroutine may call it.
func (c *counters) Counters() Counters {
	return Counters{c.alerts.Load(), c.lost.Load(), c.pending.Load(), c.errors.Load(), c.bytes.Load(), c.files.Load()}
}

const (
	// BufferBytesMin is the least buffer of a sink: one alert of any content fits, whatever its characters are.
	BufferBytesMin = jsonBytesOverhead + jsonBytesFactor*alert.SizeMax
	// pendingMax is how many alerts a buffer holds: alerts of the usual 1 KB of JSON fill BufferBytesMin at 200.
	pendingMax = 256
)

// pending is a buffer of rendered alerts. buf[start:end] has not been taken yet; ends[first:last] are the ends of the
// alerts in it, so that a short write is counted in alerts.
type pending struct {
	buf         []byte
	start, end  int
	ends        [pendingMax]int
	first, last int
}

func (p *pending) empty() bool { return p.start == p.end }

// alerts is the number of alerts of which a part at least has not been taken.
func (p *pending) alerts() int { return p.last - p.first }

// room is free space of at least n bytes for one more alert, nil when there is none.
func (p *pending) room(n int) []byte {
	if p.last == pendingMax || len(p.buf)-p.end < n {
		p.compact()
		if p.last == pendingMax || len(p.buf)-p.end < n {
			return nil
		}
	}
	return p.buf[p.end:p.end:len(p.buf)]
}

func (p *pending) compact() {
	for i := p.first; i < p.last; i++ {
		p.ends[i-p.first] = p.ends[i] - p.start
	}
	p.last, p.first = p.last-p.first, 0
	p.end, p.start = copy(p.buf, p.buf[p.start:p.end]), 0
}

// add says that n bytes of one alert were written into room.
func (p *pending) add(n int) {
	p.end += n
	p.ends[p.last] = p.end
	p.last++
}

// take says that the other side has n more bytes and gives the number of alerts that it has now as a whole.
func (p *pending) take(n int) (whole int) {
	p.start += n
	for p.first < p.last && p.ends[p.first] <= p.start {
		p.first++
		whole++
	}
	if p.empty() {
		p.start, p.end, p.first, p.last = 0, 0, 0, 0
	}
	return whole
}

// drop forgets everything and gives the number of alerts lost.
func (p *pending) drop() int {
	n := p.alerts()
	p.start, p.end, p.first, p.last = 0, 0, 0, 0
	return n
}

// setupError is a fault at start or at rotation: what, where, why.
type setupError struct {
	what, where string
	err         error
}

func (e *setupError) Error() string { return e.what + " " + e.where + ": " + e.err.Error() }

func (e *setupError) Unwrap() error { return e.err }

// textError is an error that is its text.
type textError string

func (e textError) Error() string { return string(e) }

// ErrBuffer is what opening a sink gives for a buffer that could not hold every alert.
const ErrBuffer = textError("sink buffer smaller than BufferBytesMin")
