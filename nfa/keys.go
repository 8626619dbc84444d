package nfa

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// keyBytes holds one encoded join key value: a number, a string of at most 15 bytes, or the hash of a longer one.
const keyBytes = 16

type key [limits.KeysMax * keyBytes]byte

// key encodes an event's join key values; false when one is null and not optional.
func (s *Sequencer) key(st *image.Stage, ev *event.Event, k *key) bool {
	*k = key{}
	for i := range int(st.NKeys) {
		f := s.img.Keys[int(st.Keys)+i]
		if !encode(event.FieldID(f.Field), ev, k[i*keyBytes:][:keyBytes]) && f.Optional == 0 {
			return false
		}
	}
	return true
}

// The last byte of an encoded value says what it is; 0 is null.
const (
	keyNumber = 0x80
	keyHash   = 0x81
	keyShort  = 1 // and up: length + 1
)

func encode(f event.FieldID, ev *event.Event, dst []byte) bool {
	switch f.Kind() {
	case event.KindString, event.KindStrings, event.KindIP:
		v, ok := ev.Bytes(f)
		if !ok {
			return false
		}
		encodeText(v, f.NulIsSpace(), dst)
		return true
	}
	v, ok := ev.Int(f)
	if !ok {
		return false
	}
	binary.LittleEndian.PutUint64(dst, uint64(v))
	dst[keyBytes-1] = keyNumber
	return true
}

func encodeText(v []byte, nulIsSpace bool, dst []byte) {
	if len(v) >= keyBytes {
		hash128(v, nulIsSpace, dst)
		dst[keyBytes-1] = keyHash
		return
	}
	copy(dst, v)
	if nulIsSpace {
		for i := range v {
			dst[i] = blank(v[i])
		}
	}
	dst[keyBytes-1] = byte(keyShort + len(v))
}

// keySet holds the keys of one event where a key is an array: each element takes part, and of several arrays each
// combination, at most limits.CombosMax of them. Equal ones take part once.
type keySet struct {
	n     int
	list  [limits.CombosMax]key
	fits  [limits.CombosMax]uint32 // the stages that a key belongs to; samples use it
	slots [2 * limits.CombosMax]uint16
	tried int // combinations of the stage, equal ones counted
}

// An index fits a slot, with one for the empty slot.
const _ = uint(1<<16 - 1 - limits.CombosMax)

func (ks *keySet) reset() {
	if ks.n > 0 {
		ks.n = 0
		ks.slots = [2 * limits.CombosMax]uint16{}
	}
}

// add notes a key for a stage; false when there is no room for another.
func (ks *keySet) add(k *key, fits uint32) bool {
	for at := hash(0, k) % uint64(len(ks.slots)); ; at = (at + 1) % uint64(len(ks.slots)) {
		i := int(ks.slots[at]) - 1
		if i < 0 {
			if ks.n == len(ks.list) {
				return false
			}
			ks.list[ks.n], ks.fits[ks.n] = *k, fits
			ks.n++
			ks.slots[at] = uint16(ks.n)
			return true
		}
		if ks.list[i] == *k {
			ks.fits[i] |= fits
			return true
		}
	}
}

// expand adds the keys that an event has for a stage; false when one is null and not optional.
func (s *Sequencer) expand(v *visit, st *image.Stage, fits uint32) bool {
	total := uint64(1)
	for _, f := range s.img.Keys[st.Keys : st.Keys+uint32(st.NKeys)] {
		n, ok := elements(event.FieldID(f.Field), v.ev)
		if !ok && f.Optional == 0 {
			return false
		}
		if n > 1 {
			hi, lo := bits.Mul64(total, n)
			total = lo
			if hi != 0 {
				total = 1<<64 - 1
			}
		}
	}
	s.keys.tried = 0
	var k key
	cut := uint64(s.combine(v.ev, st, 0, &k, fits))
	if total > limits.CombosMax {
		cut += total - limits.CombosMax
	}
	if cut > 0 {
		s.Counters.KeysCut += cut
		s.degraded[v.rule] |= degradedBound
	}
	return true
}

// elements is the number of values that a join key field has.
func elements(f event.FieldID, ev *event.Event) (n uint64, ok bool) {
	if f.Kind() != event.KindStrings {
		var dst [keyBytes]byte
		return 1, encode(f, ev, dst[:])
	}
	v, ok := ev.Bytes(f)
	if !ok {
		return 1, false
	}
	for n = 1; ; n++ {
		i := bytes.IndexByte(v, 0)
		if i < 0 {
			return n, true
		}
		v = v[i+1:]
	}
}

// separator stands between the elements of an array.
var separator = []byte{0}

// combine adds the keys that begin with the values in k, from the key at on, and counts those for which there is no
// room.
func (s *Sequencer) combine(ev *event.Event, st *image.Stage, at int, k *key, fits uint32) (cut int) {
	if at == int(st.NKeys) {
		s.keys.tried++
		if !s.keys.add(k, fits) {
			cut++
		}
		return cut
	}
	f := event.FieldID(s.img.Keys[int(st.Keys)+at].Field)
	dst := k[at*keyBytes:][:keyBytes]
	clear(dst)
	v, ok := []byte(nil), false
	if f.Kind() == event.KindStrings {
		v, ok = ev.Bytes(f)
	}
	if !ok {
		encode(f, ev, dst)
		return s.combine(ev, st, at+1, k, fits)
	}
	for more := true; more && s.keys.tried < limits.CombosMax; {
		var e []byte
		e, v, more = bytes.Cut(v, separator)
		clear(dst)
		encodeText(e, false, dst)
		cut += s.combine(ev, st, at+1, k, fits)
	}
	return cut
}

// Multipliers of hash128: odd 64-bit constants with balanced bits.
const (
	mul1 = 0x9e3779b97f4a7c15
	mul2 = 0xd6e8feb86659fd93
)

// blank reads a NUL as a blank; see event.FieldID.NulIsSpace.
func blank(c byte) byte {
	if c == 0 {
		return ' '
	}
	return c
}

// hash128 folds v into 16 bytes by two multiplicative hashes that share no constant.
func hash128(v []byte, nulIsSpace bool, dst []byte) {
	a, b := uint64(len(v))*mul1, uint64(len(v))*mul2
	for len(v) > 0 {
		var w uint64
		switch {
		case nulIsSpace:
			n := min(len(v), 8)
			for i := n - 1; i >= 0; i-- {
				w = w<<8 | uint64(blank(v[i]))
			}
			v = v[n:]
		case len(v) >= 8:
			w, v = binary.LittleEndian.Uint64(v), v[8:]
		default:
			for i := len(v) - 1; i >= 0; i-- {
				w = w<<8 | uint64(v[i])
			}
			v = nil
		}
		a, b = fold(a^w, mul1), fold(b+w, mul2)
	}
	binary.LittleEndian.PutUint64(dst, fold(a, mul2))
	binary.LittleEndian.PutUint64(dst[8:], fold(b, mul1))
}

// fold multiplies to 128 bits and adds the halves, the mixing step of wyhash.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mul2, b^a>>32)
	return hi ^ lo ^ a
}

func hash(rule uint32, k *key) uint64 {
	h := uint64(rule)*mul1 + mul2
	for i := 0; i < len(k); i += 8 {
		h = fold(h^binary.LittleEndian.Uint64(k[i:]), mul1)
	}
	return h
}

// HashOf is the hash under which a rule keeps what waits for the value of one join key that is a number. It has no seed: the
// same events give the same result, so who chooses the values can make them meet in one bucket, as `kestrel bench` does.
func HashOf(rule uint32, number int64) uint64 {
	var k key
	binary.LittleEndian.PutUint64(k[:], uint64(number))
	k[keyBytes-1] = keyNumber
	return hash(rule, &k)
}
