package agent

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLiveRecordFull: a disk that fills ends a recording with one line that says so, while the kernel's ring is still
// being read.
func TestLiveRecordFull(t *testing.T) {
	requireCapture(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("skipped: mount tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	cmd := exec.Command(binary(t, "kestrel"), "record", "--output", filepath.Join(dir, "full.klog"), "--duration", "20s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Each execution is a few hundred bytes of log.
		for range 2000 {
			if exec.Command("/bin/true").Run() != nil {
				return
			}
		}
	}()
	begin := time.Now()
	text, err := cmd.CombinedOutput()
	<-done
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended after %s with %v, want exit code 1\n%s", time.Since(begin), err, text)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "no space left on device") || strings.Contains(string(text), "goroutine") {
		t.Errorf("printed\n%s", text)
	}
}
