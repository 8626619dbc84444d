package agent

import (
	"math/bits"
	"runtime"

	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/arena"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	evring "github.com/kestrel-detection/kestrel/event/ring"
	"github.com/kestrel-detection/kestrel/limits"
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
	// evidenceShare of what is left of the budget is kept for the events of pending sequences.
	evidenceShare = 2
)

// The alert ring takes the largest alert: half a ring is the longest record.
const _ = uint(alertRingBytes/2 - alert.SizeMax - 64)

// budget is what the agent may take, holder by holder.
type budget struct {
	eventRing int
	sizes     Sizes
	heapLimit int64 // what the Go runtime may take before it collects
}

// newBudget adds up all holders and refuses what is over the ceiling, with the table.
func newBudget(c *config.Config, kernelRing, rules int) (budget, error) {
	ceiling := budgetDefault
	if c.General.MaxMemoryMB > 0 {
		ceiling = c.General.MaxMemoryMB << 20
	}
	if c.Board.Caps.MaxMemoryMB > 0 {
		ceiling = c.Board.Caps.MaxMemoryMB << 20
	}
	a, err := arena.New(ceiling)
	if err != nil {
		return budget{}, err
	}
	b := budget{eventRing: powerOfTwo(max(c.Engine.ChannelSize*eventBytes, 4*event.RecordSizeMax, evring.BytesMin))}
	b.sizes = Sizes{
		Processes: DeviceSizes.Processes, Tracks: c.NFA.LRUCapacity, States: c.NFA.MaxPartialMatches,
		Workers: workers(c.General.Workers),
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
	hold("sequence states", b.sizes.Bytes(rules)-b.sizes.proc().Bytes())
	sum, _ := a.Sum()
	// Evidence is what makes an alert readable; it gets a share of the rest, and when it is short the oldest pending
	// sequence goes, counted.
	b.sizes.Evidence = min(b.sizes.States, max(ceiling-sum, 0)/evidenceShare/limits.EvidenceBytesMax)
	hold("evidence of sequences", b.sizes.Evidence*limits.EvidenceBytesMax)
	if b.sizes.Evidence < evidenceMin {
		hold("evidence of sequences, at least", evidenceMin*limits.EvidenceBytesMax)
	}
	if err != nil {
		return budget{}, err
	}
	a.Seal()
	b.heapLimit = int64(ceiling - 2*kernelRing - b.sizes.proc().Bytes())
	return b, nil
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
