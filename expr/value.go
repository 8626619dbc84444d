package expr

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"
)

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindText
)

// value is what the stack holds. The zero value is null. n is 0 or 1 for a truth value, and the bits of a float.
type value struct {
	kind kind
	n    int64
	text []byte
}

func boolean(b bool) value {
	if b {
		return value{kind: kindBool, n: 1}
	}
	return value{kind: kindBool}
}

func integer(n int64) value { return value{kind: kindInt, n: n} }

// float is a finite number; any other is null.
func float(f float64) value {
	if !finite(f) {
		return value{}
	}
	return value{kind: kindFloat, n: int64(math.Float64bits(f))}
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func text(b []byte) value { return value{kind: kindText, text: b} }

func fromTruth(t Truth) (v value) {
	v.set(t)
	return v
}

// set makes v a truth value, or null.
func (v *value) set(t Truth) {
	v.kind, v.n = kindNull, 0
	if t != Null {
		v.kind, v.n = kindBool, int64(t-False)
	}
}

func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

func not(t Truth) Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Null
}

// truth is the truth of a value; of what is no truth value it is null.
func (v *value) truth() Truth {
	if v.kind != kindBool {
		return Null
	}
	return False + Truth(v.n)
}

func (v *value) isNumber() bool { return v.kind == kindInt || v.kind == kindFloat }

// float is a number as a float.
func (v *value) float() float64 {
	if v.kind == kindInt {
		return float64(v.n)
	}
	return math.Float64frombits(uint64(v.n))
}

// and is Kleene's.
func and(a, b Truth) Truth {
	switch {
	case a == False || b == False:
		return False
	case a == Null || b == Null:
		return Null
	}
	return True
}

// or is Kleene's.
func or(a, b Truth) Truth {
	switch {
	case a == True || b == True:
		return True
	case a == Null || b == Null:
		return Null
	}
	return False
}

// arithmetic is an operation on two numbers.
func arithmetic(fn Fn, a, b *value) value {
	if !a.isNumber() || !b.isNumber() {
		return value{}
	}
	if a.kind == kindInt && b.kind == kindInt {
		return arithmeticInt(fn, a.n, b.n)
	}
	x, y := a.float(), b.float()
	// The conversions keep a compiler from fusing an operation with the next.
	switch fn {
	case FnAdd:
		return float(float64(x + y))
	case FnSub:
		return float(float64(x - y))
	case FnMul:
		return float(float64(x * y))
	}
	if y == 0 {
		return value{}
	}
	if fn == FnDiv {
		return float(float64(x / y))
	}
	return float(math.Mod(x, y))
}

// arithmeticInt is exact; what does not fit is null.
func arithmeticInt(fn Fn, a, b int64) value {
	switch fn {
	case FnAdd:
		if c := a + b; (c > a) == (b > 0) {
			return integer(c)
		}
		return value{}
	case FnSub:
		if c := a - b; (c < a) == (b > 0) {
			return integer(c)
		}
		return value{}
	case FnMul:
		return multiply(a, b)
	}
	if b == 0 {
		return value{}
	}
	if b == -1 {
		// The processor's division cannot hold the negation of the least number.
		if fn == FnMod {
			return integer(0)
		}
		return negate(a)
	}
	if fn == FnDiv {
		return integer(a / b)
	}
	return integer(a % b)
}

func negate(a int64) value {
	if a == math.MinInt64 {
		return value{}
	}
	return integer(-a)
}

func multiply(a, b int64) value {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	switch {
	case hi != 0 || lo > 1<<63 || lo == 1<<63 && !negative:
		return value{}
	case negative:
		return integer(-int64(lo))
	}
	return integer(int64(lo))
}

// magnitude is the distance from 0; that of the least number fits, too.
func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// compare is a comparison of two of a kind; others, and null, make it null.
func compare(fn Fn, a, b *value, fold bool) value {
	order := 0
	switch {
	case a.kind == kindInt && b.kind == kindInt:
		order = orderOf(a.n < b.n, a.n > b.n)
	case a.isNumber() && b.isNumber():
		x, y := a.float(), b.float()
		order = orderOf(x < y, x > y)
	case a.kind == kindText && b.kind == kindText:
		if fold {
			order = compareFold(a.text, b.text)
		} else {
			order = bytes.Compare(a.text, b.text)
		}
	case a.kind == kindBool && b.kind == kindBool && (fn == FnEq || fn == FnNe):
		order = orderOf(a.n < b.n, a.n > b.n)
	default:
		return value{}
	}
	return boolean(holds(fn, order))
}

func orderOf(less, greater bool) int {
	switch {
	case less:
		return -1
	case greater:
		return 1
	}
	return 0
}

func holds(fn Fn, order int) bool {
	switch fn {
	case FnEq:
		return order == 0
	case FnNe:
		return order != 0
	case FnLt:
		return order < 0
	case FnLe:
		return order <= 0
	case FnGt:
		return order > 0
	}
	return order >= 0
}

// written is a value as text.
func (sc *Scratch) written(v *value) value {
	switch v.kind {
	case kindNull, kindText:
		return *v
	case kindBool:
		if v.n != 0 {
			return text(textTrue)
		}
		return text(textFalse)
	}
	if len(sc.buf)-sc.used < textNumberMax {
		sc.Cut++
		return value{}
	}
	b := sc.buf[sc.used:sc.used]
	if v.kind == kindInt {
		b = strconv.AppendInt(b, v.n, 10)
	} else {
		b = appendFloat(b, v.float())
	}
	sc.used += len(b)
	return text(b)
}

var textTrue, textFalse = []byte("true"), []byte("false")

// Floats between these are written without an exponent, as Java does, whose texts Elasticsearch makes.
const (
	plainMin = 1e-3
	plainMax = 1e7
)

// appendFloat writes a float: the shortest digits that stand for it, at least one behind the point.
func appendFloat(dst []byte, f float64) []byte {
	if m := math.Abs(f); m == 0 || plainMin <= m && m < plainMax {
		from := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[from:], '.') < 0 {
			dst = append(dst, '.', '0')
		}
		return dst
	}
	var tmp [textNumberMax]byte
	e := strconv.AppendFloat(tmp[:0], f, 'E', -1, 64)
	mark := bytes.IndexByte(e, 'E')
	dst = append(dst, e[:mark]...)
	if bytes.IndexByte(e[:mark], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	dst = append(dst, 'E')
	if e[mark+1] == '-' {
		dst = append(dst, '-')
	}
	digits := e[mark+2:]
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return append(dst, digits...)
}
