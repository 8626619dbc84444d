// Package value holds the dynamic values that a hunt computes with: null, truth values, 64-bit integers, floats,
// strings, dates, addresses, versions, arrays and objects; and what EQL does with them: comparison, arithmetic, text.
//
// It is written for clearness, as the meaning of the language, not for speed. Memory: a Value shares the strings,
// arrays and objects it was made of and owns none; nobody changes them. Goroutines: no state, any number may use it.
// Nothing here can be full; what does not fit (an integer beyond 64 bits, a date beyond 1678..2262) is null or an
// error, as said there.
package value

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of one value.
type Kind uint8

// The kinds. The zero Value is null.
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindFloat
	KindString
	KindDate    // nanoseconds since 1970
	KindIP      // an address, kept as it was written
	KindVersion // a version, kept as it was written
	KindArray
	KindObject
)

var kindNames = [...]string{"null", "boolean", "number", "number", "string", "date", "ip", "version", "array", "object"}

// String names a kind as messages do; both kinds of numbers are numbers.
func (k Kind) String() string { return kindNames[k] }

// Value is one value. Which of n, s and ref is used depends on the kind.
type Value struct {
	kind Kind
	n    int64
	s    string
	ref  any
}

// Null is the value of what is not there.
var Null = Value{}

// Bool makes a truth value.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, n: 1}
	}
	return Value{kind: KindBool}
}

// Int makes an integer.
func Int(n int64) Value { return Value{kind: KindInt, n: n} }

// Float makes a float. What is not a number or not finite is null: EQL has neither.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Null
	}
	return Value{kind: KindFloat, n: int64(math.Float64bits(f))}
}

// String makes a string.
func String(s string) Value { return Value{kind: KindString, s: s} }

// Date makes a date from nanoseconds since 1970.
func Date(nanos int64) Value { return Value{kind: KindDate, n: nanos} }

// IP makes an address from its text.
func IP(s string) Value { return Value{kind: KindIP, s: s} }

// Version makes a version from its text.
func Version(s string) Value { return Value{kind: KindVersion, s: s} }

// Array makes an array; the slice is shared.
func Array(list []Value) Value { return Value{kind: KindArray, ref: list} }

// Object makes an object; the slice is shared.
func Object(list []Member) Value { return Value{kind: KindObject, ref: list} }

// Kind is the kind of the value.
func (v Value) Kind() Kind { return v.kind }

// IsNull tells null from the rest.
func (v Value) IsNull() bool { return v.kind == KindNull }

// IsNumber tells integers and floats.
func (v Value) IsNumber() bool { return v.kind == KindInt || v.kind == KindFloat }

// IsText tells the kinds that have a text of their own: strings, addresses, versions.
func (v Value) IsText() bool {
	return v.kind == KindString || v.kind == KindIP || v.kind == KindVersion
}

// AsInt is the integer, or the nanoseconds of a date.
func (v Value) AsInt() int64 { return v.n }

// AsFloat is a number as a float.
func (v Value) AsFloat() float64 {
	if v.kind == KindFloat {
		return math.Float64frombits(uint64(v.n))
	}
	return float64(v.n)
}

// List is the elements of an array, nil for other kinds.
func (v Value) List() []Value {
	list, _ := v.ref.([]Value)
	return list
}

// Members is the content of an object, nil for other kinds.
func (v Value) Members() []Member {
	list, _ := v.ref.([]Member)
	return list
}

// Member is the member of an object with the name, of several the last.
func (v Value) Member(name string) (Value, bool) {
	list := v.Members()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Name == name {
			return list[i].Value, true
		}
	}
	return Null, false
}

// dateLayout is how dates are written: milliseconds, as Elasticsearch does, or all nine digits when there are more.
const (
	dateLayout      = "2006-01-02T15:04:05.000Z"
	dateNanosLayout = "2006-01-02T15:04:05.000000000Z"
)

// Text is the value as the function string writes it: "" for null, JSON for arrays and objects.
func (v Value) Text() string {
	switch v.kind {
	case KindNull:
		return ""
	case KindBool:
		return strconv.FormatBool(v.n != 0)
	case KindInt:
		return strconv.FormatInt(v.n, 10)
	case KindFloat:
		return floatText(v.AsFloat())
	case KindDate:
		t := time.Unix(0, v.n).UTC()
		if v.n%int64(time.Millisecond) != 0 {
			return t.Format(dateNanosLayout)
		}
		return t.Format(dateLayout)
	case KindArray, KindObject:
		return string(v.AppendJSON(nil))
	}
	return v.s
}

// floatText keeps the point, so that a float does not read as an integer.
func floatText(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// AppendJSON appends the value as JSON.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case KindNull:
		return append(dst, "null"...)
	case KindBool, KindInt, KindFloat:
		return append(dst, v.Text()...)
	case KindArray:
		dst = append(dst, '[')
		for i, x := range v.List() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = x.AppendJSON(dst)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		for i, m := range v.Members() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.Name), ':')
			dst = m.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	}
	return appendString(dst, v.Text())
}

func appendString(dst []byte, s string) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: a string cannot be encoded: " + err.Error())
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
