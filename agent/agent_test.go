package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/bpf"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/limits"
)

func TestClassesOf(t *testing.T) {
	const process, file, network = 1 << event.ClassProcess, 1 << event.ClassFile, 1 << event.ClassNetwork
	for _, c := range []struct {
		types []string
		want  uint32
	}{
		{nil, process}, {[]string{"process"}, process}, {[]string{"file"}, process | file},
		{[]string{"network"}, process | network}, {[]string{"dns"}, process | network},
		{[]string{"dns", "network", "file", "process", "file"}, process | file | network},
	} {
		if got, err := classesOf(c.types); err != nil || got != c.want {
			t.Errorf("%v: %#x, %v, want %#x", c.types, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "Process", "registry"} {
		if _, err := classesOf([]string{"process", bad}); err == nil || !strings.Contains(err.Error(), "\""+bad+"\"") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestImageFile: a good file is loaded; every other is refused with its name and the reason.
func TestImageFile(t *testing.T) {
	dir := t.TempDir()
	good := compile(t, manyAlerts)
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r, err := ImageFile(write("good.kri", good)).Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Image.Rules) != len(manyAlerts) {
		t.Errorf("%d rules", len(r.Image.Rules))
	}
	r.Close()
	r.Close()
	if err := os.Truncate(write("large.kri", good), limits.ImageBytesMax+1); err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[0] ^= 0xff
	for name, want := range map[string]string{
		"missing.kri":                                         "no such file",
		"large.kri":                                           "16777217 bytes (max 16777216)",
		filepath.Base(write("empty.kri", nil)):                "0 bytes",
		filepath.Base(write("one.kri", good[:1])):             "rule image",
		filepath.Base(write("half.kri", good[:len(good)/2])):  "rule image",
		filepath.Base(write("short.kri", good[:len(good)-1])): "rule image",
		filepath.Base(write("long.kri", append(flipped[:0:0], append(good, 0)...))): "rule image",
		filepath.Base(write("flipped.kri", flipped)):                                "not a Kestrel rule image",
		"folder": "",
	} {
		if name == "folder" {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		r, err := ImageFile(filepath.Join(dir, name)).Load()
		if err == nil {
			r.Close()
			t.Errorf("%s is loaded", name)
			continue
		}
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := ImageBytes(good[:100]).Load(); err == nil {
		t.Error("a hundred bytes of an image are loaded")
	}
}

// TestReloadAfterTheEnd: a reload that comes when the pipeline has ended, for a capture that failed, waits for nobody.
func TestReloadAfterTheEnd(t *testing.T) {
	rules := ImageBytes(compile(t, manyAlerts))
	running, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	l := &live{
		o: Options{Rules: rules, Log: NewLog(&messages{}, LevelDebug)}, rules: running,
		matched: make(chan struct{}), swap: make(chan *Rules), swapped: make(chan swapped),
	}
	close(l.matched)
	done := make(chan struct{})
	go func() { l.reload(); close(done) }()
	select {
	case <-done:
		if l.rules != running {
			t.Error("rules that nobody uses took the place of the others")
		}
	case <-time.After(5 * time.Second):
		t.Error("a reload after the end does not return")
	}
}

// TestLog: one line a message, those below the level left out.
func TestLog(t *testing.T) {
	for level, want := range map[Level]string{
		LevelDebug: "kestrel: debug: a 1\nkestrel: b\nkestrel: warn: c | d\nkestrel: error: e\n",
		LevelInfo:  "kestrel: b\nkestrel: warn: c | d\nkestrel: error: e\n",
		LevelWarn:  "kestrel: warn: c | d\nkestrel: error: e\n",
		LevelError: "kestrel: error: e\n",
	} {
		var out messages
		l := NewLog(&out, level)
		l.Debugf("a %d", 1)
		l.Infof("b")
		l.Warnf("%s", "c\nd")
		l.Errorf("%v", errors.New("e"))
		if out.String() != want {
			t.Errorf("level %d: %q, want %q", level, out.String(), want)
		}
	}
	for name, want := range map[string]Level{"debug": LevelDebug, "INFO": LevelInfo, "Warn": LevelWarn, "error": LevelError} {
		if got, ok := ParseLevel(name); !ok || got != want {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
	if _, ok := ParseLevel("loud"); ok {
		t.Error("loud is a level")
	}
}

// TestDoctor: what is said holds, in both forms.
func TestDoctor(t *testing.T) {
	var text, encoded bytes.Buffer
	available, err := Doctor(&text, false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Doctor(&encoded, true)
	if err != nil || again != available {
		t.Fatalf("%v, then %v: %v", available, again, err)
	}
	var got struct {
		Kernel, Source, Guard string
		NotSeen               string `json:"not_seen"`
		Checks                []struct{ Name, Answer, Detail string }
	}
	if err := json.Unmarshal(encoded.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, encoded.Bytes())
	}
	if got.Kernel == "" || len(got.Checks) == 0 || got.NotSeen == "" || got.Guard != "none" || available == (got.Source == "none") {
		t.Errorf("available %v: %+v", available, got)
	}
	for _, c := range got.Checks {
		if !strings.Contains(text.String(), c.Name) {
			t.Errorf("%s is missing in the text", c.Name)
		}
	}
	if !strings.Contains(text.String(), "source: "+got.Source+"\n") {
		t.Errorf("text:\n%s", text.String())
	}
	if available != (bpf.Probe().Tier != bpf.TierAuto) {
		t.Error("another answer than the capture's own")
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b\\c", "line\nend\x00\x1f", "ü€😀"} {
		var back string
		if err := json.Unmarshal([]byte(quote(s)), &back); err != nil || back != s {
			t.Errorf("%q: %s, %v", s, quote(s), err)
		}
	}
}
