package evlog

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/kestrel-detection/kestrel/event"
)

// Reader reads a log.
type Reader struct {
	r      io.Reader
	offset int64  // of what is read next
	block  int64  // offset of the block at hand
	buf    []byte // of the largest block
	rest   []byte // records of it not yet given out
	number uint32 // of the next block
	counts Counts
	err    error
}

const gzipMagic = "\x1f\x8b"

// IsLog tells whether a file that begins with these bytes is a log or a compressed file, which may be one. 8 bytes are
// enough.
func IsLog(start []byte) bool {
	return len(start) >= len(magic) && string(start[:len(magic)]) == magic ||
		len(start) >= len(gzipMagic) && string(start[:len(gzipMagic)]) == gzipMagic
}

// NewReader reads the head of a log, which may be compressed by gzip.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReader(r)
	l := &Reader{r: b, buf: make([]byte, blockHeaderBytes+BlockBytesMax+crcBytes)}
	if start, err := b.Peek(len(gzipMagic)); err == nil && string(start) == gzipMagic {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, &Error{0, "decompress", err}
		}
		l.r = z
	}
	head := l.buf[:headBytes]
	if err := l.read(head); err != nil {
		return nil, &Error{0, "head is cut", short(err)}
	}
	if string(head[:len(magic)]) != magic {
		return nil, &Error{0, "not an event log (bad magic)", nil}
	}
	if crc32.Checksum(head[:12], castagnoli) != binary.LittleEndian.Uint32(head[12:]) {
		return nil, &Error{0, "head is damaged (CRC differs)", nil}
	}
	if v := binary.LittleEndian.Uint16(head[8:]); v != Version {
		return nil, &Error{0, fmt.Sprintf("format version %d (this reads %d)", v, Version), nil}
	}
	// Records only grow by slots behind the old ones, so those of an older version are read as they are.
	if v := binary.LittleEndian.Uint16(head[10:]); v < event.SchemaVersionMin || v > event.SchemaVersion {
		return nil, &Error{0, fmt.Sprintf("schema version %d (this reads %d to %d)", v, event.SchemaVersionMin,
			event.SchemaVersion), nil}
	}
	return l, nil
}

// Counts is what was read so far.
func (l *Reader) Counts() Counts { return l.counts }

// Next gives the next record, io.EOF after the last of a whole log, or an *Error. After either nothing more comes.
func (l *Reader) Next() (event.Record, error) {
	for len(l.rest) == 0 {
		if l.err == nil {
			l.err = l.nextBlock()
		}
		if l.err != nil {
			return nil, l.err
		}
	}
	// nextBlock has checked every record of the block.
	n := event.Record(l.rest).Size()
	rec := event.Record(l.rest[:n:n])
	l.rest = l.rest[n:]
	l.counts.add(rec)
	return rec, nil
}

func (l *Reader) fail(format string, args ...any) error {
	return &Error{l.block, fmt.Sprintf(format, args...), nil}
}

func (l *Reader) nextBlock() error {
	l.block = l.offset
	h := l.buf[:blockHeaderBytes]
	if err := l.read(h); err != nil {
		if err == io.EOF {
			return &Error{l.block, "log ends without a trailer: it was cut, or its writer was not closed", io.ErrUnexpectedEOF}
		}
		return &Error{l.block, "block header is cut", short(err)}
	}
	kind, size := binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
	if kind != kindBlock && kind != kindTrailer {
		return l.fail("no block begins here")
	}
	if size > BlockBytesMax {
		return l.fail("block of %d bytes (max %d)", size, BlockBytesMax)
	}
	whole := l.buf[:blockHeaderBytes+int(size)+crcBytes]
	if err := l.read(whole[blockHeaderBytes:]); err != nil {
		return &Error{l.block, "block is cut", short(err)}
	}
	body := whole[:blockHeaderBytes+int(size)]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(whole[len(body):]) {
		return l.fail("block is damaged (CRC differs)")
	}
	if n := binary.LittleEndian.Uint32(h[12:]); n != l.number {
		return l.fail("block %d where block %d should be", n, l.number)
	}
	l.number++
	payload := body[blockHeaderBytes:]
	if kind == kindTrailer {
		return l.trailer(payload)
	}
	return l.takeRecords(payload, binary.LittleEndian.Uint32(h[8:]))
}

// takeRecords checks all of a block before any of it is given out, so that a bad record stops the log at a block.
func (l *Reader) takeRecords(payload []byte, records uint32) error {
	found := uint32(0)
	for at := 0; at < len(payload); found++ {
		rest := payload[at:]
		if len(rest) < event.HeaderSize {
			return l.fail("record %d: %v", found, event.ErrShort)
		}
		n := event.Record(rest).Size()
		if n > len(rest) {
			return l.fail("record %d: %v", found, event.ErrSize)
		}
		if e := event.Check(rest[:n]); e != event.ErrNone {
			return l.fail("record %d: %v", found, e)
		}
		at += n
	}
	if found != records || records == 0 {
		return l.fail("block of %d records says it has %d (min 1)", found, records)
	}
	l.rest = payload
	return nil
}

func (l *Reader) trailer(payload []byte) error {
	if len(payload) != trailerBytes {
		return l.fail("trailer of %d bytes (must be %d)", len(payload), trailerBytes)
	}
	var c Counts
	c.Records = binary.LittleEndian.Uint64(payload)
	c.Bytes = binary.LittleEndian.Uint64(payload[8:])
	for i := range c.Class {
		c.Class[i] = binary.LittleEndian.Uint64(payload[16+8*i:])
	}
	if c != l.counts {
		return l.fail("trailer counts %d records of %d bytes, the log has %d of %d", c.Records, c.Bytes,
			l.counts.Records, l.counts.Bytes)
	}
	l.block = l.offset
	switch err := l.read(l.buf[:1]); {
	case err == io.EOF:
		return io.EOF
	case err != nil:
		return &Error{l.block, "read after the trailer", err}
	}
	return l.fail("data after the trailer")
}

// read fills b. io.EOF means that nothing was left, io.ErrUnexpectedEOF that less was.
func (l *Reader) read(b []byte) error {
	n, err := io.ReadFull(l.r, b)
	l.offset += int64(n)
	return err
}

// short makes an end of file within a part an unexpected one.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
