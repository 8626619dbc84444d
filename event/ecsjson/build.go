package ecsjson

import (
	"bytes"
	"math"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
)

// builder makes the records of one event, each in bytes of its own.
type builder struct {
	own, proc, parent, host event.Builder
	records                 [4]event.Record

	hostID, hostName string
	hostKnown        bool
	seed             uint64 // of the entity ids that are made of pids
}

func (b *builder) init() {
	for _, x := range []*event.Builder{&b.own, &b.proc, &b.parent, &b.host} {
		x.Buf = make([]byte, event.RecordSizeMax)
	}
}

// event makes the records of the line that was parsed.
func (l *Reader) event() error {
	v := &l.values
	typ, category, derive, err := v.decide()
	if err != nil {
		return l.badLine("%v", err)
	}
	if err := l.time(); err != nil {
		return l.badLine("%v", err)
	}
	l.pending = l.build.records[:0]
	l.hostRecord()

	b := &l.build
	class := event.ClassOf(typ)
	pid, tid := v.pid(event.FieldPID), v.pid(44)
	entity, parentEntity := l.entities(pid)
	now := uint64(l.lastWall)
	b.own.Begin(typ, now)
	b.own.Process(pid, tid, 0, entity)
	b.own.Flag(event.FlagInline)
	b.proc.Begin(event.TypeProcessInfo, now)
	b.proc.Process(pid, tid, 0, entity)
	b.proc.Flag(event.FlagInline)
	b.parent.Begin(event.TypeProcessInfo, now)
	b.parent.Process(v.pid(event.FieldParentPID), 0, 0, parentEntity)
	b.parent.Flag(event.FlagInline | event.FlagInlineParent)

	l.typeStrings(typ, category, derive)
	proc := &b.proc
	if class == event.ClassProcess && !v.ownDiffers() {
		proc = &b.own
	}
	var procFacts, parentFacts bool
	if parentEntity != 0 {
		proc.Int(event.SlotParentEntity, int64(parentEntity))
		procFacts = true
	}
	// Arguments come last: when a record gets full they are what is cut.
	for _, long := range []bool{false, true} {
		for i := range event.Fields {
			f := &event.Fields[i]
			if x := &v.fields[f.ID]; !x.given() || isLong(f) != long {
				continue
			}
			switch f.Part {
			case event.PartOwn:
				l.own(f, class)
			case event.PartProc:
				procFacts = l.set(proc, f) || procFacts
			case event.PartParent:
				parentFacts = l.set(&b.parent, f) || parentFacts
			}
		}
	}
	if parentFacts {
		l.pending = append(l.pending, b.parent.End())
	}
	if procFacts && proc == &b.proc {
		l.pending = append(l.pending, b.proc.End())
	}
	l.pending = append(l.pending, b.own.End())
	return nil
}

func isLong(f *event.Field) bool {
	return f.Part != event.PartOwn && (f.Slot == event.SlotArgs || f.Slot == event.SlotCommandLine)
}

func (l *Reader) time() error {
	v := &l.values
	for _, t := range []struct {
		value *value
		unit  int64
	}{{&v.timestampNanos, 1}, {&v.timestamp, 1e6}} {
		if t.value.given() {
			wall, err := t.value.wall(t.unit)
			if err == nil {
				l.lastWall = wall
			}
			return err
		}
	}
	return nil
}

// hostRecord names the host, at the start and when another begins to speak.
func (l *Reader) hostRecord() {
	b, v := &l.build, &l.values
	if os := &v.fields[80]; os.given() && os.first() != "linux" {
		l.ignore("host.os.type", BadValue)
	}
	id, name := v.text(81), v.text(82)
	if b.hostKnown && id == b.hostID && name == b.hostName {
		return
	}
	b.hostKnown, b.hostID, b.hostName = true, id, name
	b.seed = 0
	if id+name != "" {
		b.seed = hash(id + "\x00" + name)
	}
	b.host.Begin(event.TypeHostInfo, uint64(l.lastWall))
	b.host.Int(event.SlotContextID, 0)
	b.host.String(event.SlotContextText, name, 0)
	b.host.String(event.SlotContextText2, id, 0)
	l.pending = append(l.pending, b.host.End())
}

// text is the text of a field, "" when the line does not have it.
func (v *values) text(id event.FieldID) string {
	if x := &v.fields[id]; x.given() {
		return x.first()
	}
	return ""
}

// pid is a process or thread id, 0 when there is none or it cannot be one.
func (v *values) pid(id event.FieldID) uint32 {
	if x := &v.fields[id]; x.given() {
		if n, ok := x.integer(); ok && n >= 0 && n <= math.MaxUint32 {
			return uint32(n)
		}
	}
	return 0
}

// entities are the entity ids of the process and its parent. One is made of a pid when the source gives none.
func (l *Reader) entities(pid uint32) (own, parent uint64) {
	v := &l.values
	given := v.fields[event.FieldEntityID].given()
	if given {
		own = v.fields[event.FieldEntityID].entity()
	} else if pid != 0 {
		own = event.EntityID(l.build.seed, pid, 0)
	}
	if x := &v.fields[event.FieldParentEntityID]; x.given() {
		parent = x.entity()
	} else if ppid := v.pid(event.FieldParentPID); ppid != 0 && !given {
		parent = event.EntityID(l.build.seed, ppid, 0)
	}
	return own, parent
}

// ownDiffers tells that the ids of the event's user are not those of the process, which share a slot in the record of
// a process event.
func (v *values) ownDiffers() bool {
	differ := func(a, b event.FieldID) bool {
		x, y := &v.fields[a], &v.fields[b]
		if !x.given() || !y.given() {
			return false
		}
		n, okN := x.integer()
		m, okM := y.integer()
		return okN && okM && n != m
	}
	return differ(event.FieldUserID, 18) || differ(event.FieldGroupID, 19)
}

// typeStrings stores category, type and action where they are not what the type says; see types.go.
func (l *Reader) typeStrings(typ event.Type, category string, derive bool) {
	v, info, b := &l.values, event.Info(typ), &l.build.own
	say := func(slot int, id event.FieldID, text, derived string, given bool) {
		switch {
		case given && text != derived:
			b.String(slot, text, 0)
		case !given && (!derive || v.fields[id].form == formNull) && derived != "":
			b.String(slot, "", 0)
		}
	}
	noCategory := category == "" && !derive || v.fields[event.FieldEventCategory].form == formNull
	say(event.SlotCategory, event.FieldEventCategory, category, info.Category.String(), category != "" && !noCategory)
	types, action := &v.fields[event.FieldEventType], &v.fields[event.FieldEventAction]
	kinds := types.text
	if types.form == formArray {
		kinds = strings.Join(types.list, "\x00")
	}
	say(event.SlotTypes, event.FieldEventType, kinds, info.Types, types.given())
	say(event.SlotAction, event.FieldEventAction, v.text(event.FieldEventAction), info.Action, action.given())
}

// own stores a field of the event itself.
func (l *Reader) own(f *event.Field, class event.Class) {
	x := &l.values.fields[f.ID]
	switch f.ID {
	case event.FieldEventCategory, event.FieldEventType, event.FieldEventAction:
		return // typeStrings
	case event.FieldPID, 44:
		if n, ok := x.integer(); !ok || n < 0 || n > math.MaxUint32 {
			l.ignore(f.Name, BadValue)
		}
		return
	case event.FieldEntityID:
		return
	}
	if !f.ID.CarriedBy(class) {
		l.ignore(f.Name, OtherClass)
		return
	}
	l.set(&l.build.own, f)
}

// set stores a value in its slot. It is false when the value cannot be one of the field.
func (l *Reader) set(b *event.Builder, f *event.Field) bool {
	x := &l.values.fields[f.ID]
	var n int64
	var raw []byte
	ok := true
	switch f.Kind {
	case event.KindEntity:
		return true // entities has stored it
	case event.KindBool:
		if n, ok = x.boolean(); ok {
			b.Int(int(f.From), n)
		}
	case event.KindInt, event.KindID:
		if n, ok = x.integer(); ok {
			b.Int(int(f.Slot), n)
		}
	case event.KindIP:
		if raw, ok = x.address(); ok {
			b.Bytes(int(f.Slot), raw, 0, false)
		}
	case event.KindStrings:
		if raw, ok = l.elements(x); ok {
			b.Bytes(int(f.Slot), raw, 0, false)
		}
	case event.KindString:
		if !l.follows(f, x.first()) {
			b.String(int(f.Slot), x.first(), 0)
		}
	}
	if !ok {
		l.ignore(f.Name, BadValue)
	}
	return ok
}

// elements joins an array as records have it. An element with a NUL cannot be told from two.
func (l *Reader) elements(x *value) ([]byte, bool) {
	l.scratch = l.scratch[:0]
	if x.form != formArray {
		l.scratch = append(l.scratch, x.text...)
		return l.scratch, !strings.Contains(x.text, "\x00")
	}
	for i, s := range x.list {
		if strings.Contains(s, "\x00") {
			return nil, false
		}
		if i > 0 {
			l.scratch = append(l.scratch, 0)
		}
		l.scratch = append(l.scratch, s...)
	}
	return l.scratch, true
}

// sources are the fields that others of the same record are derived from.
var sources = map[event.FieldID]event.FieldID{
	event.FieldName: event.FieldExecutable, event.FieldCommandLine: event.FieldArgs, 31: 32, 33: 34,
	21: event.FieldFilePath, 22: event.FieldFilePath,
}

// follows tells whether a string is what the schema derives from another value of the line, and need not be stored.
func (l *Reader) follows(f *event.Field, s string) bool {
	id, ok := sources[f.ID]
	if !ok || !l.values.fields[id].given() {
		return false
	}
	from := &l.values.fields[id]
	if len(from.first()) > derivedFromMax {
		return false
	}
	switch f.Derive {
	case event.DeriveBasename:
		return from.first()[strings.LastIndexByte(from.first(), '/')+1:] == s
	case event.DeriveExtension:
		name := from.first()[strings.LastIndexByte(from.first(), '/')+1:]
		dot := strings.LastIndexByte(name, '.')
		return dot >= 0 && s != "" && name[dot+1:] == s
	case event.DeriveJoin:
		joined, ok := l.elements(from)
		return ok && len(joined) <= derivedFromMax && bytes.Equal(bytes.ReplaceAll(joined, []byte{0}, []byte{' '}), []byte(s))
	}
	return false
}

// derivedFromMax: a value up to this length is not cut when its record has ordinary values besides, and what follows
// from it is whole.
const derivedFromMax = event.RecordSizeMax / 2
