package ir

import (
	"slices"

	"github.com/kestrel-detection/kestrel/event"
)

// Simplify folds constants and flattens a condition without changing its value for any event: nested And and Or become
// one, constants that decide nothing go, Not moves inwards past constants, tests of one field joined by Or become one
// test of all their patterns, and computed values that say no more than a test of a field can become that test.
func Simplify(n Node) Node {
	switch n := n.(type) {
	case And:
		return simplifyAnd(n)
	case Or:
		return simplifyOr(n)
	case Not:
		switch a := Simplify(n.Arg).(type) {
		case Const:
			return Const{a.Value.Not()}
		case Not:
			return a.Arg
		default:
			return Not{a}
		}
	case IsTrue:
		switch a := Simplify(n.Arg).(type) {
		case Const:
			if a.Value == True {
				return Const{True}
			}
			return Const{False}
		case IsTrue, Present, IsNull, Lineage:
			return a
		default:
			return IsTrue{a}
		}
	case Test:
		return simplifyTest(n)
	case IsNull:
		return simplifyIsNull(n)
	case Lineage:
		if c, ok := Simplify(n.Event.Cond).(Const); ok && c.Value != True {
			return Const{False} // nothing fits
		}
	}
	return n
}

// Not is the negation of three-valued logic.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Null
}

// flatten simplifies the arguments of And or Or: constants that decide nothing go, one null stays, and nested nodes of
// the same kind come up. decided is the constant that decides the whole, if one does.
func flatten(list []Node, decisive Truth, nested func(Node) ([]Node, bool)) (args []Node, null, decided bool) {
	for _, a := range list {
		a = Simplify(a)
		inner, ok := nested(a)
		if !ok {
			inner = []Node{a}
		}
		for _, n := range inner {
			switch c, isConst := n.(Const); {
			case !isConst:
				args = append(args, n)
			case c.Value == decisive:
				return nil, false, true
			case c.Value == Null:
				null = true
			}
		}
	}
	return args, null, false
}

// junction is what is left of And or Or: a constant, its only argument, or itself.
func junction(args []Node, null bool, empty Truth, whole func([]Node) Node) Node {
	if null {
		args = append(args, Const{Null})
	}
	switch len(args) {
	case 0:
		return Const{empty}
	case 1:
		return args[0]
	}
	return whole(args)
}

func simplifyAnd(n And) Node {
	args, null, decided := flatten(n.Args, False, func(n Node) ([]Node, bool) {
		a, ok := n.(And)
		return a.Args, ok
	})
	if decided {
		return Const{False}
	}
	return junction(args, null, True, func(args []Node) Node { return And{args} })
}

func simplifyOr(n Or) Node {
	args, null, decided := flatten(n.Args, True, func(n Node) ([]Node, bool) {
		o, ok := n.(Or)
		return o.Args, ok
	})
	if decided {
		return Const{True}
	}
	return junction(joinTests(args), null, False, func(args []Node) Node { return Or{args} })
}

// joinTests makes one test of all tests of a field, where the first of them stands.
func joinTests(args []Node) []Node {
	var out []Node
	tests := make(map[event.FieldID]int) // field -> place in out
	for _, a := range args {
		t, ok := a.(StringTest)
		if !ok {
			out = append(out, a)
			continue
		}
		i, seen := tests[t.Field]
		if !seen {
			tests[t.Field] = len(out)
			// The patterns are the caller's tree: what is added must not be written into it.
			out = append(out, StringTest{t.Field, slices.Clip(t.Patterns)})
			continue
		}
		first := out[i].(StringTest)
		out[i] = StringTest{t.Field, append(first.Patterns, t.Patterns...)}
	}
	return out
}
