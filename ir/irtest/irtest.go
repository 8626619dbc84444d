// Package irtest makes random conditions and events for tests that hold one way of evaluating conditions against
// another. Host only, and imported by tests only. A Source belongs to one goroutine; what it makes is new.
package irtest

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

const (
	fieldParentArgs  event.FieldID = 34
	fieldInteractive event.FieldID = 40
)

// Source makes conditions and events of few values, so that they meet, and of the values at which something changes.
type Source struct {
	*rand.Rand
	Stages  int  // earlier events that computed values read; 0: the event alone
	Lineage bool // conditions ask for the lineage of the process
}

func pick[T any](s *Source, list ...T) T { return list[s.IntN(len(list))] }

var words = []string{"", "a", "A", "b", "ab", "aB", "aba", "/bin/sh", "é", "aé", "\xff", "1", "-7", "+3", "0x1f", "1.5", "1e3", " 2 ",
	"9223372036854775807", "9223372036854775808", "1e308", "1e309", ".", "zz", "10.1.2.3", "::1", "fe80::1", "::ffff:10.1.2.3", "true", "null"}

func (s *Source) word() string { return words[s.IntN(len(words))] }

func (s *Source) int() int64 {
	return pick(s, 0, 1, -1, 2, 3, 7, 10, -2, 16, 36, 1000, math.MaxInt64, math.MinInt64, math.MinInt64+1, int64(s.Uint64()))
}

func (s *Source) float() float64 {
	return pick(s, 0, math.Copysign(0, -1), 0.5, -0.5, 1, 2.5, 1e7, 1e-3, 9.99e-4, 9999999.5, 1e300, math.MaxFloat64,
		math.SmallestNonzeroFloat64, s.NormFloat64(), 9007199254740993)
}

func (s *Source) stage() int {
	if s.Stages == 0 || s.IntN(3) > 0 {
		return ir.Own
	}
	return s.IntN(s.Stages)
}

func (s *Source) field(list ...event.FieldID) ir.Expr {
	return ir.Value{Field: pick(s, list...), Stage: s.stage()}
}

// number, text and boolean make expressions of a kind; now and then of another, which must then be null on both sides.
func (s *Source) number(depth int) ir.Expr {
	if depth <= 0 {
		return pick[ir.Expr](s, s.field(event.FieldPID, event.FieldUserID, event.FieldParentPID, event.FieldTimestamp, event.FieldDestinationPort),
			ir.Lit{Value: s.int()}, ir.Lit{Value: s.int()}, ir.Lit{Value: s.float()}, ir.Lit{})
	}
	switch s.IntN(7) {
	case 0:
		return ir.Op{Fn: ir.FnLength, Args: []ir.Expr{s.text(depth - 1)}}
	case 1:
		return ir.Op{Fn: ir.FnIndexOf, Fold: s.IntN(2) == 0, Args: s.some(2, s.text(depth-1), s.text(depth-1), s.number(depth-2))}
	case 2:
		return ir.Op{Fn: ir.FnNumber, Args: s.some(1, s.text(depth-1), s.number(0))}
	case 3:
		return ir.Op{Fn: ir.FnNeg, Args: []ir.Expr{s.number(depth - 1)}}
	case 4:
		return s.any(depth - 1)
	}
	return ir.Op{Fn: pick(s, ir.FnAdd, ir.FnSub, ir.FnMul, ir.FnDiv, ir.FnMod), Args: []ir.Expr{s.number(depth - 1), s.number(depth - 1)}}
}

// some leaves optional arguments out.
func (s *Source) some(least int, args ...ir.Expr) []ir.Expr {
	return args[:least+s.IntN(len(args)-least+1)]
}

func (s *Source) any(depth int) ir.Expr {
	switch s.IntN(3) {
	case 0:
		return s.number(depth)
	case 1:
		return s.text(depth)
	}
	return s.boolean(depth)
}

func (s *Source) text(depth int) ir.Expr {
	if depth <= 0 {
		return pick[ir.Expr](s, s.field(event.FieldName, event.FieldExecutable, event.FieldCommandLine, event.FieldEntityID, event.FieldSourceIP,
			event.FieldDestinationIP, event.FieldHostOSType), s.field(event.FieldArgs, event.FieldEventType, fieldParentArgs),
			ir.Lit{Value: s.word()}, ir.Lit{Value: s.word()})
	}
	switch s.IntN(6) {
	case 0:
		args := []ir.Expr{s.any(depth - 1)}
		for range s.IntN(3) {
			args = append(args, s.any(depth-1))
		}
		return ir.Op{Fn: ir.FnConcat, Args: args}
	case 1:
		return ir.Op{Fn: ir.FnString, Args: []ir.Expr{s.any(depth - 1)}}
	case 2:
		return ir.Op{Fn: ir.FnSubstring, Args: s.some(1, s.text(depth-1), s.number(depth-2), s.number(depth-2))}
	case 3:
		return ir.Op{Fn: ir.FnBetween, Fold: s.IntN(2) == 0, Args: s.some(3, s.text(depth-1), s.text(depth-2), s.text(depth-2), s.boolean(depth-2))}
	case 4:
		return s.any(depth - 1)
	}
	return s.text(0)
}

func (s *Source) boolean(depth int) ir.Expr {
	if depth <= 0 {
		return pick[ir.Expr](s, s.field(fieldInteractive), ir.Lit{Value: s.IntN(2) == 0}, ir.Cond{Node: s.Leaf()}, ir.Lit{})
	}
	comparison := pick(s, ir.FnEq, ir.FnNe, ir.FnLt, ir.FnLe, ir.FnGt, ir.FnGe)
	switch s.IntN(8) {
	case 0:
		return ir.Op{Fn: comparison, Args: []ir.Expr{s.number(depth - 1), s.number(depth - 1)}}
	case 1:
		return ir.Op{Fn: comparison, Fold: s.IntN(2) == 0, Args: []ir.Expr{s.text(depth - 1), s.text(depth - 1)}}
	case 2:
		return ir.Op{Fn: comparison, Args: []ir.Expr{s.any(depth - 1), s.any(depth - 1)}}
	case 3:
		return ir.Op{Fn: pick(s, ir.FnStartsWith, ir.FnEndsWith, ir.FnStringContains), Fold: s.IntN(2) == 0,
			Args: []ir.Expr{s.text(depth - 1), s.text(depth - 1)}}
	case 4:
		return ir.Match{X: s.text(depth - 1), Patterns: s.patterns()}
	case 5:
		return ir.InNet{X: s.text(depth - 1), Prefixes: s.prefixes()}
	case 6:
		return ir.Cond{Node: s.Node(depth - 1)}
	}
	return s.any(depth - 1)
}

func (s *Source) patterns() (list []ir.Pattern) {
	for range s.IntN(7) {
		p := ir.Pattern{Kind: ir.PatternKind(s.IntN(6)), Text: pick(s, "", "a", "B", "ab", "é", "1"), Fold: s.IntN(2) == 0}
		switch p.Kind {
		case ir.Wildcard:
			p.Text = pick(s, "*", "a*b", "?", "*b*", "a?*", "*é")
		case ir.Regex:
			p.Text = pick(s, "a+b*", ".*b.", "[0-9]+", "(ab|é)?", "10\\..*")
		}
		list = append(list, p)
	}
	return list
}

func (s *Source) prefixes() (list []netip.Prefix) {
	for range s.IntN(4) {
		list = append(list, netip.MustParsePrefix(pick(s, "10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "::/0", "fe80::/10", "::1/128", "10.1.0.0/31")))
	}
	return list
}

// Leaf is a test of fields.
func (s *Source) Leaf() ir.Node {
	text := []event.FieldID{event.FieldName, event.FieldCommandLine, event.FieldArgs, event.FieldEventType, event.FieldUserID, event.FieldEntityID,
		event.FieldDestinationIP, fieldInteractive, event.FieldTimestamp}
	switch s.IntN(9) {
	case 0:
		return ir.Const{Value: ir.Truth(s.IntN(3))}
	case 1:
		return ir.Present{Field: pick(s, append(text, event.FieldPID)...)}
	case 2:
		return ir.StringTest{Field: pick(s, text...), Patterns: s.patterns()}
	case 3:
		return ir.IntTest{Field: pick(s, event.FieldPID, event.FieldUserID, fieldInteractive, event.FieldTimestamp), Cmp: ir.Cmp(s.IntN(6)), Value: s.int()}
	case 4:
		var values []int64
		for range s.IntN(4) {
			values = append(values, s.int())
		}
		return ir.IntIn{Field: pick(s, event.FieldPID, event.FieldUserID), Values: values}
	case 5:
		return ir.IPIn{Field: pick(s, event.FieldSourceIP, event.FieldDestinationIP), Prefixes: s.prefixes()}
	case 6:
		return ir.StringOrder{Field: pick(s, event.FieldName, event.FieldCommandLine, event.FieldArgs), Cmp: ir.Lt + ir.Cmp(s.IntN(4)), Value: s.word()}
	case 7:
		return ir.FieldTest{Left: pick(s, event.FieldPID, event.FieldUserID), Right: event.FieldParentPID, Cmp: ir.Cmp(s.IntN(6))}
	}
	return ir.FieldTest{Left: pick(s, event.FieldName, event.FieldArgs, event.FieldCommandLine), Right: pick(s, event.FieldExecutable, event.FieldArgs),
		Cmp: ir.Cmp(s.IntN(2)), Fold: s.IntN(2) == 0}
}

// Node is a condition of some depth.
func (s *Source) Node(depth int) ir.Node {
	if depth <= 0 {
		return s.Leaf()
	}
	switch s.IntN(8) {
	case 0, 1:
		var args []ir.Node
		for range s.IntN(4) {
			args = append(args, s.Node(depth-1))
		}
		if s.IntN(2) == 0 {
			return ir.And{Args: args}
		}
		return ir.Or{Args: args}
	case 2:
		return ir.Not{Arg: s.Node(depth - 1)}
	case 3:
		return ir.IsTrue{Arg: s.Node(depth - 1)}
	case 4:
		return ir.IsNull{X: s.any(depth)}
	case 5:
		if s.Lineage {
			return ir.Lineage{Rel: ir.Relation(s.IntN(3)), Event: &ir.Stage{Category: event.Category(s.IntN(3)), Cond: ir.Const{Value: ir.True}}}
		}
	}
	return ir.Test{X: s.boolean(depth)}
}

// process makes a record with and without each field.
func (s *Source) process(t event.Type) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(t, pick(s, 0, 1, 1_500_000, s.Uint64()>>2))
	if s.IntN(3) > 0 {
		b.Process(uint32(s.IntN(3)), 1, uint64(s.IntN(2)), uint64(s.IntN(3)))
	}
	if event.ClassOf(t) == event.ClassNetwork {
		for _, slot := range []int{event.SlotSourceIP, event.SlotDestinationIP} {
			if s.IntN(3) > 0 {
				a := netip.MustParseAddr(pick(s, "10.1.2.3", "10.1.0.1", "::1", "fe80::1", "::ffff:10.1.2.3", "2001:db8::1"))
				b.Bytes(slot, a.AsSlice(), 0, false)
			}
		}
		return b.End()
	}
	for _, slot := range []int{event.SlotExecutable, event.SlotName, event.SlotCommandLine} {
		if s.IntN(3) == 0 {
			b.String(slot, s.word(), 0)
		}
	}
	if s.IntN(3) > 0 {
		b.String(event.SlotArgs, pick(s, "", "a", "a\x00b", "a\x00\x00B", "1\x00ab\x00é", s.word()+"\x00"+s.word()), 0)
	}
	for _, slot := range []int{event.SlotUID, event.SlotParentPID, event.SlotTTY} {
		if s.IntN(3) > 0 {
			b.Int(slot, pick(s, 0, 1, 2, s.int()))
		}
	}
	return b.End()
}

// Event is an event of a process or a connection, with and without what is known of the process, its parent and the
// host.
func (s *Source) Event() *event.Event {
	ev := &event.Event{Own: s.process(event.TypeExec), ParentEntity: uint64(s.IntN(2))}
	ev.Proc = ev.Own
	if s.IntN(3) == 0 {
		ev.Own = s.process(event.TypeConnect)
	}
	if s.IntN(3) == 0 {
		ev.Proc = nil
	}
	if s.IntN(2) == 0 {
		ev.Parent = s.process(event.TypeExec)
	}
	if s.IntN(2) == 0 {
		ev.Host = &event.Host{WallOffset: pick[int64](s, 0, -1_600_000, 1<<50)}
	}
	ev.SetCategory()
	return ev
}
