package value

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]Value{
		" null ": Null, "true": Bool(true), "false": Bool(false), "0": Int(0), "-0": Int(0), "12": Int(12),
		"9223372036854775807": Int(math.MaxInt64), "9223372036854775808": Float(1 << 63), "1.5e3": Float(1500),
		"1e-2":  Float(.01),
		"1e999": Null, `"a"`: String("a"), `"\"\\\/\b\f\n\r\t"`: String("\"\\/\b\f\n\r\t"),
		`"\u00e9\ud83d\ude00"`: String("é😀"),
		`"\ud83d"`:             String("\ufffd"), `"\ud83dx\ude00"`: String("\ufffdx\ufffd"),
		"\"\xff\xfe\"": String("\ufffd\ufffd"),
		"\"é\xff\\n\"": String("é\ufffd\n"), `""`: String(""),
	} {
		if got, err := Parse(s); got != want || err != nil {
			t.Errorf("%q is %s %s, %v", s, got.Kind(), got.Text(), err)
		}
	}
	for s, want := range map[string]string{
		"": "byte 1: the JSON text is cut", "{": "byte 2: the JSON text is cut", `{"a"`: "cut", `{"a":1`: "cut",
		"[1,": "cut", `"a`: "cut",
		`"\`: "cut", "nul": "byte 1: expected a value", "+1": "expected a value", "01": "byte 2: data behind",
		"1.": "cut", "1.x": "digit",
		"1e": "cut", "1ex": "exponent", "-": "cut", "-x": "expected a digit", "[1 2]": "byte 4: expected `,` or `]`",
		"{a:1}":   "name in quotes",
		`{"a" 1}`: "expected `:`", `{"a":1 "b":2}`: "expected `,` or `}`", `{"a":1,}`: "name in quotes",
		"[1,]":   "expected a value",
		"\"\n\"": "control character", "\"\\n\n\"": "control character", `"\x"`: "unknown escape",
		`"\u12g4"`: "unknown escape",
		"1 1":      "data behind", strings.Repeat("[", DepthMax+2): "nested deeper than 1000 levels",
	} {
		if got, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q is %s, %v, want %s", s, got.Text(), err, want)
		}
	}
	deep := strings.Repeat("[", DepthMax) + strings.Repeat("]", DepthMax)
	if _, err := Parse(deep); err != nil {
		t.Errorf("%d levels: %v", DepthMax, err)
	}
	v, err := Parse(`{"a":1,"b":2,"a":3}`)
	if a, ok := v.Member("a"); err != nil || !ok || a != Int(3) {
		t.Errorf("of two members of one name the value is %s, %v", a.Text(), err)
	}
	if _, ok := v.Member("c"); ok {
		t.Error("a member that is not there was found")
	}
}

// FuzzParse compares with encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e3,"x\u00e9\n",null,true,{"b":{}}],"c":"\ud83d\ude00"}`, "\"\xff\"", "[1,", " 0 ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Parse(s)
		if err == nil != json.Valid([]byte(s)) {
			if err != nil && strings.Contains(err.Error(), "nested") {
				return
			}
			t.Fatalf("%q: %v, valid %t", s, err, err != nil)
		}
		if err != nil || strings.ContainsAny(s, "eE") && json.Unmarshal([]byte(s), new(any)) != nil {
			return // a number beyond floats is null here
		}
		var want, got any
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			return
		}
		text := v.AppendJSON(nil)
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %s, want %v (%v)", s, text, want, err)
		}
	})
}
