package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// accept runs what the loader let through: whatever the bytes say, the engine must not fail.
func accept(t *testing.T, file []byte) bool {
	img, err := image.Load(file)
	if err != nil {
		return false
	}
	g := generator{Rand: rand.New(rand.NewPCG(3, 3))}
	e := New(img, Config{NFA: testPools}, &full{})
	for i := range 50 {
		ev := g.event(uint64(i+1), nil)
		e.Step([]event.Event{ev}, 0)
	}
	return true
}

func smallImage(tb testing.TB, seed uint64) []byte {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 3))}
	rs := &ir.Ruleset{Name: "small", Version: "1"}
	for i := range 6 {
		rs.Rules = append(rs.Rules, g.rule(i))
	}
	file, _, err := build.Build(rs, build.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// TestDamagedImages flips bits, cuts and stretches images: each is refused with a reason or harmless.
func TestDamagedImages(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	refused, accepted := 0, 0
	for seed := range uint64(4) {
		file := smallImage(t, seed)
		if !accept(t, file) {
			t.Fatal("the image itself is refused")
		}
		for n := range len(file) {
			if r.IntN(1+len(file)/400) > 0 {
				continue
			}
			if accept(t, file[:n]) {
				t.Fatalf("image cut to %d of %d bytes was accepted", n, len(file))
			}
		}
		if accept(t, append(file[:len(file):len(file)], 0)) {
			t.Fatal("image with a byte after its end was accepted")
		}
		for range 1500 {
			bad := append([]byte(nil), file...)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			}
			if accept(t, bad) {
				accepted++
			} else {
				refused++
			}
		}
	}
	t.Logf("%d damaged images refused, %d ran", refused, accepted)
	if refused == 0 {
		t.Error("no damaged image was refused")
	}
}

func FuzzImage(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(smallImage(f, seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) { accept(t, file) })
}
