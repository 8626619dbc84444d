package ring

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

// kernel plays the producer of kernel/bpf/ringbuf.c on ordinary memory: reserve writes a header with the busy bit and
// moves the producer position, commit takes the bit away.
type kernel struct {
	r        *Reader
	consumer *atomic.Uint64
	producer *atomic.Uint64
	position uint64
	size     uint64
}

// newKernel makes a ring of size bytes in memory that is mapped as the kernel maps it, and its reader.
func newKernel(t testing.TB, size int) *kernel {
	t.Helper()
	page := unix.Getpagesize()
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	r := &Reader{mask: uint64(size) - 1, epoll: -1, consumerPage: make([]byte, page)}
	// Twice in a row: reserve the room, then map over it.
	room, err := unix.Mmap(-1, 0, page+2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := mapOver(room[page+i*size:page+(i+1)*size], fd); err != nil {
			t.Fatal(err)
		}
	}
	r.producerPage = room
	r.view(page, 2*size)
	t.Cleanup(func() { _ = unix.Munmap(room) })
	return &kernel{r: r, consumer: r.consumer, producer: r.producer, size: uint64(size)}
}

// reserve makes room for n bytes; nil when the ring is full.
func (k *kernel) reserve(n int) []byte {
	total := uint64(n+headerSize+7) &^ 7
	if k.position+total-k.consumer.Load() > k.size {
		return nil
	}
	at := k.position & k.r.mask
	headerAt(k.r, at).Store(uint32(n) | busyBit)
	k.position += total
	k.producer.Store(k.position)
	return k.r.data[at : at+headerSize+uint64(n)]
}

func (k *kernel) commit(b []byte, flags uint32) {
	headerOf(b).Store(uint32(len(b)-headerSize) | flags)
}

// fill writes a record with a text of n bytes that follows from seed.
func fill(b *event.Builder, seed uint64, n int) event.Record {
	b.Begin(event.TypeFileRead, seed)
	text := make([]byte, n)
	for i := range text {
		text[i] = byte(seed) + byte(i)
	}
	b.Bytes(event.SlotPath, text, 0, false)
	return b.End()
}

// TestHammer sends records of all sizes through a small ring while the producer discards some, writes bad ones, and
// leaves some busy for a while.
func TestHammer(t *testing.T) {
	records := 200_000
	if testing.Short() {
		records = 20_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	k := newKernel(t, 64<<10)
	var sent, bad, discarded uint64
	var wg sync.WaitGroup
	var failed atomic.Bool
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 1))
		b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
		pending := [][]byte{}
		flags := []uint32{}
		settle := func() {
			for i := range pending {
				k.commit(pending[i], flags[i])
			}
			pending, flags = pending[:0], flags[:0]
		}
		for sent < uint64(records) && !failed.Load() {
			rec := fill(&b, sent, rng.IntN(900))
			slot := k.reserve(len(rec))
			if slot == nil {
				settle()
				runtime.Gosched()
				continue
			}
			copy(slot[headerSize:], rec)
			flag := uint32(0)
			switch rng.IntN(16) {
			case 0:
				flag = discardBit
				discarded++
			case 1:
				slot[headerSize] ^= 0xff // no record any more
				bad++
			default:
				sent++
			}
			pending, flags = append(pending, slot), append(flags, flag)
			if rng.IntN(4) != 0 {
				settle() // several records are busy for a while
			}
		}
		settle()
	})
	rng := rand.New(rand.NewPCG(seed, 2))
	for next := uint64(0); next < uint64(records); {
		rec, ok := k.r.Next()
		if !ok {
			k.r.Release()
			runtime.Gosched()
			continue
		}
		if rec.Time() != next {
			failed.Store(true)
			t.Fatalf("record %d, want %d", rec.Time(), next)
		}
		text, _ := rec.Bytes(event.SlotPath)
		for i := range text {
			if text[i] != byte(next)+byte(i) {
				failed.Store(true)
				t.Fatalf("record %d: byte %d is %d", next, i, text[i])
			}
		}
		next++
		if rng.IntN(8) == 0 {
			k.r.Release()
		}
	}
	wg.Wait()
	if _, ok := k.r.Next(); ok {
		t.Error("a record too many")
	}
	k.r.Release()
	if k.r.Records != sent || k.r.Bad != bad || k.r.Discarded != discarded {
		t.Errorf("%d records, %d bad, %d discarded, want %d, %d, %d", k.r.Records, k.r.Bad, k.r.Discarded, sent, bad, discarded)
	}
	if k.r.Avail() != 0 {
		t.Errorf("%d bytes wait", k.r.Avail())
	}
}

// TestBorrow: what is handed out stays until Release, and its room with it.
func TestBorrow(t *testing.T) {
	k := newKernel(t, unix.Getpagesize())
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	n, size := 0, 0
	for {
		rec := fill(&b, uint64(n), 100)
		size = len(rec)
		slot := k.reserve(size)
		if slot == nil {
			break
		}
		copy(slot[headerSize:], rec)
		k.commit(slot, 0)
		n++
	}
	var got []event.Record
	for rec, ok := k.r.Next(); ok; rec, ok = k.r.Next() {
		got = append(got, rec)
	}
	if len(got) != n || n < 8 {
		t.Fatalf("%d records, want %d", len(got), n)
	}
	if k.reserve(size) != nil {
		t.Fatal("room is given back before Release")
	}
	for i, rec := range got {
		if rec.Time() != uint64(i) || event.Check(rec) != event.ErrNone {
			t.Errorf("record %d changed", i)
		}
	}
	if k.r.Avail() == 0 {
		t.Error("borrowed bytes are not counted")
	}
	k.r.Release()
	if k.r.Avail() != 0 || k.reserve(size) == nil {
		t.Error("no room after Release")
	}
}

// TestBadRecords: a record that is none is counted and skipped; the next one is read.
func TestBadRecords(t *testing.T) {
	k := newKernel(t, 64<<10)
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	breaks := []func(r []byte) []byte{
		func(r []byte) []byte { return r[:event.HeaderSize-8] },                                // shorter than a header
		func(r []byte) []byte { return r[:len(r)-8] },                                          // shorter than it says
		func(r []byte) []byte { binary.LittleEndian.PutUint16(r[4:], 9999); return r },         // unknown type
		func(r []byte) []byte { binary.LittleEndian.PutUint16(r[56:], 3); return r },           // too few slots
		func(r []byte) []byte { r[64+8*event.SlotPath+1] = 0x7f; return r },                    // string outside
		func(r []byte) []byte { binary.LittleEndian.PutUint64(r[24:], 1<<63); return r },       // a slot too many
		func(r []byte) []byte { return append(r, make([]byte, 8)...) },                         // longer than it says
		func([]byte) []byte { return nil },                                                     // empty
		func(r []byte) []byte { binary.LittleEndian.PutUint32(r, uint32(len(r)+4)); return r }, // not a multiple of 8
	}
	for i, f := range breaks {
		for _, good := range []bool{false, true} {
			rec := []byte(fill(&b, uint64(i), 40))
			if !good {
				rec = f(append([]byte(nil), rec...))
			}
			slot := k.reserve(len(rec))
			copy(slot[headerSize:], rec)
			k.commit(slot, 0)
		}
		rec, ok := k.r.Next()
		if !ok || rec.Time() != uint64(i) || k.r.Bad != uint64(i+1) {
			t.Errorf("case %d: ok %v, %d bad", i, ok, k.r.Bad)
		}
		k.r.Release()
	}
}

// TestNextAllocates: reading does not allocate.
func TestNextAllocates(t *testing.T) {
	k := newKernel(t, 64<<10)
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	rec := fill(&b, 1, 100)
	if n := mallocs.Least(func() {
		for range 4 * 64 << 10 / len(rec) { // four times round the ring
			slot := k.reserve(len(rec))
			copy(slot[headerSize:], rec)
			k.commit(slot, 0)
			if _, ok := k.r.Next(); !ok {
				t.Fatal("no record")
			}
			k.r.Release()
		}
	}); n != 0 {
		t.Errorf("%d allocations", n)
	}
}

func TestDecodeHandlesRefuses(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := Handles{Tier: 1, RingBytes: 65536, Ring: int(f.Fd()), Counters: 0, Control: 1,
		Programs: []Program{{0, PointExec}, {1, PointNetwork}}, Hooks: []int{0, 1, 2}}
	good := h.Encode()
	if got, err := DecodeHandles(good); err != nil || got.Encode() != good {
		t.Fatalf("%s: %v", good, err)
	}
	for _, bad := range []string{
		"", "k1", "k0" + good[2:], good + ":", good + ",x", good + ",", good + ",-1", good + ",999999",
		strings.Replace(good, ":1:65536:", ":256:65536:", 1), strings.Replace(good, ":65536:", ":-1:", 1),
		strings.Replace(good, ".4:", ".5:", 1), strings.Replace(good, ".4:", ":", 1),
		good + strings.Repeat(",0", handlesMax), strings.Replace(good, "65536", "99999999999", 1),
	} {
		if got, err := DecodeHandles(bad); err == nil {
			t.Errorf("%q became %+v", bad, got)
		}
	}
}

func FuzzDecodeHandles(f *testing.F) {
	f.Add("k1:1:65536:0:1:2:0.0,1.4:0,1,2")
	f.Add("k1:1:65536:0:1:2:0.0:")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := DecodeHandles(s)
		if err != nil {
			return
		}
		if again, err := DecodeHandles(h.Encode()); err != nil || again.Encode() != h.Encode() {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	k := newKernel(b, 256<<10)
	build := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	rec := fill(&build, 1, 40)
	for b.Loop() {
		slot := k.reserve(len(rec))
		copy(slot[headerSize:], rec)
		k.commit(slot, 0)
		if _, ok := k.r.Next(); !ok {
			b.Fatal("no record")
		}
		k.r.Release()
	}
}
