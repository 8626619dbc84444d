package build

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// A predicate only has to know whether its condition is true; false and null are both no match. Pushing negation to
// the leaves makes two values enough: a leaf is true when its field is there and the test holds, or, negated, when the
// field is there and the test does not. Conditions then become jumps, as a compiler does with && and ||.
type generator struct {
	b      *builder
	code   []labelled
	labels []int // label -> instruction, -1 while unknown
	err    error
}

type labelled struct {
	image.Instr
	t, f int // labels; labelAccept, labelReject
}

const (
	labelAccept = -1
	labelReject = -2
)

func (b *builder) generate(n ir.Node) ([]image.Instr, error) {
	g := &generator{b: b}
	g.node(n, false, labelAccept, labelReject)
	if g.err != nil {
		return nil, g.err
	}
	if len(g.code) == 0 || len(g.code) > limits.CodeMax {
		return nil, fmt.Errorf("%d tests (max %d)", len(g.code), limits.CodeMax)
	}
	code := make([]image.Instr, len(g.code))
	for i, in := range g.code {
		code[i] = in.Instr
		code[i].True, code[i].False = g.target(in.t), g.target(in.f)
	}
	return code, nil
}

func (g *generator) target(label int) uint16 {
	switch label {
	case labelAccept:
		return image.Accept
	case labelReject:
		return image.Reject
	}
	return uint16(g.labels[label])
}

func (g *generator) label() int {
	g.labels = append(g.labels, -1)
	return len(g.labels) - 1
}

func (g *generator) emit(op image.Op, flags uint8, field event.FieldID, operand uint32, neg bool, t, f int) {
	if neg {
		flags |= image.FlagNot
	}
	g.code = append(g.code, labelled{image.Instr{Op: op, Flags: flags, Field: uint16(field), Operand: operand}, t, f})
}

// node emits code that goes to t when n, negated if neg, is true, and to f when it is false or null.
func (g *generator) node(n ir.Node, neg bool, t, f int) {
	switch n := n.(type) {
	case ir.And:
		g.list(n.Args, neg, neg, t, f)
	case ir.Or:
		g.list(n.Args, neg, !neg, t, f)
	case ir.Not:
		g.node(n.Arg, !neg, t, f)
	case ir.IsTrue:
		if neg {
			t, f = f, t
		}
		g.node(n.Arg, false, t, f)
	case ir.Const:
		// event.type is a field of every event, so testing for it is a jump.
		to := f
		if n.Value == ir.True && !neg || n.Value == ir.False && neg {
			to = t
		}
		g.emit(image.OpPresent, 0, event.FieldEventType, 0, false, to, to)
	case ir.Present:
		if neg {
			t, f = f, t
		}
		g.emit(image.OpPresent, 0, n.Field, 0, false, t, f)
	case ir.StringTest:
		g.emit(image.OpTest, 0, n.Field, g.b.test(n), neg, t, f)
	case ir.IntTest:
		g.emit(image.OpInt, uint8(n.Cmp), n.Field, g.b.integer(n.Value), neg, t, f)
	case ir.IntIn:
		if len(n.Values) == 0 {
			g.none(n.Field, neg, t, f)
			return
		}
		g.emit(image.OpIntIn, 0, n.Field, g.b.intSet(n.Values), neg, t, f)
	case ir.IPIn:
		ranges := ranges(n.Prefixes)
		if len(ranges) == 0 {
			g.none(n.Field, neg, t, f)
			return
		}
		g.emit(image.OpIPIn, 0, n.Field, g.b.rangeSet(ranges), neg, t, f)
	case ir.StringOrder:
		if !utf8.ValidString(n.Value) {
			g.program(n, neg, t, f) // the strings of an image are text
			return
		}
		g.b.consts = append(g.b.consts, g.b.text(n.Value))
		g.emit(image.OpOrder, uint8(n.Cmp), n.Field, uint32(len(g.b.consts)-1), neg, t, f)
	case ir.FieldTest:
		g.fieldTest(n, neg, t, f)
	case ir.Test, ir.IsNull:
		g.program(n, neg, t, f)
	default:
		g.err = fmt.Errorf("BUG: no code for %T", n)
	}
}

// none emits a test against an empty set: false where the field is there.
func (g *generator) none(field event.FieldID, neg bool, t, f int) {
	if !neg {
		t = f
	}
	g.emit(image.OpPresent, 0, field, 0, false, t, f)
}

// program emits a condition that only the stack machine can evaluate.
func (g *generator) program(n ir.Node, neg bool, t, f int) {
	program, err := g.b.exprs.Add(n, nil)
	if err != nil && g.err == nil {
		g.err = err
	}
	g.emit(image.OpExpr, 0, event.FieldEventType, program, neg, t, f)
}

// comparable tells whether an instruction can compare two fields: both numbers, or texts of which one may be an array.
func comparable(left, right event.FieldID) bool {
	if !left.Known() || !right.Known() {
		return false
	}
	a, b := left.Kind(), right.Kind()
	isText := func(k event.Kind) bool { return k == event.KindString || k == event.KindStrings }
	return a.IsNumber() && b.IsNumber() || isText(a) && isText(b) && (a == event.KindString || b == event.KindString) ||
		a == event.KindIP && b == event.KindIP
}

func (g *generator) fieldTest(n ir.FieldTest, neg bool, t, f int) {
	if !comparable(n.Left, n.Right) {
		g.program(n, neg, t, f)
		return
	}
	// Both must be there for the test to be anything but null.
	present := g.label()
	g.emit(image.OpPresent, 0, n.Right, 0, false, present, f)
	g.labels[present] = len(g.code)
	if n.Left.Kind().IsNumber() {
		g.emit(image.OpFieldInt, uint8(n.Cmp), n.Left, uint32(n.Right), neg, t, f)
		return
	}
	flags := uint8(0)
	if n.Fold {
		flags = image.FlagFold
	}
	g.emit(image.OpFieldStr, flags, n.Left, uint32(n.Right), neg != (n.Cmp == ir.Ne), t, f)
}

// list emits And (any false) or Or (any true) of args, each negated if neg; cheap tests come first, since order does
// not change the result.
func (g *generator) list(args []ir.Node, neg, or bool, t, f int) {
	sorted := slices.Clone(args)
	slices.SortStableFunc(sorted, func(a, b ir.Node) int { return cost(a) - cost(b) })
	for i, a := range sorted {
		if i == len(sorted)-1 {
			g.node(a, neg, t, f)
			return
		}
		next := g.label()
		if or {
			g.node(a, neg, t, next)
		} else {
			g.node(a, neg, next, f)
		}
		g.labels[next] = len(g.code)
	}
}

// cost ranks nodes by what their evaluation takes: a comparison, a set, a scan of a short field, of a long one, a
// program.
func cost(n ir.Node) (sum int) {
	ir.Walk(n, func(n ir.Node) bool {
		switch n.(type) {
		case ir.And, ir.Or, ir.Not, ir.IsTrue:
			return true
		}
		sum += leafCost(n)
		return false
	}, nil)
	return sum
}

func leafCost(n ir.Node) int {
	switch n := n.(type) {
	case ir.IntIn, ir.IPIn:
		return 2
	case ir.StringOrder, ir.FieldTest:
		return 3
	case ir.Test, ir.IsNull:
		return 20
	case ir.StringTest:
		switch n.Field {
		case event.FieldEventAction, event.FieldEventType, event.FieldName:
			return 4
		case event.FieldCommandLine, event.FieldArgs:
			return 12
		}
		return 6
	}
	return 1
}

func (b *builder) integer(v int64) uint32 {
	id, ok := b.intIDs[v]
	if !ok {
		id = uint32(len(b.ints))
		b.ints = append(b.ints, v)
		b.intIDs[v] = id
	}
	return id
}

func (b *builder) intSet(values []int64) uint32 {
	v := slices.Clone(values)
	slices.Sort(v)
	v = slices.Compact(v)
	key := fmt.Sprint("i", v)
	id, ok := b.setIDs[key]
	if !ok {
		id = uint32(len(b.sets))
		b.sets = append(b.sets, image.Span{Start: uint32(len(b.ints)), Len: uint32(len(v))})
		b.ints = append(b.ints, v...)
		b.setIDs[key] = id
	}
	return id
}

// ranges makes sorted ranges that do not overlap out of prefixes, so that a lookup is one binary search.
func ranges(prefixes []netip.Prefix) []image.Range {
	var r []image.Range
	for _, p := range prefixes {
		r = append(r, apart(p, prefixRange(p))...)
	}
	slices.SortFunc(r, func(a, c image.Range) int {
		if a.LoHi < c.LoHi || a.LoHi == c.LoHi && a.LoLo < c.LoLo {
			return -1
		}
		if a.LoHi == c.LoHi && a.LoLo == c.LoLo {
			return 0
		}
		return 1
	})
	merged := r[:0]
	for _, x := range r {
		if n := len(merged); n > 0 {
			last := &merged[n-1]
			if x.LoHi < last.HiHi || x.LoHi == last.HiHi && x.LoLo <= last.HiLo {
				if last.HiHi < x.HiHi || last.HiHi == x.HiHi && last.HiLo < x.HiLo {
					last.HiHi, last.HiLo = x.HiHi, x.HiLo
				}
				continue
			}
		}
		merged = append(merged, x)
	}
	return merged
}

func (b *builder) rangeSet(merged []image.Range) uint32 {
	key := fmt.Sprint("r", merged)
	id, ok := b.setIDs[key]
	if !ok {
		id = uint32(len(b.sets))
		b.sets = append(b.sets, image.Span{Start: uint32(len(b.ranges)), Len: uint32(len(merged))})
		b.ranges = append(b.ranges, merged...)
		b.setIDs[key] = id
	}
	return id
}

func prefixRange(p netip.Prefix) image.Range {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	a := p.Addr().As16()
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	maskHi, maskLo := ^uint64(0), ^uint64(0)
	if bits < 64 {
		maskHi, maskLo = ^(^uint64(0) >> bits), 0
	} else {
		maskLo = ^(^uint64(0) >> (bits - 64))
	}
	return image.Range{LoHi: hi & maskHi, LoLo: lo & maskLo, HiHi: hi | ^maskHi, HiLo: lo | ^maskLo}
}

// The addresses ::ffff:0:0/96 stand for IPv4 in ranges.
const (
	mappedLo = 0x0000_ffff_0000_0000
	mappedHi = 0x0000_ffff_ffff_ffff
)

// apart cuts the addresses that stand for IPv4 out of an IPv6 prefix.
func apart(p netip.Prefix, r image.Range) []image.Range {
	if p.Addr().Is4() || r.LoHi != 0 || r.LoLo > mappedHi || r.HiHi == 0 && r.HiLo < mappedLo {
		return []image.Range{r}
	}
	var out []image.Range
	if r.LoLo < mappedLo {
		out = append(out, image.Range{LoLo: r.LoLo, HiLo: mappedLo - 1})
	}
	if r.HiHi > 0 || r.HiLo > mappedHi {
		out = append(out, image.Range{LoLo: mappedHi + 1, HiHi: r.HiHi, HiLo: r.HiLo})
	}
	return out
}
