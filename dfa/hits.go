package dfa

// Hits collects the atoms that hold for one event, over all of its fields. An atom is marked when its stamp is the
// current epoch, so the next event costs no clearing. It belongs to one goroutine.
type Hits struct {
	stamp []uint32 // by global atom id
	list  []uint32 // the first n are the atoms marked since Reset, in the order found
	epoch uint32
	n     int
}

// NewHits returns an empty collection for atoms 0 to atoms-1.
func NewHits(atoms int) *Hits {
	return &Hits{stamp: make([]uint32, atoms), list: make([]uint32, atoms), epoch: 1}
}

// Reset forgets all marks.
func (h *Hits) Reset() {
	h.n = 0
	h.epoch++
	if h.epoch == 0 {
		clear(h.stamp)
		h.epoch = 1
	}
}

// Has says whether atom was marked since Reset.
func (h *Hits) Has(atom uint32) bool { return h.stamp[atom] == h.epoch }

// Mark marks atom; marking twice is marking once.
func (h *Hits) Mark(atom uint32) {
	if h.stamp[atom] != h.epoch {
		h.stamp[atom] = h.epoch
		h.list[h.n] = atom
		h.n++
	}
}

// List returns the atoms marked since Reset, each once, in the order found. It is valid until the next Reset.
func (h *Hits) List() []uint32 { return h.list[:h.n] }

// Bytes returns the memory Hits holds.
func (h *Hits) Bytes() int { return 4*(len(h.stamp)+len(h.list)) + 64 }
