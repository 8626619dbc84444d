package cbor_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	fxcbor "github.com/fxamacker/cbor/v2"

	"github.com/kestrel-detection/kestrel/cbor"
)

// The other implementation, as strict as it gets.
var (
	strict = func() fxcbor.DecMode {
		m, err := fxcbor.DecOptions{
			DupMapKey: fxcbor.DupMapKeyEnforcedAPF, IndefLength: fxcbor.IndefLengthForbidden, TagsMd: fxcbor.TagsForbidden,
			UTF8: fxcbor.UTF8DecodeInvalid, MaxNestedLevels: depthMax + 4, MaxArrayElements: 1 << 20, MaxMapPairs: 1 << 20,
		}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	deterministic = func() fxcbor.EncMode {
		m, err := fxcbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

const (
	depthMax = 16
	itemsMax = 1 << 16
)

// copyItem reads any one item with the Reader, by its major type, and writes it with the Writer. hashable tells that every
// key of a map is a number or a string; other keys are good CBOR that Go cannot hold.
func copyItem(r *cbor.Reader, in []byte, w *cbor.Writer, depth int) (hashable bool) {
	major := byte(0)
	if r.Offset() < len(in) {
		major = in[r.Offset()] >> 5
	}
	failed := func() bool { e, _ := r.Err(); return e != cbor.ErrNone }
	switch major {
	case 2:
		if s := r.Bytes(itemsMax); !failed() {
			w.Bytes(s)
		}
	case 3:
		if s := r.Text(itemsMax); !failed() {
			w.Text(string(s))
		}
	case 4, 5:
		if depth == depthMax {
			r.Uint(0) // ends it: no number stands here
			return false
		}
		hashable = true
		n := 0
		if major == 4 {
			if n = r.Array(itemsMax); !failed() {
				w.Array(n)
			}
		} else if n = r.Map(itemsMax); !failed() {
			w.Map(n)
		}
		for i := 0; i < n && !failed(); i++ {
			if major == 5 {
				if at := r.Offset(); at < len(in) && in[at]>>5 > 3 {
					hashable = false
				}
				copyItem(r, in, w, depth+1)
			}
			hashable = copyItem(r, in, w, depth+1) && hashable
		}
		return hashable
	default:
		if v := r.Uint(1<<64 - 1); !failed() {
			w.Uint(v)
		}
	}
	return true
}

// compareStrict checks the promise that equal content has one encoding: what the Reader takes, the Writer writes back
// byte by byte and the other implementation takes too; what the other writes, the Reader takes.
func compareStrict(t *testing.T, in []byte) {
	r := cbor.NewReader(in)
	var w cbor.Writer
	hashable := copyItem(&r, in, &w, 0)
	e := r.End()
	if e == cbor.ErrNone {
		if !bytes.Equal(w.B, in) {
			t.Fatalf("%x is read, but written back as %x", in, w.B)
		}
		if err := strict.Wellformed(in); err != nil {
			t.Fatalf("%x is read, the other implementation says: %v", in, err)
		}
	}
	var v any
	err := strict.Unmarshal(in, &v)
	if err != nil {
		// Two equal keys, or in the wrong order, are the caller's to find: it knows which keys there are.
		if _, dup := errors.AsType[*fxcbor.DupMapKeyError](err); e == cbor.ErrNone && hashable && !dup {
			t.Fatalf("%x is read, the other implementation says: %v", in, err)
		}
		return
	}
	if again, err := deterministic.Marshal(v); err == nil && bytes.Equal(again, in) && e != cbor.ErrNone && e != cbor.ErrType && e != cbor.ErrLimit {
		t.Fatalf("%x is the one encoding of %v and is refused: %v", in, v, e)
	}
}

// tree is a random value and its encoding by the Writer.
func tree(r *rand.Rand, w *cbor.Writer, depth int) any {
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch r.IntN(kinds) {
	case 0:
		v := r.Uint64() >> r.IntN(64)
		w.Uint(v)
		return v
	case 1:
		b := make([]byte, r.IntN(300))
		w.Bytes(b)
		return b
	case 2:
		s := string(bytes.Repeat([]byte("é"), r.IntN(40)))
		w.Text(s)
		return s
	case 3:
		n := r.IntN(30)
		w.Array(n)
		list := make([]any, n)
		for i := range list {
			list[i] = tree(r, w, depth-1)
		}
		return list
	}
	m := make(map[any]any)
	keys := make([]uint64, r.IntN(10))
	for i := range keys {
		keys[i] = r.Uint64() >> r.IntN(64)
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	w.Map(len(keys))
	for _, k := range keys {
		w.Uint(k)
		m[k] = tree(r, w, depth-1)
	}
	return m
}

// TestAgainstOther compares the Writer with another implementation's core deterministic encoding, and the Reader with
// its strict decoder, also on damaged encodings.
func TestAgainstOther(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	for n := range 300 {
		var w cbor.Writer
		v := tree(r, &w, 3)
		other, err := deterministic.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(other, w.B) {
			t.Fatalf("seed %d, round %d: the Writer's encoding differs\n%x\n%x", seed, n, w.B, other)
		}
		compareStrict(t, w.B)
		for range 20 {
			bad := slices.Clone(w.B)
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			compareStrict(t, bad)
		}
	}
}

// TestAllHeads compares both on every first byte with a few bytes behind it.
func TestAllHeads(t *testing.T) {
	for first := range 256 {
		for n := range 12 {
			for _, fill := range []byte{0x00, 0x01, 0x17, 0x18, 0x60, 0xff} {
				in := append([]byte{byte(first)}, bytes.Repeat([]byte{fill}, n)...)
				t.Run(fmt.Sprintf("%x", in), func(t *testing.T) { compareStrict(t, in) })
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	for seed := range uint64(20) {
		var w cbor.Writer
		tree(rand.New(rand.NewPCG(seed, 3)), &w, 2)
		f.Add(w.B)
	}
	f.Add([]byte{0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) { compareStrict(t, in) })
}
