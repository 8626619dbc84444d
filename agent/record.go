package agent

import (
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	evring "github.com/kestrel-detection/kestrel/event/ring"
)

// recordRingBytes is the ring between capture and the log: a disk may stall for longer than an engine.
const recordRingBytes = 8 << 20

// flushEvery is how much of a recording may be in memory only.
const flushEvery = time.Second

// Record writes what the kernel captures into a log until the duration is over (0: for ever) or a signal comes. The log
// appears under its name only when it is whole.
func Record(o Options, path string, d time.Duration) error {
	text, ok := os.LookupEnv(envHandles)
	if !ok {
		return loadAndExec(o)
	}
	h, err := inherit(text)
	if err != nil {
		return err
	}
	src, err := newSource(h, recordRingBytes, o.Log)
	if err != nil {
		return err
	}
	defer src.close()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	defer f.Close()
	w, err := evlog.NewWriter(f)
	if err != nil {
		return err
	}
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	go src.capture()
	go func() {
		select {
		case <-signals:
		case <-over:
		case <-src.captured:
		}
		src.halt()
	}()
	o.Log.Infof("recording to %s, which becomes %s when it is complete", part, path)
	if err := src.write(w); err != nil {
		// The capture still reads the ring that close unmaps.
		src.halt()
		<-src.captured
		return fmt.Errorf("record %s: %w", part, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("record %s: %w", part, err)
	}
	select {
	case err := <-src.failed:
		return fmt.Errorf("record %s: %w", part, err)
	default:
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	n := w.Counts()
	o.Log.Infof("%s: %d process, %d file, %d network and %d context records, %d bytes", path, n.Class[event.ClassProcess],
		n.Class[event.ClassFile], n.Class[event.ClassNetwork], n.Class[event.ClassContext], n.Bytes)
	for c := range event.ClassContext {
		if lost := src.stats.Kernel.Lost(c) + src.stats.Refused[c]; lost > 0 {
			o.Log.Warnf("%d %s events were lost: the log says where", lost, c)
		}
	}
	return nil
}

// write empties the event ring into the log until the capture has ended.
func (s *source) write(w *evlog.Writer) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	flushed := time.Now()
	for ended := false; ; {
		for {
			rec, ok := s.events.Next()
			if !ok {
				break
			}
			if err := w.Write(rec); err != nil {
				return err
			}
			s.events.Release()
		}
		if ended {
			return nil
		}
		// A recording that is killed must not lose more than the last moment of a quiet device.
		if now := time.Now(); now.Sub(flushed) > flushEvery {
			flushed = now
			if err := w.Sync(); err != nil {
				return err
			}
		}
		ended = s.events.Wait(s.captured, t.C) == evring.WokenStop
	}
}
