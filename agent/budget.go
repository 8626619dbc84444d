package agent

import (
	"fmt"
	"math/bits"
	"runtime"

	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/arena"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	evring "github.com/kestrel-detection/kestrel/event/ring"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
	"github.com/kestrel-detection/kestrel/sink"
)

const (
	// budgetDefault is the ceiling of the whole process where neither the configuration nor a board profile says another.
	budgetDefault = 16 << 20
	// runtimeBytes is what a Go process of this size has resident before any of ours: measured 2.1 MB for a static binary
	// with one goroutine, and as much again for its code once everything ran.
	runtimeBytes = 4 << 20
	// eventBytes is what the ring reckons for one event: files and connections have 200 bytes, executions 600.
	eventBytes = 256
	// alertRingBytes holds some two hundred usual alerts, or eight of the largest.
	alertRingBytes = 256 << 10
	// heapSlack is what the runtime needs on its own heap and the garbage of a report now and then.
	heapSlack = 3 << 20
	// evidenceShare of what is left of the budget is kept for the events of pending sequences.
	evidenceShare = 2
)

// The alert ring takes the largest alert: half a ring is the longest record.
const _ = uint(alertRingBytes/2 - alert.SizeMax - 64)

// budget is what the agent may take, holder by holder.
type budget struct {
	eventRing int
	sizes     Sizes
	slab      []byte // for the evidence of pending sequences; each engine in turn has it
	heapLimit int64  // what the Go runtime may take before it collects
	ceiling   int
	fixed     int // sum of what does not depend on the rules
}

// newBudget adds up all holders and refuses what is over the ceiling, with the table.
func newBudget(c *config.Config, kernelRing int, img *image.Image) (budget, error) {
	b := budget{ceiling: budgetDefault}
	if c.General.MaxMemoryMB > 0 {
		b.ceiling = c.General.MaxMemoryMB << 20
	}
	if c.Board.Caps.MaxMemoryMB > 0 {
		b.ceiling = c.Board.Caps.MaxMemoryMB << 20
	}
	a, err := arena.New(b.ceiling)
	if err != nil {
		return budget{}, err
	}
	b.eventRing = powerOfTwo(max(c.Engine.ChannelSize*eventBytes, 4*event.RecordSizeMax, evring.BytesMin))
	b.sizes = Sizes{
		Processes: DeviceSizes.Processes, States: c.NFA.MaxPartialMatches, Suppressed: DeviceSizes.Suppressed,
		Workers: workers(c.General.Workers),
		// A track is small beside the evidence: it must not be what runs out first.
		Tracks: max(c.NFA.LRUCapacity, c.NFA.MaxPartialMatches),
	}
	hold := func(name string, bytes int) {
		if e := a.Account(name, bytes); e != nil {
			err = e
		}
	}
	hold("Go runtime and code", runtimeBytes)
	hold("kernel ring, mapped twice", 2*kernelRing)
	hold("event ring", b.eventRing)
	hold("alert ring", alertRingBytes)
	hold("output buffers", len(c.Alerts.Outputs)*sink.BufferBytesMin)
	hold("process table", b.sizes.proc().Bytes())
	states := nfa.Bytes(b.sizes.nfa(), 0)
	hold("sequence states", states)
	b.fixed, _ = a.Sum()
	hold("rule image", img.Size)
	hold("matching", b.matching(img))
	// Evidence is what makes an alert readable; it gets a share of the rest, and when it is short the oldest pending
	// sequence goes, counted.
	sum, _ := a.Sum()
	b.sizes.Evidence = max(min(b.sizes.States, (b.ceiling-sum)/evidenceShare/limits.EvidenceBytesMax), evidenceMin)
	var over error
	if b.slab, over = a.Carve("evidence of sequences", b.sizes.Evidence*limits.EvidenceBytesMax); over != nil {
		err = over
	}
	if err != nil {
		return budget{}, fmt.Errorf("%w\nraise general.max_memory_mb (now %d), or lower nfa.max_partial_matches or engine.channel_size", err, b.ceiling>>20)
	}
	a.Seal()
	b.fixed += len(b.slab)
	// On the Go heap: the rings, the buffers, and the states and what matches, these twice for the moment of a reload.
	b.heapLimit = int64(b.eventRing + alertRingBytes + len(c.Alerts.Outputs)*sink.BufferBytesMin + 2*(states+b.matching(img)) +
		heapSlack)
	return b, nil
}

// matching is what an engine for an image takes besides its pools.
func (b *budget) matching(img *image.Image) int {
	return engine.Bytes(img, b.sizes.engine()) + len(img.Rules)
}

// replace tells whether the rules next may take the place of old: for a moment both are there.
func (b *budget) replace(old, next *image.Image) error {
	sum := b.fixed + old.Size + b.matching(old) + next.Size + b.matching(next)
	if sum <= b.ceiling {
		return nil
	}
	return fmt.Errorf("memory: %d bytes while both rule sets are loaded (max %d): image %d, matching %d, the running ones %d and %d",
		sum, b.ceiling, next.Size, b.matching(next), old.Size, b.matching(old))
}

// evidenceMin is the least that lets one sequence of the most steps complete.
const evidenceMin = limits.StagesMax

// workers is the number of match workers: as configured, or one less than the cores, which leaves one to capture.
func workers(configured int) int {
	if configured == 0 {
		configured = runtime.NumCPU() - 1
	}
	return min(max(configured, 1), limits.WorkersMax)
}

func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }
