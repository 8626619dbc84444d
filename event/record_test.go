package event

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func sample(ty Type) Record {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.Begin(ty, 5)
	b.Process(1, 2, 3, 4)
	switch ClassOf(ty) {
	case ClassProcess:
		b.String(SlotExecutable, "/bin/a", 0)
		b.Int(SlotParentPID, -9)
	case ClassFile:
		b.String(SlotPath, "/x/y.tar.gz", 0)
	case ClassNetwork:
		b.Bytes(SlotDestinationIP, []byte{10, 0, 0, 1}, 0, false)
	case ClassContext:
		b.String(SlotContextText, "root", 0)
	}
	return b.End()
}

// wide is a record with every slot of its class.
func wide(ty Type) Record {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.BeginWide(ty, 5)
	c := ClassOf(ty)
	for s := range c.Slots() {
		switch {
		case addressSlots[c]>>s&1 != 0:
			b.Bytes(s, make([]byte, 16), 0, false)
		case stringSlots[c]>>s&1 != 0:
			b.String(s, "/a.b", 0)
		default:
			b.Int(s, 1)
		}
	}
	return b.End()
}

func TestCheck(t *testing.T) {
	for i := range Types {
		if r := sample(Types[i].Type); Check(r) != ErrNone {
			t.Errorf("type %d: %v", Types[i].Type, Check(r))
		}
		r := wide(Types[i].Type)
		if Check(r) != ErrNone || r.Slots() != r.Class().Slots() {
			t.Errorf("type %d with all slots: %v", Types[i].Type, Check(r))
		}
		r[offSlots]++
		if Check(r) != ErrSlots {
			t.Errorf("type %d with one slot more: %v", Types[i].Type, Check(r))
		}
	}
	file, net := sample(TypeFileRead), sample(TypeConnect)
	cases := []struct {
		name string
		rec  Record
		edit func(Record) Record
		want Error
	}{
		{"empty", file, func(r Record) Record { return nil }, ErrShort},
		{"header cut", file, func(r Record) Record { return r[:HeaderSize-1] }, ErrShort},
		{"cut", file, func(r Record) Record { return r[:len(r)-8] }, ErrSize},
		{"longer", file, func(r Record) Record { return append(r, 0) }, ErrSize},
		{"not aligned", file, func(r Record) Record { r[0]++; return append(r, 0) }, ErrSize},
		{"too large", file, func(r Record) Record {
			r = append(r, make([]byte, RecordSizeMax)...)
			binary.LittleEndian.PutUint32(r, uint32(len(r)))
			return r
		}, ErrSize},
		{"type", file, func(r Record) Record { r[4], r[5] = 0xff, 0xff; return r }, ErrType},
		{"type of another class", file, func(r Record) Record { r[4], r[5] = 0xe9, 3; return r }, ErrSlots},
		{"slots of no version", file, func(r Record) Record { r[offSlots]--; return r }, ErrSlots},
		{"present", file, func(r Record) Record { r[offPresent+7] = 0x80; return r }, ErrSlots},
		{"present beyond its slots", file, func(r Record) Record { r[offPresent+SlotOriginalPath/8] |= 1 << (SlotOriginalPath % 8); return r }, ErrSlots},
		{"heap in its slots", file, func(r Record) Record { r[offSlots]++; return r }, ErrString},
		{"string before the heap", file, func(r Record) Record { r[HeaderSize+8*SlotPath] = 0; return r }, ErrString},
		{"string behind the end", file, func(r Record) Record { r[HeaderSize+8*SlotPath+5] = 1; return r }, ErrString},
		{"string by one", file, func(r Record) Record { r[HeaderSize+8*SlotPath+4] += 6; return r }, ErrString},
		{"address of 3 bytes", net, func(r Record) Record { r[HeaderSize+8*SlotDestinationIP+4] = 3; return r }, ErrString},
	}
	for _, c := range cases {
		if got := Check(c.edit(bytes.Clone(c.rec))); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBuilderCuts(t *testing.T) {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.Begin(TypeExec, 1)
	room := RecordSizeMax - HeaderSize - 8*ClassProcess.SlotsCaptured()
	b.String(SlotExecutable, "abcdef", 4)
	b.Bytes(SlotArgs, bytes.Repeat([]byte{'x'}, room-4), 0, false)
	b.Bytes(SlotCwd, []byte("y"), 0, false)
	b.String(SlotName, "", 0)
	r := b.End()
	if Check(r) != ErrNone || len(r) != RecordSizeMax || r.Flags()&FlagTruncated == 0 {
		t.Fatalf("%d bytes, flags %x: %v", len(r), r.Flags(), Check(r))
	}
	for slot, want := range map[int]struct {
		n   int
		cut bool
	}{SlotExecutable: {4, true}, SlotArgs: {room - 4, false}, SlotCwd: {0, true}, SlotName: {0, false}} {
		if v, ok := r.Bytes(slot); !ok || len(v) != want.n || r.Truncated(slot) != want.cut {
			t.Errorf("slot %d: %d bytes, cut %v; want %d and %v", slot, len(v), r.Truncated(slot), want.n, want.cut)
		}
	}
	// What a record held is gone from the next.
	b.Begin(TypeExec, 2)
	if r := b.End(); r.Present() != 0 || r.Flags() != 0 || Check(r) != ErrNone {
		t.Errorf("present %x, flags %x: %v", r.Present(), r.Flags(), Check(r))
	}
}

// TestNarrow: a slot that Begin has left out cannot be set.
func TestNarrow(t *testing.T) {
	b := Builder{Buf: make([]byte, RecordSizeMax)}
	b.Begin(TypeExec, 1)
	defer func() {
		if recover() == nil {
			t.Error("a slot was written over the heap")
		}
	}()
	b.Int(ClassProcess.SlotsCaptured(), 1)
}

func TestSetInt(t *testing.T) {
	r := sample(TypeExec)
	r.SetInt(SlotUID, -1)
	r.SetInt(SlotParentPID, 7)
	uid, ok := r.Int(SlotUID)
	ppid, _ := r.Int(SlotParentPID)
	exe, _ := r.Bytes(SlotExecutable)
	if !ok || uid != -1 || ppid != 7 || string(exe) != "/bin/a" || Check(r) != ErrNone {
		t.Errorf("%d %d %q: %v", uid, ppid, exe, Check(r))
	}
}

// TestEntityID: the ids of the kernel programs (ns) and of /proc (ticks) agree; pids, ticks and boots differ.
func TestEntityID(t *testing.T) {
	base := EntityID(1, 2, 5*startTick)
	if EntityID(1, 2, 6*startTick-1) != base {
		t.Error("differs within a tick")
	}
	for _, other := range []uint64{EntityID(1, 2, 6*startTick), EntityID(1, 3, 5*startTick), EntityID(2, 2, 5*startTick)} {
		if other == base || other == 0 {
			t.Errorf("%x for another process", other)
		}
	}
}

// FuzzCheck: after Check no accessor of a record or an event leaves it, whatever the bytes.
func FuzzCheck(f *testing.F) {
	for i := range Types {
		f.Add([]byte(sample(Types[i].Type)))
		f.Add([]byte(wide(Types[i].Type)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= HeaderSize && b[len(b)-1]&1 == 0 {
			binary.LittleEndian.PutUint32(b, uint32(len(b)))
		}
		if Check(b) != ErrNone {
			return
		}
		r := Record(b)
		if r.Class() == ClassContext {
			for s := range SlotNames[ClassContext] {
				if stringSlots[ClassContext]>>uint(s)&1 != 0 {
					r.Bytes(s)
				} else {
					r.Int(s)
				}
			}
			if r.Type() != TypeReport {
				return // never a record of an event
			}
			readFields(t, &Event{Own: sample(TypeConnect), Report: r, Host: &Host{}})
			return
		}
		ev := Event{Own: r, Host: &Host{}}
		if r.Class() == ClassProcess {
			ev.Proc, ev.Parent, ev.Entry, ev.Session, ev.Group = r, r, r, r, r
		}
		ev.SetCategory()
		readFields(t, &ev)
	})
}

func readFields(t *testing.T, ev *Event) {
	for i := range Fields {
		fd := &Fields[i]
		if fd.Kind.IsNumber() {
			ev.Int(fd.ID)
		} else if v, ok := ev.Bytes(fd.ID); !ok && len(v) > 0 {
			t.Fatalf("%s: absent, with %d bytes", fd.Name, len(v))
		}
		ev.Truncated(fd.ID)
	}
}

func TestErrorsHaveTexts(t *testing.T) {
	for e := ErrShort; e < errorsMax; e++ {
		if strings.TrimSpace(e.Error()) == "" {
			t.Errorf("error %d has no text", e)
		}
	}
}
