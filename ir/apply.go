package ir

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Apply is the value of an operation on constants, the obvious way: nil, bool, int64, float64 or string. Arguments
// that it does not take make it nil.
func Apply(fn Fn, fold bool, args []any) any {
	get := func(i int) any {
		if i < len(args) {
			return args[i]
		}
		return nil
	}
	switch fn {
	case FnAdd, FnSub, FnMul, FnDiv, FnMod:
		return arithmetic(fn, get(0), get(1))
	case FnNeg:
		if f, ok := get(0).(float64); ok {
			return -f
		}
		return arithmetic(FnSub, int64(0), get(0))
	case FnEq, FnNe, FnLt, FnLe, FnGt, FnGe:
		return compare(fn, fold, get(0), get(1))
	case FnConcat:
		s := ""
		for _, a := range args {
			t, ok := written(a).(string)
			if !ok {
				return nil
			}
			s += t
		}
		return s
	case FnString:
		return written(get(0))
	case FnNumber:
		return toNumber(get(0), get(1))
	}
	return textFn(fn, fold, get)
}

// arithmetic is exact for integers; a result that does not fit is nil.
func arithmetic(fn Fn, a, b any) any {
	x, xInt := a.(int64)
	y, yInt := b.(int64)
	if xInt && yInt {
		bx, by, r := big.NewInt(x), big.NewInt(y), new(big.Int)
		switch fn {
		case FnAdd:
			r.Add(bx, by)
		case FnSub:
			r.Sub(bx, by)
		case FnMul:
			r.Mul(bx, by)
		default:
			if y == 0 {
				return nil
			}
			if r.Quo(bx, by); fn == FnMod {
				r.Rem(bx, by)
			}
		}
		if !r.IsInt64() {
			return nil
		}
		return r.Int64()
	}
	f, ok := Number(a)
	g, ok2 := Number(b)
	if !ok || !ok2 {
		return nil
	}
	switch fn {
	case FnAdd:
		f += g
	case FnSub:
		f -= g
	case FnMul:
		f *= g
	default:
		if g == 0 {
			return nil
		}
		if fn == FnDiv {
			f /= g
		} else {
			f = math.Mod(f, g)
		}
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return f
}

// Number is a constant as a float; ok is false when it is no number.
func Number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func compare(fn Fn, fold bool, a, b any) any {
	op := Cmp(fn - FnEq)
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return ordered(op, cmp.Compare(x, y))
		}
	case bool:
		if y, ok := b.(bool); ok && op <= Ne {
			return (x == y) == (op == Eq)
		}
	case string:
		if y, ok := b.(string); ok && fold {
			return ordered(op, strings.Compare(lowered(x), lowered(y)))
		} else if ok {
			return ordered(op, strings.Compare(x, y))
		}
	}
	f, ok := Number(a)
	g, ok2 := Number(b)
	if !ok || !ok2 {
		return nil
	}
	return ordered(op, cmp.Compare(f, g))
}

// ordered tells whether a comparison holds for two values in an order.
func ordered(op Cmp, order int) bool {
	return [...]bool{Eq: order == 0, Ne: order != 0, Lt: order < 0, Le: order <= 0, Gt: order > 0, Ge: order >= 0}[op]
}

// lowered is a text with its ASCII letters in lower case.
func lowered(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// written is a value as text. A float has at least one digit behind the point, and an exponent when it is below a
// thousandth or not below ten millions.
func written(v any) any {
	switch v := v.(type) {
	case string:
		return v
	case bool, int64:
		return fmt.Sprint(v)
	case float64:
		if v == 0 || math.Abs(v) >= 1e-3 && math.Abs(v) < 1e7 {
			s := strconv.FormatFloat(v, 'f', -1, 64)
			if !strings.Contains(s, ".") {
				s += ".0"
			}
			return s
		}
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return fmt.Sprintf("%sE%d", mantissa, n)
	}
	return nil
}

// textFn is an operation whose first arguments are texts.
func textFn(fn Fn, fold bool, get func(int) any) any {
	s, ok := get(0).(string)
	if !ok {
		return nil
	}
	t, second := get(1).(string)
	in, part := s, t
	if fold {
		in, part = lowered(s), lowered(t)
	}
	switch fn {
	case FnLength:
		return int64(utf8.RuneCountInString(s))
	case FnSubstring:
		return substring(s, get(1), get(2))
	case FnBetween:
		right, ok := get(2).(string)
		greedy, isBool := get(3).(bool)
		if !second || !ok || !isBool && get(3) != nil {
			return nil
		}
		return between(s, t, right, greedy, fold)
	}
	if !second {
		return nil
	}
	switch fn {
	case FnEndsWith:
		return strings.HasSuffix(in, part)
	case FnStartsWith:
		return strings.HasPrefix(in, part)
	case FnStringContains:
		return strings.Contains(in, part)
	case FnIndexOf:
		start, ok := get(2).(int64)
		if !ok && get(2) != nil {
			return nil
		}
		before := strings.Join(clip(points(in), 0, start), "")
		i := strings.Index(in[len(before):], part)
		if i < 0 {
			return nil
		}
		return int64(utf8.RuneCountInString(in[:len(before)+i]))
	}
	panic(fmt.Sprintf("BUG: no meaning of function %d", fn))
}

// points splits a text into its code points; a byte that is not UTF-8 is one.
func points(s string) []string {
	var list []string
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		list = append(list, s[:n])
		s = s[n:]
	}
	return list
}

// clip is a part of a list; what lies outside is cut.
func clip(list []string, from, to int64) []string {
	n := int64(len(list))
	from, to = min(max(from, 0), n), min(max(to, 0), n)
	if from >= to {
		return nil
	}
	return list[from:to]
}

func substring(s string, from, to any) any {
	list := points(s)
	at := func(v any, none int64) (int64, bool) {
		n, ok := v.(int64)
		switch {
		case v == nil:
			return none, true
		case ok && n < 0:
			n += int64(len(list))
		}
		return n, ok
	}
	start, ok := at(from, 0)
	end, ok2 := at(to, int64(len(list)))
	if !ok || !ok2 {
		return nil
	}
	return strings.Join(clip(list, start, end), "")
}

func between(s, left, right string, greedy, fold bool) any {
	in := s
	if fold {
		in, left, right = lowered(s), lowered(left), lowered(right)
	}
	before, rest, ok := strings.Cut(in, left)
	if !ok {
		return nil
	}
	end := strings.Index(rest, right)
	if greedy {
		end = strings.LastIndex(rest, right)
	}
	if end < 0 {
		return nil
	}
	from := len(before) + len(left)
	return s[from : from+end]
}

// numberEnd is where decimal numbers in texts are too large: a power of ten, so that it shows in their digits.
var numberEnd, _, _ = big.ParseFloat("1e308", 10, numberBits, big.ToNearestEven)

const numberBits = 2000

func toNumber(v, base any) any {
	s, ok := v.(string)
	if !ok {
		if _, isNumber := Number(v); isNumber {
			return v
		}
		return nil
	}
	radix, ok := base.(int64)
	hex := strings.HasPrefix(s, "0x")
	switch {
	case base == nil && hex:
		radix = 16
	case base == nil:
		radix = 10
	case !ok || radix < 2 || radix > 36:
		return nil
	}
	if radix == 16 {
		s = strings.TrimPrefix(s, "0x")
	}
	if n, ok := new(big.Int).SetString(s, int(radix)); ok && n.IsInt64() && !strings.Contains(s, "_") {
		return n.Int64()
	}
	if radix != 10 || strings.Trim(s, "+-.0123456789eE") != "" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) > 1e308 {
		return nil
	}
	if math.Abs(f) == 1e308 {
		// What is below it may have been rounded to it.
		exact, _, err := big.ParseFloat(s, 10, numberBits, big.ToNearestEven)
		if err != nil || exact.Abs(exact).Cmp(numberEnd) >= 0 {
			return nil
		}
	}
	return f
}
