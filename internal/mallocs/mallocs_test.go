package mallocs

import "testing"

var kept []*int

// TestLeast: a function that allocates once is found out, one that does not is not.
func TestLeast(t *testing.T) {
	if n := Least(func() { kept = append(kept[:0], new(int)) }); n != 1 {
		t.Errorf("%d objects of one", n)
	}
	sum := 0
	if n := Least(func() {
		for i := range 1000 {
			sum += i
		}
	}); n != 0 {
		t.Errorf("%d objects of none, sum %d", n, sum)
	}
}
