package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// FieldsMax bounds the different field paths of one log. Mappings of real logs have up to some thousand; data that uses
// values as names would otherwise fill the memory with them.
const FieldsMax = 100_000

// Type is what a field holds.
type Type uint8

// The types. TypeAny is a field of several kinds or of a type that is not known.
const (
	TypeAny Type = iota
	TypeBool
	TypeNumber
	TypeString
	TypeDate
	TypeIP
	TypeVersion
	TypeObject
)

var typeNames = [...]string{"of unknown type", "boolean", "number", "string", "date", "ip", "version", "object"}

// String names the type as messages do.
func (t Type) String() string { return typeNames[t] }

// Field is one field of a schema.
type Field struct {
	Type Type
	// Soft marks a type that was inferred from the look of strings. Values are read by it, but a use as a string is
	// right.
	Soft bool
	// NullText is what an explicit null in the data stands for, when HasNullText.
	NullText    string
	HasNullText bool
}

// Schema says which fields events have and which of them are special. An empty name of a special field stands for the
// usual ones (see timeFields and the lists beside it), tried in order for each event.
type Schema struct {
	Timestamp, Tiebreaker, Category, ID string

	Fields map[string]Field // by path, parts joined by dots
	// Closed says that Fields holds every field: others are unknown and a mistake, unless they are marked optional.
	Closed bool
}

// The fields that are tried when the schema does not name one.
var (
	timeFields     = []string{"@timestamp", "timestamp", "timestamp_ns"}
	tieFields      = []string{"event.sequence"}
	categoryFields = []string{"event.category", "event_type"}
	idFields       = []string{"event.id", "_id", "id", "serial_event_id"}
)

func namedOr(name string, usual []string) []string {
	if name != "" {
		return []string{name}
	}
	return usual
}

// Lookup finds a field. An object is known by the fields below it.
func (s *Schema) Lookup(path string) (Field, bool) {
	f, ok := s.Fields[path]
	return f, ok
}

// Names are the known fields in order.
func (s *Schema) Names() []string { return slices.Sorted(maps.Keys(s.Fields)) }

// schemaFile is the JSON form of a schema. Other keys are notes.
type schemaFile struct {
	Timestamp  string            `json:"timestamp_field"`
	Tiebreaker string            `json:"tiebreaker_field"`
	Category   string            `json:"event_category_field"`
	ID         string            `json:"id_field"`
	Types      map[string]string `json:"types"`
}

// ReadSchema reads a schema file. Types begin with the name of a type of Elasticsearch; the rest of their text is
// notes, except null_value "TEXT". A text of several words that begins with none is a note as a whole: the data shows
// the type.
func ReadSchema(r io.Reader) (*Schema, error) {
	content, err := io.ReadAll(io.LimitReader(r, schemaBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(content) > schemaBytesMax {
		return nil, fmt.Errorf("schema: larger than %d bytes", schemaBytesMax)
	}
	dec := json.NewDecoder(bytes.NewReader(content))
	var file schemaFile
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("schema: data after the object")
	}
	s := &Schema{Timestamp: file.Timestamp, Tiebreaker: file.Tiebreaker, Category: file.Category, ID: file.ID,
		Fields: make(map[string]Field, len(file.Types))}
	for _, path := range slices.Sorted(maps.Keys(file.Types)) {
		f, ok, err := parseType(file.Types[path])
		if err != nil {
			return nil, fmt.Errorf("schema: field %s: %w", path, err)
		}
		if ok {
			s.Fields[path] = f
		}
	}
	return s, nil
}

// schemaBytesMax bounds a schema file; the largest mappings of Elasticsearch take a few megabytes.
const schemaBytesMax = 64 << 20

var elasticTypes = map[string]Type{
	"boolean": TypeBool,
	"long":    TypeNumber, "integer": TypeNumber, "short": TypeNumber, "byte": TypeNumber, "unsigned_long": TypeNumber,
	"double": TypeNumber, "float": TypeNumber, "half_float": TypeNumber, "scaled_float": TypeNumber,
	"number":  TypeNumber,
	"keyword": TypeString, "constant_keyword": TypeString, "wildcard": TypeString, "text": TypeString,
	"match_only_text": TypeString, "string": TypeString,
	"date": TypeDate, "date_nanos": TypeDate, "ip": TypeIP, "version": TypeVersion,
	"object": TypeObject, "nested": TypeObject, "flattened": TypeObject, "any": TypeAny,
}

var (
	typeWord = regexp.MustCompile(`^\s*([A-Za-z_]+)`)
	nullText = regexp.MustCompile(`null_value\s*[:=]?\s*"([^"]*)"`)
)

// parseType is not ok for a note.
func parseType(text string) (f Field, ok bool, err error) {
	word := typeWord.FindStringSubmatch(text)
	if word == nil {
		return Field{}, false, fmt.Errorf("%q does not begin with a type", text)
	}
	t, ok := elasticTypes[strings.ToLower(word[1])]
	if !ok && len(strings.Fields(text)) > 1 {
		return Field{}, false, nil
	}
	if !ok {
		return Field{}, false, fmt.Errorf("unknown type %q (as in Elasticsearch: %s)", word[1],
			strings.Join(slices.Sorted(maps.Keys(elasticTypes)), ", "))
	}
	f.Type = t
	if null := nullText.FindStringSubmatch(text); null != nil {
		f.NullText, f.HasNullText = null[1], true
	}
	return f, true, nil
}

// Recorded is the schema of a recorded log of Kestrel: the fields of package event.
func Recorded() *Schema {
	s := &Schema{Fields: map[string]Field{"event_type_id": {Type: TypeNumber}}}
	for i := range event.Fields {
		f := &event.Fields[i]
		s.Fields[f.Name] = Field{Type: recordedType(f.Kind)}
		addParents(s.Fields, f.Name)
	}
	return s
}

func recordedType(k event.Kind) Type {
	switch k {
	case event.KindInt:
		return TypeNumber
	case event.KindIP:
		return TypeIP
	case event.KindBool:
		return TypeBool
	case event.KindTime:
		return TypeDate
	}
	return TypeString
}

// addParents makes the objects known that a flat name implies.
func addParents(fields map[string]Field, path string) {
	for i := strings.LastIndexByte(path, '.'); i > 0; i = strings.LastIndexByte(path[:i], '.') {
		if _, ok := fields[path[:i]]; !ok {
			fields[path[:i]] = Field{Type: TypeObject}
		}
	}
}

// seen are the kinds of values that a field was seen with.
type seen uint8

const (
	seenBool seen = 1 << iota
	seenNumber
	seenAddress // a string that is an address
	seenDate    // a string that is a date, in a field that holds times
	seenString
	seenObject
)

func (s seen) field() Field {
	switch s {
	case seenBool:
		return Field{Type: TypeBool}
	case seenNumber:
		return Field{Type: TypeNumber}
	case seenAddress:
		return Field{Type: TypeIP, Soft: true}
	case seenDate:
		return Field{Type: TypeDate, Soft: true}
	case seenString, seenString | seenAddress, seenString | seenDate:
		return Field{Type: TypeString}
	case seenObject:
		return Field{Type: TypeObject}
	}
	return Field{}
}

// dateField is a date also where it is a number; numbers in other fields that hold times are compared as numbers.
const dateField = "@timestamp"

// inference collects what fields a log has.
type inference struct {
	root  branch
	size  int // branches
	times []string
}

// branch is what stands at one path, as the names are written: `a.b` and b inside a are two branches.
type branch struct {
	path  string
	kinds seen
	below map[string]*branch
}

// add takes in one event.
func (in *inference) add(event value.Value) error { return in.members(&in.root, event) }

func (in *inference) members(at *branch, object value.Value) error {
	for _, m := range object.Members() {
		b := at.below[m.Name]
		if b == nil {
			if in.size++; in.size > FieldsMax {
				return fmt.Errorf("more than %d different fields", FieldsMax)
			}
			b = &branch{path: m.Name}
			if at != &in.root {
				b.path = at.path + "." + m.Name
			}
			if at.below == nil {
				at.below = map[string]*branch{}
			}
			at.below[m.Name] = b
		}
		if err := in.value(b, m.Value); err != nil {
			return err
		}
	}
	return nil
}

func (in *inference) value(at *branch, v value.Value) error {
	switch v.Kind() {
	case value.KindObject:
		at.kinds |= seenObject
		return in.members(at, v)
	case value.KindArray:
		for _, e := range v.List() {
			if err := in.value(at, e); err != nil {
				return err
			}
		}
	case value.KindBool:
		at.kinds |= seenBool
	case value.KindInt, value.KindFloat:
		if at.path == dateField {
			at.kinds |= seenDate
		} else {
			at.kinds |= seenNumber
		}
	case value.KindString:
		if at.kinds&seenString == 0 {
			at.kinds |= in.look(at.path, v.Text())
		}
	}
	return nil
}

// collect adds up the branches of each path.
func (b *branch) collect(kinds map[string]seen) {
	for _, c := range b.below {
		kinds[c.path] |= c.kinds
		c.collect(kinds)
	}
}

// look tells what a string looks like.
func (in *inference) look(path, s string) seen {
	if slices.Contains(in.times, path) {
		if _, ok := value.ParseDate(s); ok {
			return seenDate
		}
		return seenString
	}
	if len(s) >= 2 && strings.ContainsAny(s, ".:") && strings.ContainsRune("0123456789abcdefABCDEF:", rune(s[0])) {
		if _, err := netip.ParseAddr(s); err == nil {
			return seenAddress
		}
	}
	return seenString
}

// merge is the schema of a log: what was declared, and what the data shows besides.
func (in *inference) merge(declared *Schema) *Schema {
	found := map[string]seen{}
	in.root.collect(found)
	s := &Schema{Fields: make(map[string]Field, len(found)), Closed: len(found) > 0}
	if declared != nil {
		s.Timestamp, s.Tiebreaker = declared.Timestamp, declared.Tiebreaker
		s.Category, s.ID = declared.Category, declared.ID
		maps.Copy(s.Fields, declared.Fields)
	}
	for path, kinds := range found {
		if _, ok := s.Fields[path]; !ok {
			s.Fields[path] = kinds.field()
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s.Fields)) {
		addParents(s.Fields, path)
	}
	return s
}
