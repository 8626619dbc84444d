// Package ring reads event records from the kernel's ring buffer, given nothing but inherited file descriptors. It is
// what the second image of the agent uses: it imports golang.org/x/sys/unix and package event and none of the large
// parts of the standard library.
//
// Memory: Open maps the ring; Next hands out records in place. They are borrowed until Release, which gives their space
// back to the kernel. Nothing is allocated after Open.
//
// A Reader belongs to one goroutine. When the ring is full the kernel programs drop the newest event and count it
// (Counters).
package ring

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
)

// The header before each record in the ring: kernel/bpf/ringbuf.c, struct bpf_ringbuf_hdr. The length has two flags.
const (
	busyBit    = 1 << 31 // being written
	discardBit = 1 << 30 // to be skipped
	lengthMask = discardBit - 1
	headerSize = 8
)

// sizeMax bounds the ring: the kernel refuses more pages than fit a 32-bit offset, and no profile has more.
const sizeMax = 64 << 20

// Error is why a descriptor is not usable.
type Error struct {
	What  string // what was done to it
	Errno unix.Errno
}

func (e *Error) Error() string {
	if e.Errno == 0 {
		return "ring: " + e.What
	}
	return "ring: " + e.What + ": " + e.Errno.Error()
}

func fail(what string, err error) error {
	errno, _ := err.(unix.Errno)
	return &Error{what, errno}
}

// Reader is the consumer of one ring. Invariants: consumed <= position <= producer position, all of them count bytes
// since the ring was made and never wrap in practice (64 bit).
type Reader struct {
	consumer *atomic.Uint64 // first word of the consumer page; written by us
	producer *atomic.Uint64 // first word of the producer page; written by the kernel
	data     []byte         // the ring twice in a row, so that no record is split
	mask     uint64
	position uint64 // up to here Next has gone
	consumed uint64 // up to here the kernel may write again

	consumerPage []byte
	producerPage []byte
	epoll        int
	events       [1]unix.EpollEvent

	// Records is the number of records handed out, Bad of those that Check refused, Discarded of those that the kernel
	// took back.
	Records, Bad, Discarded uint64
}

// Open maps the ring buffer fd of size bytes. The fd stays the caller's.
func Open(fd, size int) (*Reader, error) {
	page := unix.Getpagesize()
	if size < page || size > sizeMax || size&(size-1) != 0 {
		return nil, fail("size is no power of two between a page and 64 MB", nil)
	}
	kind, entries, err := mapInfo(fd)
	if err != nil {
		return nil, fail("descriptor is no map", err)
	}
	if kind != unix.BPF_MAP_TYPE_RINGBUF || int(entries) != size {
		return nil, fail("descriptor is no ring buffer of that size", nil)
	}
	r := &Reader{mask: uint64(size) - 1, epoll: -1}
	if r.consumerPage, err = unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fail("map consumer page", err)
	}
	if r.producerPage, err = unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		r.Close()
		return nil, fail("map ring", err)
	}
	r.view(page, 2*size)
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		r.Close()
		return nil, fail("create epoll", err)
	}
	// On the edge: otherwise whatever little came while the last batch was handled would end the next wait at once.
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		r.Close()
		return nil, fail("watch ring", err)
	}
	r.consumed = r.consumer.Load()
	r.position = r.consumed
	return r, nil
}

// Close unmaps the ring. Records handed out must not be used any more.
func (r *Reader) Close() {
	if r.epoll >= 0 {
		unix.Close(r.epoll)
		r.epoll = -1
	}
	if r.producerPage != nil {
		unix.Munmap(r.producerPage)
	}
	if r.consumerPage != nil {
		unix.Munmap(r.consumerPage)
	}
	r.producerPage, r.consumerPage, r.data = nil, nil, nil
}

// Wait returns when the kernel programs wake the reader or ms milliseconds have passed; a signal ends it early, too.
// They wake only when a quarter of the ring is full, so call Next after a timeout as well: 100 ms is the deadline the
// programs count on.
func (r *Reader) Wait(ms int) error {
	_, err := unix.EpollWait(r.epoll, r.events[:], ms)
	if err != nil && err != unix.EINTR {
		return fail("wait", err)
	}
	return nil
}

// Avail is the number of bytes that wait in the ring, headers included; those of borrowed records count until Release.
func (r *Reader) Avail() int { return int(r.producer.Load() - r.consumed) }

// Next is the next record, borrowed until Release. ok is false when there is none now.
func (r *Reader) Next() (rec event.Record, ok bool) {
	// The acquire load pairs with the kernel's release store: headers before it are initialised.
	limit := r.producer.Load()
	for r.position < limit {
		at := r.position & r.mask
		// The kernel clears the busy bit with a full barrier after the data is written.
		length := r.header(at)
		if length&busyBit != 0 {
			return nil, false
		}
		n := uint64(length & lengthMask)
		r.position += (n + headerSize + 7) &^ 7
		if length&discardBit != 0 {
			r.Discarded++
			continue
		}
		b := r.data[at+headerSize : at+headerSize+n : at+headerSize+n]
		if event.Check(b) != event.ErrNone {
			r.Bad++
			continue
		}
		r.Records++
		return b, true
	}
	return nil, false
}

// Release gives the space of all records handed out so far back to the kernel.
func (r *Reader) Release() {
	if r.consumed != r.position {
		r.consumed = r.position
		// Release store: our reads of the data are before it.
		r.consumer.Store(r.consumed)
	}
}
