package ecsjson

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
)

const hexDigits = "0123456789abcdef"

// AppendJSON appends an event as one JSON object with flat ECS names: the number of its type, then every field it has
// in the order of the schema. What Reader makes of it has the same fields. Bytes that are not UTF-8 become U+FFFD.
func AppendJSON(dst []byte, ev *event.Event) []byte {
	dst = append(dst, `{"event_type_id":`...)
	dst = strconv.AppendUint(dst, uint64(ev.Own.Type()), 10)
	for i := range event.Fields {
		dst = appendField(dst, ev, &event.Fields[i])
	}
	return append(dst, '}')
}

func appendField(dst []byte, ev *event.Event, f *event.Field) []byte {
	start := len(dst)
	dst = append(dst, ',')
	dst = append(dst, '"')
	dst = append(dst, f.Name...)
	dst = append(dst, '"', ':')
	var b []byte
	var n int64
	var ok bool
	switch f.Kind {
	case event.KindString, event.KindStrings, event.KindIP:
		b, ok = ev.Bytes(f.ID)
	default:
		n, ok = ev.Int(f.ID)
	}
	if !ok {
		switch f.Derive {
		case event.DeriveCategory, event.DeriveTypes, event.DeriveAction:
			return append(dst, "null"...) // the type alone would say something else
		}
		return dst[:start]
	}
	switch f.Kind {
	case event.KindString:
		return appendString(dst, b, f.ID.NulIsSpace())
	case event.KindStrings:
		return appendElements(dst, b)
	case event.KindIP:
		a, _ := netip.AddrFromSlice(b)
		dst = append(dst, '"')
		dst = a.AppendTo(dst)
		return append(dst, '"')
	case event.KindBool:
		return strconv.AppendBool(dst, n != 0)
	case event.KindID:
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, n, 10)
		return append(dst, '"')
	case event.KindEntity:
		dst = append(dst, `"0x`...)
		dst = strconv.AppendUint(dst, uint64(n), 16)
		return append(dst, '"')
	case event.KindTime:
		dst = append(dst, '"')
		dst = time.Unix(0, n).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
		return append(dst, '"')
	}
	return strconv.AppendInt(dst, n, 10)
}

func appendElements(dst, b []byte) []byte {
	dst = append(dst, '[')
	for start, i := 0, 0; i <= len(b); i++ {
		if i == len(b) || b[i] == 0 {
			if start > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, b[start:i], false)
			start = i + 1
		}
	}
	return append(dst, ']')
}

// appendString appends a JSON string (RFC 8259, section 7), a NUL as a blank when it stands for one.
func appendString(dst, s []byte, nulIsSpace bool) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == 0 && nulIsSpace:
			dst = append(dst, ' ')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
