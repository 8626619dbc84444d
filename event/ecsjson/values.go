package ecsjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/event"
)

type form uint8

const (
	formNone form = iota // not in the line
	formNull
	formString
	formNumber
	formBool
	formArray
)

// value is one value of a line. An array has its elements as texts.
type value struct {
	form form
	text string
	list []string
}

func (v *value) given() bool { return v.form > formNull }

// first is the text of a scalar, or of the first element of an array.
func (v *value) first() string {
	if v.form == formArray {
		return v.list[0]
	}
	return v.text
}

// with is an array of what is in both.
func (v *value) with(more *value) value {
	out := value{form: formArray}
	for _, x := range []*value{v, more} {
		switch {
		case x.form == formArray:
			out.list = append(out.list, x.list...)
		case x.given():
			out.list = append(out.list, x.text)
		}
	}
	return out
}

// values is what a line says, by field.
type values struct {
	fields [event.FieldsMax]value
	used   []event.FieldID

	typeName, typeID          value
	timestamp, timestampNanos value

	dec    *json.Decoder
	l      *Reader
	arrays int // that the member at hand is in
}

var fieldIDs = func() map[string]event.FieldID {
	m := map[string]event.FieldID{}
	for i := range event.Fields {
		m[event.Fields[i].Name] = event.Fields[i].ID
	}
	delete(m, "@timestamp")
	return m
}()

func (v *values) parse(line []byte, l *Reader) error {
	for _, id := range v.used {
		v.fields[id] = value{}
	}
	v.used = v.used[:0]
	v.typeName, v.typeID, v.timestamp, v.timestampNanos = value{}, value{}, value{}, value{}
	v.dec, v.l, v.arrays = json.NewDecoder(bytes.NewReader(line)), l, 0
	v.dec.UseNumber()
	tok, err := v.dec.Token()
	if err != nil {
		return syntax(err)
	}
	if tok != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	if err := v.object("", 1); err != nil {
		return syntax(err)
	}
	if _, err := v.dec.Token(); err != io.EOF {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON object is not closed")
	}
	return err
}

// object reads the members of an object and its end.
func (v *values) object(prefix string, depth int) error {
	if depth > DepthMax {
		return fmt.Errorf("nested deeper than %d", DepthMax)
	}
	for v.dec.More() {
		key, err := v.dec.Token()
		if err != nil {
			return err
		}
		name := prefix + key.(string) // the decoder takes nothing else in this place
		tok, err := v.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'):
			sub := name + "."
			if depth == 1 && name == "fields" {
				sub = ""
			}
			err = v.object(sub, depth+1)
		case json.Delim('['):
			err = v.array(name, depth+1)
		default:
			v.put(name, scalar(tok))
		}
		if err != nil {
			return err
		}
	}
	_, err := v.dec.Token()
	return err
}

func scalar(tok json.Token) value {
	switch t := tok.(type) {
	case string:
		return value{form: formString, text: t}
	case json.Number:
		return value{form: formNumber, text: t.String()}
	case bool:
		return value{form: formBool, text: strconv.FormatBool(t)}
	}
	return value{form: formNull}
}

// array reads an array of scalars or objects. An array in an array is of no field of the schema.
func (v *values) array(name string, depth int) error {
	out := value{form: formArray}
	nested, objects := false, false
	for v.dec.More() {
		tok, err := v.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'):
			objects = true
			v.arrays++
			err = v.object(name+".", depth+1)
			v.arrays--
		case json.Delim('['):
			nested = true
			err = v.skip(depth + 1)
		default:
			if s := scalar(tok); s.form != formNull {
				out.list = append(out.list, s.text)
			}
		}
		if err != nil {
			return err
		}
	}
	if _, err := v.dec.Token(); err != nil {
		return err
	}
	switch {
	case nested:
		why := UnknownName
		if _, ok := fieldIDs[name]; ok {
			why = BadValue
		}
		v.l.ignore(name, why)
	case len(out.list) > 0:
		v.put(name, out)
	case !objects:
		v.put(name, value{form: formNull})
	}
	return nil
}

// skip reads up to the end of the object or array that was just entered.
func (v *values) skip(depth int) error {
	for level := depth; level >= depth; {
		if level > DepthMax {
			return fmt.Errorf("nested deeper than %d", DepthMax)
		}
		tok, err := v.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			level++
		case json.Delim('}'), json.Delim(']'):
			level--
		}
	}
	return nil
}

func (v *values) put(name string, x value) {
	if id, ok := fieldIDs[name]; ok {
		if v.fields[id].form == formNone {
			v.used = append(v.used, id)
		}
		if v.arrays > 0 && v.fields[id].given() {
			x = v.fields[id].with(&x)
		}
		v.fields[id] = x
		return
	}
	switch name {
	case "event_type":
		v.typeName = x
	case "event_type_id":
		v.typeID = x
	case "@timestamp", "timestamp":
		v.timestamp = x
	case "@timestamp_ns", "timestamp_ns":
		v.timestampNanos = x
	default:
		v.l.ignore(name, UnknownName)
	}
}

// integer reads a whole number, written as one or as a string.
func (v *value) integer() (int64, bool) {
	s := strings.TrimSpace(v.first())
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	// 1e3 and 5.0 are whole numbers in JSON; beyond 2^53 a float is no longer exact.
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), true
	}
	return 0, false
}

func (v *value) boolean() (int64, bool) {
	switch v.first() {
	case "true", "1":
		return 1, true
	case "false", "0":
		return 0, true
	}
	return 0, false
}

// entity reads an entity id: one of ours is the number it stands for, any other text is hashed. It is never 0.
func (v *value) entity() uint64 {
	s := v.first()
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 64); err == nil && n != 0 {
			return n
		}
	}
	return hash(s)
}

func hash(s string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, s)
	return max(h.Sum64(), 1)
}

// address reads an IP address as 4 or 16 bytes. An IPv4 address written as an IPv6 one is the former.
func (v *value) address() ([]byte, bool) {
	a, err := netip.ParseAddr(strings.TrimSpace(v.first()))
	if err != nil {
		return nil, false
	}
	return a.Unmap().AsSlice(), true
}

// timeLayouts are the ways to write a time that are met, RFC 3339 first. Without a zone it is UTC.
var timeLayouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02",
}

// nanosMin: a number of this size is in nanoseconds, whatever the name says: in milliseconds it would be the year 318857.
const nanosMin = 1e16

// wall reads a time in ns since 1970: ISO 8601, or a number of the unit, which is 1 or 1e6 ns.
func (v *value) wall(unit int64) (int64, error) {
	s := strings.TrimSpace(v.first())
	if n, ok := v.integer(); ok {
		switch {
		case n < 0:
			return 0, fmt.Errorf("time %s is before 1970", s)
		case unit == 1 || n >= nanosMin:
			return n, nil
		case n > math.MaxInt64/unit:
			return 0, fmt.Errorf("time %s is too late", s)
		}
		return n * unit, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f*float64(unit) < math.MaxInt64 {
		return int64(f * float64(unit)), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Year() < 1970 || t.Year() > 2261 {
				return 0, fmt.Errorf("time %s is not between 1970 and 2261", s)
			}
			return max(t.UnixNano(), 0), nil
		}
	}
	return 0, fmt.Errorf("time %q is neither ISO 8601 nor a number", s)
}
