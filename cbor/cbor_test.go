package cbor_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/cbor"
)

// item is one item of a stream: what the Writer wrote and the Reader must read.
type item struct {
	kind byte // u, b, t, a, m
	n    uint64
	s    []byte
}

func (i item) write(w *cbor.Writer) {
	switch i.kind {
	case 'u':
		w.Uint(i.n)
	case 'b':
		w.Bytes(i.s)
	case 't':
		w.Text(string(i.s))
	case 'a':
		w.Array(int(i.n))
	case 'm':
		w.Map(int(i.n))
	}
}

func (i item) read(r *cbor.Reader) item {
	got := item{kind: i.kind}
	switch i.kind {
	case 'u':
		got.n = r.Uint(math.MaxUint64)
	case 'b':
		got.s = r.Bytes(math.MaxInt)
	case 't':
		got.s = r.Text(math.MaxInt)
	case 'a':
		got.n = uint64(r.Array(math.MaxInt))
	case 'm':
		got.n = uint64(r.Map(math.MaxInt))
	}
	return got
}

// edges are the numbers on both sides of each change of length.
var edges = []uint64{0, 1, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64}

func randomItem(r *rand.Rand) item {
	i := item{kind: "ubtam"[r.IntN(5)]}
	switch i.kind {
	case 'u':
		i.n = edges[r.IntN(len(edges))]
		if r.IntN(2) == 0 {
			i.n = r.Uint64() >> r.IntN(64)
		}
	case 'b', 't':
		i.s = bytes.Repeat([]byte{'a' + byte(r.IntN(26))}, []int{0, 1, 23, 24, 255, 256, 1000}[r.IntN(7)])
	default:
		i.n = edges[r.IntN(11)] // an int
	}
	return i
}

func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var items []item
	var w cbor.Writer
	for range 2000 {
		i := randomItem(rnd)
		before := len(w.B)
		i.write(&w)
		items = append(items, i)
		if i.kind == 'b' && len(w.B)-before != cbor.HeadSize(len(i.s))+len(i.s) {
			t.Fatalf("seed %d: %d bytes take %d, HeadSize says %d", seed, len(i.s), len(w.B)-before, cbor.HeadSize(len(i.s)))
		}
	}
	r := cbor.NewReader(w.B)
	for n, i := range items {
		at := r.Offset()
		got := i.read(&r)
		if e, off := r.Err(); e != cbor.ErrNone {
			t.Fatalf("seed %d: item %d at %d: %v at %d", seed, n, at, e, off)
		}
		if got.n != i.n || !bytes.Equal(got.s, i.s) {
			t.Fatalf("seed %d: item %d: got %v, want %v", seed, n, got, i)
		}
	}
	if e := r.End(); e != cbor.ErrNone {
		t.Errorf("seed %d: end: %v", seed, e)
	}
}

// TestTruncated cuts a stream at every byte: reading fails at the item that is cut, as truncated, and yields zeros.
func TestTruncated(t *testing.T) {
	items := []item{{kind: 'a', n: 300}, {kind: 'u', n: 5}, {kind: 'u', n: 1 << 40}, {kind: 'b', s: make([]byte, 30)}, {kind: 'm', n: 2},
		{kind: 't', s: []byte("hello")}, {kind: 'b'}, {kind: 'u', n: 70000}, {kind: 't', s: make([]byte, 300)}}
	var w cbor.Writer
	starts := make([]int, 0, len(items))
	for _, i := range items {
		starts = append(starts, len(w.B))
		i.write(&w)
	}
	for n := range len(w.B) {
		// A copy of its own makes the race and address checkers see a read beyond the end.
		r := cbor.NewReader(append([]byte(nil), w.B[:n]...))
		for k, i := range items {
			got := i.read(&r)
			end := len(w.B)
			if k+1 < len(starts) {
				end = starts[k+1]
			}
			e, _ := r.Err()
			if end <= n {
				if e != cbor.ErrNone {
					t.Fatalf("cut at %d: whole item %d: %v", n, k, e)
				}
				continue
			}
			if e != cbor.ErrTruncated || got.n != 0 || len(got.s) != 0 {
				t.Fatalf("cut at %d: item %d: error %v, value %v", n, k, e, got)
			}
		}
		if r.End() != cbor.ErrTruncated {
			t.Fatalf("cut at %d: end: %v", n, r.End())
		}
	}
}

// TestForms: one encoding for each content; others are refused for what they are.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		kind      byte
		want      cbor.Error
	}{
		{"shortest 0", "00", 'u', cbor.ErrNone},
		{"shortest 23", "17", 'u', cbor.ErrNone},
		{"shortest 24", "1818", 'u', cbor.ErrNone},
		{"23 in two bytes", "1817", 'u', cbor.ErrForm},
		{"255 in three bytes", "1900ff", 'u', cbor.ErrForm},
		{"256 in three bytes", "190100", 'u', cbor.ErrNone},
		{"65535 in five bytes", "1a0000ffff", 'u', cbor.ErrForm},
		{"65536 in five bytes", "1a00010000", 'u', cbor.ErrNone},
		{"2^32-1 in nine bytes", "1b00000000ffffffff", 'u', cbor.ErrForm},
		{"2^32 in nine bytes", "1b0000000100000000", 'u', cbor.ErrNone},
		{"reserved 28", "1c", 'u', cbor.ErrForm},
		{"reserved 29", "1d", 'u', cbor.ErrForm},
		{"reserved 30", "1e", 'u', cbor.ErrForm},
		{"indefinite number", "1f", 'u', cbor.ErrForm},
		{"indefinite bytes", "5f4100ff", 'b', cbor.ErrForm},
		{"indefinite text", "7f6161ff", 't', cbor.ErrForm},
		{"indefinite array", "9fff", 'a', cbor.ErrForm},
		{"indefinite map", "bfff", 'm', cbor.ErrForm},
		{"long length of bytes", "580100", 'b', cbor.ErrForm},
		{"long length of text", "780161", 't', cbor.ErrForm},
		{"long length of an array", "980100", 'a', cbor.ErrForm},
		{"long length of a map", "b8010000", 'm', cbor.ErrForm},
		{"negative number", "20", 'u', cbor.ErrType},
		{"tag", "c000", 'u', cbor.ErrType},
		{"float", "f90000", 'u', cbor.ErrType},
		{"null", "f6", 'u', cbor.ErrType},
		{"text for bytes", "6161", 'b', cbor.ErrType},
		{"bytes for text", "4161", 't', cbor.ErrType},
		{"map for array", "a0", 'a', cbor.ErrType},
		{"array for map", "80", 'm', cbor.ErrType},
		{"number for text", "00", 't', cbor.ErrType},
		{"empty input", "", 'u', cbor.ErrTruncated},
		{"length beyond any input", "5b7fffffffffffffff", 'b', cbor.ErrTruncated},
		{"length beyond an int", "5bffffffffffffffff", 'b', cbor.ErrLimit},
		{"array beyond an int", "9bffffffffffffffff", 'a', cbor.ErrLimit},
		{"bytes after the end", "0000", 'u', cbor.ErrTrailing},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := cbor.NewReader(b)
		got := item{kind: c.kind}.read(&r)
		if e := r.End(); e != c.want {
			t.Errorf("%s (%s): %q, want %q", c.name, c.hex, e, c.want)
		}
		if c.want != cbor.ErrNone && c.want != cbor.ErrTrailing && (got.n != 0 || got.s != nil) {
			t.Errorf("%s (%s): refused with the value %v", c.name, c.hex, got)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, limit := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		for _, n := range []int{limit, limit + 1} {
			want := cbor.ErrNone
			if n > limit {
				want = cbor.ErrLimit
			}
			for name, c := range map[string]struct {
				write func(*cbor.Writer)
				read  func(*cbor.Reader)
			}{
				"uint":  {func(w *cbor.Writer) { w.Uint(uint64(n)) }, func(r *cbor.Reader) { r.Uint(uint64(limit)) }},
				"array": {func(w *cbor.Writer) { w.Array(n) }, func(r *cbor.Reader) { r.Array(limit) }},
				"map":   {func(w *cbor.Writer) { w.Map(n) }, func(r *cbor.Reader) { r.Map(limit) }},
				"bytes": {func(w *cbor.Writer) { w.Bytes(make([]byte, n)) }, func(r *cbor.Reader) { r.Bytes(limit) }},
				"text":  {func(w *cbor.Writer) { w.Text(strings.Repeat("x", n)) }, func(r *cbor.Reader) { r.Text(limit) }},
			} {
				var w cbor.Writer
				c.write(&w)
				r := cbor.NewReader(w.B)
				c.read(&r)
				if e, at := r.Err(); e != want || want != cbor.ErrNone && at != 0 {
					t.Errorf("%s of %d, limit %d: %q at %d, want %q", name, n, limit, e, at, want)
				}
			}
		}
	}
}

// TestErrorStays: after an error nothing moves, whatever is read, and the first error and its place are kept.
func TestErrorStays(t *testing.T) {
	var w cbor.Writer
	w.Uint(1)
	w.Text("x")
	w.Uint(2)
	r := cbor.NewReader(w.B)
	r.Uint(10)
	r.Uint(10) // a text stands here
	if r.Uint(10) != 0 || r.Text(10) != nil || r.Bytes(10) != nil || r.Array(10) != 0 || r.Map(10) != 0 {
		t.Error("a value after an error")
	}
	if e, at := r.Err(); e != cbor.ErrType || at != 1 || r.Offset() != 1 || r.End() != cbor.ErrType {
		t.Errorf("error %q at %d, offset %d", e, at, r.Offset())
	}
}

// TestBorrowed: strings lie in the input, and appending to one does not write into it.
func TestBorrowed(t *testing.T) {
	var w cbor.Writer
	w.Bytes([]byte("abc"))
	w.Uint(7)
	r := cbor.NewReader(w.B)
	s := r.Bytes(10)
	if &s[0] != &w.B[1] {
		t.Error("the bytes were copied")
	}
	_ = append(s, 0xff)
	if r.Uint(10) != 7 {
		t.Error("appending to a borrowed string wrote into the input")
	}
}

func TestNoAllocation(t *testing.T) {
	var w cbor.Writer
	w.Array(2)
	w.Text("kestrel")
	w.Bytes(make([]byte, 100))
	bad := []byte{0x18, 0x01}
	if n := testing.AllocsPerRun(100, func() {
		r := cbor.NewReader(w.B)
		if r.Array(2) != 2 || len(r.Text(7)) != 7 || len(r.Bytes(100)) != 100 || r.End() != cbor.ErrNone {
			t.Fatal("not what was written")
		}
		r = cbor.NewReader(bad)
		r.Uint(1)
		if e, _ := r.Err(); e.Error() == "" {
			t.Fatal("no text")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrorTexts(t *testing.T) {
	seen := make(map[string]bool)
	for e := cbor.ErrTruncated; e <= cbor.ErrTrailing; e++ {
		if e.Error() == "" || seen[e.Error()] {
			t.Errorf("error %d says %q", e, e.Error())
		}
		seen[e.Error()] = true
	}
}
