package hunt

import (
	"cmp"
	"slices"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// countDefault is what head and tail take without an argument, which Endgame allows.
const countDefault = 50

// pipeSpec is a compiled pipe.
type pipeSpec struct {
	name  string
	count int // of head and tail
	args  []*expr.Expr
}

func (c *compiler) pipes(q *eql.Query) {
	c.Pipe, c.Lineage = true, nil
	c.Extra = map[string]bool{}
	for _, p := range q.Pipes {
		spec := pipeSpec{name: p.Name, count: countDefault}
		switch p.Name {
		case "head", "tail":
			if len(p.Args) == 1 {
				if n, ok := p.Args[0].(*eql.Number); ok && n.IsInt {
					spec.count = int(min(n.Int, 1<<62))
				}
			}
		case "filter":
			if len(p.Args) != 1 {
				c.errorf(p.Span, "as in `| filter pid == 4`",
					"the pipe `filter` takes one condition, found %d arguments", len(p.Args))
				continue
			}
			spec.args = []*expr.Expr{c.Condition(p.Args[0])}
		default:
			c.pipeArgs(p, &spec)
		}
		c.h.pipes = append(c.h.pipes, spec)
	}
}

func (c *compiler) pipeArgs(p *eql.Pipe, spec *pipeSpec) {
	if len(p.Args) == 0 && p.Name != "count" {
		c.errorf(p.Span, "as in `| "+p.Name+" user_name`", "the pipe `%s` takes at least one value", p.Name)
	}
	for _, x := range p.Args {
		switch x.(type) {
		case *eql.Number, *eql.String, *eql.Bool, *eql.Null:
			c.errorf(x.Range(), "name a field", "the pipe `%s` takes values of the events, not a constant", p.Name)
		}
		spec.args = append(spec.args, c.Value(x))
	}
	if p.Name == "count" || p.Name == "unique_count" {
		c.Extra["count"], c.Extra["percent"] = true, true
	}
	if p.Name == "count" {
		c.Extra["key"] = true
	}
}

// pipe takes matches and gives some of them, or others made of them, to the next.
type pipe interface {
	push(Match) error
	finish() error
}

// chain builds the pipes of the query from the last to the first.
func (h *Hunt) chain(emit func(Match) error) pipe {
	var out pipe = sink(emit)
	if h.opt.Limited {
		out = &head{next: out, left: h.opt.Limit}
	}
	for i := len(h.pipes) - 1; i >= 0; i-- {
		p := &h.pipes[i]
		keys := rowKeys{p.args, h.keyRules()}
		switch p.name {
		case "head":
			out = &head{next: out, left: p.count}
		case "tail":
			out = &tail{next: out, most: p.count}
		case "filter":
			out = &filterPipe{next: out, where: p.args[0]}
		case "unique":
			out = &unique{next: out, keys: keys, seen: map[string]bool{}}
		case "sort":
			out = &sorting{next: out, keys: keys}
		case "count":
			out = &counting{next: out, keys: keys, at: map[string]int{}}
		default:
			out = &counting{next: out, keys: keys, at: map[string]int{}, first: true}
		}
	}
	return out
}

// sink is the end of the pipes.
type sink func(Match) error

func (s sink) push(m Match) error { return s(m) }
func (s sink) finish() error      { return nil }

type head struct {
	next pipe
	left int
}

func (p *head) push(m Match) error {
	if p.left <= 0 {
		return errStop
	}
	p.left--
	if err := p.next.push(m); err != nil || p.left > 0 {
		return err
	}
	return errStop
}

func (p *head) finish() error { return p.next.finish() }

// tail keeps the last matches in a ring.
type tail struct {
	next pipe
	most int
	ring []Match
	at   int
}

func (p *tail) push(m Match) error {
	switch {
	case p.most == 0:
	case len(p.ring) < p.most:
		p.ring = append(p.ring, slimMatch(m))
	default:
		p.ring[p.at] = slimMatch(m)
		p.at = (p.at + 1) % p.most
	}
	return nil
}

func (p *tail) finish() error { return flush(p.next, slices.Concat(p.ring[p.at:], p.ring[:p.at])) }

// slimMatch lets go of the decoded values of a match that is kept.
func slimMatch(m Match) Match {
	m.Events = slices.Clone(m.Events)
	for i, e := range m.Events {
		if e != nil {
			m.Events[i] = e.Slim()
		}
	}
	return m
}

// flush gives matches on and ends the next pipe.
func flush(next pipe, list []Match) error {
	for _, m := range list {
		if err := next.push(m); err == errStop {
			break
		} else if err != nil {
			return err
		}
	}
	return next.finish()
}

type filterPipe struct {
	next  pipe
	where *expr.Expr
}

func (p *filterPipe) push(m Match) error {
	env := rowEnv(&m)
	held := p.where.Truth(env) == value.True
	if env.Err != nil {
		return env.Err
	}
	if !held {
		return nil
	}
	return p.next.push(m)
}

func (p *filterPipe) finish() error { return p.next.finish() }

func rowEnv(m *Match) *expr.Env {
	return &expr.Env{Event: m.first(), Row: m.Events, Extra: m.Extra}
}

// rowKeys are the arguments of a pipe.
type rowKeys struct {
	args  []*expr.Expr
	rules keyRules
}

// of are the values of the arguments, and a text that is the same for the same values.
func (k rowKeys) of(m *Match) (text string, values []value.Value, err error) {
	env := rowEnv(m)
	for _, x := range k.args {
		v := x.Eval(env)
		text += k.rules.text(v)
		values = append(values, v)
	}
	return text, values, env.Err
}

type unique struct {
	next pipe
	keys rowKeys
	seen map[string]bool
}

func (p *unique) push(m Match) error {
	text, _, err := p.keys.of(&m)
	if err != nil || p.seen[text] {
		return err
	}
	p.seen[text] = true
	return p.next.push(m)
}

func (p *unique) finish() error { return p.next.finish() }

// sorting orders by the arguments, null first; what is equal stays in order.
type sorting struct {
	next pipe
	keys rowKeys
	rows []sortRow
}

type sortRow struct {
	match  Match
	values []value.Value
}

func (p *sorting) push(m Match) error {
	_, values, err := p.keys.of(&m)
	if err != nil {
		return err
	}
	if p.keys.rules.fold {
		for i, v := range values {
			if v.Kind() == value.KindString {
				values[i] = value.String(value.Lower(v.Text()))
			}
		}
	}
	p.rows = append(p.rows, sortRow{slimMatch(m), values})
	return nil
}

func (p *sorting) finish() error {
	slices.SortStableFunc(p.rows, func(a, b sortRow) int {
		return slices.CompareFunc(a.values, b.values, compareValues)
	})
	list := make([]Match, len(p.rows))
	for i := range p.rows {
		list[i] = p.rows[i].match
	}
	return flush(p.next, list)
}

// counting counts matches by the arguments. The pipe unique_count gives the first match of each, in the order of their
// coming; count gives rows without events, the rarest first.
type counting struct {
	next  pipe
	keys  rowKeys
	first bool
	at    map[string]int
	rows  []countRow
	total int64
}

type countRow struct {
	match  Match
	values []value.Value
	n      int64
}

func (p *counting) push(m Match) error {
	text, values, err := p.keys.of(&m)
	if err != nil {
		return err
	}
	p.total++
	i, ok := p.at[text]
	if !ok {
		i = len(p.rows)
		p.at[text] = i
		p.rows = append(p.rows, countRow{slimMatch(m), values, 0})
	}
	p.rows[i].n++
	return nil
}

func (p *counting) finish() error {
	if !p.first && len(p.keys.args) == 0 {
		m := Match{Extra: map[string]value.Value{"count": value.Int(p.total), "key": value.String("totals")}}
		return flush(p.next, []Match{m})
	}
	if !p.first {
		slices.SortStableFunc(p.rows, func(a, b countRow) int {
			if c := cmp.Compare(a.n, b.n); c != 0 {
				return c
			}
			return slices.CompareFunc(a.values, b.values, compareValues)
		})
	}
	list := make([]Match, len(p.rows))
	for i, row := range p.rows {
		share := float64(row.n) / float64(p.total)
		extra := map[string]value.Value{"count": value.Int(row.n), "percent": value.Float(share)}
		if p.first {
			list[i] = row.match
			list[i].Extra = extra
			continue
		}
		extra["key"] = row.values[0]
		if len(row.values) > 1 {
			extra["key"] = value.Array(row.values)
		}
		list[i] = Match{Extra: extra}
	}
	return flush(p.next, list)
}
