package arena

import (
	"bytes"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func mustNew(t *testing.T, budget int) *Arena {
	t.Helper()
	a, err := New(budget)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func carve(t *testing.T, a *Arena, name string, n int) []byte {
	t.Helper()
	b, err := a.Carve(name, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCarve(t *testing.T) {
	a := mustNew(t, 10*Align)
	var all [][]byte
	for _, n := range []int{1, Align, Align + 1, 0, 7} {
		b := carve(t, a, "holder", n)
		if len(b) != n || cap(b) != n {
			t.Errorf("asked for %d, got %d of %d", n, len(b), cap(b))
		}
		if n > 0 && reflect.ValueOf(b).Pointer()%Align != 0 {
			t.Errorf("%d bytes at %p", n, &b[0])
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d of %d is not zero", i, n)
			}
			b[i] = byte(len(all) + 1)
		}
		all = append(all, b)
	}
	for i, b := range all {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(i + 1)}, len(b))) {
			t.Errorf("holder %d was overwritten", i)
		}
	}
	if sum, budget := a.Sum(); sum != 5*Align || budget != 10*Align {
		t.Errorf("%d of %d", sum, budget)
	}
}

func TestBudget(t *testing.T) {
	a := mustNew(t, 1000)
	carve(t, a, "ring", 512)
	if err := a.Account("runtime", 488); err != nil {
		t.Errorf("the whole budget: %v", err)
	}
	carve(t, a, "nothing", 0)
	err := a.Account("one byte", 1)
	if err == nil {
		t.Fatal("one byte more than the budget")
	}
	const want = `memory budget exceeded by 1 bytes at one byte:
  ring              512  arena
  runtime           488  elsewhere
  nothing             0  arena
  one byte            1  elsewhere
  sum              1001
  budget           1000
`
	if err.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", err, want)
	}
	b, err := a.Carve("table", 100)
	if err == nil || b != nil || !strings.Contains(err.Error(), "exceeded by 129 bytes at table") || !strings.Contains(err.Error(), "one byte") {
		t.Errorf("after the first refusal: %d bytes, %v", len(b), err)
	}
	a = mustNew(t, 1000)
	if _, err := a.Carve("too much", 961); err == nil { // 1024 with what rounding takes
		t.Error("1024 of 1000 bytes")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, n := range []int{-1, 0, budgetMax + 1} {
		if _, err := New(n); err == nil || !strings.Contains(err.Error(), strconv.Itoa(n)) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func panics(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}

func TestBugs(t *testing.T) {
	a := mustNew(t, 1000)
	carve(t, a, "ring", 64)
	for _, n := range []int{-1, budgetMax + 1} {
		if s := panics(func() { a.Carve("ring", n) }); !strings.HasPrefix(s, "BUG: ring asks for ") {
			t.Errorf("%d bytes: %q", n, s)
		}
	}
	a.Seal()
	const want = "BUG: late takes memory after the arena was sealed"
	if s := panics(func() { a.Carve("late", 1) }); s != want {
		t.Errorf("Carve: %q", s)
	}
	if s := panics(func() { a.Account("late", 1) }); s != want {
		t.Errorf("Account: %q", s)
	}
	if !strings.Contains(a.Table(), "ring") || strings.Contains(a.Table(), "late") {
		t.Error(a.Table())
	}
}

func rss(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// Memory that nobody touches is not resident, and one byte touched costs one page.
func TestUntouchedCostsNothing(t *testing.T) {
	runtime.GC()
	before := rss(t)
	a := mustNew(t, 1<<30)
	b := carve(t, a, "large", 1<<30)
	for i := 0; i < len(b); i += 64 << 20 {
		b[i] = 1
	}
	if grown := rss(t) - before; grown > 2<<20 {
		t.Errorf("%d bytes resident for 16 bytes touched", grown)
	}
}
