package alert

import "github.com/kestrel-detection/kestrel/event"

// plan is how the fields of one class of events are written: worked out once, so that an event costs one pass.
type plan struct {
	n      int
	fields [event.FieldsMax]planned
}

type planned struct {
	id         event.FieldID
	kind       event.Kind
	nulIsSpace bool
	part       event.Part
	slot       uint8
	skip       skip
	to         uint16 // where to go on when the event has nothing of this run of fields
}

// skip says when a run of fields is passed over at its first.
type skip uint8

const (
	skipNever  skip = iota
	skipAbsent      // the event lacks the part
	skipNarrow      // its record has no more than what the sources of a device fill
	// What follows is there, and left out since it follows from other fields.
	skipAgain // it is the process or its parent over again
	skipNamed // its record does not say the name, which follows from the id
)

// plans has, per class, the fields an event can have, in ascending order of their ids. Left out are the time, which
// every event has in its head, and what is the same for all of Linux. Context records are no events and have none.
var plans = func() (p [event.Classes]plan) {
	for c := event.ClassProcess; c < event.ClassContext; c++ {
		for id := event.FieldID(0); id < event.FieldsMax; id++ {
			if !id.CarriedBy(c) || id == event.FieldTimestamp || id == event.FieldHostOSType {
				continue
			}
			p[c].fields[p[c].n] = planned{id: id, kind: id.Kind(), nulIsSpace: id.NulIsSpace(), part: id.Part(),
				slot: event.FieldByID(id).Slot}
			p[c].n++
		}
		p[c].skips()
	}
	return p
}()

// skips finds the runs of fields that most events lack, or that say nothing new: the name of a user, but for that of the
// event, follows from the id. A leader that is the process or its parent is told by its pid and
// entity id, which come first, and by how the host was entered, which comes last.
func (p *plan) skips() {
	for first := 0; first < p.n; {
		switch p.fields[first].part {
		case event.PartReport:
			first = p.run(first, skipAbsent, func(*event.Field) bool { return true })
		case event.PartEntry, event.PartSession, event.PartGroup:
			end := p.run(first, skipAbsent, func(*event.Field) bool { return true })
			first = p.run(first+2, skipAgain, func(f *event.Field) bool { return f.Slot != event.SlotEntryType })
			first = max(first, end)
		default:
			first = max(first+1, p.run(first, skipNarrow, (*event.Field).Wide))
		}
	}
	for i := range p.fields[:p.n] {
		if f := event.FieldByID(p.fields[i].id); f.Derive == event.DeriveUserName && f.Part != event.PartOwn {
			p.fields[i].skip, p.fields[i].to = skipNamed, uint16(i+1)
		}
	}
}

// run marks the fields from first on that are of one part and in the run, and gives where it ends.
func (p *plan) run(first int, when skip, in func(*event.Field) bool) (end int) {
	end = first
	for end < p.n && p.fields[end].part == p.fields[first].part && in(event.FieldByID(p.fields[end].id)) {
		end++
	}
	if end > first {
		p.fields[first].skip, p.fields[first].to = when, uint16(end)
	}
	return end
}

// next is the field that is written next: that at i, or one behind a run that the event lacks or, unless it is to be
// written whole, would repeat.
func (p *plan) next(i int, ev *event.Event, whole bool) int {
	for i < p.n {
		f := &p.fields[i]
		if f.skip == skipNever || whole && f.skip >= skipAgain || !skips(f, ev, ev.Record(f.part)) {
			return i
		}
		i = int(f.to)
	}
	return i
}

func skips(f *planned, ev *event.Event, rec event.Record) bool {
	switch f.skip {
	case skipNarrow:
		return rec == nil || !rec.Wide()
	case skipAgain:
		return repeats(ev, rec)
	case skipNamed:
		return rec == nil || !rec.Has(int(f.slot))
	}
	return rec == nil
}

// repeats tells that a leader's record is that of the process or of its parent.
func repeats(ev *event.Event, leader event.Record) bool {
	return same(leader, ev.Proc) || same(leader, ev.Parent)
}

func same(a, b event.Record) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// AppendEvidence appends one event with all the fields it has, but for what follows from others, at most max bytes and
// never past the capacity of dst. A
// field that does not fit is left out whole, smaller ones behind it may still get in, and the event's flags say so.
// When not even the head fits, dst comes back as it was.
//
// Preconditions: ev.Own is set and not of a context type.
func AppendEvidence(dst []byte, ev *event.Event, max int) []byte {
	return appendEvent(dst, ev, max, nil)
}

// AppendWhole is AppendEvidence with what follows from others as well, for a rule that reads fields of the event later:
// these are sure of their room as long as there is enough for them alone.
func AppendWhole(dst []byte, ev *event.Event, max int, read []event.FieldID) []byte {
	return appendEvent(dst, ev, max, read)
}

func appendEvent(dst []byte, ev *event.Event, max int, read []event.FieldID) []byte {
	room := min(max, cap(dst)-len(dst), EvidenceBytesMax) &^ (Align - 1)
	if room < eventHeadSize {
		return dst
	}
	w := evidenceWriter{b: dst[len(dst) : len(dst)+room], n: eventHeadSize, read: read}
	for _, id := range read {
		w.reserved += size(ev, id)
	}
	own, whole := ev.Own, len(read) > 0
	if own.Flags()&event.FlagNoBTF != 0 {
		w.flags |= EvidenceNoBTF
	}
	p := &plans[own.Class()]
	for i := p.next(0, ev, whole); i < p.n; i = p.next(i+1, ev, whole) {
		f := &p.fields[i]
		switch f.kind {
		case event.KindString, event.KindStrings, event.KindIP:
			if v, ok := ev.Bytes(f.id); ok {
				w.bytes(f, v, ev.Truncated(f.id))
			}
		default:
			if v, ok := ev.Int(f.id); ok {
				if f.kind == event.KindBool && v != 0 {
					v = 1
				}
				w.int(f, v)
			}
		}
	}
	e := w.b[:w.n]
	le.PutUint32(e[offSize:], uint32(w.n))
	le.PutUint16(e[offEventType:], uint16(own.Type()))
	le.PutUint16(e[offEventFlags:], w.flags)
	le.PutUint64(e[offEventID:], own.ID())
	le.PutUint64(e[offEventWall:], uint64(ev.Wall()))
	le.PutUint64(e[offEventMono:], own.Time())
	le.PutUint16(e[offEventFields:], w.count)
	clear(e[offEventZero:eventHeadSize])
	return dst[:len(dst)+w.n]
}

// evidenceWriter fills b, of which n bytes are written.
type evidenceWriter struct {
	b        []byte
	n        int
	read     []event.FieldID // fields that come before others
	reserved int             // bytes for those of them that are yet to be written
	count    uint16
	flags    uint16
}

// size is what a field of an event takes; 0 when it has none.
func size(ev *event.Event, id event.FieldID) int {
	switch id.Kind() {
	case event.KindString, event.KindStrings, event.KindIP:
		if v, ok := ev.Bytes(id); ok {
			return pad(fieldHeadSize + min(len(v), StringBytesMax))
		}
	default:
		if _, ok := ev.Int(id); ok {
			return fieldHeadSize + 8
		}
	}
	return 0
}

// field makes room for a value and gives its place, nil when it does not fit.
func (w *evidenceWriter) field(f *planned, flags uint8, length int) []byte {
	end := w.n + pad(fieldHeadSize+length)
	for _, id := range w.read {
		if id == f.id {
			w.reserved -= min(w.reserved, end-w.n)
		}
	}
	if end+w.reserved > len(w.b) {
		w.flags |= EvidenceOmitted
		return nil
	}
	h := w.b[w.n:end]
	clear(h[len(h)-Align:])
	le.PutUint16(h, uint16(f.id))
	h[2], h[3] = uint8(f.kind), flags
	le.PutUint32(h[4:], uint32(length))
	w.n = end
	w.count++
	return h[fieldHeadSize : fieldHeadSize+length]
}

func (w *evidenceWriter) int(f *planned, v int64) {
	if b := w.field(f, 0, 8); b != nil {
		le.PutUint64(b, uint64(v))
	}
}

func (w *evidenceWriter) bytes(f *planned, v []byte, cut bool) {
	if f.kind == event.KindIP {
		if len(v) != 4 && len(v) != 16 {
			return
		}
	} else if len(v) > StringBytesMax {
		v, cut = v[:cutAt(v, StringBytesMax)], true
	}
	flags := uint8(0)
	if cut {
		flags = FieldTruncated
	}
	b := w.field(f, flags, len(v))
	if b == nil {
		return
	}
	if cut {
		w.flags |= EvidenceCut
	}
	copy(b, v)
	if f.nulIsSpace {
		for i := range b {
			if b[i] == 0 {
				b[i] = ' '
			}
		}
	}
}

// cutAt is the greatest length up to n at which v may be cut without splitting a UTF-8 sequence.
//
// Preconditions: n < len(v).
func cutAt(v []byte, n int) int {
	for m := n; m > n-4 && m > 0; m-- {
		if v[m]&0xc0 != 0x80 {
			return m
		}
	}
	return n
}

// Head is what an alert says besides the rule and the events.
type Head struct {
	Action   Action
	Severity Severity
	Flags    uint32
	Seq      uint64
	Wall     int64  // of the completing event, ns since 1970
	Mono     uint64 // of the completing event, ns
	ID       [16]byte
	Entity   uint64
	// Suppressed counts the alerts like this one that were not raised since the last that was.
	Suppressed uint32
}

// Rule is what an alert says of its rule.
type Rule struct {
	Ruleset string // name and version of the rule set
	ID      string
	Name    string
	Title   string
}

// Builder writes an alert into bytes of the caller. The zero Builder with Buf set is ready for Begin.
//
// Preconditions: Buf is at least HeadBytesMax long.
type Builder struct {
	Buf     []byte
	n       int
	flags   uint32
	events  uint16
	omitted uint16
}

// Begin starts an alert; what Buf held is gone. A string longer than its maximum is cut and flagged.
func (b *Builder) Begin(h *Head, r *Rule) {
	b.flags, b.events, b.omitted = h.Flags, 0, 0
	p := b.Buf
	p[offVersion], p[offAction], p[offSeverity], p[offZero] = Version, uint8(h.Action), uint8(h.Severity), 0
	le.PutUint64(p[offSeq:], h.Seq)
	le.PutUint64(p[offWall:], uint64(h.Wall))
	le.PutUint64(p[offMono:], h.Mono)
	copy(p[offID:], h.ID[:])
	le.PutUint64(p[offEntity:], h.Entity)
	le.PutUint32(p[offSuppress:], h.Suppressed)
	le.PutUint32(p[offTail:], 0)
	b.n = headSize
	b.text(0, r.Ruleset, RulesetBytesMax)
	b.text(1, r.ID, RuleIDBytesMax)
	b.text(2, r.Name, RuleNameBytesMax)
	b.text(3, r.Title, TitleBytesMax)
	n := pad(b.n)
	clear(p[b.n:n])
	b.n = n
}

func (b *Builder) text(i int, s string, max int) {
	if len(s) > max {
		s = s[:max]
		b.flags |= FlagCut
	}
	le.PutUint16(b.Buf[offLengths+2*i:], uint16(len(s)))
	b.n += copy(b.Buf[b.n:], s)
}

// limit is how far the alert may grow.
func (b *Builder) limit() int { return min(len(b.Buf), SizeMax) }

// Evidence adds an event that AppendEvidence wrote. One that does not fit is left out, counted and flagged.
func (b *Builder) Evidence(e Evidence) {
	if len(e) == 0 || b.n+len(e) > b.limit() {
		b.omit()
		return
	}
	b.n += copy(b.Buf[b.n:], e)
	b.added(e)
}

// Event adds an event, at most max bytes of it.
func (b *Builder) Event(ev *event.Event, max int) {
	p := b.Buf[b.n:b.n:b.limit()]
	e := AppendEvidence(p, ev, max)
	if len(e) == 0 {
		b.omit()
		return
	}
	b.n += len(e)
	b.added(e)
}

func (b *Builder) added(e Evidence) {
	b.events++
	if e.Flags()&EvidenceCut != 0 {
		b.flags |= FlagCut
	}
	if e.Flags()&EvidenceOmitted != 0 {
		b.flags |= FlagFieldsOmitted
	}
}

func (b *Builder) omit() { b.Omit(1) }

// Omit counts events that are part of what happened and not of the alert.
func (b *Builder) Omit(n int) {
	if n == 0 {
		return
	}
	b.omitted = uint16(min(int(b.omitted)+n, 1<<16-1))
	b.flags |= FlagEventsOmitted
}

// End completes the alert and returns it; it borrows Buf until the next Begin.
func (b *Builder) End() Alert {
	le.PutUint32(b.Buf[offSize:], uint32(b.n))
	le.PutUint32(b.Buf[offFlags:], b.flags)
	le.PutUint16(b.Buf[offEvents:], b.events)
	le.PutUint16(b.Buf[offOmitted:], b.omitted)
	return Alert(b.Buf[:b.n:b.n])
}
