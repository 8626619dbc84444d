package rules_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFolderWithoutManifest: every query is a rule named after its file.
func TestFolderWithoutManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	write(t, filepath.Join(dir, "one.eql"), goodQuery)
	write(t, filepath.Join(dir, "sub", "two.eql"), goodQuery)
	write(t, filepath.Join(dir, "notes.txt"), "no rule")
	p, err := rules.Load(dir, eql.Kestrel)
	if err != nil || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	var got []string
	for _, r := range p.Set.Rules {
		got = append(got, r.ID+" "+r.Name+" "+r.File)
		if r.Severity != ir.Medium {
			t.Errorf("rule %s: severity %d, want medium", r.ID, r.Severity)
		}
	}
	if want := []string{"one one one.eql", "two two sub/two.eql"}; !slices.Equal(got, want) {
		t.Errorf("rules %q, want %q", got, want)
	}
	if p.Set.Name != "mine" {
		t.Errorf("rule set %q, want the folder's name", p.Set.Name)
	}
}

func TestFolderProblems(t *testing.T) {
	if _, err := rules.LoadFS(fstest.MapFS{"a.txt": {}}, "pkg", eql.Kestrel); err == nil || !strings.Contains(err.Error(), "pkg") {
		t.Errorf("folder without rules: %v", err)
	}
	if _, err := rules.Load(filepath.Join(t.TempDir(), "nothing"), eql.Kestrel); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("no such folder: %v", err)
	}
	fsys := fstest.MapFS{"x/a.eql": {Data: []byte(goodQuery)}, "y/a.eql": {Data: []byte(goodQuery)}}
	p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) != 1 || !strings.HasPrefix(p.Problems[0].String(), "pkg/y/a.eql") || !strings.Contains(p.Problems[0].Msg, "x/a.eql") {
		t.Errorf("the same id in two folders: %v; want the second file named, and the first", p.Problems)
	}
}

// TestFolderName: whatever the file system calls a folder, compiling it ends with an image or an error.
func TestFolderName(t *testing.T) {
	for _, name := range []string{"n\xff", strings.Repeat("n", 300), "a b"} {
		p, err := rules.LoadFS(fstest.MapFS{"a.eql": {Data: []byte(goodQuery)}}, name, eql.Kestrel)
		if err != nil {
			continue
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("folder %q: %v", name, r)
				}
			}()
			if file, _, err := p.Compile(); err == nil {
				if _, err := image.Load(file); err != nil {
					t.Errorf("folder %q: %v", name, err)
				}
			}
		}()
	}
}

func TestOneFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "one.eql")
	write(t, name, goodQuery)
	p, err := rules.Load(name, eql.Kestrel)
	if err != nil || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	if len(p.Set.Rules) != 1 || p.Set.Rules[0].ID != "one" || p.Set.Name != "one" {
		t.Errorf("%+v", p.Set)
	}
	other := filepath.Join(t.TempDir(), "one.txt")
	write(t, other, goodQuery)
	if _, err := rules.Load(other, eql.Kestrel); err == nil || !strings.Contains(err.Error(), "one.txt") {
		t.Errorf("file of another kind: %v", err)
	}
}

func TestJSONLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "set.jsonl")
	write(t, name, `{"id":"a","name":"Rule A","query":"process where process.name == \"sh\"","severity":"HIGH"}

{"id":"b","name":"Rule B","query":"file where\n  file.path == \"/x\"","other":[1]}
`)
	p, err := rules.Load(name, eql.Kestrel)
	if err != nil || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	rs := p.Set.Rules
	if len(rs) != 2 || rs[0].ID != "a" || rs[0].Name != "Rule A" || rs[0].Severity != ir.High || rs[1].Severity != ir.Medium || p.Set.Name != "set" {
		t.Errorf("%+v", p.Set)
	}
	write(t, name, `{"id":"a","query":"process where\n  process.nme == \"x\""}
nonsense
{"id":5,"query":"any where true"}
{"id":"c"}
{"query":"any where true"}
{"id":"d","query":"any where true"}
{"id":"d","query":"any where true"}
{"id":"e","query":"any where "}`)
	p, err = rules.Load(name, eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range p.Problems {
		if !q.Warning {
			got = append(got, strings.TrimPrefix(q.String(), name))
		}
	}
	want := []struct{ at, part string }{
		{":1:37: ", "rule a: unknown field process.nme"}, {":2:2: ", "invalid character"}, {":3:7: ", "number"},
		{":4:1: ", "needs"}, {":5:1: ", "needs"}, {":7:7: ", "rule id d"}, {":8:30: ", "rule e: expected a condition"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w.at) || !strings.Contains(got[i], w.part) {
			t.Errorf("%q, want %s %s", got[i], w.at, w.part)
		}
	}
}

// TestJSONLinesName: a rule without a name has its id for one, as in a manifest.
func TestJSONLinesName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "set.jsonl")
	write(t, name, `{"id":"a","query":"any where true"}`)
	p, err := rules.Load(name, eql.Kestrel)
	if err != nil || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	if p.Set.Rules[0].Name != "a" {
		t.Errorf("name %q", p.Set.Rules[0].Name)
	}
}

// suppressed is a package of an event rule and a sequence, both with suppressions.
const suppressed = `
ruleset:
  name: x
  categories:
    - name: c
      severity: low
      rules:
        - {id: shell, file: shell.eql}
        - {id: pair, file: pair.eql}
        - {id: free, file: shell.eql}
  globals:
    TRUSTED: ["/opt/*", "/usr/bin/cron"]
  suppressions:
    - rule_id: shell
      conditions:
        - process.parent.executable in $TRUSTED
        - process.args contains "--quiet" and not user.id == 0
    - rule_id: pair
      conditions: ['process.name == "backup"']
`

// TestSuppressions: an event that a suppression describes does not count, for an event rule and for each step of a
// sequence; where the condition is null, it counts.
func TestSuppressions(t *testing.T) {
	fsys := fstest.MapFS{
		"manifest.yaml": {Data: []byte(suppressed)},
		"shell.eql":     {Data: []byte(`process where process.name == "sh"`)},
		"pair.eql": {Data: []byte("sequence by user.id\n  [process where process.executable == \"/bin/tar\"]\n" +
			"  [network where destination.port == 22]")},
	}
	p, err := rules.LoadFS(fsys, "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	checkProblems(t, p, nil)
	file, _, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, events string
		want         []string
	}{
		{"no parent known", `{"event.category":"process","process.executable":"/bin/sh"}`, []string{"shell", "free"}},
		{"another parent", `{"event.category":"process","process.executable":"/bin/sh","process.parent.executable":"/usr/bin/bash"}`, []string{"shell", "free"}},
		{"trusted parent", `{"event.category":"process","process.executable":"/bin/sh","process.parent.executable":"/usr/bin/cron"}`, []string{"free"}},
		{"trusted folder", `{"event.category":"process","process.executable":"/bin/sh","process.parent.executable":"/opt/x"}`, []string{"free"}},
		{"second condition", `{"event.category":"process","process.executable":"/bin/sh","process.args":["sh","--quiet=1"],"user.id":"7"}`, []string{"free"}},
		{"second condition is false", `{"event.category":"process","process.executable":"/bin/sh","process.args":["sh","--quiet=1"],"user.id":"0"}`, []string{"shell", "free"}},
		{"second condition is null", `{"event.category":"process","process.executable":"/bin/sh","process.args":["sh","--quiet=1"]}`, []string{"shell", "free"}},
		{"sequence", `{"event.category":"process","process.executable":"/bin/tar","user.id":"1"}
{"event.category":"network","destination.port":22,"user.id":"1"}`, []string{"pair"}},
		{"first step suppressed", `{"event.category":"process","process.executable":"/bin/tar","process.name":"backup","user.id":"1"}
{"event.category":"network","destination.port":22,"user.id":"1"}`, nil},
		{"last step suppressed, then not", `{"event.category":"process","process.executable":"/bin/tar","user.id":"1"}
{"event.category":"network","destination.port":22,"process.name":"backup","user.id":"1"}
{"event.category":"network","destination.port":22,"process.name":"scp","user.id":"1"}`, []string{"pair"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := replayed(t, img, []byte(c.events)); !slices.Equal(got, c.want) {
				t.Errorf("alerts %q, want %q", got, c.want)
			}
		})
	}
}

// TestSuppressionWarning: what is only doubtful about a condition does not refuse the package.
func TestSuppressionWarning(t *testing.T) {
	p, err := rules.LoadFS(files(oneCategory("        - {id: a, file: a.eql}\n")+
		"  suppressions:\n    - rule_id: a\n      conditions: ['process.pid < null']\n"), "pkg", eql.Kestrel)
	if err != nil {
		t.Fatal(err)
	}
	if p.HasErrors() || len(named(p)) != 1 {
		t.Errorf("problems %v, want one warning", p.Problems)
	}
}

// TestSameBytes: the same package gives the same image.
func TestSameBytes(t *testing.T) {
	_, first, _ := loadDefault(t)
	for range 3 {
		if _, again, _ := loadDefault(t); !slices.Equal(first, again) {
			t.Fatal("two compilations of the default rules differ")
		}
	}
}
