package expr

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

type constant struct{ v value.Value }

func (n constant) eval(*Env) multi { return single(n.v) }

// absent is an optional field that no event has.
type absent struct{}

func (absent) eval(*Env) multi { return multi{} }

type logical struct {
	op    eql.LogicOp
	args  []node
	loose bool
}

func (n *logical) eval(env *Env) multi {
	decides, result := value.False, value.True
	if n.op == eql.Or {
		decides, result = value.True, value.False
	}
	for _, a := range n.args {
		switch t := truthOf(a, env, n.loose); t {
		case decides:
			return single(t.Value())
		case value.Unknown:
			result = t
		}
	}
	return single(result.Value())
}

type not struct {
	x     node
	loose bool
}

func (n *not) eval(env *Env) multi { return single(truthOf(n.x, env, n.loose).Not().Value()) }

type isNull struct{ x node }

func (n *isNull) eval(env *Env) multi {
	m := n.x.eval(env)
	for _, v := range m.values() {
		if !v.IsNull() {
			return single(value.Bool(false))
		}
	}
	return single(value.Bool(true))
}

type lineage struct{ id int }

func (n lineage) eval(env *Env) multi {
	return single(value.Bool(env.Lineage != nil && env.Lineage(n.id)))
}

type comparison struct {
	op    eql.CompareOp
	l, r  node
	rules value.Rules
}

func (n *comparison) eval(env *Env) multi {
	l, r := n.l.eval(env), n.r.eval(env)
	if l.many == nil && r.many == nil {
		return single(n.test(l.one, r.one).not(n.op).Value())
	}
	result := anyOf(l.values(), func(a value.Value) value.Truth {
		return anyOf(r.values(), func(b value.Value) value.Truth { return value.Truth(n.test(a, b)) })
	})
	return single(outcome(result).not(n.op).Value())
}

// outcome is the truth of a comparison before != turned it round.
type outcome value.Truth

func (t outcome) not(op eql.CompareOp) value.Truth {
	if op == eql.Ne {
		return value.Truth(t).Not()
	}
	return value.Truth(t)
}

// test compares two values; != as ==.
func (n *comparison) test(a, b value.Value) outcome {
	if n.op == eql.Eq || n.op == eql.Ne {
		return outcome(n.rules.Equal(a, b))
	}
	order, ok := n.rules.Order(a, b)
	if !ok {
		return outcome(value.Unknown)
	}
	switch n.op {
	case eql.Lt:
		return outcome(value.TruthOf(order < 0))
	case eql.Le:
		return outcome(value.TruthOf(order <= 0))
	case eql.Gt:
		return outcome(value.TruthOf(order > 0))
	}
	return outcome(value.TruthOf(order >= 0))
}

type arithmetic struct {
	op   value.Op
	l, r node
}

func (n *arithmetic) eval(env *Env) multi {
	return mapped(env, evalAll(env, n.l, n.r), func(v []value.Value) value.Value {
		return value.Compute(n.op, v[0], v[1])
	})
}

type negate struct{ x node }

func (n *negate) eval(env *Env) multi {
	return mapped(env, evalAll(env, n.x), func(v []value.Value) value.Value { return value.Negate(v[0]) })
}

// mapped applies a function to every combination of the arguments' values.
func mapped(env *Env, args []multi, f func([]value.Value) value.Value) multi {
	if !slices.ContainsFunc(args, func(m multi) bool { return m.many != nil }) {
		values := make([]value.Value, len(args))
		for i := range args {
			values[i] = args[i].one
		}
		return single(f(values))
	}
	var out []value.Value
	combine(env, args, func(v []value.Value) bool {
		out = append(out, f(v))
		return true
	})
	return spread(out)
}

// membership is `in`. Strings without wildcards stand in a set, other constants in a list.
type membership struct {
	x      node
	set    map[string]struct{} // lowered when rules.Fold
	consts []value.Value
	values []node
	rules  value.Rules
	glob   bool
}

func (n *membership) constant(v value.Value) {
	if v.Kind() == value.KindString && !(n.glob && value.IsGlob(v.Text())) {
		n.set[n.key(v.Text())] = struct{}{}
	}
	n.consts = append(n.consts, v)
}

func (n *membership) key(s string) string {
	if n.rules.Fold {
		return value.Lower(s)
	}
	return s
}

func (n *membership) eval(env *Env) multi {
	m := n.x.eval(env)
	return single(anyOf(m.values(), func(v value.Value) value.Truth { return n.holds(env, v) }).Value())
}

func (n *membership) holds(env *Env, v value.Value) value.Truth {
	if v.IsNull() {
		return value.Unknown
	}
	plain := v.Kind() == value.KindString
	if plain {
		if _, ok := n.set[n.key(v.Text())]; ok {
			return value.True
		}
	}
	result := value.False
	for _, k := range n.consts {
		if plain && k.Kind() == value.KindString && !(n.glob && value.IsGlob(k.Text())) {
			continue // in the set
		}
		switch n.equal(v, k) {
		case value.True:
			return value.True
		case value.Unknown:
			result = value.Unknown
		}
	}
	return anyNode(env, n.values, result, func(w value.Value) value.Truth { return n.rules.Equal(v, w) })
}

func (n *membership) equal(v, k value.Value) value.Truth {
	if n.glob && k.Kind() == value.KindString && value.IsGlob(k.Text()) && (v.IsText() || v.IsNumber()) {
		return value.TruthOf(value.Glob(k.Text(), v.Text(), n.rules.Fold))
	}
	return n.rules.Equal(v, k)
}

// stars compares a string, the first argument, with wildcards of Endgame EQL, the others.
type stars struct {
	args []node
	fold bool
}

func (n *stars) eval(env *Env) multi {
	return single(anyCombination(env, evalAll(env, n.args...), func(v []value.Value) value.Truth {
		return n.match(v[0], v[1:])
	}).Value())
}

func (n *stars) match(v value.Value, patterns []value.Value) value.Truth {
	if v.IsNull() {
		return value.Unknown
	}
	result := value.False
	for _, p := range patterns {
		switch {
		case p.IsNull():
			result = value.Unknown
		case v.IsText() && value.Stars(p.Text(), v.Text(), n.fold):
			return value.True
		}
	}
	return result
}

// textMatch is `:`, like, regex, contains, startswith and endswith.
type textMatch struct {
	op      eql.MatchOp
	x       node
	values  []node
	fold    bool
	rules   value.Rules
	numbers bool // numbers and addresses are tested as they are written
	seen    map[string]bool
}

func (n *textMatch) eval(env *Env) multi {
	m := n.x.eval(env)
	return single(anyOf(m.values(), func(v value.Value) value.Truth { return n.holds(env, v) }).Value())
}

func (n *textMatch) holds(env *Env, v value.Value) value.Truth {
	if v.IsNull() {
		return value.Unknown
	}
	return anyNode(env, n.values, value.False, func(p value.Value) value.Truth { return n.one(v, p) })
}

// anyNode goes on with a test that holds when it does for some value of a node; result is its truth before that.
func anyNode(env *Env, nodes []node, result value.Truth, test func(value.Value) value.Truth) value.Truth {
	for _, x := range nodes {
		m := x.eval(env)
		switch anyOf(m.values(), test) {
		case value.True:
			return value.True
		case value.Unknown:
			result = value.Unknown
		}
	}
	return result
}

func (n *textMatch) one(v, p value.Value) value.Truth {
	if p.IsNull() {
		return value.Unknown
	}
	testable := v.IsText() || n.numbers && v.IsNumber()
	if n.op == eql.Seq && (p.Kind() != value.KindString || !testable || !value.IsGlob(p.Text())) {
		return n.rules.Equal(v, p)
	}
	if !testable {
		return value.False
	}
	return value.TruthOf(n.matches(v.Text(), p.Text()))
}

func (n *textMatch) matches(s, pattern string) bool {
	switch n.op {
	case eql.Seq, eql.Like:
		return value.Glob(pattern, s, n.fold)
	case eql.Regex:
		return n.regex(s, pattern)
	}
	if n.fold {
		s, pattern = value.Lower(s), value.Lower(pattern)
	}
	switch n.op {
	case eql.Contains:
		return strings.Contains(s, pattern)
	case eql.StartsWith:
		return strings.HasPrefix(s, pattern)
	}
	return strings.HasSuffix(s, pattern)
}
