package ir

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
)

func (t Truth) String() string { return [...]string{Null: "null", False: "false", True: "true"}[t] }

func (c Cmp) String() string {
	return [...]string{Eq: "==", Ne: "!=", Lt: "<", Le: "<=", Gt: ">", Ge: ">="}[c]
}

func (k PatternKind) String() string {
	return [...]string{Exact: "is", Prefix: "begins with", Suffix: "ends with", Contains: "contains", Wildcard: "is like",
		Regex: "matches"}[k]
}

// FieldOf is the field that a leaf tests first.
func FieldOf(n Node) (event.FieldID, bool) {
	switch n := n.(type) {
	case Present:
		return n.Field, true
	case StringTest:
		return n.Field, true
	case IntTest:
		return n.Field, true
	case IntIn:
		return n.Field, true
	case IPIn:
		return n.Field, true
	case StringOrder:
		return n.Field, true
	case FieldTest:
		return n.Left, true
	}
	return 0, false
}

// Describe says in words what a condition tests.
func Describe(n Node) string {
	var d describer
	d.node(n)
	return d.String()
}

// DescribeExpr writes a computed value much as a rule does.
func DescribeExpr(x Expr) string {
	var d describer
	d.expr(x)
	return d.String()
}

type describer struct{ strings.Builder }

func (d *describer) printf(format string, args ...any) { fmt.Fprintf(&d.Builder, format, args...) }

func (d *describer) node(n Node) {
	switch n := n.(type) {
	case And:
		d.list(n.Args, " and ", True)
	case Or:
		d.list(n.Args, " or ", False)
	case Not:
		d.WriteString("not (")
		d.node(n.Arg)
		d.WriteString(")")
	case IsTrue:
		d.WriteString("(")
		d.node(n.Arg)
		d.WriteString(") is true")
	case Const:
		d.WriteString(n.Value.String())
	case Test:
		d.expr(n.X)
	case IsNull:
		d.operand(n.X)
		d.WriteString(" is null")
	case Lineage:
		d.printf("%s [%s where ", n.Rel, n.Event.Category)
		d.node(n.Event.Cond)
		d.WriteString("]")
	default:
		d.WriteString(describeLeaf(n))
	}
}

func describeLeaf(n Node) string {
	f, ok := FieldOf(n)
	if !ok {
		return fmt.Sprintf("%T", n)
	}
	name := event.FieldByID(f).Name
	switch n := n.(type) {
	case Present:
		return name + " is there"
	case StringTest:
		return name + " " + describePatterns(n.Patterns)
	case IntTest:
		return fmt.Sprintf("%s %s %d", name, n.Cmp, n.Value)
	case IntIn:
		return fmt.Sprintf("%s is one of %d", name, n.Values)
	case IPIn:
		return fmt.Sprintf("%s is in %v", name, n.Prefixes)
	case StringOrder:
		return fmt.Sprintf("%s %s %q", name, n.Cmp, n.Value)
	case FieldTest:
		return fmt.Sprintf("%s %s %s", name, n.Cmp, event.FieldByID(n.Right).Name)
	}
	return name
}

func (d *describer) list(args []Node, sep string, empty Truth) {
	if len(args) == 0 {
		d.WriteString(empty.String())
	}
	for i, a := range args {
		if i > 0 {
			d.WriteString(sep)
		}
		switch a.(type) {
		case And, Or:
			d.WriteString("(")
			d.node(a)
			d.WriteString(")")
		default:
			d.node(a)
		}
	}
}

func (r Relation) String() string {
	return [...]string{EventOf: "event of", ChildOf: "child of", DescendantOf: "descendant of"}[r]
}

// operators are the operations that are written between their operands, functions the others.
var operators = map[Fn]string{FnAdd: "+", FnSub: "-", FnMul: "*", FnDiv: "/", FnMod: "%", FnEq: "==", FnNe: "!=",
	FnLt: "<", FnLe: "<=", FnGt: ">", FnGe: ">="}

var functions = map[Fn]string{FnBetween: "between", FnConcat: "concat", FnEndsWith: "endsWith", FnIndexOf: "indexOf",
	FnLength: "length", FnNumber: "number", FnStartsWith: "startsWith", FnString: "string",
	FnStringContains: "stringContains", FnSubstring: "substring"}

func (d *describer) expr(x Expr) {
	switch x := x.(type) {
	case Value:
		d.WriteString(event.FieldByID(x.Field).Name)
		if x.Stage != Own {
			d.printf(" of step %d", x.Stage+1)
		}
	case Lit:
		switch v := x.Value.(type) {
		case nil:
			d.WriteString("null")
		case string:
			d.WriteString(strconv.Quote(v))
		default:
			d.printf("%v", v)
		}
	case Op:
		d.op(x)
	case Match:
		d.operand(x.X)
		d.WriteString(" " + describePatterns(x.Patterns))
	case InNet:
		d.operand(x.X)
		d.printf(" is in %v", x.Prefixes)
	case Cond:
		d.node(x.Node)
	default:
		d.printf("%T", x)
	}
}

// operand writes a value that is part of another.
func (d *describer) operand(x Expr) {
	op, isOp := x.(Op)
	switch x.(type) {
	case Value, Lit:
		d.expr(x)
		return
	}
	if isOp && operators[op.Fn] == "" {
		d.expr(x)
		return
	}
	d.WriteString("(")
	d.expr(x)
	d.WriteString(")")
}

func (d *describer) op(x Op) {
	if x.Fn == FnNeg && len(x.Args) == 1 {
		d.WriteString("-")
		d.operand(x.Args[0])
		return
	}
	if sign := operators[x.Fn]; sign != "" && len(x.Args) == 2 {
		d.operand(x.Args[0])
		d.WriteString(" " + sign + " ")
		d.operand(x.Args[1])
		if x.Fold {
			d.WriteString(" in any case")
		}
		return
	}
	d.WriteString(functions[x.Fn])
	if x.Fold {
		d.WriteString("~")
	}
	d.WriteString("(")
	for i, a := range x.Args {
		if i > 0 {
			d.WriteString(", ")
		}
		d.expr(a)
	}
	d.WriteString(")")
}

// patternsShown bounds what a description spells out of a long list.
const patternsShown = 12

func describePatterns(patterns []Pattern) string {
	var parts []string
	for _, p := range patterns[:min(len(patterns), patternsShown)] {
		s := fmt.Sprintf("%s %q", p.Kind, p.Text)
		if p.Fold {
			s += " in any case"
		}
		parts = append(parts, s)
	}
	if more := len(patterns) - patternsShown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", or ")
}
