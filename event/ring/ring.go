// Package ring carries records from one goroutine to one other through a byte ring of fixed size. It stands between a
// source and the engine, and between the engine and the sinks.
//
//	 0        released   next       head                size
//	 |--free--|--borrowed--|--waiting--|------free------|
//	          consumer's   consumer's  producer's
//
//	frame:  u32 length of the record | u32 zero | record | up to 7 bytes of padding
//	wrap:   u32 wrapMark             | u32 zero | nothing up to the end of the ring
//
// A record is contiguous and 8-aligned: a frame that does not fit before the end leaves a wrap mark and starts at 0.
//
// Memory: New allocates the ring, nothing else does. Push copies. Next lends a record until Release or ReleaseN gives
// its bytes back to the producer.
//
// Goroutines: Push and PushAs belong to one goroutine, Next, Release, ReleaseN and Wait to one other. Used and the
// counters may be read from anywhere.
//
// When full: the newest record is refused and counted by its class; the producer never waits.
package ring

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/kestrel-detection/kestrel/event"
)

const (
	frameHeaderBytes = 8
	wrapMark         = 0xffffffff

	// BytesMin bounds a ring from below: a page, so that the largest record it takes is of some use.
	BytesMin = 4096
	// BytesMax bounds a ring from above: a quarter of a gigabyte is beyond every board, and lengths stay below wrapMark.
	BytesMax = 256 << 20

	// cacheLineBytes keeps what the two goroutines write apart. 64 on amd64 and most arm64; 128 covers the cores that
	// fetch lines in pairs.
	cacheLineBytes = 128

	// offRecordType is where an event record has its type; only refused records are looked into, to count them.
	offRecordType = 4
)

// Ring is the ring. The zero Ring is not usable; see New.
type Ring struct {
	buf  []byte
	mask uint64

	_ [cacheLineBytes]byte

	// The producer's. Positions count bytes since the start and are never reduced modulo the size.
	head     atomic.Uint64 // end of what was pushed
	pushed   atomic.Uint64
	refused  [event.Classes]atomic.Uint64
	tailSeen uint64 // the last tail the producer looked at: it looks again only when the ring seems full

	_ [cacheLineBytes]byte

	// The consumer's. tail <= next <= head.
	tail     atomic.Uint64 // everything before is released
	popped   atomic.Uint64
	next     uint64 // end of what was lent
	headSeen uint64

	_ [cacheLineBytes]byte

	// Both read these often and write them only around a park.
	asleep atomic.Uint32 // 1 while the consumer is in Wait, or about to be
	wake   chan struct{} // one token, sent only by whoever turns asleep from 1 to 0
}

// New makes a ring of a power of two of bytes.
func New(bytes int) (*Ring, error) {
	if bytes < BytesMin || bytes > BytesMax || bits.OnesCount(uint(bytes)) != 1 {
		return nil, fmt.Errorf("ring: %d bytes (must be a power of two, min %d, max %d)", bytes, BytesMin, BytesMax)
	}
	return &Ring{buf: make([]byte, bytes), mask: uint64(bytes - 1), wake: make(chan struct{}, 1)}, nil
}

// Size is the size of the ring in bytes.
func (r *Ring) Size() int { return len(r.buf) }

// RecordMax is the longest record the ring takes. Half the ring: a longer one might not fit even when the ring is
// empty, depending on where it would start.
func (r *Ring) RecordMax() int { return len(r.buf)/2 - frameHeaderBytes }

// Push copies an event record into the ring. It is false when there is no room; the record is then counted as refused
// under the class of its type.
func (r *Ring) Push(rec []byte) bool {
	if r.put(rec) {
		return true
	}
	c := event.ClassProcess
	if len(rec) >= event.HeaderSize {
		c = event.ClassOf(event.Type(binary.LittleEndian.Uint16(rec[offRecordType:])))
	}
	r.refused[c].Add(1)
	return false
}

// PushAs is Push for bytes that are no event record: c says where a refusal is counted.
func (r *Ring) PushAs(c event.Class, b []byte) bool {
	if r.put(b) {
		return true
	}
	r.refused[c].Add(1)
	return false
}

func (r *Ring) put(rec []byte) bool {
	if len(rec) > r.RecordMax() {
		return false
	}
	head := r.head.Load()
	at := head & r.mask
	need := frameBytes(len(rec))
	skip := uint64(0)
	if end := uint64(len(r.buf)) - at; end < need {
		skip = end
	}
	if head+skip+need-r.tailSeen > uint64(len(r.buf)) {
		r.tailSeen = r.tail.Load()
		if head+skip+need-r.tailSeen > uint64(len(r.buf)) {
			return false
		}
	}
	if skip != 0 {
		binary.LittleEndian.PutUint64(r.buf[at:], wrapMark)
		at = 0
	}
	binary.LittleEndian.PutUint64(r.buf[at:], uint64(len(rec)))
	copy(r.buf[at+frameHeaderBytes:], rec)
	r.pushed.Store(r.pushed.Load() + 1)
	r.head.Store(head + skip + need)
	// The store above comes before this load in the one order of atomic operations, and Wait stores asleep before it
	// loads head: one of the two sees the other.
	if r.asleep.Load() != 0 {
		r.rouse()
	}
	return true
}

func (r *Ring) rouse() {
	if r.asleep.CompareAndSwap(1, 0) {
		r.wake <- struct{}{} // has room: the consumer takes the token before it sets asleep again
	}
}

func frameBytes(n int) uint64 {
	return frameHeaderBytes + (uint64(n)+event.RecordAlign-1)&^uint64(event.RecordAlign-1)
}

// Next lends the oldest record not yet lent; false when there is none. The record may be written to in place.
func (r *Ring) Next() ([]byte, bool) {
	if r.next == r.headSeen {
		r.headSeen = r.head.Load()
		if r.next == r.headSeen {
			return nil, false
		}
	}
	at := r.next & r.mask
	n := binary.LittleEndian.Uint32(r.buf[at:])
	if n == wrapMark {
		r.next += uint64(len(r.buf)) - at
		at = 0
		n = binary.LittleEndian.Uint32(r.buf)
	}
	r.next += frameBytes(int(n))
	r.popped.Store(r.popped.Load() + 1)
	at += frameHeaderBytes
	return r.buf[at : at+uint64(n) : at+uint64(n)], true
}

// Release gives back every record lent so far.
func (r *Ring) Release() {
	if r.tail.Load() != r.next {
		r.tail.Store(r.next)
	}
}

// ReleaseN gives back the n oldest of the records lent and not yet given back.
//
// Preconditions: at least n are lent.
func (r *Ring) ReleaseN(n int) {
	tail := r.tail.Load()
	for ; n > 0; n-- {
		if tail == r.next {
			releasedTooMany()
		}
		at := tail & r.mask
		size := binary.LittleEndian.Uint32(r.buf[at:])
		if size == wrapMark {
			tail += uint64(len(r.buf)) - at
			size = binary.LittleEndian.Uint32(r.buf)
		}
		tail += frameBytes(int(size))
	}
	r.tail.Store(tail)
}

func releasedTooMany() { panic("BUG: ring: more records released than lent") }

// Woken says why Wait returned.
type Woken uint8

// The reasons.
const (
	WokenRecord Woken = iota // Next has a record
	WokenTick                // tick fired
	WokenStop                // stop was closed
)

// Wait parks until Next has a record, tick fires or stop is closed; a nil channel never does. A record that is there
// already comes first. The producer pays for a wake-up only while the consumer is parked.
func (r *Ring) Wait(stop <-chan struct{}, tick <-chan time.Time) Woken {
	for {
		if r.head.Load() != r.next {
			return WokenRecord
		}
		r.asleep.Store(1)
		if r.head.Load() != r.next {
			r.awake()
			return WokenRecord
		}
		select {
		case <-r.wake:
			// The token was sent after a push, which may have been seen and lent before: look again.
		case <-tick:
			r.awake()
			return WokenTick
		case <-stop:
			r.awake()
			return WokenStop
		}
	}
}

// awake takes asleep back. When the producer was faster its token is here or about to be: it is taken, so that no
// token is left for the next Wait.
func (r *Ring) awake() {
	if !r.asleep.CompareAndSwap(1, 0) {
		<-r.wake
	}
}

// Used is the number of bytes not yet released, frames and padding included.
func (r *Ring) Used() int {
	tail := r.tail.Load() // first: head never falls behind an older tail
	return int(min(r.head.Load()-tail, uint64(len(r.buf))))
}

// Pushed is the number of records taken so far.
func (r *Ring) Pushed() uint64 { return r.pushed.Load() }

// Popped is the number of records lent so far.
func (r *Ring) Popped() uint64 { return r.popped.Load() }

// Refused is the number of records of class c refused so far.
func (r *Ring) Refused(c event.Class) uint64 { return r.refused[c].Load() }
