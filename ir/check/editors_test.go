package check_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// editors is the folder of grammars for highlighting.
const editors = "../../docs/editors"

// rule is a rule of a TextMate grammar.
type rule struct {
	Name     string          `json:"name"`
	Include  string          `json:"include"`
	Match    string          `json:"match"`
	Begin    string          `json:"begin"`
	End      string          `json:"end"`
	Patterns []rule          `json:"patterns"`
	Captures map[string]rule `json:"captures"`
}

type grammar struct {
	Name       string          `json:"name"`
	ScopeName  string          `json:"scopeName"`
	Patterns   []rule          `json:"patterns"`
	Repository map[string]rule `json:"repository"`
}

func readGrammar(t *testing.T) *grammar {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(editors, "kestrel-eql.tmLanguage.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := new(grammar)
	if err := json.Unmarshal(src, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// walk calls f for a rule and those inside it.
func (r *rule) walk(f func(*rule)) {
	f(r)
	for i := range r.Patterns {
		r.Patterns[i].walk(f)
	}
}

func (g *grammar) walk(f func(*rule)) {
	top := rule{Patterns: g.Patterns}
	top.walk(f)
	for _, name := range slices.Sorted(mapKeys(g.Repository)) {
		r := g.Repository[name]
		r.walk(f)
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestEditorsGrammar: the grammar is sound: its expressions compile in an engine that has no look-around and no
// back-references, what is included is there, and captures stand for groups.
func TestEditorsGrammar(t *testing.T) {
	g := readGrammar(t)
	if g.Name == "" || g.ScopeName == "" || len(g.Patterns) == 0 {
		t.Errorf("%q %q, %d patterns", g.Name, g.ScopeName, len(g.Patterns))
	}
	expressions := 0
	g.walk(func(r *rule) {
		if (r.Begin == "") != (r.End == "") {
			t.Errorf("begin %q, end %q", r.Begin, r.End)
		}
		for _, x := range []string{r.Match, r.Begin, r.End} {
			if x == "" {
				continue
			}
			expressions++
			compiled, err := regexp.Compile(x)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			if x != r.End && compiled.MatchString("") {
				t.Errorf("%q matches nothing", x)
			}
			for n := range r.Captures {
				if n < "1" || len(n) != 1 || int(n[0]-'0') > compiled.NumSubexp() {
					t.Errorf("%q has no group %s", x, n)
				}
			}
		}
		if name, ok := strings.CutPrefix(r.Include, "#"); r.Include != "" && (!ok || g.Repository[name].Patterns == nil) {
			t.Errorf("includes %q, which is not there", r.Include)
		}
	})
	if expressions == 0 {
		t.Error("no expressions")
	}
}

// TestEditorsWords: every word of the language and every function stands in the grammar and in the syntax file, and no
// function that is none.
func TestEditorsWords(t *testing.T) {
	var all strings.Builder
	readGrammar(t).walk(func(r *rule) { all.WriteString(r.Match + "\n") })
	vim, err := os.ReadFile(filepath.Join(editors, "eql.vim"))
	if err != nil {
		t.Fatal(err)
	}
	var functions []string
	for _, f := range check.Functions() {
		functions = append(functions, f.Name)
	}
	for name, text := range map[string]string{"grammar": all.String(), "eql.vim": string(vim)} {
		words := regexp.MustCompile(`[A-Za-z_]+`).FindAllString(text, -1)
		for _, w := range slices.Concat(eql.Keywords(), functions) {
			// \b before a word reads as the letter b.
			if !slices.Contains(words, w) && !slices.Contains(words, "b"+w) {
				t.Errorf("%s: no %s", name, w)
			}
		}
		list := `\(` + strings.Join(functions, `\\?\|`) + `\\?\)`
		if !regexp.MustCompile(list).MatchString(text) {
			t.Errorf("%s: the functions are not %s", name, strings.Join(functions, ", "))
		}
	}
}

// TestEditorsSample runs the expressions over lines as an editor does and looks at what some words come to.
func TestEditorsSample(t *testing.T) {
	g := readGrammar(t)
	for _, c := range []struct{ line, word, scope string }{
		{`sequence by process.entity_id with maxspan=30s`, "maxspan=30s", ""},
		{`sequence by process.entity_id with maxspan=30s`, "sequence", "keyword.control"},
		{`  [process where process.name == "x"] as first // note`, "// note", "comment.line"},
		{`process where ?process.args like~ ("a", "b")`, "?process.args", "variable.other.field"},
		{`process where ?process.args like~ ("a", "b")`, "like~", "keyword.operator.word"},
		{`process where StartsWith~(process.name, "a")`, "StartsWith~(", ""},
		{`process where contains.x == 1.5e3 and $HOME_NET`, "1.5e3", "constant.numeric"},
		{`process where contains.x == 1.5e3 and $HOME_NET`, "$HOME_NET", "variable.other.global"},
		{"any where `odd``name` != null", "`odd``name`", "variable.other.field.quoted"},
		{"any where `odd``name` != null", "null", "constant.language"},
		{`sequence ![file where true]`, "![", "keyword.control.missing"},
	} {
		if got := g.scope(c.line, c.word); !strings.HasPrefix(got, c.scope) || got == "none" {
			t.Errorf("%s: %q is %q, want %q", c.line, c.word, got, c.scope)
		}
	}
}

// scope is what the grammar makes of a word of a line: of the rules of the whole, the one that matches first, and of
// those the first. Strings that go on behind their beginning are not gone into.
func (g *grammar) scope(line, word string) string {
	for at := 0; at < len(line); {
		first, end, scope := len(line)+1, 0, ""
		for _, include := range g.Repository["all"].Patterns {
			r := g.Repository[strings.TrimPrefix(include.Include, "#")]
			r.walk(func(r *rule) {
				x := r.Match
				if r.Begin != "" {
					x = r.Begin
				}
				if x == "" || strings.Contains(r.Name, "escape") || strings.Contains(r.Name, "wildcard") {
					return
				}
				for _, m := range regexp.MustCompile(x).FindAllStringIndex(line, -1) {
					if m[0] >= at && m[0] < first {
						first, end, scope = m[0], m[1], r.Name
					}
				}
			})
		}
		if first > len(line) {
			break
		}
		if line[first:end] == word {
			return scope
		}
		at = end
	}
	return "none"
}
