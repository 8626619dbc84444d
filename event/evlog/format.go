// Package evlog is the record log: what a source gave, kept for replay. Records stand in it exactly as they left the
// source, context records included and first, with id 0: the reader of the log numbers them.
//
//	head     8 magic | u16 version | u16 schema version | u32 CRC of the 12 bytes before
//	block    u32 kind | u32 payload bytes | u32 records | u32 number | payload | u32 CRC of all of the block before
//	...
//	trailer  a block of its own kind; payload: u64 records, u64 bytes of records, u64 records of each class
//
// A log of an older schema version reads as one of this: records have fewer slots, and nothing in them has moved. One of a
// newer version is refused.
//
// All numbers are little-endian, the CRC is CRC-32C. Blocks are numbered from 0, the trailer included. A payload is
// records one after the other; each begins with its length. A log that was cut or changed is good up to the first
// block that is not, and says where that is; a log without a trailer was not closed.
//
// Memory: a Writer and a Reader hold one block each and do not allocate per record. A record from Next is the
// reader's until the following call, and may be written to.
//
// Goroutines: one per Writer or Reader.
//
// When full: a log has no bound of its own. A Writer that meets an error keeps it, writes nothing more and gives it
// for every call.
package evlog

import (
	"fmt"
	"hash/crc32"

	"github.com/kestrel-detection/kestrel/event"
)

// Version is the version of the format.
const Version = 1

// magic begins a log. Like that of PNG it shows a transfer that took it for text: a byte above 127, CR LF, ^Z, LF.
const magic = "\x89KEL\r\n\x1a\n"

const (
	headBytes        = 16
	blockHeaderBytes = 16
	crcBytes         = 4
	trailerBytes     = 16 + 8*int(event.Classes)

	kindBlock   = 0x4b4c424b // "KBLK" read as bytes
	kindTrailer = 0x444e454b // "KEND"

	// BlockBytesMax bounds a payload, and so what a reader holds. A recording that is cut loses at most this much.
	BlockBytesMax = 64 << 10
)

const _ = uint(BlockBytesMax - event.RecordSizeMax)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Counts is what a log holds.
type Counts struct {
	Records uint64
	Bytes   uint64 // of the records, without the log's own
	Class   [event.Classes]uint64
}

func (c *Counts) add(rec event.Record) {
	c.Records++
	c.Bytes += uint64(len(rec))
	c.Class[rec.Class()]++
}

// Error says why a log cannot be read further, and where. Everything before was good.
type Error struct {
	Offset int64 // of the head or block, after decompression
	Reason string
	Err    error // of the reader below, when it is to blame
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("event log: offset %d: %s: %v", e.Offset, e.Reason, e.Err)
	}
	return fmt.Sprintf("event log: offset %d: %s", e.Offset, e.Reason)
}

func (e *Error) Unwrap() error { return e.Err }
