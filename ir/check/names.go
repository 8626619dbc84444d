package check

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// fieldRef is a field of the event itself, or of the event that an earlier step took.
type fieldRef struct {
	id    event.FieldID
	stage int // ir.Own, or the step
}

// field resolves a field name. An unknown one is reported unless it is optional: then it is null in every event.
func (c *checker) field(f *eql.Field) (fieldRef, bool) {
	name := f.Path()
	if known := event.FieldByName(name); known != nil {
		c.carried(f, known, c.category)
		return fieldRef{known.ID, ir.Own}, true
	}
	if ref, ok, isStep := c.stepField(f); isStep {
		return ref, ok
	}
	if f.Optional {
		return fieldRef{}, false
	}
	if c.errors >= eql.MaxDiagnostics {
		c.errors++ // what is nearest takes longer to find than the rest of the query
		return fieldRef{}, false
	}
	for _, p := range f.Parts {
		if p.IsIndex {
			c.errorf(f.Span, "a test of an array holds when it does for any element",
				"rules read no single element of an array, found %s", name)
			return fieldRef{}, false
		}
	}
	c.errorf(f.Span, DidYouMean(name, fieldNames()), "unknown field %s", name)
	return fieldRef{}, false
}

// stepField resolves NAME.FIELD, where NAME is that of a step.
func (c *checker) stepField(f *eql.Field) (ref fieldRef, ok, isStep bool) {
	if len(f.Parts) < 2 || f.Parts[0].IsIndex {
		return ref, false, false
	}
	name := f.Parts[0].Name
	i := slices.IndexFunc(c.steps, func(s step) bool { return s.name == name })
	if i < 0 || name == "" {
		return ref, false, false
	}
	rest := (&eql.Field{Parts: f.Parts[1:]}).Path()
	known := event.FieldByName(rest)
	switch {
	case c.blind != "":
		c.errorf(f.Span, "", "%s cannot be read here: %s", f.Path(), c.blind)
	case c.at == noStep:
		c.errorf(f.Span, "", "%s cannot be read here: no step has taken an event yet", f.Path())
	case i == c.at:
		c.errorf(f.Span, "write "+rest, "`%s` is this step, its fields need no name before them", name)
	case i > c.at:
		c.errorf(f.Span, "", "step %d cannot read `%s`, which is step %d: only earlier steps are known", c.at+1, name, i+1)
	case known == nil && f.Optional:
	case known == nil:
		c.errorf(f.Span, DidYouMean(rest, fieldNames()), "unknown field %s of step `%s`", rest, name)
	default:
		c.carried(f, known, c.steps[i].category)
		return fieldRef{known.ID, i}, true, true
	}
	return ref, false, true
}

// carried warns of a field that no event of a category has. Who writes ?field knows.
func (c *checker) carried(f *eql.Field, known *event.Field, category event.Category) {
	if category == event.CategoryAny || f.Optional {
		return
	}
	for i := range event.Types {
		t := &event.Types[i]
		if t.Category == category && known.ID.CarriedBy(t.Class) {
			return
		}
	}
	c.warnf(f.Span, "", "%s events have no %s: the test is null", category, known.Name)
}

func fieldNames() []string {
	names := make([]string, len(event.Fields))
	for i := range event.Fields {
		names[i] = event.Fields[i].Name
	}
	return names
}

// DidYouMean offers the names nearest to a wrong one, as a hint; empty when none is near.
func DidYouMean(wrong string, names []string) string {
	type near struct {
		name string
		d    int
	}
	var found []near
	for _, n := range names {
		d := distance(strings.ToLower(wrong), strings.ToLower(n))
		if strings.HasSuffix(n, "."+wrong) || strings.HasPrefix(n, wrong) {
			d = 1
		}
		if d <= max(2, len(wrong)/4) && 2*d < len(wrong) {
			found = append(found, near{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.d - b.d })
	const offersMax = 3
	var offers []string
	for _, n := range found[:min(len(found), offersMax)] {
		offers = append(offers, n.name)
	}
	if len(offers) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(offers, ", ") + "?"
}

// distance is the number of letters to insert, delete, replace or swap with the next (Damerau, restricted).
func distance(a, b string) int {
	const long = 256 // names of the schema are shorter; a longer one is nobody's misspelling
	if len(a) > long || len(b) > long {
		return long
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
