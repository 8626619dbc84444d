package alert

import "github.com/kestrel-detection/kestrel/event"

// Error is why an alert from outside was refused.
type Error uint8

// The reasons.
const (
	ErrNone Error = iota
	ErrShort
	ErrSize
	ErrVersion
	ErrEnum
	ErrFlags
	ErrText
	ErrEvent
	ErrField
	ErrOrder
	ErrValue
	ErrPadding
	errorsMax
)

var errorTexts = [errorsMax]string{
	"", "alert shorter than its head", "alert size is not what the head says", "unknown alert version",
	"unknown action or severity", "unknown or contradictory flags", "rule strings outside the alert or too long",
	"event outside the alert", "field outside its event", "fields not in ascending order", "value does not fit its kind",
	"bytes that must be zero are not",
}

func (e Error) Error() string { return errorTexts[e] }

// Check says whether b is one whole alert of this version: afterwards every accessor is safe on it. There is one
// encoding of an alert only, so what passes is what a Builder could have written. Event types and field ids need not be
// known: a newer device may have more. It is for alerts that come from outside the process and does not allocate.
func Check(b []byte) Error {
	if len(b) < headSize {
		return ErrShort
	}
	a := Alert(b)
	if a.Size() != len(b) || len(b)%Align != 0 || len(b) > SizeMax {
		return ErrSize
	}
	if b[offVersion] != Version {
		return ErrVersion
	}
	if a.Action() >= Actions || a.Severity() >= Severities {
		return ErrEnum
	}
	if a.Flags()&^uint32(flagsAll) != 0 || (a.Flags()&FlagEventsOmitted != 0) != (a.Omitted() != 0) {
		return ErrFlags
	}
	if b[offZero] != 0 || !zero(b[offTail:headSize]) {
		return ErrPadding
	}
	n := headSize
	for i, max := range [4]int{RulesetBytesMax, RuleIDBytesMax, RuleNameBytesMax, TitleBytesMax} {
		l := int(le.Uint16(b[offLengths+2*i:]))
		if l > max {
			return ErrText
		}
		n += l
	}
	if pad(n) > len(b) {
		return ErrText
	}
	if !zero(b[n:pad(n)]) {
		return ErrPadding
	}
	return checkEvents(a, b[pad(n):])
}

func checkEvents(a Alert, rest []byte) Error {
	flags := uint32(0)
	for i := 0; i < a.Count(); i++ {
		if len(rest) < eventHeadSize {
			return ErrEvent
		}
		size := int(le.Uint32(rest))
		if size < eventHeadSize || size > len(rest) || size%Align != 0 || size > EvidenceBytesMax {
			return ErrEvent
		}
		e := Evidence(rest[:size])
		if code := checkFields(e); code != ErrNone {
			return code
		}
		if e.Flags()&EvidenceCut != 0 {
			flags |= FlagCut
		}
		if e.Flags()&EvidenceOmitted != 0 {
			flags |= FlagFieldsOmitted
		}
		rest = rest[size:]
	}
	if len(rest) != 0 {
		return ErrEvent
	}
	if a.Flags()&flags != flags {
		return ErrFlags
	}
	return ErrNone
}

func checkFields(e Evidence) Error {
	if e.Flags()&^uint16(evidenceAll) != 0 {
		return ErrFlags
	}
	if !zero(e[offEventZero:eventHeadSize]) {
		return ErrPadding
	}
	rest := e[eventHeadSize:]
	last, cut := -1, false
	for i := 0; i < e.Count(); i++ {
		if len(rest) < fieldHeadSize {
			return ErrField
		}
		id, kind, flags, n := int(le.Uint16(rest)), event.Kind(rest[2]), rest[3], uint64(le.Uint32(rest[4:]))
		if n > uint64(len(rest)-fieldHeadSize) || pad(fieldHeadSize+int(n)) > len(rest) {
			return ErrField
		}
		if id <= last {
			return ErrOrder
		}
		last = id
		if flags&^FieldTruncated != 0 {
			return ErrFlags
		}
		cut = cut || flags != 0
		end := fieldHeadSize + int(n)
		if !validValue(kind, rest[fieldHeadSize:end]) {
			return ErrValue
		}
		if !zero(rest[end:pad(end)]) {
			return ErrPadding
		}
		rest = rest[pad(end):]
	}
	if len(rest) != 0 {
		return ErrField
	}
	if cut != (e.Flags()&EvidenceCut != 0) {
		return ErrFlags
	}
	return ErrNone
}

func validValue(k event.Kind, v []byte) bool {
	switch k {
	case event.KindString, event.KindStrings:
		return len(v) <= StringBytesMax
	case event.KindIP:
		return len(v) == 4 || len(v) == 16
	case event.KindBool:
		return len(v) == 8 && le.Uint64(v) <= 1
	}
	return k < event.Kinds && len(v) == 8
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
