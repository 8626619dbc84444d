package value

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// layouts are the forms of a date, tried in this order: ISO 8601 with the time, the zone and the fraction left out or
// not, and the day first as logs of some products write it.
var layouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00",
	"2006-01-02T15:04", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15",
	"2006-01-02", "2006-01", "02-01-2006",
}

// yearDigits is the length of a string of digits that is a year; other strings of digits are milliseconds since 1970.
const yearDigits = 4

// ParseDate reads a date that is written as a string, a point in time without zone as UTC. ok is false for what is no
// date and for a date that 64 bits of nanoseconds do not hold (before 1678, after 2262).
func ParseDate(s string) (nanos int64, ok bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if len(s) == yearDigits {
			return unixNano(time.Date(int(n), 1, 1, 0, 0, 0, 0, time.UTC))
		}
		return fromMillis(n)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return fromFloatMillis(f)
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return unixNano(t)
		}
	}
	return 0, false
}

// The years that 64 bits of nanoseconds hold wholly.
const (
	yearMin = 1678
	yearMax = 2261
)

func unixNano(t time.Time) (int64, bool) {
	return t.UnixNano(), yearMin <= t.Year() && t.Year() <= yearMax
}

func fromMillis(n int64) (int64, bool) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return n * int64(time.Millisecond), -most <= n && n <= most
}

func fromFloatMillis(f float64) (int64, bool) {
	f *= float64(time.Millisecond)
	return int64(f), math.Abs(f) < int64End
}

// asDate is a value as the date that it is compared as.
func asDate(v Value) (int64, bool) {
	switch v.kind {
	case KindDate:
		return v.n, true
	case KindInt:
		return fromMillis(v.n)
	case KindFloat:
		return fromFloatMillis(v.AsFloat())
	case KindString:
		return ParseDate(v.s)
	}
	return 0, false
}

// ToDate is a string or a number of milliseconds as a date, null when it is none.
func ToDate(v Value) Value {
	if nanos, ok := asDate(v); ok {
		return Date(nanos)
	}
	return Null
}

// fileTimeEpoch is 1970 in ticks of 100 ns since 1601, the clock of Windows and of Endgame's events.
const fileTimeEpoch = 116444736000000000

// Bounds between the units in which a clock is given as a number, at the values that today has in them.
const (
	secondsMin  = 1e8 // below: milliseconds near 1970, as in tests
	millisMin   = 1e11
	microsMin   = 1e14
	fileTimeMin = fileTimeEpoch
	fileTimeMax = 3e17
)

// ToClock is the time of an event: a date, or a number whose unit follows from its size (seconds, milliseconds,
// microseconds, ticks of Windows, nanoseconds).
func ToClock(v Value) Value {
	if v.kind != KindInt && v.kind != KindFloat {
		return ToDate(v)
	}
	f := v.AsFloat()
	switch {
	case f >= fileTimeMin && f < fileTimeMax && v.kind == KindInt:
		return Date((v.n - fileTimeEpoch) * 100)
	case f >= fileTimeMin && v.kind == KindInt:
		return Date(v.n)
	case f >= microsMin && v.kind == KindInt:
		return Date(v.n * int64(time.Microsecond))
	case f >= secondsMin && f < millisMin:
		return Date(int64(f * float64(time.Second)))
	}
	return ToDate(v)
}
