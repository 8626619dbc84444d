package expr

import (
	"errors"
	"math"
	"strconv"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/limits"
)

// refuse says what is wrong with an entry of a section.
func refuse(what string, index int, reason string) error {
	return errors.New("expr: " + what + " " + strconv.Itoa(index) + ": " + reason)
}

// Load returns the set over a table. It keeps table and never writes to it.
//
// Preconditions: table begins at a multiple of 8 and stays as it is while the set is in use.
func Load(table []byte) (*Set, error) {
	s := &Set{}
	if len(table) == 0 {
		return s, nil
	}
	switch {
	case !littleEndian():
		return nil, errors.New("expr: tables are little-endian and this machine is not")
	case len(table) < 4*HeaderWords || len(table) > limits.ImageBytesMax:
		return nil, errors.New("expr: table shorter than its header or longer than an image")
	case !aligned(table):
		return nil, errors.New("expr: table is not aligned to 8 bytes")
	}
	head := view[uint32](table, 0, HeaderWords)
	switch {
	case head[HeadMagic] != LayoutMagic:
		return nil, errors.New("expr: no table (bad magic)")
	case head[HeadVersion] != LayoutVersion:
		return nil, errors.New("expr: table version is not the one this program reads")
	case head[HeadBytes] != uint32(len(table)):
		return nil, errors.New("expr: table size is not what its header says")
	case head[headEnd] != 0 || head[headEnd+1] != 0:
		return nil, errors.New("expr: header does not end in zeros")
	}
	var automata []Span
	at := uint64(4 * HeaderWords)
	ok := section(table, head[HeadNumbers], &at, &s.numbers) && section(table, head[HeadNets], &at, &s.nets) &&
		section(table, head[HeadCode], &at, &s.code) && section(table, head[HeadPrograms], &at, &s.programs) &&
		section(table, head[HeadVars], &at, &s.vars) && section(table, head[HeadTexts], &at, &s.texts) &&
		section(table, head[HeadSets], &at, &s.sets) && section(table, head[HeadPatterns], &at, &s.patterns) &&
		section(table, head[HeadMatchers], &at, &s.matchers) && section(table, head[HeadAutomata], &at, &automata) &&
		section(table, head[HeadText], &at, &s.text)
	if !ok {
		return nil, errors.New("expr: a section lies outside the table")
	}
	at = (at + tableAlign - 1) &^ (tableAlign - 1)
	if at > uint64(len(table)) {
		return nil, errors.New("expr: a section lies outside the table")
	}
	for _, check := range [...]func() error{
		func() error { return s.loadAutomata(table[at:], automata) }, s.checkTables, s.checkPrograms,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// section views the next n entries of a table.
func section[T any](table []byte, n uint32, at *uint64, to *[]T) bool {
	size := sizeOf[T]() * uint64(n)
	if size > uint64(len(table))-*at {
		return false
	}
	*to = view[T](table, uint32(*at), n)
	*at += size
	return true
}

func within(start, n uint32, size int) bool { return uint64(start)+uint64(n) <= uint64(size) }

func (s *Set) loadAutomata(tables []byte, spans []Span) error {
	next := uint32(0)
	for i, sp := range spans {
		if sp.Start != next || sp.Len%tableAlign != 0 || !within(sp.Start, sp.Len, len(tables)) {
			return refuse("automaton", i, "not in its place")
		}
		next += sp.Len
		set, err := dfa.Load(tables[sp.Start:next], 0)
		if err != nil {
			return refuse("automaton", i, err.Error())
		}
		s.automata = append(s.automata, set)
		s.atoms = max(s.atoms, set.Atoms())
	}
	if int(next) != len(tables) {
		return errors.New("expr: table does not end with its automata")
	}
	return nil
}

func (s *Set) checkTables() error {
	for i, t := range s.texts {
		if !within(t.Start, t.Len, len(s.text)) {
			return refuse("text", i, "out of range")
		}
	}
	for i := range s.nets {
		if n := &s.nets[i]; n.Bits > 128 || n.V4 > 1 {
			return refuse("net", i, "no prefix")
		}
	}
	for i := range s.patterns {
		p := &s.patterns[i]
		if p.Kind >= patternsEnd || p.Fold > 1 || p.Fold == 1 && p.Kind == PatternContains ||
			int(p.Text) >= len(s.texts) {
			return refuse("pattern", i, "unknown kind or no such text")
		}
	}
	sum := uint64(0)
	s.ascending = make([]bool, len(s.sets))
	for i, set := range s.sets {
		// Sets that overlapped would let a small table ask for much work.
		if sum += uint64(set.Len); sum > uint64(len(s.numbers)+len(s.nets)) {
			return refuse("set", i, "overlaps another")
		}
		s.ascending[i] = s.ascends(set)
	}
	next := uint32(0)
	for i := range s.matchers {
		m := &s.matchers[i]
		if m.Patterns != next || !within(next, m.NPatterns, len(s.patterns)) || int(m.Automaton) > len(s.automata) {
			return refuse("matcher", i, "patterns out of order or no such automaton")
		}
		next += m.NPatterns
	}
	return nil
}

func (s *Set) checkPrograms() error {
	if len(s.programs) > limits.RulesMax*limits.StagesMax {
		return errors.New("expr: too many programs")
	}
	code, vars := uint32(0), uint32(0)
	for i := range s.programs {
		p := &s.programs[i]
		if p.Code != code || p.Len == 0 || p.Len > CodeMax || !within(p.Code, uint32(p.Len), len(s.code)) {
			return refuse("program", i, "code not in order")
		}
		if p.Vars != vars || p.NVars > VarsMax || !within(p.Vars, uint32(p.NVars), len(s.vars)) || p.Temps > TempsMax {
			return refuse("program", i, "variables not in order")
		}
		code, vars = code+uint32(p.Len), vars+uint32(p.NVars)
		s.width, s.temps = max(s.width, int(p.NVars)), max(s.temps, int(p.Temps))
		if reason := checkVars(s.vars[p.Vars:vars]); reason != "" {
			return refuse("program", i, reason)
		}
		if reason := s.prove(p); reason != "" {
			return refuse("program", i, reason)
		}
	}
	if int(code) != len(s.code) || int(vars) != len(s.vars) {
		return errors.New("expr: code or variables of no program")
	}
	s.ascending = nil
	return nil
}

// checkVars proves that variables are in order, and that each reads what its field has.
func checkVars(vars []Var) string {
	for i := range vars {
		v := &vars[i]
		if !event.FieldID(v.Field).Known() || v.Stage < -1 || int(v.Stage) >= limits.StagesMax {
			return "variable of an unknown field or stage"
		}
		kind := event.FieldID(v.Field).Kind()
		fits := true
		switch v.Read {
		case ReadValue, ReadText:
			fits = kind != event.KindStrings
		case ReadNumber:
			fits = kind.IsNumber()
		case ReadRaw:
			fits = kind == event.KindIP
		case ReadArray:
			fits = kind == event.KindStrings
		}
		if v.Read >= reads || !fits {
			return "variable is not read as its kind allows"
		}
		if i > 0 && order(&vars[i-1]) >= order(v) {
			return "variables not in order"
		}
	}
	return ""
}

// order is a number in which variables ascend.
func order(v *Var) int { return (int(v.Stage)+1)<<24 | int(v.Field)<<8 | int(v.Read) }

// prover follows the code of a program and counts the values on its stack. All jumps lead forward, and what can jump
// also goes on, so one pass meets every instruction.
type prover struct {
	s     *Set
	p     *Program
	code  []Instr
	want  []int16 // by instruction: values on the stack where a jump comes from; -1: no jump leads here
	later bool
}

func (s *Set) prove(p *Program) (reason string) {
	v := prover{s: s, p: p, code: s.code[p.Code : p.Code+uint32(p.Len)], want: make([]int16, int(p.Len)+1)}
	for i := range v.want {
		v.want[i] = -1
	}
	depth, reason := v.run(0, int(p.Len), 0, 0)
	if reason != "" {
		return reason
	}
	if depth != 1 {
		return "leaves no value, or more than one"
	}
	for _, x := range s.vars[p.Vars : p.Vars+uint32(p.NVars)] {
		v.later = v.later || x.Stage >= 0
	}
	if p.Flags&^ProgramLater != 0 || (p.Flags&ProgramLater != 0) != v.later {
		return "does not say what it reads"
	}
	return ""
}

// run proves the instructions from pc to end, which are the program or, when there are arrays, the body of an OpAny.
func (v *prover) run(pc, end, depth, arrays int) (after int, reason string) {
	for ; pc < end; pc++ {
		if w := v.want[pc]; w >= 0 && int(w) != depth {
			return 0, "jump to another depth of the stack"
		}
		in := &v.code[pc]
		if in.Op >= opsEnd {
			return 0, "unknown operation"
		}
		switch in.Op {
		case OpJumpFalse, OpJumpTrue:
			t := int(in.Operand)
			if depth < 1 || t <= pc || t > end || v.want[t] >= 0 && int(v.want[t]) != depth {
				return 0, "jump out of its place or to another depth of the stack"
			}
			v.want[t] = int16(depth)
			continue
		case OpAny:
			if arrays > 0 {
				return 0, "a body in a body"
			}
			if reason := v.body(in, pc, end, depth); reason != "" {
				return 0, reason
			}
			pc = int(in.Operand) - 1
			depth++
			continue
		case OpStore:
			if arrays > 0 {
				return 0, "stores in a body"
			}
		case OpElement:
			if int(in.Arg) >= arrays {
				return 0, "no such array"
			}
		}
		takes, pushes := effect(in)
		if depth < takes {
			return 0, "takes a value that is not there"
		}
		if depth += pushes - takes; depth > StackMax {
			return 0, "stack too deep"
		}
		v.s.depth = max(v.s.depth, depth)
		if !v.operand(in) {
			return 0, "operand out of range"
		}
	}
	if w := v.want[end]; w >= 0 && int(w) != depth {
		return 0, "jump to another depth of the stack"
	}
	return depth, ""
}

// body proves what follows an OpAny at pc.
func (v *prover) body(in *Instr, pc, end, depth int) string {
	to := int(in.Operand)
	if in.Arg >= anysEnd || to <= pc+1 || to > end {
		return "body out of its place"
	}
	for _, w := range v.want[pc+1 : to] {
		if w >= 0 {
			return "jump into a body"
		}
	}
	arrays, second := 1, int(in.Aux>>8)
	if second != noVar {
		arrays = 2
	}
	if !v.isArray(int(in.Aux&0xff)) || arrays == 2 && !v.isArray(second) {
		return "goes through what is no array"
	}
	outside := v.want[to]
	v.want[to] = -1
	after, reason := v.run(pc+1, to, depth, arrays)
	if reason == "" && after != depth+1 {
		reason = "a body leaves no value, or more than one"
	}
	v.want[to] = outside
	return reason
}

func (v *prover) isArray(i int) bool {
	return i < int(v.p.NVars) && v.s.vars[int(v.p.Vars)+i].Read == ReadArray
}

// effect is how many values an instruction takes and pushes.
func effect(in *Instr) (takes, pushes int) {
	switch in.Op {
	case OpFn:
		return int(in.Aux), 1
	case OpMatch, OpNet, OpIn, OpNot, OpIsTrue, OpIsNull, OpAsTruth:
		return 1, 1
	case OpAnd, OpOr:
		return 2, 1
	case OpStore:
		return 1, 0
	}
	return 0, 1
}

// operand proves that what an instruction names exists.
func (v *prover) operand(in *Instr) bool {
	s, n := v.s, int(in.Operand)
	switch in.Op {
	case OpTruth:
		return in.Arg <= uint8(True)
	case OpVar:
		return n < int(v.p.NVars) && s.vars[int(v.p.Vars)+n].Read != ReadArray
	case OpTemp, OpStore:
		return n < int(v.p.Temps)
	case OpInt:
		return n < len(s.numbers)
	case OpFloat:
		if n >= len(s.numbers) {
			return false
		}
		return finite(math.Float64frombits(uint64(s.numbers[n])))
	case OpText:
		return n < len(s.texts)
	case OpFn:
		if Fn(in.Arg) >= Fns || n > FnFold {
			return false
		}
		least, most := Fn(in.Arg).Arity()
		return least <= int(in.Aux) && int(in.Aux) <= most
	case OpMatch:
		return n < len(s.matchers)
	case OpNet:
		return in.Arg <= 1 && n < len(s.sets) && within(s.sets[n].Start, s.sets[n].Len, len(s.nets))
	case OpIn:
		return n < len(s.sets) && s.ascending[n]
	case OpLineage:
		v.later = true
		s.marks = max(s.marks, n+1)
		return n < limits.MarksMax && in.Arg < relationsEnd
	}
	return true
}

// ascends tells whether a set is of numbers in ascending order.
func (s *Set) ascends(sp Span) bool {
	if !within(sp.Start, sp.Len, len(s.numbers)) {
		return false
	}
	list := s.numbers[sp.Start : sp.Start+sp.Len]
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			return false
		}
	}
	return true
}
