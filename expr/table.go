package expr

// The table of one set, as expr/build writes it and Load proves it. All numbers are little-endian, so that a
// little-endian machine reads the mapped file in place. An empty table is a set without programs.
//
//	header    16 words: magic, version, bytes, then the counts of the sections in their order, zeros
//	numbers   i64 each: integers, and the bits of floats
//	nets      Net
//	code      Instr
//	programs  Program
//	vars      Var
//	texts     Span of text
//	sets      Span of numbers or of nets
//	patterns  Pattern
//	matchers  Matcher
//	automata  Span of the bytes behind text
//	text      bytes, padded with zeros to a multiple of 8
//	          the tables of the automata (package dfa), each a multiple of 8
const (
	LayoutMagic   = 0x5058454b // "KEXP"
	LayoutVersion = 1

	HeaderWords = 16
	tableAlign  = 8
)

// Header words.
const (
	HeadMagic = iota
	HeadVersion
	HeadBytes
	HeadNumbers
	HeadNets
	HeadCode
	HeadPrograms
	HeadVars
	HeadTexts
	HeadSets
	HeadPatterns
	HeadMatchers
	HeadAutomata
	HeadText // bytes
	headEnd
)

// Program is one condition. Programs lie in the order of their code and of their variables, and share none of it.
type Program struct {
	Code  uint32
	Vars  uint32
	Len   uint16
	Flags uint16
	NVars uint16
	Temps uint16
}

// ProgramLater in a program's flags says that it reads earlier events or the lineage.
const ProgramLater = 1

// Var is a field that a program reads: of the event itself (Stage -1) or of the event that a stage took. The variables
// of a program are in the order of their stages, fields and ways of reading, each once.
type Var struct {
	Field uint16
	Stage int8
	Read  Read
}

// Read is what a variable holds of its field.
type Read uint8

// The ways of reading.
const (
	ReadValue   Read = iota // as ir.Value says: a number, truth value or text
	ReadNumber              // the number that the record holds, whatever it stands for
	ReadText                // the value as it is written
	ReadPresent             // whether it is there
	ReadRaw                 // the bytes of an address
	ReadArray               // all elements; an instruction cannot push it
	reads
)

// Op is what an instruction does.
type Op uint8

// The operations. Each pushes one value unless it says otherwise.
const (
	OpTruth     Op = iota // Arg: Truth
	OpVar                 // Operand: variable of the program
	OpElement             // Arg: the current element of the first or second array
	OpTemp                // Operand: temporary
	OpInt                 // Operand: number
	OpFloat               // Operand: number
	OpText                // Operand: text
	OpFn                  // Arg: Fn, Aux: how many values it takes, Operand: FnFold or 0
	OpMatch               // Operand: matcher; takes a text
	OpNet                 // Operand: set of nets, Arg: 1 for the bytes of an address; takes a text
	OpIn                  // Operand: set of numbers; takes a number
	OpNot                 // takes a truth value
	OpIsTrue              // takes a truth value
	OpIsNull              // takes a value
	OpAsTruth             // takes a value: one that is no truth value is null
	OpAnd                 // takes two truth values
	OpOr                  // takes two truth values
	OpLineage             // Operand: mark, Arg: Relation
	OpStore               // Operand: temporary; takes a value and pushes none
	OpJumpFalse           // Operand: instruction of the program; takes and pushes none
	OpJumpTrue            // Operand: instruction of the program; takes and pushes none
	OpAny                 // Operand: end of the body that follows, Aux: its arrays, Arg: Any or AllNull
	opsEnd
)

// What OpAny makes of the values of its body.
const (
	Any     = iota // True if one is, else False if one is
	AllNull        // True if all are null, else False
	anysEnd
)

// FnFold in the operand of OpFn: letters' case does not count.
const FnFold = 1

// noVar stands in Aux of OpAny for an array that is not there. The first stands in the low byte, the second above.
const noVar = 0xff

// Arrays packs the arrays that OpAny goes through; of one, b is negative.
func Arrays(a, b int) uint16 {
	if b < 0 {
		b = noVar
	}
	return uint16(a) | uint16(b)<<8
}

// The relations of OpLineage, in the order of package ir.
const (
	EventOf = iota
	ChildOf
	DescendantOf
	relationsEnd
)

// Fn is an operation on values, in the order of package ir, whose documentation says what each does.
type Fn uint8

// The operations on values.
const (
	FnAdd Fn = iota
	FnSub
	FnMul
	FnDiv
	FnMod
	FnNeg
	FnBetween
	FnConcat
	FnEndsWith
	FnIndexOf
	FnLength
	FnNumber
	FnStartsWith
	FnString
	FnStringContains
	FnSubstring
	FnEq
	FnNe
	FnLt
	FnLe
	FnGt
	FnGe
	Fns
)

// Arity is how many values an operation takes, at least and at most.
func (f Fn) Arity() (least, most int) { return int(arities[f][0]), int(arities[f][1]) }

var arities = [Fns][2]uint8{
	FnAdd: {2, 2}, FnSub: {2, 2}, FnMul: {2, 2}, FnDiv: {2, 2}, FnMod: {2, 2}, FnNeg: {1, 1}, FnBetween: {3, 4},
	FnConcat: {1, StackMax}, FnEndsWith: {2, 2}, FnIndexOf: {2, 3}, FnLength: {1, 1}, FnNumber: {1, 2},
	FnStartsWith: {2, 2}, FnString: {1, 1}, FnStringContains: {2, 2}, FnSubstring: {1, 3}, FnEq: {2, 2}, FnNe: {2, 2},
	FnLt: {2, 2}, FnLe: {2, 2}, FnGt: {2, 2}, FnGe: {2, 2},
}

// Instr is one instruction.
type Instr struct {
	Op      Op
	Arg     uint8
	Aux     uint16
	Operand uint32
}

// Span is a part of a section.
type Span struct{ Start, Len uint32 }

// Net is an address prefix: the first Bits bits of an address of 128. An IPv4 address is mapped into IPv6, and is in no
// prefix of IPv6.
type Net struct {
	Hi, Lo uint64
	Bits   uint32
	V4     uint32 // 1: of IPv4
}

// Pattern kinds: how a pattern's text is compared. Others are left to automata.
const (
	PatternExact = iota
	PatternPrefix
	PatternSuffix
	PatternContains
	patternsEnd
)

// Pattern is one string test by direct comparison.
type Pattern struct {
	Kind uint16
	Fold uint16 // 1: letters' case does not count, which PatternContains cannot have
	Text uint32
}

// Matcher is a test of a text: true when a pattern or an atom of its automaton holds.
type Matcher struct {
	Patterns  uint32
	NPatterns uint32
	Automaton uint32 // plus one; 0: none
}
