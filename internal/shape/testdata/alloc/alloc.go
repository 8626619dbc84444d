// Package alloc allocates in every way the object code can show, behind calls and inlined.
package alloc

// Sink keeps what is made.
var Sink any

// Bytes keeps what is made.
var Bytes []byte

// Table is a map.
var Table map[uint64]int

// Text keeps what is made.
var Text string

type box struct{ a, b uint64 }

// Pusher is called through an interface.
type Pusher interface{ Push(int) }

// New allocates, in a function that is inlined.
func New(n uint64) { inlined(n) }

func inlined(n uint64) { Sink = &box{n, n} }

// Deep allocates two calls down.
func Deep(n int) { middle(n) }

//go:noinline
func middle(n int) { bottom(n) }

//go:noinline
func bottom(n int) { Bytes = make([]byte, n) }

// Grow appends.
func Grow(b byte) { Bytes = append(Bytes, b) }

// Store assigns to a map.
func Store(k uint64) { Table[k] = 1 }

// Load reads a map.
func Load(k uint64) int { return Table[k] }

// Join joins strings.
func Join(a, b string) { Text = a + b }

// Convert converts bytes.
func Convert(b []byte) { Text = string(b) }

// Box puts an integer into an interface.
func Box(n uint64) { Sink = n }

// Indirect calls what cannot be followed.
func Indirect(p Pusher) { p.Push(1) }

// Close makes a closure that outlives it.
func Close(n int) { Sink = func() int { return n } }

// Spawn starts a goroutine.
func Spawn() { go Grow(1) }

// Clean allocates nothing.
func Clean(dst, src []byte) int {
	if len(src) > len(dst) {
		panic("BUG: too long")
	}
	return copy(dst, src)
}
