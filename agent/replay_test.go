package agent

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/sink"
	"github.com/kestrel-detection/kestrel/testdata"
)

// list is a RecordReader over records; a record is its own until the next call, and not a moment longer.
type list struct {
	recs []event.Record
	last event.Record
	end  error
}

func (l *list) Next() (event.Record, error) {
	for i := range l.last {
		l.last[i] = 0xee
	}
	if len(l.recs) == 0 {
		return nil, l.end
	}
	l.last = bytes.Clone(l.recs[0])
	l.recs = l.recs[1:]
	return l.last, nil
}

// TestReplayDigest: the digest is that of the alerts as they are written, with any number of workers and any place the
// events come from.
func TestReplayDigest(t *testing.T) {
	img := loadImage(t, compile(t, manyAlerts))
	recs := mixed(t, rand.New(rand.NewPCG(3, 3)))
	var want Result
	for workers := 1; workers <= 8; workers++ {
		s := testSizes
		s.Workers = workers
		sum := sha256.New()
		n := uint64(0)
		got, err := Replay(&list{recs: recs, end: io.EOF}, img, s, func(a alert.Alert, json []byte) error {
			n++
			if e := alert.Check(a); e != 0 {
				t.Fatalf("alert %d: %v", n, e)
			}
			if line := append(sink.AppendJSON(nil, a), '\n'); !bytes.Equal(line, json) {
				t.Fatalf("alert %d: %s, want %s", n, json, line)
			}
			sum.Write(json)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n < 100 || n != got.Engine.Alerts || got.Engine.AlertsLost != 0 || !bytes.Equal(sum.Sum(nil), got.Digest[:]) {
			t.Fatalf("%d workers: %d alerts, the engine says %d and %d lost; digest %x, want %x", workers, n, got.Engine.Alerts,
				got.Engine.AlertsLost, got.Digest, sum.Sum(nil))
		}
		got.Engine.Candidates, got.Engine.CacheClears, got.Engine.NFAFallbacks = 0, 0, 0
		if workers == 1 {
			want = got
		}
		if got != want {
			t.Errorf("%d workers: %+v, want %+v", workers, got, want)
		}
	}
	nothing, err := Replay(&list{end: io.EOF}, img, testSizes, nil)
	if err != nil || nothing.Digest != sha256.Sum256(nil) || nothing.Engine.Events != 0 {
		t.Errorf("an empty log: %+v, %v", nothing, err)
	}
}

// TestReplayCutLog: of a log that was cut all that comes before the cut is replayed, and the error says where that is.
func TestReplayCutLog(t *testing.T) {
	img := loadImage(t, compile(t, manyAlerts))
	z, err := gzip.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		t.Fatal(err)
	}
	log, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	r, err := evlog.NewReader(bytes.NewReader(log[:len(log)/2]))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := Replay(r, img, testSizes, nil)
	var where *evlog.Error
	if !errors.As(err, &where) || !errors.Is(err, io.ErrUnexpectedEOF) || where.Offset == 0 {
		t.Errorf("error %v", err)
	}
	events := uint64(0)
	var before []event.Record
	for _, rec := range recorded(t) {
		if events == cut.Engine.Events && !rec.Type().IsContext() {
			break
		}
		if !rec.Type().IsContext() {
			events++
		}
		before = append(before, rec)
	}
	whole, err := Replay(&list{recs: before, end: io.EOF}, img, testSizes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cut.Engine.Events < 100 || cut.Digest != whole.Digest || cut.Engine.Alerts != whole.Engine.Alerts {
		t.Errorf("cut: %d events, %d alerts; the same events by themselves: %d alerts, the same digest: %v", cut.Engine.Events,
			cut.Engine.Alerts, whole.Engine.Alerts, cut.Digest == whole.Digest)
	}
}

// TestReplayOutputFails: an output that fails is told of once and nothing is given to it any more; the digest is that of
// all alerts all the same.
func TestReplayOutputFails(t *testing.T) {
	img := loadImage(t, compile(t, manyAlerts))
	recs := recorded(t)
	good, err := Replay(&list{recs: recs, end: io.EOF}, img, testSizes, nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	broken := errors.New("disk is full")
	bad, err := Replay(&list{recs: recs, end: io.EOF}, img, testSizes, func(alert.Alert, []byte) error {
		calls++
		return broken
	})
	if !errors.Is(err, broken) || calls != 1 || bad.Digest != good.Digest {
		t.Errorf("%v after %d calls, same digest: %v", err, calls, bad.Digest == good.Digest)
	}
	_, err = Replay(&list{recs: recs, end: errors.New("cable is out")}, img, testSizes, nil)
	if err == nil || !strings.Contains(err.Error(), "cable is out") {
		t.Errorf("error of the log: %v", err)
	}
}

// TestReplayLargeRecords: records so large that few fill the memory of a batch.
func TestReplayLargeRecords(t *testing.T) {
	img := loadImage(t, compile(t, map[string]string{"long": `process where process.executable like "/ddd*"`}))
	var recs []event.Record
	for i := range 200 {
		recs = append(recs, execOf(uint64(i+1), uint32(i+10), "/"+strings.Repeat("d", 3000)))
	}
	got, err := Replay(&list{recs: recs, end: io.EOF}, img, testSizes, nil)
	if err != nil || got.Engine.Alerts != 200 {
		t.Errorf("%d alerts, %v", got.Engine.Alerts, err)
	}
}
