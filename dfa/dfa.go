// Package dfa is the string automaton of one event field. All string tests of all rules on one field are atoms; one
// pass over the field's bytes yields the set of atoms that hold.
//
// A Set is a read-only view over a table that dfa/build compiled on a host and that lies, mapped, in the rule image:
// the set copies none of it, so the mapping must outlive the set. Load checks everything a scan relies on, whatever
// the bytes, and after that a scan can neither leave the table nor run without end. A Set may be shared by all
// goroutines; a Scratch and a Hits belong to one each. Nothing grows after NewScratch and NewHits: when the lazy DFA's
// cache is full it is emptied, and a value that keeps filling it is left to the NFA; both are counted in the Scratch.
//
// Each part sees the value once, and only the parts that the patterns need are there:
//
//	value ─┬▶ exact hash table         whole-value tests
//	       ├▶ prefix trie              `lit*`, stops at the first byte no literal goes on with
//	       ├▶ suffix trie              `*lit`, the same from the end
//	       ├▶ gram filter              `*lit*`: a literal is compared where its rarest three bytes are;
//	       ├▶ Aho-Corasick automaton   `*lit*` where literals are too much alike for that
//	       └▶ programs                 other wildcards and regexes, each only when its rarest required literal was
//	                                   seen by one of the parts above
//
// Case is folded for the 26 ASCII letters only, as Elastic's case-insensitive operators do; all bytes of other letters
// compare as they are. A byte that is not part of valid UTF-8 counts as one code point that no literal equals.
package dfa

// Set is the automaton of one field.
type Set struct {
	base  uint32 // global id of atom 0
	atoms uint32
	flags uint32

	always       []uint32
	longest      int    // longest exact text
	lengths      uint64 // bit n is set if an exact text has a length that is n modulo 64
	slots        []uint32
	entries      []uint32
	outputs      []uint32
	actions      []uint32
	verify       []uint32
	programs     []uint32
	starts       []uint32
	masks        []uint32
	grams        []uint32 // nil: the literals are in the automata
	buckets      []uint32
	literals     []uint32
	firstLiteral uint32 // place of literal 0 in Scratch.outputs, behind the outputs
	singles      uint32 // literals of one byte, the first ones
	pairs        uint64 // bits of the literals of two bytes, see pairBit
	gramShift    uint32 // 32 less the bits that number the filter's
	bucketBits   uint32
	data         []uint32
	lists        []uint32
	text         []byte
	autos        [Autos]automaton
	exactOnly    bool

	lazies      int // regexes for the lazy DFA, and the largest numbers among them of
	lazyStates  int // NFA states
	lazyClasses int // character classes
}

// Atoms returns how many atoms the set has; they are base to base+Atoms()-1.
func (s *Set) Atoms() int { return int(s.atoms) }
