package engine

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Processes have the same values again and again: names of programs, paths of shells, options. What an automaton found in
// a short value of a process is kept, at a place that a hash of the value gives, and compared byte by byte before it is
// used. A value that comes for the first time costs the hash and a copy besides its scan. Paths of files are too many for
// that: of 13,435 opens of a working machine 2,513 are of different files, and a scan costs no more than the miss.

const (
	// valuesKept is the number of places: 281 executions of a working machine have 341 different arguments among 1,299.
	valuesKept = 512
	// valueBytesMax bounds a value that is kept; longer ones are hardly the same twice.
	valueBytesMax = 96
	// valueAtomsMax bounds the atoms of one; a value in which more hold is scanned each time.
	valueAtomsMax = 20
)

// found is what the automaton of a field set found in a value.
type found struct {
	hash  uint64
	set   uint16
	n     uint8 // bytes of the value
	atoms uint8
	value [valueBytesMax]byte
	list  [valueAtomsMax]uint32
}

const foundBytes = 8 + 8 + valueBytesMax + 4*valueAtomsMax // with padding

const hashMul = 0x9e3779b97f4a7c15

// hashOf is no secret: values that meet in one place cost a scan, never a match.
func hashOf(set uint32, v []byte) uint64 {
	h := uint64(set+1)<<32 ^ uint64(len(v))*hashMul // not 0 for an empty text: places begin as 0
	for len(v) >= 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(v), hashMul)
		h, v = hi^lo, v[8:]
	}
	if len(v) > 0 {
		var word [8]byte
		copy(word[:], v)
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(word[:]), hashMul)
		h = hi ^ lo
	}
	return h
}

// text notes what holds for a text: in k, or of the event when that is nil.
func (w *worker) text(set uint32, v []byte, k *kept) {
	if k == nil || len(v) > valueBytesMax {
		w.apply(w.atoms(set, v), k)
		return
	}
	h := hashOf(set, v)
	f := &w.values[h&(valuesKept-1)]
	if f.hash != h || uint32(f.set) != set || !bytes.Equal(f.value[:f.n], v) || f.atoms > valueAtomsMax {
		atoms := w.atoms(set, v)
		f.hash, f.set, f.n, f.atoms = h, uint16(set), uint8(copy(f.value[:], v)), uint8(min(len(atoms), valueAtomsMax+1))
		copy(f.list[:], atoms)
		w.apply(atoms, k)
		return
	}
	w.apply(f.list[:f.atoms], k)
}

// atoms are what the automaton finds in a text; the list is good until the next call.
func (w *worker) atoms(set uint32, v []byte) []uint32 {
	w.hits.Reset()
	w.img.Automata[set].Scan(v, w.scratch[set], w.hits)
	return w.hits.List()
}

func (w *worker) apply(atoms []uint32, k *kept) {
	for _, atom := range atoms {
		for _, t := range w.img.TestList[w.img.AtomTests[atom]:w.img.AtomTests[atom+1]] {
			if k != nil {
				w.learn(k, t)
			} else {
				w.hold(t)
			}
		}
	}
}
