// Package reference executes typed rules the obvious way: condition by condition, rule by rule, with maps and as much
// memory as it takes. It is what the engine must agree with, and what explains to a rule author why an event did not match.
// It shares no code with the automata.
package reference

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// Match is one rule that matched and the events that made it.
type Match struct {
	Rule   int
	Events []uint64
}

// Interpreter holds the pending sequences of a rule set.
type Interpreter struct {
	rules   []ir.Rule
	pending []map[string]map[int]*partial // by rule, key and the stage that came last
}

type partial struct {
	start  uint64
	events []uint64
}

// New prepares an interpreter.
func New(rules []ir.Rule) *Interpreter {
	i := &Interpreter{rules: rules}
	for range rules {
		i.pending = append(i.pending, make(map[string]map[int]*partial))
	}
	return i
}

// Event takes the next event and returns what it completes, in the order of the rules.
func (in *Interpreter) Event(ev *event.Event) []Match {
	var out []Match
	for r := range in.rules {
		rule := &in.rules[r]
		if !rule.Sequence {
			if stageHolds(&rule.Stages[0], ev) {
				out = append(out, Match{r, []uint64{ev.Own.ID()}})
			}
			continue
		}
		out = append(out, in.sequence(r, rule, ev)...)
	}
	return out
}

func (in *Interpreter) sequence(r int, rule *ir.Rule, ev *event.Event) []Match {
	var out []Match
	for s := len(rule.Stages) - 1; s >= 0; s-- {
		stage := &rule.Stages[s]
		key, ok := joinKey(stage.Keys, ev)
		if !ok || !stageHolds(stage, ev) {
			continue
		}
		at := in.pending[r][key]
		if s == 0 {
			if at == nil {
				at = make(map[int]*partial)
				in.pending[r][key] = at
			}
			at[0] = &partial{ev.Own.Time(), []uint64{ev.Own.ID()}}
			continue
		}
		p := at[s-1]
		if p == nil {
			continue
		}
		delete(at, s-1)
		if rule.MaxSpan > 0 && time.Duration(int64(ev.Own.Time())-int64(p.start)) > rule.MaxSpan {
			continue
		}
		p.events = append(p.events, ev.Own.ID())
		if s == len(rule.Stages)-1 {
			out = append(out, Match{r, p.events})
			continue
		}
		at[s] = p
	}
	if rule.Until != nil {
		if key, ok := joinKey(rule.Until.Keys, ev); ok && stageHolds(rule.Until, ev) {
			delete(in.pending[r], key)
		}
	}
	return out
}

func joinKey(keys []ir.Key, ev *event.Event) (string, bool) {
	var parts []string
	for _, k := range keys {
		v, ok := Values(k.Field, ev)
		if !ok {
			if !k.Optional {
				return "", false
			}
			parts = append(parts, "null")
			continue
		}
		parts = append(parts, fmt.Sprintf("%q", v))
	}
	return strings.Join(parts, ","), true
}

func stageHolds(s *ir.Stage, ev *event.Event) bool {
	if s.Category != event.CategoryAny && s.Category != ev.Cat {
		return false
	}
	return Eval(s.Cond, ev) == ir.True
}

// Eval is the truth of a condition for an event.
func Eval(n ir.Node, ev *event.Event) ir.Truth {
	switch n := n.(type) {
	case ir.And:
		result := ir.True
		for _, a := range n.Args {
			switch Eval(a, ev) {
			case ir.False:
				return ir.False
			case ir.Null:
				result = ir.Null
			}
		}
		return result
	case ir.Or:
		result := ir.False
		for _, a := range n.Args {
			switch Eval(a, ev) {
			case ir.True:
				return ir.True
			case ir.Null:
				result = ir.Null
			}
		}
		return result
	case ir.Not:
		return Eval(n.Arg, ev).Not()
	case ir.IsTrue:
		return truth(Eval(n.Arg, ev) == ir.True)
	case ir.Const:
		return n.Value
	case ir.Present:
		_, ok := Values(n.Field, ev)
		return truth(ok)
	}
	return leaf(n, ev)
}

func leaf(n ir.Node, ev *event.Event) ir.Truth {
	switch n := n.(type) {
	case ir.StringTest:
		return anyOf(n.Field, ev, func(v string) bool {
			for _, p := range n.Patterns {
				if build.Match(build.Pattern{Kind: build.Kind(p.Kind), Text: p.Text, Fold: p.Fold}, build.Options{}, []byte(v)) {
					return true
				}
			}
			return false
		})
	case ir.IntTest:
		return number(n.Field, ev, func(v int64) bool { return ordered(n.Cmp, v, n.Value) })
	case ir.IntIn:
		return number(n.Field, ev, func(v int64) bool {
			for _, w := range n.Values {
				if v == w {
					return true
				}
			}
			return false
		})
	case ir.IPIn:
		v, ok := ev.Bytes(n.Field)
		if !ok {
			return ir.Null
		}
		a, _ := netip.AddrFromSlice(v)
		for _, p := range n.Prefixes {
			if p.Contains(a.Unmap()) {
				return ir.True
			}
		}
		return ir.False
	case ir.StringOrder:
		return anyOf(n.Field, ev, func(v string) bool {
			return ordered(n.Cmp, int64(strings.Compare(v, n.Value)), 0)
		})
	case ir.FieldTest:
		return fieldTest(n, ev)
	}
	panic(fmt.Sprintf("BUG: no meaning of %T", n))
}

func fieldTest(n ir.FieldTest, ev *event.Event) ir.Truth {
	if n.Left.Kind().IsNumber() {
		a, ok := ev.Int(n.Left)
		b, ok2 := ev.Int(n.Right)
		if !ok || !ok2 {
			return ir.Null
		}
		return truth(ordered(n.Cmp, a, b))
	}
	right, ok := Values(n.Right, ev)
	if !ok {
		return ir.Null
	}
	equal := anyOf(n.Left, ev, func(v string) bool {
		for _, w := range right {
			if v == w || n.Fold && strings.EqualFold(v, w) {
				return true
			}
		}
		return false
	})
	if n.Cmp == ir.Ne {
		return equal.Not()
	}
	return equal
}

func truth(b bool) ir.Truth {
	if b {
		return ir.True
	}
	return ir.False
}

func anyOf(f event.FieldID, ev *event.Event, holds func(string) bool) ir.Truth {
	vs, ok := Values(f, ev)
	if !ok {
		return ir.Null
	}
	for _, v := range vs {
		if holds(v) {
			return ir.True
		}
	}
	return ir.False
}

func number(f event.FieldID, ev *event.Event, holds func(int64) bool) ir.Truth {
	v, ok := ev.Int(f)
	if !ok {
		return ir.Null
	}
	return truth(holds(v))
}

func ordered(op ir.Cmp, a, b int64) bool {
	return [...]bool{ir.Eq: a == b, ir.Ne: a != b, ir.Lt: a < b, ir.Le: a <= b, ir.Gt: a > b, ir.Ge: a >= b}[op]
}

// Values are the texts of a field's value: one, or those of an array's elements.
func Values(f event.FieldID, ev *event.Event) ([]string, bool) {
	switch f.Kind() {
	case event.KindString:
		v, ok := ev.Bytes(f)
		if f.NulIsSpace() {
			v = bytes.ReplaceAll(v, []byte{0}, []byte{' '})
		}
		return []string{string(v)}, ok
	case event.KindStrings:
		v, ok := ev.Bytes(f)
		return strings.Split(string(v), "\x00"), ok
	case event.KindIP:
		v, ok := ev.Bytes(f)
		if !ok {
			return nil, false
		}
		a, _ := netip.AddrFromSlice(v)
		return []string{a.String()}, true
	case event.KindBool:
		v, ok := ev.Int(f)
		return []string{strconv.FormatBool(v != 0)}, ok
	case event.KindEntity:
		v, ok := ev.Int(f)
		return []string{"0x" + strconv.FormatUint(uint64(v), 16)}, ok
	}
	v, ok := ev.Int(f)
	return []string{strconv.FormatInt(v, 10)}, ok
}
