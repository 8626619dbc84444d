package alert

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

var update = flag.Bool("update", false, "write the golden files")

// record builds a record of type t; set fills its slots.
func record(t event.Type, id uint64, set func(b *event.Builder)) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(t, 5_000_000_000+id)
	b.Process(4711, 4712, 3_000_000_000, 0xabcdef)
	set(&b)
	r := b.End()
	r.SetID(id)
	return r
}

func testHost() *event.Host {
	h := &event.Host{ID: []byte("0123456789abcdef"), Name: []byte("gateway-7"), WallOffset: 1_704_067_200_000_000_000}
	h.Users.Set(0, []byte("root"))
	return h
}

func execEvent(args string) *event.Event {
	parent := record(event.TypeExec, 1, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/usr/bin/bash", 0)
		b.String(event.SlotArgs, "-bash", 0)
	})
	own := record(event.TypeExec, 2, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/tmp/malware", 0)
		b.String(event.SlotArgs, args, 0)
		b.Int(event.SlotArgsCount, int64(strings.Count(args, "\x00")+1))
		b.Int(event.SlotUID, 0)
		b.Int(event.SlotTTY, 34816)
		b.Int(event.SlotParentPID, 812)
	})
	return &event.Event{Own: own, Proc: own, Parent: parent, ParentEntity: 0x1234, Cat: event.CategoryProcess, Host: testHost()}
}

func connectEvent() *event.Event {
	e := execEvent("/tmp/malware\x00-x")
	e.Own = record(event.TypeConnect, 3, func(b *event.Builder) {
		b.Bytes(event.SlotDestinationIP, []byte{10, 0, 0, 1}, 0, false)
		b.Int(event.SlotDestinationPort, 443)
		b.Int(event.SlotProtocol, 6)
		b.Int(event.SlotResult, -115)
		b.Int(event.SlotUID, 0)
	})
	return e
}

func head() *Head {
	return &Head{Action: WouldBlock, Severity: High, Flags: FlagStateEvicted, Seq: 77, Wall: 1_704_067_205_000_000_003,
		Mono: 5_000_000_003, ID: [16]byte{0xde, 0xad, 15: 0xff}, Entity: 0x7f3a2b1c0d4e, Suppressed: 60}
}

var rule = &Rule{Ruleset: "base 1.2.0", ID: "suspicious-exec", Name: "Suspicious exec", Title: "A program in /tmp was run"}

func sample(buf []byte) Alert {
	b := Builder{Buf: buf}
	b.Begin(head(), rule)
	b.Evidence(AppendEvidence(make([]byte, 0, EvidenceBytesMax), execEvent("/tmp/malware\x00-c\x00bash -i"), EvidenceBytesMax))
	b.Event(connectEvent(), EvidenceBytesMax)
	return b.End()
}

func dirty(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }

func get(t *testing.T, e Evidence, name string) Field {
	t.Helper()
	want := event.FieldByName(name)
	if want == nil {
		t.Fatalf("no field %s in the schema", name)
	}
	for it := e.Fields(); ; {
		f, ok := it.Next()
		if !ok {
			t.Fatalf("%s is not in the event", name)
		}
		if f.ID == want.ID {
			return f
		}
	}
}

func TestRoundTrip(t *testing.T) {
	a := sample(dirty(SizeMax))
	if code := Check(a); code != ErrNone {
		t.Fatal(code)
	}
	h := head()
	if a.Action() != h.Action || a.Severity() != h.Severity || a.Flags() != h.Flags || a.Seq() != h.Seq ||
		a.Wall() != h.Wall || a.Mono() != h.Mono || !bytes.Equal(a.ID(), h.ID[:]) || a.Entity() != h.Entity ||
		a.Suppressed() != h.Suppressed || a.Count() != 2 || a.Omitted() != 0 {
		t.Errorf("head differs: %x", []byte(a[:headSize]))
	}
	got := Rule{string(a.Ruleset()), string(a.RuleID()), string(a.RuleName()), string(a.Title())}
	if got != *rule {
		t.Errorf("rule %+v, want %+v", got, *rule)
	}
	it := a.Events()
	first, _ := it.Next()
	second, _ := it.Next()
	if _, ok := it.Next(); ok {
		t.Error("a third event")
	}
	if first.Type() != event.TypeExec || first.ID() != 2 || first.Mono() != 5_000_000_002 || first.Wall() != 1_704_067_205_000_000_002 {
		t.Errorf("first event: type %d id %d mono %d wall %d", first.Type(), first.ID(), first.Mono(), first.Wall())
	}
	for _, c := range []struct {
		e          Evidence
		name, want string
	}{
		{first, "event.type", "start\x00exec"},
		{first, "event.category", "process"},
		{first, "process.name", "malware"},
		{first, "process.command_line", "/tmp/malware -c bash -i"},
		{first, "process.args", "/tmp/malware\x00-c\x00bash -i"},
		{first, "user.name", "root"},
		{first, "process.parent.name", "bash"},
		{first, "host.name", "gateway-7"},
		{second, "destination.ip", "\x0a\x00\x00\x01"},
		{second, "network.transport", "tcp"},
		{second, "event.outcome", "success"},
		{second, "process.executable", "/tmp/malware"},
	} {
		if f := get(t, c.e, c.name); string(f.Value) != c.want || f.Truncated {
			t.Errorf("%s = %q truncated %v, want %q", c.name, f.Value, f.Truncated, c.want)
		}
	}
	for name, want := range map[string]int64{"process.pid": 4711, "user.id": 0, "process.entity_id": 0xabcdef,
		"process.parent.entity_id": 0x1234, "process.interactive": 1, "process.args_count": 3, "process.parent.pid": 812} {
		if f := get(t, first, name); f.Int() != want {
			t.Errorf("%s = %d, want %d", name, f.Int(), want)
		}
	}
	for it := first.Fields(); ; {
		f, ok := it.Next()
		if !ok {
			break
		}
		if f.ID == event.FieldTimestamp || f.ID == event.FieldHostOSType || f.ID == event.FieldFilePath {
			t.Errorf("field %d in a process event", f.ID)
		}
	}
}

// The bytes do not depend on what the buffer held, nor on whether the event went through a slab.
func TestSameBytes(t *testing.T) {
	a, b := sample(make([]byte, SizeMax)), sample(dirty(SizeMax))
	if !bytes.Equal(a, b) {
		t.Error("bytes depend on what the buffer held")
	}
	got := []byte(hex.Dump(a))
	const golden = "testdata/alert.hex"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the bytes of an alert changed (Version must, too):\n%s", got)
	}
}

func TestEvidenceRoom(t *testing.T) {
	ev := execEvent("/tmp/malware\x00" + strings.Repeat("a", 300))
	whole := Evidence(AppendEvidence(make([]byte, 0, EvidenceBytesMax), ev, EvidenceBytesMax))
	buf := make([]byte, EvidenceBytesMax)
	for max := 0; max <= whole.Size(); max++ {
		for i := range buf {
			buf[i] = 0xa5
		}
		e := Evidence(AppendEvidence(buf[:0:max], ev, EvidenceBytesMax))
		if max < EvidenceBytesMin {
			if len(e) != 0 {
				t.Fatalf("room for %d bytes, %d used", max, len(e))
			}
			continue
		}
		if !bytes.Equal(e, AppendEvidence(make([]byte, 0, EvidenceBytesMax), ev, max)) {
			t.Fatalf("%d bytes by capacity and by max differ", max)
		}
		if e.Size() > max || buf[max] != 0xa5 {
			t.Fatalf("%d bytes in room for %d", e.Size(), max)
		}
		if full := e.Count() == whole.Count(); full == (e.Flags()&EvidenceOmitted != 0) {
			t.Fatalf("room %d: %d of %d fields, flags %x", max, e.Count(), whole.Count(), e.Flags())
		}
		b := Builder{Buf: dirty(SizeMax)}
		b.Begin(head(), rule)
		b.Evidence(e)
		a := b.End()
		if code := Check(a); code != ErrNone {
			t.Fatalf("room %d: %v", max, code)
		}
		if a.Flags()&FlagFieldsOmitted != 0 != (e.Flags()&EvidenceOmitted != 0) {
			t.Fatalf("room %d: alert flags %x, event flags %x", max, a.Flags(), e.Flags())
		}
	}
}

func TestStringMax(t *testing.T) {
	for _, c := range []struct {
		arg  string
		want int
		cut  bool
	}{
		{strings.Repeat("x", StringBytesMax), StringBytesMax, false},
		{strings.Repeat("x", StringBytesMax+1), StringBytesMax, true},
		{strings.Repeat("x", StringBytesMax-1) + "é", StringBytesMax - 1, true},
		{strings.Repeat("x", StringBytesMax-3) + "😀", StringBytesMax - 3, true},
		{strings.Repeat("\x80", StringBytesMax+9), StringBytesMax, true},
	} {
		e := Evidence(AppendEvidence(make([]byte, 0, EvidenceBytesMax), execEvent(c.arg), EvidenceBytesMax))
		f := get(t, e, "process.args")
		if len(f.Value) != c.want || f.Truncated != c.cut || e.Flags()&EvidenceCut != 0 != c.cut {
			t.Errorf("%d bytes of argument: %d kept, cut %v, flags %x", len(c.arg), len(f.Value), f.Truncated, e.Flags())
		}
	}
}

// TestLeaders: an event has the fields of its leaders and of a report when it has these; a leader that is the process or
// its parent is only told by its ids.
func TestLeaders(t *testing.T) {
	leader := func(exe string) event.Record {
		return record(event.TypeProcessInfo, 1, func(b *event.Builder) { b.String(event.SlotExecutable, exe, 0) })
	}
	names := func(ev *event.Event) string {
		var out []string
		for it := Evidence(AppendEvidence(make([]byte, 0, EvidenceBytesMax), ev, EvidenceBytesMax)).Fields(); ; {
			f, ok := it.Next()
			if !ok {
				return strings.Join(out, " ")
			}
			switch event.FieldByID(f.ID).Part {
			case event.PartEntry, event.PartSession, event.PartGroup, event.PartReport:
				out = append(out, strings.TrimPrefix(event.FieldByID(f.ID).Name, "process."))
			}
		}
	}
	ev := connectEvent()
	if got := names(ev); got != "" {
		t.Errorf("without leaders: %s", got)
	}
	ev.Entry, ev.Session, ev.Group = leader("/sbin/sshd"), ev.Parent, ev.Proc
	want := "entry_leader.pid entry_leader.entity_id entry_leader.name entry_leader.executable entry_leader.same_as_process " +
		"session_leader.pid session_leader.entity_id group_leader.pid group_leader.entity_id"
	if got := names(ev); got != want {
		t.Errorf("with leaders: %s\nwant %s", got, want)
	}
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.BeginWide(event.TypeReport, 1)
	b.String(event.SlotModule, "auditd", 0)
	ev.Report = b.End()
	b = event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.BeginWide(event.TypeProcessInfo, 1)
	b.Process(5, 0, 0, 0)
	b.String(event.SlotEntryType, "init", 0)
	b.String(event.SlotExecutable, "/sbin/init", 0)
	ev.Parent = b.End()
	ev.Entry, ev.Session, ev.Group = ev.Parent, nil, nil
	want = "entry_leader.pid entry_leader.entry_meta.type event.module event.kind user.effective.id"
	if got := names(ev); got != want {
		t.Errorf("with a report: %s\nwant %s", got, want)
	}
}

// A value that the kernel programs cut says so, and so does what is derived from it.
func TestTruncatedByCapture(t *testing.T) {
	ev := execEvent("")
	ev.Own = record(event.TypeExec, 9, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/tmp/x", 0)
		b.Bytes(event.SlotArgs, []byte("x\x00y"), 0, true)
	})
	ev.Proc = ev.Own
	e := Evidence(AppendEvidence(make([]byte, 0, EvidenceBytesMax), ev, EvidenceBytesMax))
	for name, want := range map[string]bool{"process.args": true, "process.command_line": true, "process.executable": false} {
		if f := get(t, e, name); f.Truncated != want {
			t.Errorf("%s truncated %v", name, f.Truncated)
		}
	}
}

func TestBuilderLimits(t *testing.T) {
	long := strings.Repeat("r", TitleBytesMax+1)
	b := Builder{Buf: dirty(HeadBytesMax)}
	b.Begin(&Head{}, &Rule{long[:RulesetBytesMax], long[:RuleIDBytesMax], long[:RuleNameBytesMax], long[:TitleBytesMax]})
	b.Event(connectEvent(), EvidenceBytesMax)
	a := b.End()
	if code := Check(a); code != ErrNone || a.Flags() != FlagEventsOmitted || a.Omitted() != 1 || a.Count() != 0 {
		t.Errorf("no room for events: %v, flags %x, omitted %d", code, a.Flags(), a.Omitted())
	}
	b.Begin(&Head{}, &Rule{Title: long})
	if a = b.End(); Check(a) != ErrNone || a.Flags() != FlagCut || len(a.Title()) != TitleBytesMax {
		t.Errorf("long title: %v, flags %x, %d bytes", Check(a), a.Flags(), len(a.Title()))
	}
	b = Builder{Buf: dirty(2 * SizeMax)}
	b.Begin(head(), rule)
	e := AppendEvidence(make([]byte, 0, EvidenceBytesMax), connectEvent(), EvidenceBytesMax)
	fits := (SizeMax - b.n) / len(e)
	for range fits + 3 {
		b.Evidence(e)
	}
	if a = b.End(); Check(a) != ErrNone || a.Count() != fits || a.Omitted() != 3 || a.Size() > SizeMax {
		t.Errorf("%v: %d events and %d omitted in %d bytes, want %d and 3", Check(a), a.Count(), a.Omitted(), a.Size(), fits)
	}
}

func TestParseSeverity(t *testing.T) {
	for s := Low; s < Severities; s++ {
		for _, name := range []string{s.String(), strings.ToLower(s.String()), strings.ToUpper(s.String())} {
			if got, ok := ParseSeverity(name); !ok || got != s {
				t.Errorf("%s: %v %v", name, got, ok)
			}
		}
	}
	for _, name := range []string{"", "hig", "highx", "urgent", "h\tgh", "lo7"} {
		if s, ok := ParseSeverity(name); ok {
			t.Errorf("%q is %v", name, s)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	good := sample(make([]byte, SizeMax))
	first := good.eventsOffset()
	for _, c := range []struct {
		name string
		edit func(b []byte) []byte
		want Error
	}{
		{"empty", func([]byte) []byte { return nil }, ErrShort},
		{"head cut", func(b []byte) []byte { return b[:headSize-1] }, ErrShort},
		{"one event short", func(b []byte) []byte { return b[:len(b)-8] }, ErrSize},
		{"8 bytes more", func(b []byte) []byte { return append(b, make([]byte, 8)...) }, ErrSize},
		{"version", func(b []byte) []byte { b[offVersion]++; return b }, ErrVersion},
		{"action", func(b []byte) []byte { b[offAction] = uint8(Actions); return b }, ErrEnum},
		{"severity", func(b []byte) []byte { b[offSeverity] = uint8(Severities); return b }, ErrEnum},
		{"flag", func(b []byte) []byte { b[offFlags+3] = 0x80; return b }, ErrFlags},
		{"omitted without the flag", func(b []byte) []byte { b[offOmitted] = 1; return b }, ErrFlags},
		{"zero byte", func(b []byte) []byte { b[offZero] = 1; return b }, ErrPadding},
		{"zero word", func(b []byte) []byte { b[offTail+1] = 1; return b }, ErrPadding},
		{"text", func(b []byte) []byte { le.PutUint16(b[offLengths+6:], TitleBytesMax+1); return b }, ErrText},
		{"one event more", func(b []byte) []byte { b[offEvents]++; return b }, ErrEvent},
		{"one event fewer", func(b []byte) []byte { b[offEvents]--; return b }, ErrEvent},
		{"event size 0", func(b []byte) []byte { le.PutUint32(b[first:], 0); return b }, ErrEvent},
		{"event size huge", func(b []byte) []byte { le.PutUint32(b[first:], 1<<31); return b }, ErrEvent},
		{"event flag", func(b []byte) []byte { b[first+offEventFlags] = 0x80; return b }, ErrFlags},
		{"cut without a field", func(b []byte) []byte { b[first+offEventFlags] = EvidenceCut; return b }, ErrFlags},
		{"event padding", func(b []byte) []byte { b[first+offEventZero] = 1; return b }, ErrPadding},
		{"one field more", func(b []byte) []byte { b[first+offEventFields]++; return b }, ErrField},
		{"one field fewer", func(b []byte) []byte { b[first+offEventFields]--; return b }, ErrField},
		{"field length", func(b []byte) []byte { le.PutUint32(b[first+eventHeadSize+4:], 1<<32-1); return b }, ErrField},
		{"field kind", func(b []byte) []byte { b[first+eventHeadSize+2] = uint8(event.Kinds); return b }, ErrValue},
		{"string as number", func(b []byte) []byte { b[first+eventHeadSize+2] = uint8(event.KindInt); return b }, ErrValue},
		{"field order", func(b []byte) []byte { b[first+eventHeadSize] = 200; return b }, ErrOrder},
		{"field flag", func(b []byte) []byte { b[first+eventHeadSize+3] = 2; return b }, ErrFlags},
		{"field padding", func(b []byte) []byte { b[first+eventHeadSize+fieldHeadSize+15] = 1; return b }, ErrPadding},
	} {
		if got := Check(c.edit(bytes.Clone(good))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for n := range len(good) {
		if Check(good[:n]) == ErrNone {
			t.Errorf("the first %d of %d bytes pass", n, len(good))
		}
	}
}

// The plan relies on the schema being in the order of the ids.
func TestPlans(t *testing.T) {
	for c := range plans {
		last := event.FieldID(0)
		for _, f := range plans[c].fields[:plans[c].n] {
			if f.id <= last {
				t.Errorf("class %d: field %d after %d", c, f.id, last)
			}
			last = f.id
		}
	}
	if plans[event.ClassProcess].n < 30 || plans[event.ClassContext].n != 0 {
		t.Errorf("%d fields of a process event, %d of a context record", plans[event.ClassProcess].n, plans[event.ClassContext].n)
	}
}

func TestNoAllocation(t *testing.T) {
	ev, ev2, h := execEvent("/tmp/malware\x00-c\x00bash -i"), connectEvent(), head()
	b := Builder{Buf: make([]byte, SizeMax)}
	slab := make([]byte, 0, EvidenceBytesMax)
	faults := 0
	n := mallocs.Least(func() {
		for range 2000 {
			b.Begin(h, rule)
			b.Evidence(AppendEvidence(slab, ev, 2048))
			b.Event(ev2, 2048)
			a := b.End()
			if Check(a) != ErrNone {
				faults++
			}
		}
	})
	if n != 0 || faults != 0 {
		t.Errorf("%d allocations, %d faults in 2000 alerts", n, faults)
	}
}

func BenchmarkAlert(b *testing.B) {
	ev, h := execEvent("/tmp/malware\x00-c\x00bash -i"), head()
	w := Builder{Buf: make([]byte, SizeMax)}
	b.ReportAllocs()
	for b.Loop() {
		w.Begin(h, rule)
		w.Event(ev, EvidenceBytesMax)
		w.End()
	}
}

// TestWhole: the fields that a rule reads later are there however little room is left, and what follows from others too.
func TestWhole(t *testing.T) {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(event.TypeExec, 1)
	b.Process(7, 7, 0, 7)
	b.String(event.SlotExecutable, "/"+strings.Repeat("x", 900), 0)
	b.String(event.SlotArgs, strings.Repeat("a", 1200), 0)
	b.String(event.SlotCwd, "/home/somebody", 0)
	ev := &event.Event{Own: b.End()}
	ev.Proc, ev.Session = ev.Own, ev.Own
	ev.SetCategory()
	session := event.FieldByName("process.session_leader.executable").ID
	read := []event.FieldID{event.FieldWorkingDirectory, session}
	const max = 1800
	e := Evidence(AppendWhole(make([]byte, 0, max), ev, max, read))
	got := map[event.FieldID]string{}
	for it := e.Fields(); ; {
		f, ok := it.Next()
		if !ok {
			break
		}
		got[f.ID] = string(f.Value)
	}
	if got[event.FieldWorkingDirectory] != "/home/somebody" || len(got[session]) != 901 || e.Flags()&EvidenceOmitted == 0 {
		t.Errorf("%d fields, flags %d, directory %q, session leader %d bytes", len(got), e.Flags(), got[event.FieldWorkingDirectory], len(got[session]))
	}
	w := Builder{Buf: make([]byte, SizeMax)}
	w.Begin(&Head{}, &Rule{})
	w.Evidence(e)
	if fault := Check(w.End()); fault != ErrNone {
		t.Error(fault)
	}
	for it := Evidence(AppendEvidence(make([]byte, 0, max), ev, max)).Fields(); ; {
		f, ok := it.Next()
		if !ok {
			break
		}
		if f.ID == session {
			t.Error("an alert repeats what follows from the process")
		}
	}
}
