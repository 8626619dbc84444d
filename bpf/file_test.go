package bpf

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

const fileOnly = 1 << event.ClassFile

// own keeps the file records of this thread.
func own(r event.Record) bool {
	return r.Class() == event.ClassFile && int(r.PID()) == os.Getpid() && int(r.TID()) == unix.Gettid()
}

// opening is one way to open a file and what the record must say.
type opening struct {
	name  string
	open  func() (int, error)
	path  string // where it is
	asked string // what was asked for; "": the path
	typ   event.Type
	noBTF event.Type // in the tier without types; 0: the same
	flags int        // as asked for; the kernel keeps them without O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC
}

func openat(dir int, path string, flags int) func() (int, error) {
	return func() (int, error) { return unix.Openat(dir, path, flags, 0o640) }
}

func (o *opening) test(t *testing.T, l *live, tier Tier) {
	from := now()
	fd, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	recs := l.take(own)
	if len(recs) != 1 {
		t.Fatalf("%d records, want 1", len(recs))
	}
	rec := recs[0]
	header(t, rec, tier, os.Getpid(), unix.Gettid(), from, now())
	typ, asked := o.typ, o.asked
	if tier == TierTracepoint && o.noBTF != 0 {
		typ = o.noBTF
	}
	if asked == "" {
		asked = o.path
	}
	if rec.Type() != typ {
		t.Errorf("type %d, want %d", rec.Type(), typ)
	}
	w := slots{event.SlotUID: 0, event.SlotGID: 0, event.SlotResult: 0}
	if tier == TierTracepoint {
		w[event.SlotPath], w[event.SlotFileFlags] = asked, o.flags
		check(t, rec, w)
		if strings.HasPrefix(asked, "/") {
			cut(t, rec)
		} else {
			cut(t, rec, event.SlotPath)
		}
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	kept := o.flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOCTTY|unix.O_TRUNC|unix.O_CLOEXEC) | largefile
	if o.flags&unix.O_PATH != 0 {
		kept &^= largefile
	}
	got, _ := rec.Int(event.SlotFileFlags)
	if int(got)&^unix.O_CLOEXEC != kept {
		t.Errorf("flags %#o, want %#o", got, kept)
	}
	w[event.SlotPath], w[event.SlotFileFlags], w[event.SlotFileMode] = o.path, int(got), int(st.Mode)
	w[event.SlotFileInode], w[event.SlotFileDevice] = int(st.Ino), kernelDevice(st.Dev)
	check(t, rec, w)
	cut(t, rec)
}

func TestFile(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tiers(t, func(t *testing.T, tier Tier) {
		dir := t.TempDir()
		tmpfs := mounted(t, "tmpfs", "tmpfs", 0)
		deep := dir + strings.Repeat("/directory", 40)
		if err := os.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
		long := filepath.Join(dir, strings.Repeat("n", 255))
		for _, path := range []string{dir + "/file", long, deep + "/file", tmpfs + "/file", dir + "/gone"} {
			if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		bind := mounted(t, dir+"/directory", "", unix.MS_BIND)
		nested := mounted(t, "tmpfs", "tmpfs", 0)
		if err := os.MkdirAll(nested+"/a/b", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(dir, nested+"/a/b", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(nested+"/a/b", unix.MNT_DETACH) })
		dirFD, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(dirFD)
		gone, err := unix.Open(dir+"/gone", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(gone)
		if err := os.Remove(dir + "/gone"); err != nil {
			t.Fatal(err)
		}
		memfd, err := unix.MemfdCreate("secret", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(memfd)
		magic := func(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
		in := unix.AT_FDCWD
		cases := []opening{
			{name: "read", open: openat(in, dir+"/file", unix.O_RDONLY), path: dir + "/file", typ: event.TypeFileRead},
			{name: "write", open: openat(in, dir+"/file", unix.O_WRONLY|unix.O_APPEND|unix.O_NONBLOCK), path: dir + "/file",
				typ: event.TypeFileWrite, flags: unix.O_WRONLY | unix.O_APPEND | unix.O_NONBLOCK},
			{name: "read-write", open: openat(in, dir+"/file", unix.O_RDWR|unix.O_TRUNC), path: dir + "/file",
				typ: event.TypeFileWrite, flags: unix.O_RDWR | unix.O_TRUNC},
			{name: "create", open: openat(in, dir+"/new", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL), path: dir + "/new",
				typ: event.TypeFileCreate, flags: unix.O_RDWR | unix.O_CREAT | unix.O_EXCL},
			{name: "create-existing", open: openat(in, dir+"/file", unix.O_WRONLY|unix.O_CREAT), path: dir + "/file",
				typ: event.TypeFileWrite, noBTF: event.TypeFileCreate, flags: unix.O_WRONLY | unix.O_CREAT},
			{name: "path-only", open: openat(in, dir+"/file", unix.O_PATH), path: dir + "/file", typ: event.TypeFileOpen,
				flags: unix.O_PATH},
			{name: "directory", open: openat(in, dir, unix.O_RDONLY|unix.O_DIRECTORY), path: dir, typ: event.TypeFileRead,
				flags: unix.O_DIRECTORY},
			{name: "root", open: openat(in, "/", unix.O_RDONLY|unix.O_DIRECTORY), path: "/", typ: event.TypeFileRead,
				flags: unix.O_DIRECTORY},
			{name: "other-mount", open: openat(in, tmpfs+"/file", unix.O_RDONLY), path: tmpfs + "/file",
				typ: event.TypeFileRead},
			{name: "mount-root", open: openat(in, tmpfs, unix.O_RDONLY), path: tmpfs, typ: event.TypeFileRead},
			{name: "bind-mount", open: openat(in, bind+"/new", unix.O_WRONLY|unix.O_CREAT), path: bind + "/new",
				typ: event.TypeFileCreate, flags: unix.O_WRONLY | unix.O_CREAT},
			{name: "nested-mounts", open: openat(in, nested+"/a/b/file", unix.O_RDONLY), path: nested + "/a/b/file",
				typ: event.TypeFileRead},
			{name: "relative-to-directory", open: openat(dirFD, "file", unix.O_RDONLY), path: dir + "/file", asked: "file",
				typ: event.TypeFileRead},
			{name: "detour", open: openat(in, dir+"/directory/.././file", unix.O_RDONLY), path: dir + "/file",
				asked: dir + "/directory/.././file", typ: event.TypeFileRead},
			{name: "deep", open: openat(in, deep+"/file", unix.O_RDONLY), path: deep + "/file", typ: event.TypeFileRead},
			{name: "long-name", open: openat(in, long, unix.O_RDONLY), path: long, typ: event.TypeFileRead},
			{name: "deleted", open: openat(in, magic(gone), unix.O_RDONLY), path: dir + "/gone (deleted)",
				asked: magic(gone), typ: event.TypeFileRead},
			{name: "memfd", open: openat(in, magic(memfd), unix.O_RDWR), path: "/memfd:secret (deleted)",
				asked: magic(memfd), typ: event.TypeFileWrite, flags: unix.O_RDWR},
			{name: "proc", open: openat(in, "/proc/self/status", unix.O_RDONLY),
				path: fmt.Sprintf("/proc/%d/status", os.Getpid()), asked: "/proc/self/status", typ: event.TypeFileRead},
			{name: "openat2", open: func() (int, error) {
				return unix.Openat2(in, dir+"/new2", &unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CREAT, Mode: 0o600})
			}, path: dir + "/new2", typ: event.TypeFileCreate, flags: unix.O_WRONLY | unix.O_CREAT},
		}
		cases = append(cases, legacyOpenings(dir)...)
		l := start(t, Options{Tier: tier, Classes: fileOnly})
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				c.test(t, l, tier)
			})
		}
	})
}

// TestFileSilent: what fails, and what is no file, is not reported.
func TestFileSilent(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tiers(t, func(t *testing.T, tier Tier) {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pipe[0])
		defer unix.Close(pipe[1])
		path := filepath.Join(t.TempDir(), "missing")
		l := start(t, Options{Tier: tier, Classes: fileOnly})
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if fd, err := unix.Open(path, unix.O_RDONLY, 0); err == nil {
			t.Fatalf("opened %d", fd)
		}
		if recs := l.take(own); len(recs) != 0 {
			t.Errorf("%d records of an open that failed", len(recs))
		}
		if tier == TierTracepoint {
			return // cannot tell a pipe
		}
		fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", pipe[0]), unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if recs := l.take(own); len(recs) != 0 {
			t.Errorf("%d records of a pipe opened again", len(recs))
		}
	})
}

// TestFileTooDeep: the end of a path that is too deep is kept and flagged.
func TestFileTooDeep(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, c := range []struct {
		name, component string
		depth           int
	}{{"components", "d", 150}, {"bytes", strings.Repeat("d", 200), 30}} {
		t.Run(c.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			dir, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			for range c.depth {
				if err := unix.Mkdirat(dir, c.component, 0o755); err != nil {
					t.Fatal(err)
				}
				next, err := unix.Openat(dir, c.component, unix.O_PATH|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				unix.Close(dir)
				dir = next
			}
			defer unix.Close(dir)
			l := start(t, Options{Tier: TierBTF, Classes: fileOnly})
			fd, err := unix.Openat(dir, "file", unix.O_CREAT|unix.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
			recs := l.take(own)
			if len(recs) != 1 {
				t.Fatalf("%d records, want 1", len(recs))
			}
			cut(t, recs[0], event.SlotPath)
			path, _ := recs[0].Bytes(event.SlotPath)
			whole := strings.Repeat("/"+c.component, c.depth) + "/file"
			if len(path) < 120 || path[0] == '/' || !strings.HasSuffix(whole, "/"+string(path)) {
				t.Errorf("path %q is no long end of the real one", path)
			}
			if s := l.stats(); s.Truncated[ring.PointFile] == 0 {
				t.Error("the cut is not counted")
			}
		})
	}
}

func TestExclude(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tiers(t, func(t *testing.T, tier Tier) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		l := start(t, Options{Tier: tier, Classes: fileOnly, Exclude: []uint32{1, uint32(os.Getpid())}})
		count := func() int {
			fd, err := unix.Open("/proc/self/status", unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
			return len(l.take(own))
		}
		if n := count(); n != 0 {
			t.Errorf("%d records of an excluded process", n)
		}
		if err := l.c.Exclude([]uint32{1}); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
		if err := l.c.Exclude(make([]uint32, 17)); err == nil {
			t.Error("17 processes can be excluded")
		}
	})
}

// TestWakeup: when a quarter of the ring is full the reader is woken before its deadline.
func TestWakeup(t *testing.T) {
	l := start(t, Options{Tier: TierBTF, Classes: fileOnly, RingBytes: 64 << 10})
	if err := l.r.Wait(0); err != nil { // what was there at the start
		t.Fatal(err)
	}
	const deadline = 20 * time.Second
	begin := time.Now()
	stop := make(chan bool)
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if fd, err := unix.Open("/proc/self/status", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				unix.Close(fd)
			}
		}
	}()
	for l.r.Avail() < 16<<10 && time.Since(begin) < deadline {
		if err := l.r.Wait(int(deadline.Milliseconds())); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(begin); d >= deadline {
		t.Errorf("woken after %v", d)
	}
}
