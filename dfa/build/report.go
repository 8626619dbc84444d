package build

import "strings"

// Report says what Build made of the patterns.
type Report struct {
	Strategy        string   // the parts a value passes: "exact hash", "AC-DFA", "hybrid (exact hash, prefix trie)" ...
	PatternStrategy []string // by atom: what decides it
	Bytes           int      // of the table

	Always, Never   int // patterns that hold for every value, or none
	ExactEntries    int // different exact texts
	ExactBytes      int // of the hash table, its entries and texts
	Literals        int // found by their grams
	GramBytes       int // of the filter and what is behind it
	Prefix          Automaton
	Suffix          Automaton
	Inner           Automaton
	Globs           int // different wildcard programs
	DFAs            int // regexes determinised here
	Lazy            int // regexes left to the lazy DFA
	Unfiltered      int // programs without a required literal, run for every value
	ProgramBytes    int
	LiteralsChecked int // case-sensitive literals compared again when seen, since the automaton folds
}

// Automaton describes one automaton; all is zero if the table has none.
type Automaton struct {
	Literals  int
	States    int
	DenseRows int
	Classes   int
	Bytes     int
}

// describe fills in what the report says of the whole.
func (c *compiler) describe(bytes int) {
	r := &c.report
	r.Bytes = bytes
	r.ProgramBytes = 4 * (len(c.programs) + len(c.data))
	var parts []string
	part := func(n int, name string) {
		if n > 0 {
			parts = append(parts, name)
		}
	}
	part(r.ExactEntries, "exact hash")
	part(r.Prefix.States, "prefix trie")
	part(r.Suffix.States, "suffix trie")
	part(r.Literals, gramName)
	part(r.Inner.States, "AC-DFA")
	part(r.Globs, "glob")
	part(r.DFAs, "DFA")
	part(r.Lazy, "lazy DFA")
	switch len(parts) {
	case 0:
		r.Strategy = "constant"
	case 1:
		r.Strategy = parts[0]
	default:
		r.Strategy = "hybrid (" + strings.Join(parts, ", ") + ")"
	}
}
