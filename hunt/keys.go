package hunt

import (
	"cmp"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// keysMax bounds the joins of one event at one step: the product of the lengths of its key arrays.
const keysMax = 1 << 16

var errKeys = errors.New("an event has more than " + strconv.Itoa(keysMax) + " combinations of join keys")

// joined is one combination of key values. Two are the same when their texts are.
type joined struct {
	text   string
	values []value.Value
}

// keyRules say which values are the same key.
type keyRules struct {
	fold    bool // strings in either case
	numeric bool // a string that is written as a number is that number
}

// joins are the keys of an event at a step: one, none when a key that must be there is null, several when keys are
// arrays.
func (s *stage) joins(env *expr.Env, rules keyRules) []joined {
	list := []joined{{}}
	for _, k := range s.keys {
		values := k.x.Values(env)
		if len(values) > 1 {
			values = distinct(values, rules)
		}
		next := make([]joined, 0, len(list)*len(values))
		if len(list)*len(values) > keysMax {
			env.Err = errKeys
			return nil
		}
		for _, j := range list {
			for _, v := range values {
				if v.IsNull() && !k.optional {
					continue
				}
				next = append(next, joined{j.text + rules.text(v), append(slices.Clip(j.values), v)})
			}
		}
		list = next
	}
	return list
}

// fits gives the steps that an event fits, each once for every key that the event has there.
func (h *Hunt) fits(env *expr.Env, rules keyRules) iter.Seq2[int, joined] {
	return func(yield func(int, joined) bool) {
		for i, st := range h.stages {
			if !st.holds(env) {
				continue
			}
			for _, key := range st.joins(env, rules) {
				if !yield(i, key) {
					return
				}
			}
		}
	}
}

// distinct sorts the values of an array and leaves out null, unless there is nothing else, and what is there twice.
func distinct(values []value.Value, rules keyRules) []value.Value {
	list := slices.DeleteFunc(slices.Clone(values), value.Value.IsNull)
	if len(list) == 0 {
		return []value.Value{value.Null}
	}
	slices.SortStableFunc(list, compareValues)
	return slices.CompactFunc(list, func(a, b value.Value) bool { return rules.text(a) == rules.text(b) })
}

// text writes a value so that it can stand beside others: its length goes before it.
func (r keyRules) text(v value.Value) string {
	s := r.canonical(v)
	return strconv.Itoa(len(s)) + ":" + s
}

// canonical begins with a letter for what can be equal to each other.
func (r keyRules) canonical(v value.Value) string {
	switch {
	case v.IsNull():
		return "-"
	case v.Kind() == value.KindInt:
		return "n" + v.Text()
	case v.Kind() == value.KindFloat:
		if f := v.AsFloat(); f == float64(int64(f)) && f > -1<<63 && f < 1<<63 {
			return "n" + strconv.FormatInt(int64(f), 10)
		}
		return "n" + v.Text()
	case v.Kind() == value.KindDate:
		return "d" + strconv.FormatInt(v.AsInt(), 10)
	case v.Kind() == value.KindIP:
		if a, err := netip.ParseAddr(v.Text()); err == nil {
			return "s" + a.Unmap().String()
		}
	case v.IsText():
		if n, ok := value.Canonical(v.Text()); ok && r.numeric {
			return "n" + n.Text()
		}
	default:
		return "o" + v.Text()
	}
	if r.fold {
		return "s" + value.Lower(v.Text())
	}
	return "s" + v.Text()
}

// compareValues is an order of all values: null first, then what can be compared, then by kind.
func compareValues(a, b value.Value) int {
	if a.IsNull() || b.IsNull() {
		return cmp.Compare(presence(a), presence(b))
	}
	if c, ok := (value.Rules{}).Order(a, b); ok {
		return c
	}
	if c := cmp.Compare(a.Kind(), b.Kind()); c != 0 {
		return c
	}
	return strings.Compare(a.Text(), b.Text())
}

func presence(v value.Value) int {
	if v.IsNull() {
		return 0
	}
	return 1
}
