package hunt

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// relations follows processes through the events and knows which of them had an event that a lineage operator names
// before the present one; in Endgame the present one counts.
type relations struct {
	filters []filter
	kinds   []eql.Relation
	procs   map[string]*process
	current *process
	at      bool // the present event counts, also for the operators that follow in the same event
}

// process is one process, from its first event on.
type process struct {
	parent *process
	had    []bool // by filter: an event of the process fitted
}

// ancestorsMax bounds the way up, so that a circle in wrong data ends.
const ancestorsMax = 4096

// idFields are the fields that tell a process and its parent, the best first. Numbers of the system are used again.
var idFields = [...]struct {
	own, parent string
	reused      bool
}{
	{"unique_pid", "unique_ppid", false},
	{"process.entity_id", "process.parent.entity_id", false},
	{"process.pid", "process.parent.pid", true},
	{"pid", "ppid", true},
}

func (h *Hunt) relations() *relations {
	return &relations{filters: h.lineage, kinds: h.kinds, procs: map[string]*process{}, at: h.query.Dialect == eql.Endgame}
}

// event takes in an event before its conditions are tested.
func (r *relations) event(env *expr.Env) {
	if len(r.filters) == 0 {
		return
	}
	r.current = nil
	for i, fields := range idFields {
		id := scalar(env.Event, fields.own)
		if id.IsNull() {
			continue
		}
		space := string(rune('a' + i))
		r.current = r.find(space + id.Text())
		if r.current.parent == nil {
			if parent := scalar(env.Event, fields.parent); !parent.IsNull() && parent.Text() != id.Text() {
				r.current.parent = r.find(space + parent.Text())
			}
		}
		if fields.reused && ends(env.Event) {
			delete(r.procs, space+id.Text())
		}
		break
	}
}

// note takes in what an event says of its process. In Endgame that comes before its conditions are tested.
func (r *relations) note(env *expr.Env) {
	if r.current == nil {
		return
	}
	var fits []int
	for i := range r.filters {
		if r.current.had[i] || !r.filters[i].holds(env) {
			continue
		}
		if fits = append(fits, i); r.at {
			r.current.had[i] = true
		}
	}
	for _, i := range fits {
		r.current.had[i] = true
	}
}

func scalar(e *events.Event, path string) value.Value {
	if list := e.Values(path, events.Field{}); len(list) > 0 {
		return list[0]
	}
	return value.Null
}

func (r *relations) find(id string) *process {
	p := r.procs[id]
	if p == nil {
		p = &process{had: make([]bool, len(r.filters))}
		r.procs[id] = p
	}
	return p
}

// opcodeEnd is the opcode of process events of Endgame that end a process.
const opcodeEnd = 2

// ends says whether an event ends its process, whose number can name another then.
func ends(e *events.Event) bool {
	if !slices.Contains(e.Categories(), "process") {
		return false
	}
	if v := scalar(e, "opcode"); v.Kind() == value.KindInt && v.AsInt() == opcodeEnd {
		return true
	}
	return slices.ContainsFunc(e.Values("event.type", events.Field{}), func(v value.Value) bool {
		return strings.EqualFold(v.Text(), "end")
	})
}

// holds answers a lineage operator for the present event.
func (r *relations) holds(id int) bool {
	p := r.current
	if p == nil {
		return false
	}
	switch r.kinds[id] {
	case eql.EventOf:
		return p.had[id]
	case eql.ChildOf:
		return p.parent != nil && p.parent.had[id]
	}
	for range ancestorsMax {
		if p = p.parent; p == nil {
			return false
		}
		if p.had[id] {
			return true
		}
	}
	return false
}
