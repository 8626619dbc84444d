//go:build linux

package procfs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
)

func snapshot(t testing.TB, s *Snapshot) ([]event.Record, Stats) {
	t.Helper()
	var out []event.Record
	stats, err := s.Run(func(r event.Record) {
		if e := event.Check(r); e != event.ErrNone {
			t.Fatalf("a bad record of type %d: %v", r.Type(), e)
		}
		out = append(out, bytes.Clone(r))
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, stats
}

// show writes a process record in one line.
func show(r event.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d start=%d", r.PID(), r.Start())
	for slot, name := range event.SlotNames[event.ClassProcess] {
		switch slot {
		case event.SlotExecutable, event.SlotName, event.SlotArgs, event.SlotCwd:
			if v, ok := r.Bytes(slot); ok {
				fmt.Fprintf(&b, " %s=%s", name, bytes.ReplaceAll(v, []byte{0}, []byte{'|'}))
			}
		default:
			if v, ok := r.Int(slot); ok {
				fmt.Fprintf(&b, " %s=%d", name, v)
			}
		}
		if r.Truncated(slot) {
			b.WriteString("(cut)")
		}
	}
	return b.String()
}

// TestThisMachine looks for what the test knows of itself and of a child.
func TestThisMachine(t *testing.T) {
	dir := t.TempDir()
	before := bootNanos()
	cmd := exec.Command("/bin/sleep", "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Skip("no program to start: ", err)
	}
	after := bootNanos()
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	records, stats := snapshot(t, New("/proc", "/etc"))
	if records[0].Type() != event.TypeHostInfo {
		t.Fatal("the host is not first")
	}
	if seed, _ := records[0].Int(event.SlotContextSeed); seed == 0 {
		t.Error("no seed")
	}
	host, _ := os.Hostname()
	if name, _ := records[0].Bytes(event.SlotContextText); string(name) != host {
		t.Errorf("host is called %q, want %q", name, host)
	}
	root := false
	seen := map[uint32]event.Record{}
	processes := 0
	for _, r := range records[1:] {
		switch r.Type() {
		case event.TypeUserInfo:
			id, _ := r.Int(event.SlotContextID)
			name, _ := r.Bytes(event.SlotContextText)
			root = root || id == 0 && string(name) == "root"
		case event.TypeProcessInfo:
			processes++
			ppid, _ := r.Int(event.SlotParentPID)
			if _, known := r.Int(event.SlotParentStart); known && seen[uint32(ppid)] == nil {
				t.Errorf("%d comes before its parent %d", r.PID(), ppid)
			}
			seen[r.PID()] = r
		}
	}
	if _, err := os.Stat("/etc/passwd"); err == nil && !root {
		t.Error("root has no name")
	}
	if processes != stats.Processes {
		t.Errorf("%d processes, counted %d", processes, stats.Processes)
	}

	self, child := seen[uint32(os.Getpid())], seen[uint32(cmd.Process.Pid)]
	if self == nil || child == nil {
		t.Fatal("this process or its child is missing")
	}
	exe, _ := os.Executable()
	if v, _ := self.Bytes(event.SlotExecutable); string(v) != exe {
		t.Errorf("executable %q, want %q", v, exe)
	}
	if v, _ := self.Bytes(event.SlotArgs); string(v) != strings.Join(os.Args, "\x00") {
		t.Errorf("arguments %q, want %q", v, os.Args)
	}
	if n, _ := self.Int(event.SlotArgsCount); n != int64(len(os.Args)) {
		t.Errorf("%d arguments, want %d", n, len(os.Args))
	}
	for slot, want := range map[int]int{event.SlotUID: os.Geteuid(), event.SlotRealUID: os.Getuid(), event.SlotGID: os.Getegid(),
		event.SlotRealGID: os.Getgid(), event.SlotParentPID: os.Getppid()} {
		if v, ok := self.Int(slot); !ok || v != int64(want) {
			t.Errorf("slot %d is %d, want %d", slot, v, want)
		}
	}
	if v, _ := child.Bytes(event.SlotCwd); string(v) != dir {
		t.Errorf("working directory %q, want %q", v, dir)
	}
	if v, _ := child.Int(event.SlotParentStart); uint64(v) != self.Start() {
		t.Errorf("the child's parent started at %d, want %d", v, self.Start())
	}

	// The kernel programs see the start in ns, somewhere between the two looks at the clock; /proc has the tick.
	if tick := child.Start() / tickNanos; tick < before/tickNanos || tick > after/tickNanos {
		t.Fatalf("the child started in tick %d, between %d and %d", tick, before/tickNanos, after/tickNanos)
	}
	pid := child.PID()
	if event.EntityID(1, pid, child.Start()) != event.EntityID(1, pid, child.Start()+tickNanos-1) {
		t.Error("a start in ns and its tick give different entities")
	}
	if event.EntityID(1, pid, child.Start()) == event.EntityID(1, pid, child.Start()+tickNanos) {
		t.Error("two ticks give one entity")
	}
}

// fakeProc makes a tree that looks like /proc and /etc.
type fakeProc struct{ t *testing.T }

func (f fakeProc) file(path, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f fakeProc) link(path, target string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

func statLine(pid int, comm, state string, ppid, session, tty, start int) string {
	return fmt.Sprintf("%d (%s) %s %d 9 %d %d -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 123 45 18446744073709551615\n",
		pid, comm, state, ppid, session, tty, start)
}

func newFake(t *testing.T) (f fakeProc, proc, etc string) {
	f = fakeProc{t}
	proc, etc = t.TempDir(), t.TempDir()
	f.file(proc+"/sys/kernel/random/boot_id", "6f9b8a36-0000-4000-8000-0123456789ab\n")
	return f, proc, etc
}

func TestFakeTree(t *testing.T) {
	f, proc, etc := newFake(t)
	f.file(proc+"/sys/kernel/hostname", "box\n")
	f.file(etc+"/machine-id", "00112233445566778899aabbccddeeff\n")
	f.file(etc+"/passwd", "root:x:0:0::/:/bin/sh\n# comment:x:5:5\n\nbroken\nbad:x:1x:1::/:\nhuge:x:4294967296:1::/:\n"+
		"+nis\nada:x:1000:1000:Ada:/home/ada:/bin/sh")
	// 30 is the child of 40, which has the higher pid.
	f.file(proc+"/30/stat", statLine(30, "a) R (b", "S", 40, 30, 34816, 700))
	f.file(proc+"/30/status", "Name:\ta\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t1001\t5\t5\t5\n")
	f.file(proc+"/30/cmdline", "prog\x00-x\x00\x00y z\x00")
	f.link(proc+"/30/exe", "/usr/bin/prog (deleted)")
	f.link(proc+"/30/cwd", "/tmp")
	f.link(proc+"/30/ns/mnt", "mnt:[4026531841]")
	f.file(proc+"/40/stat", statLine(40, "shell", "S", 1, 40, 0, 600))
	f.file(proc+"/40/cmdline", "title set by the program\x00\x00\x00\x00")
	f.file(proc+"/2/stat", statLine(2, "kthreadd", "S", 0, 0, 0, 0))
	f.file(proc+"/2/cmdline", "")
	f.file(proc+"/50/stat", statLine(50, "zombie", "Z", 1, 1, 0, 800))
	f.file(proc+"/51/stat", "51 (cut) S 1")
	f.file(proc+"/52/stat", "")
	f.file(proc+"/60/stat", statLine(60, "young", "S", 61, 1, 0, 900)) // its parent's pid was used again
	f.file(proc+"/61/stat", statLine(61, "younger", "S", 60, 1, 0, 950))
	f.file(proc+"/70/stat", statLine(70, "long", "S", 1, 1, 0, 900))
	f.file(proc+"/70/cmdline", strings.Repeat("0123456789abcde\x00", 1000))
	f.file(proc+"/71/stat", statLine(71, "longest", "S", 1, 1, 0, 900))
	f.file(proc+"/71/cmdline", strings.Repeat("0123456789abcde\x00", CmdlineBytesMax/16))
	for _, other := range []string{"self", "12x", "0", "99999999999999999999"} {
		f.file(proc+"/"+other+"/stat", statLine(9, "other", "S", 1, 1, 0, 1))
	}

	records, stats := snapshot(t, New(proc, etc))
	var got []string
	for _, r := range records {
		switch r.Type() {
		case event.TypeUserInfo:
			id, _ := r.Int(event.SlotContextID)
			name, _ := r.Bytes(event.SlotContextText)
			got = append(got, fmt.Sprintf("user %d %s", id, name))
		case event.TypeProcessInfo:
			got = append(got, show(r))
		}
	}
	args := strings.Repeat("0123456789abcde|", ArgsBytesMax/16)
	want := []string{
		"user 0 root", "user 1000 ada",
		"2 start=0 NAME=kthreadd PARENT_PID=0 SESSION_ID=0 TTY=0",
		"40 start=6000000000 NAME=shell ARGS=title set by the program PARENT_PID=1 ARGS_COUNT=1 SESSION_ID=40 TTY=0",
		"30 start=7000000000 UID=0 GID=5 EXECUTABLE=/usr/bin/prog ARGS=prog|-x||y z CWD=/tmp PARENT_PID=40 PARENT_START=6000000000" +
			" ARGS_COUNT=4 REAL_UID=1000 REAL_GID=1001 SESSION_ID=30 TTY=34816 MOUNT_NS=4026531841",
		"61 start=9500000000 NAME=younger PARENT_PID=60 PARENT_START=9000000000 SESSION_ID=1 TTY=0",
		"60 start=9000000000 NAME=young PARENT_PID=61 SESSION_ID=1 TTY=0",
		"70 start=9000000000 NAME=long ARGS=" + args + "(cut) PARENT_PID=1 ARGS_COUNT=1000 SESSION_ID=1 TTY=0",
		"71 start=9000000000 NAME=longest ARGS=" + args + "(cut) PARENT_PID=1 SESSION_ID=1 TTY=0",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if stats != (Stats{Processes: 7, Users: 2, Vanished: 3}) {
		t.Errorf("%+v", stats)
	}
	h := records[0]
	name, _ := h.Bytes(event.SlotContextText)
	id, _ := h.Bytes(event.SlotContextText2)
	if string(name) != "box" || string(id) != "00112233445566778899aabbccddeeff" {
		t.Errorf("host %q %q", name, id)
	}
	again, _ := snapshot(t, New(proc, etc))
	a, _ := h.Int(event.SlotContextSeed)
	b, _ := again[0].Int(event.SlotContextSeed)
	f.file(proc+"/sys/kernel/random/boot_id", "6f9b8a36-0000-4000-8000-0123456789ac\n")
	next, _ := snapshot(t, New(proc, etc))
	c, _ := next[0].Int(event.SlotContextSeed)
	if a != b || a == c {
		t.Errorf("seeds %x %x of one boot, %x of the next", a, b, c)
	}
}

func TestUsersLimit(t *testing.T) {
	f, proc, etc := newFake(t)
	passwd := func(users, pad int) Stats {
		var b strings.Builder
		for i := range users {
			fmt.Fprintf(&b, "u%d:x:%d:0:%s:/:\n", i, i, strings.Repeat("g", pad))
		}
		f.file(etc+"/passwd", b.String())
		_, stats := snapshot(t, New(proc, etc))
		return stats
	}
	for _, c := range []struct{ users, pad, want, left int }{
		{event.UsersMax, 0, event.UsersMax, 0}, {event.UsersMax + 1, 0, event.UsersMax, 1},
		{100, 1000, 100, 0}, {5, bufBytes, 0, 0}, {20, bufBytes, 0, 1},
	} {
		if s := passwd(c.users, c.pad); s.Users != c.want || s.UsersLeft != c.left {
			t.Errorf("%d users of %d bytes: %+v", c.users, c.pad, s)
		}
	}
}

func TestErrors(t *testing.T) {
	nothing := func(event.Record) {}
	if _, err := New("/nonexistent", "/etc").Run(nothing); err == nil || !strings.Contains(err.Error(), "open /nonexistent") {
		t.Errorf("no proc: %v", err)
	}
	if _, err := New(t.TempDir(), "/etc").Run(nothing); err == nil || !strings.Contains(err.Error(), "boot_id") {
		t.Errorf("no boot id: %v", err)
	}
	_, proc, etc := newFake(t)
	if records, _ := snapshot(t, New(proc, etc)); len(records) != 1 {
		t.Errorf("%d records of nothing", len(records))
	}
}

// TestNoLeaks: no file stays open.
func TestNoLeaks(t *testing.T) {
	s := New("/proc", "/etc")
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := count()
	for range 3 {
		snapshot(t, s)
	}
	if after := count(); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// TestAllocs: a second run allocates for the paths of a handful of files, whatever the number of processes.
func TestAllocs(t *testing.T) {
	s := New("/proc", "/etc")
	emit := func(event.Record) {}
	least := ^uint64(0)
	for range 5 {
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		if _, err := s.Run(emit); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&b)
		least = min(least, b.Mallocs-a.Mallocs)
	}
	const allocsMax = 20
	if least > allocsMax {
		t.Errorf("%d allocations (max %d)", least, allocsMax)
	}
	t.Logf("%d allocations", least)
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statLine(1, "a) b (c", "S", 2, 3, 4, 5)))
	f.Add([]byte("1 () R"))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, ok := parseStat(b)
		if ok && (!bytes.Contains(b, st.comm) || bytes.Count(b, []byte{' '}) < statStart-statState) {
			t.Fatalf("%q gives %+v", b, st)
		}
	})
}

// BenchmarkSnapshot200 looks at a machine with 200 more processes.
func BenchmarkSnapshot200(b *testing.B) {
	for range 200 {
		cmd := exec.Command("/bin/sleep", "300")
		if err := cmd.Start(); err != nil {
			b.Skip("no program to start: ", err)
		}
		defer func() {
			cmd.Process.Kill()
			cmd.Wait()
		}()
	}
	s := New("/proc", "/etc")
	var stats Stats
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if stats, err = s.Run(func(event.Record) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(stats.Processes), "processes")
}
