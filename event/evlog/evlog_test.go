package evlog

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
	"github.com/kestrel-detection/kestrel/testdata"
)

// someRecords makes n records of all classes and many sizes.
func someRecords(n int, seed uint64) []event.Record {
	rng := rand.New(rand.NewPCG(seed, 0))
	types := []event.Type{event.TypeHostInfo, event.TypeUserInfo, event.TypeProcessInfo, event.TypeExec,
		event.TypeFileCreate, event.TypeConnect, event.TypeOther, event.TypeLoss}
	out := make([]event.Record, n)
	for i := range out {
		b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
		ty := types[rng.IntN(len(types))]
		b.Begin(ty, uint64(i))
		b.Process(uint32(i), uint32(i), uint64(i)*7, 0)
		switch event.ClassOf(ty) {
		case event.ClassProcess:
			b.String(event.SlotArgs, strings.Repeat("a", rng.IntN(9000)), 0)
		case event.ClassFile:
			b.String(event.SlotPath, strings.Repeat("p", rng.IntN(300)), 0)
		case event.ClassNetwork:
			b.Bytes(event.SlotDestinationIP, []byte{127, 0, 0, 1}, 0, false)
		case event.ClassContext:
			b.String(event.SlotContextText, "name", 0)
		}
		out[i] = b.End()
		out[i] = bytes.Clone(out[i])
	}
	return out
}

func writeLog(t testing.TB, records []event.Record) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
		if i%97 == 96 {
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readLog reads copies of all records up to the error.
func readLog(log []byte) ([]event.Record, Counts, error) {
	r, err := NewReader(bytes.NewReader(log))
	if err != nil {
		return nil, Counts{}, err
	}
	var out []event.Record
	for {
		rec, err := r.Next()
		if err != nil {
			if _, again := r.Next(); !errors.Is(again, err) {
				return nil, Counts{}, fmt.Errorf("error changed from %v to %v", err, again)
			}
			return out, r.Counts(), err
		}
		out = append(out, bytes.Clone(rec))
	}
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 96, 97, 1000} {
		records := someRecords(n, uint64(n))
		want := Counts{}
		for i, r := range records {
			want.add(r)
			r.SetID(uint64(i)) // what a source numbered comes back without a number
		}
		log := writeLog(t, records)
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		zw.Write(log)
		zw.Close()
		for _, form := range [][]byte{log, z.Bytes()} {
			if !IsLog(form[:8]) {
				t.Error("a log is not taken for one")
			}
			got, counts, err := readLog(form)
			if err != io.EOF || len(got) != n || counts != want {
				t.Fatalf("%d records: read %d, counts %+v, %v", n, len(got), counts, err)
			}
			for i := range got {
				records[i].SetID(0)
				if !bytes.Equal(got[i], records[i]) {
					t.Fatalf("record %d of %d differs", i, n)
				}
			}
		}
	}
}

// TestOldSchema: the capture of the first version, which is kept as it was recorded, reads whole.
func TestOldSchema(t *testing.T) {
	capture := testdata.Capture()
	z, err := gzip.NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, headBytes)
	if _, err := io.ReadFull(z, head); err != nil {
		t.Fatal(err)
	}
	if v := binary.LittleEndian.Uint16(head[10:]); v != event.SchemaVersionMin {
		t.Errorf("the kept capture is of schema version %d, not %d", v, event.SchemaVersionMin)
	}
	records, counts, err := readLog(capture)
	if err != io.EOF || counts.Records == 0 || len(records) != int(counts.Records) {
		t.Errorf("%d records, %+v: %v", len(records), counts, err)
	}
}

// TestWideRecords: records with few and with all slots stand in one log.
func TestWideRecords(t *testing.T) {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.BeginWide(event.TypeReport, 1)
	b.String(event.SlotAuditResult, "success", 0)
	wide := bytes.Clone(b.End())
	records := append(someRecords(5, 1), wide)
	got, _, err := readLog(writeLog(t, records))
	if err != io.EOF || len(got) != 6 || !bytes.Equal(got[5], wide) {
		t.Errorf("%d records: %v", len(got), err)
	}
}

// TestWriteIsDeterministic: equal records give equal bytes.
func TestWriteIsDeterministic(t *testing.T) {
	if !bytes.Equal(writeLog(t, someRecords(200, 3)), writeLog(t, someRecords(200, 3))) {
		t.Fatal("two logs of the same records differ")
	}
}

// blocks gives the offset of each block, and how many records come before it.
func blocks(t *testing.T, log []byte) (offsets []int, before []int) {
	at, n := headBytes, 0
	for at < len(log) {
		offsets, before = append(offsets, at), append(before, n)
		n += int(binary.LittleEndian.Uint32(log[at+8:]))
		at += blockHeaderBytes + int(binary.LittleEndian.Uint32(log[at+4:])) + crcBytes
	}
	if at != len(log) {
		t.Fatal("blocks do not end where the log does")
	}
	return offsets, before
}

// TestCut: a log cut anywhere gives everything before the cut block, and its offset.
func TestCut(t *testing.T) {
	records := someRecords(60, 9)
	log := writeLog(t, records)
	offsets, before := blocks(t, log)
	if len(offsets) < 4 {
		t.Fatalf("only %d blocks", len(offsets))
	}
	for cut := 0; cut < len(log); cut += 1 + cut%61 {
		got, _, err := readLog(log[:cut])
		var le *Error
		if !errors.As(err, &le) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		wantOffset, wantRecords := 0, 0
		for i, o := range offsets {
			if o <= cut {
				wantOffset, wantRecords = o, before[i]
			}
		}
		if le.Offset != int64(wantOffset) || len(got) != wantRecords {
			t.Fatalf("cut at %d: offset %d and %d records, want %d and %d", cut, le.Offset, len(got), wantOffset, wantRecords)
		}
		for i := range got {
			if !bytes.Equal(got[i], records[i]) {
				t.Fatalf("cut at %d: record %d differs", cut, i)
			}
		}
	}
}

// TestFlip: one changed bit anywhere is found at its block.
func TestFlip(t *testing.T) {
	log := writeLog(t, someRecords(60, 10))
	offsets, before := blocks(t, log)
	for bit := 0; bit < 8*len(log); bit += 1 + bit%509 {
		bad := bytes.Clone(log)
		bad[bit/8] ^= 1 << (bit % 8)
		got, _, err := readLog(bad)
		var le *Error
		if !errors.As(err, &le) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		wantOffset, wantRecords := 0, 0
		for i, o := range offsets {
			if o <= bit/8 {
				wantOffset, wantRecords = o, before[i]
			}
		}
		if le.Offset != int64(wantOffset) || len(got) != wantRecords {
			t.Fatalf("bit %d: offset %d and %d records, want %d and %d", bit, le.Offset, len(got), wantOffset, wantRecords)
		}
	}
}

// edit changes a log and mends the CRC of the part that begins at offset.
func edit(log []byte, offset int, change func(part []byte)) []byte {
	log = bytes.Clone(log)
	part := log[offset:]
	n := 12
	if offset > 0 {
		n = blockHeaderBytes + int(binary.LittleEndian.Uint32(part[4:]))
	}
	change(part)
	binary.LittleEndian.PutUint32(part[n:], crc32.Checksum(part[:n], castagnoli))
	return log
}

// TestLies: what carries a right CRC is still not believed.
func TestLies(t *testing.T) {
	log := writeLog(t, someRecords(60, 11))
	offsets, _ := blocks(t, log)
	first, second, trailer := offsets[0], offsets[1], offsets[len(offsets)-1]
	put32 := func(at int, v uint32) func([]byte) {
		return func(part []byte) { binary.LittleEndian.PutUint32(part[at:], v) }
	}
	cases := []struct {
		name string
		log  []byte
		want string
	}{
		{"magic", edit(log, 0, func(p []byte) { p[1] = 'X' }), "offset 0: not an event log (bad magic)"},
		{"version", edit(log, 0, func(p []byte) { p[8] = 9 }), "offset 0: format version 9 (this reads 1)"},
		{"schema", edit(log, 0, func(p []byte) { p[10] = 9 }), fmt.Sprintf("offset 0: schema version 9 (this reads %d to %d)", event.SchemaVersionMin, event.SchemaVersion)},
		{"schema 0", edit(log, 0, func(p []byte) { p[10] = 0 }), fmt.Sprintf("offset 0: schema version 0 (this reads %d to %d)", event.SchemaVersionMin, event.SchemaVersion)},
		{"kind", edit(log, first, put32(0, 1)), "no block begins here"},
		{"number", edit(log, second, put32(12, 7)), "block 7 where block 1 should be"},
		{"records", edit(log, first, put32(8, 1)), "records says it has 1 (min 1)"},
		{"record size", edit(log, first, put32(blockHeaderBytes, 1<<30)), "record 0: record size is not"},
		{"record size 0", edit(log, first, put32(blockHeaderBytes, 0)), "record 0: record shorter"},
		{"record type", edit(log, first, put32(blockHeaderBytes+4, 999)), "record 0: unknown event type"},
		{"trailer", edit(log, trailer, put32(blockHeaderBytes, 5)), "trailer counts 5 records"},
		{"tail", append(bytes.Clone(log), 0), "data after the trailer"},
		{"block left out", append(bytes.Clone(log[:first]), log[second:]...), "block 1 where block 0 should be"},
	}
	big := bytes.Clone(log)
	binary.LittleEndian.PutUint32(big[first+4:], BlockBytesMax+1)
	cases = append(cases, struct {
		name string
		log  []byte
		want string
	}{"size", big, fmt.Sprintf("offset %d: block of %d bytes (max %d)", first, BlockBytesMax+1, BlockBytesMax)})
	for _, c := range cases {
		if _, _, err := readLog(c.log); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNotALog(t *testing.T) {
	for _, s := range []string{"", "{}", `{"event.category": "process"}`, "\x1f\x8b", "\x1f\x8bgarbage.........."} {
		if _, err := NewReader(strings.NewReader(s)); err == nil {
			t.Errorf("%q is taken for a log", s)
		}
	}
	if IsLog([]byte(`{"event`)) || IsLog(nil) {
		t.Error("JSON is taken for a log")
	}
}

type failing struct {
	after int
	syncs int
}

func (f *failing) Write(b []byte) (int, error) {
	if f.after -= len(b); f.after < 0 {
		return 0, errors.New("disk is full")
	}
	return len(b), nil
}

func (f *failing) Sync() error { f.syncs++; return nil }

func TestWriterErrors(t *testing.T) {
	if _, err := NewWriter(&failing{}); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("head: %v", err)
	}
	f := &failing{after: 100}
	w, err := NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	rec := someRecords(1, 1)[0]
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	first := w.Sync()
	if first == nil || !strings.Contains(first.Error(), "write block 0: disk is full") {
		t.Fatalf("sync: %v", first)
	}
	for _, err := range []error{w.Write(rec), w.Sync(), w.Close()} {
		if err != first {
			t.Errorf("%v after %v", err, first)
		}
	}
	f = &failing{after: 1 << 20}
	w, _ = NewWriter(f)
	if err := w.Close(); err != nil || f.syncs != 1 {
		t.Errorf("close: %v, %d syncs", err, f.syncs)
	}
	if w.Write(rec) == nil {
		t.Error("written after close")
	}
}

func TestAllocs(t *testing.T) {
	records := someRecords(64, 5)
	w, err := NewWriter(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		for range 20 {
			for _, r := range records {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n := mallocs.Least(write); n != 0 {
		t.Errorf("%d allocations in Write", n)
	}
	var many []event.Record
	for range 20 {
		many = append(many, records...)
	}
	log := writeLog(t, many)
	r, err := NewReader(bytes.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	read := func() {
		for range len(many) / 10 {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := mallocs.Least(read); n != 0 {
		t.Errorf("%d allocations in Next", n)
	}
}

func FuzzReader(f *testing.F) {
	log := writeLog(f, someRecords(5, 12))
	f.Add(log)
	f.Add(log[:len(log)/2])
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write(log)
	zw.Close()
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		// Most changes break a CRC, behind which nothing would be reached: mend those of the blocks at hand.
		if len(b) > headBytes && b[0] == magic[0] && b[len(b)-1]&1 == 0 {
			binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
			for at := headBytes; at+blockHeaderBytes+crcBytes <= len(b); {
				n := int(binary.LittleEndian.Uint32(b[at+4:]))
				if n > BlockBytesMax || at+blockHeaderBytes+n+crcBytes > len(b) {
					break
				}
				end := at + blockHeaderBytes + n
				binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[at:end], castagnoli))
				at = end + crcBytes
			}
		}
		records, _, err := readLog(b)
		for _, r := range records {
			if e := event.Check(r); e != event.ErrNone {
				t.Fatalf("a bad record came out: %v", e)
			}
		}
		if err != io.EOF {
			return
		}
		for _, r := range records {
			r.SetID(0)
		}
		again, _, err := readLog(writeLog(t, records))
		if err != io.EOF || len(again) != len(records) {
			t.Fatalf("written again: %d records of %d, %v", len(again), len(records), err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	w, _ := NewWriter(io.Discard)
	rec := someRecords(1, 2)[0]
	b.SetBytes(int64(len(rec)))
	for b.Loop() {
		w.Write(rec)
	}
}

func BenchmarkNext(b *testing.B) {
	log := writeLog(b, someRecords(2000, 13))
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(log))
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
