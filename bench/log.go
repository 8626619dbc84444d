package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/limits"
)

// LogBytesMax bounds the records of a log that is held in memory: two hours of a busy machine.
const LogBytesMax = 1 << 30

// gapNanos lies between the end of a log and its beginning in the next round.
const gapNanos = uint64(1e9)

// Log is a recorded log in memory: context records and events, as a source gave them.
type Log struct {
	Name    string
	records []event.Record
	events  int
	classes [event.Classes]int
	span    uint64 // from the first time to behind the last: what the next round's times are later by
}

// ReadLog reads a recorded log.
func ReadLog(r io.Reader, name string) (*Log, error) {
	log, err := evlog.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l := &Log{Name: name}
	first, last, size := ^uint64(0), uint64(0), 0
	for {
		rec, err := log.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if size += len(rec); size > LogBytesMax {
			return nil, fmt.Errorf("%s: more than %d bytes of records", name, LogBytesMax)
		}
		l.records = append(l.records, bytes.Clone(rec))
		first, last = min(first, rec.Time()), max(last, rec.Time())
		if !rec.Type().IsContext() {
			l.events++
			l.classes[rec.Class()]++
		}
	}
	if l.events == 0 {
		return nil, fmt.Errorf("%s: no event in it", name)
	}
	l.span = last - first + gapNanos
	return l, nil
}

// Events is the number of events, without context records.
func (l *Log) Events() int { return l.events }

// mix is the share of each class.
func (l *Log) mix() (list []Share) {
	for c := range event.ClassContext {
		if l.classes[c] > 0 {
			list = append(list, Share{c.String(), float64(l.classes[c]) / float64(l.events)})
		}
	}
	return list
}

// Offsets in a record's header; package event draws it.
const (
	offTime  = 8
	offStart = 40
)

// move makes a record later, and the processes it speaks of others: a log that is replayed a second time is the same
// work at a later time.
func move(rec event.Record, by uint64) {
	binary.LittleEndian.PutUint64(rec[offTime:], rec.Time()+by)
	if rec.Start() == 0 {
		return
	}
	binary.LittleEndian.PutUint64(rec[offStart:], rec.Start()+by)
	if rec.Class() == event.ClassProcess {
		if v, ok := rec.Int(event.SlotParentStart); ok && v != 0 {
			rec.SetInt(event.SlotParentStart, v+int64(by))
		}
	}
}

// completed are the log's events as the process table completed them, in batches of the largest size. Each keeps its own
// copies of what the table lent it.
type completed struct {
	batches [][]event.Event
	n       int
	span    uint64
}

func (l *Log) complete() (*completed, error) {
	table, err := proc.New(proc.Config{Entries: agent.DeviceSizes.Processes, LimboBlocks: limits.BatchMax})
	if err != nil {
		return nil, err
	}
	// The table stays: the events read the host's names from it.
	c := &completed{span: l.span}
	var batch []event.Event
	lent := map[*byte]event.Record{} // a block that several events borrow is copied once for all of them in a row
	keep := func(rec event.Record) event.Record {
		if len(rec) == 0 {
			return nil
		}
		if old := lent[&rec[0]]; bytes.Equal(old, rec) {
			return old
		}
		lent[&rec[0]] = bytes.Clone(rec)
		return lent[&rec[0]]
	}
	for _, rec := range l.records {
		var ev event.Event
		if table.Apply(bytes.Clone(rec), &ev) {
			c.n++
			ev.Own.SetID(uint64(c.n))
			if len(ev.Proc) > 0 && &ev.Proc[0] != &ev.Own[0] {
				ev.Proc = keep(ev.Proc)
			}
			ev.Parent, ev.Entry, ev.Session, ev.Group = keep(ev.Parent), keep(ev.Entry), keep(ev.Session), keep(ev.Group)
			ev.Report = bytes.Clone(ev.Report)
			if batch = append(batch, ev); len(batch) == limits.BatchMax {
				c.batches, batch = append(c.batches, batch), nil
			}
		}
		table.Release()
	}
	if len(batch) > 0 {
		c.batches = append(c.batches, batch)
	}
	return c, nil
}

// factsStep lies between the numbers of a process's facts in two rounds: beyond what one log gives.
const factsStep = 1 << 40

// next makes the events those of a further round: later, numbered on, and of processes that were not seen before, so
// that nothing the engine learned of one is of use for them.
func (c *completed) next() {
	for _, batch := range c.batches {
		for i := range batch {
			ev := &batch[i]
			ev.Own.SetID(ev.Own.ID() + uint64(c.n))
			binary.LittleEndian.PutUint64(ev.Own[offTime:], ev.Own.Time()+c.span)
			if ev.ProcFacts != 0 {
				ev.ProcFacts += factsStep
			}
			if ev.ParentFacts != 0 {
				ev.ParentFacts += factsStep
			}
		}
	}
}

// some are at most n events, evenly chosen.
func (c *completed) some(n int) (list []*event.Event) {
	step, at := max((c.n+n-1)/n, 1), 0
	for _, batch := range c.batches {
		for i := range batch {
			if at%step == 0 {
				list = append(list, &batch[i])
			}
			at++
		}
	}
	return list
}
