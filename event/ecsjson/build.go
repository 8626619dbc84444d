package ecsjson

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
)

// builder makes the records of one event, each in bytes of its own.
type builder struct {
	parts   [event.Parts]event.Builder // that of PartHost for the host record
	records [event.Parts]event.Record

	hostID, hostName string
	hostKnown        bool
	seed             uint64 // of the entity ids that are made of pids
}

func (b *builder) init() {
	for i := range b.parts {
		b.parts[i].Buf = make([]byte, event.RecordSizeMax)
	}
}

// contextParts are the parts that go before the event, in this order, with the flags of their records.
var contextParts = [...]struct {
	part        event.Part
	typ         event.Type
	flags       uint16
	pid, entity event.FieldID
}{
	{event.PartReport, event.TypeReport, event.FlagInline, 0, 0},
	{event.PartEntry, event.TypeProcessInfo, event.FlagInline | event.FlagInlineEntry, event.FieldEntryPID, event.FieldEntryEntityID},
	{event.PartSession, event.TypeProcessInfo, event.FlagInline | event.FlagInlineSession, event.FieldSessionPID, event.FieldSessionEntityID},
	{event.PartGroup, event.TypeProcessInfo, event.FlagInline | event.FlagInlineGroup, event.FieldGroupPID, event.FieldGroupEntityID},
	{event.PartParent, event.TypeProcessInfo, event.FlagInline | event.FlagInlineParent, event.FieldParentPID, event.FieldParentEntityID},
	{event.PartProc, event.TypeProcessInfo, event.FlagInline, event.FieldPID, event.FieldEntityID},
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
	if _, ok := event.CategoryByName(category); !ok && category != "" {
		l.ignore("event.category "+strconv.Quote(category), UnknownCategory)
	}
	l.pending = l.build.records[:0]
	l.hostRecord()

	b := &l.build
	now := uint64(l.lastWall)
	own := &b.parts[event.PartOwn]
	own.BeginWide(typ, now)
	own.Process(v.pid(event.FieldPID), v.pid(event.FieldThreadID), 0, l.entity(event.FieldPID, event.FieldEntityID))
	own.Flag(event.FlagInline)
	for i := range contextParts {
		c := &contextParts[i]
		x := &b.parts[c.part]
		x.BeginWide(c.typ, now)
		x.Flag(c.flags)
		if c.pid != 0 {
			x.Process(v.pid(c.pid), 0, 0, l.entity(c.pid, c.entity))
		}
	}
	l.typeStrings(typ, category, derive)
	has := l.fields(event.ClassOf(typ))
	for i := range contextParts {
		if part := contextParts[i].part; has[part] {
			l.pending = append(l.pending, b.parts[part].End())
		}
	}
	l.pending = append(l.pending, own.End())
	return nil
}

// fields stores the values of the line in the records of the parts that they belong to, and tells which of these now say
// something. A process event is the record of its process too, unless the line tells the two apart.
func (l *Reader) fields(class event.Class) (has [event.Parts]bool) {
	v, b := &l.values, &l.build
	proc := event.PartProc
	if class == event.ClassProcess && !v.ownDiffers() {
		proc = event.PartOwn
	}
	if parent := l.entity(event.FieldParentPID, event.FieldParentEntityID); parent != 0 {
		b.parts[proc].Int(event.SlotParentEntity, int64(parent))
		has[proc] = true
	}
	// Arguments come last: when a record gets full they are what is cut.
	for _, long := range []bool{false, true} {
		for i := range event.Fields {
			f := &event.Fields[i]
			if x := &v.fields[f.ID]; !x.given() || isLong(f) != long {
				continue
			}
			part := f.Part
			switch part {
			case event.PartHost:
				continue // hostRecord
			case event.PartOwn:
				if !f.ID.CarriedBy(class) {
					l.ignore(f.Name, OtherClass)
					continue
				}
			case event.PartProc:
				part = proc
			}
			has[part] = l.set(&b.parts[part], f) || has[part]
		}
	}
	return has
}

func isLong(f *event.Field) bool {
	return f.Class == event.ClassProcess && f.HasSlot() &&
		(f.Slot == event.SlotArgs || f.Slot == event.SlotCommandLine || f.Slot == event.SlotEnvVars)
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
	if os := &v.fields[event.FieldHostOSType]; os.given() && os.first() != "linux" {
		l.ignore("host.os.type", BadValue)
	}
	id, name := v.text(event.FieldHostID), v.text(event.FieldHostName)
	if b.hostKnown && id == b.hostID && name == b.hostName {
		return
	}
	b.hostKnown, b.hostID, b.hostName = true, id, name
	b.seed = 0
	if id+name != "" {
		b.seed = hash(id + "\x00" + name)
	}
	x := &b.parts[event.PartHost]
	x.Begin(event.TypeHostInfo, uint64(l.lastWall))
	x.Int(event.SlotContextID, 0)
	x.String(event.SlotContextText, name, 0)
	x.String(event.SlotContextText2, id, 0)
	l.pending = append(l.pending, x.End())
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

// entity is the entity id of the process, its parent or a leader. One is made of its pid when the source gives none, for
// others than the process only when that has none either.
func (l *Reader) entity(pid, entity event.FieldID) uint64 {
	v := &l.values
	if x := &v.fields[entity]; x.given() {
		return x.entity()
	}
	if n := v.pid(pid); n != 0 && !v.fields[event.FieldEntityID].given() {
		return event.EntityID(l.build.seed, n, 0)
	}
	return 0
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
	user, process := &v.fields[event.FieldUserName], &v.fields[event.FieldProcessUserName]
	return differ(event.FieldUserID, event.FieldProcessUserID) || differ(event.FieldGroupID, event.FieldProcessGroupID) ||
		user.given() && process.given() && user.first() != process.first()
}

// typeStrings stores category, type and action where they are not what the type says; see types.go.
func (l *Reader) typeStrings(typ event.Type, category string, derive bool) {
	v, info, b := &l.values, event.Info(typ), &l.build.parts[event.PartOwn]
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

// set stores a value in its slot. It is false when the value cannot be one of the field, or needs no place.
func (l *Reader) set(b *event.Builder, f *event.Field) bool {
	x := &l.values.fields[f.ID]
	var n int64
	var raw []byte
	ok := true
	switch {
	case f.ID == event.FieldEventCategory || f.ID == event.FieldEventType || f.ID == event.FieldEventAction:
		return false // typeStrings has stored it
	case f.Derive == event.DerivePID || f.Derive == event.DeriveThread:
		n, ok = x.integer() // the header has it
		ok = ok && n >= 0 && n <= math.MaxUint32
	case f.Derive == event.DeriveEntity || f.Derive == event.DeriveParentEntity:
		return true // so it has this
	case f.Kind == event.KindEntity:
		b.Int(int(f.Slot), int64(x.entity()))
	case f.Kind == event.KindBool:
		if n, ok = x.boolean(); ok {
			setBool(b, f, n)
		}
	case f.Kind.IsNumber():
		if n, ok = x.integer(); ok {
			b.Int(int(f.Slot), n)
		}
	case f.Kind == event.KindIP:
		if raw, ok = x.address(); ok {
			b.Bytes(int(f.Slot), raw, 0, false)
		}
	case f.Kind == event.KindStrings:
		if raw, ok = l.elements(x); ok {
			b.Bytes(int(f.Slot), raw, 0, false)
		}
	case !l.follows(f, x.first()):
		b.String(int(f.Slot), x.first(), 0)
	}
	if !ok {
		l.ignore(f.Name, BadValue)
	}
	return ok
}

// setBool stores a truth value in its slot, or in the one that it is derived from.
func setBool(b *event.Builder, f *event.Field, n int64) {
	switch {
	case f.HasSlot():
		b.Int(int(f.Slot), n)
	case f.Derive == event.DeriveMemfdFlag:
		b.Or(int(f.From), n<<(f.ID-event.FieldMemfdCloexec))
	default:
		b.Int(int(f.From), n)
	}
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
var sources = func() map[event.FieldID]event.FieldID {
	m := map[event.FieldID]event.FieldID{}
	for i := range event.Fields {
		f := &event.Fields[i]
		switch f.Derive {
		case event.DeriveBasename, event.DeriveExtension, event.DeriveJoin:
		default:
			continue
		}
		for k := range event.Fields {
			if from := &event.Fields[k]; from.Part == f.Part && from.Class == f.Class && from.Slot == f.From {
				m[f.ID] = from.ID
			}
		}
	}
	return m
}()

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
