package evlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/kestrel-detection/kestrel/event"
)

// Writer writes a log.
type Writer struct {
	w       io.Writer
	buf     []byte // header and payload of the block at hand
	records uint32 // in it
	number  uint32 // of it
	counts  Counts
	err     error
}

var errClosed = errors.New("event log: write after close")

// NewWriter begins a log. It writes the head at once, so that a place that cannot be written to is found early. When w
// has a Sync method (an *os.File), Sync and Close call it.
func NewWriter(w io.Writer) (*Writer, error) {
	l := &Writer{w: w, buf: make([]byte, blockHeaderBytes, blockHeaderBytes+BlockBytesMax+crcBytes)}
	var head [headBytes]byte
	copy(head[:], magic)
	binary.LittleEndian.PutUint16(head[8:], Version)
	binary.LittleEndian.PutUint16(head[10:], event.SchemaVersion)
	binary.LittleEndian.PutUint32(head[12:], crc32.Checksum(head[:12], castagnoli))
	if _, err := w.Write(head[:]); err != nil {
		return nil, fmt.Errorf("event log: write head: %w", err)
	}
	return l, nil
}

// Write adds a record. Its id is left out.
//
// Preconditions: event.Check accepts rec.
func (l *Writer) Write(rec event.Record) error {
	if l.err != nil {
		return l.err
	}
	if len(l.buf)-blockHeaderBytes+len(rec) > BlockBytesMax {
		if err := l.flush(kindBlock); err != nil {
			return err
		}
	}
	at := len(l.buf)
	l.buf = append(l.buf, rec...)
	event.Record(l.buf[at:]).SetID(0)
	l.records++
	l.counts.add(rec)
	return nil
}

// Counts is what was written so far.
func (l *Writer) Counts() Counts { return l.counts }

// Sync writes out what is buffered.
func (l *Writer) Sync() error {
	if l.err != nil {
		return l.err
	}
	if l.records > 0 {
		if err := l.flush(kindBlock); err != nil {
			return err
		}
	}
	if s, ok := l.w.(interface{ Sync() error }); ok {
		if err := s.Sync(); err != nil {
			l.err = fmt.Errorf("event log: sync: %w", err)
		}
	}
	return l.err
}

// Close writes out what is buffered and the trailer. It does not close the io.Writer.
func (l *Writer) Close() error {
	if l.err != nil {
		return l.err
	}
	if l.records > 0 {
		if err := l.flush(kindBlock); err != nil {
			return err
		}
	}
	l.buf = binary.LittleEndian.AppendUint64(l.buf, l.counts.Records)
	l.buf = binary.LittleEndian.AppendUint64(l.buf, l.counts.Bytes)
	for _, n := range l.counts.Class {
		l.buf = binary.LittleEndian.AppendUint64(l.buf, n)
	}
	if err := l.flush(kindTrailer); err != nil {
		return err
	}
	if err := l.Sync(); err != nil {
		return err
	}
	l.err = errClosed
	return nil
}

func (l *Writer) flush(kind uint32) error {
	binary.LittleEndian.PutUint32(l.buf, kind)
	binary.LittleEndian.PutUint32(l.buf[4:], uint32(len(l.buf)-blockHeaderBytes))
	binary.LittleEndian.PutUint32(l.buf[8:], l.records)
	binary.LittleEndian.PutUint32(l.buf[12:], l.number)
	l.buf = binary.LittleEndian.AppendUint32(l.buf, crc32.Checksum(l.buf, castagnoli))
	if _, err := l.w.Write(l.buf); err != nil {
		l.err = fmt.Errorf("event log: write block %d: %w", l.number, err)
		return l.err
	}
	l.buf = l.buf[:blockHeaderBytes]
	l.records = 0
	l.number++
	return nil
}
