package build

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/kestrel-detection/kestrel/dfa"
)

// denseShare is the part of the memory asked for that goes to dense rows even if the patterns need all of it and more:
// the states next to the root are where values spend most of their time.
const denseShare = 4

// compiler collects items and lays out the table.
type compiler struct {
	opt    Options
	items  []item
	atoms  [][]uint32 // by item
	index  map[string]int
	report Report

	text     []byte
	texts    map[string]uint32
	lists    []uint32
	verify   []uint32
	programs []uint32
	masks    []uint32
	starts   []uint32
	data     []uint32
	out      outputs
}

func newCompiler(items []item, opt Options) *compiler {
	c := &compiler{
		opt:    opt,
		index:  map[string]int{},
		texts:  map[string]uint32{},
		report: Report{PatternStrategy: make([]string, len(items))},
		out:    outputs{records: make([]uint32, dfa.OutputWords)},
	}
	for i, it := range items {
		c.add(it, uint32(i))
	}
	return c
}

// add gives it the atom.
func (c *compiler) add(it item, atom uint32) {
	name := formNames[it.form]
	if !c.opt.Automata && it.form == formInner {
		name = gramName
	}
	if it.regex != nil && it.regex.lazy {
		name = "lazy DFA"
	}
	c.report.PatternStrategy[atom] = name
	i, known := c.index[it.key]
	if !known {
		i = len(c.items)
		c.index[it.key] = i
		c.items = append(c.items, it)
		c.atoms = append(c.atoms, nil)
	}
	c.atoms[i] = append(c.atoms[i], atom)
}

// intern returns where text begins in the text section.
func (c *compiler) intern(text string) uint32 {
	at, known := c.texts[text]
	if !known {
		at = uint32(len(c.text))
		c.texts[text] = at
		c.text = append(c.text, text...)
	}
	return at
}

func (c *compiler) list(atoms []uint32) uint32 {
	at := uint32(len(c.lists))
	c.lists = append(c.lists, atoms...)
	return at
}

// place says what an automaton is to do when it meets a literal.
type place struct {
	text   string
	marks  []uint32 // atoms
	folds  bool     // the atoms' literal is text in any case
	starts int      // program, if there are no marks
	needed bool     // the program only needs it, and another literal starts it
}

func (c *compiler) table() ([]byte, Report, error) {
	always, places, err := c.programsAndPlaces()
	if err != nil {
		return nil, c.report, err
	}
	slots, entries, lengths, longest, exactFold, err := c.exact()
	if err != nil {
		return nil, c.report, err
	}
	var g *grams
	inner := places[dfa.AutoInner]
	if !c.opt.Automata && len(inner) > 0 {
		if g, err = newGrams(gatherGrams(inner)); err != nil {
			return nil, c.report, err
		}
		places[dfa.AutoInner] = nil
	}
	tries, err := c.tries(places)
	if err != nil {
		return nil, c.report, err
	}
	if g != nil {
		first := uint32(len(c.out.records) / dfa.OutputWords)
		c.resolveNeeds(inner, func(i int) uint32 { return first + g.ids[i] })
		c.report.Literals, c.report.GramBytes = len(g.literals), g.bytes()
	}
	e := emitter{table: make([]byte, 4*dfa.HeaderWords)}
	e.section(dfa.SectAlways, always, 1)
	e.section(dfa.SectSlots, slots, 1)
	e.section(dfa.SectEntries, entries, dfa.EntryWords)
	e.section(dfa.SectOutputs, c.out.records, dfa.OutputWords)
	if g != nil {
		e.section(dfa.SectLiterals, g.words(c), dfa.LiteralWords)
		e.section(dfa.SectGrams, g.filter, 1)
		e.section(dfa.SectBuckets, g.buckets, 1)
		e.put(dfa.HeadSingles, uint32(g.singles))
	}
	e.section(dfa.SectActions, c.out.actions, 1)
	e.section(dfa.SectVerify, c.verify, dfa.VerifyWords)
	e.section(dfa.SectPrograms, c.programs, dfa.ProgramWords)
	e.section(dfa.SectMasks, c.masks, dfa.MaskWords)
	e.section(dfa.SectStart, c.starts, 1)
	e.section(dfa.SectData, c.data, 1)
	e.section(dfa.SectLists, c.lists, 1)
	e.put(dfa.HeadAutos+dfa.Autos*dfa.AutoWords+2*dfa.SectText, uint32(len(e.table)), uint32(len(c.text)))
	e.table = append(e.table, c.text...)
	e.align()

	c.layTries(&e, &tries, places)
	flags := uint32(0)
	if c.opt.NulIsSpace {
		flags |= dfa.FlagNulIsSpace
	}
	if exactFold {
		flags |= dfa.FlagExactFold
	}
	if len(e.table) > dfa.TableBytesMax {
		return nil, c.report, fmt.Errorf("table has %d bytes (max %d)", len(e.table), dfa.TableBytesMax)
	}
	e.put(0, dfa.LayoutMagic, dfa.LayoutVersion, flags, uint32(len(c.report.PatternStrategy)), uint32(len(e.table)),
		uint32(lengths), uint32(lengths>>32), uint32(longest))
	c.describe(len(e.table))
	return e.table, c.report, nil
}

// tries makes the automata.
func (c *compiler) tries(places [dfa.Autos][]place) (tries [dfa.Autos]*trie, err error) {
	for i, list := range places {
		if len(list) == 0 {
			continue
		}
		t, nodes := c.trie(i, list)
		t.order = t.breadthFirst()
		if t.inner {
			t.link(t.order)
		}
		if err := t.output(t.order, &c.out); err != nil {
			return tries, err
		}
		if t.inner {
			c.resolveNeeds(list, func(i int) uint32 { return t.nodes[nodes[i]].out })
		}
		tries[i] = t
	}
	return tries, nil
}

// layTries appends the automata, with as many dense rows as the memory is for.
func (c *compiler) layTries(e *emitter, tries *[dfa.Autos]*trie, places [dfa.Autos][]place) {
	budget := (c.opt.MemoryMax - len(e.table)) / 4
	for _, t := range tries {
		if t != nil {
			budget -= t.sparseWords()
		}
	}
	budget = max(budget, c.opt.MemoryMax/4/denseShare)
	for i, name := range [dfa.Autos]*Automaton{&c.report.Prefix, &c.report.Suffix, &c.report.Inner} {
		t := tries[i]
		if t == nil {
			continue
		}
		words, record := t.layout(t.order, budget)
		budget -= max(0, len(words)-t.sparseWords())
		record[dfa.AutoClassOffset] = uint32(len(e.table))
		e.table = append(e.table, t.classTable()...)
		record[dfa.AutoStateOffset] = uint32(len(e.table))
		e.words(words)
		e.put(dfa.HeadAutos+i*dfa.AutoWords, record...)
		*name = Automaton{
			Literals: len(places[i]), States: len(t.nodes), DenseRows: t.rows, Classes: t.classes,
			Bytes: 256 + 4*len(words),
		}
	}
}

// programsAndPlaces makes the programs of all items that need one, and returns the atoms that always hold and what the
// automata have to look for.
func (c *compiler) programsAndPlaces() (always []uint32, places [dfa.Autos][]place, err error) {
	automaton := map[form]int{formPrefix: dfa.AutoPrefix, formSuffix: dfa.AutoSuffix, formInner: dfa.AutoInner}
	entrances, needs := c.entrances()
	for i, it := range c.items {
		switch it.form {
		case formNever:
			c.report.Never += len(c.atoms[i])
		case formAlways:
			always = append(always, c.atoms[i]...)
			c.report.Always += len(c.atoms[i])
		case formPrefix, formSuffix, formInner:
			a := automaton[it.form]
			folds := it.fold || !hasLetters(it.text)
			places[a] = append(places[a], place{text: it.text, marks: c.atoms[i], folds: folds})
		case formGlob, formRegex:
			p := len(c.programs) / dfa.ProgramWords
			if p >= dfa.ProgramsMax {
				return nil, places, fmt.Errorf("more than %d wildcards and regexes", dfa.ProgramsMax)
			}
			c.program(it, c.atoms[i], len(needs[i]))
			for _, l := range entrances[i] {
				a := automaton[l.where]
				places[a] = append(places[a], place{text: l.text, folds: true, starts: p})
			}
			for _, l := range needs[i] {
				a := automaton[l.where]
				places[a] = append(places[a], place{text: l.text, folds: true, starts: p, needed: true})
			}
			if entrances[i] == nil {
				c.starts = append(c.starts, uint32(p))
			}
		}
	}
	c.report.Unfiltered = len(c.starts)
	return always, places, nil
}

// sharedMax is how many programs may have their only entrance at one end of the value, such as `/home/`, before an
// automaton over all of it that looks for something rarer is the cheaper.
const sharedMax = 8

// entrances returns by item the literals of which one must be seen before its program runs, and those of which all
// must be. The latter cost little where an automaton reads all of the value anyway, and are left out elsewhere.
func (c *compiler) entrances() (entrances, needs [][]literal) {
	anchored := true
	for _, it := range c.items {
		anchored = anchored && it.form != formInner
	}
	longest := dfa.LiteralBytesMax
	if !c.opt.Automata {
		longest = gramTextMax / sharedMax
	}
	usable := func(text string) bool {
		return len(text) <= longest && !(c.opt.NulIsSpace && strings.IndexByte(text, 0) >= 0)
	}
	for {
		entrances, needs = make([][]literal, len(c.items)), make([][]literal, len(c.items))
		shared := map[literal]int{}
		most := 0
		for i, it := range c.items {
			if it.form != formGlob && it.form != formRegex {
				continue
			}
			entrances[i] = required(it.tree, anchored, usable)
			for _, l := range entrances[i] {
				shared[l]++
				most = max(most, shared[l])
			}
			if !anchored && entrances[i] != nil {
				needs[i] = needed(it.tree, entrances[i], usable)
			}
		}
		if most <= sharedMax || !anchored {
			return entrances, needs
		}
		anchored = false
	}
}

// resolveNeeds fills in the output ids behind the programs' data, in the order the places were made.
func (c *compiler) resolveNeeds(places []place, idOf func(int) uint32) {
	filled := map[int]uint32{}
	for i, p := range places {
		if !p.needed {
			continue
		}
		r := c.programs[p.starts*dfa.ProgramWords:]
		c.data[r[dfa.ProgData]+r[dfa.ProgDataWords]+filled[p.starts]] = idOf(i)
		filled[p.starts]++
	}
}

func (c *compiler) program(it item, atoms []uint32, needs int) {
	r := make([]uint32, dfa.ProgramWords)
	r[dfa.ProgAtomList], r[dfa.ProgAtoms] = c.list(atoms), uint32(len(atoms))
	r[dfa.ProgLeast] = uint32(lengthLeast(it.tree))
	var words []uint32
	switch {
	case it.form == formGlob:
		c.report.Globs++
		r[dfa.ProgKind] = dfa.ProgGlob
		if it.fold {
			r[dfa.ProgFlags] = dfa.ProgFold
		}
		words = c.globWords(it)
	case it.regex.lazy:
		r[dfa.ProgKind] = dfa.ProgNFA
		r[dfa.ProgLazy] = uint32(c.report.Lazy)
		c.report.Lazy++
		words = it.regex.words
	default:
		c.report.DFAs++
		r[dfa.ProgKind] = dfa.ProgDFA
		words = it.regex.words
	}
	r[dfa.ProgFlags] |= uint32(needs) << dfa.ProgNeedsShift
	r[dfa.ProgData], r[dfa.ProgDataWords] = uint32(len(c.data)), uint32(len(words))
	c.data = append(append(c.data, words...), make([]uint32, needs)...)
	c.programs = append(c.programs, r...)
	mask := presence(it.tree)
	c.masks = append(c.masks, uint32(mask), uint32(mask>>32))
}

// exact returns the hash table.
func (c *compiler) exact() (slots, entries []uint32, lengths uint64, longest int, fold bool, err error) {
	count, before := 0, len(c.text)
	for _, it := range c.items {
		if it.form == formExact {
			count++
			fold = fold || it.fold
		}
	}
	if count > dfa.EntriesMax {
		return nil, nil, 0, 0, false, fmt.Errorf("%d exact texts (max %d)", count, dfa.EntriesMax)
	}
	if count == 0 {
		return nil, nil, 0, 0, false, nil
	}
	// At most half full, so that most values that are not in it meet an empty slot at once.
	size := 1
	for size < 2*count {
		size *= 2
	}
	slots = make([]uint32, size)
	for i, it := range c.items {
		if it.form != formExact {
			continue
		}
		length := uint32(len(it.text))
		if it.fold {
			length |= dfa.EntryFold
		}
		entries = append(entries, c.intern(it.text), length, c.list(c.atoms[i]), uint32(len(c.atoms[i])))
		key := dfa.Hash([]byte(it.text), fold, false)
		at := uint32(key) & uint32(size-1)
		for slots[at] != 0 {
			at = (at + 1) & uint32(size-1)
		}
		slots[at] = uint32(key>>48)<<16 | uint32(len(entries)/dfa.EntryWords)
		lengths |= 1 << (len(it.text) % 64)
		longest = max(longest, len(it.text))
	}
	c.report.ExactEntries = count
	c.report.ExactBytes = 4*(len(slots)+len(entries)) + len(c.text) - before
	return slots, entries, lengths, longest, fold, nil
}

// trie builds one automaton. It folds if any literal needs it; case-sensitive ones are then compared when met.
// It returns the node of each place too.
func (c *compiler) trie(which int, places []place) (*trie, []int) {
	folds := false
	for _, p := range places {
		folds = folds || p.folds && hasLetters(p.text)
	}
	texts := make([]string, len(places))
	for i, p := range places {
		b := []byte(p.text)
		for k := range b {
			if folds {
				b[k] = lower(b[k])
			}
		}
		if which == dfa.AutoSuffix {
			for k := range len(b) / 2 {
				b[k], b[len(b)-1-k] = b[len(b)-1-k], b[k]
			}
		}
		texts[i] = string(b)
	}
	t := newTrie(texts, folds, which == dfa.AutoInner, c.opt.NulIsSpace)
	nodes := make([]int, len(places))
	for i, p := range places {
		nodes[i] = t.insert(texts[i])
		n := &t.nodes[nodes[i]]
		switch {
		case p.needed:
			n.needed = true
		case p.marks == nil:
			n.plain = append(n.plain, dfa.ActionStart<<dfa.ActionKindBit|uint32(p.starts))
		case p.folds || !folds:
			n.plain = append(n.plain, p.marks...)
		default:
			for _, atom := range p.marks {
				n.verify = append(n.verify, uint32(len(c.verify)/dfa.VerifyWords))
				c.verify = append(c.verify, c.intern(p.text), uint32(len(p.text)), atom)
				c.report.LiteralsChecked++
			}
		}
	}
	return t, nodes
}

// emitter appends the parts of a table.
type emitter struct{ table []byte }

func (e *emitter) align() {
	for len(e.table)%8 != 0 {
		e.table = append(e.table, 0)
	}
}

func (e *emitter) words(words []uint32) {
	for _, w := range words {
		e.table = binary.LittleEndian.AppendUint32(e.table, w)
	}
	e.align()
}

func (e *emitter) put(at int, words ...uint32) {
	for i, w := range words {
		binary.LittleEndian.PutUint32(e.table[4*(at+i):], w)
	}
}

func (e *emitter) section(which int, words []uint32, item int) {
	e.put(dfa.HeadAutos+dfa.Autos*dfa.AutoWords+2*which, uint32(len(e.table)), uint32(len(words)/item))
	e.words(words)
}
