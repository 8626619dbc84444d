package event

import "encoding/binary"

// Layout of a record, little-endian:
//
//	 0  u32 size      of the whole record, a multiple of 8
//	 4  u16 type
//	 6  u16 flags     Flag*
//	 8  u64 time      ns of the monotonic clock that counts suspend (CLOCK_BOOTTIME)
//	16  u64 id        strictly increasing, given when the event leaves the ring
//	24  u64 present   bit s: slot s has a value
//	32  u64 entity    of the acting process; 0 in records of the kernel, filled from pid and start
//	40  u64 start     start of the acting process, ns since boot; 0 unknown
//	48  u32 pid       in the host's namespace; 0 unknown
//	52  u32 tid
//	56  u16 slots     number of slots
//	58  u16, u32      zero
//	64  slots         8 bytes each
//	    heap          the bytes that slots of strings and addresses point to
//
// A slot of a string is u32 offset from the start of the record, u16 length, u16 flags (SlotTruncated). A slot of a
// number is the number.
const (
	offSize    = 0
	offType    = 4
	offFlags   = 6
	offTime    = 8
	offID      = 16
	offPresent = 24
	offEntity  = 32
	offStart   = 40
	offPID     = 48
	offTID     = 52
	offSlots   = 56

	// HeaderSize is the size of the fixed part before the slots.
	HeaderSize = 64
	// RecordAlign is the alignment and granularity of records.
	RecordAlign = 8
	// SlotTruncated in a slot's flags says that the value was longer than its place.
	SlotTruncated = 1
)

// Flags of a record.
const (
	FlagTruncated     = 1 << iota // some slot has SlotTruncated
	FlagNoBTF                     // captured without kernel type information: no start time, arguments as they were asked for
	FlagInline                    // the record brings its own process facts (JSON events)
	FlagInlineParent              // of an inline context record: it is the parent of the next event's process
	FlagInlineEntry               // the same, its entry leader
	FlagInlineSession             // the same, its session leader
	FlagInlineGroup               // the same, its group leader
)

// RecordSizeMax bounds one record: two paths, an argument block and the slots, with room. The kernel programs build
// records in scratch space of this size.
const RecordSizeMax = 16384

// The length of a string in its slot has 16 bits.
const _ = uint(1<<16 - 1 - RecordSizeMax)

// Record is one event record. It borrows the bytes.
type Record []byte

// Size is the size the record says it has.
func (r Record) Size() int { return int(binary.LittleEndian.Uint32(r[offSize:])) }

// Type is the event type.
func (r Record) Type() Type { return Type(binary.LittleEndian.Uint16(r[offType:])) }

// Flags are the Flag bits.
func (r Record) Flags() uint16 { return binary.LittleEndian.Uint16(r[offFlags:]) }

// Time is the monotonic time in ns.
func (r Record) Time() uint64 { return binary.LittleEndian.Uint64(r[offTime:]) }

// ID is the event id.
func (r Record) ID() uint64 { return binary.LittleEndian.Uint64(r[offID:]) }

// SetID gives the event its id.
func (r Record) SetID(id uint64) { binary.LittleEndian.PutUint64(r[offID:], id) }

// Entity is the entity id of the acting process, 0 when not yet known.
func (r Record) Entity() uint64 { return binary.LittleEndian.Uint64(r[offEntity:]) }

// SetEntity sets the entity id.
func (r Record) SetEntity(e uint64) { binary.LittleEndian.PutUint64(r[offEntity:], e) }

// Start is the start time of the acting process in ns since boot, 0 when unknown.
func (r Record) Start() uint64 { return binary.LittleEndian.Uint64(r[offStart:]) }

// PID is the process id, 0 when unknown.
func (r Record) PID() uint32 { return binary.LittleEndian.Uint32(r[offPID:]) }

// TID is the thread id.
func (r Record) TID() uint32 { return binary.LittleEndian.Uint32(r[offTID:]) }

// Slots is the number of slots the record has room for.
func (r Record) Slots() int { return int(binary.LittleEndian.Uint16(r[offSlots:])) }

// Wide tells a record of an event from outside, which may have more than what a device's own sources fill.
func (r Record) Wide() bool { return r.Slots() > r.Class().SlotsCaptured() }

// Present is the bitmap of the slots that have a value.
func (r Record) Present() uint64 { return binary.LittleEndian.Uint64(r[offPresent:]) }

// Has tells whether the slot has a value.
func (r Record) Has(slot int) bool { return r.Present()>>uint(slot)&1 != 0 }

func (r Record) raw(slot int) uint64 { return binary.LittleEndian.Uint64(r[HeaderSize+8*slot:]) }

// Int is the number in the slot.
func (r Record) Int(slot int) (int64, bool) {
	if !r.Has(slot) {
		return 0, false
	}
	return int64(r.raw(slot)), true
}

// SetInt sets the number in the slot, which is not one of a string.
//
// Preconditions: slot is one of the first version of the schema, which every record has.
func (r Record) SetInt(slot int, v int64) {
	binary.LittleEndian.PutUint64(r[HeaderSize+8*slot:], uint64(v))
	binary.LittleEndian.PutUint64(r[offPresent:], r.Present()|1<<uint(slot))
}

// Bytes is the string or address in the slot, borrowed from the record.
func (r Record) Bytes(slot int) ([]byte, bool) {
	if !r.Has(slot) {
		return nil, false
	}
	v := r.raw(slot)
	off, n := uint32(v), uint32(v>>32)&0xffff
	return r[off : off+n : off+n], true
}

// Truncated tells whether the string in the slot was cut.
func (r Record) Truncated(slot int) bool {
	return r.Has(slot) && r.raw(slot)>>48&SlotTruncated != 0
}

// Class is the class of the record's type.
func (r Record) Class() Class { return ClassOf(r.Type()) }

// Error is why a record from outside was refused.
type Error uint8

// The reasons.
const (
	ErrNone Error = iota
	ErrShort
	ErrSize
	ErrType
	ErrSlots
	ErrString
	errorsMax
)

var errorTexts = [errorsMax]string{
	"", "record shorter than its header", "record size is not what the header says",
	"unknown event type", "number of slots does not fit the type", "string outside the record",
}

func (e Error) Error() string { return errorTexts[e] }

// Check says whether b is one whole record of this schema or of one since SchemaVersionMin, which may have fewer slots:
// afterwards every accessor is safe on it. It is for records that come from outside the process (logs, the kernel's
// ring); it does not allocate.
func Check(b []byte) Error {
	if len(b) < HeaderSize {
		return ErrShort
	}
	r := Record(b)
	size := r.Size()
	if size != len(b) || size%RecordAlign != 0 || size > RecordSizeMax {
		return ErrSize
	}
	t := r.Type()
	ti := typeIndex(t)
	if ti < 0 {
		return ErrType
	}
	c := Types[ti].Class
	slots := r.Slots()
	if slots < slotsMin[c] || slots > classSlots[c] || size < HeaderSize+8*slots || r.Present()>>uint(slots) != 0 {
		return ErrSlots
	}
	for m, s := r.Present()&stringSlots[c], 0; m != 0; m, s = m>>1, s+1 {
		if m&1 == 0 {
			continue
		}
		v := r.raw(s)
		off, n := uint64(uint32(v)), v>>32&0xffff
		if off < uint64(HeaderSize+8*slots) || off+n > uint64(size) {
			return ErrString
		}
		if addressSlots[c]>>uint(s)&1 != 0 && n != 4 && n != 16 {
			return ErrString
		}
	}
	return ErrNone
}

// Builder writes a record into bytes of the caller. The zero Builder with Buf set is ready for Begin.
//
// Preconditions: Buf is at least RecordSizeMax long.
type Builder struct {
	Buf   []byte
	size  int
	slots int
}

// Begin starts a record with the slots that the sources of a device fill; what Buf held is gone.
func (b *Builder) Begin(t Type, time uint64) { b.begin(t, time, ClassOf(t).SlotsCaptured()) }

// BeginWide starts a record with every slot of the schema, for an event from outside.
func (b *Builder) BeginWide(t Type, time uint64) { b.begin(t, time, ClassOf(t).Slots()) }

func (b *Builder) begin(t Type, time uint64, slots int) {
	b.slots = slots
	b.size = HeaderSize + 8*slots
	clear(b.Buf[:b.size])
	binary.LittleEndian.PutUint16(b.Buf[offType:], uint16(t))
	binary.LittleEndian.PutUint64(b.Buf[offTime:], time)
	binary.LittleEndian.PutUint16(b.Buf[offSlots:], uint16(slots))
}

// Process sets who acts. entity may be 0 when pid and start identify the process.
func (b *Builder) Process(pid, tid uint32, start, entity uint64) {
	binary.LittleEndian.PutUint32(b.Buf[offPID:], pid)
	binary.LittleEndian.PutUint32(b.Buf[offTID:], tid)
	binary.LittleEndian.PutUint64(b.Buf[offStart:], start)
	binary.LittleEndian.PutUint64(b.Buf[offEntity:], entity)
}

// Flag adds flags to the record.
func (b *Builder) Flag(f uint16) {
	binary.LittleEndian.PutUint16(b.Buf[offFlags:], binary.LittleEndian.Uint16(b.Buf[offFlags:])|f)
}

func (b *Builder) set(slot int, v uint64) {
	if slot >= b.slots {
		noSuchSlot()
	}
	binary.LittleEndian.PutUint64(b.Buf[HeaderSize+8*slot:], v)
	binary.LittleEndian.PutUint64(b.Buf[offPresent:], binary.LittleEndian.Uint64(b.Buf[offPresent:])|1<<uint(slot))
}

func noSuchSlot() { panic("BUG: record: the slot is one that Begin left out") }

// Int sets a number.
func (b *Builder) Int(slot int, v int64) { b.set(slot, uint64(v)) }

// Or sets bits of a number, which has no others when it was not set before.
func (b *Builder) Or(slot int, bits int64) {
	old, _ := Record(b.Buf).Int(slot)
	b.set(slot, uint64(old|bits))
}

// Bytes sets a string, array or address, at most max bytes of it (0: no cap of its own). What does not fit is cut and
// flagged. truncated says that the value was cut before it came here.
func (b *Builder) Bytes(slot int, v []byte, max int, truncated bool) { put(b, slot, v, max, truncated) }

// String is Bytes for a string that is whole.
func (b *Builder) String(slot int, v string, max int) { put(b, slot, v, max, false) }

func put[T []byte | string](b *Builder, slot int, v T, max int, truncated bool) {
	n := len(v)
	if max > 0 && n > max {
		n, truncated = max, true
	}
	if room := RecordSizeMax - b.size; n > room {
		n, truncated = room, true
	}
	copy(b.Buf[b.size:], v[:n])
	flags := uint64(0)
	if truncated {
		flags = SlotTruncated
		b.Flag(FlagTruncated)
	}
	b.set(slot, uint64(b.size)|uint64(n)<<32|flags<<48)
	b.size += n
}

// End pads the record and returns it; it borrows Buf until the next Begin.
func (b *Builder) End() Record {
	n := (b.size + RecordAlign - 1) &^ (RecordAlign - 1)
	clear(b.Buf[b.size:n])
	b.size = n
	binary.LittleEndian.PutUint32(b.Buf[offSize:], uint32(n))
	return Record(b.Buf[:n:n])
}
