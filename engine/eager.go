package engine

import (
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
)

// eager is, for one category, the field sets that make predicates candidates, by where their fields stand: what an event
// does not have at all is passed over as a whole.
type eager struct {
	constant [event.Constants][]uint32
	own      [event.Classes]widths        // by the event's class
	parts    [event.PartReport + 1]widths // of the other records that an event borrows
	rest     []uint32                     // of the host, or derived: these ask the event
}

// widths are the sets whose fields any record of the part may have, and those that only events from outside have.
type widths struct{ narrow, wide []uint32 }

func (w *widths) add(set uint32, wide bool) {
	if wide {
		w.wide = append(w.wide, set)
		return
	}
	w.narrow = append(w.narrow, set)
}

func newEager(img *image.Image, p *plan, c event.Category) (e eager) {
	for _, set := range image.List(img.Eager, c) {
		id := event.FieldID(img.Fields[set].Field)
		f := event.FieldByID(id)
		switch {
		case p.constant[set] != event.NotConstant:
			e.constant[p.constant[set]] = append(e.constant[p.constant[set]], set)
		case f.Part == event.PartHost, f.Part == event.PartReport && f.Derive != event.DeriveNone:
			e.rest = append(e.rest, set)
		case f.Part == event.PartOwn:
			for class := range e.own {
				if id.CarriedBy(event.Class(class)) {
					e.own[class].add(set, f.Wide())
				}
			}
		default:
			e.parts[f.Part].add(set, f.Wide() && f.Part != event.PartReport)
		}
	}
	return e
}

// eager scans what makes predicates candidates for an event.
func (w *worker) eager(ev *event.Event) {
	e := &w.plan.eager[ev.Cat]
	for c := event.TypeConstant; c < event.Constants; c++ {
		if sets := e.constant[c]; len(sets) > 0 {
			k := w.constant(c, ev)
			if k.eager>>ev.Cat&1 == 0 {
				for _, set := range sets {
					w.look(k, set, ev)
				}
				k.eager |= 1 << ev.Cat
			}
			w.candidates(k, ev.Cat)
		}
	}
	w.scanAll(&e.own[ev.Own.Class()], ev.Own, ev)
	for p := event.PartProc; p <= event.PartReport; p++ {
		if sets := &e.parts[p]; len(sets.narrow)+len(sets.wide) > 0 {
			if rec := ev.Record(p); rec != nil {
				w.scanAll(sets, rec, ev)
			}
		}
	}
	for _, set := range e.rest {
		w.scan(set, ev)
	}
}

func (w *worker) scanAll(sets *widths, rec event.Record, ev *event.Event) {
	for _, set := range sets.narrow {
		w.scan(set, ev)
	}
	if len(sets.wide) > 0 && rec.Wide() {
		for _, set := range sets.wide {
			w.scan(set, ev)
		}
	}
}
