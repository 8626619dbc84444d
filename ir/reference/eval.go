package reference

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// Env is what a condition can read.
type Env struct {
	Event   *event.Event
	Stages  []*event.Event          // what earlier stages took, by stage; for runs the last; nil where none is known
	Lineage func(n ir.Lineage) bool // nil: no process is known
}

// Eval is the truth of a condition that reads one event.
func Eval(n ir.Node, ev *event.Event) ir.Truth { return EvalIn(n, &Env{Event: ev}) }

// EvalIn is the truth of a condition.
func EvalIn(n ir.Node, env *Env) ir.Truth {
	ev := env.Event
	switch n := n.(type) {
	case ir.And:
		result := ir.True
		for _, a := range n.Args {
			switch EvalIn(a, env) {
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
			switch EvalIn(a, env) {
			case ir.True:
				return ir.True
			case ir.Null:
				result = ir.Null
			}
		}
		return result
	case ir.Not:
		return EvalIn(n.Arg, env).Not()
	case ir.IsTrue:
		return truth(EvalIn(n.Arg, env) == ir.True)
	case ir.Const:
		return n.Value
	case ir.Present:
		_, ok := Values(n.Field, ev)
		return truth(ok)
	case ir.Test:
		return test(n.X, env)
	case ir.IsNull:
		return isNull(n.X, env)
	case ir.Lineage:
		return truth(env.Lineage != nil && env.Lineage(n))
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
			if ir.Apply(ir.FnEq, n.Fold, []any{v, w}) == true {
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
