package expr

import (
	"math"
	"strconv"
)

// The bases of a number in a text.
const (
	baseMin, baseMax = 2, 36
	baseDecimal      = 10
	baseHex          = 16
)

// decimalExponentEnd is the exponent from which a decimal number is too large: what is below it surely fits a float.
const decimalExponentEnd = 308

// number reads a text as a number: an integer of the base, or a decimal number. base is an integer, or
// null: then 16 for a text that begins with 0x, else 10.
func number(t []byte, base *value) value {
	hex := len(t) >= 2 && t[0] == '0' && t[1] == 'x'
	b := int64(baseDecimal)
	switch {
	case base.kind == kindInt:
		b = base.n
	case base.kind != kindNull:
		return value{}
	case hex:
		b = baseHex
	}
	if b < baseMin || b > baseMax {
		return value{}
	}
	if hex && b == baseHex {
		t = t[2:]
	}
	if n, ok := parseInt(t, uint64(b)); ok {
		return integer(n)
	}
	if b != baseDecimal || !isDecimal(t) {
		return value{}
	}
	// A decimal number that is not too large cannot make an error.
	f, _ := strconv.ParseFloat(borrowed(t), 64)
	return float(f)
}

// unsigned is a number without the sign that may stand before it.
func unsigned(t []byte) (rest []byte, negative bool) {
	if len(t) > 0 && (t[0] == '-' || t[0] == '+') {
		return t[1:], t[0] == '-'
	}
	return t, false
}

// parseInt reads an integer with or without a sign; ok is false when the text is none or it does not fit.
func parseInt(t []byte, base uint64) (n int64, ok bool) {
	t, negative := unsigned(t)
	if len(t) == 0 {
		return 0, false
	}
	most := uint64(math.MaxInt64)
	if negative {
		most++
	}
	sum := uint64(0)
	for _, c := range t {
		d := digit(c)
		if d >= base || sum > (most-d)/base {
			return 0, false
		}
		sum = sum*base + d
	}
	if negative {
		return -int64(sum), true
	}
	return int64(sum), true
}

// digit is the value of a digit in the highest base, or that base.
func digit(c byte) uint64 {
	switch c = lower(c); {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= c && c <= 'z':
		return uint64(c-'a') + baseDecimal
	}
	return baseMax
}

// isDecimal says whether a text is digits with or without sign, point and exponent, and below 10 to the power of
// decimalExponentEnd.
func isDecimal(t []byte) bool {
	t, _ = unsigned(t)
	digits, point, i := 0, -1, 0
	first := -1 // place of the first digit that is not 0
	for ; i < len(t); i++ {
		if t[i] == '.' && point < 0 {
			point = digits
			continue
		}
		if t[i] < '0' || t[i] > '9' {
			break
		}
		if t[i] != '0' && first < 0 {
			first = digits
		}
		digits++
	}
	if digits == 0 {
		return false
	}
	if point < 0 {
		point = digits
	}
	exponent, ok := exponentOf(t[i:])
	return ok && (first < 0 || point-first-1+exponent < decimalExponentEnd)
}

// exponentOf reads what may stand behind the digits. An exponent of many digits counts as a large one.
func exponentOf(t []byte) (exponent int, ok bool) {
	if len(t) == 0 {
		return 0, true
	}
	if lower(t[0]) != 'e' {
		return 0, false
	}
	t, negative := unsigned(t[1:])
	if len(t) == 0 {
		return 0, false
	}
	const large = 1 << 30
	for _, c := range t {
		if c < '0' || c > '9' {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), large)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}
