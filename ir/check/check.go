// Package check gives a parsed query its meaning: it resolves fields against the event schema, checks types, folds
// constants and lowers the tree to package ir. Host only. Everything that is wrong with a query is reported, each thing
// at its place.
package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// Globals are the lists that $NAME stands for: strings and integers.
type Globals map[string][]any

// checker is one pass over one query.
type checker struct {
	src      *eql.Source
	dialect  eql.Dialect
	globals  Globals
	category event.Category
	aliases  map[string]bool
	diags    eql.Diagnostics
	parsed   int // of diags, those of the parser
}

// Rule lowers a query that the parser had the diagnostics parsed for; they are part of the result, so that all that is
// wrong with a query is said at once. The rule has stages, keys and maxspan; its id and the rest are the caller's. It is
// usable when the diagnostics hold no error.
func Rule(q *eql.Query, parsed eql.Diagnostics, globals Globals) (ir.Rule, eql.Diagnostics) {
	c := &checker{src: q.Source, dialect: q.Dialect, globals: globals, category: event.CategoryAny, aliases: make(map[string]bool)}
	c.diags, c.parsed = append(c.diags, parsed...), len(parsed)
	if !parsed.HasErrors() {
		c.diags = append(c.diags, eql.Check(q)...)
	}
	var r ir.Rule
	switch q.Kind {
	case eql.KindEvent:
	case eql.KindSequence:
		r.Sequence = true
	case eql.KindSample, eql.KindJoin:
		c.errorf(q.Span, "", "%s queries are not supported by this version", q.Kind)
		return r, c.diags
	}
	if len(q.Pipes) > 0 {
		c.errorf(q.Pipes[0].Span, "", "pipes are not supported in rules: a rule sees events as they come")
	}
	if q.MaxSpan != nil {
		r.MaxSpan = q.MaxSpan.Duration()
	}
	if len(q.Stages) > limits.StagesMax-1 {
		c.errorf(q.Stages[limits.StagesMax-1].Span, "", "%d steps (max %d)", len(q.Stages), limits.StagesMax-1)
	}
	keys := c.keys(q.By)
	for _, s := range q.Stages {
		r.Stages = append(r.Stages, c.stage(s, keys))
	}
	if q.Until != nil {
		u := c.stage(q.Until, keys)
		r.Until = &u
	}
	if r.Sequence && !c.diags.HasErrors() {
		c.sameKeys(q, &r)
	}
	slices.SortStableFunc(c.diags, func(a, b eql.Diagnostic) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	return r, c.diags
}

// Expr lowers a bare condition, such as that of a suppression, for events of any category.
func Expr(src *eql.Source, x eql.Expr, d eql.Dialect, globals Globals) (ir.Node, eql.Diagnostics) {
	c := &checker{src: src, dialect: d, globals: globals, category: event.CategoryAny}
	n := c.boolean(x)
	return ir.Simplify(n), c.diags
}

// errorf reports an error once: not what was said of the same place before, nor what the parser has complained of.
func (c *checker) errorf(at eql.Span, hint, format string, args ...any) {
	d := c.src.Errorf(at, hint, format, args...)
	for i, e := range c.diags {
		if e.Severity == eql.Error && e.Span.Start == at.Start && (i < c.parsed || e.Msg == d.Msg) {
			return
		}
	}
	c.diags = append(c.diags, d)
}

func (c *checker) warnf(at eql.Span, hint, format string, args ...any) {
	c.diags = append(c.diags, c.src.Warnf(at, hint, format, args...))
}

func (c *checker) stage(s *eql.Stage, common []ir.Key) ir.Stage {
	for _, u := range []struct {
		used bool
		what string
	}{{s.Missing, "missing events ![ ] are"}, {s.Runs > 1, "with runs is"}, {s.Fork, "fork is"}} {
		if u.used {
			c.errorf(s.Span, "", "%s not supported by this version", u.what)
		}
	}
	if s.Name != "" {
		c.aliases[s.Name] = true
	}
	out := ir.Stage{Category: event.CategoryAny, Cond: never}
	if s.Event == nil || s.Event.Where == nil || !s.Event.Any && s.Event.Category == "" {
		// The parser has said what is missing.
		return out
	}
	if !s.Event.Any {
		var ok bool
		if out.Category, ok = event.CategoryByName(s.Event.Category); !ok {
			c.errorf(s.Event.CategorySpan, DidYouMean(s.Event.Category, categories()),
				"no events of category %q (there are %s)", s.Event.Category, strings.Join(categories(), ", "))
			out.Category = event.CategoryAny
		}
	}
	c.category = out.Category
	out.Keys = slices.Concat(common, c.keys(s.By))
	out.Cond = ir.Simplify(c.boolean(s.Event.Where))
	if k, ok := out.Cond.(ir.Const); ok && k.Value != ir.True && !c.diags.HasErrors() {
		c.warnf(s.Event.Range(), "", "this condition is never true")
		return out
	}
	if !c.diags.HasErrors() {
		c.captured(s, &out)
	}
	return out
}

func categories() []string {
	names := []string{"any"}
	for k := event.CategoryProcess; k < event.Categories; k++ {
		names = append(names, k.String())
	}
	return names
}

func (c *checker) keys(by []eql.Expr) []ir.Key {
	var keys []ir.Key
	for _, x := range by {
		f, ok := x.(*eql.Field)
		if !ok {
			c.errorf(x.Range(), "", "a join key must be a field")
			continue
		}
		if id, ok := c.field(f); ok {
			if id.Kind() == event.KindStrings {
				c.errorf(f.Span, "", "%s has several values; as a join key that is not supported by this version", f.Path())
			}
			keys = append(keys, ir.Key{Field: id, Optional: f.Optional})
		} else if f.Optional {
			c.errorf(f.Span, "", "an optional join key must be a field of the schema")
		}
	}
	return keys
}

func (c *checker) sameKeys(q *eql.Query, r *ir.Rule) {
	stages, spans := slices.Clone(r.Stages), make([]eql.Span, 0, len(q.Stages)+1)
	for _, s := range q.Stages {
		spans = append(spans, s.Span)
	}
	if r.Until != nil {
		stages, spans = append(stages, *r.Until), append(spans, q.Until.Span)
	}
	if n := len(stages[0].Keys); n > limits.KeysMax {
		c.errorf(spans[0], "", "%d join keys (max %d)", n, limits.KeysMax)
		return
	}
	for i := range stages {
		if len(stages[i].Keys) != len(stages[0].Keys) {
			c.errorf(spans[i], "", "%d join keys, the first step has %d", len(stages[i].Keys), len(stages[0].Keys))
			return
		}
		for j, k := range stages[i].Keys {
			a, b := stages[0].Keys[j].Field.Kind(), k.Field.Kind()
			if !comparable(a, b) {
				c.errorf(spans[i], "", "join key %s is %s, in the first step %s is %s", event.FieldByID(k.Field).Name,
					kindName(b), event.FieldByID(stages[0].Keys[j].Field).Name, kindName(a))
			}
		}
	}
}

// comparable tells kinds whose values can be equal.
func comparable(a, b event.Kind) bool { return family(a) == family(b) }

// family is one of the kinds that compare with each other.
func family(k event.Kind) event.Kind {
	switch k {
	case event.KindStrings:
		return event.KindString
	case event.KindID:
		return event.KindInt
	}
	return k
}

// kindName is the kind with its article.
func kindName(k event.Kind) string {
	name := k.String()
	if strings.ContainsRune("aeiou", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

// field resolves a field name. An unknown one is reported unless it is optional: then it is null in every event.
func (c *checker) field(f *eql.Field) (event.FieldID, bool) {
	name := f.Path()
	if known := event.FieldByName(name); known != nil {
		c.carried(f, known)
		return known.ID, true
	}
	if f.Optional {
		return 0, false
	}
	if first, _, ok := strings.Cut(name, "."); ok && c.aliases[first] {
		c.errorf(f.Span, "", "fields of an earlier step (%s) are not supported by this version", name)
		return 0, false
	}
	c.errorf(f.Span, DidYouMean(name, fieldNames()), "unknown field %s", name)
	return 0, false
}

// carried warns of a field that no event of the query's category has.
func (c *checker) carried(f *eql.Field, known *event.Field) {
	if c.category == event.CategoryAny {
		return
	}
	for i := range event.Types {
		t := &event.Types[i]
		if t.Category == c.category && known.ID.CarriedBy(t.Class) {
			return
		}
	}
	c.warnf(f.Span, "", "%s events have no %s: the test is null", c.category, known.Name)
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
