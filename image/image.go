package image

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/cbor"
	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/limits"
)

// Image is a validated rule image.
type Image struct {
	Name, Version string
	Digest        [32]byte // SHA-256 of the file
	Size          int

	Strings   []byte
	Fields    []FieldSet
	AtomTests []uint32
	TestList  []uint32
	Tests     []Test
	TestPreds []uint32
	Preds     []Predicate
	Code      []Instr
	Ints      []int64
	Ranges    []Range
	Sets      []Span
	Consts    []Span
	Exprs     *expr.Set
	Refs      []Ref
	Rules     []Rule
	Stages    []Stage
	Keys      []Key
	Always    []uint32
	Eager     []uint32
	Automata  []*dfa.Set // by FieldSet

	Alerting int // rules that raise alerts: they come first
	Marks    int // rules that set marks: they follow
}

// Parts of an image's tables that an Error names.
type Error struct {
	What   string // section or item
	Index  int    // entry, -1 for the whole
	Reason string
}

func (e *Error) Error() string {
	s := "rule image: " + e.What
	if e.Index >= 0 {
		s += " " + strconv.Itoa(e.Index)
	}
	return s + ": " + e.Reason
}

func refuse(what string, index int, reason string) error { return &Error{what, index, reason} }

// Load validates an image and returns a view of it. b is borrowed for the life of the Image; when it is not aligned to
// 8 bytes, which only bytes that are not a mapped file can be, it is copied.
func Load(b []byte) (*Image, error) {
	if len(b) > limits.ImageBytesMax {
		return nil, refuse("file", -1, strconv.Itoa(len(b))+" bytes (max "+strconv.Itoa(limits.ImageBytesMax)+")")
	}
	if !aligned(b) {
		b = bytes.Clone(b)
	}
	m := &Image{Digest: sha256.Sum256(b), Size: len(b)}
	r := cbor.NewReader(b)
	if r.Array(6) != 6 || string(r.Text(len(Magic))) != Magic {
		return nil, refuse("file", -1, "not a Kestrel rule image")
	}
	if v := r.Uint(1<<32 - 1); v != FormatVersion {
		return nil, refuse("format", -1, "version "+strconv.FormatUint(v, 10)+" (this program reads "+strconv.Itoa(FormatVersion)+")")
	}
	if v := r.Uint(1<<32 - 1); v != event.SchemaVersion {
		return nil, refuse("schema", -1, "version "+strconv.FormatUint(v, 10)+" (this program has "+strconv.Itoa(event.SchemaVersion)+")")
	}
	m.Name, m.Version = string(r.Text(limits.NameBytesMax)), string(r.Text(limits.NameBytesMax))
	n := r.Array(secAutomata + event.FieldsMax)
	if err := readError(&r); err != nil {
		return nil, err
	}
	if n < secAutomata {
		return nil, refuse("file", -1, strconv.Itoa(n)+" sections (needs "+strconv.Itoa(secAutomata)+")")
	}
	sections := make([][]byte, n)
	for i := range sections {
		if r.Array(3) != 3 || r.Uint(1<<16) != uint64(i) {
			if err := readError(&r); err != nil {
				return nil, err
			}
			return nil, refuse("section", i, "not in its place")
		}
		if pad := r.Bytes(align); len(pad) == align || len(bytes.Trim(pad, "\x00")) > 0 {
			return nil, refuse("section", i, "padding is not zero, or more than it takes")
		}
		sections[i] = r.Bytes(limits.ImageBytesMax)
		if err := readError(&r); err != nil {
			return nil, err
		}
		if !aligned(sections[i]) {
			return nil, refuse("section", i, "not aligned")
		}
	}
	if r.End() != cbor.ErrNone {
		return nil, readError(&r)
	}
	if err := m.cast(sections); err != nil {
		return nil, err
	}
	exprs, err := expr.Load(sections[secExprs])
	if err != nil {
		return nil, refuse(sectionNames[secExprs], -1, err.Error())
	}
	m.Exprs = exprs
	if !utf8.ValidString(m.Name) || !utf8.ValidString(m.Version) || !utf8.Valid(m.Strings) {
		return nil, refuse("strings", -1, "not UTF-8")
	}
	return m, m.check(sections[secAutomata:])
}

func readError(r *cbor.Reader) error {
	if e, at := r.Err(); e != cbor.ErrNone {
		return refuse("byte", at, e.Error())
	}
	return nil
}

func (m *Image) cast(s [][]byte) error {
	m.Strings = s[secStrings]
	bad := -1
	whole := func(section int, ok bool) {
		if !ok && bad < 0 {
			bad = section
		}
	}
	var ok bool
	m.Fields, ok = cast[FieldSet](s[secFields])
	whole(secFields, ok)
	m.AtomTests, ok = cast[uint32](s[secAtomTests])
	whole(secAtomTests, ok)
	m.TestList, ok = cast[uint32](s[secTestList])
	whole(secTestList, ok)
	m.Tests, ok = cast[Test](s[secTests])
	whole(secTests, ok)
	m.TestPreds, ok = cast[uint32](s[secTestPreds])
	whole(secTestPreds, ok)
	m.Preds, ok = cast[Predicate](s[secPreds])
	whole(secPreds, ok)
	m.Code, ok = cast[Instr](s[secCode])
	whole(secCode, ok)
	m.Ints, ok = cast[int64](s[secInts])
	whole(secInts, ok)
	m.Ranges, ok = cast[Range](s[secRanges])
	whole(secRanges, ok)
	m.Sets, ok = cast[Span](s[secSets])
	whole(secSets, ok)
	m.Consts, ok = cast[Span](s[secConsts])
	whole(secConsts, ok)
	m.Refs, ok = cast[Ref](s[secRefs])
	whole(secRefs, ok)
	m.Rules, ok = cast[Rule](s[secRules])
	whole(secRules, ok)
	m.Stages, ok = cast[Stage](s[secStages])
	whole(secStages, ok)
	m.Keys, ok = cast[Key](s[secKeys])
	whole(secKeys, ok)
	m.Always, ok = cast[uint32](s[secAlways])
	whole(secAlways, ok)
	m.Eager, ok = cast[uint32](s[secEager])
	whole(secEager, ok)
	if bad >= 0 {
		return refuse(sectionNames[bad], -1, "cut inside an entry")
	}
	return nil
}

// Text is a string of the image, borrowed.
func (m *Image) Text(s Span) []byte { return m.Strings[s.Start : s.Start+s.Len : s.Start+s.Len] }

// Atoms is the number of atoms over all fields.
func (m *Image) Atoms() int { return len(m.AtomTests) - 1 }

// List is the part of Always or Eager that belongs to a category.
func List(table []uint32, c event.Category) []uint32 {
	return table[table[c]:table[c+1]]
}

// listHead is where the lists of Always and Eager begin.
const listHead = int(event.Categories) + 1
