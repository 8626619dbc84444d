package event

import (
	"strings"
	"testing"
)

// TestSchema: what the tables must keep to.
func TestSchema(t *testing.T) {
	ids, names := map[FieldID]bool{}, map[string]bool{}
	for i := range Fields {
		f := &Fields[i]
		if ids[f.ID] || names[f.Name] || int(f.ID) >= FieldsMax || f.ID == 0 {
			t.Errorf("field %d %s is there twice or out of range", f.ID, f.Name)
		}
		ids[f.ID], names[f.Name] = true, true
		if i > 0 && Fields[i-1].ID >= f.ID {
			t.Errorf("field %d %s is out of order", f.ID, f.Name)
		}
		if FieldByName(f.Name) != f || FieldByID(f.ID) != f || !f.ID.Known() || f.ID.Kind() != f.Kind || f.ID.Part() != f.Part {
			t.Errorf("field %d %s is not found by id and name", f.ID, f.Name)
		}
		class := f.Class
		if class == commonClass {
			class = ClassProcess
		}
		for _, s := range []uint8{f.Slot, f.From} {
			if s != noSlot && int(s) >= class.Slots() {
				t.Errorf("field %d %s: slot %d of %d", f.ID, f.Name, s, class.Slots())
			}
		}
		if f.Slot != noSlot && f.Part != PartHost {
			if f.Kind.IsNumber() == (stringSlots[class]>>f.Slot&1 != 0) {
				t.Errorf("field %d %s: slot %d is not of kind %v", f.ID, f.Name, f.Slot, f.Kind)
			}
			if (f.Kind == KindIP) != (addressSlots[class]>>f.Slot&1 != 0) {
				t.Errorf("field %d %s: slot %d is an address, or none", f.ID, f.Name, f.Slot)
			}
			if f.Captured && f.Derive == DeriveNone && int(f.Slot) >= class.SlotsCaptured() {
				t.Errorf("field %d %s is captured, and slot %d is not", f.ID, f.Name, f.Slot)
			}
		}
		if want := partClass(f); f.Class != want && (f.Part != PartOwn || f.Class == ClassContext) {
			t.Errorf("field %d %s: class %v of part %d, want %v", f.ID, f.Name, f.Class, f.Part, want)
		}
		if f.Doc == "" {
			t.Errorf("field %d %s has no words", f.ID, f.Name)
		}
	}
	for c := ClassProcess; c < Classes; c++ {
		if len(SlotNames[c]) != c.Slots() {
			t.Errorf("class %v: %d names of %d slots", c, len(SlotNames[c]), c.Slots())
		}
	}
	// The ids that rule modules were compiled with.
	for name, id := range map[string]FieldID{"event.type": 1, "process.pid": 2, "process.name": 3, "process.executable": 4,
		"process.command_line": 5, "process.parent.pid": 6, "user.id": 10, "file.path": 20, "destination.ip": 50,
		"destination.port": 51, "@timestamp": 100} {
		if f := FieldByName(name); f == nil || f.ID != id {
			t.Errorf("%s is not field %d", name, id)
		}
	}
	for n := 0; n < 1<<16; n++ {
		if ti := Info(Type(n)); ti != nil && ti.Type != Type(n) {
			t.Fatalf("type %d is found as %d", n, ti.Type)
		}
	}
	for i := range Types {
		if Info(Types[i].Type) != &Types[i] {
			t.Errorf("type %d is not found", Types[i].Type)
		}
	}
}

// partClass is the class of the record that has a field of a part.
func partClass(f *Field) Class {
	switch f.Part {
	case PartOwn, PartHost:
		return commonClass
	case PartReport:
		return ClassContext
	}
	return ClassProcess
}

// TestSlotsUsed: a slot that no field reads is one of those that others are derived from.
func TestSlotsUsed(t *testing.T) {
	var used [Classes]uint64
	used[ClassProcess] = 1<<SlotParentStart | 1<<SlotTTY
	used[ClassNetwork] = 1 << SlotProtocol
	used[ClassContext] = 1<<slotsContextFirst - 1
	for c := range used {
		used[c] |= 1 << SlotResult
	}
	for i := range Fields {
		for c := ClassProcess; c < Classes; c++ {
			if f := &Fields[i]; f.Slot != noSlot && (f.Class == c || f.Class == commonClass) {
				used[c] |= 1 << f.Slot
			}
		}
	}
	for c := ClassProcess; c < Classes; c++ {
		if want := uint64(1)<<c.Slots() - 1; used[c] != want {
			t.Errorf("class %v: slots %x are used, of %x", c, used[c], want)
		}
	}
}

func build(ty Type, fill func(*Builder)) Record {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.BeginWide(ty, 100)
	b.Process(7, 8, 0, 9)
	fill(&b)
	return b.End()
}

func TestDerived(t *testing.T) {
	host := &Host{Name: []byte("box"), WallOffset: 1000}
	host.Users.Set(0, []byte("root"))
	proc := build(TypeProcessInfo, func(b *Builder) {
		b.String(SlotExecutable, "/usr/bin/prog", 0)
		b.Bytes(SlotArgs, []byte("prog\x00-x"), 5, false)
		b.Int(SlotTTY, 34816)
		b.Int(SlotRealUID, 0)
	})
	cases := []struct {
		name  string
		own   Record
		field string
		want  string // "-" is absent
	}{
		{"basename", build(TypeFileRead, func(b *Builder) {}), "process.name", "prog"},
		{"joined", build(TypeFileRead, func(b *Builder) {}), "process.command_line", "prog\x00"},
		{"file name", build(TypeFileRead, func(b *Builder) { b.String(SlotPath, "/a.d/b.tar.gz", 0) }), "file.name", "b.tar.gz"},
		{"extension", build(TypeFileRead, func(b *Builder) { b.String(SlotPath, "/a.d/b.tar.gz", 0) }), "file.extension", "gz"},
		{"no extension", build(TypeFileRead, func(b *Builder) { b.String(SlotPath, "/a.d/b", 0) }), "file.extension", "-"},
		{"dot at the end", build(TypeFileRead, func(b *Builder) { b.String(SlotPath, "/a.d/b.", 0) }), "file.extension", "-"},
		{"own name", build(TypeFileRead, func(b *Builder) { b.String(SlotPath, "/a", 0); b.String(SlotFileName, "c", 0) }), "file.name", "c"},
		{"action", build(TypeFileCreate, func(b *Builder) {}), "event.action", "creation"},
		{"action said", build(TypeFileCreate, func(b *Builder) { b.String(SlotAction, "made", 0) }), "event.action", "made"},
		{"action none", build(TypeFileCreate, func(b *Builder) { b.String(SlotAction, "", 0) }), "event.action", "-"},
		{"types none", build(TypeFileCreate, func(b *Builder) { b.String(SlotTypes, "", 0) }), "event.type", "-"},
		{"category none", build(TypeFileCreate, func(b *Builder) { b.String(SlotCategory, "", 0) }), "event.category", "-"},
		{"empty path", build(TypeFileCreate, func(b *Builder) { b.String(SlotPath, "", 0) }), "file.path", ""},
		{"category", build(TypeSetID, func(b *Builder) {}), "event.category", "process"},
		{"user name", build(TypeFileRead, func(b *Builder) { b.Int(SlotUID, 0) }), "user.name", "root"},
		{"user without a name", build(TypeFileRead, func(b *Builder) { b.Int(SlotUID, 5) }), "user.name", "-"},
		{"success", build(TypeConnect, func(b *Builder) { b.Int(SlotResult, -115) }), "event.outcome", "success"},
		{"failure", build(TypeConnect, func(b *Builder) { b.Int(SlotResult, -13) }), "event.outcome", "failure"},
		{"transport", build(TypeConnect, func(b *Builder) { b.Int(SlotProtocol, 17) }), "network.transport", "udp"},
		{"network type", build(TypeConnect, func(b *Builder) { b.Bytes(SlotDestinationIP, make([]byte, 16), 0, false) }), "network.type", "ipv6"},
		{"of another class", build(TypeConnect, func(b *Builder) {}), "file.path", "-"},
		{"host", build(TypeConnect, func(b *Builder) {}), "host.name", "box"},
		{"no host id", build(TypeConnect, func(b *Builder) {}), "host.id", "-"},
		{"no parent", build(TypeConnect, func(b *Builder) {}), "process.parent.name", "-"},
		{"no leader", build(TypeConnect, func(b *Builder) {}), "process.entry_leader.name", "-"},
		{"original name", build(TypeFileRename, func(b *Builder) { b.String(SlotOriginalPath, "/a/b.c", 0) }), "file.Ext.original.name", "b.c"},
		{"original extension", build(TypeFileRename, func(b *Builder) { b.String(SlotOriginalPath, "/a/b.c", 0) }), "file.Ext.original.extension", "c"},
		{"connects", build(TypeConnect, func(b *Builder) {}), "network.direction", "egress"},
		{"is connected to", build(TypeAccept, func(b *Builder) {}), "network.direction", "ingress"},
		{"listens", build(TypeListen, func(b *Builder) {}), "network.direction", "-"},
		{"direction said", build(TypeConnect, func(b *Builder) { b.String(SlotDirection, "internal", 0) }), "network.direction", "internal"},
		{"direction from outside", build(TypeConnect, func(b *Builder) { b.Flag(FlagInline) }), "network.direction", "-"},
		{"kind", build(TypeConnect, func(b *Builder) {}), "event.kind", "event"},
		{"kind from outside", build(TypeConnect, func(b *Builder) { b.Flag(FlagInline) }), "event.kind", "-"},
		{"no module", build(TypeConnect, func(b *Builder) {}), "event.module", "-"},
		{"real name of the process", build(TypeConnect, func(b *Builder) {}), "user.Ext.real.name", "root"},
		{"real name of the event", build(TypeSetID, func(b *Builder) { b.Int(SlotRealUID, 5) }), "user.Ext.real.name", "-"},
		{"process user", build(TypeConnect, func(b *Builder) {}), "process.real_user.name", "root"},
	}
	for _, c := range cases {
		ev := Event{Own: c.own, Proc: proc, Host: host}
		got := "-"
		if v, ok := ev.Bytes(FieldByName(c.field).ID); ok {
			got = string(v)
		}
		if got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.name, c.field, got, c.want)
		}
	}
	ev := Event{Own: cases[0].own, Proc: proc, Host: host}
	for field, want := range map[string]int64{"process.pid": 7, "process.thread.id": 8, "process.entity_id": 9,
		"process.interactive": 1, "@timestamp": 1100} {
		if v, ok := ev.Int(FieldByName(field).ID); !ok || v != want {
			t.Errorf("%s is %d, want %d", field, v, want)
		}
	}
	if !ev.Truncated(FieldCommandLine) || !ev.Truncated(FieldArgs) || ev.Truncated(FieldName) {
		t.Error("what was cut is not told from what was not")
	}
}

// TestParts: each part's fields come from its record, and only from it.
func TestParts(t *testing.T) {
	named := func(name string, entity uint64) Record {
		b := Builder{Buf: make([]byte, RecordSizeMax)}
		b.BeginWide(TypeProcessInfo, 1)
		b.Process(uint32(len(name)), 0, 0, entity)
		b.String(SlotName, name, 0)
		b.Int(SlotUID, int64(len(name)))
		return b.End()
	}
	ev := Event{Own: build(TypeConnect, func(*Builder) {}), Proc: named("p", 9), Parent: named("pp", 2), Entry: named("eee", 3),
		Session: named("ssss", 9), Group: named("ggggg", 0)}
	ev.Report = build(TypeReport, func(b *Builder) { b.String(SlotModule, "m", 0); b.Int(SlotUserEffectiveID, 77) })
	for i, c := range []struct {
		part Part
		name string
		same int64 // -1: none
	}{{PartProc, "process", -1}, {PartParent, "process.parent", -1}, {PartEntry, "process.entry_leader", 0},
		{PartSession, "process.session_leader", 1}, {PartGroup, "process.group_leader", -1}} {
		v, _ := ev.Bytes(FieldByName(c.name + ".name").ID)
		uid, _ := ev.Int(FieldByName(c.name + ".user.id").ID)
		if len(v) != i+1 || uid != int64(i+1) || &ev.Record(c.part)[0] == &ev.Own[0] {
			t.Errorf("%s is %q with user %d", c.name, v, uid)
		}
		if f := FieldByName(c.name + ".same_as_process"); f != nil {
			if same, ok := ev.Int(f.ID); ok != (c.same >= 0) || ok && same != c.same {
				t.Errorf("%s is the process: %d %v", c.name, same, ok)
			}
			if pid, _ := ev.Int(FieldByName(c.name + ".pid").ID); pid != int64(i+1) {
				t.Errorf("%s has pid %d", c.name, pid)
			}
		}
	}
	if m, _ := ev.Bytes(FieldByName("event.module").ID); string(m) != "m" {
		t.Errorf("module %q", m)
	}
	if id, _ := ev.Int(FieldByName("user.effective.id").ID); id != 77 {
		t.Errorf("effective user %d", id)
	}
	if ev.Record(PartHost) != nil || ev.Record(PartReport) == nil {
		t.Error("records of the wrong parts")
	}
}

// TestReported: what a report would say follows from a capture, and from no event from outside.
func TestReported(t *testing.T) {
	proc := build(TypeProcessInfo, func(b *Builder) { b.Int(SlotRealUID, 3); b.Int(SlotRealGID, 4) })
	for _, c := range []struct {
		name      string
		own       Record
		euid, uid int64 // -1: none
	}{
		{"connect", build(TypeConnect, func(b *Builder) { b.Int(SlotUID, 1) }), 1, 3},
		{"change", build(TypeSetID, func(b *Builder) { b.Int(SlotUID, 1); b.Int(SlotRealUID, 8) }), 1, 8},
		{"nothing", build(TypeConnect, func(*Builder) {}), -1, 3},
		{"outside", build(TypeConnect, func(b *Builder) { b.Int(SlotUID, 1); b.Flag(FlagInline) }), -1, -1},
	} {
		ev := Event{Own: c.own, Proc: proc}
		for field, want := range map[string]int64{"user.effective.id": c.euid, "user.Ext.real.id": c.uid} {
			if v, ok := ev.Int(FieldByName(field).ID); ok != (want >= 0) || ok && v != want {
				t.Errorf("%s: %s is %d %v, want %d", c.name, field, v, ok, want)
			}
		}
	}
	ev := Event{Own: build(TypeConnect, func(*Builder) {})}
	if _, ok := ev.Int(FieldByName("group.Ext.real.id").ID); ok {
		t.Error("a real group without a process")
	}
}

func TestSetCategory(t *testing.T) {
	for text, want := range map[string]Category{"file": CategoryFile, "dns": CategoryDNS, "iam": CategoryIAM, "registry": CategoryOther, "": CategoryOther, "any": CategoryOther} {
		ev := Event{Own: build(TypeExec, func(b *Builder) { b.String(SlotCategory, text, 0) })}
		if ev.SetCategory(); ev.Cat != want {
			t.Errorf("%q is %v, want %v", text, ev.Cat, want)
		}
	}
	ev := Event{Own: build(TypeModuleLoad, func(*Builder) {})}
	if ev.SetCategory(); ev.Cat != CategoryProcess {
		t.Errorf("a module load is %v", ev.Cat)
	}
}

func TestUsersFull(t *testing.T) {
	var u Users
	for id := uint32(0); id < UsersMax+3; id++ {
		u.Set(id, []byte(strings.Repeat("n", int(id)%40)))
	}
	u.Set(5, []byte("five"))
	if name, ok := u.Name(5); !ok || string(name) != "five" {
		t.Errorf("user 5 is %q", name)
	}
	if name, _ := u.Name(39); len(name) != UserNameMax {
		t.Errorf("a name of %d bytes", len(name))
	}
	if _, ok := u.Name(UsersMax); ok || u.Refused != 3 {
		t.Errorf("refused %d", u.Refused)
	}
}
