package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/rules"
)

const goodQuery = "process where process.name == \"sh\"\n"

// files makes a package of a manifest and the queries that the tests name.
func files(manifest string) fstest.MapFS {
	fsys := fstest.MapFS{
		"a.eql": {Data: []byte(goodQuery)}, "b.eql": {Data: []byte(goodQuery)}, "sub/c.eql": {Data: []byte(goodQuery)},
		"shells.eql":  {Data: []byte("process where process.name in $SHELL or\n  process.name == $MISSING\n")},
		"broken.eql":  {Data: []byte("process where\n  process.nme == \"a\" and\n  user.name == 4\n")},
		"unended.eql": {Data: []byte("process where process.name == \n")},
		"empty.eql":   {},
	}
	if manifest != "" {
		fsys["manifest.yaml"] = &fstest.MapFile{Data: []byte(manifest)}
	}
	return fsys
}

// oneCategory is a manifest with one category of severity low and the rules given as YAML.
func oneCategory(rules string) string {
	return "ruleset:\n  name: x\n  categories:\n    - name: c\n      severity: low\n      rules:\n" + rules
}

// problems are the errors of a package that stand at the places given, "file:line:col", each with the parts of its text
// that must be there. Warnings do not count.
type problem struct {
	at    string
	parts []string
}

func checkProblems(t *testing.T, p *rules.Package, want []problem) {
	t.Helper()
	var got []string
	for _, q := range p.Problems {
		if !q.Warning {
			got = append(got, q.String())
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i, w := range want {
		text, ok := strings.CutPrefix(got[i], "pkg/"+w.at+": ")
		if !ok {
			t.Errorf("%q is not at %s", got[i], w.at)
		}
		for _, part := range w.parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q does not say %q", got[i], part)
			}
		}
	}
	if p.HasErrors() != (len(want) > 0) || (p.Err() != nil) != (len(want) > 0) {
		t.Errorf("HasErrors %v, Err %v", p.HasErrors(), p.Err())
	}
	if _, _, err := p.Compile(); (err != nil) != (len(want) > 0) {
		t.Errorf("compile: %v", err)
	}
}

func TestManifestProblems(t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		want           []problem
	}{
		{"only a comment", "# nothing\n", []problem{{"manifest.yaml:1:1", []string{"empty"}}}},
		{"a list", "- a\n- b\n", []problem{{"manifest.yaml:1:1", nil}}},
		{"not YAML", "ruleset:\n  name: x\n\tversion: y\n", []problem{{"manifest.yaml:2:1", nil}}},
		{"unknown key at the top", "rulesets:\n  name: x\n", []problem{{"manifest.yaml:1:1", []string{"rulesets"}}}},
		{"unknown keys", "ruleset:\n  name: x\n  color: red\n  categories:\n    - name: c\n      severity: low\n      size: 3\n",
			[]problem{{"manifest.yaml:3:3", []string{"color"}}, {"manifest.yaml:7:7", []string{"size"}}}},
		{"key twice", "ruleset:\n  name: x\n  name: y\n", []problem{{"manifest.yaml:3:1", []string{"name", "line 2"}}}},
		{"no name", "ruleset:\n  version: '1'\n", []problem{{"manifest.yaml:1:1", []string{"ruleset.name"}}}},
		{"missing file", oneCategory("        - id: a\n          file: none.eql\n"),
			[]problem{{"manifest.yaml:8:17", []string{"rule a", "none.eql"}}}},
		{"file outside the package", oneCategory("        - id: a\n          file: ../a.eql\n"),
			[]problem{{"manifest.yaml:8:17", []string{"rule a", "../a.eql"}}}},
		{"absolute file", oneCategory("        - id: a\n          file: /a.eql\n"),
			[]problem{{"manifest.yaml:8:17", []string{"rule a", "/a.eql"}}}},
		{"file is a folder", oneCategory("        - id: a\n          file: sub\n"),
			[]problem{{"manifest.yaml:8:17", []string{"rule a", "sub"}}}},
		{"id twice", oneCategory("        - id: a\n          file: a.eql\n        - {id: a, file: b.eql}\n"),
			[]problem{{"manifest.yaml:9:16", []string{"rule id a", "a.eql"}}}},
		{"no id, no file", oneCategory("        - file: a.eql\n        - id: b\n"),
			[]problem{{"manifest.yaml:7:17", []string{"no id"}}, {"manifest.yaml:8:15", []string{"rule b", "no file"}}}},
		{"action", oneCategory("        - id: a\n          file: a.eql\n          action: explode\n"),
			[]problem{{"manifest.yaml:9:19", []string{"rule a", `"explode"`, "block"}}}},
		{"runtimes", oneCategory("        - {id: a, file: a.eql, runtime: wasm}\n        - {id: b, file: b.eql, runtime: cobol}\n"),
			[]problem{{"manifest.yaml:7:41", []string{"rule a", `"wasm"`}}, {"manifest.yaml:8:41", []string{"rule b", `"cobol"`}}}},
		{"long id", oneCategory("        - id: " + strings.Repeat("i", limits.NameBytesMax+1) + "\n          file: a.eql\n"),
			[]problem{{"manifest.yaml:7:15", []string{"255"}}}},
		{"queries", oneCategory("        - {id: a, file: broken.eql}\n        - {id: b, file: unended.eql}\n        - {id: c, file: empty.eql}\n"),
			[]problem{{"broken.eql:2:3", []string{"process.nme", "did you mean process.name?"}}, {"broken.eql:3:3", []string{"user.name"}},
				{"unended.eql:2:1", []string{"end of the query"}}, {"empty.eql:1:1", nil}}},
		{"unknown globals", oneCategory("        - {id: a, file: shells.eql}\n") + "  globals:\n    SHELLS: [sh]\n",
			[]problem{{"shells.eql:1:31", []string{"$SHELL", "did you mean SHELLS?"}},
				{"shells.eql:2:19", []string{"$MISSING", "globals"}}}},
		{"global that is no list", "ruleset:\n  name: x\n  globals:\n    NET: 10.0.0.0/8\n", []problem{{"manifest.yaml:4:10", nil}}},
		{"suppressions", oneCategory("        - {id: a, file: a.eql}\n") + `  globals:
    SHELLS: [sh]
  suppressions:
    - rule_id: nobody
      conditions: ['true']
    - rule_id: a
      conditions:
        - 'process.name == '
        - 'process.nam == "x"'
        - 'process.name == 5'
        - 'process.name in $SELLS'
`, []problem{{"manifest.yaml:11:16", []string{"nobody"}},
			{"manifest.yaml:15:28", []string{"suppression of a", "end of the"}},
			{"manifest.yaml:16:12", []string{"suppression of a", "process.nam"}},
			{"manifest.yaml:17:12", []string{"suppression of a", "process.name is a string"}},
			{"manifest.yaml:18:28", []string{"suppression of a", "$SELLS"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := rules.LoadFS(files(c.manifest), "pkg", eql.Kestrel)
			if err != nil {
				t.Fatal(err)
			}
			checkProblems(t, p, c.want)
		})
	}
	t.Run("empty", func(t *testing.T) {
		fsys := files("")
		fsys["manifest.yaml"] = &fstest.MapFile{}
		p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
		if err != nil {
			t.Fatal(err)
		}
		checkProblems(t, p, []problem{{"manifest.yaml:1:1", []string{"empty"}}})
	})
}

// named is the problems of a package but for the warnings of files that its manifest does not name: the files of these
// tests lie there for all of them.
func named(p *rules.Package) []rules.Problem {
	return slices.DeleteFunc(slices.Clone(p.Problems), func(q rules.Problem) bool {
		return strings.Contains(q.Msg, "names this file")
	})
}

// TestUnnamedFile: a query that the manifest forgot is not passed over in silence.
func TestUnnamedFile(t *testing.T) {
	p, err := rules.LoadFS(files(oneCategory("        - {id: a, file: a.eql}\n")), "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	if p.HasErrors() || !slices.ContainsFunc(p.Problems, func(q rules.Problem) bool {
		return q.Warning && q.File == "pkg/b.eql" && strings.Contains(q.Msg, "names this file")
	}) {
		t.Errorf("problems %v, want a warning of b.eql", p.Problems)
	}
}

// TestManifestMessages holds what a message must not be: a dump of this program's types, without the place of the
// mistake, or without the offer of the nearest name that rule files get.
func TestManifestMessages(t *testing.T) {
	for _, c := range []struct{ name, manifest, want string }{
		{"unknown key", "ruleset:\n  name: x\n  color: red\n", "pkg/manifest.yaml:3:"},
		{"severity", "ruleset:\n  name: x\n  categories:\n    - name: c\n      severity: lowish\n", `pkg/manifest.yaml:5:17: category c: severity "lowish"`},
		{"severity without a name", "ruleset:\n  name: x\n  categories:\n    - severity: lowish\n", `pkg/manifest.yaml:4:17: category`},
		{"no severity", "ruleset:\n  name: x\n  categories:\n    - name: c\n", "pkg/manifest.yaml:4:13: category c: severity"},
		{"nearest field in a suppression", oneCategory("        - {id: a, file: a.eql}\n") +
			"  suppressions:\n    - rule_id: a\n      conditions: ['process.nam == \"x\"']\n", "did you mean process.name?"},
		{"nothing is no text", "ruleset:\n  name: x\n  globals:\n    NAMES: [sh, null]\n", "pkg/manifest.yaml:4:"},
		{"a broken number is no text", "ruleset:\n  name: x\n  globals:\n    NAMES: [sh, 1.5]\n", "pkg/manifest.yaml:4:"},
		{"second document", "ruleset:\n  name: x\n---\nruleset:\n  name: y\n", "pkg/manifest.yaml:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := rules.LoadFS(files(c.manifest), "pkg", eql.Kestrel)
			if err != nil {
				t.Fatal(err)
			}
			problems := named(p)
			if len(problems) != 1 {
				t.Fatalf("%d problems, want one: %v", len(problems), problems)
			}
			got := problems[0].String()
			if !strings.Contains(got, c.want) {
				t.Errorf("%q does not say %q", got, c.want)
			}
			if strings.Contains(got, "struct {") || strings.Contains(got, "rules.") {
				t.Errorf("%q speaks of the program's types", got)
			}
		})
	}
}

// TestManifestFields checks what a manifest says of its rules.
func TestManifestFields(t *testing.T) {
	fsys := files(`
ruleset:
  name: mine
  version: 1.10
  description: d
  author: a
  date: 2026-01-02
  categories:
    - name: first
      severity: Critical
      rules:
        - {id: a, name: "Rule A", file: a.eql, action: block, runtime: native, tags: [t, u], mitre: [T1059]}
        - {id: b, file: sub/c.eql, action: kill}
    - name: second
      severity: low
      rules:
        - {id: 3, file: ports.eql, action: alert}
  globals:
    PORTS: [80, 0x1bb]
`)
	fsys["ports.eql"] = &fstest.MapFile{Data: []byte("network where destination.port in ($PORTS, 22)")}
	p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	checkProblems(t, p, nil)
	if p.Set.Name != "mine" || p.Set.Version != "1.10" {
		t.Errorf("rule set %q version %q", p.Set.Name, p.Set.Version)
	}
	var got []string
	for i, r := range p.Set.Rules {
		got = append(got, fmt.Sprintf("%s %q %d %d %v %v %s %q", r.ID, r.Name, r.Severity, r.Action, r.Tags, r.Mitre, r.File, p.Queries[i]))
	}
	want := []string{
		fmt.Sprintf(`a "Rule A" %d %d [t u] [T1059] a.eql %q`, ir.Critical, ir.ActionBlock, goodQuery),
		fmt.Sprintf(`b "b" %d %d [] [] sub/c.eql %q`, ir.Critical, ir.ActionKill, goodQuery),
		fmt.Sprintf(`3 "3" %d %d [] [] ports.eql %q`, ir.Low, ir.ActionAlert, "network where destination.port in ($PORTS, 22)"),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	in, ok := p.Set.Rules[2].Stages[0].Cond.(ir.IntIn)
	if !ok || fmt.Sprint(in.Values) != "[80 443 22]" {
		t.Errorf("condition %#v, want destination.port in 80, 443, 22", p.Set.Rules[2].Stages[0].Cond)
	}
}
