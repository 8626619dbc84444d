package event

import "bytes"

// typeIndexes maps a type to its place in Types; 0xff is none. A type is thousands and a small number.
var typeIndexes = func() (t [typeThousands * typeUnits]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range Types {
		t[int(Types[i].Type)/1000*typeUnits+int(Types[i].Type)%1000] = uint8(i)
	}
	return t
}()

const (
	typeThousands = 8   // 1001 .. 7004
	typeUnits     = 128 // of each thousand, 1100 and up are context
)

func typeIndex(t Type) int {
	th, u := int(t)/1000, int(t)%1000
	if th >= typeThousands || u >= typeUnits {
		return -1
	}
	if i := typeIndexes[th*typeUnits+u]; i != 0xff {
		return int(i)
	}
	return -1
}

// Info finds a type's row; nil for a number that is no type.
func Info(t Type) *TypeInfo {
	if i := typeIndex(t); i >= 0 {
		return &Types[i]
	}
	return nil
}

// ClassOf is the class of a type; an unknown type has the class of TypeOther.
func ClassOf(t Type) Class {
	if i := typeIndex(t); i >= 0 {
		return Types[i].Class
	}
	return ClassProcess
}

// IsContext tells the types that fill tables and are no events.
func (t Type) IsContext() bool { return t >= TypeProcessInfo && t <= TypeReport }

// typeBytes holds what accessors hand out for a type, so that they need not convert.
var typeBytes = func() (t [len(Types)][3][]byte) {
	for i := range Types {
		t[i] = [3][]byte{[]byte(Types[i].Category.String()), []byte(Types[i].Types), []byte(Types[i].Action)}
	}
	return t
}()

var (
	bytesLinux   = []byte("linux")
	bytesSuccess = []byte("success")
	bytesFailure = []byte("failure")
	bytesTCP     = []byte("tcp")
	bytesUDP     = []byte("udp")
	bytesICMP    = []byte("icmp")
	bytesICMPv6  = []byte("ipv6-icmp")
	bytesIPv4    = []byte("ipv4")
	bytesIPv6    = []byte("ipv6")
	bytesEgress  = []byte("egress")
	bytesIngress = []byte("ingress")
	bytesEvent   = []byte("event")
)

// einprogress is what a non-blocking connect returns when it goes well.
const einprogress = -115

// ref is how a field is read: resolved once from Fields so that an access is one load and a switch.
type ref struct {
	kind   Kind
	part   Part
	class  Class
	slot   uint8
	derive Derive
	from   uint8
	known  bool

	constant Constant
}

var refs = func() (t [FieldsMax]ref) {
	for i := range Fields {
		f := &Fields[i]
		t[f.ID] = ref{f.Kind, f.Part, f.Class, f.Slot, f.Derive, f.From, true, constantOf(f)}
	}
	return t
}()

// FieldByID finds a field's row; nil for an id that is none.
func FieldByID(id FieldID) *Field {
	for i := range Fields {
		if Fields[i].ID == id {
			return &Fields[i]
		}
	}
	return nil
}

// FieldByName finds a field by its ECS name.
func FieldByName(name string) *Field {
	for i := range Fields {
		if Fields[i].Name == name {
			return &Fields[i]
		}
	}
	return nil
}

// Known tells whether id is a field of this schema.
func (id FieldID) Known() bool { return int(id) < FieldsMax && refs[id].known }

// Kind is the kind of a known field.
func (id FieldID) Kind() Kind { return refs[id].kind }

// Part is the part of the event that holds a known field.
func (id FieldID) Part() Part { return refs[id].part }

// CarriedBy tells whether an event of class c can have the field.
func (id FieldID) CarriedBy(c Class) bool {
	r := &refs[id]
	return r.known && (r.part != PartOwn || r.class == commonClass || r.class == c)
}

// Constant is what a field's value is the same for.
type Constant uint8

// What fields are constant for.
const (
	NotConstant    Constant = iota
	TypeConstant            // events of one type
	ProcConstant            // events with the same ProcFacts
	ParentConstant          // events with the same ParentFacts
	Constants
)

// Constant tells what a known field's value is the same for.
func (id FieldID) Constant() Constant { return refs[id].constant }

// factSlots are the slots of a process record that a number of facts stands for.
const factSlots = 1<<SlotExecutable | 1<<SlotName | 1<<SlotArgs | 1<<SlotCommandLine | 1<<SlotCwd

func constantOf(f *Field) Constant {
	switch {
	case f.Derive == DeriveCategory || f.Derive == DeriveTypes || f.Derive == DeriveAction || f.ID == FieldHostOSType:
		return TypeConstant
	case f.Class != ClassProcess || f.Slot == noSlot || factSlots>>f.Slot&1 == 0:
		return NotConstant
	case f.Part == PartProc:
		return ProcConstant
	case f.Part == PartParent:
		return ParentConstant
	}
	return NotConstant
}

// ConstantKey is a number that is equal for events in which the fields constant for c have the same values; 0 when it
// cannot be told.
func (e *Event) ConstantKey(c Constant) uint64 {
	switch c {
	case TypeConstant:
		if e.Own.Present()&(1<<SlotCategory|1<<SlotTypes|1<<SlotAction) == 0 {
			return uint64(e.Own.Type()) + 1
		}
	case ProcConstant:
		return e.ProcFacts
	case ParentConstant:
		return e.ParentFacts
	}
	return 0
}

// NulIsSpace tells that a 0 byte of the field's value stands for a blank: the command line is the argument array read
// as one string.
func (id FieldID) NulIsSpace() bool { return refs[id].derive == DeriveJoin }

// Event is one event with what is known of who did it. It borrows its records; see the owner of the batch.
type Event struct {
	Own          Record
	Proc         Record // nil when unknown, as are all that follow
	Parent       Record
	Entry        Record // leaders: of the session by which the host was entered,
	Session      Record // of the session,
	Group        Record // of the process group
	Report       Record // of TypeReport: what the source says besides
	ParentEntity uint64 // 0 when unknown
	// Equal numbers, but for 0, say that two records Proc, or two records Parent, have the same executable, name,
	// arguments, command line and working directory.
	ProcFacts, ParentFacts uint64
	Cat                    Category
	Host                   *Host
}

// SetCategory derives Cat from the record. Own must be set.
func (e *Event) SetCategory() {
	if name, ok := e.Own.Bytes(SlotCategory); ok {
		for c := CategoryProcess; c < Categories; c++ {
			if string(name) == categoryNames[c] {
				e.Cat = c
				return
			}
		}
		e.Cat = CategoryOther
		return
	}
	e.Cat = CategoryOther
	if i := typeIndex(e.Own.Type()); i >= 0 {
		e.Cat = Types[i].Category
	}
}

// part is the record that has a field.
func (e *Event) part(r *ref) Record {
	if r.part != PartOwn {
		return e.Record(r.part)
	}
	if r.class != commonClass && e.Own.Class() != r.class {
		return nil
	}
	return e.Own
}

// Record is the record of a part, nil when the event has none. Without one it has none of the part's fields, but those of
// the host and those of PartReport that follow from the capture.
func (e *Event) Record(p Part) Record {
	switch p {
	case PartOwn:
		return e.Own
	case PartProc:
		return e.Proc
	case PartParent:
		return e.Parent
	case PartEntry:
		return e.Entry
	case PartSession:
		return e.Session
	case PartGroup:
		return e.Group
	case PartReport:
		return e.Report
	}
	return nil
}

// Int reads a field of kind integer, numeric string, boolean, entity id or time. ok is false when the event does not
// have it.
//
// Preconditions: id is known and of one of these kinds.
func (e *Event) Int(id FieldID) (v int64, ok bool) {
	r := &refs[id]
	rec := e.part(r)
	if rec == nil {
		if r.part == PartReport {
			return e.reportInt(r)
		}
		return 0, false
	}
	if r.slot != noSlot {
		if v, ok = rec.Int(int(r.slot)); ok {
			return v, true
		}
	}
	switch r.derive {
	case DeriveNone:
		return 0, false
	case DeriveNonzero:
		if v, ok = rec.Int(int(r.from)); ok && v != 0 {
			v = 1
		}
		return v, ok
	case DeriveMemfdFlag:
		v, ok = rec.Int(int(r.from))
		return v >> (id - FieldMemfdCloexec) & 1, ok
	case DeriveOwnID, DeriveRealID:
		return e.reportInt(r)
	}
	return e.header(r, rec)
}

// header reads what stands in a record's header, or follows from it.
func (e *Event) header(r *ref, rec Record) (int64, bool) {
	switch r.derive {
	case DerivePID:
		return int64(rec.PID()), rec.PID() != 0
	case DeriveEntity:
		return int64(rec.Entity()), rec.Entity() != 0
	case DeriveParentEntity:
		return int64(e.ParentEntity), e.ParentEntity != 0
	case DeriveTime:
		return e.Wall(), true
	case DeriveThread:
		return int64(rec.TID()), rec.TID() != 0
	case DeriveSame:
		if rec.Entity() == 0 || e.Own.Entity() == 0 {
			return 0, false
		}
		if rec.Entity() == e.Own.Entity() {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// captured tells the device's own events, about which the capture says what a report would.
func (e *Event) captured() bool { return e.Own.Flags()&FlagInline == 0 }

// reportInt is what the capture says where no report does.
func (e *Event) reportInt(r *ref) (int64, bool) {
	if !e.captured() {
		return 0, false
	}
	switch r.derive {
	case DeriveOwnID:
		return e.Own.Int(int(r.from))
	case DeriveRealID:
		return e.real(r)
	}
	return 0, false
}

// real is a real id: of an event that has them (it may be what changed), else of the process.
func (e *Event) real(r *ref) (int64, bool) {
	if e.Own.Class() == ClassProcess {
		if v, ok := e.Own.Int(int(r.from)); ok {
			return v, true
		}
	}
	if e.Proc == nil {
		return 0, false
	}
	return e.Proc.Int(int(r.from))
}

// reportBytes is what the capture says where no report does.
func (e *Event) reportBytes(r *ref) ([]byte, bool) {
	if !e.captured() {
		return nil, false
	}
	switch r.derive {
	case DeriveEventKind:
		return bytesEvent, true
	case DeriveRealName:
		if v, ok := e.real(r); ok && e.Host != nil {
			return e.Host.Users.Name(uint32(v))
		}
	}
	return nil, false
}

// Wall is the wall time of the event in ns since 1970.
func (e *Event) Wall() int64 {
	if e.Host == nil {
		return int64(e.Own.Time())
	}
	return int64(e.Own.Time()) + e.Host.WallOffset
}

// Bytes reads a field of kind string, string array (elements separated by NUL) or IP (4 or 16 bytes). The result is
// borrowed. ok is false when the event does not have the field.
//
// Preconditions: id is known and of one of these kinds.
func (e *Event) Bytes(id FieldID) (v []byte, ok bool) {
	r := &refs[id]
	rec := e.part(r)
	if rec == nil {
		switch r.part {
		case PartHost:
			return e.host(id)
		case PartReport:
			return e.reportBytes(r)
		}
		return nil, false
	}
	if r.slot != noSlot {
		if v, ok = rec.Bytes(int(r.slot)); ok {
			// An event from outside may name no action where its type would: an empty string stands for that.
			return v, len(v) > 0 || r.derive < DeriveCategory || r.derive > DeriveAction
		}
	}
	switch r.derive {
	case DeriveNone:
		return nil, false
	case DeriveBasename:
		if v, ok = rec.Bytes(int(r.from)); ok {
			v = v[bytes.LastIndexByte(v, '/')+1:]
		}
		return v, ok
	case DeriveExtension:
		return extension(rec, int(r.from))
	case DeriveJoin:
		return rec.Bytes(int(r.from))
	case DeriveCategory, DeriveTypes, DeriveAction:
		i := typeIndex(rec.Type())
		if i < 0 {
			return nil, false
		}
		v = typeBytes[i][r.derive-DeriveCategory]
		return v, len(v) > 0
	case DeriveEventKind, DeriveRealName:
		return e.reportBytes(r)
	}
	return e.derived(r, rec)
}

func (e *Event) derived(r *ref, rec Record) ([]byte, bool) {
	switch r.derive {
	case DeriveOutcome:
		n, ok := rec.Int(int(r.from))
		if !ok {
			return nil, false
		}
		if n >= 0 || n == einprogress {
			return bytesSuccess, true
		}
		return bytesFailure, true
	case DeriveUserName:
		n, ok := rec.Int(int(r.from))
		if !ok || e.Host == nil {
			return nil, false
		}
		return e.Host.Users.Name(uint32(n))
	case DeriveTransport:
		n, ok := rec.Int(int(r.from))
		if !ok {
			return nil, false
		}
		switch n {
		case 6:
			return bytesTCP, true
		case 17:
			return bytesUDP, true
		case 1:
			return bytesICMP, true
		case 58:
			return bytesICMPv6, true
		}
		return nil, false
	case DeriveNetType:
		v, ok := rec.Bytes(int(r.from))
		if !ok {
			return nil, false
		}
		if len(v) == 4 {
			return bytesIPv4, true
		}
		return bytesIPv6, true
	case DeriveDirection:
		return e.direction()
	}
	return nil, false
}

// direction is seen from the host: who began.
func (e *Event) direction() ([]byte, bool) {
	if e.captured() {
		switch e.Own.Type() {
		case TypeConnect, TypeSend:
			return bytesEgress, true
		case TypeAccept:
			return bytesIngress, true
		}
	}
	return nil, false
}

func (e *Event) host(id FieldID) ([]byte, bool) {
	switch {
	case id == FieldHostOSType:
		return bytesLinux, true
	case e.Host == nil:
		return nil, false
	case id == FieldHostID:
		return e.Host.ID, len(e.Host.ID) > 0
	}
	return e.Host.Name, len(e.Host.Name) > 0
}

func extension(rec Record, slot int) ([]byte, bool) {
	v, ok := rec.Bytes(slot)
	if !ok {
		return nil, false
	}
	for i := len(v) - 1; i >= 0 && v[i] != '/'; i-- {
		if v[i] == '.' {
			return v[i+1:], i+1 < len(v)
		}
	}
	return nil, false
}

// Truncated tells whether the value of a string field was cut on its way here.
func (e *Event) Truncated(id FieldID) bool {
	r := &refs[id]
	rec := e.part(r)
	if rec == nil || rec.Flags()&FlagTruncated == 0 {
		return false
	}
	if r.slot != noSlot && rec.Has(int(r.slot)) {
		return rec.Truncated(int(r.slot))
	}
	switch r.derive {
	case DeriveBasename, DeriveExtension, DeriveJoin:
		return rec.Truncated(int(r.from))
	}
	return false
}
