// Package expr evaluates computed values on the device: arithmetic, functions of texts, comparisons of values with each
// other and with those of earlier events. What an automaton or a sorted table can test never gets here.
//
// A Set is a read-only view over a table of programs that expr/build compiled on a host and that lies, mapped, in the
// rule image: the set copies none of it, so the mapping must outlive the set. A program is code for a stack machine.
// Load proves of each, whatever the bytes, how deep its stack gets, that every operand exists and that it only jumps
// forward, so that Eval checks nothing, cannot fail and cannot run without end.
//
//	program   ┌ variables ──▶ read once: fields of the event and of earlier events, sorted by event and field
//	          └ code      ──▶ pushes variables and constants, applies operations, leaves one truth value
//
//	code      a, b, op            values are pushed, an operation takes them and pushes its result
//	          a, jump if false    short circuits of and and or, forward, the stack stays as it is
//	          any, body...        the body once for each combination of the elements of one or two arrays
//
// A Set may be shared by all goroutines; a Scratch belongs to one. Nothing is allocated after NewScratch. Texts that
// are made (not parts of others, which are borrowed) lie in the scratch's buffer: one that does not fit is null, and
// of more than limits.CombosMax combinations of elements the rest is left out; both are counted in Scratch.Cut.
//
// Floating point numbers are allowed here and nowhere else on the path: each operation is rounded by itself as IEEE 754
// says, and none is fused with another, so that amd64 and arm64 agree. Only numbers that are written with a point, or
// divided by one, are floats.
package expr

import (
	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/limits"
)

// Truth is a value of three-valued logic.
type Truth uint8

// The truth values.
const (
	Null Truth = iota
	False
	True
)

// Lineage is what has been noted of the event's process and of those it descends from: a bit for each mark of the
// image.
type Lineage struct {
	Own       uint64 // of the event's process
	Parent    uint64 // of its parent
	Ancestors uint64 // of all it descends from, the parent included
}

// Context is what a program reads. It is borrowed for the time of one Eval.
//
// Preconditions: Event and its record are set; a Stages entry is one that alert.AppendEvidence wrote.
type Context struct {
	Event   *event.Event
	Stages  [limits.StagesMax]alert.Evidence // what earlier stages took, by stage; of one that is nil every field is null
	Lineage Lineage
}

// Set is the programs of an image.
type Set struct {
	programs []Program
	code     []Instr
	vars     []Var
	numbers  []int64
	nets     []Net
	texts    []Span
	sets     []Span
	patterns []Pattern
	matchers []Matcher
	text     []byte
	automata []*dfa.Set
	marks    int

	// What a scratch needs: the most of all programs and automata.
	depth, width, temps, atoms int

	ascending []bool // by set, while loading: sorted numbers
}

// Programs is the number of programs.
func (s *Set) Programs() int { return len(s.programs) }

// Later tells whether a program reads events of earlier stages or the lineage, so that only who knows them may evaluate
// it.
//
// Preconditions: program < Programs().
func (s *Set) Later(program uint32) bool { return s.programs[program].Flags&ProgramLater != 0 }

// Marks is one more than the highest mark that a program tests, 0 when none does.
func (s *Set) Marks() int { return s.marks }

// Limits of a program and of its scratch.
const (
	// CodeMax bounds the instructions of a program: with limits.CombosMax it bounds the work of one Eval to about a
	// million steps. Conditions of public rules have fewer than 100.
	CodeMax = 4096
	// StackMax bounds the values on the stack: a concat of more than a hundred parts, or as many parentheses.
	StackMax = 128
	// VarsMax bounds the fields that a program reads, of all events together: twice what the schema has for one event.
	VarsMax = 128
	// TempsMax bounds the conditions inside computed values over arrays.
	TempsMax = 64
	// TextBytesMax is the buffer for texts that are made: the longest command line, which is copied when its arguments
	// are to be read as one text, and as much again for what is made of it.
	TextBytesMax = 2 * event.RecordSizeMax
	// textNumberMax holds the longest written number or address: an IPv6 address has 45 characters.
	textNumberMax = 48
)

// A variable is named in a byte of an instruction.
const _ = uint(noVar - VarsMax)

// Scratch is what one goroutine needs for evaluating programs of a set.
type Scratch struct {
	Cut uint64 // texts and combinations of elements that did not fit, since NewScratch

	stack    []value
	vars     []value
	temps    []value
	elements [2]value // of the arrays that are gone through
	buf      []byte   // TextBytesMax long
	used     int      // of buf
	hits     *dfa.Hits
	automata []*dfa.Scratch
}

// NewScratch allocates a scratch for the set. Without programs it is all but empty.
func (s *Set) NewScratch() *Scratch {
	if len(s.programs) == 0 {
		return &Scratch{}
	}
	sc := &Scratch{
		stack: make([]value, s.depth), vars: make([]value, s.width), temps: make([]value, s.temps),
		buf: make([]byte, TextBytesMax), hits: dfa.NewHits(s.atoms),
	}
	for _, a := range s.automata {
		sc.automata = append(sc.automata, a.NewScratch())
	}
	return sc
}

// ScratchBytes is the memory of one Scratch.
func (s *Set) ScratchBytes() int {
	const valueBytes, pointerBytes, selfBytes, hitBytes = 40, 8, 256, 8
	if len(s.programs) == 0 {
		return selfBytes
	}
	n := selfBytes + (s.depth+s.width+s.temps)*valueBytes + TextBytesMax + s.atoms*hitBytes
	for _, a := range s.automata {
		n += a.ScratchBytes() + pointerBytes
	}
	return n
}

// room takes n bytes of the buffer, nil when there are no more so many.
func (sc *Scratch) room(n int) []byte {
	if n > len(sc.buf)-sc.used {
		sc.Cut++
		return nil
	}
	b := sc.buf[sc.used : sc.used+n : sc.used+n]
	sc.used += n
	return b
}
