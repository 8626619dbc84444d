package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// joinKeys are the keys by which an event takes part: one, or one for each combination of the elements of arrays, equal
// ones once, and no more combinations than the limit. None when a value is null that must not be.
func joinKeys(keys []ir.Key, ev *event.Event) []string {
	combinations := []string{""}
	for _, k := range keys {
		texts := []string{"null"}
		if vs, ok := Values(k.Field, ev); ok {
			texts = nil
			for _, v := range vs {
				texts = append(texts, fmt.Sprintf("%q", v))
			}
		} else if !k.Optional {
			return nil
		}
		var longer []string
		for _, c := range combinations {
			for _, t := range texts {
				longer = append(longer, c+t+",")
			}
		}
		combinations = longer[:min(len(longer), limits.CombosMax)]
	}
	var list []string
	for _, c := range combinations {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// stagesRead are the stages whose events the conditions of a rule read.
func stagesRead(r *ir.Rule) (list []int) {
	for _, st := range r.Conditions() {
		// What no event could make a difference to is not read: the same rule must have the same states everywhere.
		for _, v := range ir.Values(ir.Simplify(st.Cond)) {
			if v.Stage != ir.Own {
				list = append(list, v.Stage)
			}
		}
	}
	return list
}

// unique joins texts in a form that differs when they do.
func unique(texts ...string) string { return strings.Join(texts, "\x00") }
