package rules_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
)

// readCases are the cases of the default rules, by rule.
func readCases(t *testing.T) map[string][]rules.Test {
	t.Helper()
	cases, problems := rules.Tests(os.DirFS("default"), "default")
	for _, p := range problems {
		t.Errorf("%s", p)
	}
	byRule := make(map[string][]rules.Test)
	for _, c := range cases {
		if path.Base(c.File) != c.Rule+".yaml" {
			t.Errorf("%s is for rule %q: the file name must be the rule's", c.File, c.Rule)
		}
		byRule[c.Rule] = append(byRule[c.Rule], c)
	}
	return byRule
}

func loadDefault(t *testing.T) (*rules.Package, []byte, *image.Image) {
	t.Helper()
	p, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range p.Problems {
		t.Errorf("%s", problem)
	}
	file, _, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return p, file, img
}

// caseSizes hold the few events of a case.
var caseSizes = agent.Sizes{Processes: 256, Tracks: 256, States: 512, Evidence: 512, Workers: 1}

// replayed runs events, given as JSON lines, through an image and returns the ids of the rules that alerted, each once
// per alert, in order.
func replayed(t *testing.T, img *image.Image, lines []byte) []string {
	t.Helper()
	var ids []string
	log := ecsjson.NewReader(bytes.NewReader(lines))
	res, err := agent.Replay(log, img, caseSizes, func(a alert.Alert, _ []byte) error {
		ids = append(ids, string(a.RuleID()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names, more := log.Ignored()
	for _, n := range names {
		t.Errorf("%s: %s", n.Name, n.Why)
	}
	if more > 0 || res.Engine.Events == 0 {
		t.Errorf("%d values ignored, %d events matched", more, res.Engine.Events)
	}
	return ids
}

// TestDefaultCases runs every case of every default rule through the compiled image: what must match raises the rule's
// alert, what must not does not. Other rules may alert on the same events.
func TestDefaultCases(t *testing.T) {
	_, _, img := loadDefault(t)
	byRule := readCases(t)
	cases := 0
	for _, id := range slices.Sorted(maps.Keys(byRule)) {
		for _, c := range byRule[id] {
			cases++
			kind := "no_match"
			if c.Match {
				kind = "match"
			}
			t.Run(id+"/"+kind+"/"+c.Name, func(t *testing.T) {
				got := replayed(t, img, c.Lines)
				if slices.Contains(got, id) != c.Match {
					t.Errorf("alerts %q: %s there: %v, want %v", got, id, !c.Match, c.Match)
				}
			})
		}
	}
	if cases < 4*len(img.Rules) {
		t.Errorf("%d cases for %d rules", cases, len(img.Rules))
	}
}

// TestDefaultComplete checks that every rule has its cases and every case its rule.
func TestDefaultComplete(t *testing.T) {
	const casesMin = 2
	p, _, _ := loadDefault(t)
	files := readCases(t)
	for _, r := range p.Set.Rules {
		cases, ok := files[r.ID]
		if !ok {
			t.Errorf("rule %s has no cases", r.ID)
			continue
		}
		delete(files, r.ID)
		match := 0
		for _, c := range cases {
			if c.Match {
				match++
			}
		}
		if other := len(cases) - match; match < casesMin || other < casesMin {
			t.Errorf("rule %s: %d matching and %d other cases (min %d of each)", r.ID, match, other, casesMin)
		}
		if path.Base(r.File) != r.ID+".eql" {
			t.Errorf("rule %s is in %s: a file is named after its rule", r.ID, r.File)
		}
		if r.Name == r.ID || len(r.Tags) == 0 || len(r.Mitre) == 0 {
			t.Errorf("rule %s lacks a name, tags or techniques", r.ID)
		}
	}
	for id := range files {
		t.Errorf("cases for %s, which is no rule", id)
	}
	var listed []string
	for _, r := range p.Set.Rules {
		listed = append(listed, r.File)
	}
	found, err := filepath.Glob("default/*/*.eql")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < len(p.Set.Rules) {
		t.Errorf("%d files for %d rules", len(found), len(p.Set.Rules))
	}
	for _, f := range found {
		if !slices.Contains(listed, strings.TrimPrefix(f, "default/")) {
			t.Errorf("%s is in no category of the manifest", f)
		}
	}
}

// tableRow is a row of the table of rules in default/README.md: id, severity, techniques, title.
var tableRow = regexp.MustCompile(`^\| ([a-z0-9-]+) \| (low|medium|high|critical) \| ([^|]*) \| ([^|]*) \|$`)

// TestDefaultTable compares the README of the default rules with the manifest: rows, order, and the sums in its text.
func TestDefaultTable(t *testing.T) {
	p, _, _ := loadDefault(t)
	src, err := os.ReadFile("default/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range strings.Lines(string(src)) {
		line = strings.TrimRight(line, "\n")
		if tableRow.MatchString(line) {
			got = append(got, line)
		}
	}
	severities := [...]string{"low", "medium", "high", "critical"}
	var count [len(severities)]int
	sequences := 0
	for _, r := range p.Set.Rules {
		want = append(want, fmt.Sprintf("| %s | %s | %s | %s |", r.ID, severities[r.Severity], strings.Join(r.Mitre, ", "), r.Name))
		count[r.Severity]++
		if r.Form == ir.FormSequence {
			sequences++
		}
	}
	if !slices.Equal(got, want) {
		for _, line := range got {
			if !slices.Contains(want, line) {
				t.Errorf("README has, the manifest does not: %s", line)
			}
		}
		for _, line := range want {
			if !slices.Contains(got, line) {
				t.Errorf("the manifest has, README does not: %s", line)
			}
		}
		if !t.Failed() {
			t.Error("the rows of README stand in another order than the manifest's rules")
		}
	}
	sums := fmt.Sprintf("%d rules (%d critical, %d high, %d medium, %d low), %d of them sequences", len(p.Set.Rules), count[3],
		count[2], count[1], count[0], sequences)
	if !strings.Contains(strings.Join(strings.Fields(string(src)), " "), sums) {
		t.Errorf("README does not say %q", sums)
	}
}

// TestDefaultImage compares the image in the binaries with what the rules compile to.
func TestDefaultImage(t *testing.T) {
	_, file, img := loadDefault(t)
	embedded := defaults.Image()
	if bytes.Equal(file, embedded) {
		return
	}
	old, err := image.Load(embedded)
	if err != nil {
		t.Fatalf("the embedded image does not load: %v", err)
	}
	t.Errorf("the embedded image (%s, %d rules, %d bytes) is not what rules/default compiles to (%s, %d rules, %d bytes): "+
		"make generate writes it anew", old.Version, len(old.Rules), len(embedded), img.Version, len(img.Rules), len(file))
}

// TestDefaultGlobalsUsed finds lists of the manifest that no rule and no suppression uses.
func TestDefaultGlobalsUsed(t *testing.T) {
	p, _, _ := loadDefault(t)
	src, err := os.ReadFile("default/manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Ruleset struct {
			Globals map[string]yaml.Node `yaml:"globals"`
		} `yaml:"ruleset"`
	}
	if err := yaml.Unmarshal(src, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Ruleset.Globals) == 0 {
		t.Fatal("no globals")
	}
	text := strings.Join(p.Queries, "\n") + string(src)
	for name := range m.Ruleset.Globals {
		if !regexp.MustCompile(`\$` + regexp.QuoteMeta(name) + `\b`).MatchString(text) {
			t.Errorf("global %s is used by no rule", name)
		}
	}
}
