package reference

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// values is what an expression is evaluated with: an event, those before it, and which element of each array it is
// that a test goes through just now.
type values struct {
	env      *Env
	elements map[ir.Value]any
}

// test is the truth of a computed value: over arrays, true when some combination of elements makes it true, and false
// when none does and some makes it false.
func test(x ir.Expr, env *Env) ir.Truth {
	result := ir.Null
	combinations(x, env, func(v any) {
		if b, ok := v.(bool); ok {
			result = max(result, truth(b)) // null is less than false, false less than true
		}
	})
	return result
}

// isNull is true when no combination of elements gives a value.
func isNull(x ir.Expr, env *Env) ir.Truth {
	result := ir.True
	combinations(x, env, func(v any) {
		if v != nil {
			result = ir.False
		}
	})
	return result
}

// combinations evaluates an expression for each combination of the elements of the arrays that it reads. An array that
// is not there is null once.
func combinations(x ir.Expr, env *Env, each func(any)) {
	v := values{env, make(map[ir.Value]any)}
	var through func(arrays []ir.Value)
	through = func(arrays []ir.Value) {
		if len(arrays) == 0 {
			each(v.expr(x))
			return
		}
		elements := []any{nil}
		if list, ok := elementsOf(arrays[0], env); ok {
			elements = list
		}
		for _, e := range elements {
			v.elements[arrays[0]] = e
			through(arrays[1:])
		}
	}
	through(arraysOf(x))
}

// arraysOf lists the arrays that an expression reads, each once. Conditions inside it go through theirs by themselves.
func arraysOf(x ir.Expr) (list []ir.Value) {
	ir.WalkExpr(x, nil, func(x ir.Expr) bool {
		v, ok := x.(ir.Value)
		if ok && v.Field.Kind() == event.KindStrings && !slices.Contains(list, v) {
			list = append(list, v)
		}
		_, isCond := x.(ir.Cond)
		return !isCond
	})
	return list
}

func elementsOf(v ir.Value, env *Env) ([]any, bool) {
	ev := eventOf(v.Stage, env)
	if ev == nil {
		return nil, false
	}
	texts, ok := Values(v.Field, ev)
	var list []any
	for _, t := range texts {
		list = append(list, t)
	}
	return list, ok
}

// eventOf is the event of a stage, nil when it is not known.
func eventOf(stage int, env *Env) *event.Event {
	if stage == ir.Own {
		return env.Event
	}
	if stage >= len(env.Stages) {
		return nil
	}
	return env.Stages[stage]
}

// expr is the value of an expression: nil, bool, int64, float64 or string.
func (v values) expr(x ir.Expr) any {
	switch x := x.(type) {
	case ir.Value:
		return v.field(x)
	case ir.Lit:
		return x.Value
	case ir.Op:
		var args []any
		for _, a := range x.Args {
			args = append(args, v.expr(a))
		}
		return ir.Apply(x.Fn, x.Fold, args)
	case ir.Match:
		s, ok := v.expr(x.X).(string)
		if !ok {
			return nil
		}
		for _, p := range x.Patterns {
			p := build.Pattern{Kind: build.Kind(p.Kind), Text: p.Text, Fold: p.Fold}
			if build.Match(p, build.Options{}, []byte(s)) {
				return true
			}
		}
		return false
	case ir.InNet:
		s, ok := v.expr(x.X).(string)
		if !ok {
			return nil
		}
		return inNet(s, x.Prefixes)
	case ir.Cond:
		switch EvalIn(x.Node, v.env) {
		case ir.True:
			return true
		case ir.False:
			return false
		}
		return nil
	}
	panic(fmt.Sprintf("BUG: no meaning of %T", x))
}

func (v values) field(x ir.Value) any {
	if x.Field.Kind() == event.KindStrings {
		return v.elements[x]
	}
	ev := eventOf(x.Stage, v.env)
	if ev == nil {
		return nil
	}
	texts, ok := Values(x.Field, ev)
	if !ok {
		return nil
	}
	switch x.Field.Kind() {
	case event.KindInt, event.KindID:
		n, _ := ev.Int(x.Field)
		return n
	case event.KindBool:
		n, _ := ev.Int(x.Field)
		return n != 0
	case event.KindTime:
		n, _ := ev.Int(x.Field)
		return time.Unix(0, n).UnixMilli()
	}
	return texts[0]
}

func inNet(s string, prefixes []netip.Prefix) bool {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return false
	}
	for _, p := range prefixes {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
