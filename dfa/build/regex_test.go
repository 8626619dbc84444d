package build_test

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
)

// holds says whether p holds for value, by the automaton.
func holds(t *testing.T, p build.Pattern, opt build.Options, value []byte) bool {
	t.Helper()
	table, _, err := build.Build([]build.Pattern{p}, opt)
	if err != nil {
		t.Fatalf("build %+v: %v", p, err)
	}
	s, err := dfa.Load(slices.Clone(table), 0)
	if err != nil {
		t.Fatalf("load %+v: %v", p, err)
	}
	hits := dfa.NewHits(1)
	s.Scan(value, s.NewScratch(), hits)
	return hits.Has(0)
}

// TestRegexTable runs testdata/regex.txt through the reference, the automata determinised on the host and the lazy ones.
func TestRegexTable(t *testing.T) {
	f, err := os.Open("testdata/regex.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\0`, "\x00", `\xff`, "\xff", `\xfe`, "\xfe",
		`\xe2`, "\xe2", `\x82`, "\x82", `\xac`, "\xac")
	cases := 0
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if strings.HasPrefix(lines.Text(), "# ") || len(fields) < 3 {
			continue
		}
		p := build.Pattern{Kind: build.Regex, Text: fields[0], Fold: fields[1] == "fold"}
		if fields[1] == "error" {
			var at *build.RegexError
			if err := build.CheckRegex(p.Text, false); !errors.As(err, &at) {
				t.Errorf("line %d: %q: error %v, want one with a place", n, p.Text, err)
			} else if strconv.Itoa(at.Offset) != fields[2] {
				t.Errorf("line %d: %q: error at byte %d (%v), want %s", n, p.Text, at.Offset, err, fields[2])
			}
			continue
		}
		if err := build.CheckRegex(p.Text, p.Fold); err != nil {
			t.Errorf("line %d: %q: %v", n, p.Text, err)
			continue
		}
		for _, field := range fields[2:] {
			value, want := []byte(unescape.Replace(field[1:])), field[0] == '+'
			cases++
			if got := build.Match(p, build.Options{}, value); got != want {
				t.Errorf("line %d: %q on %q: the reference says %v", n, p.Text, value, got)
			}
			for _, memory := range []int{0, 1} {
				if got := holds(t, p, build.Options{MemoryMax: memory}, value); got != want {
					t.Errorf("line %d: %q on %q, memory %d: the automaton says %v", n, p.Text, value, memory, got)
				}
			}
		}
	}
	if cases < 200 {
		t.Errorf("only %d cases", cases)
	}
}

func TestCanonicalForms(t *testing.T) {
	for _, c := range []struct {
		kind     build.Kind
		text     string
		strategy string
	}{
		{build.Wildcard, "abc", "exact hash"},
		{build.Wildcard, "abc*", "prefix trie"},
		{build.Wildcard, "*abc", "suffix trie"},
		{build.Wildcard, "**abc***", "gram filter"},
		{build.Wildcard, "*", "always"},
		{build.Wildcard, "", "exact hash"},
		{build.Wildcard, "a*b", "glob"},
		{build.Wildcard, "a?", "glob"},
		{build.Wildcard, "*a?b*", "DFA"},
		{build.Wildcard, "a?*b*?c", "glob"},
		{build.Wildcard, "?*?*a*?*?", "glob"},
		{build.Prefix, "", "always"},
		{build.Contains, "", "always"},
		{build.Contains, "a\x00", "never"},
		{build.Regex, "abc", "exact hash"},
		{build.Regex, "abc.*", "prefix trie"},
		{build.Regex, ".*abc@", "gram filter"},
		{build.Regex, ".*a\\.b.*c", "glob"},
		{build.Regex, ".*(.|a)*", "always"},
		{build.Regex, "a#", "never"},
		{build.Regex, "[ab]+", "DFA"},
		{build.Regex, "(a|b)*a(a|b){13}", "lazy DFA"},
	} {
		_, rep, err := build.Build([]build.Pattern{{Kind: c.kind, Text: c.text}}, build.Options{NulIsSpace: true})
		if err != nil || rep.PatternStrategy[0] != c.strategy {
			t.Errorf("kind %d %q: %s, %v, want %s", c.kind, c.text, rep.PatternStrategy[0], err, c.strategy)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		p    build.Pattern
		want string
	}{
		{build.Pattern{Kind: build.Exact, Text: "\xff"}, "not valid UTF-8"},
		{build.Pattern{Kind: build.Prefix, Text: strings.Repeat("a", dfa.LiteralBytesMax+1)}, "4096 bytes (max 4095)"},
		{build.Pattern{Kind: build.Regex, Text: "((a{100}){100}){100}"}, "more than"},
		{build.Pattern{Kind: build.Regex, Text: "(.?){1000}"}, "more than"},
		{build.Pattern{Kind: build.Regex, Text: "~(.*a.{15})"}, "more than 1024 states"},
		{build.Pattern{Kind: build.Regex, Text: strings.Repeat("(", 300) + "a" + strings.Repeat(")", 300)}, "nested more than 200 deep"},
		{build.Pattern{Kind: build.Regex, Text: "a**" + strings.Repeat("*", 300)}, "nested more than 200 deep"},
		{build.Pattern{Kind: build.Regex, Text: "a(b"}, `pattern 1, "a(b": regex, byte 1: '(' without ')'`},
	} {
		_, _, err := build.Build([]build.Pattern{{Text: "ok"}, c.p}, build.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want %q", c.p.Text, err, c.want)
		}
		var at *build.Error
		if !errors.As(err, &at) || at.Index != 1 {
			t.Errorf("%.40q: error %v does not name pattern 1", c.p.Text, err)
		}
	}
	if err := (build.CheckRegex("a{1000}", false)); err != nil {
		t.Errorf("a repetition at the limit: %v", err)
	}
	if _, _, err := build.Build([]build.Pattern{{Text: strings.Repeat("a", dfa.LiteralBytesMax)}}, build.Options{}); err != nil {
		t.Errorf("a literal at the limit: %v", err)
	}
}

// TestLongestLiterals holds the depth field of states against the longest literal of each automaton.
func TestLongestLiterals(t *testing.T) {
	long := strings.Repeat("ab", 1<<11)[:dfa.LiteralBytesMax]
	for _, kind := range []build.Kind{build.Exact, build.Prefix, build.Suffix, build.Contains} {
		for _, memory := range []int{1, 8 << 20} {
			p := build.Pattern{Kind: kind, Text: long}
			if !holds(t, p, build.Options{MemoryMax: memory}, []byte(long)) {
				t.Errorf("kind %d does not hold for its own text", kind)
			}
			if holds(t, p, build.Options{MemoryMax: memory}, []byte(long[1:])) {
				t.Errorf("kind %d holds for less than its text", kind)
			}
		}
	}
	if !holds(t, build.Pattern{Kind: build.Wildcard, Text: "a*" + long[4:] + "*b"}, build.Options{}, []byte("ax"+long[4:]+"b")) {
		t.Error("a glob does not hold for its own text")
	}
}
