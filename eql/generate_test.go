package eql

import (
	"flag"
	"math"
	"math/rand"
	"testing"
	"time"
)

var seedFlag = flag.Int64("seed", 0, "seed of generated trees (0: from the clock)")

// generator makes random trees that a dialect can express.
type generator struct {
	*rand.Rand
	d Dialect
}

func pick[T any](g *generator, list ...T) T { return list[g.Intn(len(list))] }

func (g *generator) name() string {
	return pick(g, "a", "process", "@timestamp", "_x1", "event", "contains", "as", "child", "my-field", "7zip", "a.b",
		"and", "where", "like", "sample", "tick`s", "日本", "with space", "TRUE", "maxspan", "any")
}

func (g *generator) plainName() string {
	return pick(g, "a", "f", "startsWith", "_x", "fork", "contains")
}

func (g *generator) text() string {
	return pick(g, "", "x", "*.exe", `C:\dir\`, `say "hi"`, "\n\t\r\b\f", "\x00\x1b\x7f", "日本😀", `"""`, `""`, "it's", "a#b//c/*", `\u{41}`)
}

func (g *generator) parts(n int) []Part {
	var list []Part
	for range n {
		if g.d != Elastic && g.Intn(4) == 0 {
			list = append(list, Part{Index: g.Intn(1000), IsIndex: true})
		} else {
			list = append(list, Part{Name: g.name()})
		}
	}
	return list
}

func (g *generator) field() *Field {
	return &Field{Optional: g.d != Endgame && g.Intn(4) == 0, Parts: append([]Part{{Name: g.name()}}, g.parts(g.Intn(3))...)}
}

func (g *generator) number() *Number {
	if g.Intn(2) == 0 {
		return &Number{IsInt: true, Int: pick(g, 0, 1, int64(g.Intn(1000)), math.MaxInt64)}
	}
	return &Number{Float: pick(g, 0, 0.5, 1e100, 5e-324, math.MaxFloat64, g.Float64(), 1<<63)}
}

// str makes a string; raw only where the dialect can write it raw.
func (g *generator) str() *String {
	s := &String{Value: g.text()}
	if _, ok := rawForm(s.Value, g.d); ok {
		s.Raw = g.Intn(3) == 0
	}
	return s
}

func (g *generator) literal() Expr {
	if g.d == Kestrel && g.Intn(6) == 0 {
		return &Var{Name: pick(g, "X", "_y", "entry"), Parts: g.parts(g.Intn(2))}
	}
	return pick[Expr](g, g.str(), g.str(), g.number(), &Bool{Value: g.Intn(2) == 0}, &Null{})
}

func (g *generator) list(depth, least int) []Expr {
	var list []Expr
	for range least + g.Intn(3) {
		list = append(list, g.expr(depth))
	}
	return list
}

func (g *generator) match(depth int) Expr {
	ops := []MatchOp{In, Seq, Like, Regex}
	switch g.d {
	case Kestrel:
		ops = append(ops, Contains, StartsWith, EndsWith)
	case Endgame:
		ops = ops[:1]
	}
	m := &Match{Op: pick(g, ops...), X: g.expr(depth)}
	m.Fold = m.Op != Seq && g.d != Endgame && g.Intn(3) == 0
	switch m.Op {
	case Seq, Like, Regex:
		for range 1 + g.Intn(3) {
			m.Values = append(m.Values, g.literal())
		}
	default:
		m.Values = g.list(depth, 1)
	}
	return m
}

// expr makes any expression; a sign before a literal is part of the literal.
func (g *generator) expr(depth int) Expr {
	if depth <= 0 {
		return pick[Expr](g, g.field(), g.field(), g.literal())
	}
	depth--
	switch g.Intn(12) {
	case 0:
		return g.number().negate()
	case 1:
		return &Call{Name: g.plainName(), Fold: false, Args: g.list(depth, 0)}
	case 2:
		if g.d == Endgame {
			return g.field()
		}
		return &Call{Name: "between", Fold: true, Args: g.list(depth, 0)}
	case 3:
		x := g.expr(depth)
		if _, ok := x.(*Number); ok {
			return x
		}
		return &Unary{Op: pick(g, Neg, Pos), X: x}
	case 4:
		return &Arith{Op: pick(g, Add, Sub, Mul, Div, Mod), L: g.expr(depth), R: g.expr(depth)}
	case 5, 6:
		return &Compare{Op: pick(g, Eq, Ne, Lt, Le, Gt, Ge), L: g.expr(depth), R: g.expr(depth)}
	case 7:
		return g.match(depth)
	case 8:
		return &Not{X: g.expr(depth)}
	case 9, 10:
		return &Logical{Op: pick(g, And, Or), Args: g.list(depth, 2)}
	}
	if g.d == Elastic {
		return g.field()
	}
	return &Lineage{Rel: pick(g, ChildOf, DescendantOf, EventOf), Event: g.event(depth)}
}

func (g *generator) event(depth int) *Event {
	if g.Intn(4) == 0 {
		return &Event{Any: true, Where: g.expr(depth)}
	}
	return &Event{Category: g.name(), Where: g.expr(depth)}
}

func (g *generator) keys() []Expr {
	var keys []Expr
	for range g.Intn(3) {
		if g.d == Endgame {
			keys = append(keys, &Arith{Op: Mul, L: g.field(), R: g.number()})
		} else {
			keys = append(keys, g.field())
		}
	}
	return keys
}

func (g *generator) stage(form Kind) *Stage {
	st := &Stage{Event: g.event(2), By: g.keys()}
	if form != KindSequence {
		return st
	}
	switch {
	case g.d == Endgame:
		st.Fork = g.Intn(3) == 0
	case g.Intn(4) == 0:
		st.Missing = true
	default:
		st.Runs = g.Intn(5)
		if g.d == Kestrel && g.Intn(2) == 0 {
			st.Name = g.plainName()
		}
	}
	return st
}

func (g *generator) query() *Query {
	q := &Query{Dialect: g.d, Kind: pick(g, KindEvent, KindSequence, KindSample, KindJoin)}
	if g.d == Endgame && q.Kind == KindSample {
		q.Kind = KindJoin
	}
	if q.Kind == KindEvent {
		q.Stages = []*Stage{{Event: g.event(4)}}
	} else {
		q.By = g.keys()
		if q.Kind == KindSequence && g.Intn(2) == 0 {
			q.MaxSpan = &MaxSpan{Value: int64(g.Intn(1000)), Unit: pick(g, "ms", "s", "m", "h", "d")}
		}
		for range 1 + g.Intn(4) {
			q.Stages = append(q.Stages, g.stage(q.Kind))
		}
		if q.Kind != KindSample && g.Intn(3) == 0 {
			q.Until = &Stage{Event: g.event(2), By: g.keys()}
		}
	}
	for range g.Intn(3) {
		pipe := &Pipe{Name: pick(g, "head", "filter", "unique")}
		for range g.Intn(3) {
			pipe.Args = append(pipe.Args, g.expr(2))
		}
		q.Pipes = append(q.Pipes, pipe)
	}
	return q
}

func TestGeneratedTreesRoundTrip(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	for d := Kestrel; d <= Endgame; d++ {
		g := &generator{Rand: rand.New(rand.NewSource(seed)), d: d}
		for i := range 4000 {
			var n Node = g.query()
			if i%2 == 0 {
				n = g.expr(5)
			}
			roundTrip(t, n, d)
			if t.Failed() {
				t.Fatalf("seed %d, tree %d", seed, i)
			}
		}
	}
}
