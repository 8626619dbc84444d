package sink

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

// The JSON form of an alert of n bytes has at most jsonBytesOverhead + jsonBytesFactor*n bytes: a control character
// becomes six (\u0001), an empty field of 8 bytes becomes at most 46 (the longest name, its quotes and punctuation,
// and one more time the name in the list of what was cut), and what stands around is less than 1 KB.
const (
	jsonBytesFactor   = 6
	jsonBytesOverhead = 8192
)

const hexDigits = "0123456789abcdef"

// fieldNames has the names of the fields by their id.
var fieldNames = func() (t [event.FieldsMax]string) {
	for i := range event.Fields {
		t[event.Fields[i].ID] = event.Fields[i].Name
	}
	return t
}()

// fieldSet is a set of field ids of the schema.
type fieldSet [(event.FieldsMax + 63) / 64]uint64

func (s *fieldSet) add(id event.FieldID) {
	if int(id) < event.FieldsMax {
		s[id/64] |= 1 << (id % 64)
	}
}

func (s *fieldSet) has(id int) bool { return s[id/64]>>(id%64)&1 != 0 }

// AppendJSON appends the JSON form of an alert, without a newline at its end. It grows dst only when dst has less room
// than jsonBytesOverhead and jsonBytesFactor ask for.
//
// Strings are UTF-8: bytes that are not become U+FFFD. Characters that a terminal would act on are escaped, so that a
// line can be looked at with cat.
//
// Preconditions: alert.Check found no fault, or a Builder of this process wrote it.
func AppendJSON(dst []byte, a alert.Alert) []byte {
	var cut fieldSet
	dst = append(dst, `{"id":"`...)
	for _, c := range a.ID() {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	dst = append(dst, `","rule_id":`...)
	dst = appendString(dst, a.RuleID())
	dst = append(dst, `,"rule_name":`...)
	dst = appendString(dst, a.RuleName())
	dst = append(dst, `,"severity":"`...)
	dst = append(dst, a.Severity().String()...)
	dst = append(dst, `","title":`...)
	dst = appendString(dst, a.Title())
	dst = append(dst, `,"timestamp_ns":`...)
	dst = strconv.AppendInt(dst, a.Wall(), 10)
	dst = append(dst, `,"events":[`...)
	n := 0
	for it := a.Events(); ; n++ {
		e, ok := it.Next()
		if !ok {
			break
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = appendEvent(dst, e, &cut)
	}
	dst = append(dst, `],"context":{"entity_key":`...)
	dst = appendHex(dst, a.Entity())
	dst = append(dst, `,"action":"`...)
	dst = append(dst, a.Action().String()...)
	dst = append(dst, `","ruleset":`...)
	dst = appendString(dst, a.Ruleset())
	dst = appendTruncated(dst, a.Flags(), &cut)
	if n := a.Omitted(); n > 0 {
		dst = append(dst, `,"omitted_events":`...)
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	dst = appendEvicted(dst, a.Flags())
	if n := a.Suppressed(); n > 0 {
		dst = append(dst, `,"suppressed":`...)
		dst = strconv.AppendUint(dst, uint64(n), 10)
	}
	return append(dst, "}}"...)
}

func appendEvent(dst []byte, e alert.Evidence, cut *fieldSet) []byte {
	dst = append(dst, `{"event_type_id":`...)
	dst = strconv.AppendUint(dst, uint64(e.Type()), 10)
	dst = append(dst, `,"timestamp_ns":`...)
	dst = strconv.AppendInt(dst, e.Wall(), 10)
	dst = append(dst, `,"fields":{`...)
	n := 0
	for it := e.Fields(); ; n++ {
		f, ok := it.Next()
		if !ok {
			break
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		if f.Truncated {
			cut.add(f.ID)
		}
		dst = append(dst, '"')
		dst = appendFieldName(dst, f.ID)
		dst = append(dst, `":`...)
		dst = appendValue(dst, &f)
	}
	return append(dst, "}}"...)
}

// appendFieldName names a field; one of a newer schema is called by its id.
func appendFieldName(dst []byte, id event.FieldID) []byte {
	if int(id) < event.FieldsMax && fieldNames[id] != "" {
		return append(dst, fieldNames[id]...)
	}
	dst = append(dst, "field."...)
	return strconv.AppendUint(dst, uint64(id), 10)
}

func appendValue(dst []byte, f *alert.Field) []byte {
	switch f.Kind {
	case event.KindString:
		return appendString(dst, f.Value)
	case event.KindStrings:
		return appendStrings(dst, f.Value)
	case event.KindID:
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, f.Int(), 10)
		return append(dst, '"')
	case event.KindIP:
		dst = append(dst, '"')
		dst = appendIP(dst, f.Value)
		return append(dst, '"')
	case event.KindBool:
		return strconv.AppendBool(dst, f.Int() != 0)
	case event.KindEntity:
		return appendHex(dst, uint64(f.Int()))
	}
	return strconv.AppendInt(dst, f.Int(), 10)
}

// appendStrings writes an array; no bytes are no elements.
func appendStrings(dst, v []byte) []byte {
	dst = append(dst, '[')
	for more := len(v) > 0; more; {
		var s []byte
		s, v, more = bytes.Cut(v, nul)
		dst = appendString(dst, s)
		if more {
			dst = append(dst, ',')
		}
	}
	return append(dst, ']')
}

var nul = []byte{0}

func appendHex(dst []byte, v uint64) []byte {
	dst = append(dst, `"0x`...)
	dst = strconv.AppendUint(dst, v, 16)
	return append(dst, '"')
}

// appendTruncated lists what is missing: the fields whose value was cut, by name, then "fields" when fields were left
// out and "events" when whole events were.
func appendTruncated(dst []byte, flags uint32, cut *fieldSet) []byte {
	if flags&(alert.FlagCut|alert.FlagFieldsOmitted|alert.FlagEventsOmitted) == 0 {
		return dst
	}
	dst = append(dst, `,"truncated":[`...)
	n := len(dst)
	for id := range event.FieldsMax {
		if cut.has(id) {
			dst = append(dst, '"')
			dst = appendFieldName(dst, event.FieldID(id))
			dst = append(dst, `",`...)
		}
	}
	if flags&alert.FlagCut != 0 && len(dst) == n {
		dst = append(dst, `"values",`...) // of a rule string or of a field this version does not know
	}
	if flags&alert.FlagFieldsOmitted != 0 {
		dst = append(dst, `"fields",`...)
	}
	if flags&alert.FlagEventsOmitted != 0 {
		dst = append(dst, `"events",`...)
	}
	dst[len(dst)-1] = ']'
	return dst
}

// appendEvicted lists what was given up before the rule held: "evidence" of an earlier step, other "states" of the
// same rule, or that a "bound" was reached.
func appendEvicted(dst []byte, flags uint32) []byte {
	if flags&(alert.FlagEvidenceEvicted|alert.FlagStateEvicted|alert.FlagBound) == 0 {
		return dst
	}
	dst = append(dst, `,"evicted":[`...)
	if flags&alert.FlagEvidenceEvicted != 0 {
		dst = append(dst, `"evidence",`...)
	}
	if flags&alert.FlagStateEvicted != 0 {
		dst = append(dst, `"states",`...)
	}
	if flags&alert.FlagBound != 0 {
		dst = append(dst, `"bound",`...)
	}
	dst[len(dst)-1] = ']'
	return dst
}

// plainJSON has a bit per ASCII character that stands for itself in a JSON string and that no terminal acts on.
var plainJSON = func() (t [utf8.RuneSelf]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] < utf8.RuneSelf && plainJSON[s[n]] {
			n++
		}
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) > 0 {
			dst, s = appendRune(dst, s)
		}
	}
	return append(dst, '"')
}

// appendRune appends the first character of s, which does not stand for itself or is not ASCII.
func appendRune(dst, s []byte) (_, rest []byte) {
	if c := s[0]; c < utf8.RuneSelf {
		switch c {
		case '"', '\\':
			return append(dst, '\\', c), s[1:]
		case '\n':
			return append(dst, '\\', 'n'), s[1:]
		case '\r':
			return append(dst, '\\', 'r'), s[1:]
		case '\t':
			return append(dst, '\\', 't'), s[1:]
		}
		return appendEscape(dst, rune(c)), s[1:]
	}
	r, n := utf8.DecodeRune(s)
	switch {
	case r == utf8.RuneError && n == 1:
		return utf8.AppendRune(dst, utf8.RuneError), s[1:]
	case r < 0xa0 || r == 0x2028 || r == 0x2029: // C1 controls; what JavaScript takes for line ends
		return appendEscape(dst, r), s[n:]
	}
	return append(dst, s[:n]...), s[n:]
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
