package dfa

// Scan marks in h every atom that holds for value. It does not keep value and allocates nothing.
//
// Preconditions: sc comes from this set's NewScratch, and h holds base+Atoms() atoms.
func (s *Set) Scan(value []byte, sc *Scratch, h *Hits) {
	if uint64(len(h.stamp)) < uint64(s.base)+uint64(s.atoms) {
		panicHits()
	}
	for _, atom := range s.always {
		h.Mark(s.base + atom)
	}
	if len(s.slots) > 0 {
		s.scanExact(value, h)
	}
	if s.exactOnly {
		return
	}
	sc.next()
	if s.autos[AutoPrefix].classes != nil {
		s.scanPrefix(value, sc, h)
	}
	if s.autos[AutoSuffix].classes != nil {
		s.scanSuffix(value, sc, h)
	}
	if s.singles > 0 {
		s.scanSingles(value, sc, h)
	}
	if s.grams != nil {
		s.scanGrams(value, sc, h)
	}
	if s.autos[AutoInner].classes != nil {
		s.scanInner(value, sc, h)
	}
	for _, p := range s.starts {
		s.start(p, value, sc)
	}
	for _, p := range sc.queue[:sc.waiting] {
		s.runProgram(uint32(p), value, sc, h)
	}
}

// ScanElements scans the elements of an array, which a byte 0 sets apart, as so many values; v without one is one element.
//
// Preconditions: those of Scan.
func (s *Set) ScanElements(v []byte, sc *Scratch, h *Hits) {
	for {
		end := skip(0, v, 0, false, false)
		s.Scan(v[:end], sc, h)
		if end == len(v) {
			return
		}
		v = v[end+1:]
	}
}

//go:noinline
func panicHits() { panic("BUG: dfa: hits hold fewer atoms than the set marks") }

// report carries out what reaching a literal asks for: the actions of the output and of the shorter literals that end
// in the same place. All but case comparison needs doing once a scan. end is where the literal ends in value.
func (s *Set) report(out uint32, value []byte, end int, sc *Scratch, h *Hits) {
	for out != 0 {
		o := s.outputs[out*OutputWords:]
		o = o[:OutputWords]
		actions, plain, verify := o[0], o[1], o[2]
		if sc.outputs[out] != sc.epoch {
			sc.outputs[out] = sc.epoch
			for _, act := range s.actions[actions : actions+plain] {
				if act>>ActionKindBit == ActionMark {
					h.Mark(s.base + act&ActionOperand)
				} else {
					s.start(act&ActionOperand, value, sc)
				}
			}
		} else if verify&OutputVerify == 0 {
			return
		}
		for n := verify &^ OutputVerify; n > 0; n-- {
			s.verifyCase(s.actions[actions+plain+n-1], value, end, h)
		}
		out = o[3]
	}
}

// verifyCase marks the atom of a case-sensitive literal that the folded automaton found to end at end.
func (s *Set) verifyCase(id uint32, value []byte, end int, h *Hits) {
	v := s.verify[id*VerifyWords:]
	v = v[:VerifyWords]
	n := int(v[1])
	if n > end || h.Has(s.base+v[2]) {
		return
	}
	if equal(s.text[v[0]:v[0]+v[1]], value[end-n:end], false, s.flags&FlagNulIsSpace != 0) {
		h.Mark(s.base + v[2])
	}
}

// runProgram runs one glob or regex unless its atoms hold already, by an earlier element of the same field, or one of
// the literals it needs was not seen.
func (s *Set) runProgram(p uint32, value []byte, sc *Scratch, h *Hits) {
	r := s.programs[p*ProgramWords:]
	r = r[:ProgramWords]
	atoms := s.lists[r[ProgAtomList] : r[ProgAtomList]+r[ProgAtoms]]
	if len(value) < int(r[ProgLeast]) || len(atoms) == 0 || h.Has(s.base+atoms[0]) {
		return
	}
	data := s.data[r[ProgData]:]
	d := data[:r[ProgDataWords]]
	for _, out := range data[len(d):][:r[ProgFlags]>>ProgNeedsShift] {
		if sc.outputs[out] != sc.epoch {
			return
		}
	}
	var holds bool
	switch r[ProgKind] {
	case ProgGlob:
		holds = s.runGlob(d, value, r[ProgFlags]&ProgFold != 0)
	case ProgDFA:
		holds = runDFA(d, value)
	default:
		holds = sc.lazy.run(d, r[ProgLazy], value, sc)
	}
	if holds {
		for _, atom := range atoms {
			h.Mark(s.base + atom)
		}
	}
}
