package dfa

import "errors"

// Load returns the set over table, whose atom 0 has the global id base. It keeps table and never writes to it. Errors
// name the part of the table that is wrong.
//
// Preconditions: table begins at a multiple of 8 and stays as it is while the set is in use.
func Load(table []byte, base uint32) (*Set, error) {
	switch {
	case !littleEndian():
		return nil, errors.New("dfa: tables are little-endian and this machine is not")
	case len(table) < 4*HeaderWords:
		return nil, errors.New("dfa: table is shorter than its header")
	case len(table) > TableBytesMax:
		return nil, errors.New("dfa: table is larger than 256 MB")
	case !aligned(table):
		return nil, errors.New("dfa: table is not aligned to 8 bytes")
	}
	head := wordsAt(table, 0, HeaderWords)
	switch {
	case head[HeadMagic] != LayoutMagic:
		return nil, errors.New("dfa: no table (bad magic)")
	case head[HeadVersion] != LayoutVersion:
		return nil, errors.New("dfa: table version is not the one this program reads")
	case head[HeadFlags]&^uint32(flagsKnown) != 0:
		return nil, errors.New("dfa: unknown flags")
	case head[HeadBytes] != uint32(len(table)):
		return nil, errors.New("dfa: table size is not what its header says")
	case head[HeadAtoms] > AtomsMax || uint64(base)+uint64(head[HeadAtoms]) > 1<<32-1:
		return nil, errors.New("dfa: too many atoms")
	}
	s := &Set{
		base:    base,
		atoms:   head[HeadAtoms],
		flags:   head[HeadFlags],
		lengths: uint64(head[HeadLengthsHigh])<<32 | uint64(head[HeadLengthsLow]),
		longest: int(head[HeadLongest] & (1<<16 - 1)),
		singles: head[HeadSingles],
	}
	if err := s.view(table, head); err != nil {
		return nil, err
	}
	for _, check := range [...]func() error{
		s.checkExact, s.checkOutputs, s.checkGrams, s.checkPrograms,
		s.autos[AutoPrefix].checkTrie, s.autos[AutoSuffix].checkTrie, s.autos[AutoInner].checkInner,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	for i := range s.autos {
		if err := s.autos[i].check(uint32(len(s.outputs) / OutputWords)); err != nil {
			return nil, err
		}
	}
	s.exactOnly = len(s.programs) == 0 && len(s.literals) == 0
	for i := range s.autos {
		s.exactOnly = s.exactOnly && s.autos[i].classes == nil
	}
	return s, nil
}

// view sets the sections and automata to their places in table.
func (s *Set) view(table []byte, head []uint32) error {
	size := uint64(len(table))
	sections := [Sections]struct {
		to    *[]uint32
		words uint32
	}{
		SectAlways:   {&s.always, 1},
		SectSlots:    {&s.slots, 1},
		SectEntries:  {&s.entries, EntryWords},
		SectOutputs:  {&s.outputs, OutputWords},
		SectActions:  {&s.actions, 1},
		SectVerify:   {&s.verify, VerifyWords},
		SectPrograms: {&s.programs, ProgramWords},
		SectStart:    {&s.starts, 1},
		SectData:     {&s.data, 1},
		SectMasks:    {&s.masks, MaskWords},
		SectGrams:    {&s.grams, 1},
		SectBuckets:  {&s.buckets, 1},
		SectLiterals: {&s.literals, LiteralWords},
		SectLists:    {&s.lists, 1},
	}
	at := HeadAutos + Autos*AutoWords
	for i := range sections {
		offset, count := head[at+2*i], head[at+2*i+1]
		item := uint64(4 * sections[i].words)
		if i == SectText {
			item = 1
		}
		if offset%4 != 0 || uint64(offset)+uint64(count)*item > size {
			return errors.New("dfa: a section lies outside the table")
		}
		if i == SectText {
			s.text = table[offset : offset+count]
			continue
		}
		*sections[i].to = wordsAt(table, offset, count*sections[i].words)
	}
	for i := range s.autos {
		r := head[HeadAutos+i*AutoWords:]
		if r[AutoClassOffset] == 0 {
			continue
		}
		if uint64(r[AutoClassOffset])+256 > size || r[AutoStateOffset]%4 != 0 ||
			uint64(r[AutoStateOffset])+4*uint64(r[AutoStateWords]) > size || r[AutoStateWords] == 0 {
			return errors.New("dfa: an automaton lies outside the table")
		}
		s.autos[i] = automaton{
			states:  wordsAt(table, r[AutoStateOffset], r[AutoStateWords]),
			classes: (*[256]byte)(table[r[AutoClassOffset]:]),
			count:   r[AutoClasses],
			start:   r[AutoStart],
			special: r[AutoSpecial],
			sparse:  r[AutoSparse],
		}
	}
	return nil
}

// within says whether [at, at+n) lies within size.
func within(at, n uint32, size int) bool { return uint64(at)+uint64(n) <= uint64(size) }

func (s *Set) atomsKnown(list []uint32) bool {
	for _, a := range list {
		if a >= s.atoms {
			return false
		}
	}
	return true
}

func (s *Set) checkExact() error {
	if !s.atomsKnown(s.always) || !s.atomsKnown(s.lists) {
		return errors.New("dfa: an atom is out of range")
	}
	n := len(s.slots)
	if n&(n-1) != 0 {
		return errors.New("dfa: the hash table's size is no power of two")
	}
	for _, slot := range s.slots {
		if slot&0xffff > uint32(len(s.entries)/EntryWords) || slot != 0 && slot&0xffff == 0 {
			return errors.New("dfa: a hash slot names no entry")
		}
	}
	for e := s.entries; len(e) > 0; e = e[EntryWords:] {
		if !within(e[0], e[1]&^EntryFold, len(s.text)) || !within(e[2], e[3], len(s.lists)) {
			return errors.New("dfa: an exact entry lies outside the table")
		}
	}
	return nil
}

func (s *Set) checkOutputs() error {
	if len(s.outputs) == 0 {
		for i := range s.autos {
			if s.autos[i].classes != nil {
				return errors.New("dfa: the outputs are missing")
			}
		}
		return nil
	}
	if len(s.outputs)/OutputWords > OutputsMax+1 {
		return errors.New("dfa: too many outputs")
	}
	for v := s.verify; len(v) > 0; v = v[VerifyWords:] {
		if !within(v[0], v[1], len(s.text)) || v[1] > LiteralBytesMax || v[2] >= s.atoms {
			return errors.New("dfa: a case-sensitive literal is out of range")
		}
	}
	for id, o := uint32(0), s.outputs; len(o) > 0; id, o = id+1, o[OutputWords:] {
		plain, compare := o[1], o[2]&^OutputVerify
		if !within(o[0], plain, len(s.actions)) || !within(o[0]+plain, compare, len(s.actions)) {
			return errors.New("dfa: an output's actions lie outside the table")
		}
		if !s.actionsKnown(o[0], plain) {
			return errors.New("dfa: an action is out of range")
		}
		for _, v := range s.actions[o[0]+plain : o[0]+plain+compare] {
			if v >= uint32(len(s.verify)/VerifyWords) {
				return errors.New("dfa: an action is out of range")
			}
		}
		// A chain of outputs goes to shorter literals only, so its ids fall and it ends.
		if o[3] != 0 && o[3] >= id {
			return errors.New("dfa: outputs follow each other in a circle")
		}
	}
	return nil
}

// actionsKnown says whether n plain actions from at on name atoms and programs that are there.
//
// Preconditions: they lie within the table.
func (s *Set) actionsKnown(at, n uint32) bool {
	for _, act := range s.actions[at : at+n] {
		switch operand := act & ActionOperand; {
		case act>>ActionKindBit == ActionMark && operand < s.atoms:
		case act>>ActionKindBit == ActionStart && operand < uint32(len(s.programs)/ProgramWords):
		default:
			return false
		}
	}
	return true
}

func (a *automaton) checkTrie() error {
	if a.classes == nil {
		return nil
	}
	if a.start == 0 || a.special == 0 {
		return errors.New("dfa: a trie starts in its dead state")
	}
	return nil
}

func (a *automaton) checkInner() error {
	if a.classes != nil && a.start != 0 {
		return errors.New("dfa: the automaton does not start at its first row")
	}
	return nil
}

// check establishes the invariants of automaton. A state's depth is its distance from the start: it grows by at most
// one a byte and a failure shrinks it, so all failures of a scan together are no more than its bytes.
func (a *automaton) check(outputs uint32) error {
	if a.classes == nil {
		return nil
	}
	end := uint32(len(a.states))
	row := a.count + RowExtraWords
	if a.count == 0 || a.count > 256 || a.sparse > end || a.sparse%row != 0 || a.special%row != 0 ||
		a.special > a.sparse || a.sparse < row {
		return errors.New("dfa: the bounds of an automaton's states are wrong")
	}
	for _, c := range a.classes {
		if uint32(c) >= a.count {
			return errors.New("dfa: a byte class is out of range")
		}
	}
	// depths holds the depth of the state that begins at a word, and noState elsewhere.
	const noState = 0xffff
	depths := make([]uint16, end)
	for i := range depths {
		depths[i] = noState
	}
	for at := uint32(0); at < a.sparse; at += row {
		depths[at] = uint16(a.states[at+a.count] >> RowDepthShift)
	}
	for at := a.sparse; at < end; {
		head := a.states[at]
		size := uint64(SparseWords(int(head&SparseKeysMask), head&SparseOut != 0))
		if uint64(at)+size > uint64(end) || head>>SparseDepthBits == noState {
			return errors.New("dfa: a sparse state is cut off")
		}
		depths[at] = uint16(head >> SparseDepthBits)
		at += uint32(size)
	}
	goesTo := func(from, to uint32) bool {
		return to < end && depths[to] != noState && uint32(depths[to]) <= uint32(depths[from])+1
	}
	if a.start >= end || depths[a.start] != 0 {
		return errors.New("dfa: an automaton's start is no state of depth 0")
	}
	for at := uint32(0); at < a.sparse; at += row {
		for _, to := range a.states[at : at+a.count] {
			if !goesTo(at, to) {
				return errors.New("dfa: a dense row goes to no state")
			}
		}
		if out := a.states[at+a.count] & OutputsMax; out >= outputs || out != 0 && at < a.special {
			return errors.New("dfa: a dense row's output is out of range")
		}
	}
	for at := a.sparse; at < end; {
		head := a.states[at]
		keys := head & SparseKeysMask
		fail := a.states[at+SparseFail]
		if fail >= at || depths[fail] >= depths[at] {
			return errors.New("dfa: a sparse state does not fail to a shorter one")
		}
		for _, to := range a.states[at+SparseTargets : at+SparseTargets+keys] {
			if !goesTo(at, to) {
				return errors.New("dfa: a sparse state goes to no state")
			}
		}
		if a.sparseOut(at) >= outputs {
			return errors.New("dfa: a sparse state's output is out of range")
		}
		at += uint32(SparseWords(int(keys), head&SparseOut != 0))
	}
	return nil
}
