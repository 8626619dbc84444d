// Package mallocs counts heap objects for the tests that prove that a path makes none. testing.AllocsPerRun divides and
// so hides an allocation in every tenth call; this does not.
package mallocs

import (
	"runtime"
	"runtime/debug"
)

// rounds is how often the function is tried: the runtime makes objects of its own now and then, for a thread say, and
// under load in several rounds in a row. An allocation of the function is in every round.
const rounds = 8

// Least is the least number of heap objects that the whole process made during f, in several rounds after one that is
// not counted. It stops at the first round with none.
func Least(f func()) uint64 {
	f()
	// A collection in the middle would count the collector's own objects.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	least := ^uint64(0)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.Mallocs-before.Mallocs); least == 0 {
			break
		}
	}
	return least
}
