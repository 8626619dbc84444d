package dfa_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
)

// generator makes patterns and values over small alphabets, so that they meet.
type generator struct {
	*rand.Rand
	letters []string
}

var alphabets = [][]string{
	{"a", "b"},
	{"a", "B", "b", "A", " ", "\x00"},
	{"a", "é", "É", "€", "𝄞", "b"},
	{"/", "tmp", "bin", "sh", "-", "c", "1", "9", "10"},
	{"a", "\xff", "\xe2", "\x82", "\xac", "\xf0\x9d", "ê"},
	{"0", "1", "2", "7", "12", "[", "\\", "\"", "&"},
}

func newGenerator(seed uint64) *generator {
	r := rand.New(rand.NewPCG(seed, 7))
	return &generator{r, alphabets[r.IntN(len(alphabets))]}
}

func (g *generator) text(most int) string {
	var b strings.Builder
	for range g.IntN(most + 1) {
		b.WriteString(g.letters[g.IntN(len(g.letters))])
	}
	return b.String()
}

func (g *generator) wildcard() string {
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteString([]string{"*", "?", "", "**", "?*", "*?"}[g.IntN(6)])
		b.WriteString(g.text(3))
	}
	b.WriteString([]string{"*", "?", "", ""}[g.IntN(4)])
	return b.String()
}

// escape makes s stand for itself in a regex.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 && strings.ContainsRune(".?+*|{}[]()\"\\#@&<>~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (g *generator) regex(depth int) string {
	letter := func() string { return escape(g.letters[g.IntN(len(g.letters))]) }
	if depth == 0 {
		return letter()
	}
	sub := func() string { return g.regex(depth - 1) }
	switch g.IntN(18) {
	case 0, 1, 2:
		return sub() + sub()
	case 3, 4:
		return "(" + sub() + "|" + sub() + ")"
	case 5:
		return "(" + sub() + ")*"
	case 6:
		return "(" + sub() + ")+"
	case 7:
		return "(" + sub() + ")?"
	case 8:
		return fmt.Sprintf("(%s){%d}", sub(), g.IntN(4))
	case 9:
		return fmt.Sprintf("(%s){%d,}", sub(), g.IntN(3))
	case 10:
		n := g.IntN(3)
		return fmt.Sprintf("(%s){%d,%d}", sub(), n, n+g.IntN(4))
	case 11:
		return ".*" + sub()
	case 12:
		return sub() + ".*"
	case 13:
		return [...]string{".", "@", "#", "()", `\d`, `\D`, `\w`, `\W`, `\s`, `\S`, "[a-c]", "[^a-c]", "[^é]", "[ab]"}[g.IntN(14)]
	case 14:
		return "(~" + "(" + sub() + "))"
	case 15:
		return "(" + sub() + "&" + sub() + ")"
	case 16:
		return fmt.Sprintf("<%d-%d>", g.IntN(30), g.IntN(300))
	}
	return fmt.Sprintf(".*%s.{%d}", letter(), 6+g.IntN(6))
}

func (g *generator) pattern() build.Pattern {
	p := build.Pattern{Kind: build.Kind(g.IntN(6)), Fold: g.IntN(2) == 0}
	switch p.Kind {
	case build.Wildcard:
		p.Text = g.wildcard()
	case build.Regex:
		p.Text = g.regex(g.IntN(4))
	default:
		p.Text = g.text(4)
	}
	p.Text = strings.ToValidUTF8(p.Text, "a")
	return p
}

// aligned copies a table to where Load accepts it.
func aligned(table []byte) []byte {
	return slices.Clone(append(make([]byte, 0, len(table)+8), table...))
}

func load(t testing.TB, patterns []build.Pattern, opt build.Options, base uint32) (*dfa.Set, build.Report) {
	t.Helper()
	table, rep, err := build.Build(patterns, opt)
	if err != nil {
		t.Fatalf("build %+v: %v", patterns, err)
	}
	if rep.Bytes != len(table) {
		t.Fatalf("report says %d bytes, table has %d", rep.Bytes, len(table))
	}
	s, err := dfa.Load(aligned(table), base)
	if err != nil {
		t.Fatalf("load %+v: %v", patterns, err)
	}
	return s, rep
}

// TestScanAgreesWithMatch compares all parts of the automaton with the reference on patterns and values at random.
func TestScanAgreesWithMatch(t *testing.T) {
	rounds := uint64(4000)
	if testing.Short() {
		rounds = 400
	}
	var holds, checks, clears, fallbacks uint64
	strategies := map[string]int{}
	for seed := range rounds {
		g := newGenerator(seed)
		var patterns []build.Pattern
		for range g.IntN([]int{3, 12, 60}[g.IntN(3)]) {
			p := g.pattern()
			if p.Kind == build.Regex && build.CheckRegex(p.Text, p.Fold) != nil {
				continue
			}
			patterns = append(patterns, p)
		}
		opt := build.Options{MemoryMax: []int{1, 2000, 0, 1 << 20}[g.IntN(4)], NulIsSpace: g.IntN(2) == 0, Automata: g.IntN(3) == 0}
		base := uint32(g.IntN(100))
		s, rep := load(t, patterns, opt, base)
		for _, name := range rep.PatternStrategy {
			strategies[name]++
		}
		hits := dfa.NewHits(int(base) + len(patterns))
		scratches := []*dfa.Scratch{s.NewScratch(), s.NewScratchSized(2, 64), s.NewScratchSized(0, 0), s.NewScratchSized(9, 30)}
		dfa.SkipEpochs(scratches[0], hits)
		for range 25 {
			value := []byte(g.text([]int{0, 6, 30}[g.IntN(3)]))
			if len(patterns) > 0 && g.IntN(3) == 0 {
				p := patterns[g.IntN(len(patterns))]
				value = []byte(g.text(1) + strings.NewReplacer("*", g.text(2), "?", "é").Replace(p.Text) + g.text(1))
			}
			for _, sc := range scratches {
				hits.Reset()
				s.Scan(value, sc, hits)
				for i, p := range patterns {
					want := build.Match(p, opt, value)
					if got := hits.Has(base + uint32(i)); got != want {
						t.Fatalf("seed %d: kind %d %q fold %v options %+v value %q (%s): scan says %v, the reference %v",
							seed, p.Kind, p.Text, p.Fold, opt, value, rep.PatternStrategy[i], got, want)
					}
					checks++
					if want {
						holds++
					}
				}
				list := slices.Clone(hits.List())
				slices.Sort(list)
				if len(slices.Compact(list)) != len(hits.List()) {
					t.Fatalf("seed %d: an atom is listed twice: %d", seed, hits.List())
				}
			}
		}
		for _, sc := range scratches {
			clears += sc.CacheClears
			fallbacks += sc.Fallbacks
		}
	}
	t.Logf("%d checks, %d hold, %d cache clears, %d fallbacks, %v", checks, holds, clears, fallbacks, strategies)
	if holds < checks/50 || clears == 0 || fallbacks == 0 {
		t.Error("the test does not reach what it should")
	}
	for _, name := range []string{"never", "always", "exact hash", "prefix trie", "suffix trie", "gram filter", "AC-DFA", "glob", "DFA", "lazy DFA"} {
		if strategies[name] == 0 {
			t.Errorf("no pattern was decided by %s", name)
		}
	}
}

// TestScanUnion holds the promise for array fields: scans between two resets add up.
func TestScanUnion(t *testing.T) {
	patterns := []build.Pattern{
		{Kind: build.Exact, Text: "-c"}, {Kind: build.Contains, Text: "bash"}, {Kind: build.Wildcard, Text: "a*b*c"},
		{Kind: build.Regex, Text: "[0-9]+"},
	}
	s, _ := load(t, patterns, build.Options{}, 0)
	hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
	for _, arg := range []string{"/bin/bash", "-c", "abc", "abc", "12", "x"} {
		s.Scan([]byte(arg), sc, hits)
	}
	if got := hits.List(); !slices.Equal(got, []uint32{1, 0, 2, 3}) {
		t.Errorf("marked %d", got)
	}
	hits.Reset()
	s.Scan([]byte("y"), sc, hits)
	if len(hits.List()) != 0 {
		t.Errorf("marked %d after a reset", hits.List())
	}
	for array, want := range map[string][]uint32{
		"": nil, "y": nil, "\x00\x00": nil, "/bin/bash\x00-c\x00abc\x00abc\x0012\x00x": {1, 0, 2, 3}, "-\x00c": nil,
		"-c\x00": {0}, "\x00-c": {0}, "long element first\x0012": {3}, "a\x00b\x00c": nil,
	} {
		hits.Reset()
		s.ScanElements([]byte(array), sc, hits)
		if got := hits.List(); !slices.Equal(got, want) {
			t.Errorf("array %q marked %d, want %d", array, got, want)
		}
	}
}

// TestEpochsWrap marks in the first epoch and looks again in the one with the same number.
func TestEpochsWrap(t *testing.T) {
	s, _ := load(t, []build.Pattern{{Kind: build.Contains, Text: "a"}, {Kind: build.Wildcard, Text: "*a*b*"}}, build.Options{}, 0)
	hits, sc := dfa.NewHits(2), s.NewScratch()
	s.Scan([]byte("ab"), sc, hits)
	dfa.SkipEpochs(sc, hits)
	for _, value := range []string{"", "ab"} {
		hits.Reset()
		if hits.Has(0) || len(hits.List()) != 0 {
			t.Error("a mark outlived its epoch")
		}
		s.Scan([]byte(value), sc, hits)
		if holds := value != ""; hits.Has(0) != holds || hits.Has(1) != holds {
			t.Errorf("value %q: marked %d", value, hits.List())
		}
	}
}

func TestEmpty(t *testing.T) {
	s, rep := load(t, nil, build.Options{}, 5)
	hits := dfa.NewHits(5)
	s.Scan(nil, s.NewScratch(), hits)
	s.Scan([]byte("x"), s.NewScratch(), hits)
	if s.Atoms() != 0 || len(hits.List()) != 0 || rep.Strategy != "constant" {
		t.Errorf("empty set: %d atoms, marks %d, strategy %q", s.Atoms(), hits.List(), rep.Strategy)
	}
}

// TestBuildIsDeterministic builds in other orders of map iteration.
func TestBuildIsDeterministic(t *testing.T) {
	for seed := range uint64(60) {
		g := newGenerator(seed)
		var patterns []build.Pattern
		for range 40 {
			if p := g.pattern(); p.Kind != build.Regex || build.CheckRegex(p.Text, p.Fold) == nil {
				patterns = append(patterns, p)
			}
		}
		first, _, err := build.Build(patterns, build.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			again, _, err := build.Build(patterns, build.Options{})
			if err != nil || !bytes.Equal(first, again) {
				t.Fatalf("seed %d: two builds differ (%v)", seed, err)
			}
		}
	}
}
