package events

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/hunt/value"
	"github.com/kestrel-detection/kestrel/testdata"
)

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t *testing.T, content string, declared *Schema) *Log {
	t.Helper()
	log, err := Open(write(t, content), declared)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

func ids(t *testing.T, log *Log) string {
	t.Helper()
	var list []string
	for e, err := range log.All() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.ID())
	}
	return strings.Join(list, " ")
}

func TestPaths(t *testing.T) {
	const raw = `{"a":{"b":{"c":1}},"a.b":{"d":2},"a.b.e":3,"l":[{"x":1},{"x":[2,null,3]},{"y":4}],"m":[[1,2],[3]],"n":null}`
	e, err := New(&Schema{}, []byte(raw), 1)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a.b.c": "[1]", "a.b.d": "[2]", "a.b.e": "[3]", "a.b.f": "[]", "l.x": "[1,2,3]", "l.y": "[4]", "m": "[1,2,3]",
		"n": "[]", "l.x.y": "[]", "": "[]", ".": "[]", "a.": "[]",
	} {
		for _, e := range []*Event{e, e.Slim()} {
			if got := string(value.Array(e.Values(path, Field{})).AppendJSON(nil)); got != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
		}
	}
	for path, want := range map[string]string{
		"m": "[[1,2],[3]]", "a.b.c": "1", "a.b.d": "2", "l.x": "null", "l": `[{"x":1},{"x":[2,null,3]},{"y":4}]`,
	} {
		if got := string(e.Whole(path).AppendJSON(nil)); got != want {
			t.Errorf("%s as a whole is %s, want %s", path, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		field Field
		raw   string
		want  value.Value
	}{
		{Field{Type: TypeDate}, `"2024-01-31"`, value.Date(1706659200000000000)},
		{Field{Type: TypeDate}, `1`, value.Date(1000000)},
		{Field{Type: TypeDate}, `"soon"`, value.Null}, {Field{Type: TypeString}, `7`, value.String("7")},
		{Field{Type: TypeString}, `true`, value.String("true")}, {Field{Type: TypeNumber}, `"7"`, value.Int(7)},
		{Field{Type: TypeNumber}, `"x"`, value.String("x")}, {Field{Type: TypeBool}, `"true"`, value.Bool(true)},
		{Field{Type: TypeBool}, `"false"`, value.Bool(false)}, {Field{Type: TypeBool}, `"no"`, value.String("no")},
		{Field{Type: TypeIP}, `"::1"`, value.IP("::1")}, {Field{Type: TypeVersion}, `1.5`, value.Version("1.5")},
		{Field{HasNullText: true, NullText: "NONE"}, `null`, value.String("NONE")}, {Field{}, `null`, value.Null},
		{Field{}, `12345678901234567890`, value.Float(12345678901234567890)}, {Field{}, `1.0`, value.Float(1)},
	} {
		e, err := New(&Schema{}, fmt.Appendf(nil, `{"f":%s}`, c.raw), 1)
		if err != nil {
			t.Fatal(err)
		}
		got := value.Null
		if list := e.Values("f", c.field); len(list) > 0 {
			got = list[0]
		}
		if got != c.want {
			t.Errorf("%s as %s is %s %s", c.raw, c.field.Type, got.Kind(), got.Text())
		}
	}
}

func TestReadSchema(t *testing.T) {
	s, err := ReadSchema(strings.NewReader(`{"timestamp_field":"t","tiebreaker_field":"seq","event_category_field":"kind",
		"id_field":"no","note":"x","events":3,"types":{"a":"long (ticks)","b":"date: ISO","c":"keyword with null_value \"-\"",
		"d":"version (semantic)","e":"a note of several words","f":"IP"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Timestamp != "t" || s.Tiebreaker != "seq" || s.Category != "kind" || s.ID != "no" {
		t.Errorf("special fields: %+v", s)
	}
	want := map[string]Field{
		"a": {Type: TypeNumber}, "b": {Type: TypeDate}, "d": {Type: TypeVersion}, "f": {Type: TypeIP},
		"c": {Type: TypeString, NullText: "-", HasNullText: true}}
	if fmt.Sprint(s.Fields) != fmt.Sprint(want) {
		t.Errorf("types: %v, want %v", s.Fields, want)
	}
	for _, bad := range []string{
		``, `[]`, `{"types":{"a":"lnog"}}`, `{"types":{"a":""}}`, `{"types":{"a":5}}`, `{} {}`, `{`,
	} {
		if _, err := ReadSchema(strings.NewReader(bad)); err == nil || !strings.HasPrefix(err.Error(), "schema: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestInference(t *testing.T) {
	log := open(t, `{"@timestamp":"2024-01-31T12:00:00Z","s":"x","n":1,"mixed":1,"ip":"10.0.0.1","o":{"p":{"q":null}},"flat.x":1}
{"@timestamp":"2024-01-31T12:00:00Z","s":"1.2.3.4","n":1.5,"mixed":"a","ip":["::1",null],"b":true,"l":[{"m":1}],"when":"2024-01-31"}
`, &Schema{Fields: map[string]Field{"n": {Type: TypeVersion}, "declared": {Type: TypeIP}}})
	want := map[string]Field{
		"@timestamp": {Type: TypeDate, Soft: true}, "s": {Type: TypeString}, "n": {Type: TypeVersion}, "mixed": {},
		"ip": {Type: TypeIP, Soft: true}, "o": {Type: TypeObject}, "o.p": {Type: TypeObject}, "o.p.q": {},
		"b": {Type: TypeBool},
		"l": {Type: TypeObject}, "l.m": {Type: TypeNumber}, "when": {Type: TypeString}, "flat": {Type: TypeObject},
		"flat.x": {Type: TypeNumber}, "declared": {Type: TypeIP},
	}
	got := log.Schema()
	for path, f := range want {
		if g, ok := got.Lookup(path); !ok || g != f {
			t.Errorf("%s is %+v, %t, want %+v", path, g, ok, f)
		}
	}
	if len(got.Fields) != len(want) || !got.Closed {
		t.Errorf("the fields are %v, closed %t", got.Names(), got.Closed)
	}
	if open(t, "\n", nil).Schema().Closed {
		t.Error("the schema of no events is closed")
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		what, content, want string
		declared            *Schema
		timed               bool
	}{
		{"by time", `{"@timestamp":3,"id":"c"}
{"@timestamp":1,"id":"a"}

{"@timestamp":2,"id":"b"}`, "a b c", nil, true},
		{"by tie-break, null last", `{"timestamp":1,"id":"c"}
{"timestamp":1,"event.sequence":2,"id":"b"}
{"timestamp":1,"event":{"sequence":1},"id":"a"}`, "a b c", nil, true},
		{"input order", `{"id":"b"}` + "\r\n" + `{"id":"a"}`, "b a", nil, false},
		{"without a time with the one before", `{"@timestamp":5,"id":"c"}
{"id":"d"}
{"@timestamp":4,"id":"a"}
{"id":"b"}`, "a b c d", nil, true},
		{"declared fields", `{"@timestamp":1,"t":2,"k":7}
{"@timestamp":2,"t":1,"k":8}`, "8 7", &Schema{Timestamp: "t", ID: "k"}, true},
		{"line as id", `{"a":1}` + "\n\n" + `{"a":2,"id":null}`, "1 3", nil, false},
	} {
		log := open(t, c.content, c.declared)
		if got := ids(t, log); got != c.want || log.Timed() != c.timed {
			t.Errorf("%s: %s, timed %t, want %s", c.what, got, log.Timed(), c.want)
		}
		if again := ids(t, log); again != c.want {
			t.Errorf("%s: the second time %s", c.what, again)
		}
	}
}

func TestErrors(t *testing.T) {
	for content, want := range map[string]string{
		"{\"a\":1}\n[1]\n":               ":2: an event is a JSON object, found an array",
		"{\"a\":1}\nnull\n":              ":2: an event is a JSON object, found null",
		"{\"a\":":                        ":1: byte 6: the JSON text is cut",
		"\n\n{\"a\":1} x":                ":3: ",
		"{\"a\":1}{\"b\":1}":             ":1: byte 8: data behind the JSON text",
		"{\"@timestamp\":\"soon\"}":      ":1: @timestamp is no time: \"soon\"",
		"{\"a\":1}\n{\"@timestamp\":{}}": ":2: @timestamp is no time: {}",
	} {
		_, err := Open(write(t, content), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestLineBytesMax(t *testing.T) {
	const frame = len(`{"a":""}`)
	at := `{"a":"` + strings.Repeat("x", LineBytesMax-frame-1) + `"}` + "\n"
	log := open(t, at+at, nil)
	if got := ids(t, log); got != "1 2" {
		t.Errorf("events %s", got)
	}
	_, err := Open(write(t, "{}\n"+strings.Replace(at, "x", "xxx", 1)), nil)
	if err == nil || !strings.Contains(err.Error(), ":2: the event is longer than 16777216 bytes") {
		t.Errorf("a longer line: %v", err)
	}
}

func TestFieldsMax(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"a":{`)
	for i := range FieldsMax {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	b.WriteString(`"z":1}}`)
	if _, err := Open(write(t, b.String()), nil); err == nil || !strings.Contains(err.Error(), "different fields") {
		t.Errorf("too many fields: %v", err)
	}
}

func TestStream(t *testing.T) {
	const content = `{"id":"a"}` + "\n" + `{"id":"b"}`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, content)
	z.Close()
	for what, r := range map[string]*strings.Reader{
		"plain": strings.NewReader(content), "gzip": strings.NewReader(zipped.String()),
	} {
		log, err := Read("stdin", r, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := ids(t, log); got != "a b" {
			t.Errorf("%s: %s", what, got)
		}
		spool := log.file.(*os.File).Name()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(spool); err == nil {
			t.Errorf("%s is left behind", spool)
		}
	}
	if log := open(t, zipped.String(), nil); ids(t, log) != "a b" {
		t.Error("a compressed file gives other events")
	}
	if _,
		err := Read("stdin", strings.NewReader("{"), nil); err == nil || !strings.HasPrefix(err.Error(), "stdin:1: ") {
		t.Errorf("a cut stream: %v", err)
	}
}

// TestRecorded reads the recorded capture of the repository.
func TestRecorded(t *testing.T) {
	log, err := Read("capture", bytes.NewReader(testdata.Capture()), &Schema{ID: "process.entity_id"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if log.Len() < 1000 || !log.Timed() {
		t.Errorf("%d events, timed %t", log.Len(), log.Timed())
	}
	for path, want := range map[string]Type{
		"process.pid": TypeNumber, "destination.ip": TypeIP, "process.args": TypeString,
		"@timestamp": TypeDate, "user.id": TypeString, "file": TypeObject} {
		if f, ok := log.Schema().Lookup(path); !ok || f.Type != want || f.Soft {
			t.Errorf("%s is %+v, %t", path, f, ok)
		}
	}
	categories, last := map[string]int{}, int64(0)
	for e, err := range log.All() {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range e.Categories() {
			categories[c]++
		}
		if e.Time() < last {
			t.Fatalf("line %d comes before the one before it", e.Line())
		}
		last = e.Time()
		if !strings.HasPrefix(e.ID(), "0x") {
			t.Fatalf("the id of line %d is %s", e.Line(), e.ID())
		}
	}
	if categories["process"] == 0 || categories["file"] == 0 {
		t.Errorf("categories %v", categories)
	}
	if _, err := Read("capture", bytes.NewReader(testdata.Capture()[:1000]), nil); err == nil {
		t.Error("a cut log was read")
	}
}

func TestCategories(t *testing.T) {
	for raw, want := range map[string]string{
		`{"event":{"category":["a","b"]}}`: "[a b]", `{"event.category":"a","event_type":"b"}`: "[a]",
		`{"event_type":"b"}`: "[b]",
		`{}`:                 "[]", `{"event.category":null,"event_type":"b"}`: "[b]",
	} {
		e, err := New(&Schema{}, []byte(raw), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.Categories()); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
