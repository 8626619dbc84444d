package proc

import (
	"bytes"

	"github.com/kestrel-detection/kestrel/event"
)

// What a process record that lacks a fact takes from an older one. A source that knows a fact to be nothing says so
// with a 0; one that does not know leaves it out.
type inherit uint8

const (
	inheritParent  inherit = 1 << iota // the facts about the parent
	inheritProgram                     // executable, name and arguments

	inheritExec = inheritParent                  // same process, new program
	inheritFork = inheritProgram                 // new process, same program
	inheritInfo = inheritParent | inheritProgram // same process, perhaps the same program
)

// The numeric facts that an exec leaves as they are, one by one.
var intSlots = [...]int{
	event.SlotUID, event.SlotGID, event.SlotRealUID, event.SlotRealGID, event.SlotSessionID, event.SlotTTY,
	event.SlotCgroup, event.SlotMountNS,
}

// Those about the parent belong together.
var parentSlots = [...]int{event.SlotParentPID, event.SlotParentStart, event.SlotParentEntity}

const (
	parentMask  = 1<<event.SlotParentPID | 1<<event.SlotParentStart | 1<<event.SlotParentEntity
	programMask = 1<<event.SlotExecutable | 1<<event.SlotName
	argsMask    = 1<<event.SlotArgs | 1<<event.SlotCommandLine | 1<<event.SlotArgsCount
)

// inheritInts writes into an exec record the numbers that it lacks and the process had before.
func inheritInts(rec, old event.Record) {
	for _, s := range intSlots {
		inheritInt(rec, old, s)
	}
	if rec.Present()&parentMask == 0 {
		for _, s := range parentSlots {
			inheritInt(rec, old, s)
		}
	}
}

func inheritInt(rec, old event.Record, slot int) {
	if rec.Has(slot) {
		return
	}
	if v, ok := old.Int(slot); ok {
		rec.SetInt(slot, v)
	}
}

// build writes the facts of rec, and what it lacks from old, into a block. What does not fit is cut, arguments first,
// then the working directory; cut says that something was.
func (t *Table) build(rec, old event.Record, inh inherit) (block uint32, cut bool) {
	block = t.store.take()
	b := &t.builder
	b.Buf = t.arena[int(block)*t.cfg.BlockBytes:][:event.RecordSizeMax]
	b.Begin(event.TypeProcessInfo, rec.Time())
	b.Process(rec.PID(), rec.TID(), rec.Start(), rec.Entity())
	if rec.Flags()&event.FlagNoBTF != 0 {
		b.Flag(event.FlagNoBTF)
	}
	for _, s := range intSlots {
		t.copyInt(s, rec, old)
	}
	t.copyGroup(rec, old, parentMask, inh&inheritParent != 0, parentSlots[:])
	program := pick(rec, old, programMask, inh&inheritProgram != 0)
	args := pick(rec, old, argsMask, inh&inheritProgram != 0)
	t.copyInt(event.SlotArgsCount, args, nil)
	room := t.cfg.BlockBytes - event.HeaderSize - 8*event.ClassProcess.SlotsCaptured()
	room = t.copyProgram(program, room)
	room = t.copyBytes(event.SlotCwd, pick(rec, old, 1<<event.SlotCwd, true), room)
	room = t.copyBytes(event.SlotArgs, args, room)
	room = t.copyBytes(event.SlotCommandLine, args, room)
	b.End()
	if room < 0 {
		t.stats.Truncated++
	}
	return block, room < 0
}

// pick is the record that a group of facts is taken from: rec if it has any of them.
func pick(rec, old event.Record, mask uint64, inherited bool) event.Record {
	if rec.Present()&mask != 0 || !inherited {
		return rec
	}
	return old
}

func (t *Table) copyGroup(rec, old event.Record, mask uint64, inherited bool, slots []int) {
	from := pick(rec, old, mask, inherited)
	for _, s := range slots {
		t.copyInt(s, from, nil)
	}
}

func (t *Table) copyInt(slot int, rec, old event.Record) {
	if rec == nil {
		return
	}
	v, ok := rec.Int(slot)
	if !ok && old != nil {
		v, ok = old.Int(slot)
	}
	if ok {
		t.builder.Int(slot, v)
	}
}

// copyProgram copies executable and name. Of an executable that does not fit the name is kept apart: rules ask for it
// most, and it is the end of the path that is cut.
func (t *Table) copyProgram(from event.Record, room int) int {
	if from == nil {
		return room
	}
	room = t.copyBytes(event.SlotName, from, room)
	exe, ok := from.Bytes(event.SlotExecutable)
	if ok && len(exe) > room && !from.Has(event.SlotName) && !from.Truncated(event.SlotExecutable) {
		name := exe[bytes.LastIndexByte(exe, '/')+1:]
		cut := len(name) > max(room, 0)
		name = name[:min(len(name), max(room, 0))]
		t.builder.Bytes(event.SlotName, name, 0, cut)
		room -= len(name)
	}
	return t.copyBytes(event.SlotExecutable, from, room)
}

// copyBytes copies a string into room and returns what is left of it. A negative room says that something was cut, and
// is no room.
func (t *Table) copyBytes(slot int, from event.Record, room int) int {
	if from == nil {
		return room
	}
	v, ok := from.Bytes(slot)
	if !ok {
		return room
	}
	n := min(len(v), max(room, 0))
	t.builder.Bytes(slot, v[:n], 0, from.Truncated(slot) || n < len(v))
	if n < len(v) {
		return -1
	}
	return room - n
}
