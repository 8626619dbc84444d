package image

import (
	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/limits"
)

// check proves what the engine takes for granted: every index in range, every jump forward, every table sorted that is
// searched, every operand of the kind its operation reads.
func (m *Image) check(tables [][]byte) error {
	for _, step := range []func() error{
		func() error { return m.checkAutomata(tables) },
		m.checkTests, m.checkSets, m.checkPredicates, m.checkRules, m.checkRefs, m.checkLists,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func within(start, n uint32, size int) bool { return uint64(start)+uint64(n) <= uint64(size) }

func knownField(f uint16) bool { return event.FieldID(f).Known() }

func (m *Image) checkAutomata(tables [][]byte) error {
	if len(tables) != len(m.Fields) {
		return refuse("fields", -1, "not one automaton for each")
	}
	m.Automata = make([]*dfa.Set, len(m.Fields))
	base := uint32(0)
	for i := range m.Fields {
		f := &m.Fields[i]
		if !knownField(f.Field) {
			return refuse("fields", i, "unknown field")
		}
		if f.Base != base || int(f.Table) != i {
			return refuse("fields", i, "not in order")
		}
		if i > 0 && m.Fields[i-1].Field >= f.Field {
			return refuse("fields", i, "not in order")
		}
		set, err := dfa.Load(tables[i], base)
		if err != nil {
			return refuse("automaton", i, err.Error())
		}
		if set.Atoms() != int(f.Atoms) || f.Atoms > 1<<24 {
			return refuse("fields", i, "number of atoms is not the automaton's")
		}
		m.Automata[i] = set
		base += f.Atoms
	}
	if len(m.AtomTests) != int(base)+1 {
		return refuse("atom tests", -1, "not one for each atom")
	}
	prev := uint32(0)
	for i, at := range m.AtomTests {
		if at < prev || int(at) > len(m.TestList) || i == 0 && at != 0 {
			return refuse("atom tests", i, "out of range")
		}
		prev = at
	}
	for i, t := range m.TestList {
		if int(t) >= len(m.Tests) {
			return refuse("test list", i, "no such test")
		}
	}
	return nil
}

func (m *Image) checkTests() error {
	next := uint32(0)
	for i := range m.Tests {
		t := &m.Tests[i]
		// Parts that overlapped would let a small file ask for much work.
		if t.Preds != next {
			return refuse("tests", i, "predicates not in order")
		}
		next += t.NPreds
		if int(t.Set) >= len(m.Fields) || m.Fields[t.Set].Field != t.Field {
			return refuse("tests", i, "field without an automaton")
		}
		if !within(t.Preds, t.NPreds, len(m.TestPreds)) {
			return refuse("tests", i, "predicates out of range")
		}
	}
	for i, p := range m.TestPreds {
		if int(p) >= len(m.Preds) {
			return refuse("test predicates", i, "no such predicate")
		}
	}
	return nil
}

// checkSets cannot tell which sets are of integers and which of ranges; the instruction that uses one does, so both
// tables must bear it: instructions are checked against setKind.
func (m *Image) checkSets() error {
	for i := range m.Ranges {
		r := &m.Ranges[i]
		if less(r.HiHi, r.HiLo, r.LoHi, r.LoLo) {
			return refuse("address ranges", i, "ends before it begins")
		}
	}
	sum := uint64(0)
	for i := range m.Sets {
		if sum += uint64(m.Sets[i].Len); sum > uint64(len(m.Ints)+len(m.Ranges)) {
			return refuse("sets", i, "overlaps another")
		}
	}
	for i, c := range m.Consts {
		if !within(c.Start, c.Len, len(m.Strings)) {
			return refuse("constants", i, "out of range")
		}
	}
	return nil
}

func less(ahi, alo, bhi, blo uint64) bool { return ahi < bhi || ahi == bhi && alo < blo }

func (m *Image) checkIntSet(s Span) bool {
	if s.Len == 0 || !within(s.Start, s.Len, len(m.Ints)) {
		return false
	}
	v := m.Ints[s.Start : s.Start+s.Len]
	for i := 1; i < len(v); i++ {
		if v[i] <= v[i-1] {
			return false
		}
	}
	return true
}

func (m *Image) checkRangeSet(s Span) bool {
	if s.Len == 0 || !within(s.Start, s.Len, len(m.Ranges)) {
		return false
	}
	v := m.Ranges[s.Start : s.Start+s.Len]
	for i := 1; i < len(v); i++ {
		if !less(v[i-1].HiHi, v[i-1].HiLo, v[i].LoHi, v[i].LoLo) {
			return false
		}
	}
	return true
}

func (m *Image) checkPredicates() error {
	checked := make(map[uint64]bool) // sets are shared: each is walked once per kind
	code, ref := uint32(0), uint32(0)
	for i := range m.Preds {
		p := &m.Preds[i]
		if p.Code != code || p.Refs != ref {
			return refuse("predicates", i, "not in order")
		}
		code, ref = code+uint32(p.Len), ref+p.NRefs
		if p.Len == 0 || p.Len > limits.CodeMax || !within(p.Code, uint32(p.Len), len(m.Code)) {
			return refuse("predicates", i, "code out of range")
		}
		if c := event.Category(p.Category); c != event.CategoryAny && (c >= event.Categories || c == event.CategoryOther) {
			return refuse("predicates", i, "unknown category")
		}
		if !within(p.Refs, p.NRefs, len(m.Refs)) {
			return refuse("predicates", i, "references out of range")
		}
		body := m.Code[p.Code : p.Code+uint32(p.Len)]
		for pc := range body {
			in := &body[pc]
			for _, t := range [2]uint16{in.True, in.False} {
				if t < Reject && (int(t) <= pc || int(t) >= len(body)) {
					return refuse("code", int(p.Code)+pc, "jump out of its predicate or back")
				}
			}
			if reason := m.checkInstr(in, checked); reason != "" {
				return refuse("code", int(p.Code)+pc, reason)
			}
		}
	}
	return nil
}

func (m *Image) checkInstr(in *Instr, checked map[uint64]bool) string {
	if in.Op >= opsEnd || in.Flags&FlagCmp >= cmpsEnd || in.Flags&^(FlagCmp|FlagFold|FlagNot) != 0 {
		return "unknown operation"
	}
	if !knownField(in.Field) {
		return "unknown field"
	}
	kind := event.FieldID(in.Field).Kind()
	wrong := "operation does not fit the kind of the field"
	switch in.Op {
	case OpTest:
		if int(in.Operand) >= len(m.Tests) || m.Tests[in.Operand].Field != in.Field {
			return "no such test"
		}
	case OpInt:
		if int(in.Operand) >= len(m.Ints) {
			return "no such integer"
		}
		if !kind.IsNumber() {
			return wrong
		}
	case OpIntIn, OpIPIn:
		if int(in.Operand) >= len(m.Sets) {
			return "no such set"
		}
		key := uint64(in.Operand)<<8 | uint64(in.Op)
		if !checked[key] {
			s := m.Sets[in.Operand]
			if in.Op == OpIntIn && !m.checkIntSet(s) || in.Op == OpIPIn && !m.checkRangeSet(s) {
				return "set out of range or not sorted"
			}
			checked[key] = true
		}
		if in.Op == OpIntIn && !kind.IsNumber() || in.Op == OpIPIn && kind != event.KindIP {
			return wrong
		}
	case OpOrder:
		if int(in.Operand) >= len(m.Consts) {
			return "no such constant"
		}
		if kind != event.KindString && kind != event.KindStrings {
			return wrong
		}
	case OpFieldInt, OpFieldStr:
		if in.Operand >= event.FieldsMax || !knownField(uint16(in.Operand)) {
			return "unknown field"
		}
		other := event.FieldID(in.Operand).Kind()
		if kind.IsNumber() != (in.Op == OpFieldInt) || other.IsNumber() != (in.Op == OpFieldInt) {
			return wrong
		}
		if kind == event.KindStrings && other == event.KindStrings {
			return "compares two arrays"
		}
	case OpExpr:
		if int(in.Operand) >= m.Exprs.Programs() || m.Exprs.Later(in.Operand) {
			return "no such program, or one that reads more than the event"
		}
		if event.FieldID(in.Field) != event.FieldEventType {
			return wrong
		}
	}
	return ""
}

func (m *Image) checkRefs() error {
	for i := range m.Refs {
		r := &m.Refs[i]
		if int(r.Rule) >= len(m.Rules) {
			return refuse("references", i, "no such rule")
		}
		rule := &m.Rules[r.Rule]
		if r.Stage == StageUntil && rule.Flags&RuleUntil == 0 || r.Stage != StageUntil && r.Stage >= rule.NStages {
			return refuse("references", i, "no such stage")
		}
	}
	return nil
}

func (m *Image) checkLists() error {
	for _, l := range []struct {
		table []uint32
		name  string
		end   int
	}{{m.Always, "always", len(m.Preds)}, {m.Eager, "eager", len(m.Fields)}} {
		if len(l.table) < listHead || int(l.table[0]) != listHead || int(l.table[listHead-1]) != len(l.table) {
			return refuse(l.name, -1, "head out of range")
		}
		for c := 1; c < listHead; c++ {
			if l.table[c] < l.table[c-1] || int(l.table[c]) > len(l.table) {
				return refuse(l.name, c, "head out of range")
			}
			list := l.table[l.table[c-1]:l.table[c]]
			for i := 1; i < len(list); i++ {
				if list[i] <= list[i-1] {
					return refuse(l.name, c-1, "list not in order")
				}
			}
		}
		for i, v := range l.table[listHead:] {
			if int(v) >= l.end {
				return refuse(l.name, i, "no such entry")
			}
		}
	}
	return nil
}
