package reference

import (
	"fmt"
	"slices"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// lineage keeps, for each condition inside a test of lineage, the processes that were seen in an event that fits, and
// whose child each process is.
type lineage struct {
	names  map[*ir.Stage]string
	conds  map[string]*ir.Stage
	seen   map[string]map[uint64]bool
	parent map[uint64]uint64
}

func newLineage(rules []ir.Rule) *lineage {
	l := &lineage{names: make(map[*ir.Stage]string), conds: make(map[string]*ir.Stage), seen: make(map[string]map[uint64]bool),
		parent: make(map[uint64]uint64)}
	for i := range rules {
		for _, st := range rules[i].Conditions() {
			l.collect(st.Cond)
		}
	}
	return l
}

// collect notes the conditions inside a condition's tests of lineage, and those inside these.
func (l *lineage) collect(cond ir.Node) {
	// As on a device, a test that decides nothing asks for no process to be noted.
	for _, n := range ir.Lineages(ir.Simplify(cond)) {
		name := l.nameOf(n.Event)
		if l.conds[name] == nil {
			l.conds[name], l.seen[name] = n.Event, make(map[uint64]bool)
			l.collect(n.Event.Cond)
		}
	}
}

// nameOf is equal for equal conditions.
func (l *lineage) nameOf(st *ir.Stage) string {
	name, ok := l.names[st]
	if !ok {
		name = fmt.Sprintf("%#v", *st)
		l.names[st] = name
	}
	return name
}

// started learns whose child a process is when it begins.
func (l *lineage) started(ev *event.Event) {
	types, _ := Values(event.FieldEventType, ev)
	if ev.Cat == event.CategoryProcess && slices.Contains(types, "start") {
		l.tell(ev)
	}
}

// tell learns whose child a process is; what was told first stays.
func (l *lineage) tell(ev *event.Event) {
	if e := ev.Own.Entity(); e != 0 && ev.ParentEntity != 0 && l.parent[e] == 0 {
		l.parent[e] = ev.ParentEntity
	}
}

// note takes an event in. What it adds counts for later events only.
func (l *lineage) note(ev *event.Event) {
	var fits []string
	for name, st := range l.conds {
		if st.Category != event.CategoryAny && st.Category != ev.Cat {
			continue
		}
		if EvalIn(st.Cond, &Env{Event: ev, Lineage: func(n ir.Lineage) bool { return l.holds(n, ev) }}) == ir.True {
			fits = append(fits, name)
		}
	}
	for _, name := range fits {
		l.tell(ev)
		if e := ev.Own.Entity(); e != 0 {
			l.seen[name][e] = true
		}
	}
}

// holds tells whether the process that a test names by its relation to the event's was seen.
func (l *lineage) holds(n ir.Lineage, ev *event.Event) bool {
	seen := l.seen[l.nameOf(n.Event)]
	e := ev.Own.Entity()
	if n.Rel == ir.EventOf {
		return seen[e]
	}
	above := l.parent[e]
	if above == 0 {
		above = ev.ParentEntity
	}
	for passed := map[uint64]bool{}; above != 0 && !passed[above]; above = l.parent[above] {
		if seen[above] {
			return true
		}
		if n.Rel == ir.ChildOf {
			return false
		}
		passed[above] = true
	}
	return false
}

// verdicts are what the lineage tests of a condition say of an event now.
func (l *lineage) verdicts(cond ir.Node, ev *event.Event) func(ir.Lineage) bool {
	list := make(map[string]bool)
	name := func(n ir.Lineage) string { return unique(fmt.Sprint(n.Rel), l.nameOf(n.Event)) }
	for _, n := range ir.Lineages(cond) {
		list[name(n)] = l.holds(n, ev)
	}
	return func(n ir.Lineage) bool { return list[name(n)] }
}
