package sink

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

// want is the JSON form built the slow way.
func want(a alert.Alert) map[string]any {
	text := func(b []byte) string {
		out := ""
		for len(b) > 0 { // one U+FFFD for each byte that is none, as encoding/json has it
			r, n := utf8.DecodeRune(b)
			out += string(r)
			b = b[n:]
		}
		return out
	}
	number := func(v int64) json.Number { return json.Number(strconv.FormatInt(v, 10)) }
	events := []any{}
	cut := map[event.FieldID]bool{}
	for it := a.Events(); ; {
		e, ok := it.Next()
		if !ok {
			break
		}
		fields := map[string]any{}
		for fi := e.Fields(); ; {
			f, ok := fi.Next()
			if !ok {
				break
			}
			if f.Truncated {
				cut[f.ID] = true
			}
			var v any
			switch f.Kind {
			case event.KindString:
				v = text(f.Value)
			case event.KindStrings:
				list := []any{}
				for _, s := range bytes.Split(f.Value, []byte{0}) {
					list = append(list, text(s))
				}
				v = list
			case event.KindIP:
				addr, _ := netip.AddrFromSlice(f.Value)
				v = addr.String()
			case event.KindID:
				v = strconv.FormatInt(f.Int(), 10)
			case event.KindEntity:
				v = "0x" + strconv.FormatUint(uint64(f.Int()), 16)
			case event.KindBool:
				v = f.Int() != 0
			default:
				v = number(f.Int())
			}
			fields[event.FieldByID(f.ID).Name] = v
		}
		events = append(events, map[string]any{"event_type_id": number(int64(e.Type())), "timestamp_ns": number(e.Wall()), "fields": fields})
	}
	context := map[string]any{"entity_key": "0x" + strconv.FormatUint(a.Entity(), 16), "action": a.Action().String(), "ruleset": text(a.Ruleset())}
	truncated := []any{}
	for _, f := range event.Fields {
		if cut[f.ID] {
			truncated = append(truncated, f.Name)
		}
	}
	if a.Flags()&alert.FlagCut != 0 && len(truncated) == 0 {
		truncated = append(truncated, "values")
	}
	evicted := []any{}
	for _, x := range []struct {
		list *[]any
		flag uint32
		word string
	}{{&truncated, alert.FlagFieldsOmitted, "fields"}, {&truncated, alert.FlagEventsOmitted, "events"},
		{&evicted, alert.FlagEvidenceEvicted, "evidence"}, {&evicted, alert.FlagStateEvicted, "states"}, {&evicted, alert.FlagBound, "bound"}} {
		if a.Flags()&x.flag != 0 {
			*x.list = append(*x.list, x.word)
		}
	}
	if len(truncated) > 0 {
		context["truncated"] = truncated
	}
	if len(evicted) > 0 {
		context["evicted"] = evicted
	}
	if n := a.Omitted(); n > 0 {
		context["omitted_events"] = number(int64(n))
	}
	if n := a.Suppressed(); n > 0 {
		context["suppressed"] = number(int64(n))
	}
	return map[string]any{"id": "dead000000000000000000000000000f", "rule_id": text(a.RuleID()), "rule_name": text(a.RuleName()),
		"severity": a.Severity().String(), "title": text(a.Title()), "timestamp_ns": number(a.Wall()), "events": events, "context": context}
}

func TestJSON(t *testing.T) {
	short := newAlert(alert.Head{}, strings.Repeat("n", alert.RuleNameBytesMax+1)).end()
	for i, a := range append(all(), newAlert(alert.Head{}, "").end(), short) {
		if code := alert.Check(a); code != alert.ErrNone {
			t.Fatal(code)
		}
		line := AppendJSON(nil, a)
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var got map[string]any
		if err := d.Decode(&got); err != nil {
			t.Fatalf("alert %d: %v in %s", i, err, line)
		}
		if w := want(a); !reflect.DeepEqual(got, w) {
			t.Errorf("alert %d:\n got %v\nwant %v", i, got, w)
		}
		if !utf8.Valid(line) || bytes.IndexFunc(line, unicode.IsControl) >= 0 {
			t.Errorf("alert %d: not fit for a terminal: %q", i, line)
		}
		if max := jsonBytesOverhead + jsonBytesFactor*len(a); len(line) >= max {
			t.Errorf("alert %d: %d bytes, room for %d", i, len(line), max)
		}
	}
}

func TestJSONGolden(t *testing.T) {
	var got []byte
	for _, a := range []alert.Alert{execAlert(), sequenceAlert(), nastyAlert()} {
		got = append(AppendJSON(got, a), '\n')
	}
	golden(t, "testdata/alerts.json", got)
}

// The densest alert there can be: every field of every event is there, and empty.
func TestJSONBoundOfEmptyValues(t *testing.T) {
	e := make([]byte, 40)
	for id := range 1000 { // ids beyond the schema are as long as names come
		name := ""
		if id < event.FieldsMax {
			name = fieldNames[id]
		}
		if name == "" && id < event.FieldsMax {
			continue
		}
		e = append(e, byte(id), byte(id>>8), byte(event.KindString), alert.FieldTruncated, 0, 0, 0, 0)
		e[32]++
		if e[32] == 0 {
			e[33]++
		}
	}
	e[0], e[1], e[6] = byte(len(e)), byte(len(e)>>8), alert.EvidenceCut
	x := newAlert(alert.Head{}, "")
	for range alert.SizeMax / 40 {
		x.b.Evidence(e)
	}
	a := x.end()
	if code := alert.Check(a); code != alert.ErrNone {
		t.Fatal(code)
	}
	line := AppendJSON(nil, a)
	if max := jsonBytesOverhead + jsonBytesFactor*len(a); !json.Valid(line) || len(line) >= max || len(line) < max/4 {
		t.Errorf("%d bytes of JSON of an alert of %d, room for %d", len(line), len(a), max)
	}
	if line = AppendLine(nil, a, false); len(line) > lineBytesMax {
		t.Errorf("%d bytes (max %d)", len(line), lineBytesMax)
	}
}

// Fields of a schema newer than ours are shown by their number, whatever their kind is.
func TestJSONUnknownField(t *testing.T) {
	a := bytes.Clone(execAlert())
	at := bytes.LastIndex(a, []byte("gateway-7")) - 8
	a[at], a[at+1] = 0x39, 0x30
	if code := alert.Check(a); code != alert.ErrNone {
		t.Fatal(code)
	}
	if line := AppendJSON(nil, a); !bytes.Contains(line, []byte(`,"field.12345":"gateway-7"}`)) {
		t.Errorf("%s", line)
	}
}

func TestLineGolden(t *testing.T) {
	var got []byte
	for _, a := range append(all()[:4], newAlert(alert.Head{}, "Without events").end()) {
		got = AppendLine(got, a, false)
	}
	golden(t, "testdata/alerts.txt", got)
}

// No line has a control character that is not ours, and every line fits the room the sinks give it.
func TestLineIsHarmless(t *testing.T) {
	many := newAlert(alert.Head{}, "Many")
	for range lineStepsMax + 1 {
		many.event(process("/bin/x", "x"))
	}
	for i, a := range append(all(), many.end()) {
		line := AppendLine(nil, a, false)
		if len(line) > lineBytesMax {
			t.Errorf("alert %d: %d bytes (max %d)", i, len(line), lineBytesMax)
		}
		if !utf8.Valid(line) {
			t.Errorf("alert %d: not UTF-8: %q", i, line)
		}
		for _, r := range strings.ReplaceAll(string(line), "\n    ", "") {
			if !strconv.IsPrint(r) && r != '\n' {
				t.Errorf("alert %d: %U in %q", i, r, line)
			}
		}
		if n := bytes.Count(line, []byte("\n")); n > 2+lineStepsMax {
			t.Errorf("alert %d: %d lines", i, n)
		}
		colour := string(AppendLine(nil, a, true))
		if plain := stripColour.Replace(colour); plain != string(line) || plain == colour {
			t.Errorf("alert %d: the colours are not all that differs:\n%q\n%q", i, plain, line)
		}
	}
}

var stripColour = strings.NewReplacer(sgrReset, "", sgrBold, "", sgrDim, "", sgrSeverity[0], "", sgrSeverity[1], "", sgrSeverity[2], "", sgrSeverity[3], "")

func TestIP(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "1::", "2001:db8::1", "2001:0:0:1::1", "1:0:0:2::",
		"0:1::", "::1:0:0:0:1", "1:2:3:4:5:6:7:8", "1:0:3:4:5:6:7:8", "0:2:3:4:5:6:7:0", "::ffff:10.1.2.3", "fe80::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6::"} {
		addr := netip.MustParseAddr(s)
		if got, want := string(appendIP(nil, addr.AsSlice())), addr.String(); got != want {
			t.Errorf("%s is written as %s", want, got)
		}
	}
	for i := range 1 << 16 { // every pattern of zero groups, twice
		var b [16]byte
		for g := range 8 {
			b[2*g+1] = byte(i >> g & 1)
			b[2*g] = byte(i>>(8+g)&1) * byte(i>>g&1) * 0xab
		}
		if got, want := string(appendIP(nil, b[:])), netip.AddrFrom16(b).String(); got != want {
			t.Fatalf("%s is written as %s", want, got)
		}
	}
}

func TestRenderDoesNotAllocate(t *testing.T) {
	alerts := all()
	buf := make([]byte, 0, BufferBytesMin)
	if n := mallocs.Least(func() {
		for range 200 {
			for _, a := range alerts {
				AppendJSON(buf, a)
				AppendLine(buf, a, true)
			}
		}
	}); n != 0 {
		t.Errorf("%d allocations", n)
	}
}

func BenchmarkJSON(b *testing.B) {
	a, buf := execAlert(), make([]byte, 0, BufferBytesMin)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(AppendJSON(buf, a))))
	}
}

func BenchmarkLine(b *testing.B) {
	a, buf := sequenceAlert(), make([]byte, 0, BufferBytesMin)
	b.ReportAllocs()
	for b.Loop() {
		AppendLine(buf, a, true)
	}
}
