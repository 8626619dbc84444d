package events

import (
	"bufio"
	"errors"
	"io"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/event/proc"
)

// processesMax is the number of processes remembered while a recorded log is read, enough for a busy server's day.
const processesMax = 1 << 16

// copyRecords writes the events of a recorded log as NDJSON, each completed with the facts of its process.
func copyRecords(w io.Writer, r io.Reader) error {
	log, err := evlog.NewReader(r)
	if err != nil {
		return err
	}
	table, err := proc.New(proc.Config{Entries: processesMax, LimboBlocks: 1})
	if err != nil {
		return err
	}
	defer table.Close()
	out := bufio.NewWriterSize(w, windowBytes)
	var line []byte
	for {
		// The reader's records are good until the next one: nothing may borrow them then.
		table.Release()
		rec, err := log.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		var ev event.Event
		if !table.Apply(rec, &ev) {
			continue
		}
		line = append(ecsjson.AppendJSON(line[:0], &ev), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}
