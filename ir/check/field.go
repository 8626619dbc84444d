package check

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// compareField lowers `field op constant`.
func (c *checker) compareField(at eql.Span, f *eql.Field, op ir.Cmp, v any) ir.Node {
	id, ok := c.field(f)
	if v == nil {
		return c.nullTest(at, id, ok, op)
	}
	if !ok {
		return ir.Const{Value: ir.Null}
	}
	if op == ir.Ne {
		return ir.Not{Arg: c.equal(at, f, id, v, false, false)}
	}
	if op == ir.Eq {
		return c.equal(at, f, id, v, false, false)
	}
	return c.order(at, f, id, op, v)
}

func (c *checker) nullTest(at eql.Span, id event.FieldID, known bool, op ir.Cmp) ir.Node {
	if op != ir.Eq && op != ir.Ne {
		c.warnf(at, "use == null or != null", "an order with null is null")
		return ir.Const{Value: ir.Null}
	}
	if !known {
		return truth(op == ir.Eq)
	}
	if op == ir.Eq {
		return ir.Not{Arg: ir.Present{Field: id}}
	}
	return ir.Present{Field: id}
}

// order lowers < <= > >=.
func (c *checker) order(at eql.Span, f *eql.Field, id event.FieldID, op ir.Cmp, v any) ir.Node {
	kind := id.Kind()
	switch kind {
	case event.KindString, event.KindStrings:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, f, id, v)
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
			return c.mismatch(at, f, id, v)
		}
		return ir.IntTest{Field: id, Cmp: op, Value: n}
	}
	c.errorf(at, "", "%s is %s and has no order", f.Path(), kindName(kind))
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
func (c *checker) equal(at eql.Span, f *eql.Field, id event.FieldID, v any, glob, fold bool) ir.Node {
	kind := id.Kind()
	if s, ok := v.(string); ok && glob && strings.ContainsAny(s, "*?") {
		return ir.StringTest{Field: id, Patterns: []ir.Pattern{{Kind: ir.Wildcard, Text: s, Fold: fold}}}
	}
	switch kind {
	case event.KindString, event.KindStrings:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, f, id, v)
		}
		return ir.StringTest{Field: id, Patterns: []ir.Pattern{{Kind: ir.Exact, Text: s, Fold: fold}}}
	case event.KindIP:
		s, ok := v.(string)
		if !ok {
			return c.mismatch(at, f, id, v)
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
		return c.mismatch(at, f, id, v)
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

func (c *checker) mismatch(at eql.Span, f *eql.Field, id event.FieldID, v any) ir.Node {
	what := "a number"
	hint := ""
	switch v := v.(type) {
	case string:
		what = strconv.Quote(v)
		if _, err := strconv.ParseInt(v, 10, 64); err == nil && id.Kind().IsNumber() {
			hint = "leave the quotes out"
		}
	case bool:
		what = strconv.FormatBool(v)
	case int64:
		if !id.Kind().IsNumber() {
			hint = "put it in quotes"
		}
	}
	c.errorf(at, hint, "%s is %s and cannot be compared with %s", f.Path(), kindName(id.Kind()), what)
	return never
}

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

// match lowers the operators that take a list: true when any value matches.
func (c *checker) match(x *eql.Match) ir.Node {
	f, isField := x.X.(*eql.Field)
	if !isField {
		return c.matchConst(x)
	}
	id, known := c.field(f)
	values := c.values(x)
	if !known {
		return ir.Const{Value: ir.Null}
	}
	return c.merge(x, f, id, values)
}

// value is one constant of a list with its place.
type value struct {
	at eql.Span
	v  any
}

func (c *checker) values(x *eql.Match) []value {
	var out []value
	for _, e := range x.Values {
		if v, ok := e.(*eql.Var); ok {
			list, _ := c.global(v)
			for _, g := range list {
				out = append(out, value{v.Span, g})
			}
			continue
		}
		v, ok := c.literal(e)
		if !ok {
			if _, bad := e.(*eql.Bad); !bad {
				c.errorf(e.Range(), "", "a list holds constants")
			}
			continue
		}
		if isWrong(v) {
			continue
		}
		out = append(out, value{e.Range(), v})
	}
	return out
}

// merge makes one node per way of testing out of the values: strings, numbers, addresses.
func (c *checker) merge(x *eql.Match, f *eql.Field, id event.FieldID, values []value) ir.Node {
	var patterns []ir.Pattern
	var ints []int64
	var prefixes []netip.Prefix
	var rest []ir.Node
	for _, v := range values {
		if v.v == nil {
			rest = append(rest, ir.Const{Value: ir.Null})
			continue
		}
		switch n := c.matchOne(x, f, id, v).(type) {
		case ir.StringTest:
			patterns = append(patterns, n.Patterns...)
		case ir.IntTest:
			if n.Cmp == ir.Eq {
				ints = append(ints, n.Value)
				continue
			}
			rest = append(rest, n)
		case ir.IPIn:
			prefixes = append(prefixes, n.Prefixes...)
		default:
			rest = append(rest, n)
		}
	}
	if len(patterns) > 0 {
		rest = append(rest, ir.StringTest{Field: id, Patterns: patterns})
	}
	switch {
	case len(ints) == 1:
		rest = append(rest, ir.IntTest{Field: id, Cmp: ir.Eq, Value: ints[0]})
	case len(ints) > 1:
		rest = append(rest, ir.IntIn{Field: id, Values: ints})
	}
	if len(prefixes) > 0 {
		rest = append(rest, ir.IPIn{Field: id, Prefixes: prefixes})
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return ir.Or{Args: rest}
}

func (c *checker) matchOne(x *eql.Match, f *eql.Field, id event.FieldID, v value) ir.Node {
	switch x.Op {
	case eql.In:
		return c.equal(v.at, f, id, v.v, c.dialect == eql.Kestrel, x.Fold)
	case eql.Seq:
		return c.equal(v.at, f, id, v.v, true, true)
	}
	s, ok := v.v.(string)
	if !ok {
		c.errorf(v.at, "put it in quotes", "%s takes text", x.Op)
		return never
	}
	return c.pattern(v.at, id, ir.Pattern{Kind: patternKinds[x.Op], Text: s, Fold: x.Fold})
}

// patternKinds are the operators that compare text. On an array each tests the elements: `process.args contains "x"` is
// true when x is a part of some argument.
var patternKinds = [...]ir.PatternKind{eql.Like: ir.Wildcard, eql.Regex: ir.Regex, eql.Contains: ir.Contains,
	eql.StartsWith: ir.Prefix, eql.EndsWith: ir.Suffix}

func (c *checker) pattern(at eql.Span, id event.FieldID, p ir.Pattern) ir.Node {
	if p.Kind == ir.Regex {
		if err := build.CheckRegex(p.Text, p.Fold); err != nil {
			c.errorf(at, "", "regular expression %q: %v", p.Text, err)
			return never
		}
	}
	if id.Kind() == event.KindBool || id.Kind() == event.KindTime {
		c.errorf(at, "", "%s is %s, not text", event.FieldByID(id).Name, kindName(id.Kind()))
		return never
	}
	return ir.StringTest{Field: id, Patterns: []ir.Pattern{p}}
}

// matchConst folds a match of a constant.
func (c *checker) matchConst(x *eql.Match) ir.Node {
	l, ok := c.literal(x.X)
	if !ok {
		c.operand(x.X)
		return never
	}
	if isWrong(l) {
		return never
	}
	if l == nil {
		return ir.Const{Value: ir.Null}
	}
	for _, v := range c.values(x) {
		a, aText := l.(string)
		b, bText := v.v.(string)
		if aText != bText {
			if x.Op == eql.In || x.Op == eql.Seq {
				if n, ok := number(l); ok {
					if m, ok := number(v.v); ok && n == m {
						return truth(true)
					}
				}
				continue
			}
			c.errorf(v.at, "", "%s takes text", x.Op)
			return never
		}
		if !aText {
			if l == v.v {
				return truth(true)
			}
			continue
		}
		if c.constMatches(x, v.at, a, b) {
			return truth(true)
		}
	}
	return truth(false)
}

func (c *checker) constMatches(x *eql.Match, at eql.Span, text, pattern string) bool {
	p := build.Pattern{Text: pattern, Fold: x.Fold}
	switch x.Op {
	case eql.In:
		if c.dialect == eql.Kestrel {
			p.Kind = build.Wildcard
		}
	case eql.Seq:
		p.Kind, p.Fold = build.Wildcard, true
	case eql.Like:
		p.Kind = build.Wildcard
	case eql.Regex:
		p.Kind = build.Regex
		if err := build.CheckRegex(pattern, x.Fold); err != nil {
			c.errorf(at, "", "regular expression %q: %v", pattern, err)
			return false
		}
	case eql.Contains:
		p.Kind = build.Contains
	case eql.StartsWith:
		p.Kind = build.Prefix
	case eql.EndsWith:
		p.Kind = build.Suffix
	}
	return build.Match(p, build.Options{}, []byte(text))
}
