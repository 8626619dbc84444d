package expr

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/hunt/value"
)

// Positions and lengths count code points; a byte that is not UTF-8 is one.

func computes(op value.Op) func(bool, []value.Value) value.Value {
	return func(_ bool, a []value.Value) value.Value { return value.Compute(op, a[0], a[1]) }
}

func tests(test func(s, part string) bool) func(bool, []value.Value) value.Value {
	return func(fold bool, a []value.Value) value.Value {
		s, part := folded(fold, a[0]), folded(fold, a[1])
		return value.Bool(test(s, part))
	}
}

func folded(fold bool, v value.Value) string {
	if fold {
		return value.Lower(v.Text())
	}
	return v.Text()
}

func flag(args []value.Value, i int) bool {
	return i < len(args) && args[i].Truth() == value.True
}

// between(source, left, right, greedy, caseSensitive) is the text after the first left up to the next right, or with
// greedy the last. The fifth argument is of older EQL.
func between(fold bool, a []value.Value) value.Value {
	if len(a) > 4 && !a[4].IsNull() {
		fold = !flag(a, 4)
	}
	source := a[0].Text()
	search, left, right := folded(fold, a[0]), folded(fold, a[1]), folded(fold, a[2])
	start := strings.Index(search, left)
	if start < 0 {
		return value.Null
	}
	start += len(left)
	end := strings.Index(search[start:], right)
	if flag(a, 3) {
		end = strings.LastIndex(search[start:], right)
	}
	if end < 0 {
		return value.Null
	}
	return value.String(source[start : start+end])
}

func cidrMatch(_ bool, a []value.Value) value.Value {
	for _, network := range a[1:] {
		if value.InNetwork(a[0].Text(), network.Text()) {
			return value.Bool(true)
		}
	}
	return value.Bool(false)
}

func concat(_ bool, a []value.Value) value.Value {
	var b strings.Builder
	for _, v := range a {
		b.WriteString(v.Text())
	}
	return value.String(b.String())
}

func text(_ bool, a []value.Value) value.Value { return value.String(a[0].Text()) }

func length(_ bool, a []value.Value) value.Value {
	return value.Int(int64(utf8.RuneCountInString(a[0].Text())))
}

// indexOf(source, part, start) is the position of the first part at or after start, null when there is none.
func indexOf(fold bool, a []value.Value) value.Value {
	s, part := folded(fold, a[0]), folded(fold, a[1])
	start := int64(0)
	if len(a) > 2 && !a[2].IsNull() {
		start = whole64(a[2])
	}
	from := offset(s, max(start, 0))
	if from < 0 {
		return value.Null
	}
	at := strings.Index(s[from:], part)
	if at < 0 {
		return value.Null
	}
	return value.Int(int64(utf8.RuneCountInString(s[:from+at])))
}

// whole64 is a number without its fraction.
func whole64(v value.Value) int64 {
	if v.Kind() == value.KindInt {
		return v.AsInt()
	}
	return int64(max(-1<<62, min(1<<62, math.Trunc(v.AsFloat()))))
}

// offset is where the n-th code point begins, len(s) for the end, -1 behind it.
func offset(s string, n int64) int {
	at := 0
	for ; n > 0; n-- {
		if at == len(s) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}

// substring(source, start, end) takes code points from start up to end; negative positions count from the end, those
// beyond an end stand for it.
func substring(_ bool, a []value.Value) value.Value {
	s := a[0].Text()
	n := int64(utf8.RuneCountInString(s))
	start, end := int64(0), n
	if !a[1].IsNull() {
		start = position(whole64(a[1]), n)
	}
	if len(a) > 2 && !a[2].IsNull() {
		end = position(whole64(a[2]), n)
	}
	if start >= end {
		return value.String("")
	}
	return value.String(s[offset(s, start):offset(s, end)])
}

func position(p, n int64) int64 {
	if p < 0 {
		p = max(0, p+n)
	}
	return min(p, n)
}

// The bases that number understands.
const (
	baseMin = 2
	baseMax = 36
)

// number(text, base) reads a number. Without a base, text after 0x is hexadecimal; only decimal numbers have fractions.
func number(_ bool, a []value.Value) value.Value {
	s := a[0].Text()
	base := int64(0)
	if len(a) > 1 && !a[1].IsNull() {
		if base = whole64(a[1]); base < baseMin || base > baseMax {
			return value.Null
		}
	}
	sign, digits := "", s
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, digits = s[:1], s[1:]
	}
	if base == 0 || base == 16 {
		if hex, ok := strings.CutPrefix(value.Lower(digits), "0x"); ok {
			digits, base = hex, 16
		}
	}
	if base == 0 {
		base = 10
	}
	if digits == "" || strings.ContainsAny(digits[:1], "+-") {
		return value.Null
	}
	if n, err := strconv.ParseInt(sign+digits, int(base), 64); err == nil {
		return value.Int(n)
	}
	if base != 10 || strings.Trim(digits, "0123456789.eE+-") != "" {
		return value.Null
	}
	f, err := strconv.ParseFloat(sign+digits, 64)
	if err != nil {
		return value.Null
	}
	return value.Float(f)
}
