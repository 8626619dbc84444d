package sink

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

func at(stamp string) int64 {
	v, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		panic(err)
	}
	return v.UnixNano()
}

func alertAt(wall int64) alert.Alert {
	return newAlert(alert.Head{Wall: wall}, "At a time").event(process("/bin/x", "x")).end()
}

func openFile(t *testing.T, o FileOptions) *File {
	t.Helper()
	f, err := OpenFile(o, make([]byte, BufferBytesMin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t *testing.T, f *File, walls ...int64) {
	t.Helper()
	for _, w := range walls {
		if err := f.Write(alertAt(w)); err != nil {
			t.Fatal(err)
		}
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// lines checks that a file is whole JSON lines and counts them.
func lines(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		t.Errorf("%s ends inside a line", path)
	}
	n := 0
	for l := range bytes.Lines(b) {
		if n++; !json.Valid(l) {
			t.Errorf("%s:%d: %q", path, n, l)
		}
	}
	return n
}

func expect(t *testing.T, dir string, want map[string]int) {
	t.Helper()
	got := list(t, dir)
	if len(got) != len(want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for name, n := range want {
		if !slices.Contains(got, name) {
			t.Errorf("no file %s", name)
		} else if have := lines(t, filepath.Join(dir, name)); have != n {
			t.Errorf("%s has %d lines, want %d", name, have, n)
		}
	}
}

func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a//b/alerts.json"
	f := openFile(t, FileOptions{Path: path})
	write(t, f, bootWall)
	for p, mode := range map[string]os.FileMode{dir + "/a": 0o700, dir + "/a/b": 0o700, path: 0o600} {
		if st, err := os.Stat(p); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %v", p, st.Mode(), err, mode)
		}
	}
}

func TestFilePeriods(t *testing.T) {
	walls := []int64{at("2026-01-02T23:59:58Z"), at("2026-01-02T23:59:59Z"), at("2026-01-03T00:00:00Z"),
		at("2026-01-02T23:59:59Z"), // late: stays in the new file
		at("2026-01-03T01:00:00Z"), at("2026-01-05T00:00:00Z"),
		at("2026-01-01T12:00:00Z")} // the clock was set back
	for _, c := range []struct {
		every Period
		want  map[string]int
	}{
		{PeriodSize, map[string]int{"a": 7}},
		{PeriodDaily, map[string]int{"a.20260102T235959Z-000": 2, "a.20260103T010000Z-000": 3, "a.20260105T000000Z-000": 1, "a": 1}},
		{PeriodHourly, map[string]int{"a.20260102T235959Z-000": 2, "a.20260102T235959Z-001": 2, "a.20260103T010000Z-000": 1,
			"a.20260105T000000Z-000": 1, "a": 1}},
	} {
		dir := t.TempDir()
		f := openFile(t, FileOptions{Path: dir + "/a", Every: c.every})
		write(t, f, walls...)
		if got := f.Counters(); got.Alerts != 7 || got.Errors != 0 || got.Files != uint64(len(c.want)-1) {
			t.Errorf("%s: %+v", periodNames[c.every], got)
		}
		expect(t, dir, c.want)
	}
}

func TestFileContinuesAcrossStarts(t *testing.T) {
	dir := t.TempDir()
	o := FileOptions{Path: dir + "/a", Every: PeriodDaily}
	day1, day2 := at("2026-01-02T10:00:00Z"), at("2026-01-03T10:00:00Z")
	f := openFile(t, o)
	write(t, f, day1)
	f.Close()
	if err := os.Chtimes(o.Path, time.Time{}, time.Unix(0, day1)); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, o)
	write(t, f, day1+1)
	f.Close()
	expect(t, dir, map[string]int{"a": 2})
	if err := os.Chtimes(o.Path, time.Time{}, time.Unix(0, day1)); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, o)
	write(t, f, day2)
	f.Close()
	expect(t, dir, map[string]int{"a": 1, "a.20260102T100000Z-000": 2})
}

func TestFileSize(t *testing.T) {
	one := int64(len(AppendJSON(nil, alertAt(bootWall))) + 1)
	for _, c := range []struct {
		max    int64
		inFile int
	}{{3 * one, 3}, {3*one - 1, 2}, {one, 1}, {1, 1}} {
		for _, batch := range []int{1, 12} {
			dir := t.TempDir()
			f := openFile(t, FileOptions{Path: dir + "/a", BytesMax: c.max})
			for i := range 12 {
				if err := f.Write(alertAt(bootWall)); err != nil {
					t.Fatal(err)
				}
				if (i+1)%batch == 0 {
					if err := f.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[string]int{"a": c.inFile}
			for i := range 12/c.inFile - 1 {
				want["a.20240101T000000Z-0"+string(rune('0'+i/10))+string(rune('0'+i%10))] = c.inFile
			}
			expect(t, dir, want)
		}
	}
}

// What a power cut left of a line is ended at start, so that it spoils no other.
func TestFileTornLine(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a"
	torn := append(append(AppendJSON(nil, execAlert()), '\n'), `{"id":"de`...)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, FileOptions{Path: path})
	write(t, f, bootWall)
	if c := f.Counters(); c.Alerts != 1 || c.sum() != 1 {
		t.Errorf("%+v", c)
	}
	f.Close()
	got, _ := os.ReadFile(path)
	want := append(append(torn, '\n'), append(AppendJSON(nil, alertAt(bootWall)), '\n')...)
	if !bytes.Equal(got, want) {
		t.Errorf("%s", got)
	}
}

func TestFileRetention(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.20251201T000000Z-000", "a.20251203T095959Z-007", "a.20251203T100000Z-000", "a.20260101T000000Z-000",
		"a.19700101T000012Z-000", "a.20251201T000000Z-00x", "a.20251201T000000Z", "b.20251201T000000Z-000", "a.dddddddTddddddZ-ddd",
		"aa.20251201T000000Z-000"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := openFile(t, FileOptions{Path: dir + "/a", RetentionDays: 30})
	write(t, f, at("2026-01-02T10:00:00Z"))
	want := []string{"a", "a.19700101T000012Z-000", "a.20251201T000000Z", "a.20251201T000000Z-00x", "a.20251203T100000Z-000",
		"a.20260101T000000Z-000", "a.dddddddTddddddZ-ddd", "aa.20251201T000000Z-000", "b.20251201T000000Z-000"}
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	write(t, f, at("2026-01-03T10:00:01Z")) // looks again each day, without a rotation
	if got := list(t, dir); slices.Contains(got, "a.20251203T100000Z-000") || len(got) != len(want)-1 {
		t.Errorf("a day later: %v", got)
	}
}

func TestFileCountMax(t *testing.T) {
	dir := t.TempDir()
	for i := range fullFilesMax + 3 {
		name := "a." + time.Unix(1_800_000_000+int64(i), 0).UTC().Format(stampLayout) + "-000"
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	oldest := list(t, dir)[:3]
	f := openFile(t, FileOptions{Path: dir + "/a"})
	write(t, f, bootWall)
	got := list(t, dir)
	if len(got) != fullFilesMax+1 || slices.ContainsFunc(oldest, func(n string) bool { return slices.Contains(got, n) }) {
		t.Errorf("%d files, the oldest %v", len(got), got[:3])
	}
}

func TestFileDeletedByOthers(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Path: dir + "/a"})
	write(t, f, bootWall)
	if err := os.Remove(dir + "/a"); err != nil {
		t.Fatal(err)
	}
	write(t, f, bootWall, bootWall)
	expect(t, dir, map[string]int{"a": 1})
}

// A rotation that cannot be done loses nothing: the old file is continued and the rotation done later.
func TestFileRotationFails(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, FileOptions{Path: dir + "/a", Every: PeriodHourly})
	t0 := at("2026-01-02T10:00:00Z")
	write(t, f, t0)
	good := f.dir
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.dir = null // every call relative to it fails
	write(t, f, t0+hourNanos, t0+hourNanos+1)
	if c := f.Counters(); c.Alerts != 3 || c.Files != 0 || c.Errors != 1 {
		t.Errorf("%+v", c)
	}
	f.dir = good
	unix.Close(null)
	write(t, f, t0+hourNanos+2)
	expect(t, dir, map[string]int{"a": 4})
	write(t, f, t0+hourNanos+retryNanos)
	expect(t, dir, map[string]int{"a": 1, "a.20260102T110000Z-000": 4})
}

func TestFileRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/plain", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                                   "not the path of a file",
		dir + "/":                            "not the path of a file",
		dir + "/..":                          "not the path of a file",
		dir:                                  "directory",
		dir + "/link":                        "symbolic links",
		dir + "/fifo":                        "not a regular file",
		"/dev/null":                          "not a regular file",
		dir + "/plain/a":                     "not a directory",
		dir + "/" + strings.Repeat("n", 235): "not the path of a file",
	} {
		f, err := OpenFile(FileOptions{Path: path}, make([]byte, BufferBytesMin))
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", path, err, want)
		}
	}
	f := openFile(t, FileOptions{Path: dir + "/" + strings.Repeat("n", 234)})
	f.rotate(bootWall)
	if c := f.Counters(); c.Errors != 0 || c.Files != 1 {
		t.Errorf("the longest name: %+v", c)
	}
}

// tinyDisk mounts a file system of a few pages.
func tinyDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("cannot mount a small file system: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFileDiskFull(t *testing.T) {
	dir := tinyDisk(t, "256k")
	f := openFile(t, FileOptions{Path: dir + "/a", Every: PeriodDaily})
	given, a := uint64(0), alertAt(bootWall)
	give := func() error {
		given++
		err := f.Write(a)
		if err == nil {
			err = f.Flush()
		}
		if c := f.Counters(); c.sum() != given {
			t.Fatalf("%+v of %d", c, given)
		}
		return err
	}
	for give() == nil {
	}
	if c := f.Counters(); c.Errors != 1 || c.Pending != 1 || c.Lost != 0 {
		t.Fatalf("when the disk became full: %+v", c)
	}
	for f.Counters().Lost < 10 {
		if err := give(); err != unix.ENOSPC {
			t.Fatalf("%v", err)
		}
	}
	stuck := f.Counters()
	if stuck.Pending < 10 || stuck.Errors < 10 {
		t.Errorf("full: %+v", stuck)
	}
	if n := mallocs.Least(func() {
		for range 100 {
			give()
		}
	}); n != 0 {
		t.Errorf("%d allocations while the disk is full", n)
	}
	// A rotation waits until what belongs to the file is in it.
	given++
	f.Write(alertAt(bootWall + dayNanos))
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("%v", names)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	lost := f.Counters().Lost
	for range 20 {
		if err := give(); err != nil {
			t.Fatal(err)
		}
	}
	c := f.Counters()
	if c.Lost != lost || c.Pending != 0 || c.Alerts+c.Lost != given {
		t.Errorf("recovered: %+v of %d, lost before %d", c, given, lost)
	}
	if got := lines(t, dir+"/a"); uint64(got) != c.Alerts {
		t.Errorf("%d lines of %d alerts", got, c.Alerts)
	}
}

func TestFileDoesNotAllocate(t *testing.T) {
	f := openFile(t, FileOptions{Path: t.TempDir() + "/a", Every: PeriodHourly, BytesMax: 1 << 30, RetentionDays: 1})
	alerts := []alert.Alert{execAlert(), sequenceAlert(), worstAlert()}
	if n := mallocs.Least(func() {
		for range 100 {
			for _, a := range alerts {
				f.Write(a)
			}
			f.Flush()
		}
	}); n != 0 {
		t.Errorf("%d allocations", n)
	}
	if c := f.Counters(); c.Alerts != 600 || c.Errors != 0 {
		t.Errorf("%+v", c)
	}
}

func TestParsePeriod(t *testing.T) {
	for p := range periods {
		if got, ok := ParsePeriod(periodNames[p]); !ok || got != p {
			t.Errorf("%s: %v %v", periodNames[p], got, ok)
		}
	}
	if _, ok := ParsePeriod("weekly"); ok {
		t.Error("weekly")
	}
}
