package agent

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/sink"
)

// RecordReader gives records until io.EOF. A record is the reader's until the following call.
type RecordReader interface {
	Next() (event.Record, error)
}

// Result is what became of a replay.
type Result struct {
	Complete  bool // the log was read to its end
	Engine    engine.Counters
	Sequences nfa.Counters
	Processes proc.Stats
	Digest    [32]byte // SHA-256 over the alerts' JSON lines
}

// Replay runs every record of a log through the rules, as fast as it can and with nothing dropped, and writes each
// alert to out as a JSON line. An error of the log comes with the result of what was read before it. What waits for a time
// after the log's end raises no alert.
func Replay(log RecordReader, img *image.Image, s Sizes, out func(a alert.Alert, json []byte) error) (Result, error) {
	return replay(log, img, s, false, out)
}

// Test is Replay for events that are all there is: what waits for a time after their end is raised.
func Test(log RecordReader, img *image.Image, s Sizes, out func(a alert.Alert, json []byte) error) (Result, error) {
	return replay(log, img, s, true, out)
}

func replay(log RecordReader, img *image.Image, s Sizes, final bool, out func(a alert.Alert, json []byte) error) (Result, error) {
	d := &digester{sum: sha256.New(), line: make([]byte, 0, sink.BufferBytesMin), out: out}
	p, err := newPipeline(img, s, nil, d)
	if err != nil {
		return Result{}, err
	}
	defer p.close()
	// A batch of records: the reader's own memory ends with each call of Next.
	buf := make([]byte, replayBytes)
	used := 0
	for {
		rec, err := log.Next()
		if err != nil {
			p.flush()
			if p.eng.Step(nil, p.now); final {
				p.eng.Flush()
			}
			r := Result{Complete: errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF), Engine: p.eng.Counters(),
				Processes: p.table.Stats()}
			r.Sequences, _ = p.eng.Sequences()
			d.sum.Sum(r.Digest[:0])
			if r.Complete {
				err = nil
			}
			return r, errors.Join(err, d.err)
		}
		if p.full() || used+len(rec) > len(buf) {
			p.flush()
			used = 0
		}
		n := copy(buf[used:], rec)
		p.add(event.Record(buf[used : used+n : used+n]))
		used += n
	}
}

// replayBytes holds a batch of records of the usual size; a batch of larger ones is shorter.
const replayBytes = 512 << 10

const _ = uint(replayBytes - event.RecordSizeMax)

// digester renders alerts, hashes them and passes them on.
type digester struct {
	sum  hash.Hash
	line []byte
	out  func(a alert.Alert, json []byte) error
	err  error
}

// Push implements engine.Receiver. It always has room: a replay loses nothing.
func (d *digester) Push(b []byte) bool {
	d.line = sink.AppendJSON(d.line[:0], alert.Alert(b))
	d.line = append(d.line, '\n')
	d.sum.Write(d.line)
	if d.out != nil && d.err == nil {
		d.err = d.out(alert.Alert(b), d.line)
	}
	return true
}
