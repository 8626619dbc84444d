// Package build compiles conditions of package ir into the programs that package expr runs. Host only: no device binary
// links it. The same conditions in the same order give the same bytes, and equal conditions one program.
//
// A test over arrays becomes a body that the machine goes through once for each combination of their elements. What
// such a test has inside it that does not depend on the elements, conditions used as values, is computed before and
// kept in temporaries, so that a body never has a body in it.
package build

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"unicode/utf8"

	dfabuild "github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/ir"
)

// The operations have the same numbers here and on the device.
const (
	_ = uint(uint(expr.Fns) - uint(ir.Fns))
	_ = uint(uint(ir.Fns) - uint(expr.Fns))
	_ = uint(uint(expr.FnGe) - uint(ir.FnGe))
	_ = uint(uint(ir.FnSubstring) - uint(expr.FnSubstring))
)

// Builder collects programs. The zero Builder is ready.
type Builder struct {
	numbers  []int64
	nets     []expr.Net
	code     []expr.Instr
	programs []expr.Program
	vars     []expr.Var
	texts    []expr.Span
	sets     []expr.Span
	patterns []expr.Pattern
	matchers []expr.Matcher
	automata [][]byte
	text     []byte

	ids map[string]uint32 // what is there already, by kind and content
}

// id finds what has the key, or gives it the number that add returns.
func (b *Builder) id(key string, add func() uint32) uint32 {
	if b.ids == nil {
		b.ids = make(map[string]uint32)
	}
	n, ok := b.ids[key]
	if !ok {
		n = add()
		b.ids[key] = n
	}
	return n
}

// Programs is the number of different programs so far.
func (b *Builder) Programs() int { return len(b.programs) }

// Later tells whether a program reads events of earlier stages or the lineage.
func (b *Builder) Later(program uint32) bool {
	return b.programs[program].Flags&expr.ProgramLater != 0
}

// Add compiles a condition. marks gives the number of a lineage condition, or -1 when there is none left; it may be nil
// when the condition has none.
func (b *Builder) Add(n ir.Node, marks func(ir.Lineage) int) (program uint32, err error) {
	c := compiler{b: b, marks: marks}
	c.node(n)
	if c.err != nil {
		return 0, c.err
	}
	if len(c.code) > expr.CodeMax {
		return 0, fmt.Errorf("a computed condition of %d instructions (max %d)", len(c.code), expr.CodeMax)
	}
	if len(c.vars) > expr.VarsMax {
		return 0, fmt.Errorf("a computed condition reads %d fields (max %d)", len(c.vars), expr.VarsMax)
	}
	if c.temps > expr.TempsMax {
		return 0, fmt.Errorf("a computed condition has %d conditions inside tests of arrays (max %d)", c.temps,
			expr.TempsMax)
	}
	if d := c.depth(); d > expr.StackMax {
		return 0, fmt.Errorf("a computed condition needs %d values at once (max %d): it is nested too deep, or has too "+
			"many arguments", d, expr.StackMax)
	}
	c.sortVars()
	p := expr.Program{
		Code: uint32(len(b.code)), Vars: uint32(len(b.vars)), Len: uint16(len(c.code)), NVars: uint16(len(c.vars)),
		Temps: uint16(c.temps),
	}
	if c.later {
		p.Flags = expr.ProgramLater
	}
	return b.id(fmt.Sprint("program", c.vars, c.code), func() uint32 {
		b.code = append(b.code, c.code...)
		b.vars = append(b.vars, c.vars...)
		b.programs = append(b.programs, p)
		return uint32(len(b.programs) - 1)
	}), nil
}

// Table is the table of all programs; empty when there are none.
func (b *Builder) Table() ([]byte, error) {
	if len(b.programs) == 0 {
		return nil, nil
	}
	head := make([]uint32, expr.HeaderWords)
	head[expr.HeadMagic], head[expr.HeadVersion] = expr.LayoutMagic, expr.LayoutVersion
	head[expr.HeadNumbers], head[expr.HeadNets] = uint32(len(b.numbers)), uint32(len(b.nets))
	head[expr.HeadCode], head[expr.HeadPrograms] = uint32(len(b.code)), uint32(len(b.programs))
	head[expr.HeadVars], head[expr.HeadTexts] = uint32(len(b.vars)), uint32(len(b.texts))
	head[expr.HeadSets], head[expr.HeadPatterns] = uint32(len(b.sets)), uint32(len(b.patterns))
	head[expr.HeadMatchers], head[expr.HeadAutomata] = uint32(len(b.matchers)), uint32(len(b.automata))
	head[expr.HeadText] = uint32(len(b.text))
	var spans []expr.Span
	at := uint32(0)
	for _, a := range b.automata {
		spans = append(spans, expr.Span{Start: at, Len: uint32(padded(len(a)))})
		at += uint32(padded(len(a)))
	}
	var out []byte
	for _, part := range []any{head, b.numbers, b.nets, b.code, b.programs, b.vars, b.texts, b.sets, b.patterns,
		b.matchers, spans, b.text} {
		var err error
		if out, err = binary.Append(out, binary.LittleEndian, part); err != nil {
			panic("BUG: a part of the table has no fixed size: " + err.Error())
		}
	}
	out = pad(out)
	for _, a := range b.automata {
		out = pad(append(out, a...))
	}
	binary.LittleEndian.PutUint32(out[4*expr.HeadBytes:], uint32(len(out)))
	if _, err := expr.Load(out); err != nil {
		panic("BUG: the table just written does not load: " + err.Error())
	}
	return out, nil
}

// tableAlign is what parts of a table that are read in place are aligned to.
const tableAlign = 8

func padded(n int) int { return (n + tableAlign - 1) &^ (tableAlign - 1) }

func pad(b []byte) []byte { return append(b, make([]byte, padded(len(b))-len(b))...) }

func (b *Builder) number(n int64) uint32 {
	return b.id(fmt.Sprint("number", n), func() uint32 {
		b.numbers = append(b.numbers, n)
		return uint32(len(b.numbers) - 1)
	})
}

func (b *Builder) addText(s string) uint32 {
	return b.id("text"+s, func() uint32 {
		b.texts = append(b.texts, expr.Span{Start: uint32(len(b.text)), Len: uint32(len(s))})
		b.text = append(b.text, s...)
		return uint32(len(b.texts) - 1)
	})
}

// numberSet is the set of some numbers.
func (b *Builder) numberSet(values []int64) uint32 {
	v := slices.Clone(values)
	slices.Sort(v)
	v = slices.Compact(v)
	return b.id(fmt.Sprint("number set", v), func() uint32 {
		b.sets = append(b.sets, expr.Span{Start: uint32(len(b.numbers)), Len: uint32(len(v))})
		b.numbers = append(b.numbers, v...)
		return uint32(len(b.sets) - 1)
	})
}

// netSet is the set of some prefixes. One that is no prefix holds no address.
func (b *Builder) netSet(prefixes []netip.Prefix) uint32 {
	var nets []expr.Net
	for _, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		a := p.Addr().As16()
		n := expr.Net{Hi: binary.BigEndian.Uint64(a[:8]), Lo: binary.BigEndian.Uint64(a[8:]), Bits: uint32(p.Bits())}
		if p.Addr().Is4() {
			n.V4 = 1
			n.Bits += 128 - 32
		}
		nets = append(nets, n)
	}
	return b.id(fmt.Sprint("net set", nets), func() uint32 {
		b.sets = append(b.sets, expr.Span{Start: uint32(len(b.nets)), Len: uint32(len(nets))})
		b.nets = append(b.nets, nets...)
		return uint32(len(b.sets) - 1)
	})
}

// comparedMax is how many patterns of a test are compared one by one; beyond, an automaton reads the text once.
const comparedMax = 4

// matcher is the test for some patterns.
func (b *Builder) matcher(patterns []ir.Pattern) (id uint32, err error) {
	var compared []expr.Pattern
	var rest []dfabuild.Pattern
	for _, p := range patterns {
		if !utf8.ValidString(p.Text) {
			return 0, fmt.Errorf("pattern %q is not UTF-8", p.Text)
		}
		if kind, ok := comparedKind(p); ok && len(patterns) <= comparedMax {
			c := expr.Pattern{Kind: kind, Text: b.addText(p.Text)}
			if p.Fold {
				c.Fold = 1
			}
			compared = append(compared, c)
			continue
		}
		rest = append(rest, dfabuild.Pattern{Kind: dfabuild.Kind(p.Kind), Text: p.Text, Fold: p.Fold})
	}
	automaton := uint32(0)
	if len(rest) > 0 {
		table, _, err := dfabuild.Build(rest, dfabuild.Options{Automata: true})
		if err != nil {
			return 0, err
		}
		automaton = 1 + b.id("automaton"+string(table), func() uint32 {
			b.automata = append(b.automata, pad(table))
			return uint32(len(b.automata) - 1)
		})
	}
	return b.id(fmt.Sprint("matcher", compared, automaton), func() uint32 {
		b.matchers = append(b.matchers, expr.Matcher{
			Patterns: uint32(len(b.patterns)), NPatterns: uint32(len(compared)), Automaton: automaton,
		})
		b.patterns = append(b.patterns, compared...)
		return uint32(len(b.matchers) - 1)
	}), nil
}

// comparedKind is how a pattern is compared when it need not be left to an automaton.
func comparedKind(p ir.Pattern) (kind uint16, ok bool) {
	switch p.Kind {
	case ir.Exact:
		return expr.PatternExact, true
	case ir.Prefix:
		return expr.PatternPrefix, true
	case ir.Suffix:
		return expr.PatternSuffix, true
	case ir.Contains:
		return expr.PatternContains, !p.Fold
	}
	return 0, false
}
