package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idleSeconds is how long the agent watches before it is measured.
const idleSeconds = 5

// BenchmarkIdleMemory runs the firmware build of kestrel-agent with capture attached and the default rules and reports
// what it has resident. It needs root and a kernel that captures.
func BenchmarkIdleMemory(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root to attach the capture")
	}
	exe := filepath.Join(b.TempDir(), "kestrel-agent")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	var rss, anon, peak float64
	for range b.N {
		var errors strings.Builder
		cmd := exec.Command(exe, "run")
		cmd.Stderr = &errors
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(idleSeconds * time.Second)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if werr := cmd.Wait(); err != nil || werr != nil {
			b.Skipf("the agent does not run here: %v %v: %s", err, werr, errors.String())
		}
		rss += kilobytes(b, string(status), "VmRSS:")
		anon += kilobytes(b, string(status), "RssAnon:")
		peak += kilobytes(b, string(status), "VmHWM:")
	}
	n := float64(b.N) * 1000
	b.ReportMetric(rss/n, "rss-MB")
	b.ReportMetric(anon/n, "anon-MB")
	b.ReportMetric(peak/n, "peak-MB")
	b.ReportMetric(0, "ns/op")
}

// kilobytes reads a line of /proc/PID/status; the unit there is 1024 bytes, and the result is in units of 1000.
func kilobytes(b *testing.B, status, name string) float64 {
	for _, line := range strings.Split(status, "\n") {
		if strings.HasPrefix(line, name) {
			var kb float64
			if _, err := fmt.Sscan(strings.TrimPrefix(line, name), &kb); err != nil {
				b.Fatal(err)
			}
			return kb * 1024 / 1000
		}
	}
	b.Fatalf("no %s in %s", name, status)
	return 0
}
