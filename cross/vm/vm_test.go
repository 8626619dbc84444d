package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeQEMU is a guest whose QEMU is a script; try counts the boots in a file.
func fakeQEMU(t *testing.T, script string) (g *guest, boots func() int) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho x >> "+dir+"/boots\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &guest{arch: arch{qemu: path, console: "ttyS0"}, timeout: time.Minute, echo: io.Discard}, func() int {
		b, err := os.ReadFile(filepath.Join(dir, "boots"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("x"))
	}
}

func TestBoot(t *testing.T) {
	good := "printf 'KESTREL-INIT 6.1.0\\r\\nKESTREL-BEGIN bpf\\r\\n=== RUN   TestA\\r\\n--- PASS: TestA (0.00s)\\r\\n" +
		"KESTREL-END bpf 0 1\\r\\nRESULT 0\\r\\n'\n"
	for _, c := range []struct {
		name, script string
		boots        int
		problem      string // "": none
	}{
		{"good", good, 1, ""},
		{"no-power-switch", good + "exec sleep 60\n", 1, ""},
		{"dies-early", "echo 'Kernel panic - not syncing: x'\n", 2, "kernel panic: x"},
		{"dies-late", "echo KESTREL-INIT 6.1.0; echo KESTREL-BEGIN bpf; echo 'Kernel panic - not syncing: y'\n", 1, "kernel panic: y"},
		{"second-try", `[ "$(wc -l < "$(dirname "$0")/boots")" = 1 ] && exit 0` + "\n" + good, 2, ""},
		{"bad-option", "echo 'no such option' >&2; exit 1\n", 2, "no such option"},
		{"prints-without-end", "echo KESTREL-INIT 6.1.0; exec yes 0123456789012345678901234567890123456789\n", 1, "bytes of output"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, boots := fakeQEMU(t, c.script)
			r, err := g.run(context.Background())
			problems := strings.Join(judge(r, err, []string{"bpf"}), "; ")
			if (problems == "") != (c.problem == "") || !strings.Contains(problems, c.problem) {
				t.Errorf("problems %q, want %q", problems, c.problem)
			}
			if n := boots(); n != c.boots {
				t.Errorf("%d boots, want %d", n, c.boots)
			}
		})
	}
}

func TestBootTimeout(t *testing.T) {
	g, _ := fakeQEMU(t, "echo KESTREL-INIT 6.1.0; exec sleep 60\n")
	g.timeout = -bootTimeout + 300*time.Millisecond // of the whole, boot included
	r, err := g.run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "timed out") || r.release != "6.1.0" {
		t.Errorf("release %q, %v", r.release, err)
	}
}

func TestBootCancelled(t *testing.T) {
	g, boots := fakeQEMU(t, "exec sleep 60\n")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := g.run(ctx); err == nil {
		t.Error("no error")
	}
	if took := time.Since(start); took > 30*time.Second || boots() != 1 {
		t.Errorf("%v, %d boots", took, boots())
	}
}

func TestFlags(t *testing.T) {
	o, err := parseFlags([]string{"-kernel", "6.1, 7.x", "-arch", "arm64", "-long"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.kernels) != 2 || o.kernels[1].suite != "trixie-backports" || len(o.archs) != 1 || len(o.suites) != len(suites) {
		t.Errorf("%+v", o)
	}
	for _, args := range [][]string{{"-kernel", "4.19"}, {"-arch", "mips"}, {"-suite", "none"}, {"more"}, {"-none"}} {
		var out bytes.Buffer
		if _, err := parseFlags(args, &out); err == nil || out.Len() == 0 {
			t.Errorf("%q: %v, %q", args, err, out.String())
		}
	}
}

func TestMissingTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o, err := parseFlags(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	if code := run(context.Background(), o, &out, &complaints); code != exitMissing {
		t.Errorf("exit code %d, want %d", code, exitMissing)
	}
	bin := t.TempDir()
	for _, name := range append([]string{"go"}, tools...) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	complaints.Reset()
	if code := run(context.Background(), o, &out, &complaints); code != exitMissing {
		t.Errorf("exit code %d, want %d", code, exitMissing)
	}
	for _, want := range []string{"qemu-system-x86", "qemu-system-arm", "apt-get install"} {
		if !strings.Contains(complaints.String(), want) {
			t.Errorf("no %q in %q", want, complaints.String())
		}
	}
}

// TestSuites: every entry of the list names a package that exists and needs that can be met.
func TestSuites(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range suites {
		found, err := filepath.Glob(filepath.Join("../..", s.pkg, "*_test.go"))
		if err != nil || len(found) == 0 {
			t.Errorf("%s has no tests: %v", s.pkg, err)
		}
		if seen[s.name()] {
			t.Errorf("two suites are named %s", s.name())
		}
		seen[s.name()] = true
		for _, need := range s.needs {
			if _, err := os.Stat(filepath.Join("../..", need)); strings.HasPrefix(need, "./") && err != nil {
				t.Errorf("%s needs %s: %v", s.pkg, need, err)
			} else if !strings.HasPrefix(need, "./") && !standIns[need] {
				t.Errorf("%s needs %s, which nobody plays", s.pkg, need)
			}
		}
	}
}

func TestSuiteCommand(t *testing.T) {
	s := suite{pkg: "./a/b", run: "Live", env: []string{"A=1"}}
	full := s
	full.full = true
	for _, c := range []struct {
		s     suite
		o     testOptions
		short bool
		run   string
		env   string
	}{
		{s, testOptions{}, true, "Live", "A=1"},
		{s, testOptions{run: "X"}, true, "X", "A=1"},
		{s, testOptions{long: true}, false, "Live", "A=1 " + longEnv},
		{full, testOptions{}, false, "Live", "A=1"},
	} {
		args, env := c.s.command(c.o)
		if got := slices.Contains(args, "-test.short"); got != c.short {
			t.Errorf("%+v: %q", c, args)
		}
		if !slices.Contains(args, "-test.run="+c.run) || strings.Join(env, " ") != c.env {
			t.Errorf("%+v: %q %q", c, args, env)
		}
	}
	if s.name() != "b" || len(s.env) != 1 {
		t.Errorf("%+v", s)
	}
}
