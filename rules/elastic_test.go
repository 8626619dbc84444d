package rules_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

func elasticRule(id, query string) string {
	return "[rule]\nrule_id = '" + id + "'\nlanguage = 'eql'\ntype = 'eql'\nquery = '''\n" + query + "'''\n"
}

const elasticFull = `[metadata]
creation_date = "2026/01/02"
integration = ["endpoint"]
maturity = "production"

[rule]
author = ["somebody"]
description = """
Two lines
of text.
"""
from = "now-9m"
index = ["logs-*"]
language = "eql"
name = "A shell \"in\" tmp"
risk_score = 47
rule_id = "6a7f-1"
severity = "high"
tags = ["Domain: Endpoint", "OS: Linux"]
timestamp_override = "event.ingested"
type = "eql"
query = '''
process where event.type == "start" and
  process.executable : "/tmp/*" and process.args regex """-[ce]"""
'''
note = """## Triage"""

[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1059"
name = "Command and Scripting Interpreter"
[[rule.threat.technique.subtechnique]]
id = "T1059.004"
[rule.threat.tactic]
id = "TA0002"

[[rule.threat]]
framework = "MITRE ATT&CK"
technique = [{id = "T1059"}, {id = "T1036", subtechnique = [{id = "T1036.005"}]}]

[[rule.threat]]
framework = "MITRE ATLAS"
[[rule.threat.technique]]
id = "AML.T0001"
`

func TestElasticRule(t *testing.T) {
	name := filepath.Join(t.TempDir(), "one.toml")
	write(t, name, elasticFull)
	p, err := rules.Load(name, eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, p)
	r := p.Set.Rules[0]
	got := fmt.Sprintf("%s|%s|%d|%v|%v|%s", r.ID, r.Name, r.Severity, r.Tags, r.Mitre, r.File)
	want := fmt.Sprintf(`6a7f-1|A shell "in" tmp|%d|[Domain: Endpoint OS: Linux]|[T1059 T1059.004 T1036 T1036.005]|one.toml`, ir.High)
	if got != want {
		t.Errorf("rule\n%s\nwant\n%s", got, want)
	}
	img := imageOf(t, p)
	for _, c := range []struct {
		executable string
		want       []string
	}{{"/tmp/x", []string{"6a7f-1"}}, {"/TMP/x", []string{"6a7f-1"}}, {"/usr/x", nil}} {
		line := `{"event.category":"process","event.type":"start","event.action":"exec","process.executable":"` + c.executable +
			`","process.args":["x","-c"]}`
		if got := replayed(t, img, []byte(line)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.executable, got, c.want)
		}
	}
}

// TestElasticPlaces: a mistake in the query is shown where it stands in the file, however the text is quoted.
func TestElasticPlaces(t *testing.T) {
	const head = "[rule]\nrule_id = 'r'\nlanguage = 'eql'\n"
	for _, c := range []struct{ name, query, want string }{
		{"literal", "query = '''\nprocess where\n  process.nme == 1\n'''", "x.toml:6:3: unknown field process.nme"},
		{"literal, first line", "query = '''process where process.nme == 1'''", "x.toml:4:26: unknown"},
		{"literal, CR LF", "query = '''\r\nprocess where\r\n  process.nme == 1'''", "x.toml:6:3: unknown"},
		{"one line", "query = 'process where process.nme == 1'", "x.toml:4:24: unknown"},
		{"basic", `query = "process where process.name == \"é\" or process.nme == 1"`, "x.toml:4:49: unknown"},
		{"basic, lines as escapes", `query = "process where\n  process.nme == 1"`, "x.toml:4:27: unknown"},
		{"basic, code points", `query = "process where process.name == \"\u00e9\U0001F600\" or process.nme == 1"`, "x.toml:4:64: unknown"},
		{"basic lines", "query = \"\"\"\nprocess where \\\n\n   process.name == \\\"a\\\" and\n process.nme == 1\"\"\"", "x.toml:8:2: unknown"},
		{"bracket", "query = '''\nprocess where\n  process.name in (\"é\", (\"b\"'''", "x.toml:6:29: expected `)` to close the `(` opened at 6:25, "},
		{"at the end", "query = '''\nprocess where '''", "x.toml:5:15: "},
		{"dotted key", "x = 1\n[other]\nquery = ''", "x.toml:1:2: a rule needs rule_id and query"},
		{"kestrel's own", "query = '''\nprocess where process.name contains \"a\"'''", "x.toml:5:28: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadTree(t, tree("x.toml", head+c.query+"\n"))
			checkAll(t, p, c.want)
			for _, q := range p.Problems {
				if excerpt := strings.Split(q.Detail, "\n"); len(excerpt) > 2 && !strings.Contains(excerpt[1], "...") && !strings.Contains(head+c.query, strings.TrimSpace(excerpt[1][7:])) {
					t.Errorf("excerpt %q is not of the file", excerpt[1])
				}
			}
		})
	}
}

func TestElasticProblems(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"kuery", "[rule]\nrule_id = 'k'\nlanguage = 'kuery'\ntype = 'query'\nquery = 'a:b'\n",
			[]string{`x.toml:3:12: warning: passed over: rule k is in another language (rule.language = "kuery")`}},
		{"threshold", "[rule]\nrule_id = 'k'\nlanguage = 'eql'\ntype = 'threshold'\nquery = 'a:b'\n",
			[]string{`x.toml:4:8: warning: passed over: rule k is in another language (rule.type = "threshold")`}},
		{"machine learning", "[rule]\nrule_id = 'm'\ntype = 'machine_learning'\n",
			[]string{`x.toml:3:8: warning: passed over: rule m is in another language (rule.type = "machine_learning")`}},
		{"other file", "[tool]\nname = 'x'\n", []string{"x.toml:1:1: warning: passed over: there is no [rule]"}},
		{"no TOML", "[rule]\nname = 'x\n", []string{"x.toml:2:10: literal strings cannot have new lines"}},
		{"wrong type", "[rule]\nrule_id = 5\n", []string{"x.toml:2:11: rule.rule_id is of type integer, want text"}},
		{"wrong list", "[rule]\ntags = [1]\n", []string{"x.toml:2:9: rule.tags is of type integer, want a list of texts"}},
		{"wrong threat", "[rule]\n[[rule.threat]]\ntechnique = 'x'\n", []string{"x.toml:3:13: rule.threat.technique is of type string, want a list of tables"}},
		{"rule is a list", "[[rule]]\nname = 'x'\n", []string{"x.toml:1:3: rule is of type array table, want a table"}},
		{"severity", elasticRule("s", goodQuery) + "severity = 'lowish'\n", []string{`x.toml:8:12: rule s: severity "lowish"`}},
		{"no id", "[rule]\nlanguage = 'eql'\nquery = 'any where true'\n", []string{"x.toml:1:2: a rule needs rule_id and query"}},
		{"filters", elasticRule("f", goodQuery) + "[[rule.filters]]\nmeta = {}\n", []string{"x.toml:8:3: warning: rule f: the filters beside the query"}},
		{"inline table", "rule = {rule_id = 'i', language = 'eql', query = 'process where process.nme == 1'}\n", []string{"x.toml:1:1: unknown field"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkAll(t, loadTree(t, tree("x.toml", c.text, "good.toml", elasticRule("good", goodQuery))), c.want...)
		})
	}
	name := filepath.Join(t.TempDir(), "x.toml")
	write(t, name, "[tool]\n")
	p, err := rules.Load(name, eql.Kestrel)
	if err != nil || !p.HasErrors() {
		t.Errorf("a file without a rule, named by the user: %v %v", err, p.Problems)
	}
}
