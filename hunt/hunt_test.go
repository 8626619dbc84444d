package hunt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// record makes an event from `id time category name=value ..`, values as JSON or plain words.
func record(line string) string {
	words := strings.Fields(line)
	parts := []string{fmt.Sprintf(`"id":%q,"@timestamp":%s,"event_type":%q`, words[0], words[1], words[2])}
	for _, w := range words[3:] {
		name, v, _ := strings.Cut(w, "=")
		if !strings.ContainsAny(v[:1], `"[{0123456789-`) && v != "null" && v != "true" && v != "false" {
			v = fmt.Sprintf("%q", v)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", name, v))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func openLines(t testing.TB, lines string) *events.Log {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(record(line) + "\n")
		}
	}
	name := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := events.Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// run gives the ids of the matches, a comma between two, or the errors.
func run(log *events.Log, d eql.Dialect, query string, opt Options) string {
	q, diags := eql.Parse("", []byte(query), d)
	if diags.HasErrors() {
		return "error: " + diags.Err().Error()
	}
	h, diags := Compile(q, log.Schema(), opt)
	if h == nil {
		return "error: " + diags.Err().Error()
	}
	list, err := h.All(log.All())
	if err != nil {
		return "failed: " + err.Error()
	}
	var out []string
	for i := range list {
		ids, err := list[i].AppendIDs(nil)
		if err != nil {
			ids = list[i].AppendJSON(nil)
		}
		out = append(out, string(ids))
	}
	return strings.Join(out, ", ")
}

type huntCase struct{ query, want string }

func runAll(t *testing.T, d eql.Dialect, lines string, cases []huntCase) {
	t.Helper()
	log := openLines(t, lines)
	for _, c := range cases {
		got := run(log, d, c.query, Options{})
		if got != c.want && !(strings.HasPrefix(c.want, "error: ") && strings.Contains(got, c.want[len("error: "):])) {
			t.Errorf("%s: %s\nfound %s\nwant  %s", d, c.query, got, c.want)
		}
	}
}

func TestEvent(t *testing.T) {
	runAll(t, eql.Elastic, `
		b 2000 file path=/etc/passwd size=10
		a 1000 process name=bash pid=1
		c 3000 process name=sh pid=2`, []huntCase{
		{`process where true`, "a, c"}, {`any where true`, "a, b, c"}, {`any where size > 5`, "b"},
		{`file where pid == 1`, ""},
		{`any where true | head 2`, "a, b"}, {`any where true | tail 2`, "b, c"},
		{`any where true | tail 2 | head 1`, "b"},
		{`any where true | head 2 | tail 1`, "b"}, {`any where true | head 0`, ""}, {`any where true | tail 0`, ""},
		{`any where true | tail 9`, "a, b, c"},
		{`process where nmae == "x"`, "error: unknown field nmae (did you mean name?)"},
		{`process where ?nothing == null`, "a, c"}, {`any where @timestamp >= "1970-01-01T00:00:02Z"`, "b, c"},
		{`"process" where true`, "a, c"}, {`Process where true`, ""},
	})
	log := openLines(t, "a 1 x\nb 2 x\nc 3 x")
	if got := run(log, eql.Elastic, "any where true", Options{Limit: 2, Limited: true}); got != "a, b" {
		t.Errorf("with a limit of 2: %s", got)
	}
	if got := run(log, eql.Elastic, "any where true | tail 2", Options{Limit: 1, Limited: true}); got != "b" {
		t.Errorf("with a limit behind a pipe: %s", got)
	}
}

func TestSequence(t *testing.T) {
	runAll(t, eql.Elastic, `
		a 1000 process k=1 v=x
		b 2000 file k=1 v=y
		c 3000 process k=2 v=["x","z"]
		d 4000 file v=z
		e 5000 process k=1 v=x
		f 6000 file k=[1,2] v=y
		g 7000 network k=1`, []huntCase{
		{`sequence [process where true] [file where true]`, "a b, c d, e f"},
		{`sequence by k [process where true] [file where true]`, "a b, e f, c f"},
		{`sequence by k with maxspan=1s [process where true] [file where true]`, "a b, e f"},
		{`sequence by k with maxspan=999ms [process where true] [file where true]`, ""},
		{`sequence [process where true] by v [file where true] by v`, "c d"},
		{`sequence by ?k [process where true] [file where true]`, "a b, e f, c f"},
		{`sequence by k [process where true] [file where true] until [file where v == "y"]`, "a b, e f, c f"},
		{`sequence by k [process where true] [network where true] until [file where v == "y"]`, ""},
		{`sequence [any where true] [any where true] [any where true]`, "a b c, b c d, c d e, d e f, e f g"},
		{`sequence [any where true] with runs=3 [network where true]`, "d e f g"},
		{`sequence by k [process where true] [any where true] with runs=2`, "a b e, e f g"},
		{`sequence by k, v [process where true] [process where true]`, "a e"},
		{`sequence [process where true] [file where true] | tail 1`, "e f"},
		{`sequence [process where true]`, "error: at least 2 steps"},
		{`sequence [process where true] by k [file where true]`, "error: keys"},
	})
}

func TestMissing(t *testing.T) {
	const lines = `
		a 1000 start k=1
		m 2000 noise k=1
		b 3000 end k=1
		c 4000 start k=2
		n 4500 noise k=1
		d 5000 end k=2
		o 9000 noise k=2`
	runAll(t, eql.Elastic, lines, []huntCase{
		{`sequence with maxspan=10s [start where true] ![noise where true] [end where true]`, ""},
		{`sequence by k with maxspan=10s [start where true] ![noise where true] [end where true]`, "c -1 d"},
		{`sequence by k with maxspan=3499ms [start where true] [end where true] ![noise where true]`, "a b -1, c d -1"},
		{`sequence by k with maxspan=4s [start where true] [end where true] ![noise where true]`, "c d -1"},
		{`sequence by k with maxspan=5s [start where true] [end where true] ![noise where true]`, ""},
		{`sequence with maxspan=2s ![noise where true] [start where true] [end where true]`, "-1 a b, -1 c d"},
		{`sequence with maxspan=3s ![noise where true] [start where true] [end where true]`, "-1 a b"},
		{`sequence with maxspan=999ms ![noise where true] [end where true]`, "-1 b"},
		{`sequence with maxspan=400ms ![noise where true] [end where true]`, "-1 b, -1 d"},
		{`sequence with maxspan=1s ![noise where true] [end where true]`, ""},
		{`sequence with maxspan=4500ms ![noise where true] [end where true] ![noise where true]`, ""},
		{`sequence with maxspan=2s ![noise where true] [end where true] ![noise where true]`, "-1 b -1, -1 d -1"},
		{`sequence with maxspan=2500ms ![noise where true] [end where true] ![noise where true]`, "-1 d -1"},
		{`sequence by k with maxspan=9s [start where true] ![noise where true] with runs=2 [end where true]`, "c -1 -1 d"},
		{`sequence [start where true] ![noise where true]`, "error: maxspan"},
	})
	runAll(t, eql.Kestrel, lines, []huntCase{
		{`sequence with maxspan=10s [start where true] as s ![noise where k == s.k] [end where k == s.k]`, "c -1 d"},
		{`sequence with maxspan=10s [start where true] as s [end where k == s.k] ![noise where k == s.k]`, ""},
		{`sequence with maxspan=4s [start where true] as s [end where k == s.k] ![noise where k == s.k]`, "c d -1"},
		{`sequence with maxspan=4s ![noise where true] [start where true] as s [end where k == s.k]`, "-1 a b"},
	})
}

func TestNamedSteps(t *testing.T) {
	runAll(t, eql.Kestrel, `
		a 1 process pid=1
		b 2 process pid=2
		c 3 file pid=1
		d 4 file pid=2
		e 5 network pid=1
		f 6 file pid=2`, []huntCase{
		// Pending sequences stay side by side, and each is used once.
		{`sequence [process where true] as p [file where pid == p.pid]`, "a c, b d"},
		{`sequence [process where true] [file where true]`, "b c"},
		// The newest that fits is taken.
		{`sequence [process where true] as p [file where pid >= p.pid]`, "a c, b d"},
		{`sequence [process where true] as p [file where true] [network where pid == p.pid]`, "a d e"},
		{`sequence [process where true] as p [file where pid == p.pid] as q [network where q.pid == pid and p.pid == pid]`,
			"a c e"},
		{`sequence with maxspan=1ms [process where true] as p [file where pid == p.pid]`, ""},
		{`sequence [process where true] as p [file where pid == p.nothing]`, "error: unknown field p.nothing"},
		{`sequence [process where true] as p [file where q.pid == 1]`, "error: unknown field q.pid"},
		{`sequence [process where p.pid == 1] as p [file where true]`, "error: unknown field p.pid"},
	})
	var lines strings.Builder
	for i := range KeptStatesMax + 2 {
		fmt.Fprintf(&lines, "p%d %d process pid=%d\n", i, i, i)
	}
	runAll(t, eql.Kestrel, lines.String()+"x 90 file pid=1\ny 91 file pid=2\nz 92 file pid=17", []huntCase{
		{`sequence [process where true] as p [file where pid == p.pid]`, "p2 y, p17 z"},
	})
}

func TestSample(t *testing.T) {
	const lines = `
		a 1 x host=h1 os=l
		b 2 y host=h1
		c 3 x host=h2 os=l
		d 4 x host=h1 os=w
		e 5 y host=h2 os=l
		f 6 y host=h1`
	runAll(t, eql.Elastic, lines, []huntCase{
		{`sample by host [x where true] [y where true]`, "a b, c e"},
		{`sample by host [y where true] [x where true]`, "b a, e c"},
		{`sample by host [x where true] [x where true]`, "a d"},
		{`sample by host [any where true] [any where true] [any where true]`, "a b d"},
		{`sample by host, ?os [any where true] [any where true]`, "b f, c e"},
		{`sample by host, os [any where true] [any where true]`, "c e"},
		{`sample by host [x where true] [y where true] | tail 1`, "c e"},
		{`sample [x where true] [y where true]`, "error: key"},
	})
	log := openLines(t, lines)
	got := run(log, eql.Elastic, `sample by host [x where true] [y where true]`, Options{SamplesPerKey: 3})
	if got != "a b, a f, d b, c e" {
		t.Errorf("three samples a key: %s", got)
	}
}

func TestJoin(t *testing.T) {
	runAll(t, eql.Endgame, `
		a 1 file k=1
		b 2 process k=1
		c 3 file k=2
		d 4 end k=2
		e 5 process k=2
		f 6 process k=2
		g 7 file k=2
		h 8 file K=2`, []huntCase{
		{`join by k [process where true] [file where true]`, "b a, e c, f g"},
		{`join by k [process where true] [file where true] until [end where true]`, "b a, e g"},
		{`join [process where true] [end where true]`, "b d"},
		{`join by k * 2, string(k) [process where true] [file where true] | head 1`, "b a"},
		{`join [file where true] by k [process where true] by k | tail 1`, "g f"},
		{`JOIN by k [process where true] [file where true]`, "error: "},
	})
}

func TestPipes(t *testing.T) {
	runAll(t, eql.Endgame, `
		a 1 process name=sh n=3
		b 2 process name=Bash n=1
		c 3 process name=SH n=2
		d 4 process name=cat
		e 5 process name=bash n=1`, []huntCase{
		{`process where true | unique name`, "a, b, d"}, {`process where true | unique name n`, "a, b, c, d"},
		{`process where true | sort n`, "d, b, e, c, a"}, {`process where true | sort name, n`, "b, e, d, c, a"},
		{`process where true | sort name | head 2`, "b, e"}, {`process where true | unique_count name`, "a, b, d"},
		{`process where true | unique_count name | filter count == 1`, "d"},
		{`process where true | unique_count name | filter percent >= .4 | tail 1`, "b"},
		{`process where true | count`, `{"count":5,"key":"totals"}`},
		{`process where true | count name | filter count > 1`, `{"count":2,"key":"Bash","percent":0.4}, ` +
			`{"count":2,"key":"sh","percent":0.4}`},
		{`process where true | count name, n | head 1`, `{"count":1,"key":["SH",2],"percent":0.2}`},
		{`process where true | filter n > 1`, "a, c"}, {`process where true | head`, "a, b, c, d, e"},
		{`process where true | unique length(name)`, "a, b, d"},
		{`sequence [process where true] [process where true] | filter events[1].n == 2`, "b c"},
		{`sequence [process where true] [process where true] | filter n == 2`, "c d"},
		{`sequence [process where true] [process where true] | unique events[0].name events[9].name`, "a b, b c, d e"},
		{`process where true | sort 1`, "error: not a constant"},
		{`process where true | unique`, "error: at least one value"},
		{`process where true | filter a b`, "error: one condition"}, {`process where true | head -1`, "error: "},
	})
}

func TestLineage(t *testing.T) {
	const endgame = `
		a 1 process unique_pid=1 opcode=1 name=init
		b 2 process unique_pid=2 unique_ppid=1 opcode=1 name=shell
		c 3 process unique_pid=3 unique_ppid=2 opcode=1 name=cat
		d 4 file unique_pid=3 path=x
		e 5 process unique_pid=3 unique_ppid=2 opcode=2 name=cat
		f 6 process unique_pid=4 unique_ppid=3 opcode=1 name=late
		g 7 file path=y`
	runAll(t, eql.Endgame, endgame, []huntCase{
		{`any where event of [process where name == "shell"]`, "b"},
		{`any where child of [process where name == "shell"]`, "c, d, e"},
		{`any where descendant of [process where name == "init"]`, "b, c, d, e, f"},
		{`process where descendant of [file where path == "x"]`, "f"},
		{`file where child of [process where child of [process where name == "init"]]`, "d"},
		{`any where not descendant of [process where name == "init"]`, "a, g"},
		{`sequence by unique_pid [process where child of [process where name == "shell"]] [file where true]`, "c d"},
	})
	// Numbers of the system name another process after the end of the first.
	runAll(t, eql.Kestrel, `
		a 1 process process.pid=7 process.parent.pid=1 process.name=bad event.type=start
		b 2 process process.pid=8 process.parent.pid=7 process.name=kid event.type=["start"]
		c 3 process process.pid=7 process.parent.pid=1 process.name=bad event.type=["end"]
		d 4 process process.pid=7 process.parent.pid=1 process.name=good event.type=start
		e 5 process process.pid=9 process.parent.pid=7 process.name=kid event.type=start
		f 6 file process.pid=8`, []huntCase{
		{`any where child of [process where process.name == "bad"]`, "b, f"},
		{`any where event of [process where process.name == "bad"]`, "c"},
		{`any where descendant of [any where true]`, "b, e, f"},
		{`sequence [process where process.name == "kid"] as k ` +
			`[any where process.pid == k.process.pid and child of [any where true]]`, "b f"},
		{`any where arraySearch(event.type, $t, $t == "start" and child of [any where process.name == "bad"])`, "b"},
		{`any where arraySearch(event.type, $t, child of [any where $t == "start"])`, "error: unknown global $t"},
		{`any where true | filter child of [any where true]`, "error: cannot stand here"},
	})
}

func TestJSON(t *testing.T) {
	log := openLines(t, "a 1 x k=1\nb 2 y k=1")
	const query = `sequence by k with maxspan=1s [x where true] ![z where true] [y where true]`
	q, _ := eql.Parse("", []byte(query), eql.Elastic)
	h, diags := Compile(q, log.Schema(), Options{})
	if h == nil {
		t.Fatal(diags)
	}
	list, err := h.All(log.All())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d matches, %v", len(list), err)
	}
	const want = `{"events":[{"id":"a","@timestamp":1,"event_type":"x","k":1},null,` +
		`{"id":"b","@timestamp":2,"event_type":"y","k":1}],"join_keys":[1]}`
	if got := string(list[0].AppendJSON(nil)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestErrors: what goes wrong in the middle of a run ends it.
func TestErrors(t *testing.T) {
	log := openLines(t, "a 1 x k=1\nb 2 x k=1")
	q, _ := eql.Parse("", []byte(`x where true`), eql.Elastic)
	h, _ := Compile(q, log.Schema(), Options{})
	bad := errors.New("no more")
	if err := h.Run(log.All(), func(Match) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("an error of the receiver became %v", err)
	}
	in := func(yield func(*events.Event, error) bool) { yield(nil, bad) }
	if _, err := h.All(in); !errors.Is(err, bad) {
		t.Errorf("an error of the input became %v", err)
	}
	keys := make([]string, 300)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	list := "[" + strings.Join(keys, ",") + "]"
	log = openLines(t, "a 1 x k="+list+" l="+list)
	got := run(log, eql.Elastic, `sequence by k, l [x where true] [x where true]`, Options{})
	if !strings.Contains(got, "failed: ") {
		t.Errorf("300 * 300 join keys gave %s", got)
	}
}

func TestLimits(t *testing.T) {
	log := openLines(t, "a 1 x")
	steps := func(n int) string { return "sequence [x where true] as s" + strings.Repeat(" [x where true]", n-1) }
	for query, want := range map[string]string{
		steps(StepsMax): "", steps(StepsMax + 1): "steps",
		"any where " + strings.Repeat("(", 10_000) + "true": "nested too deeply",
		"any where " + strings.Repeat("true or ", 200_000):  "too large",
	} {
		got := run(log, eql.Kestrel, query, Options{})
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("a query of %d bytes gave %.100s, want %s", len(query), got, want)
		}
	}
}

func TestExpression(t *testing.T) {
	for text, want := range map[string]string{
		"1 + 2": "3", `concat("a", 1.0)`: `"a1.0"`, "field": "null", "null": "null",
	} {
		v, diags, err := Expression("", text, eql.Elastic, Options{})
		if got := string(v.AppendJSON(nil)); got != want || err != nil || diags.HasErrors() {
			t.Errorf("%s is %s, want %s (%v, %v)", text, got, want, err, diags)
		}
	}
	for _, text := range []string{"", "1 +", "length()", "a b"} {
		if _, diags, _ := Expression("", text, eql.Elastic, Options{}); !diags.HasErrors() {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestKeyTexts(t *testing.T) {
	plain, kestrel := keyRules{}, keyRules{numeric: true}
	for _, c := range []struct {
		rules keyRules
		a, b  value.Value
		same  bool
	}{
		{plain, value.Int(1), value.Float(1), true}, {plain, value.Int(1), value.String("1"), false},
		{kestrel, value.Int(1), value.String("1"), true}, {kestrel, value.Int(1), value.String("01"), false},
		{plain, value.Null, value.String(""), false}, {plain, value.IP("::ffff:1.2.3.4"), value.IP("1.2.3.4"), true},
		{plain, value.IP("1.2.3.4"), value.String("1.2.3.4"), true},
		{plain, value.String("a"), value.String("A"), false},
		{keyRules{fold: true}, value.String("a"), value.String("A"), true},
		{plain, value.Bool(true), value.String("true"), false},
		{plain, value.Date(1), value.Int(1), false}, {plain, value.Version("1"), value.String("1"), true},
	} {
		if got := c.rules.text(c.a) == c.rules.text(c.b); got != c.same {
			t.Errorf("%+v: %s %s and %s %s: %t", c.rules, c.a.Kind(), c.a.Text(), c.b.Kind(), c.b.Text(), got)
		}
	}
}
