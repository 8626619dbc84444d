package explain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/rules"
	"github.com/kestrel-detection/kestrel/rules/explain"
)

// load compiles queries, named r0, r1, and so on.
func load(t testing.TB, queries ...string) []ir.Rule {
	t.Helper()
	fsys := fstest.MapFS{}
	for i, q := range queries {
		fsys[fmt.Sprintf("r%d.eql", i)] = &fstest.MapFile{Data: []byte(q)}
	}
	p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return p.Set.Rules
}

// each completes events, given as JSON lines, and numbers them from 1.
func each(t testing.TB, lines string, f func(*event.Event)) {
	t.Helper()
	table, err := proc.New(proc.Config{Entries: 256, LimboBlocks: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	log := ecsjson.NewReader(strings.NewReader(lines))
	for id := uint64(0); ; {
		table.Release()
		rec, err := log.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var ev event.Event
		if table.Apply(rec, &ev) {
			id++
			rec.SetID(id)
			f(&ev)
		}
	}
}

// at is an event as a JSON line: seconds, type, process, and more fields.
func at(s int, typ string, process int, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"@timestamp":%q,"event_type":%q,"process.pid":%d,"process.entity_id":"0x%x"%s}`+"\n",
		time.Unix(int64(1_700_000_000+s), 0).UTC().Format(time.RFC3339), typ, process, process, more)
}

// said is what a report says of sequences and alerts, a line each.
func said(r *explain.Report) (list []string) {
	for _, c := range r.Changes {
		text := fmt.Sprintf("%s %s %v", c.What, c.Place, c.Events)
		if c.Note != "" {
			text += " (" + c.Note + ")"
		}
		list = append(list, text)
	}
	for _, a := range r.Alerts {
		text := fmt.Sprintf("alert %v", a.Events)
		if a.Suppressed {
			text += " suppressed"
		}
		list = append(list, text)
	}
	return list
}

const (
	pair = `sequence by process.entity_id with maxspan=10s
  [process where event.action == "exec" and process.name == "a"]
  [file where file.path == "/x"]
until [process where event.action == "end"]`
	runs = `sequence by process.entity_id
  [process where event.action == "exec"] with runs=3
  [file where true]`
	between = `sequence by process.entity_id with maxspan=10s
  [process where event.action == "exec"]
  ![file where true]
  [network where true]`
	trailing = `sequence by process.entity_id with maxspan=10s
  [process where event.action == "exec"]
  ![file where true]`
	later = `sequence by process.entity_id with maxspan=1m
  [process where event.action == "exec"] as first
  [file where file.name == first.process.name]`
)

// TestSequences: what becomes of a sequence, event by event.
func TestSequences(t *testing.T) {
	a := `"process.name":"a"`
	x := `"file.path":"/x"`
	for _, c := range []struct {
		name, query, events string
		want                []string // by event, then at the end; several lines are joined by |
	}{
		{"completes", pair, at(0, "exec", 1, a) + at(1, "open", 1, x), []string{"started step 1 of 2 [1]", "alert [1 2]", ""}},
		{"replaced", pair, at(0, "exec", 1, a) + at(1, "exec", 1, a), []string{"started step 1 of 2 [1]",
			"started step 1 of 2 [2] (in the place of events [1])", ""}},
		{"keys are apart", pair, at(0, "exec", 1, a) + at(1, "exec", 2, a) + at(2, "open", 2, x) + at(3, "open", 1, x),
			[]string{"started step 1 of 2 [1]", "started step 1 of 2 [2]", "alert [2 3]", "alert [1 4]", ""}},
		{"expires", pair, at(0, "exec", 1, a) + at(10, "exec", 2, "") + at(11, "open", 1, x), []string{"started step 1 of 2 [1]", "",
			"expired step 1 of 2 [1]", ""}},
		{"cleared", pair, at(0, "exec", 1, a) + at(1, "exit", 2, "") + at(2, "exit", 1, ""), []string{"started step 1 of 2 [1]", "",
			"cleared step 1 of 2 [1] (by until)", ""}},
		{"runs", runs, at(0, "exec", 1, "") + at(1, "exec", 1, "") + at(2, "exec", 1, "") + at(3, "open", 1, x), []string{
			"started step 1 of 2, event 1 of 3 [1]",
			"advanced step 1 of 2, event 2 of 3 [1 2]|started step 1 of 2, event 1 of 3 [2]",
			"advanced step 1 of 2, event 3 of 3 [1 2 3]|advanced step 1 of 2, event 2 of 3 [2 3]|started step 1 of 2, event 1 of 3 [3]",
			"alert [1 2 3 4]", ""}},
		{"missing", between, at(0, "exec", 1, "") + at(1, "connect", 1, ""), []string{"started step 1 of 3 [1]", "alert [1 2]", ""}},
		{"missing is there", between, at(0, "exec", 1, "") + at(1, "open", 1, x) + at(2, "connect", 1, ""), []string{
			"started step 1 of 3 [1]", "broken step 1 of 3 [1] (event 2 fits step 2, which must be missing)",
			"dropped step 1 of 3 [1] (event 2 fits step 2, which must be missing)", ""}},
		{"trailing", trailing, at(0, "exec", 1, "") + at(1, "open", 2, x), []string{"started step 1 of 2 [1]", "", "alert [1]"}},
		{"trailing, by an event", trailing, at(0, "exec", 1, "") + at(11, "open", 2, x), []string{"started step 1 of 2 [1]", "alert [1]", ""}},
		{"trailing is there", trailing, at(0, "exec", 1, "") + at(1, "open", 1, x) + at(12, "exec", 2, ""), []string{
			"started step 1 of 2 [1]", "broken step 1 of 2 [1] (event 2 fits step 2, which must be missing)",
			"dropped step 1 of 2 [1] (an event fitted a step that must be missing)|started step 1 of 2 [3]", "alert [3]"}},
		{"side by side", later, at(0, "exec", 1, a) + at(1, "exec", 1, `"process.name":"b"`) + at(2, "open", 1, `"file.path":"/a"`),
			[]string{"started step 1 of 2 [1]", "started step 1 of 2 [2]", "alert [1 3]", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explain.New(load(t, c.query), true)
			var got []string
			each(t, c.events, func(ev *event.Event) { got = append(got, strings.Join(said(x.Event(ev)), "|")) })
			got = append(got, strings.Join(said(x.Flush()), "|"))
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestSuppressed: an alert stands for those with its values, for its time.
func TestSuppressed(t *testing.T) {
	for _, query := range []string{`process where event.action == "exec"`, trailing} {
		set := load(t, query)
		set[0].Suppress = &ir.Suppress{By: []event.FieldID{event.FieldName}, For: 20 * time.Second}
		x := explain.New(set, true)
		var got []string
		lines := ""
		for i, name := range []string{"a", "b", "a", "a"} {
			lines += at(15*i, "exec", i+1, `"process.name":"`+name+`"`)
		}
		each(t, lines, func(ev *event.Event) {
			for _, a := range x.Event(ev).Alerts {
				got = append(got, fmt.Sprint(a.Events, a.Suppressed))
			}
		})
		for _, a := range x.Flush().Alerts {
			got = append(got, fmt.Sprint(a.Events, a.Suppressed))
		}
		if want := []string{"[1] false", "[2] false", "[3] false", "[4] true"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// text is a tree on one line.
func text(n *explain.Node) string {
	s := n.Text + "=" + n.Truth
	if n.Seen != "" {
		s += " (" + n.Seen + ")"
	}
	var parts []string
	for _, a := range n.Args {
		parts = append(parts, text(a))
	}
	if len(parts) > 0 {
		s += " [" + strings.Join(parts, "; ") + "]"
	}
	return s
}

// TestTrees: what each test of a condition saw.
func TestTrees(t *testing.T) {
	const ev = `{"event_type":"exec","process.pid":7,"process.entity_id":"0x7","process.parent.entity_id":"0x6","process.name":"sh",` +
		`"process.command_line":"sh -c x","process.args":["sh","-c","x"]}`
	for _, c := range []struct{ query, want string }{
		{`process where process.name == "sh"`, `process.name is "sh"=true (it is "sh")`},
		{`process where process.name == "ls" and user.id == 0 and process.pid > 3`,
			`and=false [process.name is "ls"=false (it is "sh"); user.id == 0=null (the event has none); process.pid > 3=true (it is "7")]`},
		{`process where process.args contains "-c" or process.name == null`, `or=true [process.args contains "-c"=true (they are ["sh" "-c" "x"]); ` +
			`not=false [process.name is there=true (it is "sh")]]`},
		{`process where length(process.command_line) > process.pid`, `length(process.command_line) > process.pid=false (process.command_line is "sh -c x", process.pid is "7")`},
		{`process where child of [process where process.name == "init"]`, `child of [process where process.name is "init"]=false (process.entity_id is "0x7", process.parent.entity_id is "0x6")`},
		{`process where process.pid == process.args_count`, `process.pid == process.args_count=null (process.pid is "7", process.args_count is not there)`},
	} {
		x := explain.New(load(t, c.query), true)
		each(t, ev, func(ev *event.Event) {
			r := x.Event(ev)
			if len(r.Steps) != 1 || text(r.Steps[0].Why) != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.query, text(r.Steps[0].Why), c.want)
			}
		})
	}
}

// TestBounds: a rule of thousands of tests and a value of thousands of bytes give a report that can be read.
func TestBounds(t *testing.T) {
	var or, list []string
	for i := range 3000 {
		or = append(or, fmt.Sprintf(`process.command_line like "*word%d*" and process.pid != %d`, i, i))
		list = append(list, fmt.Sprintf("%q", strings.Repeat("y", 200)+fmt.Sprint(i)))
	}
	set := load(t, "process where "+strings.Join(or, " or "), "process where process.name in ("+strings.Join(list, ", ")+")")
	x := explain.New(set, true)
	line := at(0, "exec", 1, fmt.Sprintf(`"process.command_line":%q,"process.name":"n"`, strings.Repeat("é", 2000)))
	each(t, line, func(ev *event.Event) {
		b, err := json.Marshal(x.Event(ev))
		if err != nil {
			t.Fatal(err)
		}
		const most = 200_000
		if len(b) > most || !bytes.Contains(b, []byte(" more")) || !bytes.Contains(b, []byte("bytes more")) {
			t.Errorf("%d bytes (max %d)", len(b), most)
		}
	})
}

// TestNear: what is said of a rule that raised no alert.
func TestNear(t *testing.T) {
	a, x := `"process.name":"a"`, `"file.path":"/x"`
	const sample = `sample by process.entity_id [process where event.action == "exec"] [file where file.path == "/x"]`
	for _, c := range []struct{ name, query, events, want string }{
		{"no events", pair, "", "no event fits the first step, and there are no events"},
		{"other category", `file where true`, at(0, "exec", 1, a), "there is no file event, only process"},
		{"nearest of two", `process where process.name == "b" and event.action == "exec"`, at(0, "exit", 1, a) + at(1, "exec", 1, a) + at(2, "exit", 1, a),
			`event 2: process.name is "b"=false (it is "a")`},
		{"first step", pair, at(0, "exec", 1, `"process.name":"b"`), `no event fits the first step; event 1: process.name is "a"=false (it is "b")`},
		{"second step", pair, at(0, "exec", 1, a) + at(1, "open", 1, `"file.path":"/y"`), `step 1 of 2 was reached by event 1; event 2: file.path is "/x"=false (it is "/y")`},
		{"before the first", pair, at(0, "open", 1, x) + at(1, "exec", 1, a), `step 1 of 2 was reached by event 2, and no file event follows`},
		{"another key", pair, at(0, "exec", 1, a) + at(1, "open", 2, x), `step 1 of 2 was reached by event 1; event 2: file.path is "/x"=true (it is "/x"); ` +
			`nothing waits for it with process.entity_id "0x2"; what waits has process.entity_id "0x1"`},
		{"no key", `sequence by user.id [process where true] [file where true]`, at(0, "exec", 1, `"user.id":1`) + at(1, "open", 1, x),
			`step 1 of 2 was reached by event 1; event 2: true=true; it has no user.id to join by`},
		{"too late", pair, at(0, "exec", 1, a) + at(11, "open", 1, x), `step 1 of 2 was reached by event 1; event 2: file.path is "/x"=true (it is "/x"); ` +
			`nothing waits for it: step 1 of 2 was reached by event 1 and had expired at event 2: 11s is more than maxspan 10s`},
		{"missing is there", between, at(0, "exec", 1, "") + at(1, "open", 1, x) + at(2, "connect", 1, ""),
			`step 1 of 3 was reached by event 1; event 2 fits step 2, which must be missing; event 3: true=true`},
		{"trailing is there", trailing, at(0, "exec", 1, "") + at(1, "open", 1, x), `every step was reached; event 2 fits step 2, which must be missing`},
		{"sample", sample, at(0, "exec", 1, a) + at(1, "open", 1, `"file.path":"/y"`), `no event fits step 2 of 2; event 2: file.path is "/x"=false (it is "/y")`},
		{"sample of other keys", sample, at(0, "exec", 1, a) + at(1, "open", 2, x), `each step fits an event, and there is no key for which all do`},
		{"it matched", pair, at(0, "exec", 1, a) + at(1, "open", 1, x), "the rule matched"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := explain.New(load(t, c.query), true)
			each(t, c.events, func(ev *event.Event) { x.Event(ev) })
			x.Flush()
			near := x.Near(0)
			var parts []string
			if near.Text != "" {
				parts = append(parts, near.Text)
			}
			if near.Step != nil {
				parts = append(parts, fmt.Sprintf("event %d: %s", near.Event, text(near.Step.Why)))
				if near.Step.Note != "" {
					parts = append(parts, near.Step.Note)
				}
			}
			if got := strings.Join(parts, "; "); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestAgainstReference: an explained rule matches what the rule matches, and each sequence that completes was seen to
// come to the step before.
func TestAgainstReference(t *testing.T) {
	queries := []string{pair, runs, between, trailing, later,
		`process where event.action == "exec" and process.name in ("a", "b")`,
		`sample by process.entity_id [process where event.action == "exec"] [file where true] [network where true]`,
		`sequence by process.entity_id with maxspan=5s [file where true] [process where process.name == "a"] with runs=2 [network where true]`,
		`sequence with maxspan=5s [process where true] [process where true] ![file where true] [network where true]`,
		`file where descendant of [process where process.name == "a"]`,
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 60 {
		set := load(t, queries...)
		x, ref := explain.New(set, round%2 == 0), reference.New(set)
		lines, now := "", 0
		for range 60 {
			now += rng.IntN(4)
			more := []string{"", `"process.name":"a"`, `"process.name":"b"`, `"process.parent.entity_id":"0x1"`}[rng.IntN(4)]
			typ := []string{"exec", "exit", "open", "connect", "exec"}[rng.IntN(5)]
			if typ == "open" {
				more = []string{`"file.path":"/x"`, `"file.path":"/a"`, `"file.path":"/b"`}[rng.IntN(3)]
			}
			lines += at(now, typ, 1+rng.IntN(3), more)
		}
		seen := make(map[string]bool)
		compare := func(r *explain.Report, want []reference.Match) {
			for _, c := range r.Changes {
				seen[fmt.Sprint(c.Rule, c.Events)] = true
			}
			var g, w []string
			for _, a := range r.Alerts {
				g = append(g, fmt.Sprint(a.Rule, a.Events))
			}
			for _, m := range want {
				id := set[m.Rule].ID
				w = append(w, fmt.Sprint(id, m.Events))
				if set[m.Rule].Form == ir.FormSequence && len(m.Events) > 1 && !seen[fmt.Sprint(id, m.Events[:len(m.Events)-1])] {
					t.Errorf("seed %d, round %d: %s completes with %v, whose beginning was not seen", seed, round, id, m.Events)
				}
			}
			slices.Sort(g)
			slices.Sort(w)
			if !slices.Equal(g, w) {
				t.Errorf("seed %d, round %d, event %d: %q, want %q", seed, round, r.Event, g, w)
			}
		}
		each(t, lines, func(ev *event.Event) { compare(x.Event(ev), ref.Event(ev)) })
		compare(x.Flush(), ref.Flush(1<<64-1))
		if t.Failed() {
			t.Fatalf("events\n%s", lines)
		}
	}
}
