package dfa

import "encoding/binary"

// A literal is found by a gram of its own: three bytes in a row, or two if it has no more, which dfa/build picks for
// being rare. Each place of a value is a gram. A bit by the gram's hash says whether literals are known by it, which is
// seldom so, and only these are compared. That takes a third of the memory of automata and about their time. The price
// is that a value of the worst kind costs more, at every place all the literals of one gram; dfa/build bounds their
// text and makes automata of more.
//
// Bytes of a gram have bit 0x20 set: letters lose their case, and 0 becomes a space. That other bytes fall together
// costs a comparison in vain at most.
const (
	gramFold = 0x20 * ones
	// gramMul hashes a gram. Its low byte is 0, so the byte above the three of a gram does not count.
	gramMul = 0x9e3779 << 8
	// bucketMul hashes what a literal is found by, which GramPair sets apart when it is two bytes.
	bucketMul = 0x85ebca6b

	GramBytes = 3
	GramPair  = 1 << 24
	// chunkGrams is how many grams begin in a word of eight bytes and lie within it.
	chunkGrams = 8 - GramBytes + 1
)

// Gram is what a literal is found by whose chosen bytes are b, two or three.
func Gram(b []byte) uint32 {
	if len(b) == 2 {
		return uint32(b[0]|0x20) | uint32(b[1]|0x20)<<8 | GramPair
	}
	return uint32(b[0]|0x20) | uint32(b[1]|0x20)<<8 | uint32(b[2]|0x20)<<16
}

// GramBit is the filter's bit for a gram of three bytes.
func GramBit(gram, bits uint32) uint32 { return gram * gramMul >> (32 - bits) }

// GramBucket is where, of two to the power of bits, the literals found by gram are.
func GramBucket(gram, bits uint32) uint32 { return gram * bucketMul >> (32 - bits) }

// presenceBit is the class of a byte among those that a value has, as a bit. All of ASCII but case is told apart.
func presenceBit(b byte) uint64 {
	b |= 0x20
	return 1 << (b&31 | b>>1&32)
}

// presenceBits is presenceBit by byte.
var presenceBits = func() (t [256]uint64) {
	for i := range t {
		t[i] = presenceBit(byte(i))
	}
	return t
}()

// PresenceMask is the set of byte classes of b.
func PresenceMask(b []byte) uint64 {
	var m, k uint64
	for ; len(b) >= 4; b = b[4:] {
		m |= presenceBits[b[0]] | presenceBits[b[1]]
		k |= presenceBits[b[2]] | presenceBits[b[3]]
	}
	for _, c := range b {
		m |= presenceBits[c]
	}
	return m | k
}

// present returns the byte classes of the value that is scanned, which are found when first asked for.
func (sc *Scratch) present(value []byte) uint64 {
	if !sc.known {
		sc.known, sc.classes = true, PresenceMask(value)
	}
	return sc.classes
}

// lastChunk returns the bytes of value from i on, of which there are two to seven, folded and filled with spaces.
func lastChunk(value []byte, i int) uint64 {
	n := len(value)
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(value[n-8:])>>(8*uint(8-(n-i))&63) | gramFold
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(value)) |
			uint64(binary.LittleEndian.Uint32(value[n-4:]))<<(8*uint(n-4)&63) | gramFold
	}
	return uint64(value[0]) | uint64(value[1])<<8 | uint64(value[n-1])<<(8*uint(n-1)&63) | gramFold
}

// gram compares the literals that may be known by the gram at at, in the low three bytes of w.
func (s *Set) gram(w uint32, at int, value []byte, sc *Scratch, h *Hits) {
	if at+GramBytes <= len(value) {
		s.bucket(w&(GramPair-1), at, value, sc, h)
	}
	if s.pairs&pairBit(w) != 0 && at+2 <= len(value) {
		s.bucket(w&0xffff|GramPair, at, value, sc, h)
	}
}

// pairBit is a bit for the first two bytes of a gram: most are no literal.
func pairBit(gram uint32) uint64 { return 1 << ((gram^gram>>5)&31 | gram>>1&32) }

// bucket compares the literals known by key with value, in which the gram begins at at.
func (s *Set) bucket(key uint32, at int, value []byte, sc *Scratch, h *Hits) {
	b := GramBucket(key, s.bucketBits)
	for id, end := s.buckets[b], s.buckets[b+1]; id < end; id++ {
		l := s.literals[id*LiteralWords:]
		l = l[:LiteralWords]
		if l[LitGram] != key {
			continue
		}
		shape := l[LitShape]
		n := int(shape & LitBytesMask)
		start := at - int(shape>>LitOffsetShift&LitBytesMask)
		if start < 0 || start+n > len(value) || sc.outputs[s.firstLiteral+id] == sc.epoch ||
			!equal(s.text[l[LitText]:][:n], value[start:start+n], shape&LitFold != 0, s.flags&FlagNulIsSpace != 0) {
			continue
		}
		s.seen(id, value, sc, h)
	}
}

// seen carries out what a literal asks for, once a scan.
func (s *Set) seen(id uint32, value []byte, sc *Scratch, h *Hits) {
	sc.outputs[s.firstLiteral+id] = sc.epoch
	l := s.literals[id*LiteralWords:]
	for _, act := range s.actions[l[LitActions] : l[LitActions]+l[LitCount]] {
		if act>>ActionKindBit == ActionMark {
			h.Mark(s.base + act&ActionOperand)
		} else {
			s.start(act&ActionOperand, value, sc)
		}
	}
}

// start queues a program if value has all the bytes that it needs.
func (s *Set) start(p uint32, value []byte, sc *Scratch) {
	if m := s.mask(p); m != 0 && m&^sc.present(value) != 0 {
		return
	}
	sc.start(p)
}

func (s *Set) mask(p uint32) uint64 {
	m := s.masks[p*MaskWords:]
	return uint64(m[0]) | uint64(m[1])<<32
}

// scanSingles looks for the literals of one byte.
func (s *Set) scanSingles(value []byte, sc *Scratch, h *Hits) {
	nul := s.flags&FlagNulIsSpace != 0
	for id := uint32(0); id < s.singles; id++ {
		l := s.literals[id*LiteralWords:]
		l = l[:LiteralWords]
		c := byte(l[LitGram])
		if presenceBit(c)&sc.present(value) != 0 && skip(c, value, 0, l[LitShape]&LitFold != 0, nul) < len(value) {
			s.seen(id, value, sc, h)
		}
	}
}
