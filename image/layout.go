// Package image is the compiled rule set as the device holds it: the format, and the loader that validates it.
//
// A rule image (.kri) is one CBOR array in deterministic encoding:
//
//	[ "kestrel-rules", format, schema, name, version, [ [section, pad, content], ... ] ]
//
// Every section's content is a byte string that begins at a multiple of 8 in the file; pad is a byte string of zeros
// that makes it so. The content is a table of fixed-width little-endian entries, used where it lies: a mapped image costs
// clean file pages only. The loader checks every length, index, jump and order before the first use, so that the engine
// needs no checks and a damaged file cannot make it fail.
//
// Memory: an Image borrows the file's bytes and must not outlive them. It is read-only and may be shared by goroutines.
package image

import "github.com/kestrel-detection/kestrel/event"

// Magic is the first item of an image, FormatVersion the second.
const (
	Magic         = "kestrel-rules"
	FormatVersion = 2
	align         = 8
)

// The sections, all present, in this order. A field's automaton follows as secAutomata, secAutomata+1, ...
const (
	secStrings   = iota // text of names and constants
	secFields           // FieldSet
	secAtomTests        // u32: where the tests of an atom begin in secTestList, one more than there are atoms
	secTestList         // u32: test ids
	secTests            // Test
	secTestPreds        // u32: predicate ids
	secPreds            // Predicate
	secCode             // Instr
	secInts             // i64
	secRanges           // Range
	secSets             // Span: sets of secInts and of secRanges
	secConsts           // Span: constants in secStrings
	secExprs            // package expr: programs for computed values
	secRefs             // Ref
	secRules            // Rule
	secStages           // Stage
	secKeys             // Key
	secAlways           // u32: per category where its list begins, one more than there are categories, then predicate ids
	secEager            // u32: the same, then indexes of secFields
	secAutomata         // dfa tables
)

var sectionNames = [secAutomata]string{"strings", "fields", "atom tests", "test list", "tests", "test predicates",
	"predicates", "code", "integers", "address ranges", "sets", "constants", "expressions", "references", "rules", "stages", "keys",
	"always", "eager"}

// FieldSet ties a field to its automaton.
type FieldSet struct {
	Field uint16
	_     uint16
	Base  uint32 // global id of its first atom
	Atoms uint32
	Table uint32 // its section, counted from secAutomata
}

// Test is an atom of rules: true when one of its patterns holds for the field.
type Test struct {
	Field  uint16 // event.FieldID
	Set    uint16 // index of the FieldSet
	Preds  uint32 // candidates: span of secTestPreds
	NPreds uint32
}

// Predicate is the condition of one or more stages.
type Predicate struct {
	Code     uint32 // first instruction
	Len      uint16 // instructions
	Category uint8  // event.Category
	_        uint8
	Refs     uint32 // who uses it: span of secRefs
	NRefs    uint32
}

// Op is what an instruction tests.
type Op uint8

// The operations. Each has a value only when its field does.
const (
	OpTest     Op = iota // Operand: test
	OpInt                // Operand: index of secInts, Flags: comparison
	OpIntIn              // Operand: set of secInts
	OpIPIn               // Operand: set of secRanges
	OpPresent            // the field is there
	OpOrder              // Operand: constant, Flags: comparison
	OpFieldInt           // Operand: other field, Flags: comparison
	OpFieldStr           // Operand: other field, Flags: FlagFold
	OpExpr               // Operand: program of secExprs, true or, negated, false; Field: event.FieldEventType
	opsEnd
)

// Flags of an instruction: the comparison in the low three bits, in the order of the ir package.
const (
	FlagCmp  = 0x07
	FlagFold = 0x40
	FlagNot  = 0x80 // true when the field is there and the test is false
)

// The comparisons in an instruction's flags.
const (
	CmpEq = iota
	CmpNe
	CmpLt
	CmpLe
	CmpGt
	CmpGe
	cmpsEnd
)

// Targets of a jump that end a predicate. Others are instructions further on, counted from the predicate's first.
const (
	Accept = 0xffff
	Reject = 0xfffe
)

// Instr is one test and where to go on: a predicate is a chain of them with forward jumps only.
type Instr struct {
	Op      Op
	Flags   uint8
	Field   uint16
	Operand uint32
	True    uint16
	False   uint16
}

// Span is a part of a table.
type Span struct{ Start, Len uint32 }

// Range is an inclusive range of addresses as 128-bit numbers; an IPv4 address is v4-mapped.
type Range struct{ LoHi, LoLo, HiHi, HiLo uint64 }

// Ref says that a predicate is a stage of a rule.
type Ref struct {
	Rule  uint32
	Stage uint8 // StageUntil: the until condition
	_     [3]uint8
}

// StageUntil is the number of the until condition among a rule's stages; it is the top bit of a stage mask.
const StageUntil = 31

// Flags of a rule. A rule with none of the first two is of one event.
const (
	RuleSequence = 1 << iota
	RuleSample
	RuleUntil
	// RuleMark rules raise no alert: the process of an event that fits is noted under the number Mark, for the lineage
	// tests of other rules.
	RuleMark
	// RuleInherit is the rule that says which events begin a process: it takes over what is noted of its ancestors.
	RuleInherit
	ruleFlagsEnd
)

// Rule is one rule. Rules that raise alerts come first, then those with RuleMark, then the one with RuleInherit.
type Rule struct {
	ID, Name    Span // in secStrings
	MaxSpan     uint64
	SuppressFor uint64 // ns; 0: every match raises an alert
	Stages      uint32 // first of its stages
	SuppressBy  uint32 // first of the keys to suppress by, in secKeys
	NStages     uint8
	Severity    uint8 // 0 low .. 3 critical
	Action      uint8 // 0 alert, 1 block, 2 kill
	Flags       uint8
	NSuppressBy uint8
	Mark        uint8 // with RuleMark
	_           uint16
}

// Flags of a stage.
const (
	// StageMissing: no event may fit the stage between those of the stages beside it.
	StageMissing = 1 << iota
	// StageKeep: later stages read fields of the event that this stage took, so states of different events wait side by
	// side.
	StageKeep
	stageFlagsEnd
)

// Stage is one step of a rule; until, where there is one, is one more behind the last.
type Stage struct {
	Keys   uint32 // first of its keys
	NKeys  uint16
	NReads uint16 // with StageKeep: the fields that later stages read, in secKeys behind the keys
	Later  uint32 // program of secExprs plus one: what remains to be tested when the earlier events are known; 0: nothing
	Runs   uint16 // events in a row that the stage takes, at least 1
	Flags  uint16
}

// Key is one join key.
type Key struct {
	Field    uint16
	Optional uint16
}

// SectionName names a section for reports; fields is the content of the section of that name.
func SectionName(section int, fields []FieldSet) string {
	if section < secAutomata {
		return sectionNames[section]
	}
	return "automaton of " + event.FieldByID(event.FieldID(fields[section-secAutomata].Field)).Name
}
