package engine

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
	"github.com/kestrel-detection/kestrel/nfa"
)

// generator makes rules and events out of a small vocabulary, so that they meet.
type generator struct {
	*rand.Rand
	// late: events stand behind newer ones now and then, as on several processors. The sequencer forgets by the newest
	// time: what a missing stage saw long ago, and states over their span that an event was held against. An event from
	// before might have found them, so such rules go with events in order.
	late bool
}

var words = []string{"", "a", "sh", "bash", "BASH", "/bin/sh", "/tmp/a", "/tmp/x.sh", "/usr/bin/curl", "-c", "curl", "ab ab", "/etc/shadow",
	"é", "0", "33", "10.0.0.1", "start", "exec"}

func (g generator) pick(list []string) string { return list[g.IntN(len(list))] }

func (g generator) word() string {
	w := g.pick(words)
	if g.IntN(4) == 0 {
		w += g.pick(words)
	}
	return w
}

var (
	stringFields = []event.FieldID{event.FieldExecutable, event.FieldName, event.FieldArgs, event.FieldCommandLine,
		event.FieldFilePath, 21, 22, 32, 34, 33, event.FieldEventType, event.FieldEventAction, event.FieldUserName, 54, 80}
	intFields = []event.FieldID{event.FieldPID, event.FieldUserID, event.FieldParentPID, event.FieldDestinationPort,
		event.FieldArgsCount, 40, event.FieldEntityID, event.FieldExitCode}
)

func (g generator) field(list []event.FieldID) event.FieldID { return list[g.IntN(len(list))] }

func (g generator) pattern() ir.Pattern {
	p := ir.Pattern{Kind: ir.PatternKind(g.IntN(6)), Text: g.word(), Fold: g.IntN(3) == 0}
	switch p.Kind {
	case ir.Wildcard:
		p.Text = g.pick([]string{"*", "?*", "a*b", "/tmp/*", "*sh", "*a*", "/*/*sh", "b?sh", "*" + p.Text + "*", p.Text + "*" + g.word()})
	case ir.Regex:
		p.Text = g.pick([]string{".*sh", "/(tmp|bin)/.*", "[a-z]+", "b.sh", "-c|curl", "(ab )+ab", "[0-9]{1,3}"})
	}
	return p
}

func (g generator) leaf() ir.Node {
	switch g.IntN(14) {
	case 8:
		return ir.Test{X: g.truth(2)}
	case 9:
		return ir.IsNull{X: g.value(2)}
	case 0:
		return ir.IntTest{Field: g.field(intFields), Cmp: ir.Cmp(g.IntN(6)), Value: int64(g.IntN(4))}
	case 1:
		return ir.IntIn{Field: g.field(intFields), Values: []int64{int64(g.IntN(4)), int64(g.IntN(4)), 443}}
	case 2:
		prefixes := []string{"10.0.0.0/8", "127.0.0.1/32", "::/0", "::1/128", "0.0.0.0/0", "fe80::/10", "::ffc0:0:0/90"}
		return ir.IPIn{Field: g.field([]event.FieldID{event.FieldDestinationIP, event.FieldSourceIP}),
			Prefixes: []netip.Prefix{netip.MustParsePrefix(g.pick(prefixes)), netip.MustParsePrefix(g.pick(prefixes))}}
	case 3:
		return ir.Present{Field: g.field(append(stringFields, intFields...))}
	case 4:
		return ir.StringOrder{Field: g.field(stringFields), Cmp: ir.Cmp(2 + g.IntN(4)), Value: g.word()}
	case 5:
		if g.IntN(2) == 0 {
			return ir.FieldTest{Left: g.field(intFields), Right: g.field(intFields), Cmp: ir.Cmp(g.IntN(6))}
		}
		t := ir.FieldTest{Left: g.field(stringFields), Right: g.field(stringFields), Cmp: ir.Cmp(g.IntN(2)), Fold: g.IntN(2) == 0}
		if t.Left.Kind() == event.KindStrings && t.Right.Kind() == event.KindStrings {
			t.Left = event.FieldExecutable // two arrays are refused
		}
		return t
	case 6:
		return ir.Const{Value: ir.Truth(g.IntN(3))}
	case 7:
		return ir.StringTest{Field: g.field(append(intFields, event.FieldDestinationIP)), Patterns: []ir.Pattern{g.pattern()}}
	}
	t := ir.StringTest{Field: g.field(stringFields)}
	for range 1 + g.IntN(3) {
		t.Patterns = append(t.Patterns, g.pattern())
	}
	return t
}

func (g generator) node(depth int) ir.Node {
	if depth == 0 || g.IntN(3) == 0 {
		return g.leaf()
	}
	switch g.IntN(6) {
	case 0:
		return ir.Not{Arg: g.node(depth - 1)}
	case 1:
		return ir.IsTrue{Arg: g.node(depth - 1)}
	}
	args := make([]ir.Node, 2+g.IntN(3))
	for i := range args {
		args[i] = g.node(depth - 1)
	}
	if g.IntN(2) == 0 {
		return ir.And{Args: args}
	}
	return ir.Or{Args: args}
}

func (g generator) category() event.Category {
	return []event.Category{event.CategoryProcess, event.CategoryFile, event.CategoryNetwork, event.CategoryAny}[g.IntN(4)]
}

func (g generator) process(t event.Type, time uint64) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(t, time)
	pid := uint32(1 + g.IntN(3))
	b.Process(pid, pid, 0, uint64(pid))
	maybe := func(f func()) {
		if g.IntN(4) > 0 {
			f()
		}
	}
	maybe(func() { b.String(event.SlotExecutable, g.word(), 0) })
	maybe(func() { b.String(event.SlotArgs, strings.Join([]string{g.word(), g.word()}, "\x00"), 0) })
	maybe(func() { b.Int(event.SlotUID, int64(g.IntN(3))) })
	maybe(func() { b.Int(event.SlotParentPID, int64(g.IntN(3))) })
	maybe(func() { b.Int(event.SlotArgsCount, int64(g.IntN(3))) })
	maybe(func() { b.Int(event.SlotTTY, int64(g.IntN(2))) })
	if t == event.TypeExit {
		b.Int(event.SlotExitCode, int64(g.IntN(3)))
	}
	return b.End()
}

func (g generator) event(id uint64, host *event.Host) event.Event {
	time := id/2 + 1 // now and then two at a time
	if g.late {
		time = id + uint64(g.IntN(3))
	}
	ev := event.Event{Host: host}
	switch g.IntN(3) {
	case 0:
		ev.Own = g.process([]event.Type{event.TypeExec, event.TypeFork, event.TypeExit}[g.IntN(3)], time)
		ev.Proc = ev.Own
	case 1:
		b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
		b.Begin([]event.Type{event.TypeFileOpen, event.TypeFileCreate}[g.IntN(2)], time)
		b.Process(1, 1, 0, uint64(1+g.IntN(3)))
		b.String(event.SlotPath, g.word(), 0)
		b.Int(event.SlotUID, int64(g.IntN(3)))
		ev.Own = b.End()
	default:
		b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
		b.Begin(event.TypeConnect, time)
		b.Process(1, 1, 0, uint64(1+g.IntN(3)))
		ips := []string{"10.1.2.3", "127.0.0.1", "::1", "fe80::1", "8.8.8.8", "2001:db8::1"}
		a := netip.MustParseAddr(g.pick(ips))
		b.Bytes(event.SlotDestinationIP, a.AsSlice(), 0, false)
		b.Int(event.SlotDestinationPort, []int64{443, 80, 1, 2}[g.IntN(4)])
		b.Int(event.SlotProtocol, []int64{6, 17, 99}[g.IntN(3)])
		ev.Own = b.End()
	}
	if ev.Proc == nil && g.IntN(4) > 0 {
		ev.Proc = g.process(event.TypeProcessInfo, 0)
	}
	if g.IntN(3) > 0 {
		ev.Parent = g.process(event.TypeProcessInfo, 0)
		ev.ParentEntity = ev.Own.Entity() + 1 // no circles
	}
	ev.Own.SetID(id)
	ev.SetCategory()
	ev.ProcFacts, ev.ParentFacts = g.facts(ev.Proc), g.facts(ev.Parent)
	return ev
}

// facts numbers what a process record says of its program, as the process table does; now and then it does not know.
func (g generator) facts(rec event.Record) uint64 {
	if rec == nil || g.IntN(8) == 0 {
		return 0
	}
	exe, _ := rec.Bytes(event.SlotExecutable)
	args, ok := rec.Bytes(event.SlotArgs)
	h := fnv.New64a()
	fmt.Fprintf(h, "%v %q %v %q", rec.Has(event.SlotExecutable), exe, ok, args)
	return h.Sum64() | 1
}

// collector keeps alerts as the reference interpreter states them.
type collector struct {
	t     testing.TB
	got   []string
	bytes []byte
}

func (c *collector) Push(b []byte) bool {
	if fault := alert.Check(b); fault != 0 {
		c.t.Fatalf("alert is broken: %v", fault)
	}
	a := alert.Alert(b)
	var ids []uint64
	for it := a.Events(); ; {
		ev, ok := it.Next()
		if !ok {
			break
		}
		ids = append(ids, ev.ID())
	}
	c.got = append(c.got, fmt.Sprintf("%s %v", a.RuleID(), ids))
	c.bytes = append(c.bytes, b...)
	return true
}

var seedFlag = flag.Uint64("seed", 0, "seed of the random rules and events (0: a new one each time)")

var testPools = nfa.Config{Tracks: 4096, States: 8192, Evidence: 16384}

// TestAgainstReference runs random rules over random events in the engine, with one worker and with several, and in the
// reference interpreter: the alerts must be the same.
func TestAgainstReference(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		seed := rand.Uint64()
		if *seedFlag != 0 {
			seed = *seedFlag
		}
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { againstReference(t, seed, 1+int(seed/2%40)) }) {
			t.Fatalf("seed %d", seed)
		}
	}
}

func againstReference(t *testing.T, seed uint64, rules int) {
	g := generator{rand.New(rand.NewPCG(seed, 1)), seed%2 == 0}
	rs := &ir.Ruleset{Name: "random", Version: "1"}
	for i := range rules {
		rs.Rules = append(rs.Rules, g.rule(i))
	}
	file, _, err := build.Build(rs, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	host := &event.Host{}
	host.Users.Set(0, []byte("root"))
	host.Users.Set(1, []byte("bash"))
	events := make([]event.Event, 400)
	var want []string
	in := reference.New(rs.Rules)
	for i := range events {
		events[i] = g.event(uint64(i+1), host)
		for _, m := range in.Event(&events[i]) {
			want = append(want, fmt.Sprintf("r%d %v", m.Rule, m.Events))
		}
	}
	for _, m := range in.Flush(1<<64 - 1) {
		want = append(want, fmt.Sprintf("r%d %v", m.Rule, m.Events))
	}
	var first []byte
	for _, workers := range []int{1, 2, 3} {
		c := &collector{t: t}
		e := New(img, Config{Workers: workers, NFA: testPools, Processes: 64}, c)
		for rest := events; len(rest) > 0; {
			n := min(1+g.IntN(100), len(rest))
			e.Step(rest[:n], 0)
			rest = rest[n:]
		}
		e.Flush()
		e.Close()
		compareAlerts(t, want, c.got)
		if first == nil {
			first = c.bytes
		} else if string(first) != string(c.bytes) {
			t.Fatalf("%d workers: the alerts' bytes differ", workers)
		}
	}
}

func compareAlerts(t *testing.T, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Fatalf("alert %d missing: %s", i, want[i])
		case i >= len(want):
			t.Fatalf("alert %d too much: %s", i, got[i])
		case want[i] != got[i]:
			t.Fatalf("alert %d: got %s, want %s", i, got[i:min(i+4, len(got))], want[i:min(i+4, len(want))])
		}
	}
}
