package dfa

// Scratch is what one worker needs to scan with one set: marks of what this scan has reported already, the queue of
// programs to run, and the lazy DFA's cache. Its size is fixed by the set. It belongs to one goroutine.
type Scratch struct {
	CacheClears uint64 // times the lazy DFA's cache was full and emptied
	Fallbacks   uint64 // values for which the lazy DFA gave up to the NFA

	epoch   uint32
	outputs []uint32 // epoch in which the output was last reported; behind them the same of literals
	queued  []uint32 // epoch in which the program was last queued
	queue   []uint16
	waiting int    // programs in queue
	known   bool   // classes is that of the value that is scanned
	classes uint64 // see presenceBit
	lazy    lazyCache
}

// Sizes of the lazy DFA's cache, shared by all regexes of a set that were too large to be determinised on the host.
const (
	// lazyStatesMax: the working set of one regex on log lines is a few dozen states.
	lazyStatesMax = 256
	// lazyMembersMax holds 32 NFA states a DFA state on average.
	lazyMembersMax = 32 * lazyStatesMax
	// lazyClearsMax is how often one value may fill the cache before the NFA takes over, which then is the cheaper.
	lazyClearsMax = 2
)

// NewScratch allocates the scratch of one worker.
func (s *Set) NewScratch() *Scratch { return s.newScratch(lazyStatesMax, lazyMembersMax) }

func (s *Set) newScratch(states, members int) *Scratch {
	sc := &Scratch{
		outputs: make([]uint32, s.reports()),
		queued:  make([]uint32, len(s.programs)/ProgramWords),
		queue:   make([]uint16, len(s.programs)/ProgramWords),
	}
	if s.lazies > 0 {
		sc.lazy.init(s, states, members)
	}
	return sc
}

// ScratchBytes is the memory of one Scratch.
func (s *Set) ScratchBytes() int {
	n := 256 + 4*s.reports() + 6*(len(s.programs)/ProgramWords)
	if s.lazies > 0 {
		n += lazyBytes(s, lazyStatesMax, lazyMembersMax)
	}
	return n
}

// reports is how many outputs and literals there are.
func (s *Set) reports() int { return int(s.firstLiteral) + len(s.literals)/LiteralWords }

// next begins the scan of a value.
func (sc *Scratch) next() {
	sc.waiting, sc.known = 0, false
	sc.epoch++
	if sc.epoch == 0 {
		clear(sc.outputs)
		clear(sc.queued)
		sc.epoch = 1
	}
}

// start queues a program, once a scan.
func (sc *Scratch) start(p uint32) {
	if sc.queued[p] != sc.epoch {
		sc.queued[p] = sc.epoch
		sc.queue[sc.waiting] = uint16(p)
		sc.waiting++
	}
}
