// Package build compiles the typed rules of package ir into a rule image. Host only: no device binary links it.
//
// The same rules in the same order give the same bytes.
package build

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/cbor"
	dfabuild "github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	exprbuild "github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// Options of a compilation.
type Options struct {
	// AutomatonBytes bounds the dense part of each field's automaton; 0 takes the default of a device with 16 MB.
	AutomatonBytes int
	// Small finds literals by a filter of byte groups instead of an automaton: less than half the bytes, as fast on what
	// programs usually do, and up to three times as slow on values made to hurt.
	Small bool
}

const automatonBytesDefault = 512 << 10

// Report says what was made of the rules.
type Report struct {
	Bytes    int
	Sections []SectionReport
	Fields   []FieldReport
	Rules    []RuleReport // in the order of the rules
	Tests    int
	Atoms    int
	Preds    int
	Always   int // predicates that no atom can rule out
	Programs int // of computed values
}

// SectionReport is the size of one section.
type SectionReport struct {
	Name  string
	Bytes int
}

// FieldReport is the automaton of one field.
type FieldReport struct {
	Field string
	Atoms int
	dfabuild.Report
}

// RuleReport says how one rule is evaluated.
type RuleReport struct {
	Strategy  string // of its string tests; "+ expression" when it has computed values
	Index     []string
	Always    bool // some stage is evaluated for every event of its category
	NeverTrue bool // some stage's condition is false for every event
	Later     bool // some stage reads earlier events or the lineage of the process
}

// Build compiles the rules.
func Build(rs *ir.Ruleset, opt Options) ([]byte, *Report, error) {
	if opt.AutomatonBytes == 0 {
		opt.AutomatonBytes = automatonBytesDefault
	}
	b := newBuilder()
	if err := b.addRules(rs.Rules); err != nil {
		return nil, nil, err
	}
	tables, err := b.link(opt)
	if err != nil {
		return nil, nil, fmt.Errorf("compile: %w", err)
	}
	out, err := b.write(rs, tables)
	if err != nil {
		return nil, nil, err
	}
	if _, err := image.Load(out); err != nil {
		panic("BUG: the image just written does not load: " + err.Error())
	}
	return out, &b.report, nil
}

// testDef is an interned test before fields have their final order.
type testDef struct {
	field    event.FieldID
	patterns []int // of the field, ascending
	preds    []uint32
}

type fieldDef struct {
	id       event.FieldID
	patterns []dfabuild.Pattern
	index    map[dfabuild.Pattern]int
}

type predDef struct {
	category event.Category
	code     []image.Instr
	refs     []image.Ref
	cover    []uint32 // tests one of which must hold; nil: always a candidate
	never    bool
}

type builder struct {
	fields  map[event.FieldID]*fieldDef
	tests   []testDef
	testIDs map[string]uint32
	preds   []predDef
	predIDs map[string]uint32

	strings   []byte
	stringIDs map[string]image.Span
	ints      []int64
	intIDs    map[int64]uint32
	ranges    []image.Range
	sets      []image.Span
	setIDs    map[string]uint32
	consts    []image.Span
	rules     []image.Rule
	stages    []image.Stage
	keys      []image.Key

	exprs exprbuild.Builder
	mark  func(ir.Lineage) int

	ruleTests [][]uint32 // tests each rule uses, for the report
	ruleExprs []bool     // whether it has computed values
	report    Report
	out       layout
}

// layout is the linked tables.
type layout struct {
	fields    []image.FieldSet
	atomTests []uint32
	testList  []uint32
	tests     []image.Test
	testPreds []uint32
	preds     []image.Predicate
	code      []image.Instr
	refs      []image.Ref
	always    []uint32
	eager     []uint32
}

func newBuilder() *builder {
	return &builder{
		fields: make(map[event.FieldID]*fieldDef), testIDs: make(map[string]uint32), predIDs: make(map[string]uint32),
		stringIDs: make(map[string]image.Span), intIDs: make(map[int64]uint32), setIDs: make(map[string]uint32),
	}
}

func (b *builder) text(s string) image.Span {
	if sp, ok := b.stringIDs[s]; ok {
		return sp
	}
	sp := image.Span{Start: uint32(len(b.strings)), Len: uint32(len(s))}
	b.strings = append(b.strings, s...)
	b.stringIDs[s] = sp
	return sp
}

// test interns a string test.
func (b *builder) test(t ir.StringTest) uint32 {
	f := b.fields[t.Field]
	if f == nil {
		f = &fieldDef{id: t.Field, index: make(map[dfabuild.Pattern]int)}
		b.fields[t.Field] = f
	}
	var ids []int
	for _, p := range t.Patterns {
		dp := dfabuild.Pattern{Kind: dfabuild.Kind(p.Kind), Text: p.Text, Fold: p.Fold}
		i, ok := f.index[dp]
		if !ok {
			i = len(f.patterns)
			f.patterns = append(f.patterns, dp)
			f.index[dp] = i
		}
		ids = append(ids, i)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	key := fmt.Sprint(t.Field, ids)
	id, ok := b.testIDs[key]
	if !ok {
		id = uint32(len(b.tests))
		b.tests = append(b.tests, testDef{field: t.Field, patterns: ids})
		b.testIDs[key] = id
	}
	return id
}

// write assembles the file.
func (b *builder) write(rs *ir.Ruleset, tables [][]byte) ([]byte, error) {
	for _, s := range []struct{ what, text string }{{"name", rs.Name}, {"version", rs.Version}} {
		if len(s.text) > limits.NameBytesMax {
			return nil, fmt.Errorf("compile: ruleset %s of %d bytes (max %d)", s.what, len(s.text), limits.NameBytesMax)
		}
		if !utf8.ValidString(s.text) {
			return nil, fmt.Errorf("compile: ruleset %s %q is not UTF-8", s.what, s.text)
		}
	}
	exprs, err := b.exprs.Table()
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	b.report.Programs = b.exprs.Programs()
	o := &b.out
	sections := [][]byte{
		b.strings, image.Bytes(o.fields), image.Bytes(o.atomTests), image.Bytes(o.testList), image.Bytes(o.tests),
		image.Bytes(o.testPreds), image.Bytes(o.preds), image.Bytes(o.code), image.Bytes(b.ints), image.Bytes(b.ranges),
		image.Bytes(b.sets), image.Bytes(b.consts), exprs, image.Bytes(o.refs), image.Bytes(b.rules), image.Bytes(b.stages),
		image.Bytes(b.keys), image.Bytes(o.always), image.Bytes(o.eager),
	}
	sections = append(sections, tables...)
	w := cbor.Writer{}
	w.Array(6)
	w.Text(image.Magic)
	w.Uint(image.FormatVersion)
	w.Uint(event.SchemaVersion)
	w.Text(rs.Name)
	w.Text(rs.Version)
	w.Array(len(sections))
	for i, s := range sections {
		w.Array(3)
		w.Uint(uint64(i))
		pad := (8 - (len(w.B)+1+cbor.HeadSize(len(s)))%8) % 8
		w.Bytes(make([]byte, pad))
		w.Bytes(s)
		b.report.Sections = append(b.report.Sections, SectionReport{image.SectionName(i, o.fields), len(s)})
	}
	if len(w.B) > limits.ImageBytesMax {
		return nil, fmt.Errorf("compile: image of %d bytes (max %d)", len(w.B), limits.ImageBytesMax)
	}
	b.report.Bytes = len(w.B)
	return w.B, nil
}

// strategies names how a rule's tests are evaluated, for `kestrel list`.
func (b *builder) strategies() {
	perField := make(map[event.FieldID]dfabuild.Report)
	for i, f := range b.out.fields {
		perField[event.FieldID(f.Field)] = b.report.Fields[i].Report
	}
	for r := range b.report.Rules {
		var names []string
		for _, t := range b.ruleTests[r] {
			d := &b.tests[t]
			for _, p := range d.patterns {
				names = append(names, perField[d.field].PatternStrategy[p])
			}
		}
		slices.SortFunc(names, cmp.Compare[string])
		names = slices.Compact(names)
		b.report.Rules[r].Strategy = strategy(names, b.ruleExprs[r])
	}
}

func strategy(names []string, exprs bool) string {
	s := "compare"
	switch {
	case len(names) == 1:
		s = names[0]
	case len(names) > 1:
		s = "hybrid (" + strings.Join(names, ", ") + ")"
	case exprs:
		return "expression"
	}
	if exprs {
		s += " + expression"
	}
	return s
}
