package check

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// compareField lowers a comparison of a field of the event with a constant.
func (c *checker) compareField(at eql.Span, o *operand, op ir.Cmp, v any) ir.Node {
	if s, ok := v.(string); ok && o.typ == typText && (op == ir.Eq || op == ir.Ne) {
		c.star(at, s)
	}
	switch op {
	case ir.Ne:
		return ir.Not{Arg: c.equal(at, o, v, false, false)}
	case ir.Eq:
		return c.equal(at, o, v, false, false)
	}
	return c.order(at, o, op, v)
}

// order lowers < <= > >=.
func (c *checker) order(at eql.Span, o *operand, op ir.Cmp, v any) ir.Node {
	id, kind := o.field, o.field.Kind()
	switch kind {
	case event.KindString, event.KindStrings:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, o, v)
		}
		return ir.StringOrder{Field: id, Cmp: op, Value: s}
	case event.KindInt, event.KindID, event.KindTime:
		if fl, ok := v.(float64); ok && kind == event.KindTime {
			return orderFloat(id, op, fl*float64(time.Millisecond))
		} else if ok {
			return orderFloat(id, op, fl)
		}
		n, ok := integer(kind, v)
		if !ok {
			return c.mismatch(at, o, v)
		}
		return ir.IntTest{Field: id, Cmp: op, Value: n}
	}
	c.errorf(at, "", "%s and has no order", c.is(o))
	return never
}

// orderFloat compares whole numbers with a broken one by the whole number next to it.
func orderFloat(id event.FieldID, op ir.Cmp, v float64) ir.Node {
	switch op {
	case ir.Lt, ir.Ge:
		v = math.Ceil(v)
	default:
		v = math.Floor(v)
	}
	if v >= 1<<63 {
		return all(id, op == ir.Lt || op == ir.Le)
	}
	if v < -1<<63 {
		return all(id, op == ir.Gt || op == ir.Ge)
	}
	return ir.IntTest{Field: id, Cmp: op, Value: int64(v)}
}

// all holds, or not, for every value the field has.
func all(id event.FieldID, holds bool) ir.Node {
	n := ir.IntTest{Field: id, Cmp: ir.Ge, Value: math.MinInt64}
	if holds {
		return n
	}
	return ir.Not{Arg: n}
}

// equal lowers equality with one constant. glob lets * and ? stand for text, fold ignores case.
func (c *checker) equal(at eql.Span, o *operand, v any, glob, fold bool) ir.Node {
	id, kind := o.field, o.field.Kind()
	if s, ok := v.(string); ok && glob && strings.ContainsAny(s, "*?") {
		return c.pattern(at, o, ir.Pattern{Kind: ir.Wildcard, Text: s, Fold: fold})
	}
	switch kind {
	case event.KindString, event.KindStrings:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, o, v)
		}
		return ir.StringTest{Field: id, Patterns: []ir.Pattern{{Kind: ir.Exact, Text: s, Fold: fold}}}
	case event.KindIP:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, o, v)
		}
		p, err := prefix(s)
		if err != nil {
			c.errorf(at, "", "%q is neither an address nor a network", s)
			return never
		}
		return ir.IPIn{Field: id, Prefixes: []netip.Prefix{p}}
	}
	if fl, ok := v.(float64); ok && fl != math.Trunc(fl) && kind != event.KindBool && kind != event.KindTime {
		return all(id, false)
	}
	n, ok := integer(kind, v)
	if !ok {
		if s, isText := v.(string); isText && kind == event.KindID {
			// A numeric string that is compared with another string is never equal to it.
			return ir.StringTest{Field: id, Patterns: []ir.Pattern{{Kind: ir.Exact, Text: s, Fold: fold}}}
		}
		return c.mismatch(at, o, v)
	}
	return ir.IntTest{Field: id, Cmp: ir.Eq, Value: n}
}

// integer gives a constant as a field of the kind holds it.
func integer(kind event.Kind, v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		if kind == event.KindTime {
			// As in Elastic, a number is milliseconds since 1970.
			return v * int64(time.Millisecond), v >= -timeMillisMax && v <= timeMillisMax
		}
		return v, kind != event.KindBool
	case float64:
		if kind == event.KindTime {
			v *= float64(time.Millisecond)
		}
		return int64(v), kind != event.KindBool && v == math.Trunc(v) && math.Abs(v) < 1<<63
	case bool:
		if v {
			return 1, kind == event.KindBool
		}
		return 0, kind == event.KindBool
	case string:
		switch kind {
		case event.KindID:
			// Only the form that the number is written in: "007" is another string than "7".
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil && strconv.FormatInt(n, 10) == v
		case event.KindEntity:
			n, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 64)
			return int64(n), err == nil && strings.HasPrefix(v, "0x")
		case event.KindTime:
			for _, layout := range timeLayouts {
				if t, err := time.Parse(layout, v); err == nil {
					return t.UnixNano(), true
				}
			}
		}
	}
	return 0, false
}

// timeMillisMax keeps a time within 64 bits of nanoseconds.
const timeMillisMax = math.MaxInt64 / int64(time.Millisecond)

// timeLayouts are the forms of a date: ISO 8601, with the time, the zone and the fraction left out or not.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"}

// mappedBits is the length of the prefix of IPv4 addresses written as IPv6.
const mappedBits = 96

func prefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err == nil && p.Addr().Is4In6() && p.Bits() >= mappedBits {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
		}
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if a.Zone() != "" {
		return netip.Prefix{}, errors.New("an address with a zone")
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}
