package rules_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/eql"
)

func pick(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// randomRegex writes an expression of Perl's syntax.
func randomRegex(r *rand.Rand, depth int) string {
	if depth == 0 {
		return pick(r, "a", "b", "B", "ab", ".", "[ab]", "[^a]", `\d`, "1", `\.`, `"`, "#", "&", "<", "~", "@", " ", `\s`, "(?i:b)")
	}
	sub := func() string { return randomRegex(r, depth-1) }
	switch r.IntN(8) {
	case 0:
		return sub() + sub()
	case 1:
		return "(" + sub() + "|" + sub() + ")"
	case 2:
		return "(?:" + sub() + ")" + pick(r, "*", "+", "?", "{2}", "{1,2}", "{1,}", "*?")
	case 3:
		return pick(r, "^", "(^|a)", "(?:^|b)") + sub()
	case 4:
		return sub() + pick(r, "$", "(a|$)", "(?:b|$)")
	case 5:
		return sub() + "|" + sub()
	case 6:
		return "(" + sub() + ")"
	}
	return sub() + sub() + sub()
}

// TestSigmaRegexRandom compares translated expressions with what Go's engine makes of the original.
func TestSigmaRegexRandom(t *testing.T) {
	const seed, rounds = 1, 3000
	r := rand.New(rand.NewPCG(seed, 0))
	compared, refused := 0, 0
	for range rounds {
		re := pick(r, "", "", "", "(?i)", "(?s)") + randomRegex(r, 1+r.IntN(3))
		want, err := regexp.Compile(re)
		if err != nil {
			continue
		}
		text, err := json.Marshal(re)
		if err != nil {
			t.Fatal(err)
		}
		p := loadTree(t, tree("x.yml", sigmaRule("process_creation", "  s:\n    CommandLine|re: "+string(text)+"\n  condition: s\n")))
		if p.HasErrors() {
			if refused++; !strings.Contains(p.Problems[0].Msg, "anchors") {
				t.Errorf("%s: %v", re, p.Err())
			}
			continue
		}
		_, literal, _ := strings.Cut(p.Queries[0], "process.command_line regex")
		fold := strings.HasPrefix(literal, "~")
		x, ds := eql.ParseExpr("", []byte(strings.TrimPrefix(literal, "~")), eql.Kestrel)
		lit, ok := x.(*eql.String)
		if ds.HasErrors() || !ok {
			t.Fatalf("%s: %s", re, p.Queries[0])
		}
		for range 20 {
			var b strings.Builder
			for range r.IntN(6) {
				b.WriteString(pick(r, "a", "b", "A", "B", "1", ".", `"`, "#", "&", "<", "~", "@", " ", "\n", "ab"))
			}
			compared++
			got := build.Match(build.Pattern{Kind: build.Regex, Text: lit.Value, Fold: fold}, build.Options{}, []byte(b.String()))
			if got != want.MatchString(b.String()) {
				t.Fatalf("seed %d: %s on %q: %v; EQL has %s", seed, re, b.String(), got, literal)
			}
		}
	}
	if compared < rounds || refused == 0 {
		t.Errorf("%d comparisons, %d refused", compared, refused)
	}
}

// sigmaEval is a rule as Sigma means it: every test of a field that is not there is false.
type sigmaEval struct {
	text string
	eval func(map[string]string) bool
}

// randomItem writes an item of a selection. Texts are in lower case, values of events in any.
func randomItem(r *rand.Rand, field string) sigmaEval {
	values := make([]string, 1+r.IntN(2))
	for i := range values {
		values[i] = pick(r, "a", "b", "ab", "*a", "b*", "a?", "*a*b*", `\*`, `a\*b`, `\?a*`, "", "ba")
	}
	modifier := pick(r, "", "", "|contains", "|startswith", "|endswith")
	all := len(values) > 1 && r.IntN(3) == 0
	ecs := map[string]string{"Image": "process.executable", "CommandLine": "process.command_line", "User": "user.name"}[field]
	if r.IntN(8) == 0 {
		return sigmaEval{field + ": null", func(e map[string]string) bool { _, ok := e[ecs]; return !ok }}
	}
	var quoted []string
	var tests []*regexp.Regexp
	for _, v := range values {
		quoted = append(quoted, "'"+v+"'")
		re := regexp.QuoteMeta(v)
		re = strings.NewReplacer(`\\\*`, `\*`, `\\\?`, `\?`, `\*`, ".*", `\?`, ".").Replace(re)
		switch modifier {
		case "|contains":
			re = ".*" + re + ".*"
		case "|startswith":
			re += ".*"
		case "|endswith":
			re = ".*" + re
		}
		tests = append(tests, regexp.MustCompile("(?is)^(?:"+re+")$"))
	}
	key := field + modifier
	if all {
		key += "|all"
	}
	return sigmaEval{key + ": [" + strings.Join(quoted, ", ") + "]", func(e map[string]string) bool {
		v, ok := e[ecs]
		if !ok {
			return false
		}
		n := 0
		for _, re := range tests {
			if re.MatchString(v) {
				n++
			}
		}
		return n == len(tests) || n > 0 && !all
	}}
}

// randomCondition writes a condition over three selections.
func randomCondition(r *rand.Rand, s []sigmaEval, depth int) sigmaEval {
	if depth == 0 {
		switch i := r.IntN(len(s) + 2); i {
		case len(s):
			return sigmaEval{"1 of s*", func(e map[string]string) bool { return s[0].eval(e) || s[1].eval(e) || s[2].eval(e) }}
		case len(s) + 1:
			return sigmaEval{"all of them", func(e map[string]string) bool { return s[0].eval(e) && s[1].eval(e) && s[2].eval(e) }}
		default:
			return sigmaEval{fmt.Sprintf("s%d", i), s[i].eval}
		}
	}
	a, b := randomCondition(r, s, depth-1), randomCondition(r, s, depth-1)
	switch r.IntN(3) {
	case 0:
		return sigmaEval{"not (" + a.text + ")", func(e map[string]string) bool { return !a.eval(e) }}
	case 1:
		return sigmaEval{"(" + a.text + " or " + b.text + ")", func(e map[string]string) bool { return a.eval(e) || b.eval(e) }}
	}
	return sigmaEval{"(" + a.text + " and not " + b.text + ")", func(e map[string]string) bool { return a.eval(e) && !b.eval(e) }}
}

// TestSigmaRandom compares rules that went through the compiler and the engine with what Sigma means by them.
func TestSigmaRandom(t *testing.T) {
	const seed, rounds, events = 2, 60, 40
	r := rand.New(rand.NewPCG(seed, 0))
	alerts := 0
	for range rounds {
		var s []sigmaEval
		detection := ""
		for i := range 3 {
			a, b := randomItem(r, pick(r, "Image", "User")), randomItem(r, "CommandLine")
			joined := sigmaEval{"\n      " + a.text + "\n      " + b.text + "\n", func(e map[string]string) bool { return a.eval(e) && b.eval(e) }}
			if r.IntN(2) == 0 {
				joined = sigmaEval{"\n      - " + a.text + "\n      - " + b.text + "\n", func(e map[string]string) bool { return a.eval(e) || b.eval(e) }}
			}
			s = append(s, joined)
			detection += fmt.Sprintf("  s%d:%s", i, joined.text)
		}
		c := randomCondition(r, s, r.IntN(4))
		p := loadTree(t, tree("x.yml", sigmaRule("process_creation", detection+"  condition: "+c.text+"\n")))
		for _, q := range p.Problems {
			t.Errorf("%s\n%s", q, detection)
		}
		img := imageOf(t, p)
		for range events {
			e := map[string]string{"event.category": "process", "event.type": "start", "event.action": "exec"}
			for _, f := range []string{"process.executable", "process.command_line", "user.name"} {
				if r.IntN(4) > 0 {
					e[f] = pick(r, "a", "b", "A", "aB", "xa", "ba", "a*b", "*", "?a", "ab ab")
				}
			}
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			want := c.eval(e)
			if want {
				alerts++
			}
			if got := len(replayed(t, img, line)) > 0; got != want {
				t.Fatalf("seed %d: %s\n%s  condition: %s\n%s\nalert %v, want %v", seed, line, detection, c.text, p.Queries[0], got, want)
			}
		}
	}
	if alerts < rounds || alerts > rounds*events-rounds {
		t.Errorf("%d alerts of %d", alerts, rounds*events)
	}
}
