package dfa

// The table of one set, as dfa/build writes it and Load checks it. All numbers are little-endian 32-bit words, so a
// little-endian machine reads the mapped file in place.
//
//	header     magic, version, flags, atoms, table bytes, length mask (2 words), longest exact text,
//	           3 automaton records, one (byte offset, item count) pair a section, then grams, singles and unused words
//	always     atom ...                               atoms that hold for every value
//	slots      fingerprint<<16 | entry+1 ...          open-addressed hash table, 0 is empty
//	entries    text, length|fold, atom list, atoms    exact texts
//	outputs    actions, plain, verify|flag, next      what a literal state reports, by output id; id 0 is none
//	actions    kind<<30 | operand ...                 mark an atom, start a program, compare case first
//	verify     text, length, atom                     case-sensitive literals found by a folded automaton
//	programs   kind, flags, atom list, atoms, data, words, least bytes, lazy index
//	start      program ...                            programs without a required literal: run for every value
//	data       what a program runs (globs: segments; regexes: alphabet and automaton)
//	masks      2 words ...                            byte classes that a value must have, by program
//	grams      bits, two to the power of n            which grams a literal is known by, hashed
//	buckets    literal ...                            by hashed gram, where its literals begin; then their end
//	literals   gram, shape, text, actions, actions    by id: those of one byte, then by bucket
//	lists      atom ...                               atom lists of entries and programs
//	text       bytes
//	states     one array of words an automaton (see automaton)
const (
	LayoutMagic   = 0x4146444b // "KDFA"
	LayoutVersion = 2

	HeaderWords = 8 + 3*AutoWords + 2*Sections + 2
	AutoWords   = 8
)

// Header words.
const (
	HeadMagic = iota
	HeadVersion
	HeadFlags
	HeadAtoms
	HeadBytes
	HeadLengthsLow
	HeadLengthsHigh
	HeadLongest
	HeadAutos
)

// HeadSingles is the header word with the number of literals of one byte, behind the sections.
const HeadSingles = HeadAutos + Autos*AutoWords + 2*Sections

// Header flags.
const (
	FlagNulIsSpace = 1 << iota // byte 0 of a value reads as ' '
	FlagExactFold              // the exact table is keyed by folded bytes
	flagsKnown     = FlagNulIsSpace | FlagExactFold
)

// Words of an automaton record in the header.
const (
	AutoClassOffset = iota // byte offset of the 256-byte class table, 0 when the automaton is absent
	AutoClasses            // number of byte classes
	AutoStateOffset        // byte offset of the state words
	AutoStateWords         // number of state words
	AutoStart              // start state
	AutoSpecial            // first state that has outputs or is sparse
	AutoSparse             // first sparse state; every state below it is a dense row
	AutoReserved           // 0
)

// The automata of a set.
const (
	AutoPrefix = iota // trie from the first byte on
	AutoSuffix        // trie from the last byte backwards
	AutoInner         // Aho-Corasick automaton, anywhere
	Autos
)

// Sections, in table order.
const (
	SectAlways = iota
	SectSlots
	SectEntries
	SectOutputs
	SectActions
	SectVerify
	SectPrograms
	SectStart
	SectData
	SectMasks
	SectGrams
	SectBuckets
	SectLiterals
	SectLists
	SectText // counts bytes
	Sections
)

// Words of one item of a section.
const (
	EntryWords   = 4
	OutputWords  = 4
	VerifyWords  = 3
	ProgramWords = 8
	MaskWords    = 2
	LiteralWords = 5
)

// Words of a literal. The gram is the word of Gram that finds it, or its only byte. The shape is, from the lowest bit
// on, 12 bits of its length, 12 bits of where in it the gram begins, and LitFold when its text is folded.
const (
	LitGram = iota
	LitShape
	LitText
	LitActions
	LitCount
)

// Parts of a literal's shape.
const (
	LitBytesMask   = 1<<LitOffsetShift - 1
	LitOffsetShift = 12
	LitFold        = 1 << 31
)

// EntryFold in an entry's length word says that its text is folded.
const EntryFold = 1 << 31

// OutputVerify in an output's verify word says that it or an output it leads to compares case.
const OutputVerify = 1 << 31

// Action kinds, in the two top bits of an action.
const (
	ActionMark    = 0 // operand: atom
	ActionStart   = 1 // operand: program
	ActionKindBit = 30
	ActionOperand = 1<<ActionKindBit - 1
)

// Words of a program record.
const (
	ProgKind = iota
	ProgFlags
	ProgAtomList
	ProgAtoms
	ProgData
	ProgDataWords
	ProgLeast
	ProgLazy
)

// Program kinds.
const (
	ProgGlob = iota // prefix, literals in order, suffix
	ProgDFA         // regex determinised on the host
	ProgNFA         // regex run by the lazy DFA and, when that gives up, by the NFA
	progKinds
)

// ProgFold in a program's flags says that a glob's segments are folded. From ProgNeedsShift on stands how many output
// ids follow the program's data: literals besides the one that started it that a value must also hold.
const (
	ProgFold       = 1
	ProgNeedsShift = 8
)

// A glob's data: segment count, then (text, length, border words) a segment. One segment means that it is the whole
// value; otherwise the first is anchored at the start, the last at the end, and those between, which hold no AnyMark,
// follow each other in order. The border word is the index in the data of the segment's border table (see index), two
// 16-bit entries a word; 0 in the anchored segments.
const (
	GlobSegmentWords = 3
	AnyMark          = 0xff // stands for `?` in a segment: no byte of valid UTF-8
)

// A regex's data begins with its alphabet: class count, range count, 128 bytes of ASCII classes, then the first code
// point and the class of each range from 0x80 on. DFA: start, first accepting state, the state that accepts
// everything after it (or 0), entry count, then the rows, two 16-bit entries a word, states premultiplied by the
// class count, state 0 dead. NFA: state count, edge count, first edge of each state and the end, accepting bits, edges.
const (
	AlphaClasses    = 0
	AlphaRanges     = 1
	AlphaASCII      = 2
	AlphaRangeStart = AlphaASCII + 128/4
	RegexHeadWords  = 4
	InvalidRune     = 0x110000 // the symbol of a byte that is not part of valid UTF-8
)

// Limits of a table.
const (
	// AtomsMax keeps an atom inside an action's operand with room to spare; all public Linux rules need 6,000.
	AtomsMax = 1 << 20
	// LiteralBytesMax bounds a pattern: it is the depth of the deepest state, kept in 12 bits. PATH_MAX is 4096.
	LiteralBytesMax = 1<<12 - 1
	// EntriesMax is what the 16-bit entry index of a hash slot can name.
	EntriesMax = 1<<16 - 2
	// OutputsMax is what the output field of a dense row's last word can name.
	OutputsMax = 1<<20 - 1
	// ProgramsMax keeps a program in a 16-bit queue entry.
	ProgramsMax = 1<<16 - 1
	// LiteralsMax is that of the automata.
	LiteralsMax = OutputsMax
	// GramBitsMin and GramBitsMax bound the filter: 128 bytes, below which nothing is gained, to 128 KB, what is left of
	// a second-level cache of 256 KB being the values'.
	GramBitsMin = 10
	GramBitsMax = 20
	// SparseKeysMax bounds the linear search in a sparse state; wider states become dense rows.
	SparseKeysMax = 64
	// NFAStatesMax keeps the bit of work for one byte of the value small and a state in 16 bits.
	NFAStatesMax = 1 << 12
	// NFAEdgesMax bounds the work the NFA does for one code point.
	NFAEdgesMax = 1 << 15
	// RegexClassesMax is what the class field of an edge can name.
	RegexClassesMax = 256
	// TableBytesMax keeps every word index and byte offset far from overflow; the largest field of the public Linux
	// rules needs 0.5 MB.
	TableBytesMax = 1 << 28
)

// A dense row is one word a class, the next state, then a word with the state's output id below its depth.
//
// A sparse state is a head word, the state to fail to, one word a key with the next state, the keys (classes) of more
// than one key packed four a word, and the output id if there is one.
const (
	RowExtraWords   = 1
	RowDepthShift   = 20
	SparseKeysMask  = 0x7f
	SparseOut       = 0x80
	SparseKeyShift  = 8 // the first key
	SparseDepthBits = 16
	SparseFail      = 1
	SparseTargets   = 2
)

// SparseWords is the size of a sparse state.
func SparseWords(keys int, out bool) int {
	n := SparseTargets + keys
	if keys > 1 {
		n += (keys + 3) / 4
	}
	if out {
		n++
	}
	return n
}
