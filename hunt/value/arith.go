package value

import "math"

// Op is an arithmetic operation.
type Op uint8

// The operations.
const (
	Add Op = iota
	Sub
	Mul
	Div // of two integers the quotient towards zero
	Mod // the sign of the first
)

// Compute applies an operation to two numbers. The result is null when either operand is not a number, when an integer
// does not fit 64 bits and when something is divided by zero.
func Compute(op Op, a, b Value) Value {
	if !a.IsNumber() || !b.IsNumber() {
		return Null
	}
	if a.kind == KindInt && b.kind == KindInt {
		return integers(op, a.n, b.n)
	}
	x, y := a.AsFloat(), b.AsFloat()
	switch op {
	case Add:
		return Float(x + y)
	case Sub:
		return Float(x - y)
	case Mul:
		return Float(x * y)
	case Div:
		return Float(x / y)
	}
	return Float(math.Mod(x, y))
}

func integers(op Op, x, y int64) Value {
	switch op {
	case Add:
		if sum := x + y; (sum > x) == (y > 0) {
			return Int(sum)
		}
		return Null
	case Sub:
		if diff := x - y; (diff < x) == (y > 0) {
			return Int(diff)
		}
		return Null
	case Mul:
		return multiply(x, y)
	}
	if y == 0 || x == math.MinInt64 && y == -1 {
		if y != 0 && op == Mod {
			return Int(0)
		}
		return Null
	}
	if op == Div {
		return Int(x / y)
	}
	return Int(x % y)
}

func multiply(x, y int64) Value {
	if x == 0 || y == 0 {
		return Int(0)
	}
	product := x * y
	if product/y != x || x == math.MinInt64 && y == -1 || y == math.MinInt64 && x == -1 {
		return Null
	}
	return Int(product)
}

// Negate is the number with the other sign, null for what is no number.
func Negate(v Value) Value {
	switch v.kind {
	case KindInt:
		return integers(Sub, 0, v.n)
	case KindFloat:
		return Float(-v.AsFloat())
	}
	return Null
}
