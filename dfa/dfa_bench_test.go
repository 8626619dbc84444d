package dfa_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
)

var commandLines = map[int][]byte{
	45: []byte("/usr/bin/python3 -m pip install --user reques"),
	87: []byte("/bin/sh -c curl -fsSL https://deb.example.org/keys/archive.asc | gpg --dearmor -o /etc/"),
}

// words make patterns and names of the shape rules have.
func words(r *rand.Rand, n int) string {
	const letters = "etaoinshrdlucmfwypvbgkjqxz"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[min(r.IntN(26), r.IntN(26))]
	}
	return string(b)
}

// commandPatterns has the mix of kinds that public rules have on the command line.
func commandPatterns(n int) []build.Pattern {
	r := rand.New(rand.NewPCG(3, 4))
	out := make([]build.Pattern, n)
	for i := range out {
		word := words(r, 4+r.IntN(9))
		p := build.Pattern{Kind: build.Contains, Text: word, Fold: i%3 == 0}
		switch i % 20 {
		case 1, 2, 3:
			p = build.Pattern{Kind: build.Prefix, Text: "/usr/bin/" + word}
		case 4:
			p = build.Pattern{Kind: build.Suffix, Text: "." + word}
		case 5, 6:
			p = build.Pattern{Kind: build.Exact, Text: word + " -" + word[:1]}
		case 7, 8, 9:
			p = build.Pattern{Kind: build.Wildcard, Text: "*" + word + "*|*" + words(r, 3) + "*"}
		case 10:
			p = build.Pattern{Kind: build.Contains, Text: " --" + word}
		case 11:
			p = build.Pattern{Kind: build.Wildcard, Text: "/tmp/" + words(r, 2) + "*/" + word}
		}
		out[i] = p
	}
	return out
}

// wildcardPatterns are of the forms *word*word*, ?ord* and prefix*mid*suffix, over a vocabulary that includes the words
// of the command lines above.
func wildcardPatterns(n int) []build.Pattern {
	r := rand.New(rand.NewPCG(9, 10))
	vocabulary := strings.FieldsFunc(string(commandLines[45])+" "+string(commandLines[87]), func(c rune) bool {
		return strings.ContainsRune(" /.|-", c)
	})
	for len(vocabulary) < 1000 {
		vocabulary = append(vocabulary, words(r, 4+r.IntN(7)))
	}
	word := func() string { return vocabulary[r.IntN(len(vocabulary))] }
	out := make([]build.Pattern, n)
	for i := range out {
		text := "*" + word() + "*" + word() + "*"
		switch i % 3 {
		case 1:
			text = "?" + word()[1:] + "*"
		case 2:
			text = word() + "*" + word() + "*" + word()
		}
		out[i] = build.Pattern{Kind: build.Wildcard, Text: text, Fold: i%2 == 0}
	}
	return out
}

func BenchmarkCommandLine(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		s, rep := load(b, commandPatterns(n), build.Options{NulIsSpace: true}, 0)
		hits, sc := dfa.NewHits(n), s.NewScratch()
		for _, size := range []int{45, 87} {
			b.Run(fmt.Sprintf("patterns=%d/bytes=%d", n, size), func(b *testing.B) {
				value := commandLines[size]
				b.SetBytes(int64(len(value)))
				b.ReportMetric(float64(rep.Bytes), "table-B")
				for b.Loop() {
					hits.Reset()
					s.Scan(value, sc, hits)
				}
			})
		}
	}
}

func BenchmarkExactOnly(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	patterns := make([]build.Pattern, 1400)
	for i := range patterns {
		patterns[i] = build.Pattern{Kind: build.Exact, Text: words(r, 3+r.IntN(11)), Fold: i%4 == 0}
	}
	s, _ := load(b, patterns, build.Options{}, 0)
	hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
	for name, values := range map[string][]string{
		"hit":  {patterns[3].Text, patterns[77].Text, patterns[1200].Text, patterns[640].Text},
		"miss": {"bash", "systemd-resolve", "kworker/0:1", "NetworkManager"},
	} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				hits.Reset()
				s.Scan([]byte(values[i&3]), sc, hits)
				i++
			}
		})
	}
}

// BenchmarkPaths is a field of anchored patterns.
func BenchmarkPaths(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	var patterns []build.Pattern
	roots := []string{"/usr/bin/", "/usr/lib/", "/tmp/", "/var/lib/", "/etc/", "/home/*/", "/opt/", "/dev/shm/"}
	for i := range 800 {
		p := build.Pattern{Kind: build.Wildcard, Text: roots[i%len(roots)] + words(r, 3+r.IntN(9))}
		if i%3 == 0 {
			p.Text += "*"
		}
		patterns = append(patterns, p)
	}
	for range 40 {
		patterns = append(patterns, build.Pattern{Kind: build.Suffix, Text: "." + words(r, 3)})
	}
	s, _ := load(b, patterns, build.Options{}, 0)
	hits, sc := dfa.NewHits(len(patterns)), s.NewScratch()
	for _, path := range []string{"/usr/lib/x86_64-linux-gnu/libc.so.6", "/home/anna/work/main.go", "/proc/self/stat"} {
		b.Run(path[1:5], func(b *testing.B) {
			value := []byte(path)
			for b.Loop() {
				hits.Reset()
				s.Scan(value, sc, hits)
			}
		})
	}
}

// BenchmarkPrograms runs one program of each kind over a value that holds all literals the program needs.
func BenchmarkPrograms(b *testing.B) {
	for _, c := range []struct{ name, text, tail string }{
		{"glob", ".*gpg.*\\|.*curl.*", ""},
		{"dfa", ".*[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}.*", " 10.0"},
		{"lazy-dfa", ".*c[a-z ]{14}[0-9]", "7"},
	} {
		s, rep := load(b, []build.Pattern{{Kind: build.Regex, Text: c.text}}, build.Options{NulIsSpace: true}, 0)
		hits, sc := dfa.NewHits(1), s.NewScratch()
		value := append(slices.Clone(commandLines[87]), c.tail...)
		b.Run(c.name+"/"+strings.ReplaceAll(rep.PatternStrategy[0], " ", "-"), func(b *testing.B) {
			for b.Loop() {
				hits.Reset()
				s.Scan(value, sc, hits)
			}
		})
	}
}
