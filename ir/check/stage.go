package check

import (
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// step is what later steps can know of one that has a name.
type step struct {
	name     string
	category event.Category
}

// key is a join key as it is written.
type key struct {
	ir.Key
	null bool // an optional field that the schema does not have: null in every event
}

// nameSteps makes the names of all steps known, so that a reference to a later one can be told from a mistake.
func (c *checker) nameSteps(q *eql.Query) {
	for _, s := range q.Stages {
		st := step{name: s.Name, category: event.CategoryAny}
		if s.Event != nil && !s.Event.Any {
			if k, ok := event.CategoryByName(s.Event.Category); ok {
				st.category = k
			}
		}
		c.steps = append(c.steps, st)
		if s.Name != "" && firstOfField(s.Name) {
			c.errorf(s.Span, "take another name", "`%s` is the first word of fields and cannot name a step", s.Name)
		}
	}
}

// firstOfField tells the words that fields of the schema begin with.
func firstOfField(word string) bool {
	for i := range event.Fields {
		if first, _, _ := strings.Cut(event.Fields[i].Name, "."); first == word {
			return true
		}
	}
	return false
}

// stage lowers one step but for its keys.
func (c *checker) stage(s *eql.Stage) (ir.Stage, []key) {
	if s.Fork {
		c.errorf(s.Span, "`kestrel hunt` takes fork", "fork is not for rules: a step takes each event once")
	}
	out := ir.Stage{Missing: s.Missing}
	if s.Runs > 1 && !s.Missing {
		// A missing step that runs forbids the same events as often: once is enough.
		out.Runs = s.Runs
	}
	out.Category, out.Cond = c.event(s.Event)
	c.category = out.Category
	by := c.keys(s.By)
	c.doubtful(s, &out)
	c.category = event.CategoryAny
	return out, by
}

// doubtful warns of a condition that no event fulfils.
func (c *checker) doubtful(s *eql.Stage, st *ir.Stage) {
	if s.Event == nil || c.diags.HasErrors() {
		return
	}
	if k, ok := st.Cond.(ir.Const); ok && k.Value != ir.True {
		c.warnf(s.Event.Range(), "", "this condition is never true")
		return
	}
	c.later(s.Event.Range(), st.Cond)
	c.captured(s, st)
}

// event lowers `category where condition`.
func (c *checker) event(e *eql.Event) (event.Category, ir.Node) {
	category := event.CategoryAny
	if e == nil || e.Where == nil || !e.Any && e.Category == "" {
		// The parser has said what is missing.
		return category, never
	}
	if !e.Any {
		var ok bool
		if category, ok = event.CategoryByName(e.Category); !ok {
			c.errorf(e.CategorySpan, DidYouMean(e.Category, categories()),
				"no events of category %q (there are %s)", e.Category, strings.Join(categories(), ", "))
			category = event.CategoryAny
		}
	}
	outer := c.category
	c.category = category
	cond := ir.Simplify(c.boolean(e.Where))
	c.category = outer
	return category, cond
}

func categories() []string {
	names := []string{"any"}
	for k := event.CategoryProcess; k < event.Categories; k++ {
		names = append(names, k.String())
	}
	return names
}

func (c *checker) keys(by []eql.Expr) []key {
	var keys []key
	for _, x := range by {
		f, ok := x.(*eql.Field)
		if !ok {
			c.errorf(x.Range(), "", "a join key must be a field")
			continue
		}
		v, ok := c.field(f)
		switch {
		case ok && v.stage != ir.Own:
			c.errorf(f.Span, "write the condition after where", "a join key is a field of the step's own event, %s is not",
				f.Path())
		case ok:
			keys = append(keys, key{Key: ir.Key{Field: v.id, Optional: f.Optional}})
		case f.Optional:
			keys = append(keys, key{Key: ir.Key{Optional: true}, null: true})
		}
	}
	return keys
}

// join checks the keys of all steps against each other and gives them to the stages. columns has the keys of each step,
// those of until last.
func (c *checker) join(q *eql.Query, r *ir.Rule, columns [][]key) {
	stages, spans := make([]*ir.Stage, 0, len(columns)), make([]eql.Span, 0, len(columns))
	for i := range r.Stages {
		stages, spans = append(stages, &r.Stages[i]), append(spans, q.Stages[i].Span)
	}
	if r.Until != nil {
		stages, spans = append(stages, r.Until), append(spans, q.Until.Span)
	}
	if n := len(columns[0]); n > limits.KeysMax {
		c.errorf(spans[0], "", "%d join keys (max %d)", n, limits.KeysMax)
		return
	}
	for i := range columns {
		if len(columns[i]) != len(columns[0]) {
			c.errorf(spans[i], "", "%d join keys, the first step has %d", len(columns[i]), len(columns[0]))
			return
		}
	}
	for j := range columns[0] {
		c.column(j, stages, spans, columns)
	}
	if r.Form == ir.FormSample && len(r.Stages[0].Keys) == 0 && !c.diags.HasErrors() {
		c.errorf(q.Span, "", "a sample needs a `by` key that its events have")
	}
}

// column gives join key j to the stages. A key that is null in every event of one step equals nothing but null: the
// other steps then take only events without theirs.
func (c *checker) column(j int, stages []*ir.Stage, spans []eql.Span, columns [][]key) {
	null, first := false, noStep
	for i := range columns {
		if columns[i][j].null {
			null = true
		} else if first == noStep {
			first = i
		}
	}
	for i, st := range stages {
		k := columns[i][j]
		if k.null {
			continue
		}
		if a, b := columns[first][j].Field.Kind(), k.Field.Kind(); !comparable(a, b) {
			c.errorf(spans[i], "", "join key %s is %s, in step %d %s is %s", event.FieldByID(k.Field).Name,
				kindName(b), first+1, event.FieldByID(columns[first][j].Field).Name, kindName(a))
			continue
		}
		switch {
		case !null:
			st.Keys = append(st.Keys, k.Key)
		case k.Optional:
			st.Cond = ir.Simplify(ir.And{Args: []ir.Node{ir.Not{Arg: ir.Present{Field: k.Field}}, st.Cond}})
		default:
			c.warnf(spans[i], "", "join key %s is never equal to that of another step, which is always null",
				event.FieldByID(k.Field).Name)
			st.Cond = never
		}
	}
}

// reachable warns of the first step that waits behind one that takes no event.
func (c *checker) reachable(q *eql.Query, r *ir.Rule) {
	if r.Form != ir.FormSequence {
		return
	}
	dead := noStep
	for i := range r.Stages {
		if r.Stages[i].Missing {
			continue
		}
		if dead != noStep {
			c.warnf(q.Stages[i].Span, "", "this step is never reached: step %d takes no event", dead+1)
			return
		}
		if k, ok := r.Stages[i].Cond.(ir.Const); ok && k.Value != ir.True {
			dead = i
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

// lineage lowers `child of [..]`. The event in brackets is another than the step's: it knows no steps.
func (c *checker) lineage(x *eql.Lineage) ir.Node {
	outer := c.blind
	c.blind = "the event in brackets is no step of the sequence"
	st := &ir.Stage{}
	st.Category, st.Cond = c.event(x.Event)
	c.blind = outer
	c.doubtful(&eql.Stage{Span: x.Span, Event: x.Event}, st)
	return ir.Lineage{Rel: relations[x.Rel], Event: st}
}

var relations = [...]ir.Relation{eql.ChildOf: ir.ChildOf, eql.DescendantOf: ir.DescendantOf, eql.EventOf: ir.EventOf}
