package bpf

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRingImports: the second image must not pull in what makes a Go program large.
func TestRingImports(t *testing.T) {
	path, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	out, err := exec.Command(path, "list", "-deps", "./ring").Output()
	if err != nil {
		t.Fatal(err)
	}
	why := map[string]string{
		"fmt": "200 KB, reflection", "os": "file table, poller", "net": "resolver",
		"github.com/cilium/ebpf": "loading is the first image's job",
	}
	n := 0
	for _, dep := range strings.Fields(string(out)) {
		n++
		if reason, bad := why[dep]; bad {
			t.Errorf("bpf/ring depends on %s: %s", dep, reason)
		}
	}
	if n < 5 {
		t.Errorf("%d dependencies: the list is not one", n)
	}
}
