package explain

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// What one tree, one joint, one value and one list show at most. A rule may have thousands of tests and a value thousands
// of bytes; nobody reads them on a terminal.
const (
	nodesShown    = 400
	argsShown     = 40
	valueShown    = 200 // bytes
	elementsShown = 12
)

// Node is a part of a condition and what it came to.
type Node struct {
	Text  string  `json:"text"`
	Truth string  `json:"truth,omitempty"`
	Seen  string  `json:"seen,omitempty"` // the values it looked at
	Args  []*Node `json:"args,omitempty"`

	truth ir.Truth
	score float64 // how much of it holds, 0 .. 1
}

// tree makes the nodes of a condition.
type tree struct {
	env  *reference.Env
	rule *ir.Rule
	left int // nodes that may still be made
}

func newTree(env *reference.Env, r *ir.Rule) *tree { return &tree{env: env, rule: r, left: nodesShown} }

// node explains a condition. What is not shown is still evaluated.
func (t *tree) node(n ir.Node) *Node {
	truth := reference.EvalIn(n, t.env)
	out := &Node{Truth: truth.String(), truth: truth}
	if truth == ir.True {
		out.score = 1
	}
	switch n := n.(type) {
	case ir.And:
		args := flat[ir.And](n)
		out.Text, out.score = "and", 0
		t.args(out, args, ir.True)
		for _, a := range args {
			out.score += t.score(a) / float64(len(args))
		}
	case ir.Or:
		out.Text, out.score = "or", t.score(n)
		t.args(out, flat[ir.Or](n), ir.False)
	case ir.Not:
		arg := n.Arg
		out.Text = "not"
		if s, ok := arg.(ir.IsTrue); ok {
			out.Text, arg = "not suppressed", s.Arg
		}
		t.args(out, []ir.Node{arg}, truth)
	case ir.IsTrue:
		out.Text = "holds"
		t.args(out, []ir.Node{n.Arg}, truth)
	default:
		out.Text, out.Seen = cutText(ir.Describe(n)), t.seen(n)
	}
	return out
}

// flat is the parts of a joint J, also those of parts joined by the same.
func flat[J ir.Node](n ir.Node) (list []ir.Node) {
	ir.Walk(n, func(n ir.Node) bool {
		_, joint := n.(J)
		if !joint {
			list = append(list, n)
		}
		return joint
	}, nil)
	return list
}

// score is how much of a condition holds: of an and the part of its arguments, of an or the best of them.
func (t *tree) score(n ir.Node) (score float64) {
	switch n := n.(type) {
	case ir.And:
		args := flat[ir.And](n)
		for _, a := range args {
			score += t.score(a) / float64(len(args))
		}
		return score
	case ir.Or:
		for _, a := range n.Args {
			score = max(score, t.score(a))
		}
		return score
	}
	if reference.EvalIn(n, t.env) == ir.True {
		return 1
	}
	return 0
}

// args adds the arguments of a joint. Of too many those that decide come first; unit is the value that decides nothing.
func (t *tree) args(out *Node, args []ir.Node, unit ir.Truth) {
	shown := args
	if len(args) > argsShown {
		var rest []ir.Node
		shown = nil
		for _, a := range args {
			if reference.EvalIn(a, t.env) != unit {
				shown = append(shown, a)
			} else {
				rest = append(rest, a)
			}
		}
		shown = append(shown, rest...)[:argsShown]
	}
	for i, a := range shown {
		if t.left--; t.left < 0 {
			shown = shown[:i]
			break
		}
		out.Args = append(out.Args, t.node(a))
	}
	if more := len(args) - len(shown); more > 0 {
		out.Args = append(out.Args, &Node{Text: fmt.Sprintf("%d more", more)})
	}
}

// Blame is the part of a condition that keeps it from being true; nil when it is true.
func (n *Node) Blame() *Node {
	switch {
	case n.Truth == "" || n.truth == ir.True:
		return nil
	case n.Text != "and":
		return n
	}
	only := *n
	only.Args = nil
	for _, a := range n.Args {
		if b := a.Blame(); b != nil {
			only.Args = append(only.Args, b)
		}
	}
	if len(only.Args) == 1 {
		return only.Args[0]
	}
	return &only
}

// seen is what a test looked at.
func (t *tree) seen(n ir.Node) string {
	switch n := n.(type) {
	case ir.Test:
		return t.values(n.X)
	case ir.IsNull:
		return t.values(n.X)
	case ir.Lineage:
		return t.values(ir.Value{Field: event.FieldEntityID, Stage: ir.Own},
			ir.Value{Field: event.FieldParentEntityID, Stage: ir.Own})
	case ir.FieldTest:
		return t.values(ir.Value{Field: n.Left, Stage: ir.Own}, ir.Value{Field: n.Right, Stage: ir.Own})
	}
	f, ok := ir.FieldOf(n)
	if !ok {
		return ""
	}
	vs, ok := reference.Values(f, t.env.Event)
	switch {
	case !ok:
		return "the event has none"
	case f.Kind() == event.KindStrings:
		return "they are " + list(vs)
	}
	return "it is " + quote(vs[0])
}

// values are the fields that computed values and the conditions in them read, each once.
func (t *tree) values(xs ...ir.Expr) string {
	var parts []string
	said := make(map[ir.Value]bool)
	say := func(v ir.Value) {
		if said[v] || len(parts) >= elementsShown {
			return
		}
		said[v] = true
		parts = append(parts, t.value(v))
	}
	for _, x := range xs {
		ir.WalkExpr(x, func(n ir.Node) bool {
			if f, ok := ir.FieldOf(n); ok {
				say(ir.Value{Field: f, Stage: ir.Own})
			}
			return true
		}, func(x ir.Expr) bool {
			if v, ok := x.(ir.Value); ok {
				say(v)
			}
			return true
		})
	}
	return strings.Join(parts, ", ")
}

func (t *tree) value(v ir.Value) string {
	name, ev := event.FieldByID(v.Field).Name, t.env.Event
	if v.Stage != ir.Own {
		name = fmt.Sprintf("%s of step %d", name, v.Stage+1)
		if v.Stage >= len(t.env.Stages) || t.env.Stages[v.Stage] == nil {
			return name + " is not known yet"
		}
		ev = t.env.Stages[v.Stage]
	}
	vs, ok := reference.Values(v.Field, ev)
	switch {
	case !ok:
		return name + " is not there"
	case v.Field.Kind() == event.KindStrings:
		return name + " is " + list(vs)
	}
	return name + " is " + quote(vs[0])
}

// quote shows a value, cut where it is too long.
func quote(v string) string {
	if len(v) <= valueShown {
		return fmt.Sprintf("%q", v)
	}
	cut := valueShown
	for cut > 0 && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return fmt.Sprintf("%q and %d bytes more", v[:cut], len(v)-cut)
}

func list(vs []string) string {
	parts := make([]string, 0, elementsShown+1)
	for _, v := range vs[:min(len(vs), elementsShown)] {
		parts = append(parts, quote(v))
	}
	if more := len(vs) - elementsShown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// textShown bounds the description of a test, whose patterns may be long.
const textShown = 1000

func cutText(s string) string {
	if len(s) <= textShown {
		return s
	}
	cut := textShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
