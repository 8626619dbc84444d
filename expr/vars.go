package expr

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

var textLinux = []byte("linux")

// read reads the variables of a program, which are in the order of their stages and, for each, of their fields.
func (s *Set) read(p *Program, ctx *Context, sc *Scratch) {
	vars := s.vars[p.Vars : p.Vars+uint32(p.NVars)]
	i := 0
	for ; i < len(vars) && vars[i].Stage < 0; i++ {
		sc.vars[i] = sc.own(&vars[i], ctx.Event)
	}
	for i < len(vars) {
		stage, end := vars[i].Stage, i+1
		for end < len(vars) && vars[end].Stage == stage {
			end++
		}
		if e := ctx.Stages[stage]; len(e) > 0 {
			sc.kept(vars[i:end], e, sc.vars[i:end])
		} else {
			clear(sc.vars[i:end])
		}
		i = end
	}
}

// own reads a field of the event itself.
func (sc *Scratch) own(v *Var, ev *event.Event) value {
	f := event.FieldID(v.Field)
	switch f.Kind() {
	case event.KindString, event.KindStrings, event.KindIP:
		b, ok := ev.Bytes(f)
		if !ok {
			return absent(v)
		}
		if f.NulIsSpace() && v.Read != ReadPresent {
			return sc.joined(b)
		}
		return sc.fromBytes(v, b)
	}
	n, ok := ev.Int(f)
	if !ok {
		return absent(v)
	}
	return sc.fromInt(v, n)
}

// absent is what a variable holds of a field that is not there.
func absent(v *Var) value {
	if v.Read == ReadPresent {
		return boolean(false)
	}
	return value{}
}

// kept reads fields out of what is kept of an earlier event. The time and what all of Linux has in common stand in no
// field of it.
func (sc *Scratch) kept(vars []Var, e alert.Evidence, to []value) {
	fields := e.Fields()
	f, more := fields.Next()
	for i := range vars {
		v := &vars[i]
		id := event.FieldID(v.Field)
		for more && f.ID < id {
			f, more = fields.Next()
		}
		switch {
		case id == event.FieldTimestamp:
			to[i] = sc.fromInt(v, e.Wall())
		case id == event.FieldHostOSType:
			to[i] = sc.fromBytes(v, textLinux)
		case !more || f.ID != id || f.Kind != id.Kind():
			to[i] = absent(v)
		case f.Kind == event.KindString || f.Kind == event.KindStrings || f.Kind == event.KindIP:
			to[i] = sc.fromBytes(v, f.Value)
		case len(f.Value) != 8:
			to[i] = absent(v)
		default:
			to[i] = sc.fromInt(v, int64(binary.LittleEndian.Uint64(f.Value)))
		}
	}
}

// joined is an array of arguments read as one text: a 0 byte is a blank.
func (sc *Scratch) joined(b []byte) value {
	if bytes.IndexByte(b, 0) < 0 {
		return text(b)
	}
	t := sc.room(len(b))
	if t == nil {
		return value{}
	}
	for i, c := range b {
		if c == 0 {
			c = ' '
		}
		t[i] = c
	}
	return text(t)
}

// fromBytes is what a variable holds of a text, an array or an address.
func (sc *Scratch) fromBytes(v *Var, b []byte) value {
	if v.Read == ReadPresent {
		return boolean(true)
	}
	if event.FieldID(v.Field).Kind() != event.KindIP || v.Read == ReadRaw {
		return text(b)
	}
	var a netip.Addr
	switch len(b) {
	case 4:
		a = netip.AddrFrom4([4]byte(b))
	case 16:
		a = netip.AddrFrom16([16]byte(b))
	default:
		return value{}
	}
	if len(sc.buf)-sc.used < textNumberMax {
		sc.Cut++
		return value{}
	}
	t := a.AppendTo(sc.buf[sc.used:sc.used])
	sc.used += len(t)
	return text(t)
}

// nanosPerMilli makes the milliseconds of a time.
const nanosPerMilli = 1_000_000

// fromInt is what a variable holds of a number.
func (sc *Scratch) fromInt(v *Var, n int64) value {
	kind := event.FieldID(v.Field).Kind()
	switch v.Read {
	case ReadPresent:
		return boolean(true)
	case ReadNumber:
		return integer(n)
	case ReadValue:
		switch kind {
		case event.KindBool:
			return boolean(n != 0)
		case event.KindTime:
			milli := n / nanosPerMilli
			if n%nanosPerMilli < 0 {
				milli--
			}
			return integer(milli)
		case event.KindInt, event.KindID:
			return integer(n)
		}
	}
	if kind == event.KindBool {
		b := boolean(n != 0)
		return sc.written(&b)
	}
	if kind != event.KindEntity {
		i := integer(n)
		return sc.written(&i)
	}
	if len(sc.buf)-sc.used < textNumberMax {
		sc.Cut++
		return value{}
	}
	t := strconv.AppendUint(append(sc.buf[sc.used:sc.used], '0', 'x'), uint64(n), 16)
	sc.used += len(t)
	return text(t)
}
