package ir

import "github.com/kestrel-detection/kestrel/event"

// Simplify folds constants and flattens a condition without changing its value for any event: nested And and Or become
// one, constants that decide nothing go, Not moves inwards past constants, and tests of one field joined by Or become one
// test of all their patterns.
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
		case IsTrue, Present:
			return a
		default:
			return IsTrue{a}
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

func simplifyAnd(n And) Node {
	var args []Node
	null := false
	for _, a := range n.Args {
		switch a := Simplify(a).(type) {
		case Const:
			switch a.Value {
			case False:
				return a
			case Null:
				null = true
			}
		case And:
			args = append(args, a.Args...)
		default:
			args = append(args, a)
		}
	}
	if null {
		if len(args) == 0 {
			return Const{Null}
		}
		args = append(args, Const{Null})
	}
	switch len(args) {
	case 0:
		return Const{True}
	case 1:
		return args[0]
	}
	return And{args}
}

func simplifyOr(n Or) Node {
	var args []Node
	null := false
	tests := make(map[event.FieldID]int) // field -> place in args of its StringTest
	add := func(a Node) {
		t, ok := a.(StringTest)
		if !ok {
			args = append(args, a)
			return
		}
		i, seen := tests[t.Field]
		if !seen {
			tests[t.Field] = len(args)
			args = append(args, t)
			return
		}
		first := args[i].(StringTest)
		patterns := append(first.Patterns[:len(first.Patterns):len(first.Patterns)], t.Patterns...)
		args[i] = StringTest{t.Field, patterns}
	}
	for _, a := range n.Args {
		switch a := Simplify(a).(type) {
		case Const:
			switch a.Value {
			case True:
				return a
			case Null:
				null = true
			}
		case Or:
			for _, b := range a.Args {
				if c, ok := b.(Const); ok && c.Value == Null {
					null = true
					continue
				}
				add(b)
			}
		default:
			add(a)
		}
	}
	if null {
		if len(args) == 0 {
			return Const{Null}
		}
		args = append(args, Const{Null})
	}
	switch len(args) {
	case 0:
		return Const{False}
	case 1:
		return args[0]
	}
	return Or{args}
}
