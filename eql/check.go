package eql

import (
	"strings"

	"github.com/kestrel-detection/kestrel/limits"
)

// MaxRuns is the largest "with runs=N" that Elasticsearch accepts. The Kestrel
// dialect takes what a device can keep, limits.RunsMax.
const MaxRuns = 100

// Check tests the rules of the language that need no schema and go beyond the
// grammar: the number of steps and keys, missing events, names of steps, pipes.
// It expects a query that parsed without errors and reports in source order
// within each rule, at most MaxDiagnostics.
func Check(q *Query) Diagnostics {
	c := &checker{q: q, sink: diagSink{src: q.Source}}
	if q.Kind != KindEvent {
		c.steps()
		c.keys()
		c.missing()
		c.names()
	}
	c.pipes()
	return c.sink.sorted()
}

type checker struct {
	q    *Query
	sink diagSink
}

func (c *checker) errorf(at Span, hint, format string, args ...any) {
	c.sink.add(c.q.Source.Errorf(at, hint, format, args...))
}

// head is the keyword of the query.
func (c *checker) head() Span {
	return Span{c.q.Start, c.q.Start + len(c.q.Kind.String())}
}

func (c *checker) steps() {
	steps, most := 0, limits.RunsMax
	if c.q.Dialect == Elastic {
		most = MaxRuns
	}
	for _, st := range c.q.Stages {
		steps += max(1, st.Runs)
		if st.Runs > most {
			c.errorf(st.Span, "", "a step runs %d times (max %d)", st.Runs, most)
		}
	}
	if steps < 2 {
		c.errorf(c.head(), "a single event needs no "+c.q.Kind.String(),
			"a %s needs at least 2 steps, found %d", c.q.Kind, steps)
	}
	if c.q.MaxSpan != nil && c.q.MaxSpan.Value == 0 {
		c.errorf(c.q.MaxSpan.Span, "", "maxspan must be positive, found 0%s", c.q.MaxSpan.Unit)
	}
}

func (c *checker) keys() {
	q := c.q
	if len(q.Stages) == 0 {
		return
	}
	want := len(q.Stages[0].By)
	for i, st := range q.Stages {
		if len(st.By) != want {
			c.errorf(st.Span, "every step has the same number of `by` keys",
				"step %d has %d keys, step 1 has %d", i+1, len(st.By), want)
		}
	}
	if q.Until != nil && len(q.Until.By) != want {
		c.errorf(q.Until.Span, "every step has the same number of `by` keys",
			"`until` has %d keys, step 1 has %d", len(q.Until.By), want)
	}
	if q.Kind == KindSample && len(q.By)+want == 0 {
		c.errorf(c.head(), "as in `sample by host.id`", "a sample needs at least one `by` key")
	}
}

func (c *checker) missing() {
	present, missing := 0, (*Stage)(nil)
	for _, st := range c.q.Stages {
		if !st.Missing {
			present++
		} else if missing == nil {
			missing = st
		}
	}
	switch {
	case missing == nil:
	case present == 0:
		c.errorf(missing.Span, "", "a sequence needs at least one step that is not missing")
	case c.q.MaxSpan == nil:
		c.errorf(missing.Span, "write `with maxspan=30s` before the first step", "a missing event needs a maxspan")
	}
}

func (c *checker) names() {
	seen := map[string]int{}
	for i, st := range c.q.Stages {
		if st.Name == "" {
			continue
		}
		if first, ok := seen[st.Name]; ok {
			c.errorf(st.Span, "", "step %d has the name `%s` of step %d", i+1, st.Name, first)
			continue
		}
		seen[st.Name] = i + 1
	}
}

// pipeNames are the pipes of Endgame EQL; Elastic has the first two.
var pipeNames = [...]string{"head", "tail", "count", "unique", "unique_count", "filter", "sort"}

const elasticPipes = 2

func (c *checker) pipes() {
	for _, pipe := range c.q.Pipes {
		at := -1
		for i, name := range pipeNames {
			if name == pipe.Name {
				at = i
			}
		}
		switch {
		case at < 0:
			known := pipeNames[:]
			if c.q.Dialect == Elastic {
				known = pipeNames[:elasticPipes]
			}
			c.errorf(pipe.Span, "pipes are "+strings.Join(known, ", "), "unknown pipe `%s`", shorten(pipe.Name))
		case at >= elasticPipes && c.q.Dialect == Elastic:
			c.errorf(pipe.Span, "", "the pipe `%s` belongs to the kestrel and endgame dialects, this query is in elastic", pipe.Name)
		case at < elasticPipes:
			c.limitPipe(pipe)
		}
	}
}

// limitPipe checks head and tail, which take one count.
func (c *checker) limitPipe(pipe *Pipe) {
	if len(pipe.Args) == 0 && c.q.Dialect == Endgame {
		return
	}
	if len(pipe.Args) != 1 {
		c.errorf(pipe.Span, "as in `| "+pipe.Name+" 10`", "the pipe `%s` takes one count, found %d arguments", pipe.Name, len(pipe.Args))
		return
	}
	if n, ok := pipe.Args[0].(*Number); !ok || !n.IsInt || n.Int < 0 {
		c.errorf(pipe.Args[0].Range(), "as in `| "+pipe.Name+" 10`", "the pipe `%s` takes a whole number", pipe.Name)
	}
}
