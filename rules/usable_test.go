package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/rules"
)

func ruleIDs(p *rules.Package) (ids []string) {
	for _, r := range p.Set.Rules {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestCompileUsable: rules with errors are left out, each form; errors of the package as a whole are not.
func TestCompileUsable(t *testing.T) {
	const broken = "process where process.nme == 1\n"
	legacy := `{"metadata": {"rule_id": "old"}}`
	for _, c := range []struct {
		name  string
		files []string
		ids   []string // that are left; nil: the set is refused
		left  int
	}{
		{"all good", []string{"a.eql", goodQuery}, []string{"a"}, 0},
		{"folder", []string{"a.eql", goodQuery, "b.eql", broken, "c.eql", broken}, []string{"a"}, 2},
		{"nothing left", []string{"b.eql", broken}, nil, 1},
		{"id twice", []string{"a.eql", goodQuery, "x/a.eql", goodQuery}, []string{"a"}, 1},
		{"manifest", []string{"manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n        - {id: b, file: b.eql}\n        - {id: c, file: gone.eql}\n" +
			"        - {id: d, file: a.eql, action: explode}\n        - {id: e, file: a.eql, suppress: 5}\n        - {file: a.eql}\n"), "a.eql", goodQuery, "b.eql", broken},
			[]string{"a"}, 5},
		{"suppressions of what is left out", []string{"manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n        - {id: b, file: gone.eql}\n") +
			"  suppressions: [{rule_id: b, conditions: ['user.id == 0']}]\n", "a.eql", goodQuery}, []string{"a"}, 1},
		{"manifest as a whole", []string{"manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n") + "  color: red\n", "a.eql", goodQuery}, nil, 0},
		{"unknown suppressed", []string{"manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n") + "  suppressions: [{rule_id: b, conditions: []}]\n", "a.eql", goodQuery}, nil, 0},
		{"elastic", []string{"a.toml", elasticRule("a", goodQuery), "b.toml", elasticRule("b", broken), "c.toml", "[rule\n"}, []string{"a"}, 2},
		{"sigma", []string{"a.yml", sigmaRule("process_creation", "  s:\n    Image: /a\n  condition: s\n"),
			"b.yml", sigmaRule("process_creation", "  s: [keyword]\n  condition: s\n"), "c.yml", "detection:\n\tx\n"}, []string{"sigma-id"}, 2},
		{"earlier Kestrel", []string{"old/manifest.json", legacy, "old/rule.eql", broken, "a.eql", goodQuery}, []string{"a"}, 1},
		{"packages", []string{"p/manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n        - {id: b, file: b.eql}\n"), "p/a.eql", goodQuery, "p/b.eql", broken,
			"q/manifest.yaml", oneCategory("        - {id: a, file: a.eql}\n        - {id: c, file: a.eql}\n"), "q/a.eql", goodQuery}, []string{"a", "c"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := loadTree(t, tree(c.files...))
			file, rep, left, err := p.CompileUsable()
			if left != c.left || (err == nil) != (c.ids != nil) {
				t.Errorf("%d left out, %v, want %d", left, err, c.left)
			}
			if err != nil {
				if !p.HasErrors() {
					t.Errorf("%v, and no problem is an error: %v", err, p.Problems)
				}
				return
			}
			if !slices.Equal(ruleIDs(p), c.ids) || len(rep.Rules) != len(c.ids) || len(p.Queries) != len(c.ids) || p.HasErrors() {
				t.Errorf("rules %q, want %q; problems %v", ruleIDs(p), c.ids, p.Problems)
			}
			if _, err := image.Load(file); err != nil {
				t.Error(err)
			}
			n := 0
			for _, q := range p.Problems {
				if q.LeftOut() {
					n++
					if !q.Warning || !strings.Contains(q.String(), ": warning: left out: ") {
						t.Errorf("%q", q)
					}
				}
			}
			if n < left {
				t.Errorf("%d problems say why %d rules are left out", n, left)
			}
		})
	}
}

// TestCompilerRefuses: a rule that only the image writer refuses is named at its place, and can be left out.
func TestCompilerRefuses(t *testing.T) {
	// Each of the suppressions is good for itself; with both the rule has more tests than a predicate may have.
	var conditions []string
	for _, cmp := range []string{"<", ">"} {
		var tests []string
		for i := range limits.CodeMax/2 + 1 {
			tests = append(tests, fmt.Sprintf("process.pid %s %d", cmp, 100+i))
		}
		conditions = append(conditions, "'"+strings.Join(tests, " or ")+"'")
	}
	fsys := tree("manifest.yaml", oneCategory("        - {id: good, file: a.eql}\n        - {id: big, file: a.eql}\n")+
		"  suppressions:\n    - {rule_id: big, conditions: ["+strings.Join(conditions, ", ")+"]}\n", "a.eql", goodQuery)
	p := loadTree(t, fsys)
	checkAll(t, p)
	if _, _, err := p.Compile(); err == nil || err.Error() != p.Err().Error() {
		t.Fatalf("the error is %v, the problems are %v", err, p.Problems)
	}
	checkAll(t, p, "manifest.yaml:8:16: compile rule big: ")
	if p.Problems[0].Rule != "big" {
		t.Errorf("%+v", p.Problems[0])
	}
	p = loadTree(t, fsys)
	if _, _, left, err := p.CompileUsable(); err != nil || left != 1 || !slices.Equal(ruleIDs(p), []string{"good"}) {
		t.Errorf("%v, %d left out, rules %q", err, left, ruleIDs(p))
	}
}

func TestOnly(t *testing.T) {
	p := loadTree(t, tree("a.eql", goodQuery, "b.eql", "file where true\n"))
	if one := p.Only("b"); one == nil || !slices.Equal(ruleIDs(one), []string{"b"}) || one.Queries[0] != "file where true\n" || len(p.Set.Rules) != 2 {
		t.Errorf("%+v", one)
	}
	if one := p.Only("c"); one != nil {
		t.Errorf("%+v", one)
	}
}

// TestCorpusCompiles: all public Linux rules in one image, those left out that do not compile. The time is that of the
// whole: reading, checking, compiling, and proving the image.
func TestCorpusCompiles(t *testing.T) {
	const timeMax = 30 * time.Second // several times what a slow machine takes; the log says what it was
	start := time.Now()
	all := &ir.Ruleset{Name: "corpus"}
	reasons := make(map[string]int)
	leftOut := 0
	for _, p := range corpusPackages(t) {
		_, _, left, err := p.CompileUsable()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Problems {
			if q.LeftOut() {
				_, msg, _ := strings.Cut(q.Msg, "left out: rule "+q.Rule+": ")
				reasons[msg]++
			}
		}
		leftOut += left
		all.Rules = append(all.Rules, p.Set.Rules...)
	}
	file, rep, err := build.Build(all, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Load(file); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("%d rules, %d left out, %d bytes in %s; %d tests, %d atoms, %d predicates, %d of them without an index", len(all.Rules), leftOut, rep.Bytes,
		took.Round(time.Millisecond), rep.Tests, rep.Atoms, rep.Preds, rep.Always)
	for _, s := range rep.Sections {
		t.Logf("%9d %4.1f %% %s", s.Bytes, 100*float64(s.Bytes)/float64(rep.Bytes), s.Name)
	}
	for msg, n := range reasons {
		t.Logf("left out: %d: %s", n, msg)
	}
	if took > timeMax {
		t.Errorf("it took %s (max %s)", took, timeMax)
	}
}
