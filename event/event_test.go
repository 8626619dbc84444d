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
			text := f.Kind == KindString || f.Kind == KindStrings || f.Kind == KindIP
			if text != (stringSlots[class]>>f.Slot&1 != 0) {
				t.Errorf("field %d %s: slot %d is not of kind %v", f.ID, f.Name, f.Slot, f.Kind)
			}
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

func build(ty Type, fill func(*Builder)) Record {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.Begin(ty, 100)
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

func TestSetCategory(t *testing.T) {
	for text, want := range map[string]Category{"file": CategoryFile, "dns": CategoryDNS, "registry": CategoryOther, "": CategoryOther, "any": CategoryOther} {
		ev := Event{Own: build(TypeExec, func(b *Builder) { b.String(SlotCategory, text, 0) })}
		if ev.SetCategory(); ev.Cat != want {
			t.Errorf("%q is %v, want %v", text, ev.Cat, want)
		}
	}
	ev := Event{Own: build(TypeModuleLoad, func(*Builder) {})}
	if ev.SetCategory(); ev.Cat != CategoryDriver {
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
