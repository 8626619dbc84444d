package rules_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

func sigmaRule(category, detection string) string {
	return "title: A Sigma rule\nid: sigma-id\nlogsource:\n  product: linux\n  category: " + category + "\ndetection:\n" + detection +
		"level: high\n"
}

// sigmaLines is how many lines stand before the detection of sigmaRule.
const sigmaLines = 6

// TestSigmaText: what each part of Sigma becomes. The text is that after the category.
func TestSigmaText(t *testing.T) {
	for _, c := range []struct{ name, detection, want string }{
		{"one value", "  s:\n    Image: /bin/sh\n  condition: s\n", `process.executable : "/bin/sh"`},
		{"a list is any", "  s:\n    Image: [/bin/sh, '*/bash']\n  condition: s\n",
			`process.executable : "/bin/sh" or process.executable endswith~ "/bash"`},
		{"wildcards", "  s:\n    CommandLine: ['a*b?c', 'x', '*y*', 'z*', '**']\n  condition: s\n",
			`process.command_line : ("a*b?c", "x", "*") or process.command_line contains~ "y" or process.command_line startswith~ "z"`},
		{"escaped wildcards", "  s:\n    CommandLine: ['a\\*b', 'c\\?*', 'd\\\\*', 'e\\f', '*\\*\\?*', 'a\\**b']\n  condition: s\n",
			`process.command_line regex~ ("a\\*b", "a\\*.*b") or process.command_line startswith~ ("c?", "d\\") or process.command_line : "e\\f" or process.command_line contains~ "*?"`},
		{"modifiers", "  s:\n    Image|endswith: [/sh, /ash]\n    CommandLine|contains: ' -c '\n    ParentImage|startswith: /tmp/\n  condition: s\n",
			"process.executable endswith~ (\"/sh\", \"/ash\") and\n  process.command_line contains~ \" -c \" and\n  process.parent.executable startswith~ \"/tmp/\""},
		{"wildcard within contains", "  s:\n    CommandLine|contains: 'a*b'\n  condition: s\n", `process.command_line : "*a*b*"`},
		{"all", "  s:\n    CommandLine|contains|all: [a, b]\n    User: root\n  condition: s\n",
			"process.command_line contains~ \"a\" and\n  process.command_line contains~ \"b\" and\n  user.name : \"root\""},
		{"cased", "  s:\n    Image|cased: [/bin/SH, '*a?b']\n    CommandLine|contains|cased: X\n  condition: s\n",
			"process.executable like (\"/bin/SH\", \"*a?b\") and\n  process.command_line contains \"X\""},
		{"list of maps", "  s:\n    - Image: /a\n      User: root\n    - Image: /b\n  condition: s\n",
			`(process.executable : "/a" and user.name : "root") or process.executable : "/b"`},
		{"null and empty", "  s:\n    ParentImage: [null, '', /x]\n  condition: s\n",
			`process.parent.executable == null or process.parent.executable : ("", "/x")`},
		{"exists", "  s:\n    ParentImage|exists: true\n    User|exists: false\n  condition: s\n",
			"process.parent.executable != null and\n  user.name == null"},
		{"numbers", "  s:\n    ProcessId: [1, '2']\n    ParentProcessId: 1\n  condition: s\n", "process.pid in (1, 2) and\n  process.parent.pid == 1"},
		{"numbers in order", "  s:\n    ProcessId|gte: 100\n    ParentProcessId|lt: 5\n  condition: s\n", "process.pid >= 100 and\n  process.parent.pid < 5"},
		{"number as text", "  s:\n    ProcessId|startswith: 44\n    CommandLine|contains: 4444\n  condition: s\n",
			"process.pid startswith~ \"44\" and\n  process.command_line contains~ \"4444\""},
		{"base64", "  s:\n    CommandLine|base64|contains: [/bin/sh, 'a\\*']\n    Image|base64: x\n  condition: s\n",
			"(process.command_line contains~ \"L2Jpbi9zaA==\" or process.command_line contains~ \"YSo=\") and\n  process.executable : \"eA==\""},
		{"base64offset", "  s:\n    CommandLine|base64offset|contains: /bin/sh\n  condition: s\n",
			`process.command_line contains~ ("L2Jpbi9za", "9iaW4vc2", "vYmluL3No")`},
		{"base64offset, all", "  s:\n    CommandLine|wide|base64offset|contains|all: [curl, bash]\n  condition: s\n",
			"process.command_line contains~ (\"YwB1AHIAbA\", \"MAdQByAGwA\", \"jAHUAcgBsA\") and\n  process.command_line contains~ (\"YgBhAHMAaA\", \"IAYQBzAGgA\", \"iAGEAcwBoA\")"},
		{"not", "  s:\n    Image: /a\n  f:\n    ParentImage: /b\n    User: null\n  condition: s and not f\n",
			"process.executable : \"/a\" and\n  not (process.parent.executable != null and process.parent.executable : \"/b\" and user.name == null)"},
		{"not of null", "  s:\n    User: null\n  condition: not s\n", `not (user.name == null)`},
		{"not not", "  s:\n    Image: /a\n  condition: not not s\n", `process.executable : "/a"`},
		{"precedence", "  a:\n    Image: /a\n  b:\n    Image: /b\n  c:\n    Image: /c\n  condition: a or b AND not c\n",
			`process.executable : "/a" or (process.executable : "/b" and not (process.executable != null and process.executable : "/c"))`},
		{"parentheses", "  a:\n    Image: /a\n  b:\n    Image: /b\n  c:\n    User: c\n  condition: (a or b) and c\n",
			"(process.executable : \"/a\" or process.executable : \"/b\") and\n  user.name : \"c\""},
		{"1 of pattern", "  sel_a:\n    Image: /a\n  sel_b:\n    Image: /b\n  other:\n    User: c\n  condition: 1 of sel_* and other\n",
			"(process.executable : \"/a\" or process.executable : \"/b\") and\n  user.name : \"c\""},
		{"all of pattern", "  sel_a:\n    Image: /a\n  sel_b:\n    User: b\n  condition: all of sel*\n", "process.executable : \"/a\" and\n  user.name : \"b\""},
		{"1 of them", "  a:\n    Image: /a\n  b:\n    User: b\n  _c:\n    User: c\n  condition: 1 of them\n", `process.executable : "/a" or user.name : "b"`},
		{"not 1 of", "  a:\n    Image: /a\n  f1:\n    User: b\n  f2:\n    CurrentDirectory: /\n  condition: a and not 1 of f*\n",
			"process.executable : \"/a\" and\n  not ((user.name != null and user.name : \"b\") or (process.working_directory != null and process.working_directory : \"/\"))"},
		{"all of them", "  a:\n    Image: /a\n  condition: all of them\n", `process.executable : "/a"`},
		{"conditions", "  a:\n    Image: /a\n  b:\n    Image: /b\n  condition: [a, b]\n", `process.executable : "/a" or process.executable : "/b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadTree(t, tree("x.yml", sigmaRule("process_creation", c.detection)))
			checkAll(t, p)
			if p.HasErrors() {
				return
			}
			want := "process where event.type == \"start\" and event.action == \"exec\" and\n  "
			got, ok := strings.CutPrefix(strings.TrimSuffix(p.Queries[0], "\n"), want)
			// The whole stands in parentheses where it is an or.
			if got != c.want && got != "("+c.want+")" || !ok {
				t.Errorf("EQL\n%s\nwant\n%s%s", p.Queries[0], want, c.want)
			}
			if _, _, err := p.Compile(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSigmaRegex: regular expressions of Perl's syntax in that of EQL.
func TestSigmaRegex(t *testing.T) {
	for _, c := range []struct{ re, want string }{
		{`curl`, `regex ".*curl.*"`},
		{`^curl$`, `regex "curl"`},
		{`^a|b$`, `regex "(a.*|.*b)"`},
		{`(^|\s)nc\b`, ``},
		{`(^|[;&])nc($| -)`, `regex "(()|.*[\\&;])nc(()| \\-.*)"`},
		{`(?i)Curl`, `regex~ ".*curl.*"`},
		{`a(?i:b)c`, `regex ".*a[Bb]c.*"`},
		{`a.b`, `regex ".*a[^\n]b.*"`},
		{`(?s)a.b`, `regex ".*a.b.*"`},
		{`\d{2,5}x{3,}y{4}`, `regex ".*[0-9]{2,5}x{3,}y{4}.*"`},
		{`[^a-c]+?(?:de)*`, `regex ".*[^a-c]+(de)*.*"`},
		{`"#@<~\.\\\[`, `regex ".*\\\"\\#\\@\\<\\~\\.\\\\\\[.*"`},
		{`^$`, `regex ""`},
		{`a^b`, ``},
		{`(?m)^a`, ``},
		{`(?=a)`, ``},
		{`(a`, ``},
		{`\bfoo`, ``},
	} {
		p := loadTree(t, tree("x.yml", sigmaRule("process_creation", "  s:\n    CommandLine|re: '"+c.re+"'\n  condition: s\n")))
		if c.want == "" {
			checkAll(t, p, fmt.Sprintf("x.yml:%d:21: regular expression %q: ", sigmaLines+2, c.re))
			continue
		}
		checkAll(t, p)
		if !p.HasErrors() && !strings.HasSuffix(p.Queries[0], "process.command_line "+c.want+"\n") {
			t.Errorf("%s: %s, want %s", c.re, p.Queries[0], c.want)
		}
	}
}

// TestSigmaRegexMatches compares the translation with what the expression means.
func TestSigmaRegexMatches(t *testing.T) {
	for _, c := range []struct {
		re, modifiers string
		yes, no       []string
	}{
		{`(^|[;&] ?)nc($| -)`, "", []string{"nc", "nc -l", "a; nc", "a&nc -e"}, []string{"anc", "ncat", "nc2 -l", "a nc"}},
		{`^/tmp/[a-f0-9]{4}(\.sh)?$`, "", []string{"/tmp/00ff", "/tmp/abcd.sh"}, []string{"/tmp/00fg", "/tmp/00fff", "x/tmp/00ff", "/tmp/00FF"}},
		{`^/tmp/[a-f0-9]{4}$`, "|i", []string{"/TMP/00FF", "/tmp/00ff"}, []string{"/tmp/00gg"}},
		{`a(?i:b)c`, "", []string{"xabcx", "aBc"}, []string{"Abc", "abC"}},
		{`x.y`, "", []string{"x y"}, []string{`x\ny`}},
		{`x.y`, "|s", []string{"x y", `x\ny`}, []string{"xy"}},
		{`a\*b?"`, "", []string{`a*b\"`, `a*\"`}, []string{`ab\"`, "a*b"}},
	} {
		p := loadTree(t, tree("x.yml", sigmaRule("process_creation", "  s:\n    CommandLine|re"+c.modifiers+": '"+c.re+"'\n  condition: s\n")))
		checkAll(t, p)
		img := imageOf(t, p)
		for i, list := range [][]string{c.yes, c.no} {
			for _, v := range list {
				line := `{"event.category":"process","event.type":"start","event.action":"exec","process.command_line":"` + v + `"}`
				if got := replayed(t, img, []byte(line)); (len(got) > 0) != (i == 0) {
					t.Errorf("%s%s on %q: alerts %q", c.re, c.modifiers, v, got)
				}
			}
		}
	}
}

// TestSigmaMatches runs rules of each category on events.
func TestSigmaMatches(t *testing.T) {
	const exec = `"event.category":"process","event.type":["start","exec"],"event.action":"exec"`
	const connect = `"event.category":"network","event.action":"connection_attempted"`
	for _, c := range []struct {
		name, category, detection string
		yes, no                   []string
	}{
		{"filters of absent fields", "process_creation", `  selection:
    Image|endswith: ['/sh', '/bash']
    CommandLine|contains|all: [' -c ', 'curl']
  filter_main:
    ParentImage: '/usr/sbin/cron'
  filter_optional:
    User: null
  condition: selection and not 1 of filter_*
`, []string{
			exec + `,"process.executable":"/bin/sh","process.command_line":"sh -c curl x","user.name":"u"`,
			exec + `,"process.executable":"/bin/BASH","process.command_line":"sh -C CURL","user.name":"u","process.parent.executable":"/bin/x"`,
		}, []string{
			exec + `,"process.executable":"/bin/sh","process.command_line":"sh -c curl x","user.name":"u","process.parent.executable":"/usr/sbin/cron"`,
			exec + `,"process.executable":"/bin/sh","process.command_line":"sh -c curl x"`,
			exec + `,"process.executable":"/bin/sh","process.command_line":"sh -c wget","user.name":"u"`,
			`"event.category":"process","event.type":["start","fork"],"event.action":"fork","process.executable":"/bin/sh","process.command_line":"sh -c curl x","user.name":"u"`,
			`"event.category":"file","event.action":"creation","process.executable":"/bin/sh","process.command_line":"sh -c curl x","user.name":"u"`,
		}},
		{"wildcards", "process_creation", "  s:\n    CommandLine: ['*a\\*b*', 'x?z', 'lit\\?']\n  condition: s\n", []string{
			exec + `,"process.command_line":"1 a*b 2"`, exec + `,"process.command_line":"xyz"`, exec + `,"process.command_line":"LIT?"`,
		}, []string{
			exec + `,"process.command_line":"1 aXb 2"`, exec + `,"process.command_line":"xyyz"`, exec + `,"process.command_line":"lita"`,
			exec,
		}},
		{"files", "file_event", "  s:\n    TargetFilename|startswith: /etc/cron.d/\n  not_apt:\n    Image: /usr/bin/apt\n  condition: s and not not_apt\n", []string{
			`"event.category":"file","event.action":"creation","file.path":"/etc/cron.d/x"`,
			`"event.category":"file","event.action":"modification","file.path":"/etc/cron.d/x","process.executable":"/bin/sh"`,
		}, []string{
			`"event.category":"file","event.action":"creation","file.path":"/etc/cron.d/x","process.executable":"/usr/bin/apt"`,
			`"event.category":"file","event.action":"open","file.path":"/etc/cron.d/x"`,
			`"event.category":"file","event.action":"deletion","file.path":"/etc/cron.d/x"`,
		}},
		{"networks", "network_connection", `  s:
    Initiated: 'true'
    DestinationPort: [443, '8443']
  local:
    DestinationIp|cidr: [10.0.0.0/8, 'fd00::/8']
  one:
    DestinationIp: 192.0.2.1
  text:
    DestinationIp|startswith: '198.51.'
  condition: s and not local and not 1 of (one)
`, nil, nil},
		{"addresses", "network_connection", `  s:
    Initiated: 'true'
    DestinationPort: [443, '8443']
  f_local:
    DestinationIp|cidr: [10.0.0.0/8, 'fd00::/8']
  f_one:
    DestinationIp: 192.0.2.1
  f_text:
    DestinationIp|startswith: '198.51.'
  condition: s and not 1 of f_*
`, []string{
			connect + `,"destination.ip":"203.0.113.1","destination.port":443`, connect + `,"destination.ip":"2001:db8::1","destination.port":8443`,
			connect + `,"destination.port":443`,
		}, []string{
			connect + `,"destination.ip":"10.1.2.3","destination.port":443`, connect + `,"destination.ip":"fd00::1","destination.port":443`,
			connect + `,"destination.ip":"192.0.2.1","destination.port":443`, connect + `,"destination.ip":"198.51.100.9","destination.port":443`,
			connect + `,"destination.ip":"203.0.113.1","destination.port":80`,
			`"event.category":"network","event.action":"connection_accepted","destination.ip":"203.0.113.1","destination.port":443`,
		}},
		{"not initiated", "network_connection", "  s:\n    Initiated: false\n    DestinationIsIpv6: false\n    Protocol: tcp\n  condition: s\n", []string{
			`"event.category":"network","event.action":"connection_accepted","network.type":"ipv4","network.transport":"tcp"`,
		}, []string{
			`"event.category":"network","event.action":"connection_attempted","network.type":"ipv4","network.transport":"tcp"`,
			`"event.category":"network","event.action":"connection_accepted","network.type":"ipv6","network.transport":"tcp"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadTree(t, tree("x.yml", sigmaRule(c.category, c.detection)))
			if c.yes == nil {
				if !p.HasErrors() {
					t.Error("taken")
				}
				return
			}
			// That nothing captures accepted connections yet is no mistake of the rule.
			p.Problems = slices.DeleteFunc(p.Problems, func(q rules.Problem) bool {
				return q.Warning && strings.Contains(q.Msg, "this version captures")
			})
			checkAll(t, p)
			img := imageOf(t, p)
			for i, list := range [][]string{c.yes, c.no} {
				for _, e := range list {
					if got := replayed(t, img, []byte("{"+e+"}")); (len(got) > 0) != (i == 0) {
						t.Errorf("alerts %q on %s\n%s", got, e, p.Queries[0])
					}
				}
			}
		})
	}
}

// TestSigmaFields checks what a rule says of itself.
func TestSigmaFields(t *testing.T) {
	const text = `title: A shell
id: 11-22
status: test
description: d
references: [x]
author: a
date: 2026-01-02
tags:
  - attack.execution
  - attack.t1059.004
  - attack.T1059
  - cve.2026-1
logsource:
  category: process_creation
  product: linux
  definition: d
detection:
  s:
    Image|endswith: /sh
  condition: s
fields: [CommandLine]
falsepositives: [unknown]
level: %s
custom: 1
`
	for level, want := range map[string]ir.Severity{"informational": ir.Low, "low": ir.Low, "medium": ir.Medium, "high": ir.High, "critical": ir.Critical} {
		name := filepath.Join(t.TempDir(), "shell.yml")
		write(t, name, fmt.Sprintf(text, level))
		p, err := rules.Load(name, eql.Elastic)
		if err != nil {
			t.Fatal(err)
		}
		checkAll(t, p)
		r := p.Set.Rules[0]
		if r.ID != "11-22" || r.Name != "A shell" || r.Severity != want || r.File != "shell.yml" ||
			!slices.Equal(r.Mitre, []string{"T1059.004", "T1059"}) || len(r.Tags) != 4 {
			t.Errorf("level %s: %+v", level, r)
		}
	}
	p := loadTree(t, tree("named.yaml", "logsource: {category: file_event}\ndetection: {s: {TargetFilename: /x}, condition: s}\n"))
	checkAll(t, p)
	if r := p.Set.Rules[0]; r.ID != "named" || r.Name != "named" || r.Severity != ir.Medium {
		t.Errorf("%+v", r)
	}
}

func TestSigmaProblems(t *testing.T) {
	rule := func(detection string) string { return sigmaRule("process_creation", detection) }
	const s = "  s:\n    Image: /a\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"windows", strings.Replace(rule(s), "linux", "windows", 1), []string{"x.yml:4:12: warning: passed over: rule sigma-id is for product windows"}},
		{"another category", sigmaRule("dns_query", s), []string{"x.yml:5:13: warning: passed over: rule sigma-id is for category dns_query"}},
		{"service", strings.Replace(rule(s), "category: process_creation", "service: auditd", 1),
			[]string{"x.yml:5:12: warning: passed over: rule sigma-id is for the log of service auditd"}},
		{"no category", strings.Replace(rule(s), "  category: process_creation\n", "", 1),
			[]string{"x.yml:4:3: warning: passed over: rule sigma-id is for a log source without a category"}},
		{"no log source", "detection:\n" + s, []string{"x.yml:1:1: a Sigma rule needs logsource and detection"}},
		{"correlation", "title: x\ncorrelation:\n  type: event_count\n", []string{"x.yml:3:3: correlation rules are refused"}},
		{"collection", "action: global\n" + rule(s), []string{"x.yml:1:9: rule collections (action) are refused"}},
		{"documents", rule(s) + "---\n" + rule(s), []string{"x.yml:10:1: here a second document begins"}},
		{"level", strings.Replace(rule(s+"  condition: s\n"), "high", "higher", 1), []string{`x.yml:10:8: level "higher"`}},
		{"no YAML", "detection:\n\tx\n", []string{"x.yml:2:1: "}},
		{"no condition", rule(s), []string{"x.yml:7:3: detection has no condition"}},
		{"timeframe", rule(s + "  timeframe: 5m\n  condition: s\n"), []string{"x.yml:9:3: timeframe is refused"}},
		{"count", rule(s + "  condition: s | count() by User > 5\n"), []string{"x.yml:9:16: condition: aggregations"}},
		{"near", rule(s + "  condition: s | near s\n"), []string{"x.yml:9:16: condition: aggregations"}},
		{"near without a bar", rule(s + "  condition: 'near s'\n"), []string{"x.yml:9:15: condition: aggregations"}},
		{"unknown selection", rule("  selection:\n    Image: /a\n  condition: (selecton)\n"),
			[]string{"x.yml:9:15: condition: there is no selection selecton (did you mean selection?)"}},
		{"no such pattern", rule(s + "  condition: 1 of filter_*\n"), []string{`x.yml:9:19: condition: no selection is named like "filter_*"`}},
		{"two of", rule(s + "  condition: 2 of them\n"), []string{`x.yml:9:14: condition: "2" of is refused`}},
		{"open parenthesis", rule(s + "  condition: (s\n"), []string{"x.yml:9:14: condition: a parenthesis is not closed"}},
		{"closed parenthesis", rule(s + "  condition: s)\n"), []string{`x.yml:9:15: condition: ")" is not expected here`}},
		{"two selections", rule(s + "  condition: s s\n"), []string{`x.yml:9:16: condition: "s" is not expected here`}},
		{"ends early", rule(s + "  condition: s and\n"), []string{"x.yml:9:14: condition: it ends where"}},
		{"over two lines", rule(s + "  condition: >\n    s and\n    t\n"), []string{"x.yml:9:14: condition: there is no selection t"}},
		{"deep", rule(s + "  condition: " + strings.Repeat("(", 1000) + "s\n"), []string{"x.yml:9:114: condition: nested more than 100 deep"}},
		{"condition is a mapping", rule(s + "  condition: {a: b}\n"), []string{"x.yml:9:14: condition is a mapping, want text"}},
		{"keywords", rule("  keywords: [a, b]\n  condition: keywords\n"), []string{`x.yml:7:14: selection keywords: keywords ("a") are refused`}},
		{"keyword", rule("  keywords: a\n  condition: keywords\n"), []string{`x.yml:7:13: selection keywords: keywords ("a") are refused`}},
		{"keywords with a modifier", rule("  k:\n    '|all': [a, b]\n  condition: k\n"), []string{"x.yml:8:5: keywords (|all) are refused"}},
		{"empty selection", rule("  s: {}\n  condition: s\n"), []string{"x.yml:7:6: a selection is an empty mapping"}},
		{"null selection", rule("  s:\n  condition: s\n"), []string{"x.yml:7:5: selection s is empty"}},
		{"unknown field", rule("  s:\n    Imge: a\n  condition: s\n"), []string{"x.yml:8:5: field Imge has no counterpart (did you mean Image?)"}},
		{"refused fields", rule("  s:\n    OriginalFileName: a\n    LogonId: b\n  condition: s\n"),
			[]string{"x.yml:8:5: field OriginalFileName is refused: ", "x.yml:9:5: field LogonId is refused: "}},
		{"refused host name", sigmaRule("network_connection", "  s:\n    DestinationHostname: a\n  condition: s\n"),
			[]string{"x.yml:8:5: field DestinationHostname is refused: "}},
		{"field of other events", rule("  s:\n    TargetFilename: a\n  condition: s\n"),
			[]string{"x.yml:8:5: field TargetFilename: events of process_creation have no file.path"}},
		{"field twice", rule("  s:\n    Image: a\n    Image: b\n  condition: s\n"), []string{"x.yml:9:5: key Image is there twice"}},
		{"refused modifier", rule("  s:\n    CommandLine|windash|contains: a\n  condition: s\n"), []string{"x.yml:8:5: modifier windash is refused"}},
		{"encoded, too short", rule("  s:\n    CommandLine|base64offset|contains: ''\n  condition: s\n"), []string{"x.yml:8:40: base64offset takes text without wildcards"}},
		{"encoded wildcard", rule("  s:\n    CommandLine|base64: 'a*'\n  condition: s\n"), []string{`x.yml:8:25: base64 takes text without wildcards, not "a*"`}},
		{"encoded behind", rule("  s:\n    CommandLine|contains|base64: a\n  condition: s\n"), []string{"x.yml:8:5: modifier base64 stands behind contains"}},
		{"wide behind", rule("  s:\n    CommandLine|base64|wide|contains: a\n  condition: s\n"), []string{"x.yml:8:5: modifier wide stands behind base64"}},
		{"only wide", rule("  s:\n    CommandLine|wide|contains: a\n  condition: s\n"), []string{"x.yml:8:5: modifier wide is refused without base64"}},
		{"encoded twice", rule("  s:\n    CommandLine|base64|base64offset|contains: a\n  condition: s\n"), []string{"x.yml:8:5: modifiers base64 and base64offset exclude each other"}},
		{"encoded with re", rule("  s:\n    CommandLine|base64|re: a\n  condition: s\n"), []string{"x.yml:8:5: modifiers base64 and re exclude each other"}},
		{"offset of a whole", rule("  s:\n    CommandLine|base64offset: abc\n  condition: s\n"), []string{"x.yml:8:5: base64offset takes contains"}},
		{"unknown modifier", rule("  s:\n    CommandLine|contain: a\n  condition: s\n"),
			[]string{"x.yml:8:5: unknown modifier contain (did you mean contains"}},
		{"modifiers that exclude each other", rule("  s:\n    CommandLine|contains|re: a\n  condition: s\n"),
			[]string{"x.yml:8:5: modifiers contains and re exclude each other"}},
		{"no number", rule("  s:\n    ProcessId: x\n  condition: s\n"), []string{`x.yml:8:16: ProcessId is a number, not "x"`}},
		{"no address", sigmaRule("network_connection", "  s:\n    DestinationIp: [x, 10.0.0.0/8]\n  condition: s\n"),
			[]string{`x.yml:8:21: DestinationIp is an address, not "x"`, `x.yml:8:24: DestinationIp is an address, not "10.0.0.0/8"`}},
		{"no network", sigmaRule("network_connection", "  s:\n    DestinationIp|cidr: 10.0.0.0/99\n  condition: s\n"), []string{"x.yml:8:25: cidr takes"}},
		{"cidr of text", rule("  s:\n    Image|cidr: 10.0.0.0/8\n  condition: s\n"), []string{"x.yml:8:17: cidr takes an address field"}},
		{"order of text", rule("  s:\n    Image|gt: 5\n  condition: s\n"), []string{"x.yml:8:15: gt takes a field of numbers"}},
		{"no truth", sigmaRule("network_connection", "  s:\n    Initiated: maybe\n  condition: s\n"), []string{`x.yml:8:16: Initiated is true or false, not "maybe"`}},
		{"null in contains", rule("  s:\n    Image|contains: null\n  condition: s\n"), []string{"x.yml:8:21: contains takes text, not null"}},
		{"no values", rule("  s:\n    Image: []\n  condition: s\n"), []string{"x.yml:8:12: Image is an empty list"}},
		{"values are a mapping", rule("  s:\n    Image: {a: b}\n  condition: s\n"), []string{"x.yml:8:12: Image is a mapping"}},
		{"alias", rule("  s:\n    Image: &i /a\n  t:\n    Image: *i\n  condition: s or t\n"), []string{"x.yml:10:12: Image is an alias"}},
		{"id", strings.Replace(rule(s+"  condition: s\n"), "sigma-id", strings.Repeat("i", 256), 1), []string{"x.yml:2:5: rule id or name of more than 255"}},
		{"too large", rule("  s:\n    CommandLine: [" + numbered("aaaaaaa*b%d, ", 20000) + "x]\n  condition: s" + strings.Repeat(" or s", 50) + "\n"), []string{"x.yml:7:3: "}},
		{"what the compiler refuses", rule("  s:\n    CommandLine: x\n  t:\n    CommandLine|re: '" + strings.Repeat("(", 250) + "a" + strings.Repeat("|b)", 250) + "'\n  condition: s or t\n"),
			[]string{"x.yml:10:21: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkAll(t, loadTree(t, tree("x.yml", c.text, "good.eql", goodQuery)), c.want...)
		})
	}
	name := filepath.Join(t.TempDir(), "x.yml")
	write(t, name, "a: b\n")
	if p, err := rules.Load(name, eql.Kestrel); err != nil || !p.HasErrors() {
		t.Errorf("a file that is no rule, named by the user: %v %v", err, p)
	}
}

// numbered repeats a format with the numbers from 0.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestSigmaOffsets: what base64offset looks for is in every text that was encoded with the value in it.
func TestSigmaOffsets(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		text := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = "abcdefgh01234567 -/."[r.IntN(20)]
			}
			return string(b)
		}
		value := "x" + text(1+r.IntN(12)) + "y"
		p := loadTree(t, tree("x.yml", sigmaRule("process_creation", "  s:\n    CommandLine|base64offset|contains: '"+value+"'\n  condition: s\n")))
		checkAll(t, p)
		img := imageOf(t, p)
		for before := range 7 {
			line := base64.StdEncoding.EncodeToString([]byte(text(before) + value + text(r.IntN(5))))
			ev := `{"event.category":"process","event.type":"start","event.action":"exec","process.command_line":"echo ` + line + `"}`
			if len(replayed(t, img, []byte(ev))) != 1 {
				t.Errorf("seed %d: %q is not found in %s", seed, value, line)
			}
		}
	}
}
