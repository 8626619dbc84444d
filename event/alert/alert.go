// Package alert is the record that carries an alert from the engine to the sinks: what rule held, when, what was done
// about it, and the events that were the reason, each with the fields it had. It is self-contained bytes, the same on
// every architecture, so that it can go through a byte ring, lie in a spool and cross a link.
//
// Memory: an Alert, an Evidence and a Field are views over bytes that somebody else owns (the engine's scratch, the
// evidence slab, the alert ring). Nothing here allocates; nothing here is shared, so any goroutine may call it.
//
// When something does not fit it is left out whole and a flag in the record says so. The sequence number is given by
// the engine before anything can drop the alert, so whoever reads the numbers knows what is missing.
package alert

import (
	"encoding/binary"

	"github.com/kestrel-detection/kestrel/event"
)

// Layout of an alert, little-endian:
//
//	 0  u32 size      of the whole alert, a multiple of 8
//	 4  u8  version   of this layout
//	 5  u8  action
//	 6  u8  severity
//	 7  u8            zero
//	 8  u32 flags     Flag*
//	12  u16 events    number of events that follow
//	14  u16 omitted   number of events that did not fit
//	16  u64 sequence  given before anything can drop the alert
//	24  u64 wall      of the completing event, ns since 1970
//	32  u64 mono      of the completing event, ns since boot
//	40  16  id        deterministic, given by the engine
//	56  u64 entity    the key the rule held for
//	64  u16 ruleset, u16 rule id, u16 rule name, u16 title: lengths in bytes
//	72  u32 suppressed  alerts like this one that were not raised since the last that was
//	76  u32           zero
//	80  the four strings one after the other, padded with zeros to 8
//	    events
//
// Layout of an event:
//
//	 0  u32 size      of the whole event, a multiple of 8
//	 4  u16 type
//	 6  u16 flags     Evidence*
//	 8  u64 id
//	16  u64 wall      ns since 1970
//	24  u64 mono      ns since boot
//	32  u16 fields    number of fields that follow
//	34  u16, u32      zero
//	40  fields, in ascending order of their ids
//
// Layout of a field: u16 field id, u8 kind, u8 flags (FieldTruncated), u32 length, the value padded with zeros to 8. A
// number is 8 bytes; an array of strings has NUL between the elements; an address is 4 or 16 bytes.
const (
	offSize     = 0
	offVersion  = 4
	offAction   = 5
	offSeverity = 6
	offZero     = 7
	offFlags    = 8
	offEvents   = 12
	offOmitted  = 14
	offSeq      = 16
	offWall     = 24
	offMono     = 32
	offID       = 40
	offEntity   = 56
	offLengths  = 64
	offSuppress = 72
	offTail     = 76
	headSize    = 80

	offEventType   = 4
	offEventFlags  = 6
	offEventID     = 8
	offEventWall   = 16
	offEventMono   = 24
	offEventFields = 32
	offEventZero   = 34
	eventHeadSize  = 40

	fieldHeadSize = 8
)

const (
	// Version is the layout this package writes and reads.
	Version = 2
	// Align is the alignment and granularity of alerts and of the events in them.
	Align = 8
	// SizeMax bounds one alert: a sequence of a dozen steps with the usual 1.5 KB of fields each, with room. Sinks size
	// their buffers by it.
	SizeMax = 32 << 10
	// EvidenceBytesMax bounds one event of an alert: all numbers of the schema, six strings at their maximum, and room.
	EvidenceBytesMax = 8 << 10
	// EvidenceBytesMin is an event with no field.
	EvidenceBytesMin = eventHeadSize
	// StringBytesMax bounds one string or array in an event. A longer value is cut and flagged: what tells a reader what
	// happened is at the start of a command line, and paths of more than 1,000 bytes are made to evade.
	StringBytesMax = 1024

	// RulesetBytesMax, RuleIDBytesMax, RuleNameBytesMax and TitleBytesMax bound the strings of a rule; an id or
	// a name has at most limits.NameBytesMax, a rule set is a name, a blank and a version.
	RulesetBytesMax  = 511
	RuleIDBytesMax   = 255
	RuleNameBytesMax = 255
	TitleBytesMax    = 512
	// HeadBytesMax is what a Builder needs at least.
	HeadBytesMax = (headSize + RulesetBytesMax + RuleIDBytesMax + RuleNameBytesMax + TitleBytesMax + Align - 1) &^ (Align - 1)
)

// An alert always has room for its head and two events at their maximum.
const _ = uint(SizeMax - HeadBytesMax - 2*EvidenceBytesMax)

// Action is what was done about what the rule saw.
type Action uint8

// The actions.
const (
	Alerted    Action = iota
	Blocked           // refused in the kernel
	Killed            // the process was killed after the fact
	WouldBlock        // detect mode: enforce mode would have refused it
	Actions
)

var actionNames = [Actions]string{"alerted", "blocked", "killed", "would_block"}

func (a Action) String() string {
	if a < Actions {
		return actionNames[a]
	}
	return "invalid"
}

// Severity is how bad it is.
type Severity uint8

// The severities.
const (
	Low Severity = iota
	Medium
	High
	Critical
	Severities
)

var severityNames = [Severities]string{"Low", "Medium", "High", "Critical"}

func (s Severity) String() string {
	if s < Severities {
		return severityNames[s]
	}
	return "invalid"
}

// ParseSeverity finds the severity that a rule names; case does not matter.
func ParseSeverity(name string) (Severity, bool) {
	for s := Low; s < Severities; s++ {
		if equalFold(severityNames[s], name) {
			return s, true
		}
	}
	return Low, false
}

// equalFold compares two ASCII strings without regard to case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i]|0x20 != b[i]|0x20 {
			return false
		}
	}
	return true
}

// Flags of an alert: what is missing in it, or what made it less sure.
const (
	FlagCut             = 1 << iota // a value is shorter than it was
	FlagFieldsOmitted               // fields were left out for want of room
	FlagEventsOmitted               // whole events were left out for want of room
	FlagEvidenceEvicted             // the events of an earlier step were given up for newer ones
	FlagStateEvicted                // states of this rule's sequence were given up for newer ones
	FlagBound                       // the rule has more states at a step, or more array elements, than are kept
	flagsAll            = 1<<iota - 1
)

// Flags of an event.
const (
	EvidenceCut     = 1 << iota // a value is shorter than it was
	EvidenceOmitted             // fields were left out for want of room
	EvidenceNoBTF               // captured without kernel type information
	evidenceAll     = 1<<iota - 1
)

// FieldTruncated in a field's flags says that the value is shorter than it was.
const FieldTruncated = 1

var le = binary.LittleEndian

// Alert is one alert. It borrows the bytes.
//
// Preconditions of every accessor: Check found no fault, or a Builder of this process wrote it.
type Alert []byte

// Size is the size the alert says it has.
func (a Alert) Size() int { return int(le.Uint32(a[offSize:])) }

// Action is what was done.
func (a Alert) Action() Action { return Action(a[offAction]) }

// Severity is the rule's.
func (a Alert) Severity() Severity { return Severity(a[offSeverity]) }

// Flags are the Flag bits.
func (a Alert) Flags() uint32 { return le.Uint32(a[offFlags:]) }

// Count is the number of events in the alert.
func (a Alert) Count() int { return int(le.Uint16(a[offEvents:])) }

// Omitted is the number of events that did not fit.
func (a Alert) Omitted() int { return int(le.Uint16(a[offOmitted:])) }

// Seq is the sequence number.
func (a Alert) Seq() uint64 { return le.Uint64(a[offSeq:]) }

// Wall is the wall time of the completing event in ns since 1970.
func (a Alert) Wall() int64 { return int64(le.Uint64(a[offWall:])) }

// Mono is the monotonic time of the completing event in ns.
func (a Alert) Mono() uint64 { return le.Uint64(a[offMono:]) }

// ID is the 16-byte id, borrowed.
func (a Alert) ID() []byte { return a[offID : offID+16 : offID+16] }

// Entity is the key the rule held for.
func (a Alert) Entity() uint64 { return le.Uint64(a[offEntity:]) }

// Suppressed is the number of alerts like this one that were not raised since the last that was.
func (a Alert) Suppressed() uint32 { return le.Uint32(a[offSuppress:]) }

// Ruleset is the version of the rule set, borrowed.
func (a Alert) Ruleset() []byte { return a.text(0) }

// RuleID is the rule's id, borrowed.
func (a Alert) RuleID() []byte { return a.text(1) }

// RuleName is the rule's name, borrowed.
func (a Alert) RuleName() []byte { return a.text(2) }

// Title is the rule's title, borrowed.
func (a Alert) Title() []byte { return a.text(3) }

func (a Alert) text(i int) []byte {
	off := headSize
	for j := 0; j < i; j++ {
		off += int(le.Uint16(a[offLengths+2*j:]))
	}
	n := int(le.Uint16(a[offLengths+2*i:]))
	return a[off : off+n : off+n]
}

// eventsOffset is where the events start.
func (a Alert) eventsOffset() int {
	n := headSize
	for j := 0; j < 4; j++ {
		n += int(le.Uint16(a[offLengths+2*j:]))
	}
	return pad(n)
}

// Events iterates over the events in their order.
func (a Alert) Events() Events { return Events{a[a.eventsOffset():a.Size()]} }

// Events is what is left of an alert's events.
type Events struct{ rest []byte }

// Next gives the next event; ok is false at the end.
func (it *Events) Next() (ev Evidence, ok bool) {
	if len(it.rest) == 0 {
		return nil, false
	}
	n := int(le.Uint32(it.rest))
	ev, it.rest = it.rest[:n:n], it.rest[n:]
	return ev, true
}

// Evidence is one event of an alert. It borrows the bytes.
type Evidence []byte

// Size is the size the event says it has.
func (e Evidence) Size() int { return int(le.Uint32(e[offSize:])) }

// Type is the event type.
func (e Evidence) Type() event.Type { return event.Type(le.Uint16(e[offEventType:])) }

// Flags are the Evidence bits.
func (e Evidence) Flags() uint16 { return le.Uint16(e[offEventFlags:]) }

// ID is the event id.
func (e Evidence) ID() uint64 { return le.Uint64(e[offEventID:]) }

// Wall is the wall time in ns since 1970.
func (e Evidence) Wall() int64 { return int64(le.Uint64(e[offEventWall:])) }

// Mono is the monotonic time in ns.
func (e Evidence) Mono() uint64 { return le.Uint64(e[offEventMono:]) }

// Count is the number of fields.
func (e Evidence) Count() int { return int(le.Uint16(e[offEventFields:])) }

// Fields iterates over the fields in ascending order of their ids.
func (e Evidence) Fields() Fields { return Fields{e[eventHeadSize:e.Size()]} }

// Fields is what is left of an event's fields.
type Fields struct{ rest []byte }

// Next gives the next field; ok is false at the end.
func (it *Fields) Next() (f Field, ok bool) {
	b := it.rest
	if len(b) == 0 {
		return Field{}, false
	}
	end := fieldHeadSize + int(le.Uint32(b[4:]))
	f = Field{
		ID:        event.FieldID(le.Uint16(b)),
		Kind:      event.Kind(b[2]),
		Truncated: b[3]&FieldTruncated != 0,
		Value:     b[fieldHeadSize:end:end],
	}
	it.rest = b[pad(end):]
	return f, true
}

// Field is one field of an event. Value is borrowed.
type Field struct {
	ID        event.FieldID
	Kind      event.Kind
	Truncated bool
	Value     []byte
}

// Int is the value of a field whose kind is a number.
func (f *Field) Int() int64 { return int64(le.Uint64(f.Value)) }

func pad(n int) int { return (n + Align - 1) &^ (Align - 1) }
