package agent

import (
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/defaults"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/sink"
)

func small() *config.Config {
	c := config.Default()
	c.ApplyIoT()
	return c
}

// TestBudgetSums: all holders together are within the ceiling, the image and the engine among them, and evidence takes
// its share of what the others leave.
func TestBudgetSums(t *testing.T) {
	const kernelRing = 256 << 10
	img, err := image.Load(defaults.Image())
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBudget(small(), kernelRing, img)
	if err != nil {
		t.Fatal(err)
	}
	others := runtimeBytes + 2*kernelRing + b.eventRing + alertRingBytes + sink.BufferBytesMin + b.sizes.proc().Bytes() +
		nfa.Bytes(nfa.Config{Tracks: b.sizes.Tracks, States: b.sizes.States}, 0) + img.Size + b.matching(img)
	left := budgetDefault - others
	if sum := others + len(b.slab); sum > budgetDefault {
		t.Errorf("%d bytes (max %d)", sum, budgetDefault)
	}
	if b.sizes.Evidence < evidenceMin || b.sizes.Evidence > b.sizes.States || len(b.slab) != b.sizes.Evidence*limits.EvidenceBytesMax {
		t.Errorf("evidence of %d events in %d bytes", b.sizes.Evidence, len(b.slab))
	}
	if b.sizes.Evidence < b.sizes.States && len(b.slab) < left/evidenceShare-2*limits.EvidenceBytesMax {
		t.Errorf("evidence takes %d bytes of its share of %d", len(b.slab), left/evidenceShare)
	}
	if b.heapLimit <= 0 || b.heapLimit >= budgetDefault {
		t.Errorf("heap limit %d", b.heapLimit)
	}
	if b.eventRing < 1000*eventBytes || b.eventRing&(b.eventRing-1) != 0 || b.eventRing < 4*event.RecordSizeMax {
		t.Errorf("event ring of %d bytes", b.eventRing)
	}
	if b.sizes.Tracks < b.sizes.States {
		t.Errorf("%d tracks for %d states: tracks would run out first", b.sizes.Tracks, b.sizes.States)
	}
	if err := b.replace(img, img); err != nil {
		t.Errorf("the same rules once more: %v", err)
	}
	large := *img
	large.Size = 12 << 20
	if err := b.replace(img, &large); err == nil {
		t.Error("an image of 12 MB takes the place of a small one under 16 MB")
	}
}

// TestBudgetRefuses: what does not fit is refused before anything is taken, with every holder and its bytes.
func TestBudgetRefuses(t *testing.T) {
	c := small()
	c.NFA.MaxPartialMatches, c.NFA.LRUCapacity = 1_000_000, 100_000
	_, err := newBudget(c, 256<<10, loadImage(t, compile(t, manyAlerts)))
	if err == nil {
		t.Fatal("a budget of 16 MB takes a million states")
	}
	sum := 0
	for _, holder := range []string{"Go runtime and code", "kernel ring", "event ring", "alert ring", "output buffers",
		"process table", "sequence states", "rule image", "matching", "evidence of sequences"} {
		m := regexp.MustCompile(`(?m)^ *` + holder + `[^0-9]*([0-9]+)  (elsewhere|arena)$`).FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("%s is not in the table:\n%v", holder, err)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)([0-9]+)  (?:elsewhere|arena)$`).FindAllStringSubmatch(err.Error(), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	for _, want := range []string{"memory budget exceeded by " + strconv.Itoa(sum-budgetDefault) + " bytes",
		"sum", strconv.Itoa(sum), "budget", strconv.Itoa(budgetDefault)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in the table of holders that sum up to %d:\n%v", want, sum, err)
		}
	}
}

// TestBudgetCeiling: the configuration's ceiling counts, and the board's before it; one that leaves less evidence than a
// sequence needs is refused.
func TestBudgetCeiling(t *testing.T) {
	largest := func(mb, board int) int {
		c := small()
		c.General.MaxMemoryMB, c.Board.Caps.MaxMemoryMB = mb, board
		b, err := newBudget(c, 64<<10, loadImage(t, compile(t, manyAlerts)))
		if err != nil {
			return -1
		}
		return b.ceiling
	}
	at16, at32 := largest(16, 0), largest(32, 0)
	if at16 < 0 || at32-at16 != 16<<20 || largest(16, 32) != at32 || largest(0, 0) != at16 {
		t.Errorf("ceilings: %d at 16 MB, %d at 32, %d where the board says 32, %d where nobody says", at16, at32,
			largest(16, 32), largest(0, 0))
	}
	refused := 0
	for mb := 1; mb <= 16; mb++ {
		c := small()
		c.General.MaxMemoryMB = mb
		b, err := newBudget(c, 64<<10, loadImage(t, compile(t, manyAlerts)))
		switch {
		case err != nil:
			refused = mb
		case b.sizes.Evidence < evidenceMin:
			t.Errorf("%d MB: evidence of %d events (min %d)", mb, b.sizes.Evidence, evidenceMin)
		case refused != mb-1 && refused == 0:
			t.Errorf("%d MB is enough", mb)
		}
	}
	if refused == 0 || refused == 16 {
		t.Errorf("refused up to %d MB", refused)
	}
}

func TestWorkers(t *testing.T) {
	for configured, want := range map[int]int{
		1: 1, 2: 2, limits.WorkersMax: limits.WorkersMax, limits.WorkersMax + 1: limits.WorkersMax, 1000: limits.WorkersMax,
		0: min(max(runtime.NumCPU()-1, 1), limits.WorkersMax),
	} {
		if got := workers(configured); got != want {
			t.Errorf("workers(%d) = %d, want %d", configured, got, want)
		}
	}
}

func TestPowerOfTwo(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 4096: 4096, 4097: 8192, 65535: 65536} {
		if got := powerOfTwo(n); got != want {
			t.Errorf("powerOfTwo(%d) = %d, want %d", n, got, want)
		}
	}
}
