//go:build race

package bench

// raceEnabled: the race detector makes heap objects of its own and slows what is timed.
const raceEnabled = true
