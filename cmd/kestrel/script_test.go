package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/rules"
	"github.com/kestrel-detection/kestrel/testdata"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kestrel": main, benchmarkName: main})
}

// TestScripts runs the commands as a user does; each file of testdata/script says what it is about.
func TestScripts(t *testing.T) {
	defaults, err := filepath.Abs("../../rules/default")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DEFAULT_RULES", defaults)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "alerts": alerts, "capture": writeCapture, "cut": cut, "lines": lines,
		},
	})
}

// TestDefaultImageIsCurrent: the image in the binaries holds the rules of the tree, as today's compiler writes them.
func TestDefaultImageIsCurrent(t *testing.T) {
	p, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(defaults.Image(), want) {
		t.Errorf("image/defaults/default.kri has %d bytes, rules/default compiles to %d others: run make generate",
			len(defaults.Image()), len(want))
	}
}

// exits CODE COMMAND ARGS.. runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS..")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// alerts RULE.. says which rules the JSON lines of the last standard output are alerts of, in order. Of other lines
// there is none but the one that ends a replay.
func alerts(ts *testscript.TestScript, neg bool, args []string) {
	var got []string
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var a struct {
			ID      string          `json:"id"`
			RuleID  string          `json:"rule_id"`
			Events  []any           `json:"events"`
			Context map[string]any  `json:"context"`
			Replay  json.RawMessage `json:"replay"`
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			ts.Fatalf("%v in %s", err, line)
		}
		if a.Replay != nil {
			continue
		}
		if len(a.ID) != 32 || len(a.Events) == 0 || a.Context["action"] != "alerted" {
			ts.Fatalf("not an alert: %s", line)
		}
		got = append(got, a.RuleID)
	}
	if same := strings.Join(got, " ") == strings.Join(args, " "); same == neg {
		ts.Fatalf("alerts of %q, want %q", got, args)
	}
}

// lines N FILE counts lines.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N FILE")
	}
	text := ts.ReadFile(args[1])
	if n := strings.Count(text, "\n"); strconv.Itoa(n) != args[0] || text != "" && !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%d lines, want %s:\n%s", n, args[0], text)
	}
}

// writeCapture writes the recorded log of the repository: capture FILE, uncompressed unless the name ends in .gz.
func writeCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: capture FILE")
	}
	b := testdata.Capture()
	if filepath.Ext(args[0]) != ".gz" {
		z, err := gzip.NewReader(bytes.NewReader(b))
		ts.Check(err)
		b, err = io.ReadAll(z)
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// cut FILE PERCENT TO copies the beginning of a file.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FILE PERCENT TO")
	}
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	percent, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b[:len(b)*percent/100], 0o644))
}
