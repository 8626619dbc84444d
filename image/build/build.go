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
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// Options of a compilation.
type Options struct {
	// AutomatonBytes bounds the dense part of each field's automaton; 0 takes the default of a device with 16 MB.
	AutomatonBytes int
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
	Strategy  string // of its string tests
	Index     []string
	Always    bool // some stage is evaluated for every event of its category
	NeverTrue bool // some stage's condition is false for every event
}

// Build compiles the rules.
func Build(rs *ir.Ruleset, opt Options) ([]byte, *Report, error) {
	if opt.AutomatonBytes == 0 {
		opt.AutomatonBytes = automatonBytesDefault
	}
	if len(rs.Rules) > limits.RulesMax {
		return nil, nil, fmt.Errorf("compile: %d rules (max %d)", len(rs.Rules), limits.RulesMax)
	}
	b := newBuilder()
	for i := range rs.Rules {
		if err := b.rule(&rs.Rules[i]); err != nil {
			return nil, nil, fmt.Errorf("compile rule %s: %w", rs.Rules[i].ID, err)
		}
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

	ruleTests [][]uint32 // tests each rule uses, for the report
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

func (b *builder) rule(r *ir.Rule) error {
	for _, s := range []struct{ what, text string }{{"id", r.ID}, {"name", r.Name}} {
		if len(s.text) > limits.NameBytesMax {
			return fmt.Errorf("%s of %d bytes (max %d)", s.what, len(s.text), limits.NameBytesMax)
		}
		if !utf8.ValidString(s.text) {
			return fmt.Errorf("%s %q is not UTF-8", s.what, s.text)
		}
	}
	if len(r.Stages) > limits.StagesMax-1 {
		return fmt.Errorf("%d steps (max %d)", len(r.Stages), limits.StagesMax-1)
	}
	id := uint32(len(b.rules))
	out := image.Rule{
		ID: b.text(r.ID), Name: b.text(r.Name), MaxSpan: uint64(r.MaxSpan), Stages: uint32(len(b.stages)),
		NStages: uint8(len(r.Stages)), Severity: uint8(r.Severity), Action: uint8(r.Action),
	}
	if r.Sequence {
		out.Flags |= image.RuleSequence
	}
	rep := RuleReport{}
	b.ruleTests = append(b.ruleTests, nil)
	for i := range r.Stages {
		if err := b.stage(id, uint8(i), &r.Stages[i], &rep); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if r.Until != nil {
		out.Flags |= image.RuleUntil
		if err := b.stage(id, image.StageUntil, r.Until, &rep); err != nil {
			return fmt.Errorf("until: %w", err)
		}
	}
	b.rules = append(b.rules, out)
	b.report.Rules = append(b.report.Rules, rep)
	return nil
}

func (b *builder) stage(rule uint32, stage uint8, s *ir.Stage, rep *RuleReport) error {
	if len(s.Keys) > limits.KeysMax {
		return fmt.Errorf("%d join keys (max %d)", len(s.Keys), limits.KeysMax)
	}
	b.stages = append(b.stages, image.Stage{Keys: uint32(len(b.keys)), NKeys: uint32(len(s.Keys))})
	for _, k := range s.Keys {
		key := image.Key{Field: uint16(k.Field)}
		if k.Optional {
			key.Optional = 1
		}
		b.keys = append(b.keys, key)
	}
	cond := ir.Simplify(s.Cond)
	p := predDef{category: s.Category}
	var err error
	if p.code, err = b.generate(cond); err != nil {
		return err
	}
	b.ruleTests[rule] = append(b.ruleTests[rule], testsOf(p.code)...)
	key := string(append([]byte{byte(p.category)}, image.Bytes(p.code)...))
	id, seen := b.predIDs[key]
	if !seen {
		id = uint32(len(b.preds))
		b.predIDs[key] = id
		if c, ok := cond.(ir.Const); ok && c.Value != ir.True {
			p.never = true
		} else {
			p.cover, _ = b.cover(cond, false, p.category)
		}
		b.preds = append(b.preds, p)
	}
	if b.preds[id].never {
		rep.NeverTrue = true
	} else if b.preds[id].cover == nil {
		rep.Always = true
	}
	for _, t := range b.preds[id].cover {
		f := event.FieldByID(b.tests[t].field).Name
		if !slices.Contains(rep.Index, f) {
			rep.Index = append(rep.Index, f)
		}
	}
	b.preds[id].refs = append(b.preds[id].refs, image.Ref{Rule: rule, Stage: stage})
	return nil
}

func testsOf(code []image.Instr) []uint32 {
	var tests []uint32
	for _, in := range code {
		if in.Op == image.OpTest {
			tests = append(tests, in.Operand)
		}
	}
	return tests
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
	o := &b.out
	sections := [][]byte{
		b.strings, image.Bytes(o.fields), image.Bytes(o.atomTests), image.Bytes(o.testList), image.Bytes(o.tests),
		image.Bytes(o.testPreds), image.Bytes(o.preds), image.Bytes(o.code), image.Bytes(b.ints), image.Bytes(b.ranges),
		image.Bytes(b.sets), image.Bytes(b.consts), image.Bytes(o.refs), image.Bytes(b.rules), image.Bytes(b.stages),
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
		switch len(names) {
		case 0:
			b.report.Rules[r].Strategy = "compare"
		case 1:
			b.report.Rules[r].Strategy = names[0]
		default:
			b.report.Rules[r].Strategy = "hybrid (" + strings.Join(names, ", ") + ")"
		}
	}
}
