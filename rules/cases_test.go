package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/rules"
)

const goodCases = `rule: r
match:
  - name: shell
    events:
      - {event.category: process, event.type: [start, exec], process.name: sh, process.pid: 7, "@timestamp": 2026-03-02T08:00:00.5Z}
      - {event.category: process, event.action: end, process.name: sh}
no_match:
  - name: another
    events:
      - event.category: process
        process.name: ls
`

func TestCases(t *testing.T) {
	got, problems := rules.Tests(tree("tests/r.yaml", goodCases, "sub/tests/s.yml", strings.ReplaceAll(goodCases, "rule: r", "rule: s"),
		"tests/README.md", "no cases", "other/r.yaml", "no cases", "r.eql", goodQuery), "pkg")
	if len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	var list []string
	for _, c := range got {
		list = append(list, fmt.Sprintf("%s %s %v %s:%d", c.Rule, c.Name, c.Match, c.File, c.Line))
	}
	want := []string{"s shell true pkg/sub/tests/s.yml:3", "s another false pkg/sub/tests/s.yml:8", "r shell true pkg/tests/r.yaml:3",
		"r another false pkg/tests/r.yaml:8"}
	if strings.Join(list, "\n") != strings.Join(want, "\n") {
		t.Fatalf("cases\n%s\nwant\n%s", strings.Join(list, "\n"), strings.Join(want, "\n"))
	}
	const lines = `{"@timestamp":"2026-03-02T08:00:00.5Z","event.category":"process","event.type":["start","exec"],"process.name":"sh","process.pid":7}
{"event.action":"end","event.category":"process","process.name":"sh"}
`
	if string(got[2].Lines) != lines {
		t.Errorf("events\n%s\nwant\n%s", got[2].Lines, lines)
	}
	img := imageOf(t, loadTree(t, tree("r.eql", `process where process.name == "sh" and event.action == "exec"`)))
	for _, c := range got {
		if alerts := replayed(t, img, c.Lines); (len(alerts) == 1) != c.Match {
			t.Errorf("%s: alerts %q", c.Name, alerts)
		}
	}
}

func TestCaseProblems(t *testing.T) {
	const events = "    events: [{event.category: process}]\n"
	for _, c := range []struct {
		name, text string
		cases      int
		want       []string
	}{
		{"unknown key", "rule: r\nmatches: []\nmatch:\n  - name: a\n    event: []\n" + events, 1,
			[]string{"2:1: unknown key matches (did you mean match?)", "5:5: unknown key event (did you mean events?)"}},
		{"no rule", "match:\n  - name: a\n" + events, 0, []string{"1:1: the file has no rule"}},
		{"rule is a list", "rule: [r]\nmatch:\n  - name: a\n" + events, 0, []string{"1:7: rule is a list, want text"}},
		{"no cases", "rule: r\n", 0, []string{"1:1: no cases"}},
		{"no list", "rule: r\nmatch: x\n", 0, []string{"2:8: match is \"x\", want a list of cases"}},
		{"no name", "rule: r\nmatch:\n  - events: [{event.category: process}]\n", 0, []string{"3:5: a case has no name"}},
		{"name twice", "rule: r\nmatch:\n  - name: a\n" + events + "no_match:\n  - name: a\n" + events, 2,
			[]string{"6:11: there is a case \"a\" already"}},
		{"no events", "rule: r\nmatch:\n  - name: a\n  - name: b\n    events: []\n", 0,
			[]string{"3:5: a case has no events", "5:13: events is an empty list, want a list of events"}},
		{"event is text", "rule: r\nmatch:\n  - name: a\n    events: [x]\n", 0, []string{"4:14: an event is \"x\", want fields"}},
		{"field twice", "rule: r\nmatch:\n  - name: a\n    events:\n      - {a: 1, a: 2}\n", 0, []string{"5:1: mapping key \"a\" already"}},
		{"not JSON", "rule: r\nmatch:\n  - name: a\n    events:\n      - {process.pid: .nan}\n", 0, []string{"5:9: event: "}},
		{"empty", "# nothing\n", 0, []string{"1:1: no cases"}},
		{"no YAML", "rule: r\n\tx\n", 0, []string{"2:1: "}},
		{"a list", "- a\n", 0, []string{"1:1: a file of cases is a list"}},
		{"two documents", goodCases + "---\nrule: x\n", 0, []string{"12:1: here a second document begins"}},
		{"key twice", "rule: r\nrule: s\nmatch:\n  - name: a\n" + events, 1, []string{"2:1: key rule is there twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, problems := rules.Tests(tree("tests/r.yaml", c.text), "pkg")
			if len(got) != c.cases {
				t.Errorf("%d cases, want %d", len(got), c.cases)
			}
			for i := range c.want {
				c.want[i] = "tests/r.yaml:" + c.want[i]
			}
			checkAll(t, &rules.Package{Problems: problems}, c.want...)
		})
	}
}
