package nfa_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/internal/corpus"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
)

// TestCorpusSequences runs Elasticsearch's cases for its state machine through the Sequencer and through the reference
// interpreter, whose rule tells the stages of an event by its user id.
func TestCorpusSequences(t *testing.T) {
	cases := corpus.Cases(t, "es_sequence_spec")
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			rule := sequence("r", c.Stages, false, 0, byOptional...)
			for i := range rule.Stages {
				rule.Stages[i].Cond = ir.IntTest{Field: event.FieldUserID, Cmp: ir.Eq, Value: int64(i)}
			}
			s := nfa.New(load(t, rule), roomy, nil)
			ref := reference.New([]ir.Rule{rule})
			out := &collector{}
			var got, want []string
			for _, e := range c.Events {
				stage := int64(e.Stage)
				ev := occurrence{id: uint64(e.Time), time: uint64(e.Time), name: e.Key, user: &stage}.event()
				s.Event(0, 1<<e.Stage, &ev, out)
				for _, m := range ref.Event(&ev) {
					got = append(got, fmt.Sprint("0 ", m.Events))
				}
			}
			for _, m := range c.Matches {
				want = append(want, fmt.Sprint("0 ", present(m)))
			}
			slices.Sort(want)
			for name, list := range map[string][]string{"sequencer": out.got, "reference": got} {
				slices.Sort(list)
				if !slices.Equal(list, want) {
					t.Errorf("%s: %q, want %q", name, list, want)
				}
			}
			if n := s.Counters; n.Refused+n.Evicted+n.NullKeys > 0 {
				t.Errorf("counters %+v", n)
			}
		})
	}
	t.Logf("%d cases of Elasticsearch's sequence state machine", len(cases))
}

// present are the ids of a match, without those of missing events.
func present(match []*int64) (ids []int64) {
	for _, id := range match {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	return ids
}

// row is an event of a data set: field paths and their values, of which there may be several.
type row struct {
	values map[string][]any
	time   uint64
	id     int64
}

func readRows(t *testing.T, dataset, idField string) (list []row) {
	for i, object := range corpus.Lines[map[string]any](t, corpus.Dataset(t, dataset)) {
		r := row{values: make(map[string][]any)}
		for name, v := range object {
			switch v := v.(type) {
			case []any:
				v = slices.DeleteFunc(v, func(e any) bool { return e == nil })
				if len(v) > 0 {
					r.values[name] = v
				}
			case nil:
			default:
				r.values[name] = []any{v}
			}
		}
		r.id = int64(r.values[idField][0].(float64))
		r.time = uint64(i) // of data sets without times the order is what the file has
		if v := r.values["@timestamp"]; v != nil {
			r.time = timeOf(t, v[0])
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b row) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id)) })
	return list
}

// timeOf reads milliseconds since 1970, as a number or text, or a date.
func timeOf(t *testing.T, v any) uint64 {
	ms, isNumber := v.(float64)
	if text, ok := v.(string); ok {
		date, err := time.Parse(time.RFC3339Nano, text)
		if err == nil {
			return uint64(date.UnixNano())
		}
		if ms, err = strconv.ParseFloat(text, 64); err != nil {
			t.Fatal(err)
		}
	} else if !isNumber {
		t.Fatalf("a time of %v", v)
	}
	return uint64(int64(ms * float64(time.Millisecond)))
}

// TestCorpusQueries runs the sequences and samples of Elasticsearch's query tests: which stages an event fits is found
// by a small interpreter of conditions; what it does not know is left out, and counted.
func TestCorpusQueries(t *testing.T) {
	least := map[string]int{"es_missing_events": 18, "es_extra": 18, "es_queries": 20, "es_sample": 12, "es_sample_multi": 7}
	for _, suite := range []string{"es_missing_events", "es_extra", "es_queries", "es_sample", "es_sample_multi"} {
		ran, left := 0, 0
		for _, c := range corpus.Cases(t, suite) {
			q, ds := eql.Parse(c.ID, []byte(c.Query), eql.Elastic)
			if ds.HasErrors() {
				t.Fatalf("%s: %v", c.ID, ds)
			}
			if q.Kind == eql.KindEvent || c.Size != nil {
				continue
			}
			p := &player{q: q, rows: readRows(t, c.Dataset, c.IDField), fields: make(map[string]event.FieldID)}
			if err := p.prepare(); err != nil {
				left++
				t.Logf("%s is left out: %v", c.ID, err)
				continue
			}
			ran++
			t.Run(c.ID, func(t *testing.T) { p.play(t, &c) })
		}
		t.Logf("%s: %d cases run, %d left out", suite, ran, left)
		if ran < least[suite] {
			t.Errorf("%s: only %d cases run", suite, ran)
		}
	}
}

// player runs the events of a data set through the Sequencer for one query.
type player struct {
	q      *eql.Query
	rows   []row
	fields map[string]event.FieldID // by which field of an event a path of the data set is a join key
	rule   ir.Rule
	masks  []uint32 // by row
}

// The fields that stand for those of a data set, none of which follows from another.
var (
	arrayFields = []event.FieldID{event.FieldArgs, event.FieldByName("process.parent.args").ID}
	textFields  = []event.FieldID{event.FieldExecutable, event.FieldWorkingDirectory, event.FieldUserName,
		event.FieldByName("process.parent.executable").ID, event.FieldByName("process.parent.working_directory").ID}
)

func (p *player) prepare() error {
	q := p.q
	p.rule = ir.Rule{ID: "r", Name: "r", Form: ir.FormSequence}
	if q.Kind == eql.KindSample {
		p.rule.Form = ir.FormSample
	}
	if q.MaxSpan != nil {
		p.rule.MaxSpan = q.MaxSpan.Duration()
	}
	p.masks = make([]uint32, len(p.rows))
	for i, st := range q.Stages {
		lowered, err := p.stage(st, i)
		if err != nil {
			return err
		}
		p.rule.Stages = append(p.rule.Stages, lowered)
	}
	if q.Until != nil {
		lowered, err := p.stage(q.Until, image.StageUntil)
		if err != nil {
			return err
		}
		p.rule.Until = &lowered
	}
	return nil
}

func (p *player) stage(st *eql.Stage, bit int) (ir.Stage, error) {
	out := ir.Stage{Category: event.CategoryAny, Cond: fits(min(bit, bitsMax-1)), Runs: st.Runs, Missing: st.Missing}
	if st.Missing {
		out.Runs = 0 // as often as it likes
	}
	for _, k := range slices.Concat(p.q.By, st.By) {
		f := k.(*eql.Field)
		id, err := p.field(f.Path())
		if err != nil {
			return out, err
		}
		out.Keys = append(out.Keys, ir.Key{Field: id, Optional: f.Optional})
	}
	for i := range p.rows {
		r := &p.rows[i]
		if !st.Event.Any && r.values["event_type"][0] != st.Event.Category {
			continue
		}
		truth, err := p.eval(st.Event.Where, r)
		if err != nil {
			return out, err
		}
		if truth == ir.True {
			p.masks[i] |= 1 << bit
		}
	}
	return out, nil
}

// known tells whether any event of the data set has a field.
func (p *player) known(path string) bool {
	return slices.ContainsFunc(p.rows, func(r row) bool { return r.values[path] != nil })
}

func (p *player) field(path string) (event.FieldID, error) {
	if id, ok := p.fields[path]; ok {
		return id, nil
	}
	if strings.Contains(path, "pretty") || path == "date" {
		return 0, errors.New("a key with a date format of its own")
	}
	array := slices.ContainsFunc(p.rows, func(r row) bool { return len(r.values[path]) > 1 })
	list := textFields
	if array {
		list = arrayFields
	}
	for _, id := range list {
		used := false
		for _, other := range p.fields {
			used = used || other == id
		}
		if !used {
			p.fields[path] = id
			return id, nil
		}
	}
	return 0, errors.New("more keys than there are fields for")
}

func text(v any) string {
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// event makes an event with the join keys of a row.
func (p *player) event(i int) event.Event {
	slots := map[event.FieldID]int{
		event.FieldArgs: event.SlotArgs, event.FieldExecutable: event.SlotExecutable, event.FieldWorkingDirectory: event.SlotCwd,
		event.FieldUserName: event.SlotUserName, arrayFields[1]: event.SlotArgs, textFields[3]: event.SlotExecutable,
		textFields[4]: event.SlotCwd,
	}
	own, parent := event.Builder{Buf: make([]byte, 4096)}, event.Builder{Buf: make([]byte, 4096)}
	own.Begin(event.TypeExec, p.rows[i].time)
	parent.Begin(event.TypeExec, 0)
	for path, id := range p.fields {
		var parts []string
		for _, v := range p.rows[i].values[path] {
			parts = append(parts, text(v))
		}
		if parts == nil {
			continue
		}
		b := &own
		if id.Part() == event.PartParent {
			b = &parent
		}
		b.String(slots[id], strings.Join(parts, "\x00"), 0)
	}
	bits := int64(p.masks[i])
	if p.masks[i]>>image.StageUntil != 0 {
		bits = bits&(1<<(bitsMax-1)-1) | 1<<(bitsMax-1)
	}
	own.Int(event.SlotUID, bits)
	rec := own.End()
	rec.SetID(uint64(i))
	ev := event.Event{Own: rec, Proc: rec, Parent: parent.End()}
	ev.SetCategory()
	return ev
}

func (p *player) play(t *testing.T, c *corpus.Case) {
	s := nfa.New(load(t, p.rule), nfa.Config{Tracks: 4096, States: 4096, Evidence: 4096}, nil)
	out, ref := &collector{}, reference.New([]ir.Rule{p.rule})
	var expected []reference.Match
	for i := range p.rows {
		ev := p.event(i)
		s.Advance(p.rows[i].time, out)
		if p.masks[i] != 0 {
			s.Event(0, p.masks[i], &ev, out)
		}
		expected = append(expected, ref.Event(&ev)...)
	}
	s.Advance(1<<64-1, out)
	for i, m := range append(expected, ref.Flush(1<<64-1)...) {
		if want := fmt.Sprint(m.Rule, m.Events); i >= len(out.got) || out.got[i] != want {
			t.Fatalf("result %d of %q: the reference has %q", i, out.got, want)
		}
	}
	if n := s.Counters; n.Evicted+n.Refused+n.Forgotten+n.KeysCut > 0 {
		t.Fatalf("%+v", n)
	}
	var got [][]int // rows
	for _, line := range out.got {
		var rows []int
		for _, w := range strings.Fields(strings.Trim(strings.TrimPrefix(line, "0 "), "[]!*")) {
			n, err := strconv.Atoi(w)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, n)
		}
		got = append(got, rows)
	}
	if p.rule.Form == ir.FormSample {
		p.compareSamples(t, c, got)
		return
	}
	// What waited for a time stands where its last event was.
	slices.SortStableFunc(got, func(a, b []int) int { return cmp.Compare(a[len(a)-1], b[len(b)-1]) })
	for _, pipe := range p.q.Pipes {
		n := min(int(pipe.Args[0].(*eql.Number).Int), len(got))
		if pipe.Name == "head" {
			got = got[:n]
		} else {
			got = got[len(got)-n:]
		}
	}
	p.compare(t, c, got)
}

func (p *player) compare(t *testing.T, c *corpus.Case, got [][]int) {
	var have, want []string
	for _, rows := range got {
		var ids []int64
		for _, i := range rows {
			ids = append(ids, p.rows[i].id)
		}
		have = append(have, fmt.Sprint(ids))
	}
	for _, m := range c.Matches {
		want = append(want, fmt.Sprint(present(m)))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("got %v, want %v", have, want)
	}
}

// compareSamples: which events make a sample is open, for which keys there is one is not.
func (p *player) compareSamples(t *testing.T, c *corpus.Case, got [][]int) {
	have, want := make(map[string]bool), make(map[string]bool)
	for _, rows := range got {
		for stage, i := range rows {
			if p.masks[i]>>stage&1 == 0 || slices.Index(rows, i) != stage {
				t.Fatalf("%v is no sample", rows)
			}
		}
		var key []string
		for _, k := range slices.Concat(p.q.By, p.q.Stages[0].By) {
			value := "null"
			if v := p.rows[rows[0]].values[k.(*eql.Field).Path()]; v != nil {
				value = text(v[0])
			}
			key = append(key, value)
		}
		have[fmt.Sprint(key)] = true
	}
	for _, values := range c.Keys {
		var key []string
		for _, v := range values {
			if v == nil {
				v = "null"
			}
			key = append(key, fmt.Sprint(v))
		}
		want[fmt.Sprint(key)] = true
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		t.Errorf("keys %v, want %v", have, want)
	}
}

// eval is the truth of a condition of the few kinds that sequences of the corpus have.
func (p *player) eval(x eql.Expr, r *row) (ir.Truth, error) {
	switch x := x.(type) {
	case *eql.Bool:
		return truthOf(x.Value), nil
	case *eql.Logical:
		result := truthOf(x.Op == eql.And)
		for _, a := range x.Args {
			v, err := p.eval(a, r)
			if err != nil {
				return ir.Null, err
			}
			switch {
			case x.Op == eql.And && v == ir.False, x.Op == eql.Or && v == ir.True:
				return v, nil
			case v == ir.Null:
				result = ir.Null
			}
		}
		return result, nil
	case *eql.Not:
		v, err := p.eval(x.X, r)
		return v.Not(), err
	case *eql.Compare:
		return p.comparison(x, r)
	case *eql.Match:
		if x.Op == eql.Seq {
			return p.matches(x, r)
		}
	}
	return ir.Null, fmt.Errorf("a condition of %T", x)
}

func truthOf(b bool) ir.Truth {
	if b {
		return ir.True
	}
	return ir.False
}

// operand is the value of one side; a field that no event has is null itself.
func (p *player) operand(x eql.Expr, r *row) (values []any, null bool, err error) {
	switch x := x.(type) {
	case *eql.Null:
		return nil, true, nil
	case *eql.Number:
		return []any{x.AsFloat()}, false, nil
	case *eql.String:
		return []any{x.Value}, false, nil
	case *eql.Bool:
		return []any{x.Value}, false, nil
	case *eql.Field:
		if x.Path() == "version" {
			break
		}
		return r.values[x.Path()], x.Optional && !p.known(x.Path()), nil
	}
	return nil, false, fmt.Errorf("an operand of %T", x)
}

func (p *player) comparison(x *eql.Compare, r *row) (ir.Truth, error) {
	left, nullLeft, err := p.operand(x.L, r)
	if err != nil {
		return ir.Null, err
	}
	right, nullRight, err := p.operand(x.R, r)
	if err != nil {
		return ir.Null, err
	}
	if nullLeft || nullRight {
		if x.Op != eql.Eq && x.Op != eql.Ne {
			return ir.Null, nil
		}
		return truthOf((left == nil && right == nil) == (x.Op == eql.Eq)), nil
	}
	if left == nil || right == nil {
		return ir.Null, nil
	}
	for _, a := range left {
		for _, b := range right {
			if compareValues(x.Op, a, b) {
				return ir.True, nil
			}
		}
	}
	return ir.False, nil
}

func compareValues(op eql.CompareOp, a, b any) bool {
	order, ok := 0, a == b
	if x, isNumber := a.(float64); isNumber {
		y, _ := b.(float64)
		order = cmp.Compare(x, y)
		ok = order == 0
	}
	switch op {
	case eql.Eq:
		return ok
	case eql.Ne:
		return !ok
	case eql.Lt:
		return order < 0
	case eql.Le:
		return order <= 0
	case eql.Gt:
		return order > 0
	}
	return order >= 0
}

// matches is the operator `:`, with wildcards and in any case.
func (p *player) matches(x *eql.Match, r *row) (ir.Truth, error) {
	left, _, err := p.operand(x.X, r)
	if err != nil || left == nil {
		return ir.Null, err
	}
	for _, v := range x.Values {
		pattern, ok := v.(*eql.String)
		if !ok {
			return ir.Null, fmt.Errorf("a pattern of %T", v)
		}
		for _, a := range left {
			if glob(strings.ToLower(pattern.Value), strings.ToLower(text(a))) {
				return ir.True, nil
			}
		}
	}
	return ir.False, nil
}

func glob(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '*':
		return glob(pattern[1:], s) || s != "" && glob(pattern, s[1:])
	case '?':
		return s != "" && glob(pattern[1:], s[1:])
	}
	return s != "" && s[0] == pattern[0] && glob(pattern[1:], s[1:])
}
