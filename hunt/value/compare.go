package value

import (
	"cmp"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Rules are what differs between the dialects when values are compared.
type Rules struct {
	Fold    bool // ASCII letters of strings match in either case
	Numeric bool // a string that is written as a number compares with a number by value
}

// Equal says whether two values are the same: unknown when either is null, false for kinds that cannot be compared.
// Dates compare with strings and with milliseconds since 1970, addresses with strings and with networks, versions with
// strings.
func (r Rules) Equal(a, b Value) Truth {
	if a.IsNull() || b.IsNull() {
		return Unknown
	}
	if a.kind == KindIP || b.kind == KindIP {
		if same, ok := sameAddress(a, b); ok {
			return TruthOf(same)
		}
	}
	if a.kind == KindArray || b.kind == KindArray {
		return r.equalArrays(a.List(), b.List(), a.kind == b.kind)
	}
	c, ok := r.order(a, b)
	return TruthOf(ok && c == 0)
}

func (r Rules) equalArrays(a, b []Value, both bool) Truth {
	if !both || len(a) != len(b) {
		return False
	}
	for i := range a {
		if r.Equal(a[i], b[i]) != True && !(a[i].IsNull() && b[i].IsNull()) {
			return False
		}
	}
	return True
}

// Order is negative, 0 or positive as a is less than, equal to or greater than b. It is not ok when either is null or
// when the kinds have no common order.
func (r Rules) Order(a, b Value) (int, bool) {
	if a.IsNull() || b.IsNull() {
		return 0, false
	}
	return r.order(a, b)
}

func (r Rules) order(a, b Value) (int, bool) {
	switch {
	case a.IsNumber() && b.IsNumber():
		return compareNumbers(a, b), true
	case a.kind == KindDate || b.kind == KindDate:
		x, ok := asDate(a)
		y, ok2 := asDate(b)
		return cmp.Compare(x, y), ok && ok2
	case (a.kind == KindVersion || b.kind == KindVersion) && a.IsText() && b.IsText():
		return CompareVersions(a.s, b.s), true
	case a.IsText() && b.IsText():
		if a.kind == KindIP && b.kind == KindIP {
			return orderAddresses(a.s, b.s)
		}
		if r.Fold {
			return strings.Compare(Lower(a.s), Lower(b.s)), true
		}
		return strings.Compare(a.s, b.s), true
	case a.kind == KindBool && b.kind == KindBool:
		return cmp.Compare(a.n, b.n), true
	case r.Numeric && a.IsText() && b.IsNumber():
		n, ok := Canonical(a.s)
		return compareNumbers(n, b), ok
	case r.Numeric && a.IsNumber() && b.IsText():
		n, ok := Canonical(b.s)
		return compareNumbers(a, n), ok
	}
	return 0, false
}

// Canonical is the number that a string is written as: only the form in which the number itself would be written, so
// "007" and "1e3" are strings.
func Canonical(s string) (Value, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int(n), strconv.FormatInt(n, 10) == s
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && floatText(f) == s {
		return Float(f), true
	}
	return Null, false
}

// compareNumbers is exact also where an integer does not fit a float.
func compareNumbers(a, b Value) int {
	switch {
	case a.kind == KindInt && b.kind == KindInt:
		return cmp.Compare(a.n, b.n)
	case a.kind == KindFloat && b.kind == KindFloat:
		return cmp.Compare(a.AsFloat(), b.AsFloat())
	case a.kind == KindFloat:
		return -compareMixed(b.n, a.AsFloat())
	}
	return compareMixed(a.n, b.AsFloat())
}

// int64End is the first float above all 64-bit integers.
const int64End = 1 << 63

func compareMixed(n int64, f float64) int {
	switch {
	case f >= int64End:
		return -1
	case f < -int64End:
		return 1
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(n, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, f)
}

// sameAddress compares an address with an address or a network; it is not ok when one side is neither.
func sameAddress(a, b Value) (same, ok bool) {
	if !a.IsText() || !b.IsText() {
		return false, false
	}
	if strings.Contains(b.s, "/") {
		return InNetwork(a.s, b.s), true
	}
	if strings.Contains(a.s, "/") {
		return InNetwork(b.s, a.s), true
	}
	c, ok := orderAddresses(a.s, b.s)
	return c == 0, ok
}

func orderAddresses(a, b string) (int, bool) {
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	if err != nil || err2 != nil {
		return 0, false
	}
	return x.Unmap().Compare(y.Unmap()), true
}

// mappedBits is the length of the prefix of IPv4 addresses written as IPv6.
const mappedBits = 96

// ParseNetwork reads a network such as 10.0.0.0/8; bits behind the prefix are ignored.
func ParseNetwork(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), true
}

// InNetwork says whether an address is in a network; false when either text is not what it should be.
func InNetwork(address, network string) bool {
	a, err := netip.ParseAddr(address)
	p, ok := ParseNetwork(network)
	return err == nil && ok && p.Contains(a.Unmap().WithZone(""))
}
