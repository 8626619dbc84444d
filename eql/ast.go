package eql

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Node is any node of the tree. Range gives its exact place in the source,
// without surrounding parentheses.
type Node interface {
	Range() Span
	node()
}

// Expr is a node with a value.
type Expr interface {
	Node
	expr()
}

// Kind says which of the four forms a query has.
type Kind uint8

const (
	KindEvent    Kind = iota // category where condition
	KindSequence             // sequence [..] [..]
	KindSample               // sample by key [..] [..]
	KindJoin                 // join [..] [..]
)

// String returns the keyword of the form; "event" for an event query.
func (k Kind) String() string {
	return [...]string{"event", "sequence", "sample", "join"}[k]
}

// Query is a whole query. An event query has exactly one stage, without keys.
type Query struct {
	Span
	Source  *Source
	Dialect Dialect
	Kind    Kind
	By      []Expr   // keys common to all stages; *Field except in Endgame
	MaxSpan *MaxSpan // nil without "with maxspan"
	Stages  []*Stage
	Until   *Stage // nil without until
	Pipes   []*Pipe
}

// MaxSpan is the window of a sequence as written.
type MaxSpan struct {
	Span
	Value int64
	Unit  string // ms, s, m, h or d
}

// Duration is exact: the parser refuses values that do not fit.
func (m *MaxSpan) Duration() time.Duration {
	return time.Duration(m.Value) * unitOf(m.Unit)
}

// unitOf returns 0 for an unknown unit.
func unitOf(name string) time.Duration {
	switch name {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return 24 * time.Hour
	}
	return 0
}

// Stage is one bracketed step, or the whole of an event query.
type Stage struct {
	Span
	Event   *Event
	By      []Expr // keys of this stage, after those of the query
	Runs    int    // repetitions; 0 without "with runs", which means 1
	Missing bool   // ![ .. ]
	Name    string // "as name", Kestrel only
	Fork    bool   // Endgame only
}

// Event is a category with its condition. Category is empty when Any is set.
type Event struct {
	Span
	Category     string
	CategorySpan Span
	Any          bool
	Where        Expr
}

// Pipe is one "| name arg, arg".
type Pipe struct {
	Span
	Name string
	Args []Expr
}

// Bad stands where an expression could not be parsed.
type Bad struct{ Span }

// Null is the literal null.
type Null struct{ Span }

// Bool is true or false.
type Bool struct {
	Span
	Value bool
}

// Number is a numeric literal with its sign. An integer beyond 64 bits is read
// as a float, as Elasticsearch does.
type Number struct {
	Span
	IsInt bool
	Int   int64   // when IsInt
	Float float64 // otherwise; finite
}

// AsFloat returns the value whichever form it has.
func (n *Number) AsFloat() float64 {
	if n.IsInt {
		return float64(n.Int)
	}
	return n.Float
}

func (n *Number) negative() bool {
	if n.IsInt {
		return n.Int < 0
	}
	return math.Signbit(n.Float)
}

func (n *Number) text() string {
	if n.IsInt {
		return strconv.FormatInt(n.Int, 10)
	}
	s := strconv.FormatFloat(n.Float, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// String is a string literal; Raw says that it was written without escapes.
type String struct {
	Span
	Value string
	Raw   bool
}

// Part is one step of a field path: a name, or an array index when IsIndex.
type Part struct {
	Name    string
	Index   int
	IsIndex bool
}

// Field is a path such as ?process.args[0]. A backquoted part may hold any
// character, also dots.
type Field struct {
	Span
	Optional bool
	Parts    []Part
}

// Path returns the field name as a schema has it: parts joined by dots, array
// indexes as [n], no backquotes.
func (f *Field) Path() string {
	if len(f.Parts) == 1 && !f.Parts[0].IsIndex {
		return f.Parts[0].Name
	}
	return joinParts(f.Parts)
}

func joinParts(parts []Part) string {
	var b strings.Builder
	for i, part := range parts {
		switch {
		case part.IsIndex:
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(part.Index))
			b.WriteByte(']')
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(part.Name)
		}
	}
	return b.String()
}

// Var is $NAME: a global of the manifest, or the element variable of an array
// function, then often with a path as in $entry.name.
type Var struct {
	Span
	Name  string // without the dollar
	Parts []Part
}

// Call is name(args) or, with Fold, name~(args).
type Call struct {
	Span
	Name     string
	NameSpan Span // with the tilde
	Fold     bool
	Args     []Expr
}

// UnaryOp is an arithmetic sign.
type UnaryOp uint8

const (
	Neg UnaryOp = iota
	Pos
)

// String returns the sign.
func (op UnaryOp) String() string { return [...]string{"-", "+"}[op] }

// Unary is a signed operand. The sign of a literal is part of the Number.
type Unary struct {
	Span
	Op UnaryOp
	X  Expr
}

// ArithOp is an arithmetic operator.
type ArithOp uint8

const (
	Add ArithOp = iota
	Sub
	Mul
	Div
	Mod
)

// String returns the operator.
func (op ArithOp) String() string { return [...]string{"+", "-", "*", "/", "%"}[op] }

// Arith is L op R.
type Arith struct {
	Span
	Op   ArithOp
	L, R Expr
}

// CompareOp is a comparison operator.
type CompareOp uint8

const (
	Eq CompareOp = iota
	Ne
	Lt
	Le
	Gt
	Ge
)

// String returns the operator.
func (op CompareOp) String() string { return [...]string{"==", "!=", "<", "<=", ">", ">="}[op] }

// Compare is L op R.
type Compare struct {
	Span
	Op   CompareOp
	L, R Expr
}

// MatchOp is an operator that tests one operand against one or more values.
type MatchOp uint8

const (
	In         MatchOp = iota // in, in~
	Seq                       // :   (always folds case)
	Like                      // like, like~
	Regex                     // regex, regex~
	Contains                  // contains, contains~: Kestrel only
	StartsWith                // startswith, startswith~: Kestrel only
	EndsWith                  // endswith, endswith~: Kestrel only
)

// String returns the operator without a tilde.
func (op MatchOp) String() string {
	return [...]string{"in", ":", "like", "regex", "contains", "startswith", "endswith"}[op]
}

// Match holds when X matches any of Values. "x not in (..)" is a Not over a
// Match. The values of Seq, Like and Regex are literals or, in Kestrel, *Var.
// Values is not empty.
type Match struct {
	Span
	Op     MatchOp
	OpSpan Span
	Fold   bool // written with a tilde
	X      Expr
	Values []Expr
}

// Not negates X.
type Not struct {
	Span
	X Expr
}

// LogicOp joins conditions.
type LogicOp uint8

const (
	And LogicOp = iota
	Or
)

// String returns the keyword.
func (op LogicOp) String() string { return [...]string{"and", "or"}[op] }

// Logical is a chain of two or more conditions with one operator, so that a
// long "or" is wide and not deep.
type Logical struct {
	Span
	Op   LogicOp
	Args []Expr
}

// Relation is a lineage keyword.
type Relation uint8

const (
	ChildOf      Relation = iota // child of
	DescendantOf                 // descendant of
	EventOf                      // event of
)

// String returns the word before "of".
func (r Relation) String() string { return [...]string{"child", "descendant", "event"}[r] }

// Lineage holds when the event stands in the relation to one that matches Event.
type Lineage struct {
	Span
	Rel   Relation
	Event *Event
}

func (*Query) node()   {}
func (*MaxSpan) node() {}
func (*Stage) node()   {}
func (*Event) node()   {}
func (*Pipe) node()    {}
func (*Bad) node()     {}
func (*Null) node()    {}
func (*Bool) node()    {}
func (*Number) node()  {}
func (*String) node()  {}
func (*Field) node()   {}
func (*Var) node()     {}
func (*Call) node()    {}
func (*Unary) node()   {}
func (*Arith) node()   {}
func (*Compare) node() {}
func (*Match) node()   {}
func (*Not) node()     {}
func (*Logical) node() {}
func (*Lineage) node() {}

func (*Bad) expr()     {}
func (*Null) expr()    {}
func (*Bool) expr()    {}
func (*Number) expr()  {}
func (*String) expr()  {}
func (*Field) expr()   {}
func (*Var) expr()     {}
func (*Call) expr()    {}
func (*Unary) expr()   {}
func (*Arith) expr()   {}
func (*Compare) expr() {}
func (*Match) expr()   {}
func (*Not) expr()     {}
func (*Logical) expr() {}
func (*Lineage) expr() {}
