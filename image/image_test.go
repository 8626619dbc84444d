package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/kestrel-detection/kestrel/cbor"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// The sections before the automata, by their place in the file.
const (
	secStrings = iota
	secFields
	secAtomTests
	secTestList
	secTests
	secTestPreds
	secPreds
	secCode
	secInts
	secRanges
	secSets
	secConsts
	secExprs
	secRefs
	secRules
	secStages
	secKeys
	secAlways
	secEager
	secAutomata
)

// TestLayout holds the sizes and places that package image's documentation of the format names: an image is read where
// it lies.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"FieldSet", unsafe.Sizeof(image.FieldSet{}), 16},
		{"FieldSet.Base", unsafe.Offsetof(image.FieldSet{}.Base), 4},
		{"FieldSet.Table", unsafe.Offsetof(image.FieldSet{}.Table), 12},
		{"Test", unsafe.Sizeof(image.Test{}), 12},
		{"Test.Preds", unsafe.Offsetof(image.Test{}.Preds), 4},
		{"Predicate", unsafe.Sizeof(image.Predicate{}), 16},
		{"Predicate.Category", unsafe.Offsetof(image.Predicate{}.Category), 6},
		{"Predicate.Refs", unsafe.Offsetof(image.Predicate{}.Refs), 8},
		{"Instr", unsafe.Sizeof(image.Instr{}), 12},
		{"Instr.Field", unsafe.Offsetof(image.Instr{}.Field), 2},
		{"Instr.Operand", unsafe.Offsetof(image.Instr{}.Operand), 4},
		{"Instr.True", unsafe.Offsetof(image.Instr{}.True), 8},
		{"Instr.False", unsafe.Offsetof(image.Instr{}.False), 10},
		{"Span", unsafe.Sizeof(image.Span{}), 8},
		{"Range", unsafe.Sizeof(image.Range{}), 32},
		{"Ref", unsafe.Sizeof(image.Ref{}), 8},
		{"Rule", unsafe.Sizeof(image.Rule{}), 48},
		{"Rule.MaxSpan", unsafe.Offsetof(image.Rule{}.MaxSpan), 16},
		{"Rule.SuppressFor", unsafe.Offsetof(image.Rule{}.SuppressFor), 24},
		{"Rule.SuppressBy", unsafe.Offsetof(image.Rule{}.SuppressBy), 36},
		{"Rule.NStages", unsafe.Offsetof(image.Rule{}.NStages), 40},
		{"Rule.Flags", unsafe.Offsetof(image.Rule{}.Flags), 43},
		{"Rule.Mark", unsafe.Offsetof(image.Rule{}.Mark), 45},
		{"Stage", unsafe.Sizeof(image.Stage{}), 16},
		{"Stage.Later", unsafe.Offsetof(image.Stage{}.Later), 8},
		{"Stage.Flags", unsafe.Offsetof(image.Stage{}.Flags), 14},
		{"Key", unsafe.Sizeof(image.Key{}), 4},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, the format says %d", c.what, c.got, c.want)
		}
	}
}

// sample is a rule set that fills every table of an image.
func sample() *ir.Ruleset {
	key := func(fields ...event.FieldID) (keys []ir.Key) {
		for i, f := range fields {
			keys = append(keys, ir.Key{Field: f, Optional: i > 0})
		}
		return keys
	}
	text := func(f event.FieldID, kind ir.PatternKind, texts ...string) ir.Node {
		t := ir.StringTest{Field: f}
		for _, s := range texts {
			t.Patterns = append(t.Patterns, ir.Pattern{Kind: kind, Text: s})
		}
		return t
	}
	return &ir.Ruleset{Name: "sample", Version: "1.2", Rules: []ir.Rule{
		{ID: "shell", Name: "A shell", Severity: ir.High, Action: ir.ActionKill, Stages: []ir.Stage{{
			Category: event.CategoryProcess, Cond: ir.And{Args: []ir.Node{
				text(event.FieldName, ir.Exact, "sh", "bash"), ir.Not{Arg: text(event.FieldExecutable, ir.Prefix, "/opt/")},
				ir.Or{Args: []ir.Node{ir.IntTest{Field: event.FieldUserID, Cmp: ir.Ge, Value: 1000}, ir.Not{Arg: ir.Present{Field: event.FieldUserID}}}},
			}},
		}}},
		{ID: "net", Name: "A connection", Severity: ir.Low, Stages: []ir.Stage{{
			Category: event.CategoryNetwork, Cond: ir.And{Args: []ir.Node{
				ir.IntIn{Field: event.FieldDestinationPort, Values: []int64{443, 80}},
				ir.Not{Arg: ir.IPIn{Field: event.FieldDestinationIP, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
					netip.MustParsePrefix("fe80::/10")}}},
			}},
		}}},
		{ID: "order", Name: "Order", Severity: ir.Medium, Stages: []ir.Stage{{
			Category: event.CategoryAny, Cond: ir.Or{Args: []ir.Node{
				ir.StringOrder{Field: event.FieldName, Cmp: ir.Gt, Value: "x"},
				ir.FieldTest{Left: event.FieldName, Right: 31, Cmp: ir.Eq, Fold: true},
				ir.FieldTest{Left: event.FieldPID, Right: event.FieldParentPID, Cmp: ir.Lt},
			}},
		}}},
		{ID: "pair", Name: "A download that runs", Severity: ir.Critical, Action: ir.ActionBlock, Form: ir.FormSequence, MaxSpan: time.Minute,
			Stages: []ir.Stage{
				{Category: event.CategoryFile, Cond: text(event.FieldFilePath, ir.Wildcard, "/tmp/*"), Keys: key(event.FieldUserID, event.FieldName)},
				{Category: event.CategoryProcess, Cond: text(event.FieldExecutable, ir.Contains, "tmp"), Keys: key(event.FieldUserID, event.FieldName)},
			},
			Until: &ir.Stage{Category: event.CategoryProcess, Cond: text(event.FieldEventType, ir.Exact, "end"), Keys: key(event.FieldUserID, event.FieldName)},
		},
		{ID: "long", Name: "A long path", Stages: []ir.Stage{{Category: event.CategoryProcess, Cond: longPath()}},
			Suppress: &ir.Suppress{By: []event.FieldID{event.FieldExecutable}, For: time.Hour}},
		{ID: "dropped", Name: "A file that runs", Form: ir.FormSequence, MaxSpan: time.Minute, Stages: []ir.Stage{
			{Category: event.CategoryFile, Cond: text(event.FieldFilePath, ir.Prefix, "/srv/"), Keys: key(event.FieldUserID)},
			{Category: event.CategoryProcess, Cond: text(event.FieldEventType, ir.Exact, "end"), Keys: key(event.FieldUserID), Missing: true},
			{Category: event.CategoryProcess, Keys: key(event.FieldUserID), Cond: ir.Test{X: ir.Op{Fn: ir.FnEq, Args: []ir.Expr{
				ir.Value{Field: event.FieldExecutable, Stage: ir.Own}, ir.Value{Field: event.FieldFilePath}}}}},
		}},
		{ID: "thrice", Name: "Three in a row", Form: ir.FormSequence, Stages: []ir.Stage{
			{Category: event.CategoryProcess, Cond: text(event.FieldName, ir.Exact, "retry"), Keys: key(event.FieldUserID), Runs: 3}}},
		{ID: "both", Name: "In any order", Form: ir.FormSample, Stages: []ir.Stage{
			{Category: event.CategoryFile, Cond: text(event.FieldFilePath, ir.Exact, "/etc/s"), Keys: key(event.FieldUserID)},
			{Category: event.CategoryNetwork, Cond: ir.IntTest{Field: event.FieldDestinationPort, Value: 9}, Keys: key(event.FieldUserID)}}},
		{ID: "child", Name: "A child", Stages: []ir.Stage{{Category: event.CategoryProcess, Cond: ir.And{Args: []ir.Node{
			text(event.FieldName, ir.Exact, "cat"),
			ir.Lineage{Rel: ir.ChildOf, Event: &ir.Stage{Category: event.CategoryProcess, Cond: text(event.FieldName, ir.Exact, "boss")}}}}}}},
	}}
}

func longPath() ir.Node {
	return ir.Test{X: ir.Op{Fn: ir.FnGe, Args: []ir.Expr{
		ir.Op{Fn: ir.FnLength, Args: []ir.Expr{ir.Value{Field: event.FieldExecutable, Stage: ir.Own}}}, ir.Lit{Value: int64(20)}}}}
}

func built(tb testing.TB) []byte {
	tb.Helper()
	file, _, err := build.Build(sample(), build.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// parts are what an image is assembled of.
type parts struct {
	magic         string
	format        uint64
	schema        uint64
	name, version string
	sections      [][]byte
}

// split reads the parts out of a good image; the sections are copies.
func split(tb testing.TB, file []byte) *parts {
	tb.Helper()
	r := cbor.NewReader(file)
	r.Array(6)
	p := &parts{magic: string(r.Text(100)), format: r.Uint(100), schema: r.Uint(100), name: string(r.Text(255)), version: string(r.Text(255))}
	for n := r.Array(1000); n > 0; n-- {
		r.Array(3)
		r.Uint(1000)
		r.Bytes(8)
		s := make([]byte, 0, 1024)
		p.sections = append(p.sections, append(s, r.Bytes(1<<30)...))
	}
	if e := r.End(); e != cbor.ErrNone {
		tb.Fatal(e)
	}
	return p
}

// file assembles an image as the format prescribes.
func (p *parts) file() []byte {
	var w cbor.Writer
	w.Array(6)
	w.Text(p.magic)
	w.Uint(p.format)
	w.Uint(p.schema)
	w.Text(p.name)
	w.Text(p.version)
	w.Array(len(p.sections))
	for i, s := range p.sections {
		w.Array(3)
		w.Uint(uint64(i))
		w.Bytes(make([]byte, (8-(len(w.B)+1+cbor.HeadSize(len(s)))%8)%8))
		w.Bytes(s)
	}
	return w.B
}

// table views a section's copy as its entries, so that a test can change them.
func table[T any](p *parts, section int) []T {
	b := p.sections[section]
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

// refused loads a file that must not load and checks what the error names.
func refused(t *testing.T, file []byte, what string) {
	t.Helper()
	_, err := image.Load(file)
	if err == nil {
		t.Errorf("loaded, want an error about %s", what)
		return
	}
	if _, ok := errors.AsType[*image.Error](err); !ok || !strings.HasPrefix(err.Error(), "rule image: "+what) {
		t.Errorf("%q, want an error about %s", err, what)
	}
}

func TestLoad(t *testing.T) {
	file := built(t)
	if again := split(t, file).file(); !bytes.Equal(file, again) {
		t.Fatal("the writer does not write what the format prescribes")
	}
	shifted := append(make([]byte, 1, len(file)+1), file...)[1:]
	for _, b := range [][]byte{file, shifted} {
		img, err := image.Load(b)
		if err != nil {
			t.Fatal(err)
		}
		if img.Name != "sample" || img.Version != "1.2" || img.Size != len(file) {
			t.Errorf("name %q, version %q, size %d", img.Name, img.Version, img.Size)
		}
		var got []string
		for _, r := range img.Rules {
			got = append(got, fmt.Sprintf("%s|%s|%d|%d|%d|%d|%d", img.String(r.ID), img.Text(r.Name), r.Severity, r.Action, r.MaxSpan, r.NStages, r.Flags))
		}
		want := "shell|A shell|2|2|0|1|0 net|A connection|0|0|0|1|0 order|Order|1|0|0|1|0 pair|A download that runs|3|1|60000000000|2|5 " +
			"long|A long path|0|0|0|1|0 dropped|A file that runs|0|0|60000000000|3|1 thrice|Three in a row|0|0|0|1|1 " +
			"both|In any order|0|0|0|2|2 child|A child|0|0|0|1|0 child|child|0|0|0|1|8 ||0|0|0|1|16"
		if strings.Join(got, " ") != want {
			t.Errorf("rules %q", got)
		}
		for i, p := range split(t, file).sections {
			if len(p) == 0 {
				t.Errorf("the sample leaves section %s empty", image.SectionName(i, img.Fields))
			}
		}
		if len(image.List(img.Always, event.CategoryProcess)) == 0 || len(image.List(img.Eager, event.CategoryFile)) == 0 {
			t.Error("no predicate that always runs, or no field that files are scanned for")
		}
		if img.Alerting != 9 || img.Marks != 1 || img.Exprs.Programs() != 3 {
			t.Errorf("%d rules raise alerts, %d marks, %d programs", img.Alerting, img.Marks, img.Exprs.Programs())
		}
		if img.Atoms() == 0 || len(img.Automata) != len(img.Fields) {
			t.Errorf("%d atoms, %d automata for %d fields", img.Atoms(), len(img.Automata), len(img.Fields))
		}
	}
}

// TestRefused: files that are no image, of another version or too large, and files cut or stretched at every place.
func TestRefused(t *testing.T) {
	good := built(t)
	change := func(f func(p *parts)) []byte {
		p := split(t, good)
		f(p)
		return p.file()
	}
	for _, c := range []struct {
		name string
		file []byte
		what string
	}{
		{"empty", nil, "file"},
		{"text", []byte("process where true\n"), "file"},
		{"another magic", change(func(p *parts) { p.magic = "kestrel-ruler" }), "file"},
		{"longer magic", change(func(p *parts) { p.magic += "x" }), "file"},
		{"format version", change(func(p *parts) { p.format = image.FormatVersion + 1 }), fmt.Sprintf("format: version %d ", image.FormatVersion+1)},
		{"schema version", change(func(p *parts) { p.schema = event.SchemaVersion + 1 }), fmt.Sprintf("schema: version %d ", event.SchemaVersion+1)},
		{"long name", change(func(p *parts) { p.name = strings.Repeat("n", limits.NameBytesMax+1) }), "byte"},
		{"name that is no text", change(func(p *parts) { p.name = "\xff" }), "strings"},
		{"version that is no text", change(func(p *parts) { p.version = "\xff" }), "strings"},
		{"no sections", change(func(p *parts) { p.sections = nil }), "file: 0 sections"},
		{"a section less", change(func(p *parts) { p.sections = p.sections[:secAutomata-1] }), "file: 18 sections"},
		{"no automata", change(func(p *parts) { p.sections = p.sections[:secAutomata] }), "fields"},
		{"an automaton more", change(func(p *parts) { p.sections = append(p.sections, p.sections[secAutomata]) }), "fields"},
		{"byte after the end", append(bytes.Clone(good), 0), "byte"},
		{"too large", make([]byte, limits.ImageBytesMax+1), "file: 16777217 bytes (max 16777216)"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.file, c.what) })
	}
	for n := range good {
		if n < 200 || n%7 == 0 {
			if _, err := image.Load(good[:n:n]); err == nil {
				t.Fatalf("cut to %d of %d bytes: loaded", n, len(good))
			}
		}
	}
}

// TestRefusedForm changes what stands around the sections.
func TestRefusedForm(t *testing.T) {
	good := split(t, built(t))
	write := func(number func(i int) int, pad func(i, pad int) []byte) []byte {
		var w cbor.Writer
		w.Array(6)
		w.Text(good.magic)
		w.Uint(good.format)
		w.Uint(good.schema)
		w.Text(good.name)
		w.Text(good.version)
		w.Array(len(good.sections))
		for i, s := range good.sections {
			w.Array(3)
			w.Uint(uint64(number(i)))
			w.Bytes(pad(i, (8-(len(w.B)+1+cbor.HeadSize(len(s)))%8)%8))
			w.Bytes(s)
		}
		return w.B
	}
	same := func(i int) int { return i }
	zeros := func(_, pad int) []byte { return make([]byte, pad) }
	if _, err := image.Load(write(same, zeros)); err != nil {
		t.Fatal(err)
	}
	for i := range good.sections {
		refused(t, write(func(j int) int {
			if i == j {
				return j + 1
			}
			return j
		}, zeros), fmt.Sprintf("section %d: not in its place", i))
		if len(good.sections[i]) > 0 {
			refused(t, write(same, func(j, pad int) []byte {
				if i == j {
					return make([]byte, (pad+1)%8)
				}
				return make([]byte, pad)
			}), fmt.Sprintf("section %d: not aligned", i))
		}
		refused(t, write(same, func(j, pad int) []byte {
			b := make([]byte, pad)
			if i == j {
				b = make([]byte, 8)
				b[7] = 1
			}
			return b
		}), fmt.Sprintf("section %d: padding is not zero", i))
	}
	// Eight zeros align as none do: then the same content would have two encodings. Some length of the version leaves
	// no padding before the first section.
	tried := false
	for range 8 {
		none := false
		file := write(same, func(i, pad int) []byte {
			if i == 0 && pad == 0 {
				none, pad = true, 8
			}
			return make([]byte, pad)
		})
		if none {
			tried = true
			refused(t, file, "section 0: padding is not zero, or more")
		}
		good.version += "x"
	}
	if !tried {
		t.Error("no version leaves the padding out")
	}
}

// entrySizes are the sizes of the entries of the sections before the automata.
var entrySizes = [secAutomata]int{1, 16, 4, 4, 12, 4, 16, 12, 8, 32, 8, 8, 1, 8, 48, 16, 4, 4, 4}

// TestRefusedCut takes a byte and an entry off the end of each section: the first is named as what it is, the second
// leaves something without what it points to.
func TestRefusedCut(t *testing.T) {
	good := built(t)
	img, err := image.Load(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range split(t, good).sections {
		name := image.SectionName(i, img.Fields)
		t.Run(name, func(t *testing.T) {
			p := split(t, good)
			p.sections[i] = p.sections[i][:len(p.sections[i])-1]
			switch {
			case i >= secAutomata:
				refused(t, p.file(), fmt.Sprintf("automaton %d", i-secAutomata))
				return
			case entrySizes[i] > 1:
				refused(t, p.file(), name+": cut inside an entry")
			}
			p = split(t, good)
			p.sections[i] = p.sections[i][:len(p.sections[i])-entrySizes[i]]
			refused(t, p.file(), "")
			p.sections[i] = nil
			refused(t, p.file(), "")
		})
	}
}

// FuzzLoad puts content into one section of a good image: the loader refuses it or takes it, and never fails.
func FuzzLoad(f *testing.F) {
	p := split(f, built(f))
	for i, s := range p.sections {
		f.Add(uint8(i), s)
	}
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(event.TypeExec, 1)
	b.String(event.SlotExecutable, "/bin/sh", 0)
	ctx := expr.Context{Event: &event.Event{Own: b.End()}}
	ctx.Event.Proc = ctx.Event.Own
	f.Fuzz(func(t *testing.T, section uint8, content []byte) {
		p := *p
		p.sections = append([][]byte(nil), p.sections...)
		p.sections[int(section)%len(p.sections)] = content
		file := p.file()
		img, err := image.Load(file)
		if err != nil {
			if _, ok := errors.AsType[*image.Error](err); !ok {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		for i := range img.Rules {
			_ = img.String(img.Rules[i].ID) + img.String(img.Rules[i].Name)
		}
		sc := img.Exprs.NewScratch()
		for p := range img.Exprs.Programs() {
			img.Exprs.Eval(uint32(p), &ctx, sc)
		}
		for c := event.CategoryOther; c < event.Categories; c++ {
			for _, i := range image.List(img.Always, c) {
				_ = img.Preds[i]
			}
			for _, i := range image.List(img.Eager, c) {
				_ = img.Automata[i]
			}
		}
	})
}
