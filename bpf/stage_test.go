package bpf

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// TestReexec: a first image loads and attaches, then executes a second one, which reads what happens. The second one is
// this test binary, and a program that imports nothing but package ring.
func TestReexec(t *testing.T) {
	start(t, Options{Classes: processOnly}) // skips without privilege
	second := []struct{ name, path string }{{"itself", "/proc/self/exe"}}
	small := filepath.Join(t.TempDir(), "reader")
	if _, err := exec.LookPath("go"); err != nil {
		t.Logf("without the small reader: %v", err)
	} else {
		buildReader(t, small)
		second = append(second, struct{ name, path string }{"small", small})
	}
	tiny := tinyProgram(t, t.TempDir(), "tiny")
	for _, c := range second {
		t.Run(c.name, func(t *testing.T) {
			const want = 20
			cmd := helperCommand("first-stage")
			cmd.Env = append(cmd.Env, "KESTREL_SECOND="+c.path, "KESTREL_PARENT="+strconv.Itoa(os.Getpid()),
				"KESTREL_WANT="+strconv.Itoa(want))
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				t.Log(lines.Text())
				if strings.HasPrefix(lines.Text(), "ready") {
					for range want {
						if err := launch(tiny); err != nil {
							t.Fatal(err)
						}
					}
				}
				if text, ok := strings.CutPrefix(lines.Text(), "seen="); ok && !strings.HasPrefix(text, "20 bad=0 ") {
					t.Errorf("seen %s, want %d", text, want)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func buildReader(t *testing.T, path string) {
	t.Helper()
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "./testdata/reader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// memory is what /proc says of this process's memory.
func memory() string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "Rss") || strings.HasPrefix(line, "VmHWM") {
			out = append(out, strings.Join(strings.Fields(line), ""))
		}
	}
	return strings.Join(out, " ")
}

// firstStage loads and executes the second image in its own place.
func firstStage() int {
	c, err := Load(Options{Classes: processOnly})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("first", memory())
	h := c.Handles()
	if err := h.ClearCloexec(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := ring.DisableTHP(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(helperEnv, "second-stage")
	os.Setenv("KESTREL_HANDLES", h.Encode())
	err = syscall.Exec(os.Getenv("KESTREL_SECOND"), []string{"second"}, os.Environ())
	runtime.KeepAlive(c)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// secondStage reads with the inherited handles.
func secondStage() int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	h, err := DecodeHandles(os.Getenv("KESTREL_HANDLES"))
	if err != nil {
		return fail(err)
	}
	if err := h.SetCloexec(); err != nil {
		return fail(err)
	}
	r, err := ring.Open(h.Ring, h.RingBytes)
	if err != nil {
		return fail(err)
	}
	want, err := strconv.Atoi(os.Getenv("KESTREL_WANT"))
	if err != nil {
		return fail(err)
	}
	seen := 0
	fmt.Println("ready", memory())
	for i := 0; i < 100 && seen < want; i++ {
		if err := r.Wait(100); err != nil {
			return fail(err)
		}
		for rec, ok := r.Next(); ok; rec, ok = r.Next() {
			v, _ := rec.Int(event.SlotParentPID)
			if rec.Type() == event.TypeExec && int(rec.PID()) != os.Getpid() &&
				strconv.FormatInt(v, 10) == os.Getenv("KESTREL_PARENT") {
				seen++
			}
		}
		r.Release()
	}
	fmt.Printf("seen=%d bad=%d %s\n", seen, r.Bad, memory())
	return 0
}
