package ecsjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/proc"
)

// readAll reads lines and gives each event as AppendJSON writes it, as a map, and the errors.
func readAll(t testing.TB, input string) (events []map[string]any, lines []string, errs []string, r *Reader) {
	t.Helper()
	tab, err := proc.New(proc.Config{Entries: 4, LimboBlocks: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	r = NewReader(strings.NewReader(input))
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return events, lines, errs, r
		}
		if err != nil {
			errs = append(errs, err.Error())
			if _, ok := errors.AsType[*LineError](err); !ok {
				return events, lines, errs, r
			}
			continue
		}
		if e := event.Check(rec); e != event.ErrNone {
			t.Fatalf("a bad record: %v", e)
		}
		var ev event.Event
		if tab.Apply(rec, &ev) {
			line := AppendJSON(nil, &ev)
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			events, lines = append(events, m), append(lines, string(line))
		}
		tab.Release()
	}
}

func one(t testing.TB, input string) map[string]any {
	t.Helper()
	events, _, errs, _ := readAll(t, input)
	if len(events) != 1 || len(errs) != 0 {
		t.Fatalf("%s: %d events, %v", input, len(events), errs)
	}
	return events[0]
}

// TestTypes: the type and the strings of every way to say what an event is. "-" is absent.
func TestTypes(t *testing.T) {
	cases := []struct {
		in                      string
		typ                     int
		category, types, action string
	}{
		{`"event_type_id":1001`, 1001, "process", "start exec", "exec"},
		{`"event_type":3004`, 3004, "file", "creation", "creation"},
		{`"event_type":"4001"`, 4001, "network", "start connection", "connection_attempted"},
		{`"event_type":"exec"`, 1001, "process", "start exec", "exec"},
		{`"event_type":"process_exec"`, 1001, "process", "start exec", "exec"},
		{`"event_type":"Process Fork"`, 1002, "process", "start fork", "fork"},
		{`"event_type":"file.create"`, 3004, "file", "creation", "creation"},
		{`"event_type":"network_bind"`, 4004, "network", "info", "listen"},
		{`"event_type":"network_exec"`, 0, "network_exec", "-", "-"},
		{`"event_type":"process"`, 0, "process", "-", "-"},
		{`"event_type":"file"`, 3001, "file", "-", "-"},
		{`"event_type":"dns"`, 5001, "dns", "-", "-"},
		{`"event_type":"process","event.action":"exec"`, 1001, "process", "start exec", "exec"},
		{`"event_type":"process","event.type":"exit"`, 1003, "process", "exit", "end"},
		{`"event.category":"process","event.type":"start","event.action":"exec"`, 1001, "process", "start", "exec"},
		{`"event.category":"process","event.type":["start"],"event.action":"executed"`, 1001, "process", "start", "executed"},
		{`"event.category":"process","event.type":"start"`, 1001, "process", "start", "-"},
		{`"event.category":["process"],"event.type":["start","fork"]`, 1002, "process", "start fork", "fork"},
		{`"event.category":"process","event.type":"end"`, 1003, "process", "end", "end"},
		{`"event.category":"process","event.action":"session_id_change","event.type":"change"`, 0, "process", "change", "session_id_change"},
		{`"event.category":"file","event.action":"rename"`, 3006, "file", "change", "rename"},
		{`"event.category":"file","event.type":"change","event.action":"touched"`, 3003, "file", "change", "touched"},
		{`"event.category":"file","event.action":"touched"`, 3001, "file", "-", "touched"},
		{`"event.category":"network","event.type":"end","event.action":"disconnect_received"`, 4001, "network", "end", "disconnect_received"},
		{`"event.category":["network","dns"],"event.action":"lookup_result"`, 5001, "network", "-", "lookup_result"},
		{`"event.category":["intrusion_detection","file"],"event.type":"deletion"`, 3005, "file", "deletion", "deletion"},
		{`"event.category":"driver"`, 6008, "driver", "-", "-"},
		{`"event.category":"authentication","event.action":"ssh_login"`, 7001, "authentication", "-", "ssh_login"},
		{`"event.category":["session","process"],"event.type":"start"`, 7002, "session", "start", "-"},
		{`"event.category":"iam","event.type":["group","creation"]`, 7003, "iam", "group creation", "-"},
		{`"event.category":"configuration"`, 7004, "configuration", "-", "-"},
		{`"event.category":"process","event.type":"start","event.action":"load_module"`, 6004, "process", "start", "load_module"},
		{`"event.category":"registry","event.action":"set"`, 0, "registry", "-", "set"},
		{`"event.category":"any"`, 0, "any", "-", "-"},
		{`"event.action":"load_module"`, 6004, "process", "start", "load_module"},
		{`"event.action":"strange"`, 0, "-", "-", "strange"},
		{`"process.pid":1`, 0, "-", "-", "-"},
		{`"event_type_id":1001,"event.action":null,"event.type":null`, 1001, "process", "-", "-"},
		{`"event_type_id":1001,"event.category":null`, 1001, "-", "start exec", "exec"},
		{`"event_type_id":3001,"event.category":"configuration"`, 3001, "configuration", "access open", "open"},
		{`"event_type_id":1001,"event.action":"exec","event.type":["start","exec"]`, 1001, "process", "start exec", "exec"},
	}
	for _, c := range cases {
		m := one(t, "{"+c.in+"}")
		text := func(name string) string {
			switch x := m[name].(type) {
			case string:
				return x
			case []any:
				return strings.Trim(fmt.Sprint(x), "[]")
			}
			return "-"
		}
		got := fmt.Sprint(m["event_type_id"], "|", text("event.category"), "|", text("event.type"), "|", text("event.action"))
		if want := fmt.Sprint(c.typ, "|", c.category, "|", c.types, "|", c.action); got != want {
			t.Errorf("%s: %s, want %s", c.in, got, want)
		}
	}
}

func TestTypesNotKnown(t *testing.T) {
	for _, s := range []string{`"event_type_id":9999`, `"event_type_id":-1`, `"event_type_id":1102`, `"event_type_id":"x"`,
		`"event_type":1.5e9`, `"event_type_id":true`} {
		if events, _, errs, _ := readAll(t, "{"+s+"}"); len(events) != 0 || len(errs) != 1 || !strings.HasPrefix(errs[0], "line 1: event type ") {
			t.Errorf("%s: %d events, %v", s, len(events), errs)
		}
	}
}

// TestForms: the same event, written differently.
func TestForms(t *testing.T) {
	forms := []string{
		`{"@timestamp":"2024-01-01T00:00:00Z","event_type_id":1001,"process.pid":7,"process.executable":"/bin/a","process.args":["a","b c"],"process.parent.pid":6,"process.parent.name":"sh","user.id":"0"}`,
		`{"@timestamp":1704067200000,"event_type_id":1001,"process":{"pid":7,"executable":"/bin/a","name":"a","args":["a","b c"],"command_line":"a b c","parent":{"pid":6,"name":"sh"}},"user":{"id":0}}`,
		`{"timestamp_ns":1704067200000000000,"event_type_id":1001,"fields":{"process.pid":7,"process":{"executable":"/bin/a","parent.pid":6},"process.args":["a","b c"],"process.parent":{"name":"sh"},"user.id":"0"}}`,
		`{"timestamp":"2024-01-01 01:00:00+01:00","event_type":"exec","process.pid":"7","process.pid":7.0,"process.executable":["/bin/a"],"process.args":["a",null,"b c"],"process.parent.pid":6,"process.parent.name":"sh","user.id":"0","user.name":null}`,
	}
	_, want, _, _ := readAll(t, forms[0])
	for _, f := range forms[1:] {
		if _, got, errs, _ := readAll(t, f); len(got) != 1 || got[0] != want[0] {
			t.Errorf("%s\n gives %s\n want  %s\n%v", f, got, want, errs)
		}
	}
	for _, part := range []string{`"process.name":"a"`, `"process.command_line":"a b c"`, `"process.parent.name":"sh"`,
		`"@timestamp":"2024-01-01T00:00:00.000000000Z"`, `"user.id":"0"`, `"process.args":["a","b c"]`, `"process.parent.pid":6`} {
		if !strings.Contains(want[0], part) {
			t.Errorf("no %s in %s", part, want[0])
		}
	}
}

// TestOnlyWhatIsSaid: events of one pid do not lend each other facts.
func TestOnlyWhatIsSaid(t *testing.T) {
	events, _, errs, _ := readAll(t, `
{"event_type":"exec","process.pid":7,"process.executable":"/bin/a","process.working_directory":"/","process.parent.name":"sh","process.parent.pid":6,"host.name":"one"}
{"event_type":"create","process.pid":7,"file.path":"/tmp/x.txt"}
{"event_type":"create","process.pid":7,"file.path":"/tmp/x","process.name":"b","process.parent.executable":"/bin/zsh"}
{"event_type":"connect","process.name":"c","destination.ip":"::ffff:10.0.0.1"}
{"event_type":"connect","process.parent.name":"d"}
{"event_type":"exit","process.pid":7}
{"event_type":"create","file.path":"/y","process.entity_id":"{abc}","host.name":"two"}
{"event_type":"exec","user.id":1,"process.user.id":"0","process.name":"su"}
`)
	want := []string{
		`process.name=a process.executable=/bin/a process.working_directory=/ process.parent.name=sh host.name=one`,
		`file.path=/tmp/x.txt file.name=x.txt file.extension=txt`,
		`process.name=b process.parent.executable=/bin/zsh process.parent.name=zsh file.path=/tmp/x file.name=x`,
		`process.name=c destination.ip=10.0.0.1 network.type=ipv4`,
		`process.parent.name=d`,
		``,
		`file.path=/y file.name=y host.name=two`,
		`process.name=su user.id=1 process.user.id=0`,
	}
	if len(events) != len(want) || len(errs) != 0 {
		t.Fatalf("%d events, %v", len(events), errs)
	}
	for i, w := range want {
		m := events[i]
		for _, skip := range []string{"event_type_id", "event.type", "event.category", "event.action", "@timestamp", "host.os.type",
			"process.pid", "process.entity_id", "process.parent.pid", "process.parent.entity_id"} {
			if !strings.Contains(w, skip+"=") {
				delete(m, skip)
			}
		}
		for _, pair := range strings.Fields(w) {
			name, v, _ := strings.Cut(pair, "=")
			if fmt.Sprint(m[name]) != v {
				t.Errorf("event %d: %s is %v, want %s", i, name, m[name], v)
			}
			delete(m, name)
		}
		if len(m) != 0 {
			t.Errorf("event %d also has %v", i, m)
		}
	}
}

func TestEntities(t *testing.T) {
	events, _, _, _ := readAll(t, `
{"event_type":"exec","process.pid":7,"process.parent.pid":6}
{"event_type":"create","process.pid":7}
{"event_type":"exec","process.pid":6}
{"event_type":"exec","process.pid":8,"process.entity_id":"0x7f3a2b1c0d4e","process.parent.entity_id":"0xffffffffffffffff"}
{"event_type":"exec","process.entity_id":"MTIzNDU2","process.parent.pid":6}
{"event_type":"create","process.entity_id":"MTIzNDU2"}
{"event_type":"create","file.path":"/x"}
{"event_type":"create","process.pid":7,"host.id":"other"}
`)
	id := func(i int) any { return events[i]["process.entity_id"] }
	parent := func(i int) any { return events[i]["process.parent.entity_id"] }
	switch {
	case id(0) == nil || id(0) != id(1):
		t.Errorf("events of one pid are %v and %v", id(0), id(1))
	case parent(0) != id(2):
		t.Errorf("parent %v is %v", parent(0), id(2))
	case id(3) != "0x7f3a2b1c0d4e" || parent(3) != "0xffffffffffffffff":
		t.Errorf("own ids became %v and %v", id(3), parent(3))
	case id(4) == nil || id(4) != id(5) || id(4) == id(0):
		t.Errorf("foreign ids became %v and %v", id(4), id(5))
	case parent(4) != nil:
		t.Errorf("a parent of a pid beside a foreign id is %v", parent(4))
	case id(6) != nil:
		t.Errorf("an event of nobody is of %v", id(6))
	case id(7) == id(0) || id(7) == nil:
		t.Errorf("a pid of another host is %v", id(7))
	}
}

func TestTimes(t *testing.T) {
	const day = "2020-11-10T07:48:16"
	cases := map[string]string{
		`"@timestamp":"2020-11-10T07:48:16.155Z"`:                                       day + ".155000000Z",
		`"@timestamp":"2020-11-10T09:48:16.155+0200"`:                                   day + ".155000000Z",
		`"@timestamp":"2020-11-10T07:48:16"`:                                            day + ".000000000Z",
		`"@timestamp":"2020-11-10 07:48:16.5"`:                                          day + ".500000000Z",
		`"@timestamp":1604994496155`:                                                    day + ".155000000Z",
		`"timestamp":"1604994496155"`:                                                   day + ".155000000Z",
		`"timestamp":1604994496155000001`:                                               day + ".155000001Z",
		`"timestamp_ns":1604994496155000001`:                                            day + ".155000001Z",
		`"@timestamp":"2020-11-10T07:48:16.155Z","@timestamp_ns":"` + day + `.155931Z"`: day + ".155931000Z",
		`"@timestamp":0`:                                                                "1970-01-01T00:00:00.000000000Z",
		`"@timestamp":0.5`:                                                              "1970-01-01T00:00:00.000500000Z",
		`"@timestamp":null`:                                                             "1970-01-01T00:00:00.000000000Z",
		`"@timestamp":"2020-11-10"`:                                                     "2020-11-10T00:00:00.000000000Z",
	}
	for in, want := range cases {
		if got := one(t, `{"event_type":"exec",`+in+`}`)["@timestamp"]; got != want {
			t.Errorf("%s is %v, want %v", in, got, want)
		}
	}
	for _, in := range []string{`"@timestamp":-1`, `"@timestamp":"soon"`, `"@timestamp":"1969-01-01T00:00:00Z"`,
		`"@timestamp":"2300-01-01T00:00:00Z"`, `"timestamp_ns":"9e30"`, `"timestamp":true`} {
		if events, _, errs, _ := readAll(t, `{"event_type":"exec",`+in+`}`); len(events) != 0 || len(errs) != 1 || !strings.Contains(errs[0], "time ") {
			t.Errorf("%s: %v, %v", in, events, errs)
		}
	}
	events, _, _, _ := readAll(t, `{"event_type":"exec","@timestamp":5}`+"\n"+`{"event_type":"exec"}`)
	if events[1]["@timestamp"] != events[0]["@timestamp"] {
		t.Errorf("without a time: %v after %v", events[1]["@timestamp"], events[0]["@timestamp"])
	}
}

// TestBadLines: each is named, and the others are read.
func TestBadLines(t *testing.T) {
	deep := strings.Repeat(`{"a":`, DepthMax+1) + "1" + strings.Repeat("}", DepthMax+1)
	deepArray := `{"a":` + strings.Repeat(`[`, DepthMax+1) + strings.Repeat("]", DepthMax+1) + "}"
	input := "\xef\xbb\xbf" + `{"event_type":"exec"}

[1]
{"event_type":"exec"
{"event_type":"exec"} x
{"event_type":exec}
` + `{"a":"` + strings.Repeat("x", LineBytesMax) + `"}
` + deep + "\n" + deepArray + "\n" + `{"event_type":"exit"}` // no newline at the end
	events, _, errs, r := readAll(t, input)
	want := []string{"line 3: not a JSON object", "line 4: the JSON object is not closed", "line 5: something follows",
		"line 6: invalid character", fmt.Sprintf("line 7: longer than %d bytes", LineBytesMax),
		fmt.Sprintf("line 8: nested deeper than %d", DepthMax), fmt.Sprintf("line 9: nested deeper than %d", DepthMax)}
	if len(events) != 2 || len(errs) != len(want) || r.Lines() != 10 {
		t.Fatalf("%d events, %d lines, %q", len(events), r.Lines(), errs)
	}
	for i, w := range want {
		if !strings.HasPrefix(errs[i], w) {
			t.Errorf("%q, want %q", errs[i], w)
		}
	}
}

func TestLineLimit(t *testing.T) {
	line := func(n int) string {
		s := `{"event_type":"exec","x":"`
		return s + strings.Repeat("x", n-len(s)-2) + "\"}\r\n"
	}
	if events, _, errs, _ := readAll(t, line(LineBytesMax)+line(LineBytesMax+1)+line(100)); len(events) != 2 || len(errs) != 1 {
		t.Errorf("%d events, %v", len(events), errs)
	}
}

func TestBadLinesMax(t *testing.T) {
	_, _, errs, _ := readAll(t, strings.Repeat("x\n", BadLinesMax+5))
	if len(errs) != BadLinesMax+1 || !strings.HasPrefix(errs[BadLinesMax], fmt.Sprintf("%d bad lines", BadLinesMax)) {
		// The last of them says why, and then reading ends for good.
		t.Fatalf("%d errors, the last %q", len(errs), errs[len(errs)-1])
	}
}

func TestIgnored(t *testing.T) {
	_, _, errs, r := readAll(t, `
{"event_type":"create","zebra":1,"a":{"b":[{"c":1}]},"process.pid":-4,"user.id":"S-1-5","destination.port":5,"process.args":[["x"]]}
{"event_type":"connect","zebra":2,"destination.ip":"nowhere","process.args":["a\u0000b"],"host.os.type":"windows","process.interactive":"maybe"}
`)
	names, more := r.Ignored()
	got := fmt.Sprint(names, more, errs)
	want := "[{zebra unknown name 2} {a.b.c unknown name 1} {process.args unusable value 2} {process.pid unusable value 1} " +
		"{user.id unusable value 1} {destination.port not a field of such events 1} {host.os.type unusable value 1} " +
		"{process.interactive unusable value 1} {destination.ip unusable value 1}] 0 []"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	var many strings.Builder
	for i := range IgnoredMax + 10 {
		fmt.Fprintf(&many, `{"event_type":"exec","n%d":1}`+"\n", i)
	}
	_, _, _, r = readAll(t, many.String())
	if names, more := r.Ignored(); len(names) != IgnoredMax || more != 10 {
		t.Errorf("%d names and %d more", len(names), more)
	}
}

// TestLong: what is longer than a record is cut and flagged, arguments first.
func TestLong(t *testing.T) {
	long := strings.Repeat("x", 3*event.RecordSizeMax)
	r := NewReader(strings.NewReader(`{"event_type":"exec","process.args":["` + long + `"],"process.executable":"/bin/a","process.command_line":"` + long + `"}`))
	for {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if rec.Type().IsContext() {
			continue
		}
		if event.Check(rec) != event.ErrNone || len(rec) != event.RecordSizeMax {
			t.Fatalf("record of %d bytes: %v", len(rec), event.Check(rec))
		}
		exe, _ := rec.Bytes(event.SlotExecutable)
		if string(exe) != "/bin/a" || rec.Truncated(event.SlotExecutable) || !rec.Truncated(event.SlotArgs) {
			t.Fatal("not the arguments were cut")
		}
		return
	}
}

// TestCorpus: recordings of other tools are read whole, and what they say is what the events have.
func TestCorpus(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpus/datasets/*.ecs.ndjson")
	if len(files) == 0 {
		t.Skip("the corpus is not beside the tree")
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		events, lines, errs, _ := readAll(t, string(text))
		if len(errs) != 0 {
			t.Errorf("%s: %v", f, errs)
		}
		for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
			var want map[string]any
			if err := json.Unmarshal(line, &want); err != nil {
				t.Fatal(err)
			}
			for name, v := range want {
				fd := event.FieldByName(name)
				if fd == nil || fd.Kind == event.KindTime || fd.Kind == event.KindEntity || name == "event.type" {
					continue
				}
				if ty := event.Type(events[i]["event_type_id"].(float64)); !fd.ID.CarriedBy(event.ClassOf(ty)) {
					continue // counted as ignored
				}
				if fd.Kind == event.KindIP {
					v = netip.MustParseAddr(v.(string))
				}
				if got := events[i][name]; fmt.Sprint(got) != fmt.Sprint(v) {
					t.Errorf("%s: line %d: %s is %v, want %v", f, i+1, name, got, v)
				}
			}
			for name := range events[i] {
				fd := event.FieldByName(name)
				if _, said := want[name]; said || fd == nil || fd.Derive != event.DeriveNone {
					continue
				}
				switch name {
				case "user.id", "group.id", "process.user.id", "process.group.id":
					continue // of a process event they are the same
				}
				t.Errorf("%s: line %d has %s, which it does not say", f, i+1, name)
			}
		}
		again(t, lines)
	}
}

// again: what AppendJSON wrote reads as the same events.
func again(t testing.TB, lines []string) {
	t.Helper()
	_, got, errs, _ := readAll(t, strings.Join(lines, "\n"))
	if len(errs) != 0 || len(got) != len(lines) {
		t.Fatalf("%d events of %d, %v", len(got), len(lines), errs)
	}
	for i := range got {
		if got[i] != lines[i] {
			t.Fatalf("read again:\n%s\nwas\n%s", got[i], lines[i])
		}
	}
}
