package bench

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	exprbuild "github.com/kestrel-detection/kestrel/expr/build"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// direct evaluates rules one by one: the condition of every stage of the event's category, compiled to a program of the
// stack machine that compares strings directly and stops as soon as the result is known. It is how one evaluates rules
// well without an index, and allocates nothing. Equal conditions are compiled once, but evaluated for each rule.
type direct struct {
	set     *expr.Set
	scratch *expr.Scratch
	ctx     expr.Context
	of      [event.Categories][]condition
	masks   []uint32 // by rule, of the event
	matched []uint32 // rules that the event fits
	n       int
}

// condition is one stage of one rule.
type condition struct {
	program, rule, bit uint32
	node               ir.Node
}

// newDirect compiles rules that hold no condition over earlier events or ancestors; see own.
func newDirect(rules []ir.Rule) (*direct, error) {
	var b exprbuild.Builder
	d := &direct{masks: make([]uint32, len(rules)), matched: make([]uint32, len(rules))}
	for i := range rules {
		for s, stage := range rules[i].Conditions() {
			program, err := b.Add(stage.Cond, nil)
			if err != nil {
				return nil, err
			}
			c := condition{program: program, rule: uint32(i), bit: 1 << s, node: stage.Cond}
			if stage == rules[i].Until {
				c.bit = 1 << image.StageUntil
			}
			for cat := range d.of {
				if stage.Category == event.CategoryAny || stage.Category == event.Category(cat) {
					d.of[cat] = append(d.of[cat], c)
				}
			}
		}
	}
	table, err := b.Table()
	if err != nil {
		return nil, err
	}
	if d.set, err = expr.Load(table); err != nil {
		return nil, err
	}
	d.scratch = d.set.NewScratch()
	return d, nil
}

// event finds the rules that have a stage the event fits.
func (d *direct) event(ev *event.Event) []uint32 {
	d.n = 0
	d.ctx.Event = ev
	list := d.of[ev.Cat]
	for i := range list {
		if c := &list[i]; d.set.Eval(c.program, &d.ctx, d.scratch) == expr.True {
			d.hold(c)
		}
	}
	return d.taken()
}

// reference is event by the reference interpreter, which is written to be obvious.
func (d *direct) reference(ev *event.Event) []uint32 {
	d.n = 0
	for i := range d.of[ev.Cat] {
		if c := &d.of[ev.Cat][i]; reference.Eval(c.node, ev) == ir.True {
			d.hold(c)
		}
	}
	return d.taken()
}

// hold notes a stage. The conditions of a rule stand side by side, so its number is the last one's or a new one.
func (d *direct) hold(c *condition) {
	if d.n == 0 || d.matched[d.n-1] != c.rule {
		d.matched[d.n] = c.rule
		d.n++
		d.masks[c.rule] = 0
	}
	d.masks[c.rule] |= c.bit
}

func (d *direct) taken() []uint32 { return d.matched[:d.n] }

// own are the rules that can be evaluated event by event: without conditions over earlier events or ancestors, which
// only a sequencer can decide, and within the stack machine's bounds.
func own(rules []ir.Rule) (list []ir.Rule) {
next:
	for i := range rules {
		for _, stage := range rules[i].Conditions() {
			if ir.IsLater(stage.Cond) {
				continue next
			}
			var b exprbuild.Builder
			if _, err := b.Add(stage.Cond, nil); err != nil {
				continue next
			}
		}
		list = append(list, rules[i])
	}
	return list
}
