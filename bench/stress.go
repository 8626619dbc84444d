package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// Stress is what an adversary who chooses the events gets: how long one event and one Step may take, what is allocated,
// and where what did not fit is counted.
type Stress struct {
	What     string  `json:"what"`
	Rules    int     `json:"rules"`
	Events   uint64  `json:"events"`
	Bytes    float64 `json:"bytes_per_event"`
	Event    float64 `json:"event_ns"`       // in Steps of the largest batch, median of the rounds
	Worst    int64   `json:"event_max_ns"`   // the slowest event alone, of each the least over the rounds
	StepMax  int64   `json:"step_max_ns"`    // the slowest Step of the largest batch
	Mallocs  uint64  `json:"mallocs"`        // of all timed Steps
	Memory   int64   `json:"memory_bytes"`   // the engine's own, the same before and after
	Growth   int64   `json:"heap_growth"`    // of the heap over all rounds
	Matches  uint64  `json:"matches"`        // stages that fitted
	Alerts   uint64  `json:"alerts"`         //
	Started  uint64  `json:"states_started"` // and what became of them:
	Ended    uint64  `json:"states_ended"`
	Evicted  uint64  `json:"states_evicted"` // of these, dropped alive for want of room
	Pending  int     `json:"states_pending"`
	Lazy     uint64  `json:"lazy_dfa_clears"`
	Fallback uint64  `json:"nfa_fallbacks"`
	Cut      uint64  `json:"computed_cut"`
	Balanced bool    `json:"every_state_accounted_for"`
}

// stressEvents are those of one round: several of the largest batches, and more than a device has states.
const stressEvents = 4 * limits.BatchMax

// attack is a rule set and events against it.
type attack struct {
	what   string
	rules  []ir.Rule // nil: those that are measured
	events func(e *maker, i int)
}

// stress runs every attack.
func (r *runner) stress(img *image.Image, rules []ir.Rule) ([]Stress, error) {
	var list []Stress
	long := longText(rules)
	hostile := wildcardText()
	colliding, plain := joinKeys()
	attacks := []attack{
		{"long command lines, of the rules' own literals", nil, func(m *maker, i int) { m.exec(uint64(i), long, i) }},
		{"wildcards and regexes that backtrack elsewhere", wildcardRules(), func(m *maker, i int) {
			m.exec(uint64(i), hostile, 0)
		}},
		{"an entity per event, a hundred sequences begin", sequenceRules(100), func(m *maker, _ int) { m.fresh() }},
		{"sequences that never end, for few entities", sequenceRules(100), func(m *maker, i int) { m.exec(uint64(i%8+1), nil, i) }},
		{"join keys chosen at random", sequenceRules(1), func(m *maker, i int) { m.exec(plain[i%len(plain)], nil, i) }},
		{"join keys that share a bucket", sequenceRules(1), func(m *maker, i int) { m.exec(colliding[i%len(colliding)], nil, i) }},
	}
	for _, a := range attacks {
		r.progress("adversary: %s", a.what)
		s, err := r.attack(a, img)
		if err != nil {
			return nil, fmt.Errorf("adversary: %s: %w", a.what, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func (r *runner) attack(a attack, img *image.Image) (Stress, error) {
	s := Stress{What: a.what, Rules: len(r.cfg.Set.Rules)}
	if a.rules != nil {
		file, _, err := build.Build(&ir.Ruleset{Name: "stress", Rules: a.rules}, build.Options{})
		if err != nil {
			return s, err
		}
		if img, err = image.Load(file); err != nil {
			return s, err
		}
		s.Rules = len(a.rules)
	}
	m := newMaker(a.events)
	var out counter
	e := newEngine(img, 1, &out)
	defer e.Close()
	s.Memory = int64(engine.Bytes(img, engine.Config{Workers: 1, Processes: agent.DeviceSizes.Processes,
		Suppress: agent.DeviceSizes.Suppressed}))
	m.step(e)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t, mallocs := r.effort.measure(work{n: stressEvents, prepare: m.next, f: func() { s.StepMax = max(s.StepMax, m.step(e)) }})
	floor := m.singles(e, min(t.Rounds, roundsMin))
	runtime.GC()
	runtime.ReadMemStats(&after)
	s.Event, s.Mallocs, s.Worst, s.Bytes = t.Median, mallocs, floor, m.bytes
	s.Growth = int64(after.HeapAlloc) - int64(before.HeapAlloc)
	c := e.Counters()
	seq, pending := e.Sequences()
	s.Events, s.Matches, s.Alerts, s.Pending = c.Events, c.Matches, c.Alerts, pending
	s.Lazy, s.Fallback, s.Cut = c.CacheClears, c.NFAFallbacks, c.ExprCut
	s.Started, s.Ended, s.Evicted = seq.Started, ended(seq), seq.Evicted
	s.Balanced = s.Started == s.Ended+uint64(pending)
	if !s.Balanced {
		return s, fmt.Errorf("%d states were started, %d ended, %d are pending", s.Started, s.Ended, pending)
	}
	return s, nil
}

// ended is the sum of the ways in which states end.
func ended(c nfa.Counters) uint64 {
	return c.Completed + c.Joined + c.Replaced + c.Expired + c.Cleared + c.Tainted + c.KeptOut + c.Evicted
}

// longBytes is the longest text that an event of the kernel's can bring, nearly.
const longBytes = event.RecordSizeMax - 2048

// longText is made of literals of the rules without their last byte: a scan follows each to its end and finds nothing.
func longText(rules []ir.Rule) []byte {
	var b []byte
	for len(b) < longBytes {
		before := len(b)
		for _, w := range commandLiterals(rules) {
			b = append(append(b, w[:len(w)-1]...), ' ')
		}
		if len(b) == before {
			b = append(b, "nothing to look for "...)
		}
	}
	return b[:longBytes]
}

// wildcardRules are patterns on which matchers that go back over the text take time that grows with a power of it.
func wildcardRules() (list []ir.Rule) {
	const rules, stars = 50, 8
	for i := range rules {
		run, letter := strings.Repeat("a", 2+i%7), string(rune('a'+i%26))
		p := ir.Pattern{Kind: ir.Wildcard, Text: strings.Repeat("*"+run, stars) + "*b" + letter + "*c" + letter + "*"}
		if i%2 == 1 {
			p = ir.Pattern{Kind: ir.Regex, Text: ".*(a|a" + run + ")*" + run + "b" + letter + ".*c" + letter + ".*"}
		}
		list = append(list, ir.Rule{ID: fmt.Sprint("wildcard-", i), Stages: []ir.Stage{{Category: event.CategoryProcess,
			Cond: ir.StringTest{Field: event.FieldCommandLine, Patterns: []ir.Pattern{p}}}}})
	}
	return list
}

// wildcardText has every literal of wildcardRules, so that nothing is ruled out early, and the last before the others, so
// that no pattern holds.
func wildcardText() []byte {
	var first, last []byte
	for c := byte('a'); c <= 'z'; c++ {
		first, last = append(first, ' ', 'c', c), append(last, ' ', 'a', 'a', 'b', c)
	}
	b := append([]byte("12345678"), first...)
	b = append(b, bytes.Repeat([]byte("a"), longBytes-len(b)-len(last))...)
	return append(b, last...)
}

// sequenceRules are sequences by process whose first step every execution fits and whose second none does.
func sequenceRules(n int) (list []ir.Rule) {
	action := func(text string) ir.Stage {
		return ir.Stage{Category: event.CategoryProcess, Keys: []ir.Key{{Field: event.FieldEntityID}},
			Cond: ir.StringTest{Field: event.FieldEventAction, Patterns: []ir.Pattern{{Text: text}}}}
	}
	for i := range n {
		list = append(list, ir.Rule{ID: fmt.Sprint("sequence-", i), Form: ir.FormSequence, MaxSpan: time.Hour,
			Stages: []ir.Stage{action("exec"), action("never")}})
	}
	return list
}

// collidingKeys are as many as a device has tracks, so that what is slow is the search and not the eviction.
const collidingKeys = 900

// joinKeys are entity ids whose tracks share a bucket of a device's sequencer: the hash has no secret, so an attacker who
// can choose a key can do the same. plain are as many that do not.
func joinKeys() (colliding, plain []uint64) {
	buckets := uint64(1)
	for buckets < uint64(agent.DeviceSizes.Tracks) {
		buckets <<= 1
	}
	for k := uint64(1); len(colliding) < collidingKeys; k++ {
		if nfa.HashOf(0, int64(k))&(buckets-1) == 0 {
			colliding = append(colliding, k)
		} else if len(plain) < collidingKeys {
			plain = append(plain, k)
		}
	}
	return colliding, plain
}

// maker makes the events of an attack: executions, each of facts that no event had before, so that nothing learned of one
// is of use for another.
type maker struct {
	builder event.Builder
	host    event.Host
	events  []event.Event
	id      uint64
	entity  uint64
	bytes   float64
}

func newMaker(fill func(*maker, int)) *maker {
	m := &maker{builder: event.Builder{Buf: make([]byte, event.RecordSizeMax)}}
	total := 0
	for i := range stressEvents {
		fill(m, i)
		total += len(m.events[i].Own)
	}
	m.bytes = float64(total) / stressEvents
	return m
}

// exec adds an execution. turn rotates the text.
func (m *maker) exec(entity uint64, text []byte, turn int) {
	m.id++
	m.builder.Begin(event.TypeExec, m.id*1000)
	m.builder.Process(uint32(m.id), uint32(m.id), m.id, entity)
	m.builder.String(event.SlotExecutable, "/usr/bin/example", 0)
	if len(text) > 0 {
		at := turn % len(text)
		m.builder.Bytes(event.SlotArgs, append(text[at:len(text):len(text)], text[:at]...), 0, false)
	}
	ev := event.Event{Own: bytes.Clone(m.builder.End()), Host: &m.host, ProcFacts: m.id}
	ev.Proc = ev.Own
	ev.SetCategory()
	m.events = append(m.events, ev)
}

// fresh adds an execution by an entity that was not seen before.
func (m *maker) fresh() {
	m.entity++
	m.exec(m.entity<<20, nil, 0)
}

// next makes the events later ones of other processes, with other texts; those of entities that were fresh are so again.
func (m *maker) next() {
	for i := range m.events {
		ev := &m.events[i]
		m.id++
		ev.Own.SetID(m.id)
		binary.LittleEndian.PutUint64(ev.Own[offTime:], m.id*1000)
		ev.ProcFacts = m.id
		if v, ok := ev.Own.Bytes(event.SlotArgs); ok {
			copy(v, fmt.Sprintf("%08d", m.id))
		}
		if m.entity > 0 {
			m.entity++
			ev.Own.SetEntity(m.entity << 20)
		}
	}
}

// step puts all events through in the largest batches and returns the longest Step.
func (m *maker) step(e *engine.Engine) (longest int64) {
	for at := 0; at < len(m.events); at += limits.BatchMax {
		t0 := time.Now()
		e.Step(m.events[at:min(at+limits.BatchMax, len(m.events))], 0)
		longest = max(longest, int64(time.Since(t0)))
	}
	return longest
}

// singles is the longest of the events' own least times.
func (m *maker) singles(e *engine.Engine, rounds int) (longest int64) {
	samples := make([]uint32, 0, rounds*len(m.events))
	for range rounds {
		m.next()
		for i := range m.events {
			t0 := time.Now()
			e.Step(m.events[i:i+1:i+1], 0)
			samples = append(samples, clamp(time.Since(t0)))
		}
	}
	return quantiles(floors(samples, len(m.events))).Max
}
