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
	typeThousands = 7   // 1001 .. 6007
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
func (t Type) IsContext() bool { return t >= TypeProcessInfo && t <= TypeLoss }

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
}

var refs = func() (t [FieldsMax]ref) {
	for i := range Fields {
		f := &Fields[i]
		t[f.ID] = ref{f.Kind, f.Part, f.Class, f.Slot, f.Derive, f.From, true}
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

// NulIsSpace tells that a 0 byte of the field's value stands for a blank: the command line is the argument array read
// as one string.
func (id FieldID) NulIsSpace() bool { return refs[id].derive == DeriveJoin }

// Host is what all events of a device have in common. Owned by the enricher; read-only while a batch is matched.
type Host struct {
	ID, Name   []byte
	Seed       uint64 // from the boot id: makes entity ids of two boots differ
	WallOffset int64  // wall clock minus monotonic clock, ns
	Users      Users
}

// Event is one event with what is known of who did it. It borrows its records; see the owner of the batch.
type Event struct {
	Own          Record
	Proc         Record // nil when unknown
	Parent       Record // nil when unknown
	ParentEntity uint64 // 0 when unknown
	Cat          Category
	Host         *Host
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

func (e *Event) part(r *ref) Record {
	switch r.part {
	case PartProc:
		return e.Proc
	case PartParent:
		return e.Parent
	case PartHost:
		return nil
	}
	if r.class != commonClass && e.Own.Class() != r.class {
		return nil
	}
	return e.Own
}

// Int reads a field of kind integer, numeric string, boolean, entity id or time. ok is false when the event does not
// have it.
//
// Preconditions: id is known and of one of these kinds.
func (e *Event) Int(id FieldID) (v int64, ok bool) {
	r := &refs[id]
	rec := e.part(r)
	if rec == nil {
		return 0, false
	}
	if r.slot != noSlot {
		if v, ok = rec.Int(int(r.slot)); ok {
			return v, true
		}
	}
	switch r.derive {
	case DeriveHeader:
		return e.header(id, rec)
	case DeriveNonzero:
		if v, ok = rec.Int(int(r.from)); ok && v != 0 {
			v = 1
		}
		return v, ok
	}
	return 0, false
}

func (e *Event) header(id FieldID, rec Record) (int64, bool) {
	switch id {
	case FieldPID:
		return int64(rec.PID()), rec.PID() != 0
	case FieldEntityID:
		return int64(rec.Entity()), rec.Entity() != 0
	case FieldParentEntityID:
		return int64(e.ParentEntity), e.ParentEntity != 0
	case FieldTimestamp:
		return e.Wall(), true
	}
	return int64(rec.TID()), rec.TID() != 0
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
	if r.part == PartHost {
		return e.host(id)
	}
	rec := e.part(r)
	if rec == nil {
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
	}
	return nil, false
}

func (e *Event) host(id FieldID) ([]byte, bool) {
	switch {
	case id == 80:
		return bytesLinux, true
	case e.Host == nil:
		return nil, false
	case id == 81:
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

// Users maps user ids to names in fixed memory, filled from context records. When it is full a further name is
// refused and counted; such users have an id and no name.
type Users struct {
	n       int
	ids     [UsersMax]uint32
	lens    [UsersMax]uint8
	names   [UsersMax][UserNameMax]byte
	Refused uint64
}

// UsersMax and UserNameMax bound the table: a device has a few dozen accounts, useradd allows 32 bytes a name.
const (
	UsersMax    = 128
	UserNameMax = 32
)

// Set names a user.
func (u *Users) Set(id uint32, name []byte) {
	i := 0
	for i < u.n && u.ids[i] != id {
		i++
	}
	if i == UsersMax {
		u.Refused++
		return
	}
	if i == u.n {
		u.n++
	}
	u.ids[i] = id
	u.lens[i] = uint8(copy(u.names[i][:], name))
}

// Name finds the name of a user.
func (u *Users) Name(id uint32) ([]byte, bool) {
	for i := 0; i < u.n; i++ {
		if u.ids[i] == id {
			return u.names[i][:u.lens[i]], true
		}
	}
	return nil, false
}

// startTick is the granularity of a start time in /proc (USER_HZ is 100 on every Linux ABI): entity ids use it, so that
// a process found in /proc and one seen by the kernel programs get the same.
const startTick = 10_000_000

// EntityID names the process that started at start (ns since boot) as pid. It is stable for the life of the process and,
// by seed, not reused across boots. It is never 0.
func EntityID(seed uint64, pid uint32, start uint64) uint64 {
	h := mix(seed ^ uint64(pid)<<32 ^ 0x9e3779b97f4a7c15)
	h = mix(h ^ start/startTick)
	if h == 0 {
		return 1
	}
	return h
}

// mix is the finalizer of splitmix64: a bijection in which every input bit reaches every output bit.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
