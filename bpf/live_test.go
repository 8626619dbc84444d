package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// helperEnv makes the test binary do something else than test: see helpers_test.go.
const helperEnv = "KESTREL_BPF_HELPER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperEnv); mode != "" {
		os.Exit(helper(mode))
	}
	os.Exit(m.Run())
}

// live is a capture with its reader.
type live struct {
	t      testing.TB
	c      *Capture
	r      *ring.Reader
	counts *ring.Counters
}

// start loads a capture or skips the test when this process may not.
func start(t testing.TB, o Options) *live {
	t.Helper()
	c, err := Load(o)
	if errors.As(err, new(*PrivilegeError)) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if len(c.Missing) > 0 {
		t.Fatalf("missing: %s", strings.Join(c.Missing, "; "))
	}
	h := c.Handles()
	r, err := ring.Open(h.Ring, h.RingBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	counts, err := ring.OpenCounters(h.Counters, h.Programs)
	if err != nil {
		t.Fatal(err)
	}
	l := &live{t, c, r, counts}
	l.take(func(event.Record) bool { return false }) // what was opened since the start
	return l
}

// take returns copies of the records that wait and that keep wants.
func (l *live) take(keep func(event.Record) bool) (out []event.Record) {
	for {
		rec, ok := l.r.Next()
		if !ok {
			break
		}
		if keep(rec) {
			out = append(out, append(event.Record(nil), rec...))
		}
	}
	l.r.Release()
	if l.r.Bad != 0 || l.r.Discarded != 0 {
		l.t.Fatalf("%d bad and %d discarded records", l.r.Bad, l.r.Discarded)
	}
	return out
}

// one is the only record of a type that a process made.
func (l *live) one(typ event.Type, pid int) event.Record {
	l.t.Helper()
	recs := l.take(func(r event.Record) bool { return r.Type() == typ && int(r.PID()) == pid })
	if len(recs) != 1 {
		l.t.Fatalf("%d records of type %d of process %d, want 1", len(recs), typ, pid)
	}
	return recs[0]
}

func (l *live) stats() (s ring.Stats) {
	l.t.Helper()
	if err := l.counts.Read(&s); err != nil {
		l.t.Fatal(err)
	}
	return s
}

// tiers runs f on both tiers.
func tiers(t *testing.T, f func(t *testing.T, tier Tier)) {
	for _, tier := range [...]Tier{TierBTF, TierTracepoint} {
		t.Run(tier.String(), func(t *testing.T) { f(t, tier) })
	}
}

// slots is what a record must have: slot to string, []byte or integer. Slots that are not named must be absent.
type slots map[int]any

func check(t testing.TB, rec event.Record, want slots) {
	t.Helper()
	for s := range rec.Class().Slots() {
		name := event.SlotNames[rec.Class()][s]
		w, wanted := want[s]
		if rec.Has(s) != wanted {
			t.Errorf("%s: present %v, want %v", name, rec.Has(s), wanted)
			continue
		}
		switch w := w.(type) {
		case nil:
		case string:
			if got, _ := rec.Bytes(s); string(got) != w {
				t.Errorf("%s: %q, want %q", name, got, w)
			}
		case int:
			if got, _ := rec.Int(s); got != int64(w) {
				t.Errorf("%s: %d, want %d", name, got, w)
			}
		default:
			t.Fatalf("%s: %T", name, w)
		}
	}
}

// cut is the set of slots whose strings are flagged as cut; the record's flag must agree.
func cut(t testing.TB, rec event.Record, want ...int) {
	t.Helper()
	n := 0
	for s := range rec.Class().Slots() {
		if !rec.Truncated(s) || isInt(rec.Class(), s) {
			continue
		}
		n++
		found := false
		for _, w := range want {
			found = found || w == s
		}
		if !found {
			t.Errorf("%s is flagged as cut", event.SlotNames[rec.Class()][s])
		}
	}
	if n != len(want) {
		t.Errorf("%d strings flagged as cut, want %d", n, len(want))
	}
	if flag := rec.Flags()&event.FlagTruncated != 0; flag != (n > 0) {
		t.Errorf("record flag truncated %v with %d cut strings", flag, n)
	}
}

func isInt(c event.Class, slot int) bool {
	switch event.SlotNames[c][slot] {
	case "EXECUTABLE", "NAME", "ARGS", "CWD", "PATH", "SOURCE_IP", "DESTINATION_IP":
		return false
	}
	return true
}

// header checks the fixed part of a record.
func header(t testing.TB, rec event.Record, tier Tier, pid, tid int, from, to uint64) {
	t.Helper()
	if int(rec.PID()) != pid || tid != 0 && int(rec.TID()) != tid {
		t.Errorf("process %d/%d, want %d/%d", rec.PID(), rec.TID(), pid, tid)
	}
	if rec.Time() < from || rec.Time() > to {
		t.Errorf("time %d, want %d to %d", rec.Time(), from, to)
	}
	if rec.ID() != 0 || rec.Entity() != 0 {
		t.Errorf("id %d, entity %d, want 0", rec.ID(), rec.Entity())
	}
	if noBTF := rec.Flags()&event.FlagNoBTF != 0; noBTF != (tier == TierTracepoint) {
		t.Errorf("flags %#x in tier %s", rec.Flags(), tier)
	}
	if tier == TierTracepoint && rec.Start() != 0 {
		t.Errorf("start %d, want 0", rec.Start())
	}
	if tier == TierBTF && (rec.Start() == 0 || rec.Start() > rec.Time()) {
		t.Errorf("start %d, time %d", rec.Start(), rec.Time())
	}
}

func now() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return uint64(ts.Nano())
}

// mounted mounts something on a new directory for the time of the test.
func mounted(t testing.TB, source, kind string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount(source, dir, kind, flags, ""); err != nil {
		t.Fatalf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// run runs a command that must end with code.
func run(t testing.TB, cmd *exec.Cmd, code int) int {
	t.Helper()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit code %d, want %d: %v", got, code, err)
	}
	return cmd.ProcessState.Pid()
}

func inodeOf(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(fmt.Errorf("stat %s: %w", path, err))
	}
	return st
}

// kernelDevice is a device number as the kernel has it.
func kernelDevice(dev uint64) int { return int(unix.Major(dev)<<20 | unix.Minor(dev)) }
