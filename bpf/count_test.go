package bpf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// tinyProgram writes a static program of a few instructions that exits with 0, so that the tests need nothing of the
// system they run on.
func tinyProgram(t testing.TB, dir, name string) string {
	t.Helper()
	var code []byte
	switch runtime.GOARCH {
	case "amd64":
		code = []byte{0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 0x05} // xor edi,edi; mov eax,exit_group; syscall
	case "arm64":
		code = binary.LittleEndian.AppendUint32(code, 0xd2800000) // mov x0,0
		code = binary.LittleEndian.AppendUint32(code, 0xd2800bc8) // mov x8,exit_group
		code = binary.LittleEndian.AppendUint32(code, 0xd4000001) // svc 0
	}
	return writeProgram(t, filepath.Join(dir, name), code)
}

// crashingProgram writes a program whose first instruction is none.
func crashingProgram(t testing.TB, dir string) string {
	t.Helper()
	code := []byte{0, 0, 0, 0} // arm64: udf
	if runtime.GOARCH == "amd64" {
		code = []byte{0x0f, 0x0b} // ud2
	}
	return writeProgram(t, filepath.Join(dir, "crashing"), code)
}

// writeProgram writes an executable of one segment that is the code.
func writeProgram(t testing.TB, path string, code []byte) string {
	t.Helper()
	machine := uint16(62)
	if runtime.GOARCH == "arm64" {
		machine = 183
	}
	const base, head = 0x400000, 64 + 56
	b := make([]byte, 0, head+len(code))
	b = append(b, 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2) // executable
	b = le.AppendUint16(b, machine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+head) // entry
	b = le.AppendUint64(b, 64)        // program headers
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // load
	b = le.AppendUint32(b, 5) // readable, executable
	for _, v := range []uint64{0, base, base, uint64(head + len(code)), uint64(head + len(code)), 0x1000} {
		b = le.AppendUint64(b, v)
	}
	if err := os.WriteFile(path, append(b, code...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// launch forks, executes and waits for a program.
func launch(path string) error {
	pid, err := syscall.ForkExec(path, []string{"tiny"}, &syscall.ProcAttr{})
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	for {
		if _, err = syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return err
		}
	}
}

// ownCgroup moves this process into a control group of its own for the time of the test, so that a capture of that
// group sees nothing else, and returns the group's id.
func ownCgroup(t testing.TB) uint64 {
	t.Helper()
	root := cgroupRoot(t)
	dir := filepath.Join(root, "kestrel-test-"+strconv.Itoa(os.Getpid()))
	move := func(to string) error {
		return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("skipped: %v", err)
	}
	if err := move(dir); err != nil {
		_ = os.Remove(dir)
		t.Skipf("skipped: %v", err)
	}
	t.Cleanup(func() {
		if err := move(root); err != nil {
			t.Error(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return inodeOf(t, dir).Ino
}

// launches is how many processes the count test makes: 20,000, or 100,000 when KESTREL_LONG=1.
func launches() int {
	if testing.Short() {
		return 2_000
	}
	if os.Getenv("KESTREL_LONG") == "1" {
		return 100_000
	}
	return 20_000
}

// TestCount makes many processes while the reader of a small ring sleeps now and then. Each fork, exec
// and exit was then either read or counted as dropped, and what was submitted is what was read.
func TestCount(t *testing.T) {
	tiers(t, func(t *testing.T, tier Tier) {
		group := ownCgroup(t)
		tiny := tinyProgram(t, t.TempDir(), "tiny")
		l := start(t, Options{Tier: tier, Classes: processOnly, RingBytes: 16 << 10, Cgroup: group})
		n := launches()
		var wg sync.WaitGroup
		const workers = 2
		for range workers {
			wg.Go(func() {
				for range n / workers {
					if err := launch(tiny); err != nil {
						t.Errorf("launch: %v", err)
						return
					}
				}
			})
		}
		stop := make(chan bool)
		go func() {
			wg.Wait()
			close(stop)
		}()
		begin := time.Now()
		var read [ring.Points]uint64
		count := func() {
			l.take(func(r event.Record) bool {
				switch r.Type() {
				case event.TypeExec:
					read[ring.PointExec]++
				case event.TypeFork:
					read[ring.PointFork]++
				case event.TypeExit:
					read[ring.PointExit]++
				default:
					t.Errorf("record of type %d", r.Type())
				}
				return false
			})
		}
		for rounds := 0; ; rounds++ {
			if err := l.r.Wait(100); err != nil {
				t.Fatal(err)
			}
			if rounds%16 == 0 {
				time.Sleep(150 * time.Millisecond) // slow now and then: the ring overflows
			}
			count()
			select {
			case <-stop:
			default:
				continue
			}
			break
		}
		took := time.Since(begin)
		count()
		s := l.stats()
		for p := ring.PointExec; p <= ring.PointExit; p++ {
			t.Logf("%s: %d done, %d read, %d dropped, %d missed", p, n, read[p], s.Dropped[p], s.Missed[p])
			if s.Submitted[p] != read[p] {
				t.Errorf("%s: %d submitted, %d read", p, s.Submitted[p], read[p])
			}
			if got := read[p] + s.Dropped[p] + s.Missed[p]; got != uint64(n) {
				t.Errorf("%s: %d read or counted as lost, %d done", p, got, n)
			}
			for c := ring.CauseFull + 1; c < ring.Causes; c++ {
				if s.Causes[c][p] != 0 {
					t.Errorf("%s: %d dropped: %s", p, s.Causes[c][p], c)
				}
			}
		}
		if s.Lost(event.ClassProcess) == 0 {
			t.Error("nothing was dropped: the test did not reach the full ring")
		}
		t.Logf("%d processes in %v", n, took.Round(time.Millisecond))
	})
}

// TestCountFiles does the same for files: every open of this group is read or counted.
func TestCountFiles(t *testing.T) {
	tiers(t, func(t *testing.T, tier Tier) {
		group := ownCgroup(t)
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		l := start(t, Options{Tier: tier, Classes: fileOnly, RingBytes: os.Getpagesize(), Cgroup: group})
		before := l.stats()
		const n = 20_000
		for range n {
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		}
		after := l.stats()
		read := uint64(len(l.take(func(event.Record) bool { return true })))
		sent := after.Submitted[ring.PointFile] - before.Submitted[ring.PointFile]
		lost := after.Lost(event.ClassFile) - before.Lost(event.ClassFile)
		t.Logf("%d opened, %d read, %d lost", n, read, lost)
		if sent != read || sent+lost != n || read == 0 || lost == 0 {
			t.Errorf("%d opened, %d submitted, %d read, %d lost", n, sent, read, lost)
		}
	})
}
