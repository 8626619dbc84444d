package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// suppressedRule is a manifest with one rule and what stands under its suppress.
func suppressedRule(suppress string) string {
	return oneCategory("        - {id: a, file: a.eql, suppress: " + suppress + "}\n")
}

func TestSuppress(t *testing.T) {
	user, name, ip := event.FieldByName("user.id").ID, event.FieldByName("process.name").ID, event.FieldByName("destination.ip").ID
	for _, c := range []struct {
		text string
		want *ir.Suppress
	}{
		{"{by: [user.id], for: 10m}", &ir.Suppress{By: []event.FieldID{user}, For: 10 * time.Minute}},
		{"{by: [user.id, process.name], for: 1h30m}", &ir.Suppress{By: []event.FieldID{user, name}, For: 90 * time.Minute}},
		{"{for: 500ms}", &ir.Suppress{For: 500 * time.Millisecond}},
		{"{by: [], for: 30s}", &ir.Suppress{For: 30 * time.Second}},
		{"{by: , for: 1d}", &ir.Suppress{For: 24 * time.Hour}},
		{"{for: 24h, by: [destination.ip]}", &ir.Suppress{By: []event.FieldID{ip}, For: 24 * time.Hour}},
		{"null", nil},
		{"", nil},
	} {
		p := loadTree(t, tree("manifest.yaml", suppressedRule(c.text), "a.eql", "any where true"))
		checkAll(t, p)
		if len(p.Set.Rules) != 1 {
			continue
		}
		if got := p.Set.Rules[0].Suppress; (got == nil) != (c.want == nil) || got != nil && (got.For != c.want.For || !slices.Equal(got.By, c.want.By)) {
			t.Errorf("%s: %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestSuppressProblems(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"10m", []string{`7:42: rule a: suppress is "10m", want {by: `}},
		{"[]", []string{`7:42: rule a: suppress is an empty list`}},
		{"{by: [user.id]}", []string{`7:42: rule a: suppress does not say for how long (as in for: 10m)`}},
		{"{for: 0s}", []string{`7:48: rule a: suppress.for is "0s": want more than nothing`}},
		{"{for: -1m}", []string{`7:48: rule a: suppress.for is "-1m": want more than nothing`}},
		{"{for: 24h1s}", []string{`7:48: rule a: suppress.for is "24h1s": more than a day`}},
		{"{for: 2d}", []string{`7:48: rule a: suppress.for is "2d": more than a day`}},
		{"{for: 99999999999999999d}", []string{`7:48: rule a: suppress.for is "99999999999999999d": more than a day`}},
		{"{for: 600}", []string{`7:48: rule a: suppress.for is "600": a unit is missing`}},
		{"{for: soon}", []string{`7:48: rule a: suppress.for is "soon": want a time such as`}},
		{"{for: [1m]}", []string{`7:48: rule a: suppress.for is a list`}},
		{"{for: }", []string{`7:48: rule a: suppress.for is empty`}},
		{"{fro: 10m, for: 1m}", []string{`7:43: rule a: unknown key fro in suppress (did you mean for?)`}},
		{"{by: user.id, for: 1m}", []string{`7:47: rule a: suppress.by is "user.id", want a list of fields`}},
		{"{by: [user.nme, [a]], for: 1m}", []string{`7:48: rule a: suppress.by: unknown field user.nme (did you mean user.name?)`, `7:58: rule a: suppress.by: `}},
		{"{by: [process.args], for: 1m}", []string{`7:48: rule a: suppress.by: process.args is a list`}},
		{"{by: [user.id, user.id], for: 1m}", []string{`7:57: rule a: suppress.by: user.id is there twice`}},
		{"{by: [user.id, user.name, process.name, process.pid, group.id, host.id], for: 1m}", []string{`7:105: rule a: suppress.by has 6 fields (max 5)`}},
		{"{for: 1m, for: 2m}", []string{`7:52: rule a: suppress.for is there twice`}},
	} {
		p := loadTree(t, tree("manifest.yaml", suppressedRule(c.text), "a.eql", "any where true"))
		for i := range c.want {
			c.want[i] = "manifest.yaml:" + strings.TrimPrefix(c.want[i], "manifest.yaml:")
		}
		t.Run(c.text, func(t *testing.T) { checkAll(t, p, c.want...) })
		for _, q := range p.Problems {
			if q.Rule != "a" {
				t.Errorf("%s: rule %q", q, q.Rule)
			}
		}
	}
}

// TestSuppressWarnings: a suppress that does nothing, or that tells no alerts apart.
func TestSuppressWarnings(t *testing.T) {
	for _, c := range []struct{ query, by, want string }{
		{`process where process.name == "x"`, "user.id", ""},
		{`process where process.name == "x" and file.path == "/x"`, "user.id", "rule a never raises an alert: suppress has no effect"},
		{`process where process.name == "x"`, "file.path", "rule a: its last event has no file.path"},
		{`sequence by user.id [process where true] [file where true]`, "file.path", ""},
		{`sequence by user.id [file where true] [process where true]`, "file.path", "rule a: its last event has no file.path"},
		{`sequence by user.id with maxspan=1m [file where true] ![process where true]`, "file.path", ""},
		{`sample by user.id [file where true] [process where true]`, "file.path", ""},
		{`any where true`, "file.path", ""},
	} {
		p := loadTree(t, tree("manifest.yaml", suppressedRule("{by: ["+c.by+"], for: 1m}"), "a.eql", c.query))
		found := ""
		for _, q := range p.Problems {
			if q.File == "pkg/manifest.yaml" && q.Warning {
				found += q.Msg
			}
		}
		if p.HasErrors() || !strings.HasPrefix(found, c.want) || c.want == "" && found != "" {
			t.Errorf("%s by %s: %v, want %q", c.query, c.by, p.Problems, c.want)
		}
	}
}

// TestElasticSuppression: alert_suppression of an Elastic rule.
func TestElasticSuppression(t *testing.T) {
	user := event.FieldByName("user.id").ID
	for _, c := range []struct{ text, want string }{
		{"group_by = ['user.id']\nduration = {value = 5, unit = 'm'}", ""},
		{"group_by = ['user.id']\nduration = {value = 5, unit = 'm'}\nmissing_fields_strategy = 'suppress'", ""},
		{"group_by = ['user.id']", "x.toml:8:2: warning: rule s: alert_suppression is not applied, so it may alert more often than in Elastic: it has no duration"},
		{"group_by = ['agent.idx']\nduration = {value = 5, unit = 'm'}", "x.toml:8:2: warning: rule s: alert_suppression is not applied, so it may alert more often than in Elastic: unknown field agent.idx"},
		{"group_by = ['user.id']\nduration = {value = 5, unit = 'm'}\nmissing_fields_strategy = 'doNotSuppress'", "x.toml:8:2: warning: rule s: alert_suppression is not applied"},
		{"group_by = ['user.id']\nduration = {value = 5, unit = 'd'}", "x.toml:8:2: warning: rule s: alert_suppression is not applied"},
	} {
		p := loadTree(t, tree("x.toml", elasticRule("s", goodQuery)+"[rule.alert_suppression]\n"+c.text+"\n"))
		if c.want != "" {
			checkAll(t, p, c.want)
			continue
		}
		checkAll(t, p)
		if s := p.Set.Rules[0].Suppress; s == nil || s.For != 5*time.Minute || !slices.Equal(s.By, []event.FieldID{user}) {
			t.Errorf("%s: %+v", c.text, s)
		}
	}
}

// TestShadowed: warnings of conditions under suppressions that change nothing.
func TestShadowed(t *testing.T) {
	for _, c := range []struct {
		query      string
		conditions []string
		want       []string // after "suppression of a: "
	}{
		{goodQuery, []string{`process.parent.name == "a"`, `process.parent.name == "b"`}, nil},
		{goodQuery, []string{`process.parent.name == "a"`, `process.parent.name == "a"`}, []string{"what this describes is suppressed already by line 11"}},
		{goodQuery, []string{`process.parent.name == "a"`, `process.parent.name == "a" and user.id == 0`}, []string{"what this describes"}},
		{goodQuery, []string{`process.parent.name == "a" and user.id == 0`, `process.parent.name == "a"`}, nil},
		{goodQuery, []string{`process.parent.name in ("a", "b", "c")`, `process.parent.name in ("c", "a")`}, []string{"what this describes"}},
		{goodQuery, []string{`process.parent.name in ("a", "b")`, `process.parent.name in ("c", "a")`}, nil},
		{goodQuery, []string{`process.parent.name : ("a", "b")`, `process.parent.name == "a"`}, []string{"what this describes"}},
		{goodQuery, []string{`process.parent.name == "a"`, `process.parent.name : "a"`}, nil},
		{goodQuery, []string{`user.id in (0, 1, 2)`, `user.id == 2`, `user.id in (1, 2)`, `user.id in (2, 3)`}, []string{"what this describes", "what this describes"}},
		{goodQuery, []string{`process.parent.name != null`, `process.parent.name == "a"`}, []string{"what this describes"}},
		{goodQuery, []string{`process.parent.name == "a" or user.id == 0`, `user.id == 0 and process.name == "x"`}, []string{"what this describes"}},
		{goodQuery, []string{`user.id == 0`, `process.name == "x" and user.id == 0 or process.name == "y" and user.id == 0`}, []string{"what this describes"}},
		{"network where true", []string{`cidrMatch(destination.ip, "10.0.0.0/8")`, `cidrMatch(destination.ip, "10.1.0.0/16")`, `cidrMatch(destination.ip, "11.0.0.0/8")`}, []string{"what this describes"}},
		{goodQuery, []string{`true`, `user.id == 0`}, []string{"this is always true: the rule never raises an alert", "what this describes"}},
		{goodQuery, []string{`file.path == "/x"`}, []string{"this is never true for an event of the rule"}},
		{goodQuery, []string{`file.path == "/x" and user.id == 0`, `not file.path == "/x"`, `file.path == null and user.id == 0`},
			[]string{"this is never true", "this is never true"}},
		{goodQuery, []string{`file.path == null`}, []string{"this is always true"}},
		{`sequence by user.id [process where true] [file where true]`, []string{`file.path == "/x"`, `process.parent.name == "x"`}, nil},
		{`any where true`, []string{`file.path == "/x"`}, nil},
	} {
		text := oneCategory("        - {id: a, file: a.eql}\n") + "  suppressions:\n    - rule_id: a\n      conditions:\n"
		for _, cond := range c.conditions {
			text += "        - '" + cond + "'\n"
		}
		p := loadTree(t, tree("manifest.yaml", text, "a.eql", c.query))
		var got []string
		for _, q := range p.Problems {
			if !q.Warning || q.Rule != "a" || q.Detail == "" || q.EndCol <= q.Col {
				t.Errorf("%v: %+v", c.conditions, q)
			}
			got = append(got, strings.TrimPrefix(q.Msg, "suppression of a: "))
		}
		ok := len(got) == len(c.want)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%v: %q, want %q", c.conditions, got, c.want)
		}
	}
}

// TestShadowDeep: conditions that are nested deeply are compared in bounded time.
func TestShadowDeep(t *testing.T) {
	deep := func(leaf string) string {
		text := leaf
		for i := range 60 {
			op := []string{"and", "or"}[i%2]
			text = fmt.Sprintf(`(%s %s process.pid == %d) %s user.id == %d`, text, op, i, []string{"or", "and"}[i%2], i)
		}
		return text
	}
	start := time.Now()
	p := loadTree(t, tree("manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n")+"  suppressions:\n    - rule_id: a\n      conditions: ['"+
		deep(`process.name == "a"`)+"', '"+deep(`process.name == "b"`)+"']\n", "a.eql", goodQuery))
	if p.HasErrors() {
		t.Errorf("%v", p.Problems)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
}

// TestGlobals: what is said of lists that are not used, or used in vain.
func TestGlobals(t *testing.T) {
	const head = "        - {id: a, file: a.eql}\n"
	for _, c := range []struct {
		globals string
		want    []string
	}{
		{"{A: [x], B: [1, 0x10]}", []string{"8:21: warning: global B is used by no rule and no suppression"}},
		{"{A: [x, y, x]}", []string{"8:23: warning: global A: \"x\" is there twice"}},
		{"{A: [x, y], B: [x, y]}", []string{"8:24: warning: global B is used by no rule", "8:24: warning: global B has the values of A, line 8"}},
		{"{A: [x], A: [y]}", []string{"8:21: global A is there twice, first in line 8"}},
		{"{A: &a [x, y], B: *a}", []string{"8:27: warning: global B is used by no rule", "8:27: warning: global B has the values of A, line 8"}},
		{"[A]", []string{"8:12: globals is a list, want names and their lists", "a.eql:1:31: unknown global $A"}},
		{"{A: x}", []string{"8:16: global A is not a list"}},
		{"{A: [1.5]}", []string{`8:17: global A: "1.5" is neither`}},
		{"{A: [18446744073709551615]}", []string{`8:17: global A: 18446744073709551615 does not fit`, "a.eql:1:31: process.name is a string"}},
	} {
		p := loadTree(t, tree("manifest.yaml", oneCategory(head)+"  globals: "+c.globals+"\n", "a.eql", "process where process.name in $A"))
		for i := range c.want {
			if !strings.HasPrefix(c.want[i], "a.eql") {
				c.want[i] = "manifest.yaml:" + c.want[i]
			}
		}
		t.Run(c.globals, func(t *testing.T) {
			for i, q := range p.Problems {
				if i < len(c.want) && !strings.HasPrefix(strings.TrimPrefix(q.String(), "pkg/"), c.want[i]) || i >= len(c.want) && !q.Warning {
					t.Errorf("%s, want %q", q, c.want)
				}
			}
			if len(p.Problems) < len(c.want) {
				t.Errorf("%v, want %q", p.Problems, c.want)
			}
		})
	}
	// A suppression counts as a use.
	p := loadTree(t, tree("manifest.yaml", oneCategory(head)+"  globals: {A: [x], B: [y]}\n  suppressions:\n    - {rule_id: a, conditions: [process.name in $B]}\n",
		"a.eql", "process where process.parent.name in $A"))
	checkAll(t, p)
}

// TestUnknownSuppressed: a suppression of a rule that is not there offers the nearest; one whose rule is only broken does
// not count as unknown.
func TestUnknownSuppressed(t *testing.T) {
	p := loadTree(t, tree("manifest.yaml", oneCategory("        - {id: shell, file: a.eql}\n        - {id: gone, file: gone.eql}\n")+
		"  suppressions:\n    - {rule_id: shel, conditions: ['true']}\n    - {rule_id: gone, conditions: ['user.id == 0']}\n", "a.eql", goodQuery))
	checkAll(t, p, "manifest.yaml:8:28: rule gone: open gone.eql", "manifest.yaml:10:17: suppression of unknown rule shel (did you mean shell?)")
}
