package events

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// EventsMax bounds the events of one log: their entries then take some 6 GB. Larger logs are to be split by time.
const EventsMax = 100_000_000

// windowBytes is the most that is read at once.
const windowBytes = 1 << 20

// entry is what a Log remembers of an event.
type entry struct {
	offset int64
	time   int64
	tie    value.Value
	size   int32
	line   int32
}

// Log is a file of events.
type Log struct {
	name    string
	file    io.ReaderAt
	close   func() error
	schema  *Schema
	entries []entry
	timed   bool
}

// Error is an event or a log that cannot be used.
type Error struct {
	Name string
	Line int // 0 for the log as a whole
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Open reads a file of events once, to learn its fields and its order. declared may be nil; what it says goes before
// what the data shows. Preconditions: Close when the Log is no longer needed.
func Open(name string, declared *Schema) (*Log, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		start := make([]byte, magicBytes)
		if n, err := f.ReadAt(start, 0); err == nil || errors.Is(err, io.EOF) {
			if !evlog.IsLog(start[:n]) {
				return index(&Log{name: name, file: f, close: f.Close}, declared)
			}
		}
	}
	defer f.Close()
	return Read(name, f, declared)
}

// Read is Open for a stream, which is copied to a temporary file.
func Read(name string, r io.Reader, declared *Schema) (*Log, error) {
	spool, err := os.CreateTemp("", "kestrel-hunt-*")
	if err != nil {
		return nil, err
	}
	l := &Log{name: name, file: spool, close: func() error {
		return errors.Join(spool.Close(), os.Remove(spool.Name()))
	}}
	recorded, err := copyEvents(spool, r)
	if err != nil {
		return nil, errors.Join(&Error{Name: name, Err: err}, l.Close())
	}
	if recorded {
		declared = underlay(declared, Recorded())
	}
	return index(l, declared)
}

// underlay is a declared schema, if there is one, with the fields of another where it has none.
func underlay(declared, base *Schema) *Schema {
	if declared == nil {
		return base
	}
	s := *declared
	s.Fields = base.Fields
	maps.Copy(s.Fields, declared.Fields)
	return &s
}

const magicBytes = 8

// copyEvents writes the events of r as NDJSON.
func copyEvents(w io.Writer, r io.Reader) (recorded bool, err error) {
	b := bufio.NewReaderSize(r, windowBytes)
	start, err := b.Peek(magicBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if !evlog.IsLog(start) {
		_, err := io.Copy(w, b)
		return false, err
	}
	in := io.Reader(b)
	if bytes.HasPrefix(start, []byte(gzipMagic)) {
		z, err := gzip.NewReader(b)
		if err != nil {
			return false, err
		}
		plain := bufio.NewReaderSize(z, windowBytes)
		start, err = plain.Peek(magicBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if !evlog.IsLog(start) {
			_, err := io.Copy(w, plain)
			return false, err
		}
		in = plain
	}
	return true, copyRecords(w, in)
}

const gzipMagic = "\x1f\x8b"

// index reads all events once.
func index(l *Log, declared *Schema) (*Log, error) {
	probe := declared
	if probe == nil {
		probe = &Schema{}
	}
	in := inference{times: namedOr(probe.Timestamp, timeFields)}
	sorted, last := true, entry{}
	err := lines(l.file, func(offset int64, line int, raw []byte) error {
		root, err := decode(raw)
		if err != nil {
			return err
		}
		if err := in.add(root); err != nil {
			return err
		}
		e, err := newEvent(probe, raw, root, line)
		if err != nil {
			return err
		}
		if len(l.entries) >= EventsMax {
			return fmt.Errorf("more than %d events", EventsMax)
		}
		this := entry{offset: offset, size: int32(len(raw)), line: int32(line), time: e.time, tie: e.tie}
		if !e.timed {
			this.time = last.time // an event without a time happens with the one before it
		}
		l.timed = l.timed || e.timed
		sorted = sorted && (len(l.entries) == 0 || before(last, this) <= 0)
		last = this
		l.entries = append(l.entries, this)
		return nil
	})
	if err != nil {
		var at *Error
		if errors.As(err, &at) {
			at.Name = l.name
		} else {
			err = &Error{Name: l.name, Err: err}
		}
		return nil, errors.Join(err, l.Close())
	}
	if !sorted {
		slices.SortStableFunc(l.entries, before)
	}
	l.schema = in.merge(declared)
	return l, nil
}

// before orders by time, then by tiebreaker with null last, then as the input does.
func before(a, b entry) int {
	if c := cmp.Compare(a.time, b.time); c != 0 {
		return c
	}
	switch {
	case a.tie.IsNull() || b.tie.IsNull():
		return cmp.Compare(btoi(a.tie.IsNull()), btoi(b.tie.IsNull()))
	}
	if c, ok := (value.Rules{}).Order(a.tie, b.tie); ok {
		return c
	}
	return cmp.Compare(a.tie.Kind(), b.tie.Kind())
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lines calls f for each line that is not blank. raw is good until the next call.
func lines(file io.ReaderAt, f func(offset int64, line int, raw []byte) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(file, 0, 1<<62), windowBytes)
	var long []byte
	for offset, line := int64(0), 1; ; line++ {
		raw, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long[:0], raw...)
			for errors.Is(err, bufio.ErrBufferFull) && len(long) <= LineBytesMax {
				raw, err = r.ReadSlice('\n')
				long = append(long, raw...)
			}
			raw = long
		}
		if len(raw) > LineBytesMax {
			return &Error{Line: line, Err: fmt.Errorf("the event is longer than %d bytes", LineBytesMax)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return &Error{Line: line, Err: err}
		}
		if text := bytes.TrimSpace(raw); len(text) > 0 {
			start := offset + int64(bytes.Index(raw, text[:1]))
			if ferr := f(start, line, text); ferr != nil {
				return &Error{Line: line, Err: ferr}
			}
		}
		offset += int64(len(raw))
		if err != nil {
			return nil
		}
	}
}

// Close gives the file back.
func (l *Log) Close() error { return l.close() }

// Schema is what the events have: what was declared and what the data shows.
func (l *Log) Schema() *Schema { return l.schema }

// Len is the number of events.
func (l *Log) Len() int { return len(l.entries) }

// Timed says whether any event has a time. Without one events come in the order of the input.
func (l *Log) Timed() bool { return l.timed }

// Slice gives out events as a Log does.
func Slice(list []*Event) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// All gives out the events in order. It may be used again from the beginning; an error ends it.
func (l *Log) All() iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		w := window{file: l.file}
		for i := range l.entries {
			at := &l.entries[i]
			e, err := l.event(&w, at)
			if err != nil {
				yield(nil, &Error{Name: l.name, Line: int(at.line), Err: err})
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *Log) event(w *window, at *entry) (*Event, error) {
	raw, err := w.bytes(at.offset, int(at.size))
	if err != nil {
		return nil, err
	}
	root, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("the file changed while it was read: %w", err)
	}
	return &Event{raw: bytes.Clone(raw), root: root, schema: l.schema, line: int(at.line), time: at.time, tie: at.tie,
		timed: true}, nil
}

// window is the part of a file that was read last. Events mostly come in the order of the file: each read that goes on
// where the last one ended is twice as long. Where logs of several sources stand one after the other, each event is a
// jump, and a read is short.
type window struct {
	file  io.ReaderAt
	start int64
	buf   []byte
	want  int
}

// windowBytesMin is the least that is read, a page.
const windowBytesMin = 4 << 10

func (w *window) bytes(offset int64, size int) ([]byte, error) {
	end := w.start + int64(len(w.buf))
	if offset >= w.start && offset+int64(size) <= end {
		at := offset - w.start
		return w.buf[at : at+int64(size)], nil
	}
	if offset >= w.start && offset <= end+windowBytesMin {
		w.want = min(2*w.want, windowBytes)
	} else {
		w.want = windowBytesMin
	}
	want := max(size, w.want, windowBytesMin)
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	n, err := w.file.ReadAt(w.buf[:want], offset)
	w.start, w.buf = offset, w.buf[:n]
	if n < size {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("the file changed while it was read: %w", err)
	}
	return w.buf[:size], nil
}
