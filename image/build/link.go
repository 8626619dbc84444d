package build

import (
	"fmt"
	"slices"

	dfabuild "github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
)

// cover finds tests of which at least one holds whenever n, negated if neg, is true, and how often that is the case, in
// parts per million of the events. The index then makes a predicate a candidate only when one of them was seen. nil
// means that there is no such set.
//
// Of an And the rarest cover of its parts serves; an Or needs all of them.
func (b *builder) cover(n ir.Node, neg bool, c event.Category) ([]uint32, int) {
	switch n := n.(type) {
	case ir.Not:
		return b.cover(n.Arg, !neg, c)
	case ir.IsTrue:
		if !neg {
			return b.cover(n.Arg, false, c)
		}
	case ir.StringTest:
		if !neg {
			if f := frequency(n, c); f < always {
				return []uint32{b.test(n)}, f
			}
		}
	case ir.And:
		if neg {
			return b.coverAny(n.Args, neg, c)
		}
		return b.coverBest(n.Args, neg, c)
	case ir.Or:
		if neg {
			return b.coverBest(n.Args, neg, c)
		}
		return b.coverAny(n.Args, neg, c)
	}
	return nil, always
}

func (b *builder) coverBest(args []ir.Node, neg bool, c event.Category) ([]uint32, int) {
	var best []uint32
	rarest := always
	for _, a := range args {
		if cover, f := b.cover(a, neg, c); cover != nil && f < rarest {
			best, rarest = cover, f
		}
	}
	return best, rarest
}

func (b *builder) coverAny(args []ir.Node, neg bool, c event.Category) ([]uint32, int) {
	var all []uint32
	sum := 0
	for _, a := range args {
		cover, f := b.cover(a, neg, c)
		if cover == nil {
			return nil, always
		}
		all = append(all, cover...)
		sum = min(sum+f, always)
	}
	slices.Sort(all)
	return slices.Compact(all), sum
}

// always is the frequency of what holds for every event.
const always = 1_000_000

// frequency estimates how often a test holds: a table of what fields' values are like. The estimates only rank tests;
// a wrong one costs time, never a match.
func frequency(t ir.StringTest, c event.Category) int {
	if !event.FieldByID(t.Field).Captured {
		return 1 // no event of a device has it
	}
	base := 0
	for _, p := range t.Patterns {
		base += patternFrequency(p)
	}
	weight := 1
	switch t.Field {
	case event.FieldEventType, event.FieldEventAction, event.FieldEventCategory, event.FieldEventOutcome, 80, 81, 82, 54, 55:
		// A handful of values: hardly better than no index.
		base += always / 4
	case event.FieldCommandLine, event.FieldArgs, 33, 34:
		weight = 2 // long: costs more to scan
	}
	if c != event.CategoryProcess && t.Field.Part() != event.PartOwn && t.Field.Constant() == event.NotConstant {
		// File and network events have fields of their own. What is the same for all events of a process is scanned once,
		// but not these.
		weight *= 16
	}
	return min(base*weight, always)
}

func patternFrequency(p ir.Pattern) int {
	literal := 0
	for i := range len(p.Text) {
		if p.Kind != ir.Wildcard && p.Kind != ir.Regex || p.Text[i] != '*' && p.Text[i] != '?' {
			literal++
		}
	}
	switch p.Kind {
	case ir.Exact:
		return 2_000
	case ir.Regex:
		return 50_000
	}
	if literal == 0 {
		return always
	}
	return max(1_000, 100_000/(literal+1))
}

// link gives everything its final number and compiles the automata.
func (b *builder) link(opt Options) ([][]byte, error) {
	o := &b.out
	ids := make([]event.FieldID, 0, len(b.fields))
	for id := range b.fields {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	setOf := make(map[event.FieldID]int)
	var tables [][]byte
	base := uint32(0)
	for i, id := range ids {
		f := b.fields[id]
		table, rep, err := dfabuild.Build(f.patterns, dfabuild.Options{
			MemoryMax: opt.AutomatonBytes, NulIsSpace: id.NulIsSpace(), Automata: !opt.Small,
		})
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", event.FieldByID(id).Name, err)
		}
		tables = append(tables, table)
		setOf[id] = i
		o.fields = append(o.fields, image.FieldSet{Field: uint16(id), Base: base, Atoms: uint32(len(f.patterns)), Table: uint32(i)})
		b.report.Fields = append(b.report.Fields, FieldReport{event.FieldByID(id).Name, len(f.patterns), rep})
		base += uint32(len(f.patterns))
	}
	b.linkPreds()
	b.linkTests(setOf, int(base))
	b.linkLists(setOf)
	b.report.Tests, b.report.Atoms, b.report.Preds = len(b.tests), int(base), len(b.preds)
	b.strategies()
	return tables, nil
}

func (b *builder) linkPreds() {
	o := &b.out
	for i := range b.preds {
		p := &b.preds[i]
		if p.cover == nil && !p.never {
			b.report.Always++
		}
		o.preds = append(o.preds, image.Predicate{
			Code: uint32(len(o.code)), Len: uint16(len(p.code)), Category: uint8(p.category),
			Refs: uint32(len(o.refs)), NRefs: uint32(len(p.refs)),
		})
		o.code = append(o.code, p.code...)
		o.refs = append(o.refs, p.refs...)
		for _, t := range p.cover {
			b.tests[t].preds = append(b.tests[t].preds, uint32(i))
		}
	}
}

func (b *builder) linkTests(setOf map[event.FieldID]int, atoms int) {
	o := &b.out
	perAtom := make([][]uint32, atoms)
	for i := range b.tests {
		t := &b.tests[i]
		set := setOf[t.field]
		for _, p := range t.patterns {
			atom := int(o.fields[set].Base) + p
			perAtom[atom] = append(perAtom[atom], uint32(i))
		}
		o.tests = append(o.tests, image.Test{
			Field: uint16(t.field), Set: uint16(set), Preds: uint32(len(o.testPreds)), NPreds: uint32(len(t.preds)),
		})
		o.testPreds = append(o.testPreds, t.preds...)
	}
	for _, tests := range perAtom {
		o.atomTests = append(o.atomTests, uint32(len(o.testList)))
		o.testList = append(o.testList, tests...)
	}
	o.atomTests = append(o.atomTests, uint32(len(o.testList)))
}

// linkLists makes, per category, the predicates that are always candidates and the fields that must be scanned for the
// others to become candidates.
func (b *builder) linkLists(setOf map[event.FieldID]int) {
	o := &b.out
	heads := int(event.Categories) + 1
	o.always, o.eager = make([]uint32, heads), make([]uint32, heads)
	for c := event.CategoryOther; c < event.Categories; c++ {
		o.always[c], o.eager[c] = uint32(len(o.always)), uint32(len(o.eager))
		var eager []uint32
		for i := range b.preds {
			p := &b.preds[i]
			if p.never || p.category != c && p.category != event.CategoryAny {
				continue
			}
			if p.cover == nil {
				o.always = append(o.always, uint32(i))
			}
			for _, t := range p.cover {
				eager = append(eager, uint32(setOf[b.tests[t].field]))
			}
		}
		slices.Sort(eager)
		o.eager = append(o.eager, slices.Compact(eager)...)
	}
	o.always[event.Categories], o.eager[event.Categories] = uint32(len(o.always)), uint32(len(o.eager))
}
