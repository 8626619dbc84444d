package nfa_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/nfa"
)

// model is the Sequencer said plainly: a list of tracks in order of use, each with a state for each stage, and pools
// that are numbers. It keeps what must not be lost, and goes through the same choices when a pool is empty.
type model struct {
	rules   []ir.Rule
	cfg     nfa.Config
	tracks  []*modelTrack // the one touched longest ago first
	evicted []bool
	counts  nfa.Counters
	// dropped are the states that were given up in an advance; Counters.Evicted holds them as well.
	dropped uint64
	got     []string
}

type modelTrack struct {
	rule   int
	key    string
	states map[int]*modelState // by the stage that came last
}

type modelState struct {
	start uint64
	ids   []uint64
}

func (m *model) states() (n int) {
	for _, t := range m.tracks {
		n += len(t.states)
	}
	return n
}

// write makes room for an event in the chain of a state. What is kept of the event itself the chains share, but for one
// that is in none any more.
func (m *model) write(t *modelTrack, o *occurrence) bool {
	count := func(distinct bool) func() int {
		return func() (n int) {
			seen := make(map[uint64]bool)
			for _, t := range m.tracks {
				for _, s := range t.states {
					n += len(s.ids)
					for _, id := range s.ids {
						seen[id] = true
					}
				}
			}
			if distinct {
				return len(seen)
			}
			return n
		}
	}
	if !m.room(count(false), 4*m.cfg.Evidence, t, o.time) {
		return false
	}
	for _, t := range m.tracks {
		for _, s := range t.states {
			if slices.Contains(s.ids, o.id) {
				return true
			}
		}
	}
	return m.room(count(true), m.cfg.Evidence, t, o.time)
}

func (m *model) find(rule int, key string) *modelTrack {
	for _, t := range m.tracks {
		if t.rule == rule && t.key == key {
			return t
		}
	}
	return nil
}

func (m *model) remove(t *modelTrack) {
	m.tracks = slices.DeleteFunc(m.tracks, func(o *modelTrack) bool { return o == t })
}

func (m *model) touch(t *modelTrack) {
	m.remove(t)
	m.tracks = append(m.tracks, t)
}

func (m *model) over(rule int, s *modelState, now uint64) bool {
	span := uint64(m.rules[rule].MaxSpan)
	return span > 0 && now > s.start && now-s.start > span
}

func (m *model) evict(keep *modelTrack, now uint64) bool {
	t := m.victim(keep, now)
	if t == nil {
		return false
	}
	for _, s := range t.states {
		if m.over(t.rule, s, now) {
			m.counts.Expired++
		} else {
			m.counts.Evicted++
			m.evicted[t.rule] = true
		}
	}
	m.remove(t)
	return true
}

// victim is the first of the 64 oldest whose states are all over, or else the oldest.
func (m *model) victim(keep *modelTrack, now uint64) (oldest *modelTrack) {
	for i, t := range m.tracks {
		if i == 64 {
			break
		}
		if t == keep {
			continue
		}
		over := true
		for _, s := range t.states {
			over = over && m.over(t.rule, s, now)
		}
		if over {
			return t
		}
		if oldest == nil {
			oldest = t
		}
	}
	return oldest
}

// room makes room in a pool, without touching keep.
func (m *model) room(used func() int, size int, keep *modelTrack, now uint64) bool {
	for used() >= size {
		if !m.evict(keep, now) {
			return false
		}
	}
	return true
}

func (m *model) drop(t *modelTrack, stage int) bool {
	_, ok := t.states[stage]
	delete(t.states, stage)
	return ok
}

func (m *model) clean(t *modelTrack) {
	if len(t.states) == 0 {
		m.remove(t)
	}
}

func (m *model) begin(rule int, key string, o *occurrence) {
	t := m.find(rule, key)
	if t == nil {
		if !m.room(func() int { return len(m.tracks) }, m.cfg.Tracks, nil, o.time) {
			m.counts.Refused++
			return
		}
		t = &modelTrack{rule, key, make(map[int]*modelState)}
	}
	m.touch(t)
	if m.drop(t, 0) {
		m.counts.Replaced++
	}
	if !m.room(m.states, m.cfg.States, t, o.time) || !m.write(t, o) {
		m.counts.Refused++
		m.clean(t)
		return
	}
	t.states[0] = &modelState{o.time, []uint64{o.id}}
	m.counts.Started++
}

func (m *model) advance(rule int, key string, stage int, o *occurrence) {
	t := m.find(rule, key)
	if t == nil || t.states[stage-1] == nil {
		return
	}
	s := t.states[stage-1]
	if m.over(rule, s, o.time) {
		m.counts.Expired++
		m.drop(t, stage-1)
		m.clean(t)
		return
	}
	m.touch(t)
	if stage == len(m.rules[rule].Stages)-1 {
		text := fmt.Sprint(rule, append(slices.Clone(s.ids), o.id))
		if m.evicted[rule] {
			text += "*"
			m.evicted[rule] = false
		}
		m.got = append(m.got, text)
		m.counts.Completed++
		m.drop(t, stage-1)
		m.clean(t)
		return
	}
	if m.drop(t, stage) {
		m.counts.Replaced++
	}
	if !m.write(t, o) {
		m.counts.Evicted++
		m.evicted[rule] = true
		m.dropped++
		m.drop(t, stage-1)
		m.clean(t)
		return
	}
	m.drop(t, stage-1)
	s.ids = append(s.ids, o.id)
	t.states[stage] = s
	m.counts.Advanced++
}

// key is the join key of an occurrence, by the keys of a rule.
func (m *model) key(rule int, o *occurrence) (text string, ok bool) {
	for _, k := range m.rules[rule].Stages[0].Keys {
		value := "null"
		switch {
		case k.Field == event.FieldName && o.name != nil:
			value = fmt.Sprintf("%q", *o.name)
		case k.Field == event.FieldUserID && o.user != nil:
			value = fmt.Sprint(*o.user)
		case !k.Optional:
			return "", false
		}
		text += value + ","
	}
	return text, true
}

func (m *model) event(rule int, o *occurrence) {
	if o.mask&1 == 0 && !slices.ContainsFunc(m.tracks, func(t *modelTrack) bool { return t.rule == rule }) {
		return // nothing waits for it
	}
	key, ok := m.key(rule, o)
	for stage := len(m.rules[rule].Stages) - 1; stage >= 0; stage-- {
		switch {
		case o.mask>>stage&1 == 0:
		case !ok:
			m.counts.NullKeys++
		case stage == 0:
			m.begin(rule, key, o)
		default:
			m.advance(rule, key, stage, o)
		}
	}
	if o.mask>>image.StageUntil&1 == 0 {
		return
	}
	if !ok {
		m.counts.NullKeys++
	} else if t := m.find(rule, key); t != nil {
		m.counts.Cleared += uint64(len(t.states))
		m.remove(t)
	}
}

// round is a random configuration and the events for it.
type round struct {
	*rand.Rand
	cfg   nfa.Config
	rules []ir.Rule
	names []string
	time  uint64
}

func newRound(seed uint64) *round {
	r := &round{Rand: rand.New(rand.NewPCG(seed, 4))}
	r.cfg = nfa.Config{Tracks: r.IntN(7), States: r.IntN(9), Evidence: r.IntN(12)}
	if r.IntN(10) > 0 {
		r.cfg.Tracks, r.cfg.States, r.cfg.Evidence = r.cfg.Tracks+1, r.cfg.States+1, r.cfg.Evidence+1
	}
	keys := [][]ir.Key{nil, byName, byOptional, byNameAndUser, byNameMaybeUID}
	for i := range 1 + r.IntN(4) {
		span := time.Duration(0)
		if r.IntN(2) == 0 {
			span = time.Duration(1 + r.IntN(30))
		}
		r.rules = append(r.rules, sequence(fmt.Sprint("r", i), 2+r.IntN(3), r.IntN(2) == 0, span, keys[r.IntN(len(keys))]...))
	}
	for i := range 1 + r.IntN(12) {
		r.names = append(r.names, fmt.Sprintf("%0*d", 1+r.IntN(20), i))
	}
	return r
}

func (r *round) occurrence(id uint64) (rule int, o occurrence) {
	// Mostly forward, now and then back: events of several processors do not come in order.
	r.time += uint64(r.IntN(4))
	if r.IntN(10) == 0 {
		r.time -= min(r.time, uint64(r.IntN(10)))
	}
	o = occurrence{id: id, time: r.time}
	if r.IntN(10) > 0 {
		name := r.names[r.IntN(len(r.names))]
		o.name = &name
	}
	if r.IntN(4) > 0 {
		user := int64(r.IntN(2))
		o.user = &user
	}
	rule = r.IntN(len(r.rules))
	for stage := range r.rules[rule].Stages {
		if r.IntN(3) == 0 {
			o.mask |= 1 << stage
		}
	}
	if r.rules[rule].Until != nil && r.IntN(12) == 0 {
		o.mask |= 1 << image.StageUntil
	}
	return rule, o
}

// TestAgainstModel runs random events through pools that are mostly too small, and through the model: the same alerts
// with the same marks, the same counters, and every state that began is accounted for at every moment.
func TestAgainstModel(t *testing.T) {
	rounds := 120
	if testing.Short() {
		rounds = 20
	}
	var sum nfa.Counters
	dropped := uint64(0)
	for range rounds {
		seed := rand.Uint64()
		r := newRound(seed)
		m := &model{rules: r.rules, cfg: r.cfg, evicted: make([]bool, len(r.rules))}
		s := nfa.New(load(t, r.rules...), r.cfg, nil)
		out := &collector{}
		for id := range uint64(600) {
			rule, o := r.occurrence(id + 1)
			m.event(rule, &o)
			ev := o.event()
			s.Event(uint32(rule), o.mask, &ev, out)
			if s.Counters != m.counts || s.Active() != m.states() || len(out.got) != len(m.got) {
				t.Fatalf("seed %d, event %d, %+v: counters\n%+v, %d active, model\n%+v, %d active", seed, id+1, r.cfg, s.Counters, s.Active(),
					m.counts, m.states())
			}
			if s.Counters.Started != ended(s.Counters)+uint64(s.Active()) {
				t.Fatalf("seed %d, event %d: %d started, %d ended, %d active", seed, id+1, s.Counters.Started, ended(s.Counters), s.Active())
			}
		}
		if !slices.Equal(out.got, m.got) {
			t.Fatalf("seed %d: completed\n%q\nmodel\n%q", seed, out.got, m.got)
		}
		sum.Completed += s.Counters.Completed
		sum.Evicted += s.Counters.Evicted
		sum.Expired += s.Counters.Expired
		sum.Cleared += s.Counters.Cleared
		sum.Refused += s.Counters.Refused
		dropped += m.dropped
	}
	t.Logf("%d rounds: %+v, %d dropped in an advance", rounds, sum, dropped)
	if sum.Completed == 0 || sum.Evicted == 0 || sum.Expired == 0 || sum.Cleared == 0 || sum.Refused == 0 || dropped == 0 {
		t.Error("the rounds did not reach every way a state can end")
	}
}

// TestCountersAddUp: whoever sees only the counters can account for every state: what began has ended in one of the
// named ways or is pending.
func TestCountersAddUp(t *testing.T) {
	// One track, room for two pieces of evidence: the third step of a sequence of four has none.
	s := nfa.New(load(t, sequence("r", 4, false, 0)), nfa.Config{Tracks: 1, States: 4, Evidence: 2}, nil)
	out := &collector{}
	for _, o := range parse(t, "1:a:A 2:a:B 3:a:C 4:a:D") {
		ev := o.event()
		s.Event(0, o.mask, &ev, out)
	}
	if c := s.Counters; c.Started != ended(c)+uint64(s.Active()) {
		t.Errorf("%+v, %d active: a state that began is in no counter of those that ended", c, s.Active())
	}
}

func TestNoAllocation(t *testing.T) {
	r := newRound(11)
	r.cfg = nfa.Config{Tracks: 4, States: 4, Evidence: 4}
	s := nfa.New(load(t, r.rules...), r.cfg, nil)
	const events = 2000
	rules, evs, masks := make([]uint32, events), make([]event.Event, events), make([]uint32, events)
	for i := range evs {
		rule, o := r.occurrence(uint64(i + 1))
		rules[i], evs[i], masks[i] = uint32(rule), o.event(), o.mask
	}
	out := &counter{}
	if n := mallocs.Least(func() {
		for i := range evs {
			s.Event(rules[i], masks[i], &evs[i], out)
		}
	}); n != 0 {
		t.Errorf("%d allocations in %d events", n, events)
	}
	if out.n == 0 || s.Counters.Evicted == 0 {
		t.Errorf("%d completed, %d evicted: the test does too little", out.n, s.Counters.Evicted)
	}
}

type counter struct{ n int }

func (c *counter) Holds(uint32, int, *nfa.Pending, *event.Event) bool { return true }

func (c *counter) Sequence(d *nfa.Completed) {
	for {
		if _, ok := d.Pending.Next(); !ok {
			break
		}
		c.n++
	}
}
