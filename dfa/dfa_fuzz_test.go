package dfa_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/dfa/build"
)

// seedTables are tables that between them have every part.
func seedTables(t testing.TB) [][]byte {
	var tables [][]byte
	for _, opt := range []build.Options{
		{MemoryMax: 1}, {NulIsSpace: true}, {MemoryMax: 1, Automata: true}, {NulIsSpace: true, Automata: true},
	} {
		for _, patterns := range [][]build.Pattern{
			nil,
			{{Kind: build.Exact, Text: "bash"}, {Kind: build.Exact, Text: "Sh", Fold: true}, {Kind: build.Prefix}},
			{{Kind: build.Prefix, Text: "/tmp/"}, {Kind: build.Suffix, Text: ".sh"}, {Kind: build.Contains, Text: "Ab", Fold: true}, {Kind: build.Contains, Text: "aBaB"}, {Kind: build.Contains, Text: "x"}},
			{{Kind: build.Wildcard, Text: "a?*bab*abc*?d"}, {Kind: build.Wildcard, Text: "?*?"}, {Kind: build.Wildcard, Text: "*a*B*", Fold: true}},
			{{Kind: build.Regex, Text: ".*[0-9]{1,3}\\.[0-9é]{1,3}.*"}, {Kind: build.Regex, Text: ".*[ab].{12}"}, {Kind: build.Regex, Text: "(a|b)*a(a|b){13}"}},
		} {
			table, _, err := build.Build(patterns, opt)
			if err != nil {
				t.Fatal(err)
			}
			tables = append(tables, table)
		}
	}
	return tables
}

// scanAll scans with a table that may be damaged: refusing it is right, and so is any answer but a panic or no end.
func scanAll(t testing.TB, table, value []byte) bool {
	s, err := dfa.Load(aligned(table), 3)
	if err != nil {
		return false
	}
	hits := dfa.NewHits(3 + s.Atoms())
	for _, sc := range []*dfa.Scratch{s.NewScratch(), s.NewScratchSized(2, 20)} {
		for _, v := range [][]byte{value, nil, []byte("/tmp/abababcd bash 1.2 sh"), []byte("aébbaXbabXabababcXd"), []byte("aé\xffbabXabcABé" + string(rune(0x1d11e)) + ".sh")} {
			hits.Reset()
			s.Scan(v, sc, hits)
			if len(hits.List()) > s.Atoms() {
				t.Fatalf("%d marks of %d atoms", len(hits.List()), s.Atoms())
			}
		}
	}
	return true
}

// TestDamagedTables changes every word of the seed tables to values near limits, and bytes at random.
func TestDamagedTables(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	accepted, refused := 0, 0
	try := func(table []byte) {
		if scanAll(t, table, []byte("aababababaabbb")) {
			accepted++
		} else {
			refused++
		}
	}
	for _, good := range seedTables(t) {
		if !scanAll(t, good, nil) {
			t.Fatal("a seed table is refused")
		}
		step := max(4, len(good)/1500*4)
		for at := 0; at+4 <= len(good); at += step {
			word := binary.LittleEndian.Uint32(good[at:])
			for _, to := range []uint32{0, 1, word + 1, word - 1, word ^ 0x80, word << 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, r.Uint32() % 64} {
				bad := aligned(good)
				binary.LittleEndian.PutUint32(bad[at:], to)
				try(bad)
			}
		}
		for range 300 {
			bad := aligned(good)
			for range 1 + r.IntN(8) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			try(bad)
		}
		for n := 0; n < len(good); n += 1 + len(good)/200 {
			try(good[:n])
			short := aligned(good[:n])
			if n >= 4*dfa.HeaderWords {
				binary.LittleEndian.PutUint32(short[4*dfa.HeadBytes:], uint32(n))
				try(short)
			}
		}
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("the damage is not of both kinds")
	}
}

func TestLoadRefusesUnaligned(t *testing.T) {
	table := seedTables(t)[1]
	shifted := append(make([]byte, 0, len(table)+16), 0, 0, 0, 0)
	shifted = append(shifted, table...)
	if _, err := dfa.Load(shifted[4:], 0); err == nil {
		t.Error("an unaligned table loads")
	}
}

func FuzzLoad(f *testing.F) {
	for _, table := range seedTables(f) {
		f.Add(table, []byte("abab /tmp/x.sh"))
	}
	f.Fuzz(func(t *testing.T, table, value []byte) {
		if len(table) >= 4*dfa.HeaderWords {
			// What every mutation of the length would fail on says nothing about the rest.
			table = aligned(table)
			binary.LittleEndian.PutUint32(table[4*dfa.HeadBytes:], uint32(len(table)))
		}
		scanAll(t, table, value)
	})
}

// FuzzScan compares one pattern with the reference.
func FuzzScan(f *testing.F) {
	f.Add(byte(4), "a*b?c*", false, []byte("aXbécd"))
	f.Add(byte(5), "(~(a.*)&[a-f]{2,})|<1-20>", true, []byte("\x00\xffAB"))
	f.Fuzz(func(t *testing.T, kind byte, text string, fold bool, value []byte) {
		if len(text) > 60 || len(value) > 100 {
			return
		}
		p := build.Pattern{Kind: build.Kind(kind % 6), Text: text, Fold: fold}
		for _, opt := range []build.Options{{}, {MemoryMax: 1, NulIsSpace: true}, {NulIsSpace: true, Automata: true}} {
			table, _, err := build.Build([]build.Pattern{p}, opt)
			if err != nil {
				continue
			}
			s, err := dfa.Load(aligned(table), 0)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			hits := dfa.NewHits(1)
			s.Scan(value, s.NewScratch(), hits)
			if got, want := hits.Has(0), build.Match(p, opt, value); got != want {
				t.Fatalf("%+v, %+v, value %q: scan says %v, the reference %v", p, opt, value, got, want)
			}
		}
	})
}
