package expr_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// parts are the sections of a table, as a test writes them.
type parts struct {
	magic, version uint32
	numbers        []int64
	nets           []expr.Net
	code           []expr.Instr
	programs       []expr.Program
	vars           []expr.Var
	texts          []expr.Span
	sets           []expr.Span
	patterns       []expr.Pattern
	matchers       []expr.Matcher
	automata       []expr.Span
	text           []byte
	tables         []byte
}

func (p *parts) table() []byte {
	head := make([]uint32, expr.HeaderWords)
	head[expr.HeadMagic], head[expr.HeadVersion] = p.magic, p.version
	for i, n := range []int{len(p.numbers), len(p.nets), len(p.code), len(p.programs), len(p.vars), len(p.texts), len(p.sets), len(p.patterns),
		len(p.matchers), len(p.automata), len(p.text)} {
		head[expr.HeadNumbers+i] = uint32(n)
	}
	var out []byte
	for _, part := range []any{head, p.numbers, p.nets, p.code, p.programs, p.vars, p.texts, p.sets, p.patterns, p.matchers, p.automata, p.text} {
		out, _ = binary.Append(out, binary.LittleEndian, part)
	}
	out = append(out, make([]byte, (8-len(out)%8)%8)...)
	out = append(out, p.tables...)
	binary.LittleEndian.PutUint32(out[4*expr.HeadBytes:], uint32(len(out)))
	return out
}

// of is a table of one program over the variables pid, args and the name of stage 0.
func of(code ...expr.Instr) *parts {
	vars := []expr.Var{
		{Field: uint16(event.FieldPID), Stage: -1}, {Field: uint16(event.FieldArgs), Stage: -1, Read: expr.ReadArray},
		{Field: uint16(event.FieldName), Stage: 0},
	}
	return &parts{
		magic: expr.LayoutMagic, version: expr.LayoutVersion, numbers: []int64{1, 5, 9}, nets: []expr.Net{{Bits: 8}},
		code: code, vars: vars, programs: []expr.Program{{Len: uint16(len(code)), NVars: 3, Temps: 1, Flags: expr.ProgramLater}},
		texts: []expr.Span{{Start: 0, Len: 2}}, sets: []expr.Span{{Start: 0, Len: 3}}, patterns: []expr.Pattern{{}},
		matchers: []expr.Matcher{{NPatterns: 1}}, text: []byte("ab"),
	}
}

func in(op expr.Op, arg uint8, aux uint16, operand uint32) expr.Instr {
	return expr.Instr{Op: op, Arg: arg, Aux: aux, Operand: operand}
}

var yes = in(expr.OpTruth, uint8(expr.True), 0, 0)

// TestProof: what code a set takes, and what it refuses.
func TestProof(t *testing.T) {
	pid, element := in(expr.OpVar, 0, 0, 0), in(expr.OpElement, 0, 0, 0)
	not := in(expr.OpNot, 0, 0, 0)
	any := func(end uint32) expr.Instr { return in(expr.OpAny, expr.Any, expr.Arrays(1, -1), end) }
	jump := func(to uint32) expr.Instr { return in(expr.OpJumpTrue, 0, 0, to) }
	for _, c := range []struct {
		what string
		code []expr.Instr
		bad  string // of the error, "" for none
	}{
		{"a truth value", []expr.Instr{yes}, ""},
		{"a jump to the end", []expr.Instr{yes, jump(3), not}, ""},
		{"a body", []expr.Instr{any(2), element}, ""},
		{"a jump to the end of a body", []expr.Instr{any(4), element, jump(4), not, not}, ""},
		{"a jump over a body", []expr.Instr{yes, jump(5), any(4), element, in(expr.OpAnd, 0, 0, 0)}, ""},
		{"a temporary", []expr.Instr{yes, in(expr.OpStore, 0, 0, 0), in(expr.OpTemp, 0, 0, 0)}, ""},
		{"every operand", []expr.Instr{pid, in(expr.OpIn, 0, 0, 0), in(expr.OpFloat, 0, 0, 0), in(expr.OpText, 0, 0, 0),
			in(expr.OpMatch, 0, 0, 0), in(expr.OpFn, uint8(expr.FnBetween), 3, 1)}, ""},

		{"no value", []expr.Instr{yes, in(expr.OpStore, 0, 0, 0)}, "leaves no value"},
		{"two values", []expr.Instr{yes, yes}, "leaves no value"},
		{"an unknown operation", []expr.Instr{in(expr.OpAny+1, 0, 0, 0)}, "unknown operation"},
		{"too few values", []expr.Instr{yes, in(expr.OpAnd, 0, 0, 0)}, "takes a value that is not there"},
		{"too deep", append(slices.Repeat([]expr.Instr{yes}, expr.StackMax+1), yes), "stack too deep"},
		{"a jump to itself", []expr.Instr{yes, jump(1)}, "jump out of its place"},
		{"a jump back", []expr.Instr{yes, jump(0)}, "jump out of its place"},
		{"a jump beyond", []expr.Instr{yes, jump(3)}, "jump out of its place"},
		{"a jump without a value", []expr.Instr{jump(1), yes}, "jump out of its place"},
		{"a jump to another depth", []expr.Instr{yes, jump(3), yes, not, in(expr.OpAnd, 0, 0, 0)}, "to another depth"},
		{"a jump to the end at another depth", []expr.Instr{yes, jump(3), yes}, "to another depth"},
		{"a jump into a body", []expr.Instr{yes, jump(4), any(5), element, not, in(expr.OpAnd, 0, 0, 0)}, "jump into a body"},
		{"a jump out of a body", []expr.Instr{any(4), element, jump(5), not, not}, "jump out of its place"},
		{"an empty body", []expr.Instr{any(1), yes}, "body out of its place"},
		{"a body beyond", []expr.Instr{any(3), element}, "body out of its place"},
		{"a body of no known kind", []expr.Instr{in(expr.OpAny, 2, expr.Arrays(1, -1), 2), element}, "body out of its place"},
		{"a body in a body", []expr.Instr{any(4), any(4), element, element}, "a body in a body"},
		{"a body of two values", []expr.Instr{any(3), element, element, in(expr.OpAnd, 0, 0, 0)}, "a body leaves"},
		{"a body that takes from outside", []expr.Instr{yes, any(4), element, in(expr.OpAnd, 0, 0, 0)}, "a body leaves"},
		{"a body that stores", []expr.Instr{any(4), element, in(expr.OpStore, 0, 0, 0), element}, "stores in a body"},
		{"an element outside", []expr.Instr{element}, "no such array"},
		{"an element of a second array", []expr.Instr{any(2), in(expr.OpElement, 1, 0, 0)}, "no such array"},
		{"the elements of a number", []expr.Instr{in(expr.OpAny, 0, expr.Arrays(0, -1), 2), element}, "no array"},
		{"the elements of nothing", []expr.Instr{in(expr.OpAny, 0, expr.Arrays(1, 7), 2), element}, "no array"},
		{"an array as a value", []expr.Instr{in(expr.OpVar, 0, 0, 1)}, "operand"},
		{"a truth value that is none", []expr.Instr{in(expr.OpTruth, 3, 0, 0)}, "operand"},
		{"a variable", []expr.Instr{in(expr.OpVar, 0, 0, 3)}, "operand"},
		{"a temporary that is not there", []expr.Instr{in(expr.OpTemp, 0, 0, 1)}, "operand"},
		{"a store that is not there", []expr.Instr{yes, in(expr.OpStore, 0, 0, 1), yes}, "operand"},
		{"a number", []expr.Instr{in(expr.OpInt, 0, 0, 3)}, "operand"},
		{"a float", []expr.Instr{in(expr.OpFloat, 0, 0, 3)}, "operand"},
		{"a text", []expr.Instr{in(expr.OpText, 0, 0, 1)}, "operand"},
		{"an unknown function", []expr.Instr{yes, in(expr.OpFn, uint8(expr.Fns), 1, 0)}, "operand"},
		{"an unknown flag", []expr.Instr{yes, in(expr.OpFn, uint8(expr.FnNeg), 1, 2)}, "operand"},
		{"too few arguments", []expr.Instr{yes, in(expr.OpFn, uint8(expr.FnAdd), 1, 0)}, "operand"},
		{"too many arguments", []expr.Instr{yes, yes, in(expr.OpFn, uint8(expr.FnNeg), 2, 0)}, "operand"},
		{"a matcher", []expr.Instr{yes, in(expr.OpMatch, 0, 0, 1)}, "operand"},
		{"a net set", []expr.Instr{yes, in(expr.OpNet, 0, 0, 1)}, "operand"},
		{"a net set of numbers", []expr.Instr{yes, in(expr.OpNet, 0, 0, 0)}, "operand"},
		{"a number set", []expr.Instr{yes, in(expr.OpIn, 0, 0, 1)}, "operand"},
		{"a mark", []expr.Instr{in(expr.OpLineage, 0, 0, limits.MarksMax)}, "operand"},
		{"a relation", []expr.Instr{in(expr.OpLineage, 3, 0, 0)}, "operand"},
	} {
		_, err := expr.Load(of(c.code...).table())
		if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%s: %v, want %q", c.what, err, c.bad)
		}
	}
}

// TestRefused spoils one entry of a good table after the other.
func TestRefused(t *testing.T) {
	good := func() *parts { return of(yes) }
	if _, err := expr.Load(good().table()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bad   string
		spoil func(p *parts)
	}{
		{"bad magic", func(p *parts) { p.magic++ }},
		{"version", func(p *parts) { p.version++ }},
		{"program 0: code not in order", func(p *parts) { p.programs[0].Code = 1 }},
		{"program 0: code not in order", func(p *parts) { p.programs[0].Len = 0 }},
		{"program 0: code not in order", func(p *parts) { p.programs[0].Len = 2 }},
		{"program 0: code not in order", func(p *parts) { p.programs[0].Len = expr.CodeMax + 1 }},
		{"program 0: variables not in order", func(p *parts) { p.programs[0].Vars = 1 }},
		{"program 0: variables not in order", func(p *parts) { p.programs[0].NVars = 4 }},
		{"program 0: variables not in order", func(p *parts) { p.programs[0].NVars = expr.VarsMax + 1 }},
		{"program 0: variables not in order", func(p *parts) { p.programs[0].Temps = expr.TempsMax + 1 }},
		{"program 0: does not say", func(p *parts) { p.programs[0].Flags = 0 }},
		{"program 0: does not say", func(p *parts) { p.programs[0].Flags = 3 }},
		{"program 0: does not say", func(p *parts) { p.programs[0].NVars, p.vars = 2, p.vars[:2] }},
		{"of no program", func(p *parts) { p.code = append(p.code, yes) }},
		{"of no program", func(p *parts) { p.programs[0].NVars, p.programs[0].Flags = 2, 0 }},
		{"program 0: variable of an unknown", func(p *parts) { p.vars[0].Field = 0xffff }},
		{"program 0: variable of an unknown", func(p *parts) { p.vars[0].Stage = -2 }},
		{"program 0: variable of an unknown", func(p *parts) { p.vars[2].Stage = limits.StagesMax }},
		{"program 0: variable is not read", func(p *parts) { p.vars[0].Read = expr.ReadArray + 1 }},
		{"program 0: variable is not read", func(p *parts) { p.vars[0].Read = expr.ReadArray }},
		{"program 0: variable is not read", func(p *parts) { p.vars[0].Read = expr.ReadRaw }},
		{"program 0: variable is not read", func(p *parts) { p.vars[1].Read = expr.ReadValue }},
		{"program 0: variable is not read", func(p *parts) { p.vars[2].Read = expr.ReadNumber }},
		{"program 0: variables not in order", func(p *parts) { p.vars[0], p.vars[1] = p.vars[1], p.vars[0] }},
		{"program 0: variables not in order", func(p *parts) { p.vars[0] = p.vars[1] }},
		{"text 0", func(p *parts) { p.texts[0].Len = 3 }},
		{"text 0", func(p *parts) { p.texts[0].Start = math.MaxUint32 }},
		{"net 0", func(p *parts) { p.nets[0].Bits = 129 }},
		{"net 0", func(p *parts) { p.nets[0].V4 = 2 }},
		{"pattern 0", func(p *parts) { p.patterns[0].Kind = expr.PatternContains + 1 }},
		{"pattern 0", func(p *parts) { p.patterns[0].Fold = 2 }},
		{"pattern 0", func(p *parts) { p.patterns[0] = expr.Pattern{Kind: expr.PatternContains, Fold: 1} }},
		{"pattern 0", func(p *parts) { p.patterns[0].Text = 1 }},
		{"matcher 0", func(p *parts) { p.matchers[0].NPatterns = 2 }},
		{"matcher 0", func(p *parts) { p.matchers[0].Patterns = 1 }},
		{"matcher 0", func(p *parts) { p.matchers[0].Automaton = 1 }},
		{"set 1: overlaps", func(p *parts) { p.sets = append(p.sets, expr.Span{Len: 2}) }},
		{"program 0: operand", func(p *parts) {
			p.numbers[0] = 5
			p.code = []expr.Instr{yes, in(expr.OpIn, 0, 0, 0)}
			p.programs[0].Len = 2
		}},
		{"program 0: operand", func(p *parts) {
			p.numbers[0] = int64(math.Float64bits(math.Inf(1)))
			p.code[0] = in(expr.OpFloat, 0, 0, 0)
		}},
		{"automaton 0", func(p *parts) { p.automata, p.tables = []expr.Span{{Len: 8}}, make([]byte, 8) }},
		{"automaton 0", func(p *parts) { p.automata = []expr.Span{{Start: 8, Len: 8}} }},
		{"automaton 0", func(p *parts) { p.automata, p.tables = []expr.Span{{Len: 4}}, make([]byte, 8) }},
		{"does not end", func(p *parts) { p.tables = make([]byte, 8) }},
	} {
		p := good()
		c.spoil(p)
		if _, err := expr.Load(p.table()); err == nil || !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%v, want %q", err, c.bad)
		}
	}
	for i := range expr.HeaderWords {
		table := good().table()
		binary.LittleEndian.PutUint32(table[4*i:], 0xfffffff0)
		if _, err := expr.Load(table); err == nil {
			t.Errorf("word %d of the header may be anything", i)
		}
	}
	for n := range len(good().table()) {
		if _, err := expr.Load(good().table()[:n:n]); err == nil && n > 0 {
			t.Errorf("a table cut at %d loads", n)
		}
	}
}

// tables are tables with programs of every kind.
func tables(tb testing.TB) [][]byte {
	tb.Helper()
	var list [][]byte
	for _, nodes := range [][]ir.Node{
		{ir.Const{}},
		{everything()},
		{ir.StringTest{Field: event.FieldName, Patterns: []ir.Pattern{{Kind: ir.Regex, Text: "a+|b"}, {Kind: ir.Contains, Text: "x", Fold: true}}},
			ir.IntIn{Field: event.FieldPID, Values: []int64{7, 9}}, ir.FieldTest{Left: event.FieldArgs, Right: event.FieldEventType},
			ir.IPIn{Field: event.FieldSourceIP, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
			ir.Test{X: op(ir.FnEq, op(ir.FnConcat, own(event.FieldArgs), ir.Cond{Node: ir.Lineage{Event: &ir.Stage{}}}), "atrue")}},
	} {
		var b build.Builder
		for _, n := range nodes {
			if _, err := b.Add(n, func(ir.Lineage) int { return 5 }); err != nil {
				tb.Fatal(err)
			}
		}
		table, err := b.Table()
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, table)
	}
	return list
}

// run evaluates every program of a set.
func run(set *expr.Set) {
	sc := set.NewScratch()
	ev := process("ab", "/x/ä", "-c", "Öx", "")
	ctx := &expr.Context{Event: ev, Lineage: expr.Lineage{Own: 1 << 5}}
	ctx.Stages[0] = alert.AppendEvidence(make([]byte, 0, 8192), ev, 8192)
	for p := range set.Programs() {
		set.Later(uint32(p))
		set.Eval(uint32(p), ctx, sc)
	}
}

// TestBitFlips: a table with one wrong bit is refused, or what it holds can be evaluated.
func TestBitFlips(t *testing.T) {
	refused, taken := 0, 0
	for _, table := range tables(t) {
		stride := 1
		if testing.Short() {
			stride = 7
		}
		for bit := rand.IntN(stride); bit < 8*len(table); bit += stride {
			table[bit/8] ^= 1 << (bit % 8)
			if set, err := expr.Load(table); err != nil {
				refused++
			} else {
				taken++
				run(set)
			}
			table[bit/8] ^= 1 << (bit % 8)
		}
	}
	if refused == 0 || taken == 0 {
		t.Errorf("%d refused, %d taken", refused, taken)
	}
}
