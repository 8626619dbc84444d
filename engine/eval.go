package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/image"
)

// eval follows a predicate's jumps to a verdict. Jumps lead forward only, which the loader has proved.
func (w *worker) eval(p *image.Predicate, ev *event.Event) bool {
	code := w.img.Code[p.Code : p.Code+uint32(p.Len)]
	pc := uint16(0)
	for {
		in := &code[pc]
		if w.test(in, ev) {
			pc = in.True
		} else {
			pc = in.False
		}
		if pc >= image.Reject {
			return pc == image.Accept
		}
	}
}

// test is one instruction: true when the event has the field and the test holds, or, negated, does not.
func (w *worker) test(in *image.Instr, ev *event.Event) bool {
	f := event.FieldID(in.Field)
	not := in.Flags&image.FlagNot != 0
	switch in.Op {
	case image.OpTest:
		set := uint32(w.img.Tests[in.Operand].Set)
		if c := w.plan.constant[set]; c != event.NotConstant {
			k := w.constant(c, ev)
			w.look(k, set, ev)
			local := w.plan.local[in.Operand]
			return k.has>>w.plan.bit[set]&1 != 0 && (k.tests[local/64]>>(local%64)&1 != 0) != not
		}
		w.scan(set, ev)
		return w.has[set] && (w.tests[in.Operand] == w.epoch) != not
	case image.OpInt:
		v, ok := ev.Int(f)
		return ok && compare(v, w.img.Ints[in.Operand], in.Flags&image.FlagCmp) != not
	case image.OpIntIn:
		v, ok := ev.Int(f)
		return ok && w.intIn(w.img.Sets[in.Operand], v) != not
	case image.OpIPIn:
		v, ok := ev.Bytes(f)
		return ok && w.ipIn(w.img.Sets[in.Operand], v) != not
	case image.OpPresent:
		return has(ev, f)
	case image.OpOrder:
		v, ok := ev.Bytes(f)
		return ok && w.order(f, v, w.img.Text(w.img.Consts[in.Operand]), in.Flags&image.FlagCmp) != not
	case image.OpFieldInt:
		a, ok := ev.Int(f)
		b, ok2 := ev.Int(event.FieldID(in.Operand))
		return ok && ok2 && compare(a, b, in.Flags&image.FlagCmp) != not
	case image.OpExpr:
		want := expr.True
		if not {
			want = expr.False
		}
		return w.img.Exprs.Eval(in.Operand, &w.own, w.exprs) == want
	}
	a, ok := ev.Bytes(f)
	b, ok2 := ev.Bytes(event.FieldID(in.Operand))
	return ok && ok2 && anyEqual(f, a, event.FieldID(in.Operand), b, in.Flags&image.FlagFold != 0) != not
}

func has(ev *event.Event, f event.FieldID) bool {
	switch f.Kind() {
	case event.KindString, event.KindStrings, event.KindIP:
		_, ok := ev.Bytes(f)
		return ok
	}
	_, ok := ev.Int(f)
	return ok
}

func compare(a, b int64, cmp uint8) bool {
	switch cmp {
	case image.CmpEq:
		return a == b
	case image.CmpNe:
		return a != b
	case image.CmpLt:
		return a < b
	case image.CmpLe:
		return a <= b
	case image.CmpGt:
		return a > b
	}
	return a >= b
}

func (w *worker) intIn(s image.Span, v int64) bool {
	t := w.img.Ints[s.Start : s.Start+s.Len]
	lo, hi := 0, len(t)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t[mid] < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(t) && t[lo] == v
}

// ipIn finds the last range that begins at or before the address.
func (w *worker) ipIn(s image.Span, v []byte) bool {
	ahi, alo := address(v)
	t := w.img.Ranges[s.Start : s.Start+s.Len]
	lo, hi := 0, len(t)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r := &t[mid]; r.LoHi < ahi || r.LoHi == ahi && r.LoLo <= alo {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return false
	}
	r := &t[lo-1]
	return ahi < r.HiHi || ahi == r.HiHi && alo <= r.HiLo
}

// address is an address of 4 or 16 bytes as a 128-bit number, IPv4 mapped into IPv6.
func address(v []byte) (hi, lo uint64) {
	if len(v) == 4 {
		return 0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(v))
	}
	return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
}

// order compares a string with a constant by bytes; of an array some element must be in order.
func (w *worker) order(f event.FieldID, v, c []byte, cmp uint8) bool {
	if f.Kind() != event.KindStrings {
		return compare(int64(compareText(v, c, f.NulIsSpace())), 0, cmp)
	}
	for {
		e, rest, more := cut(v)
		if compare(int64(bytes.Compare(e, c)), 0, cmp) {
			return true
		}
		if !more {
			return false
		}
		v = rest
	}
}

// cut takes the first element off an array.
func cut(v []byte) (element, rest []byte, more bool) {
	if i := bytes.IndexByte(v, 0); i >= 0 {
		return v[:i], v[i+1:], true
	}
	return v, nil, false
}

// compareText is bytes.Compare with a 0 byte in a read as a blank if nul.
func compareText(a, b []byte, nul bool) int {
	for i := range min(len(a), len(b)) {
		x := a[i]
		if nul && x == 0 {
			x = ' '
		}
		if x != b[i] {
			return int(x) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// anyEqual tells whether an element of a equals one of b; a string is an array of one.
func anyEqual(fa event.FieldID, a []byte, fb event.FieldID, b []byte, fold bool) bool {
	nulA, nulB := fa.NulIsSpace(), fb.NulIsSpace()
	for moreA := true; moreA; {
		x := a
		if moreA = false; fa.Kind() == event.KindStrings {
			x, a, moreA = cut(a)
		}
		rest := b
		for moreB := true; moreB; {
			y := rest
			if moreB = false; fb.Kind() == event.KindStrings {
				y, rest, moreB = cut(rest)
			}
			if equalText(x, nulA, y, nulB, fold) {
				return true
			}
		}
	}
	return false
}

func equalText(a []byte, nulA bool, b []byte, nulB bool, fold bool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if letter(a[i], nulA, fold) != letter(b[i], nulB, fold) {
			return false
		}
	}
	return true
}

func letter(c byte, nul, fold bool) byte {
	if nul && c == 0 {
		return ' '
	}
	if fold && 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
