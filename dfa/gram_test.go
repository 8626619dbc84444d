package dfa_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
)

// TestLiteralsAnywhere puts literals of every length at every place of values of every length, since the words that a
// value is read in have borders everywhere.
func TestLiteralsAnywhere(t *testing.T) {
	const text = "qVxzKwjy0-"
	var patterns []build.Pattern
	for n := 1; n <= len(text); n++ {
		for _, fold := range []bool{false, true} {
			patterns = append(patterns, build.Pattern{Kind: build.Contains, Text: text[len(text)-n:], Fold: fold},
				build.Pattern{Kind: build.Contains, Text: text[:n], Fold: fold},
				build.Pattern{Kind: build.Wildcard, Text: "*" + text[:n] + "*" + text[len(text)-n:] + "*", Fold: fold})
		}
	}
	for _, opt := range []build.Options{{}, {NulIsSpace: true}, {Automata: true}} {
		s, _ := load(t, patterns, opt, 0)
		hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
		for length := range 3*8 + 2 {
			for at := 0; at < length; at++ {
				for n := 1; n <= len(text) && at+n <= length; n++ {
					for _, piece := range []string{text[:n], strings.ToLower(text[len(text)-n:])} {
						value := []byte(strings.Repeat("_", at) + piece + strings.Repeat("\x00", length-at-n))
						hits.Reset()
						s.Scan(value, sc, hits)
						for i, p := range patterns {
							if got, want := hits.Has(uint32(i)), build.Match(p, opt, value); got != want {
								t.Fatalf("%+v %q in %q: scan says %v, the reference %v", opt, p.Text, value, got, want)
							}
						}
					}
				}
			}
		}
	}
}

// TestCrowdedLiterals has more literals than one gram may have, and no other gram to tell them apart.
func TestCrowdedLiterals(t *testing.T) {
	var patterns []build.Pattern
	for n := 3; n < 60; n++ {
		patterns = append(patterns, build.Pattern{Kind: build.Contains, Text: strings.Repeat("a", n)})
	}
	s, rep := load(t, patterns, build.Options{}, 0)
	if rep.Literals != 0 || rep.Inner.States == 0 {
		t.Fatalf("literals of one gram are looked for by grams: %+v", rep)
	}
	hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
	s.Scan([]byte(strings.Repeat("a", 30)), sc, hits)
	if got := len(hits.List()); got != 28 {
		t.Errorf("%d literals of at most 30 bytes hold, want 28", got)
	}
	patterns = patterns[:10]
	if _, rep = load(t, patterns, build.Options{}, 0); rep.Literals != len(patterns) {
		t.Errorf("%d of %d literals are looked for by grams", rep.Literals, len(patterns))
	}
}

// TestPresence holds the masks of programs against values that lack one byte.
func TestPresence(t *testing.T) {
	for text, want := range map[string]string{
		"-*L*": "-l", "a*": "", "*é*x?y*": "éxy", "/*/.*": "/.",
	} {
		p := build.Pattern{Kind: build.Wildcard, Text: text}
		s, _ := load(t, []build.Pattern{p}, build.Options{}, 0)
		hits, sc := dfa.NewHits(1), s.NewScratch()
		whole := strings.NewReplacer("*", "", "?", "q").Replace(text)
		for i := range len(whole) + 1 {
			value := []byte(whole)
			if i < len(whole) {
				value[i] = '\n'
			}
			hits.Reset()
			s.Scan(value, sc, hits)
			if got, match := hits.Has(0), build.Match(p, build.Options{}, value); got != match {
				t.Errorf("%q in %q: scan says %v, the reference %v", text, value, got, match)
			}
		}
		if m := dfa.PresenceMask([]byte(whole)); m&dfa.PresenceMask([]byte(want)) != dfa.PresenceMask([]byte(want)) {
			t.Errorf("%q: mask %x lacks bytes of %q", whole, m, want)
		}
	}
	seen := map[uint64]byte{}
	for b := byte(' '); b < 0x7f; b++ {
		m := dfa.PresenceMask([]byte{b})
		if other, known := seen[m]; known && other|0x20 != b|0x20 {
			t.Errorf("%q and %q are one class", b, other)
		}
		seen[m] = b
	}
}

// BenchmarkWildcards is 3,000 wildcards over a command line of 87 bytes, whose words are among those of the patterns.
func BenchmarkWildcards(b *testing.B) {
	for _, automata := range []bool{false, true} {
		patterns := wildcardPatterns(3000)
		s, rep := load(b, patterns, build.Options{NulIsSpace: true, Automata: automata, MemoryMax: 1 << 20}, 0)
		hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
		b.Run(fmt.Sprintf("automata=%v", automata), func(b *testing.B) {
			value := commandLines[87]
			for b.Loop() {
				hits.Reset()
				s.Scan(value, sc, hits)
			}
			b.ReportMetric(float64(rep.Bytes), "table-B")
			b.ReportMetric(float64(len(hits.List())), "hits")
		})
	}
}
