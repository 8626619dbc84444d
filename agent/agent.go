// Package agent is the life of Kestrel on a device: it loads the kernel programs, gives itself a small memory by
// executing itself anew, and runs the pipeline from the kernel's ring to the sinks until it is told to stop.
//
//	kernel ring ─▶ reader ─▶ event ring ─▶ pipeline (process table, engine) ─▶ alert ring ─▶ sinks
//	  goroutine:   capture                 match                               write
//
// Each arrow is one goroutine handing to the next through a ring of fixed size; a full ring refuses the newest and counts
// it, and nothing upstream ever waits. All memory is carved before the first event and summed against the budget.
package agent

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/agent/config"
	"github.com/kestrel-detection/kestrel/bpf"
	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// Options of a run.
type Options struct {
	Config *config.Config
	Rules  RuleSource
	JSON   bool // JSON lines also on a terminal
	Log    *Log
}

// ErrUnavailable is what errors are that say what this environment lacks; commands exit with 3 for it.
var ErrUnavailable = errors.New("not available here")

// unavailable is an error that is ErrUnavailable without saying so in its text.
type unavailable struct{ error }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }

func (u unavailable) Unwrap() error { return u.error }

// Unavailable makes an error for what this environment or this version lacks.
func Unavailable(format string, args ...any) error { return unavailable{fmt.Errorf(format, args...)} }

// envHandles carries the capture's descriptors from the process that loaded the programs to the one that reads them,
// envMissing what the first could not attach.
const (
	envHandles = "KESTREL_CAPTURE"
	envMissing = "KESTREL_CAPTURE_MISSING"
)

// Run watches the machine until SIGTERM or SIGINT. It returns only in the second stage; see the package comment.
func Run(o Options) error {
	if text, ok := os.LookupEnv(envHandles); ok {
		return runSecond(o, text)
	}
	return runFirst(o)
}

// runFirst loads the programs and executes the same command anew. Parsing the kernel's type information takes 13 to 24
// MB which the Go heap would not give back; the new process inherits the descriptors and starts small.
func runFirst(o Options) error {
	// A reload asked for before there is anything to reload must not end the process; being ignored survives the exec.
	signal.Ignore(unix.SIGHUP)
	if !o.Config.EBPF.Enabled {
		return Unavailable("capture: ebpf.enabled is false and this version has no other source")
	}
	// Rules that do not load must not cost a capture.
	img, err := o.Rules.Load()
	if err != nil {
		return err
	}
	img.Close()
	return loadAndExec(o)
}

// others names the classes besides process that are captured.
func others(classes uint32) string {
	var list string
	for c := event.ClassFile; c < event.ClassContext; c++ {
		if classes>>c&1 != 0 {
			list += ", " + c.String()
		}
	}
	return list
}

// whyTier says what a tier gives and why it is the one in use.
var whyTier = map[bpf.Tier]string{
	bpf.TierBTF:        "the best there is; the kernel has type information and the programs attach",
	bpf.TierTracepoint: "plain tracepoints, since the better tier does not attach here; the command doctor says what is not seen",
}

func loadAndExec(o Options) error {
	classes, err := classesOf(o.Config.EBPF.EventTypes)
	if err != nil {
		return err
	}
	c, err := bpf.Load(bpf.Options{
		RingBytes: o.Config.EBPF.RingbufSize * os.Getpagesize(), Classes: classes, Exclude: []uint32{uint32(os.Getpid())},
	})
	if err != nil && !errors.As(err, new(*bpf.PrivilegeError)) && !errors.As(err, new(*bpf.SupportError)) {
		return err
	}
	if err != nil {
		return Unavailable("%w; the command doctor says what this kernel can do", err)
	}
	h := c.Handles()
	if err := h.ClearCloexec(); err != nil {
		c.Close()
		return err
	}
	if err := ring.DisableTHP(); err != nil {
		o.Log.Debugf("huge pages stay on: %v", err)
	}
	env := append(os.Environ(), envHandles+"="+h.Encode(), envMissing+"="+strings.Join(c.Missing, "; "))
	err = unix.Exec("/proc/self/exe", os.Args, env)
	c.Close()
	return fmt.Errorf("execute the second stage: %w", err)
}

// inherit takes over what the first stage prepared.
func inherit(handles string) (bpf.Handles, error) {
	// Children that a later version may start must not take themselves for a second stage.
	os.Unsetenv(envHandles)
	// Executed through /proc/self/exe the process is called exe: it gets the name it was called by. Without it everything
	// works and ps shows another.
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	h, err := bpf.DecodeHandles(handles)
	if err != nil {
		return h, fmt.Errorf("%s: %w", envHandles, err)
	}
	return h, h.SetCloexec()
}

func runSecond(o Options, handles string) error {
	h, err := inherit(handles)
	if err != nil {
		return err
	}
	classes, err := classesOf(o.Config.EBPF.EventTypes)
	if err != nil {
		return err
	}
	// From here on a SIGHUP is a reload, also one that comes while the rules are read.
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, unix.SIGHUP)
	defer signal.Stop(reloads)
	l, err := newLive(o, h)
	if err != nil {
		return err
	}
	o.Log.Infof("source ebpf, tier %s: %s", bpf.Tier(h.Tier), whyTier[bpf.Tier(h.Tier)])
	o.Log.Infof("events: process, which is always captured to know who acts%s", others(classes))
	if missing := os.Getenv(envMissing); missing != "" {
		o.Log.Infof("not captured: %s", missing)
	}
	for _, k := range o.Config.Unsupported() {
		o.Log.Warnf("configuration: %s has no effect in this version", k)
	}
	return l.run(reloads)
}

func classesOf(types []string) (uint32, error) {
	// Without process events nothing could be said of who acts.
	classes := uint32(1 << event.ClassProcess)
	for _, t := range types {
		switch t {
		case "process":
		case "file":
			classes |= 1 << event.ClassFile
		case "network", "dns":
			classes |= 1 << event.ClassNetwork
		default:
			return 0, fmt.Errorf("ebpf.event_types: %q (process, file, network or dns)", t)
		}
	}
	return classes, nil
}

// settleAfter is when the start is over: /proc is read and each goroutine has run.
const settleAfter = time.Second

// run waits for signals while the pipeline works.
func (l *live) run(reloads <-chan os.Signal) error {
	// Two channels: a signal that finds its channel full is dropped, and no number of reloads may hide the end.
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(ends)
	l.start()
	var report <-chan time.Time
	if s := l.o.Config.Performance.ReportIntervalSec; s > 0 {
		t := time.NewTicker(time.Duration(s) * time.Second)
		defer t.Stop()
		report = t.C
	}
	l.o.Log.Infof("%d rules of %s loaded; watching", len(l.rules.Image.Rules), l.rules.name())
	settled := time.After(settleAfter)
	for {
		select {
		case <-settled:
			if err := settle(l.budget.heapLimit); err != nil {
				l.o.Log.Debugf("start-up code stays resident: %v", err)
			}
		case <-reloads:
			l.reload()
		case s := <-ends:
			l.o.Log.Infof("%s: draining", s)
			return l.end(nil)
		case err := <-l.failed:
			return l.end(err)
		case <-report:
			l.report()
		}
	}
}

// end drains, reports and frees; err is why it ends.
func (l *live) end(err error) error {
	drained := l.stop()
	if drained {
		l.closeSinks()
	}
	l.report()
	if drained {
		l.close()
	} else if err == nil {
		err = errors.New("ended before everything was written")
	}
	return err
}

// reload loads the rules anew. Rules that do not load leave the running ones in place.
func (l *live) reload() {
	// The collector is off: give back what loading and the old engine held, and what a failed load made.
	defer debug.FreeOSMemory()
	next, err := l.o.Rules.Load()
	if err == nil {
		if err = l.budget.replace(l.rules.Image, next.Image); err != nil {
			next.Close()
		}
	}
	if err != nil {
		l.o.Log.Errorf("reload: %v; the rules of %s stay", err, l.rules.name())
		return
	}
	select {
	case l.swap <- next:
	case <-l.matched: // capture has failed, and run is about to say so
		next.Close()
		return
	}
	old := <-l.swapped
	l.rules = next
	old.rules.Close()
	l.o.Log.Infof("reload: %d rules of %s; %d pending sequences of the old rules dropped", len(next.Image.Rules), next.name(),
		old.pending)
}
