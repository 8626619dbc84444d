package ir

import (
	"net/netip"
	"slices"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
)

func simplifyTest(n Test) Node {
	switch x := simplifyExpr(n.X).(type) {
	case Lit:
		b, ok := x.Value.(bool)
		return Const{truthOf(b, ok)}
	case Cond:
		return x.Node
	case Value:
		if x.Stage == Own && x.Field.Kind() == event.KindBool {
			return IntTest{x.Field, Ne, 0}
		}
		return Test{x}
	case Op:
		if atom := atomOf(x); atom != nil {
			return atom
		}
		return Test{x}
	case Match:
		if f, ok := fieldText(x.X); ok && len(x.Patterns) > 0 {
			return StringTest{f, x.Patterns}
		}
		return Test{x}
	case InNet:
		if v, ok := x.X.(Value); ok && v.Stage == Own && v.Field.Kind() == event.KindIP {
			return IPIn{v.Field, x.Prefixes}
		}
		return Test{x}
	default:
		return Test{x}
	}
}

func truthOf(b, known bool) Truth {
	switch {
	case !known:
		return Null
	case b:
		return True
	}
	return False
}

func simplifyIsNull(n IsNull) Node {
	switch x := simplifyExpr(n.X).(type) {
	case Lit:
		return Const{truthOf(x.Value == nil, true)}
	case Value:
		if x.Stage == Own {
			return Not{Present{x.Field}}
		}
		return IsNull{x}
	default:
		return IsNull{x}
	}
}

// simplifyExpr folds what is constant in an expression and simplifies the conditions in it.
func simplifyExpr(x Expr) Expr {
	switch x := x.(type) {
	case Op:
		return simplifyOp(x)
	case Match:
		in := simplifyExpr(x.X)
		if l, ok := in.(Lit); ok {
			if _, isText := l.Value.(string); !isText {
				return Lit{}
			}
		}
		return Match{in, x.Patterns}
	case InNet:
		in := simplifyExpr(x.X)
		l, ok := in.(Lit)
		if !ok {
			return InNet{in, x.Prefixes}
		}
		if s, isText := l.Value.(string); isText {
			return Lit{inNet(s, x.Prefixes)}
		}
		return Lit{}
	case Cond:
		return condOf(Simplify(x.Node))
	}
	return x
}

// condOf is a simplified condition as a value.
func condOf(n Node) Expr {
	switch n := n.(type) {
	case Const:
		switch n.Value {
		case True:
			return Lit{true}
		case False:
			return Lit{false}
		}
		return Lit{}
	case Test:
		// The test of a truth value is that value, unless it goes through arrays.
		if isTruth(n.X) && !readsArray(n.X) {
			return n.X
		}
	}
	return Cond{n}
}

func inNet(s string, prefixes []netip.Prefix) bool {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return false
	}
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

func simplifyOp(x Op) Expr {
	args := make([]Expr, len(x.Args))
	values := make([]any, len(x.Args))
	constant := true
	for i, a := range x.Args {
		args[i] = simplifyExpr(a)
		l, ok := args[i].(Lit)
		if ok && l.Value == nil && i < needed(x.Fn) {
			return Lit{}
		}
		values[i] = l.Value
		constant = constant && ok
	}
	if constant {
		return Lit{Apply(x.Fn, x.Fold, values)}
	}
	switch x.Fn {
	case FnString:
		if isText(args[0]) {
			return args[0]
		}
	case FnConcat:
		if len(args) == 1 {
			return simplifyOp(Op{Fn: FnString, Args: args})
		}
	case FnEq, FnNe:
		for i, a := range args {
			c, ok := a.(Cond)
			b, isBool := values[1-i].(bool)
			if !ok || !isBool {
				continue
			}
			if b == (x.Fn == FnEq) {
				return c
			}
			if n, negated := c.Node.(Not); negated {
				return condOf(n.Arg)
			}
			return Cond{Not{c.Node}}
		}
	}
	return Op{x.Fn, x.Fold, args}
}

// needed is how many arguments of an operation make it null when they are; those behind may be null.
func needed(fn Fn) int {
	switch fn {
	case FnSubstring, FnNumber:
		return 1
	case FnIndexOf:
		return 2
	case FnBetween:
		return 3
	case FnConcat:
		return 1 << 30
	}
	return 2
}

// isText tells whether an expression can only be a text or null.
func isText(x Expr) bool {
	switch x := x.(type) {
	case Value:
		switch x.Field.Kind() {
		case event.KindString, event.KindStrings, event.KindIP, event.KindEntity:
			return true
		}
	case Op:
		switch x.Fn {
		case FnConcat, FnString, FnSubstring, FnBetween:
			return true
		}
	case Lit:
		_, ok := x.Value.(string)
		return ok
	}
	return false
}

// isTruth tells whether an expression can only be a truth value or null.
func isTruth(x Expr) bool {
	switch x := x.(type) {
	case Cond, Match, InNet:
		return true
	case Op:
		switch x.Fn {
		case FnEndsWith, FnStartsWith, FnStringContains, FnEq, FnNe, FnLt, FnLe, FnGt, FnGe:
			return true
		}
	}
	return false
}

// readsArray tells whether an expression goes through the elements of an array.
func readsArray(x Expr) (reads bool) {
	WalkExpr(x, nil, func(x Expr) bool {
		v, ok := x.(Value)
		reads = reads || ok && v.Field.Kind() == event.KindStrings
		_, isCond := x.(Cond)
		return !isCond // it goes through its arrays by itself
	})
	return reads
}

// fieldText is the field of the event itself whose text, as it is written, an expression is.
func fieldText(x Expr) (event.FieldID, bool) {
	if op, ok := x.(Op); ok && op.Fn == FnString && len(op.Args) == 1 {
		v, ok := op.Args[0].(Value)
		if !ok || v.Stage != Own {
			return 0, false
		}
		switch v.Field.Kind() {
		case event.KindInt, event.KindID, event.KindBool:
			return v.Field, true
		}
		return 0, false
	}
	v, ok := x.(Value)
	return v.Field, ok && v.Stage == Own && isText(v)
}

// literalBytesMax is the longest text that an automaton takes.
const literalBytesMax = 4095

// atomOf is a test of a field that means the same as the truth of an operation, nil when there is none. Of fields with
// several values, tests and comparisons both ask whether some element fits; but unequal asks it of each by itself, and
// so has no such test.
func atomOf(x Op) Node {
	if len(x.Args) != 2 {
		return nil
	}
	if l, ok := x.Args[0].(Lit); ok && FnEq <= x.Fn && x.Fn <= FnGe {
		return atomOf(Op{flipped[x.Fn-FnEq], x.Fold, []Expr{x.Args[1], l}})
	}
	l, ok := x.Args[1].(Lit)
	if !ok {
		return fieldAtom(x)
	}
	switch c := l.Value.(type) {
	case string:
		return textAtom(x, c)
	case int64:
		v, ok := x.Args[0].(Value)
		if ok && v.Stage == Own && FnEq <= x.Fn && x.Fn <= FnGe {
			switch v.Field.Kind() {
			case event.KindInt, event.KindID:
				return IntTest{v.Field, Cmp(x.Fn - FnEq), c}
			}
		}
	case bool:
		v, ok := x.Args[0].(Value)
		if ok && v.Stage == Own && v.Field.Kind() == event.KindBool && (x.Fn == FnEq || x.Fn == FnNe) {
			if c == (x.Fn == FnEq) {
				return IntTest{v.Field, Ne, 0}
			}
			return IntTest{v.Field, Eq, 0}
		}
	}
	return nil
}

// flipped are the comparisons with their sides exchanged.
var flipped = [...]Fn{FnEq, FnNe, FnGt, FnGe, FnLt, FnLe}

func textAtom(x Op, c string) Node {
	f, ok := fieldText(x.Args[0])
	if !ok {
		return nil
	}
	array := f.Kind() == event.KindStrings
	kind := Exact
	switch x.Fn {
	case FnStartsWith:
		kind = Prefix
	case FnEndsWith:
		kind = Suffix
	case FnStringContains:
		kind = Contains
	case FnEq:
	case FnNe:
		if array {
			return nil
		}
	case FnLt, FnLe, FnGt, FnGe:
		if x.Fold || f.Kind() != event.KindString && !array {
			return nil
		}
		return StringOrder{f, Cmp(x.Fn - FnEq), c}
	default:
		return nil
	}
	if !utf8.ValidString(c) || len(c) > literalBytesMax {
		return nil
	}
	t := StringTest{f, []Pattern{{kind, c, x.Fold}}}
	if x.Fn == FnNe {
		return Not{t}
	}
	return t
}

// fieldAtom is the comparison of two fields of the event itself.
func fieldAtom(x Op) Node {
	a, ok := x.Args[0].(Value)
	b, ok2 := x.Args[1].(Value)
	if !ok || !ok2 || a.Stage != Own || b.Stage != Own || x.Fn < FnEq || x.Fn > FnGe {
		return nil
	}
	number := func(k event.Kind) bool { return k == event.KindInt || k == event.KindID }
	ka, kb := a.Field.Kind(), b.Field.Kind()
	switch {
	case number(ka) && number(kb):
		return FieldTest{Left: a.Field, Right: b.Field, Cmp: Cmp(x.Fn - FnEq)}
	case x.Fn > FnNe:
		return nil
	case ka == event.KindString && kb == event.KindString,
		x.Fn == FnEq && ka == event.KindString && kb == event.KindStrings,
		x.Fn == FnEq && ka == event.KindStrings && kb == event.KindString:
		return FieldTest{Left: a.Field, Right: b.Field, Cmp: Cmp(x.Fn - FnEq), Fold: x.Fold}
	}
	return nil
}
