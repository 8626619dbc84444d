package dfa

// NewScratchSized is NewScratch with another size of the lazy DFA's cache.
func (s *Set) NewScratchSized(states, members int) *Scratch { return s.newScratch(states, members) }

// SkipEpochs makes the epochs of h and sc wrap around soon.
func SkipEpochs(sc *Scratch, h *Hits) { sc.epoch, h.epoch = 1<<32-2, 1<<32-2 }
