// Package ir is the typed form of rules: what the checker makes of a parsed query, what the image writer compiles, and
// what the reference interpreter executes. Host only.
//
// Logic is three-valued (true, false, null). A leaf over an absent field is null, Not of null is null, And and Or are
// Kleene's, and a query matches when its condition is true. An array field makes a leaf true when some element makes it
// true, false when the field is there and no element does.
package ir

import (
	"net/netip"
	"time"

	"github.com/kestrel-detection/kestrel/event"
)

// Ruleset is everything one image is compiled from.
type Ruleset struct {
	Name    string
	Version string
	Rules   []Rule
}

// Severity of a rule, in rising order.
type Severity uint8

// The severities.
const (
	Low Severity = iota
	Medium
	High
	Critical
)

// Action is what a rule asks for when it matches.
type Action uint8

// The actions. Block and kill are carried in the image; a version without a guard reports what it would have done.
const (
	ActionAlert Action = iota
	ActionBlock
	ActionKill
)

// Form is what a rule joins.
type Form uint8

// The forms.
const (
	FormEvent    Form = iota // one stage, one event
	FormSequence             // stages in order
	FormSample               // stages in any order, an event each
)

// Rule is one rule.
type Rule struct {
	ID, Name string
	Severity Severity
	Action   Action
	Tags     []string
	Mitre    []string
	File     string
	Form     Form
	Stages   []Stage
	Until    *Stage
	MaxSpan  time.Duration // 0: no bound
	Suppress *Suppress     // nil: every match raises an alert
}

// Suppress keeps a rule from raising alerts anew for the same values of its fields, taken from the last event, for a
// time that begins with an alert.
type Suppress struct {
	By  []event.FieldID
	For time.Duration
}

// Stage is one step of a sequence or sample, or the whole of an event query.
type Stage struct {
	Category event.Category
	Cond     Node
	Keys     []Key // join keys, the same number in every stage
	Runs     int   // events in a row that the step takes; 0 is 1
	Missing  bool  // no event may fit the step between the events beside it
}

// Key is one join key. An event whose key is null takes part only when the key is optional.
type Key struct {
	Field    event.FieldID
	Optional bool
}

// Node is a condition. The concrete types are And, Or, Not, Const, IsTrue, Present, StringTest, IntTest, IntIn, IPIn,
// StringOrder, FieldTest, Test, IsNull and Lineage.
type Node interface{ node() }

// Truth is a value of three-valued logic.
type Truth uint8

// The truth values.
const (
	Null Truth = iota
	False
	True
)

// And is true when all are, false when any is.
type And struct{ Args []Node }

// Or is true when any is, false when all are.
type Or struct{ Args []Node }

// Not turns true and false round and leaves null.
type Not struct{ Arg Node }

// Const is a truth value known at compile time.
type Const struct{ Value Truth }

// IsTrue is true when its argument is and false otherwise, also for null. Suppressions use it.
type IsTrue struct{ Arg Node }

// Present is `field != null`: never null itself.
type Present struct{ Field event.FieldID }

// PatternKind is how a string is compared.
type PatternKind uint8

// The pattern kinds.
const (
	Exact PatternKind = iota
	Prefix
	Suffix
	Contains
	Wildcard // * is any run, ? is any code point
	Regex    // Lucene syntax, the whole string
)

// Pattern is one string test.
type Pattern struct {
	Kind PatternKind
	Text string
	Fold bool // letters' case does not count
}

// StringTest is true when any pattern holds for the value; for an array, for any element. On fields that are numbers
// or addresses it tests the value as it is written.
type StringTest struct {
	Field    event.FieldID
	Patterns []Pattern
}

// Cmp is a comparison.
type Cmp uint8

// The comparisons.
const (
	Eq Cmp = iota
	Ne
	Lt
	Le
	Gt
	Ge
)

// IntTest compares a number with a constant.
type IntTest struct {
	Field event.FieldID
	Cmp   Cmp
	Value int64
}

// IntIn is true when the number is one of the values.
type IntIn struct {
	Field  event.FieldID
	Values []int64
}

// IPIn is true when the address is in one of the prefixes; v4 and v6 are apart.
type IPIn struct {
	Field    event.FieldID
	Prefixes []netip.Prefix
}

// StringOrder compares a string with a constant by bytes: Lt, Le, Gt or Ge.
type StringOrder struct {
	Field event.FieldID
	Cmp   Cmp
	Value string
}

// FieldTest compares two fields: both numbers (any Cmp) or both strings (Eq and Ne; for arrays, any pair of elements
// that is equal makes Eq true). Null when either is absent.
type FieldTest struct {
	Left, Right event.FieldID
	Cmp         Cmp
	Fold        bool
}

// Test is the truth of a computed value: null when the value is null. For an array that the expression reads it is true
// when some element makes it true, false when none does and some makes it false.
type Test struct{ X Expr }

// IsNull is true when a computed value is null and false otherwise. Of an expression over arrays it is true when the value
// is null for every combination of elements.
type IsNull struct{ X Expr }

// Relation is how an event's process stands to another.
type Relation uint8

// The relations.
const (
	EventOf      Relation = iota // the same process
	ChildOf                      // its parent
	DescendantOf                 // its parent, the parent's parent, and so on
)

// Lineage is true when the process it names by its relation to the event's has been seen, before, in an event that
// fits, and false otherwise.
type Lineage struct {
	Rel   Relation
	Event *Stage // without keys
}

// Expr is a computed value: null, a truth value, a number (64-bit integer or float) or a string. The concrete types are
// Value, Lit, Op, Match, InNet and Cond. Types are checked before: an Expr applies operations to what they take, or to null.
type Expr interface{ expr() }

// Value is the value of a field: of the event itself when Stage is Own, else of the event that an earlier stage took. A
// numeric string (KindID) is its number, an address or entity id its text, a time its milliseconds since 1970.
type Value struct {
	Field event.FieldID
	Stage int
}

// Own is the Stage of a Value that belongs to the event itself.
const Own = -1

// Lit is a constant: nil, bool, int64, float64 or string.
type Lit struct{ Value any }

// Fn is an operation.
type Fn uint8

// The operations. Unless it says otherwise, the result is null when an argument is. Positions and lengths count code
// points; a byte that is not UTF-8 is one. Integers that do not fit 64 bits and divisions by zero give null.
const (
	FnAdd            Fn = iota // number, number
	FnSub                      // number, number
	FnMul                      // number, number
	FnDiv                      // number, number: of two integers the quotient towards zero
	FnMod                      // number, number: the sign of the first
	FnNeg                      // number
	FnBetween                  // string, left, right, greedy bool (optional, may be null: false): null when they do not stand so
	FnConcat                   // any values, as FnString writes them
	FnEndsWith                 // string, string
	FnIndexOf                  // string, string, start (optional, may be null: 0): null when it is not in it
	FnLength                   // string
	FnNumber                   // string, base (optional, may be null: 10, or 16 after 0x): null when it is no number
	FnStartsWith               // string, string
	FnString                   // any value as text
	FnStringContains           // string, string
	FnSubstring                // string, start, end (start and end may be null or left out: the ends of the string)
	FnEq                       // two of a kind
	FnNe
	FnLt // two numbers or two strings, those by bytes
	FnLe
	FnGt
	FnGe
	Fns
)

// Op applies an operation. Fold: letters' case does not count.
type Op struct {
	Fn   Fn
	Fold bool
	Args []Expr
}

// Match is true when any pattern holds for a string.
type Match struct {
	X        Expr
	Patterns []Pattern
}

// InNet is true when an address, as text, is in one of the prefixes; false for a text that is none.
type InNet struct {
	X        Expr
	Prefixes []netip.Prefix
}

// Cond is a condition as a value.
type Cond struct{ Node Node }

func (Value) expr() {}
func (Lit) expr()   {}
func (Op) expr()    {}
func (Match) expr() {}
func (InNet) expr() {}
func (Cond) expr()  {}

func (And) node()         {}
func (Or) node()          {}
func (Not) node()         {}
func (Const) node()       {}
func (IsTrue) node()      {}
func (Present) node()     {}
func (StringTest) node()  {}
func (IntTest) node()     {}
func (IntIn) node()       {}
func (IPIn) node()        {}
func (StringOrder) node() {}
func (FieldTest) node()   {}
func (Test) node()        {}
func (IsNull) node()      {}
func (Lineage) node()     {}
