// Package events reads what a hunt looks at: NDJSON with nested or flat keys and any field names, or a recorded log of
// Kestrel. It finds out which fields there are and of what types (Schema), orders the events by their time, and gives
// out one after the other (Log.All).
//
// Memory: a Log holds a small entry for each event and reads its line again from the file when its turn comes; what
// cannot be read twice (a pipe, a compressed file, a recorded log) is written to a temporary file first. An Event owns
// its values. Goroutines: one reads a Log; Events are not changed after they were made, any number may read them.
// When full: a line, a log or a schema beyond its limit is an error that names the place.
package events

import (
	"fmt"
	"strconv"

	"github.com/kestrel-detection/kestrel/hunt/value"
)

// LineBytesMax bounds one event. Audit events with whole scripts in them reach a few megabytes.
const LineBytesMax = 16 << 20

// Event is one event.
type Event struct {
	raw    []byte
	root   value.Value // null: raw is to be decoded again
	schema *Schema
	line   int
	time   int64
	tie    value.Value
	timed  bool
}

// New makes an event of one JSON object. It keeps raw. line names the event in messages and orders events of one time.
func New(schema *Schema, raw []byte, line int) (*Event, error) {
	root, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return newEvent(schema, raw, root, line)
}

// decode reads an object. What is returned keeps the text alive.
func decode(raw []byte) (value.Value, error) {
	root, err := value.Parse(string(raw))
	if err == nil && root.Kind() != value.KindObject {
		err = fmt.Errorf("an event is a JSON object, found %s", named(root.Kind()))
	}
	return root, err
}

func named(k value.Kind) string {
	switch k {
	case value.KindNull:
		return "null"
	case value.KindArray:
		return "an array"
	}
	return "a " + k.String()
}

func newEvent(schema *Schema, raw []byte, root value.Value, line int) (*Event, error) {
	e := &Event{raw: raw, root: root, schema: schema, line: line}
	name, t := e.special(schema.Timestamp, timeFields)
	if !t.IsNull() {
		clock := value.ToClock(t)
		if f, ok := schema.Lookup(name); ok && f.Type == TypeDate && !f.Soft {
			clock = value.ToDate(t)
		}
		if clock.IsNull() {
			return nil, fmt.Errorf("%s is no time: %s", name, t.AppendJSON(nil))
		}
		e.time, e.timed = clock.AsInt(), true
	}
	_, e.tie = e.special(schema.Tiebreaker, tieFields)
	return e, nil
}

// special is the first value of a special field, as it stands in the data, and the field's name.
func (e *Event) special(name string, usual []string) (string, value.Value) {
	for _, name := range namedOr(name, usual) {
		for _, v := range find(e.object(), name, nil) {
			if !v.IsNull() {
				return name, v
			}
		}
	}
	return "", value.Null
}

// Slim is the event without its decoded values, for one that is kept: its fields are decoded again when they are read.
func (e *Event) Slim() *Event {
	slim := *e
	slim.root = value.Null
	return &slim
}

func (e *Event) object() value.Value {
	if !e.root.IsNull() {
		return e.root
	}
	root, err := decode(e.raw)
	if err != nil {
		panic("BUG: an event that was decoded cannot be decoded again: " + err.Error())
	}
	return root
}

// Raw is the event as it stood in the input. The caller does not change it.
func (e *Event) Raw() []byte { return e.raw }

// Line is the line of the event in its input, from 1.
func (e *Event) Line() int { return e.line }

// Time is the time of the event in nanoseconds since 1970.
func (e *Event) Time() int64 { return e.time }

// ID is the id of the event: its id field, or else the number of its line.
func (e *Event) ID() string {
	if _, v := e.special(e.schema.ID, idFields); !v.IsNull() {
		return v.Text()
	}
	return strconv.Itoa(e.line)
}

// Categories are the categories of the event, one as a rule.
func (e *Event) Categories() []string {
	for _, name := range namedOr(e.schema.Category, categoryFields) {
		var list []string
		for _, v := range find(e.object(), name, nil) {
			if !v.IsNull() {
				list = append(list, v.Text())
			}
		}
		if list != nil {
			return list
		}
	}
	return nil
}

// Values are the values that the event has at a path, read by the type of the field: those of an array one by one,
// those of an array of objects from all of them. There is no null among them; no value is none.
func (e *Event) Values(path string, f Field) []value.Value {
	found := find(e.object(), path, nil)
	if len(found) == 0 {
		return nil
	}
	list := found[:0]
	for _, v := range found {
		if v = f.read(v); !v.IsNull() {
			list = append(list, v)
		}
	}
	return list
}

// Whole is the value at a path as it stands in the data, arrays as arrays.
func (e *Event) Whole(path string) value.Value { return Whole(e.object(), path) }

// Whole is the value at a path of an object as it stands in the data, arrays as arrays, null when there is none. Names
// may hold dots themselves, the longest fits first.
func Whole(object value.Value, path string) value.Value {
	if v, ok := object.Member(path); ok {
		return v
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if inner, ok := object.Member(path[:i]); ok && inner.Kind() == value.KindObject {
			if v := Whole(inner, path[i+1:]); !v.IsNull() {
				return v
			}
		}
	}
	return value.Null
}

// find collects all values at a path, also through arrays of objects. Names may hold dots themselves.
func find(object value.Value, path string, out []value.Value) []value.Value {
	if v, ok := object.Member(path); ok {
		out = flatten(v, out)
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if v, ok := object.Member(path[:i]); ok {
			out = below(v, path[i+1:], out)
		}
	}
	return out
}

func below(v value.Value, path string, out []value.Value) []value.Value {
	switch v.Kind() {
	case value.KindObject:
		return find(v, path, out)
	case value.KindArray:
		for _, e := range v.List() {
			out = below(e, path, out)
		}
	}
	return out
}

func flatten(v value.Value, out []value.Value) []value.Value {
	if v.Kind() != value.KindArray {
		return append(out, v)
	}
	for _, e := range v.List() {
		out = flatten(e, out)
	}
	return out
}

// read makes a value of what stands in the data. What does not fit the field's type is read as what it is.
func (f Field) read(v value.Value) value.Value {
	switch {
	case v.IsNull():
		if f.HasNullText {
			return value.String(f.NullText)
		}
		return v
	case v.Kind() == value.KindArray, v.Kind() == value.KindObject:
		return v
	}
	switch f.Type {
	case TypeDate:
		if f.Soft {
			return value.ToClock(v)
		}
		return value.ToDate(v)
	case TypeString:
		if !v.IsText() {
			return value.String(v.Text())
		}
	case TypeIP:
		return value.IP(v.Text())
	case TypeVersion:
		return value.Version(v.Text())
	case TypeNumber:
		if v.Kind() == value.KindString {
			if n, ok := value.Canonical(v.Text()); ok {
				return n
			}
		}
	case TypeBool:
		switch {
		case v.Kind() == value.KindString && v.Text() == "true":
			return value.Bool(true)
		case v.Kind() == value.KindString && v.Text() == "false":
			return value.Bool(false)
		}
	}
	return v
}
