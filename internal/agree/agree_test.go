package agree

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/hunt"
	"github.com/kestrel-detection/kestrel/hunt/events"
)

var seedFlag = flag.Uint64("agree.seed", 0, "seed of the generated queries and events (0: a new one each time)")

// hunted is what the hunt finds in the events, which it sees as the engine does: completed by the process table.
func hunted(t testing.TB, q *eql.Query, lines []byte) (found, error) {
	t.Helper()
	schema := events.Recorded()
	var list []*events.Event
	feed(t, lines, func(ev *event.Event) {
		e, err := events.New(schema, ecsjson.AppendJSON(nil, ev), len(list)+1)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	})
	h, ds := hunt.Compile(q, schema, hunt.Options{})
	if h == nil {
		return nil, fmt.Errorf("%v", ds)
	}
	matches, err := h.All(events.Slice(list))
	if err != nil {
		t.Fatal(err)
	}
	var out found
	for _, m := range matches {
		var ids []int
		for _, e := range m.Events {
			if e != nil {
				ids = append(ids, e.Line())
			}
		}
		out = append(out, ids)
	}
	return out, nil
}

func sorted(f found) found {
	out := slices.Clone(f)
	slices.SortFunc(out, slices.Compare)
	return out
}

// TestAgreement: generated queries find the same events on the device, in the interpreter and in the hunt.
func TestAgreement(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	ran, matched, refused := 0, 0, make(map[string]int)
	for range rounds {
		seed := rand.Uint64()
		if *seedFlag != 0 {
			seed = *seedFlag
		}
		n, why := agree(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if why != "" {
			refused[why]++
			continue
		}
		ran++
		if n > 0 {
			matched++
		}
	}
	t.Logf("%d queries ran, %d of them with matches", ran, matched)
	for why, n := range refused {
		t.Logf("  %d refused: %s", n, why)
	}
	if ran < rounds*8/10 || matched < rounds/4 {
		t.Error("the queries say too little: too few ran or matched")
	}
}

func agree(t *testing.T, seed uint64) (matches int, refused string) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &writer{Rand: r, dialect: []eql.Dialect{eql.Elastic, eql.Kestrel}[r.IntN(2)]}
	w.lineage = w.dialect == eql.Kestrel && r.IntN(4) == 0
	text := w.event(3)
	if r.IntN(2) == 0 {
		text = w.sequence()
	}
	q, ds := eql.Parse("query", []byte(text), w.dialect)
	if ds.HasErrors() {
		t.Fatalf("seed %d: %v\n%s", seed, ds, text)
	}
	rule, img, err := compile(q, ds)
	if err != nil {
		return 0, err.Error()
	}
	m := &maker{Rand: r, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	lines := m.births()
	for range 120 {
		lines = append(append(lines, m.line()...), '\n')
	}
	device, elided := onDevice(t, img, lines)
	ref := byReference(t, rule, lines)
	if elided == 0 && device.String() != ref.String() {
		t.Errorf("%s\nengine    %v\nreference %v\n%s", text, device, ref, numbered(lines))
	}
	found, err := hunted(t, q, lines)
	if err != nil {
		t.Errorf("the hunt refuses what the device takes: %v\n%s", err, text)
		return 0, ""
	}
	if elided == 0 && sorted(found).String() != sorted(device).String() {
		t.Errorf("%s\nengine %v\nhunt   %v\n%s", text, sorted(device), sorted(found), numbered(lines))
	}
	return len(device), ""
}

// numbered shows events with their numbers.
func numbered(lines []byte) string {
	var b strings.Builder
	for i, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
		fmt.Fprintf(&b, "%3d %s\n", i+1, line)
	}
	return b.String()
}
