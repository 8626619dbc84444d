//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// standEnv makes the test binary a stand-in.
const standEnv = "KESTREL_STAND_IN"

func TestMain(m *testing.M) {
	if os.Getenv(standEnv) != "" {
		os.Exit(standIn(os.Args))
	}
	os.Exit(m.Run())
}

func TestStandIn(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for path, text := range map[string]string{one: "1\n", two: "2\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"true", []string{"/bin/true"}, 0, ""},
		{"another-name", []string{"not my name", one, ""}, 0, ""},
		{"no-name", []string{""}, 0, ""},
		{"cat", []string{"/bin/cat", one, two}, 0, "1\n2\n"},
		{"cat-nothing", []string{"cat"}, 0, ""},
		{"sleep", []string{"/bin/sleep", "0.05"}, 0, ""},
		{"sleep-nothing", []string{"sleep"}, 1, ""},
		{"sleep-long-word", []string{"sleep", "forever"}, 1, ""},
		{"cat-missing", []string{"cat", one, dir + "/none", two}, 1, "1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Cmd{Path: self, Args: c.args, Env: append(os.Environ(), standEnv+"=1")}
			start := time.Now()
			out, err := cmd.Output()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if took := time.Since(start); c.name == "sleep" && took < 50*time.Millisecond {
				t.Errorf("slept %v", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || string(out) != c.out {
				t.Errorf("exit code %d, output %q, want %d, %q", code, out, c.code, c.out)
			}
		})
	}
}

func TestComplaint(t *testing.T) {
	for text, want := range map[string]bool{
		"WARNING: CPU: 0 PID: 77 at kernel/trace/bpf_trace.c:1": true,
		"BUG: kernel NULL pointer dereference, address: 0":      true,
		"Oops: 0000 [#1] PREEMPT SMP":                           true,
		"Unable to handle kernel paging request at virtual":     true,
		"watchdog: BUG: soft lockup - CPU#0 stuck for 22s!":     false,
		"BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0":  false,
		"random: crng init done":                                false,
		"":                                                      false,
	} {
		if complaint(text) != want {
			t.Errorf("%q: %v, want %v", text, !want, want)
		}
	}
}
