// Package ecsjson reads events written as JSON, one object a line with ECS names, into records, and writes an event
// as such an object. It is for logs, tests and tools; no device source uses it.
//
// Names may be flat ("process.executable"), nested or mixed; of a name given twice the last counts; null is absent;
// the members of objects in an array are read as arrays; of a field that has one value the first element counts. The
// object may keep its fields in "fields", as the events of an alert do. What kind of event it is follows from
// event_type_id, event_type, event.category, event.action and event.type: see types.go.
//
// An event shows a rule what its line says and nothing of other lines. Facts about the process and its parent go
// before the event as context records (event.FlagInline), which package proc attaches to this event alone. Three
// things are added. What the schema derives (a name from a path, a command line from arguments) is there. A process
// without an entity id has one made of its host and pid, so that the events of a pid belong together; so have its parent
// and leaders, when the process has none either. An event without a time has that of the line before.
//
// Times: the monotonic time of a record is its wall time, so that records of several files compare; the host record
// says that the offset is 0.
//
// Memory: a Reader holds one line and the records of one event. A record is the reader's until the following call.
//
// Goroutines: one per Reader.
//
// When full: a line above LineBytesMax is a bad line; after BadLinesMax of them reading ends.
package ecsjson

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/kestrel-detection/kestrel/event"
)

const (
	// LineBytesMax bounds a line: many times the largest record, for events with much that is not read.
	LineBytesMax = 1 << 20
	// BadLinesMax ends the reading of what is no event log at all.
	BadLinesMax = 1000
	// IgnoredMax bounds the names that are counted one by one.
	IgnoredMax = 256
	// DepthMax bounds the nesting of a line. ECS has five levels.
	DepthMax = 32
)

// LineError says why a line is not an event. Reading goes on with the next.
type LineError struct {
	Line   int // from 1
	Reason string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Why a value was not used.
type Why uint8

// The reasons.
const (
	UnknownName Why = iota // not a field of the schema
	BadValue               // not a value of the field's kind
	OtherClass             // a field that events of this class do not have
	// UnknownCategory is for an event whose category no rule can name: only rules of any event see it.
	UnknownCategory
)

var whyTexts = [...]string{"unknown name", "unusable value", "not a field of such events", "a category that no rule can name"}

func (w Why) String() string { return whyTexts[w] }

// Ignored counts the values of one name that were not used.
type Ignored struct {
	Name  string
	Why   Why
	Count int
}

type ignoredKey struct {
	name string
	why  Why
}

// Reader reads records.
type Reader struct {
	r        *bufio.Reader
	line     []byte
	lines    int
	bad      int
	err      error
	lastWall int64

	values  values
	build   builder
	pending []event.Record
	scratch []byte

	ignored      map[ignoredKey]int // to ignoredList
	ignoredList  []Ignored
	ignoredOther int
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader {
	l := &Reader{r: bufio.NewReaderSize(r, 64<<10), ignored: map[ignoredKey]int{}}
	l.build.init()
	return l
}

// Ignored lists the names whose values were not used, in the order they were met, and how many more values there were
// of names beyond IgnoredMax.
func (l *Reader) Ignored() (names []Ignored, more int) { return l.ignoredList, l.ignoredOther }

// Lines is the number of lines read so far.
func (l *Reader) Lines() int { return l.lines }

// Next gives the next record: context records and then the event they are for. A *LineError is for a line that is no
// event; the following call goes on. io.EOF is the end, any other error too.
func (l *Reader) Next() (event.Record, error) {
	for len(l.pending) == 0 {
		if l.err != nil {
			return nil, l.err
		}
		if err := l.readLine(); err != nil {
			if _, ok := errors.AsType[*LineError](err); !ok {
				l.err = err
				return nil, err
			}
			if l.bad++; l.bad >= BadLinesMax {
				// Not wrapped: who goes on after a LineError must stop here.
				l.err = fmt.Errorf("%d bad lines, the last is %v", l.bad, err)
			}
			return nil, err
		}
	}
	rec := l.pending[0]
	l.pending = l.pending[1:]
	return rec, nil
}

func (l *Reader) badLine(format string, args ...any) error {
	return &LineError{l.lines, fmt.Sprintf(format, args...)}
}

// readLine reads lines up to one that is not blank, and makes its records.
func (l *Reader) readLine() error {
	for {
		tooLong, err := l.nextLine()
		if err != nil {
			return err
		}
		if tooLong {
			return l.badLine("longer than %d bytes", LineBytesMax)
		}
		if l.lines == 1 {
			l.line = bytes.TrimPrefix(l.line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(l.line)) > 0 {
			break
		}
	}
	if err := l.values.parse(l.line, l); err != nil {
		return l.badLine("%v", err)
	}
	return l.event()
}

func (l *Reader) nextLine() (tooLong bool, err error) {
	l.line = l.line[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if !tooLong {
			l.line = append(l.line, part...)
			tooLong = len(bytes.TrimRight(l.line, "\r\n")) > LineBytesMax
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(l.line) > 0, err == nil:
			l.lines++
			return tooLong, nil
		}
		return false, err
	}
}

func (l *Reader) ignore(name string, why Why) {
	k := ignoredKey{name, why}
	if i, ok := l.ignored[k]; ok {
		l.ignoredList[i].Count++
		return
	}
	if len(l.ignoredList) == IgnoredMax {
		l.ignoredOther++
		return
	}
	l.ignored[k] = len(l.ignoredList)
	l.ignoredList = append(l.ignoredList, Ignored{name, why, 1})
}
