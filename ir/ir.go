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

// Rule is one rule.
type Rule struct {
	ID, Name string
	Severity Severity
	Action   Action
	Tags     []string
	Mitre    []string
	File     string
	Sequence bool
	Stages   []Stage
	Until    *Stage
	MaxSpan  time.Duration // 0: no bound
}

// Stage is one step of a sequence, or the whole of an event query.
type Stage struct {
	Category event.Category
	Cond     Node
	Keys     []Key // join keys, the same number in every stage
}

// Key is one join key. An event whose key is null takes part only when the key is optional.
type Key struct {
	Field    event.FieldID
	Optional bool
}

// Node is a condition. The concrete types are And, Or, Not, Const, IsTrue, Present, StringTest, IntTest, IntIn, IPIn,
// StringOrder and FieldTest.
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
