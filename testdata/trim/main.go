// Command trim keeps of a log what one process and its descendants did, and gives the host another name.
package main

import (
	"bufio"
	"errors"
	"flag"
	"io"
	"log"
	"os"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
)

func main() {
	root := flag.Uint("root", 0, "pid of the process to keep")
	flag.Parse()
	if err := trim(uint32(*root), flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func trim(root uint32, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := evlog.NewReader(f)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	w, err := evlog.NewWriter(out)
	if err != nil {
		return err
	}
	keep := map[uint32]bool{root: true}
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	for {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
		switch rec.Type() {
		case event.TypeHostInfo:
			rec = host(&b, rec)
		case event.TypeUserInfo:
		case event.TypeProcessInfo:
			continue
		case event.TypeFork:
			parent, _ := rec.Int(event.SlotParentPID)
			if keep[uint32(parent)] {
				keep[rec.PID()] = true
			}
			if !keep[rec.PID()] {
				continue
			}
		default:
			if !keep[rec.PID()] {
				continue
			}
			if rec.Type() == event.TypeExit && rec.PID() != root {
				delete(keep, rec.PID())
			}
		}
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), out.Flush())
}

// host is the record of a host made up, with the boot and the clock of the real one.
func host(b *event.Builder, rec event.Record) event.Record {
	wall, _ := rec.Int(event.SlotContextID)
	seed, _ := rec.Int(event.SlotContextSeed)
	b.Begin(event.TypeHostInfo, rec.Time())
	b.Int(event.SlotContextID, wall)
	b.Int(event.SlotContextSeed, seed)
	b.String(event.SlotContextText, "workstation", 0)
	b.String(event.SlotContextText2, "00000000000000000000000000000001", 0)
	return b.End()
}
