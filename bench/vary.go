package bench

import (
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// ruleSet is what rule sets of other sizes are made from.
type ruleSet struct {
	rules []ir.Rule
	// broad tells the rules with a condition that no literal leads to, only what kind of event it is: it is evaluated for
	// every event of that kind, so a copy costs as much again, whatever its literals are.
	broad []bool
}

func newRuleSet(rules []ir.Rule) (*ruleSet, error) {
	_, rep, err := build.Build(&ir.Ruleset{Name: "scaled", Rules: rules}, build.Options{})
	if err != nil {
		return nil, err
	}
	s := &ruleSet{rules: rules, broad: make([]bool, len(rules))}
	for i := range rules {
		s.broad[i] = rep.Rules[i].Always || slices.ContainsFunc(rep.Rules[i].Index, func(name string) bool {
			f := event.FieldByName(name)
			return f == nil || !varies(f.ID)
		})
	}
	return s, nil
}

// once is how many rules are not copied.
func (s *ruleSet) once() (n int) {
	for _, b := range s.broad {
		if b {
			n++
		}
	}
	return n
}

// scaled makes a rule set of n rules: of fewer than there are an even choice, of more copies whose literals are varied.
// Broad rules stand there once, unless all are such. The same n gives the same rules.
func (s *ruleSet) scaled(n int) []ir.Rule {
	list := make([]ir.Rule, 0, n)
	if n <= len(s.rules) {
		for i := range n {
			list = append(list, s.rules[i*len(s.rules)/n])
		}
		return list
	}
	all := s.once() == len(s.rules)
	for copies := 0; len(list) < n; copies++ {
		for i := range s.rules {
			if len(list) < n && (copies == 0 || all || !s.broad[i]) {
				list = append(list, varier{uint64(copies)}.rule(&s.rules[i]))
			}
		}
	}
	return list
}

// varier makes the rules of one copy. The same literal becomes the same other literal in all rules of a copy, so what
// rules share in the given set they share in the copy. Copy 0 is the given set itself.
type varier struct{ copy uint64 }

func (v varier) rule(r *ir.Rule) ir.Rule {
	if v.copy == 0 {
		return *r
	}
	c := *r
	c.ID += "~" + strconv.FormatUint(v.copy, 10)
	c.Stages = slices.Clone(r.Stages)
	for i := range c.Stages {
		c.Stages[i].Cond = v.node(c.Stages[i].Cond)
	}
	if r.Until != nil {
		until := *r.Until
		until.Cond = v.node(until.Cond)
		c.Until = &until
	}
	return c
}

// node varies the literals of a condition. What stands in a lineage test stays: an image has 64 different ones at most,
// and rules of a kind share them.
func (v varier) node(n ir.Node) ir.Node {
	switch n := n.(type) {
	case ir.And:
		return ir.And{Args: v.nodes(n.Args)}
	case ir.Or:
		return ir.Or{Args: v.nodes(n.Args)}
	case ir.Not:
		return ir.Not{Arg: v.node(n.Arg)}
	case ir.IsTrue:
		return ir.IsTrue{Arg: v.node(n.Arg)}
	case ir.StringTest:
		if varies(n.Field) {
			n.Patterns = v.patterns(n.Patterns)
		}
		return n
	case ir.Test:
		n.X = v.expr(n.X)
		return n
	}
	return n
}

func (v varier) nodes(list []ir.Node) []ir.Node {
	out := make([]ir.Node, len(list))
	for i := range list {
		out[i] = v.node(list[i])
	}
	return out
}

func (v varier) expr(x ir.Expr) ir.Expr {
	switch x := x.(type) {
	case ir.Match:
		x.Patterns = v.patterns(x.Patterns)
		return x
	case ir.Op:
		args := make([]ir.Expr, len(x.Args))
		for i := range x.Args {
			args[i] = v.expr(x.Args[i])
		}
		x.Args = args
		return x
	case ir.Cond:
		return ir.Cond{Node: v.node(x.Node)}
	}
	return x
}

// varies tells the fields that name things of the device: programs, arguments, files. What an event is, as event.action,
// has few values, and a rule that names another than these would be no work at all.
func varies(f event.FieldID) bool {
	k := f.Kind()
	return (k == event.KindString || k == event.KindStrings) && f.Constant() != event.TypeConstant
}

func (v varier) patterns(list []ir.Pattern) []ir.Pattern {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Kind == ir.Regex {
			// A tail that the value must have as well: the regex still runs wherever it ran before.
			out[i].Text = "(" + out[i].Text + ")" + v.tail(out[i].Text)
			continue
		}
		out[i].Text = v.literal(out[i].Text)
	}
	return out
}

// lettersMax bounds the letters of a literal that are replaced: 26 to the fourth is far above any number of copies.
const lettersMax = 4

// literal replaces the last letters and digits of a text, up to half of them: what a scan must read before it can tell
// the copy from the given literal stays.
func (v varier) literal(text string) string {
	b := []byte(text)
	letters := 0
	for _, c := range b {
		if isLetter(c) {
			letters++
		}
	}
	n := min(max(letters/2, 1), lettersMax)
	h := v.hash(text)
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		if isLetter(b[i]) {
			b[i] = 'a' + byte(h%26)
			h /= 26
			n--
		}
	}
	return string(b)
}

func (v varier) tail(text string) string {
	h := v.hash(text)
	b := make([]byte, lettersMax)
	for i := range b {
		b[i] = 'a' + byte(h%26)
		h /= 26
	}
	return string(b)
}

func (v varier) hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	// FNV mixes its low bits last; the copy must change them all.
	x := h.Sum64() + v.copy*0x9e3779b97f4a7c15
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
