package dfa_test

import (
	"runtime"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

// TestScanAllocatesNothing compares the runtime's own count, which does not round.
func TestScanAllocatesNothing(t *testing.T) {
	patterns := []build.Pattern{
		{Kind: build.Exact, Text: "bash"}, {Kind: build.Prefix, Text: "/usr/", Fold: true}, {Kind: build.Suffix, Text: ".sh"},
		{Kind: build.Contains, Text: "curl"}, {Kind: build.Wildcard, Text: "*a*b*"}, {Kind: build.Wildcard, Text: "?*?"},
		{Kind: build.Regex, Text: ".*[0-9]{1,3}\\.[0-9]{1,3}.*"}, {Kind: build.Regex, Text: "(a|b)*a(a|b){13}"},
	}
	for _, automata := range []bool{false, true} {
		s, rep := load(t, patterns, build.Options{Automata: automata}, 0)
		if rep.Lazy == 0 || rep.DFAs == 0 || rep.Globs == 0 || rep.Literals == 0 != automata || rep.Inner.States == 0 == automata {
			t.Fatalf("a part is missing: %+v", rep)
		}
		scanWithoutAllocating(t, s, len(patterns))
	}
}

func scanWithoutAllocating(t *testing.T, s *dfa.Set, atoms int) {
	t.Helper()
	values := [][]byte{
		nil, []byte("bash"), []byte("/usr/bin/curl http://10.1.2.3/a.sh -o b"), []byte("abbabaaabbbabababbabaaabbbaabbaababab"),
		[]byte("\xffé€ab"),
	}
	hits, sc := dfa.NewHits(atoms), s.NewScratchSized(8, 64)
	if n := mallocs.Least(func() {
		for i := range 20000 {
			hits.Reset()
			s.Scan(values[i%len(values)], sc, hits)
		}
	}); n != 0 {
		t.Errorf("%d allocations in 20000 scans", n)
	}
	if sc.CacheClears == 0 || sc.Fallbacks == 0 {
		t.Errorf("%d cache clears, %d fallbacks: the small cache is not reached", sc.CacheClears, sc.Fallbacks)
	}
}

// TestScratchBytes compares the size that is budgeted with what the runtime hands out.
func TestScratchBytes(t *testing.T) {
	s, _ := load(t, []build.Pattern{{Kind: build.Regex, Text: "(a|b)*a(a|b){13}"}, {Kind: build.Contains, Text: "x"}}, build.Options{}, 0)
	const n = 50
	var keep [n]*dfa.Scratch
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keep {
		keep[i] = s.NewScratch()
	}
	runtime.ReadMemStats(&after)
	got := int(after.TotalAlloc-before.TotalAlloc) / n
	if want := s.ScratchBytes(); got < want/2 || got > want*5/4 {
		t.Errorf("a scratch takes %d bytes, budgeted are %d", got, want)
	}
	runtime.KeepAlive(&keep)
}
