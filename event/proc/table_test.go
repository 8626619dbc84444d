package proc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

func TestConfigLimits(t *testing.T) {
	good := Config{Entries: 1, BlockBytes: BlockBytesMin, LimboBlocks: 1}
	newTable(t, good)
	if good.Bytes() <= 0 {
		t.Error("a good config has no size")
	}
	for _, c := range []Config{
		{0, 1024, 1}, {EntriesMax + 1, 1024, 1}, {1, BlockBytesMin - 8, 1}, {1, event.RecordSizeMax + 8, 1},
		{1, BlockBytesMin + 4, 1}, {1, 1024, 0}, {1, 1024, EntriesMax + 1},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "process table: ") {
			t.Errorf("%+v: %v", c, err)
		}
		if c.Bytes() != 0 {
			t.Errorf("%+v: %d bytes", c, c.Bytes())
		}
	}
}

// rec builds a record in bytes of its own.
func rec(ty event.Type, time uint64, pid uint32, start uint64, fill func(*event.Builder)) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(ty, time)
	b.Process(pid, pid, start, 0)
	if fill != nil {
		fill(&b)
	}
	return b.End()
}

func str(slot int, v string) func(*event.Builder) {
	return func(b *event.Builder) { b.String(slot, v, 0) }
}

func field(t *testing.T, ev *event.Event, name string) string {
	t.Helper()
	f := event.FieldByName(name)
	if f.Kind == event.KindString || f.Kind == event.KindStrings {
		if v, ok := ev.Bytes(f.ID); ok {
			return strings.ReplaceAll(string(v), "\x00", ",")
		}
		return "-"
	}
	if v, ok := ev.Int(f.ID); ok {
		return fmt.Sprint(v)
	}
	return "-"
}

func expect(t *testing.T, ev *event.Event, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if got := field(t, ev, name); got != v {
			t.Errorf("%s is %q, want %q", name, got, v)
		}
	}
}

// TestLife follows a shell that starts a program.
func TestLife(t *testing.T) {
	tab := newTable(t, Config{Entries: 10, LimboBlocks: 10})
	var ev event.Event
	tab.Apply(rec(event.TypeHostInfo, 0, 0, 0, func(b *event.Builder) {
		b.Int(event.SlotContextID, 500)
		b.Int(event.SlotContextSeed, 77)
		b.String(event.SlotContextText, "box", 0)
		b.String(event.SlotContextText2, "4711", 0)
	}), &ev)
	tab.Apply(rec(event.TypeUserInfo, 0, 0, 0, func(b *event.Builder) {
		b.Int(event.SlotContextID, 1000)
		b.String(event.SlotContextText, "ada", 0)
	}), &ev)
	if tab.Apply(rec(event.TypeProcessInfo, 1, 10, 5e9, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/bin/bash", 0)
		b.String(event.SlotArgs, "-bash", 0)
		b.String(event.SlotCwd, "/home/ada", 0)
		b.Int(event.SlotUID, 1000)
		b.Int(event.SlotTTY, 3)
		b.Int(event.SlotParentPID, 1)
		b.Int(event.SlotParentStart, 1e7)
	}), &ev) {
		t.Fatal("a context record is no event")
	}
	shell := event.EntityID(77, 10, 5e9)
	if !tab.Apply(rec(event.TypeFork, 2, 11, 6e9, func(b *event.Builder) {
		b.Int(event.SlotParentPID, 10)
		b.Int(event.SlotParentStart, 5e9)
	}), &ev) {
		t.Fatal("a fork is an event")
	}
	expect(t, &ev, map[string]string{"process.pid": "11", "process.executable": "/bin/bash", "process.args": "-bash",
		"process.parent.pid": "10", "process.parent.name": "bash", "process.working_directory": "/home/ada",
		"process.entity_id": fmt.Sprint(int64(event.EntityID(77, 11, 6e9))), "process.parent.entity_id": fmt.Sprint(int64(shell)),
		"process.interactive": "1", "host.name": "box", "host.id": "4711", "@timestamp": "502", "event.action": "fork"})
	tab.Apply(rec(event.TypeExec, 3, 11, 6e9, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/usr/bin/id", 0)
		b.String(event.SlotArgs, "id\x00-u", 0)
		b.Int(event.SlotUID, 1000)
	}), &ev)
	expect(t, &ev, map[string]string{"process.name": "id", "process.args": "id,-u", "process.parent.executable": "/bin/bash",
		"process.parent.pid": "10", "process.working_directory": "/home/ada", "user.name": "ada", "process.interactive": "1"})
	tab.Apply(rec(event.TypeFileRead, 4, 11, 6e9, str(event.SlotPath, "/etc/passwd")), &ev)
	expect(t, &ev, map[string]string{"file.path": "/etc/passwd", "process.name": "id", "process.args": "id,-u",
		"process.parent.command_line": "-bash", "process.parent.user.id": "1000", "event.category": "file"})
	if ev.Cat != event.CategoryFile || ev.ParentEntity != shell {
		t.Errorf("category %v, parent %x", ev.Cat, ev.ParentEntity)
	}
	tab.Apply(rec(event.TypeExit, 5, 11, 6e9, nil), &ev)
	expect(t, &ev, map[string]string{"process.name": "id", "process.parent.name": "bash"})
	tab.Apply(rec(event.TypeFileRead, 6, 11, 6e9, nil), &ev)
	expect(t, &ev, map[string]string{"process.name": "id"}) // late, and still known
	tab.Apply(rec(event.TypeFileRead, 7, 99, 6e9, nil), &ev)
	if ev.Proc != nil || ev.Parent != nil || ev.Own.Entity() != event.EntityID(77, 99, 6e9) {
		t.Error("an unknown process is not unknown")
	}
	tab.Apply(rec(event.TypeLoss, 8, 0, 0, func(b *event.Builder) {
		b.Int(event.SlotContextCount0, 2)
		b.Int(event.SlotContextCount2, 3)
	}), &ev)
	if s := tab.Stats(); s != (Stats{Exited: 1, Misses: 1, Lost: [3]uint64{2, 0, 3}}) {
		t.Errorf("stats %+v", s)
	}
}

// TestSession: the leader of a session is found by the session's number, as long as it is known.
func TestSession(t *testing.T) {
	tab := newTable(t, Config{Entries: 10, LimboBlocks: 100})
	var ev event.Event
	apply := func(ty event.Type, pid, parent uint32, sid int64, exe string) {
		t.Helper()
		tab.Apply(rec(ty, uint64(pid), pid, uint64(pid)*1e9, func(b *event.Builder) {
			if event.ClassOf(ty) != event.ClassProcess {
				return
			}
			b.Int(event.SlotParentPID, int64(parent))
			if sid >= 0 {
				b.Int(event.SlotSessionID, sid)
			}
			if exe != "" {
				b.String(event.SlotExecutable, exe, 0)
			}
		}), &ev)
	}
	leader := func(name, same string) {
		t.Helper()
		expect(t, &ev, map[string]string{"process.session_leader.name": name, "process.session_leader.same_as_process": same})
	}
	apply(event.TypeProcessInfo, 10, 1, 10, "/bin/login")
	apply(event.TypeFileRead, 10, 0, 0, "")
	leader("login", "1")
	apply(event.TypeFork, 11, 10, 10, "")
	leader("login", "0")
	apply(event.TypeExec, 11, 10, 10, "/bin/make")
	apply(event.TypeFork, 12, 11, -1, "")
	leader("login", "0")
	apply(event.TypeExec, 12, 11, -1, "/bin/cc")
	leader("login", "0")
	apply(event.TypeExit, 10, 0, 0, "")
	leader("login", "1")
	apply(event.TypeConnect, 12, 0, 0, "")
	leader("login", "0") // the session outlives its leader
	apply(event.TypeExec, 12, 11, 12, "/bin/daemon")
	leader("daemon", "1")
	apply(event.TypeFork, 13, 12, 12, "")
	apply(event.TypeConnect, 13, 0, 0, "")
	leader("daemon", "0")
	apply(event.TypeExec, 14, 99, 98, "/bin/a")
	leader("-", "-")
	apply(event.TypeExec, 15, 99, 0, "/bin/b") // of the kernel: in no session
	leader("-", "-")
}

// TestNoStartTime: without kernel type information a process is who had the pid last.
func TestNoStartTime(t *testing.T) {
	tab := newTable(t, Config{Entries: 10, LimboBlocks: 100})
	var ev event.Event
	apply := func(ty event.Type, time uint64, exe string) uint64 {
		tab.Apply(rec(ty, time, 10, 0, func(b *event.Builder) {
			b.Flag(event.FlagNoBTF)
			if exe != "" {
				b.String(event.SlotExecutable, exe, 0)
			}
		}), &ev)
		return ev.Own.Entity()
	}
	if e := apply(event.TypeConnect, 1e9, ""); e != 0 || ev.Proc != nil {
		t.Fatalf("an unknown pid has entity %x", e)
	}
	first := apply(event.TypeExec, 1e9, "/bin/a")
	if first == 0 || apply(event.TypeConnect, 2e9, "") != first || apply(event.TypeExec, 3e9, "/bin/b") != first {
		t.Fatal("events of one process have different entities")
	}
	if field(t, &ev, "process.name") != "b" {
		t.Fatal("exec did not replace the program")
	}
	if apply(event.TypeExit, 4e9, "") != first || apply(event.TypeConnect, 5e9, "") != first {
		t.Fatal("the exit and what is late belong to the process")
	}
	second := apply(event.TypeExec, 6e9, "/bin/c")
	if second == first || second == 0 {
		t.Fatal("a pid used again keeps the old entity")
	}
	if third := apply(event.TypeFork, 7e9, ""); third == second || third == 0 {
		t.Fatal("a forked pid keeps the old entity")
	}
}

func TestTrim(t *testing.T) {
	const room = BlockBytesMin - event.HeaderSize - 8*24
	tab := newTable(t, Config{Entries: 10, BlockBytes: BlockBytesMin, LimboBlocks: 10})
	long := strings.Repeat("x", 500)
	cases := []struct {
		name                 string
		exe, cwd, args       string
		wantExe, wantCwd     string
		wantArgs, wantName   string
		cutExe, cutCwd, cutA bool
	}{
		{"all fits", "/bin/a", "/", "a", "/bin/a", "/", "a", "a", false, false, false},
		{"exactly", "/bin/a", "/", long[:room-7], "/bin/a", "/", long[:room-7], "a", false, false, false},
		{"one more", "/bin/a", "/", long[:room-6], "/bin/a", "/", long[:room-7], "a", false, false, true},
		{"cwd", "/bin/a", "/" + long, "a", "/bin/a", "/" + long[:room-7], "", "a", false, true, true},
		{"executable", "/" + long + "/abc", "/", "a", "/" + long[:room-4], "", "", "abc", true, true, true},
		{"name", "/" + long, "/", "a", "", "", "", long[:room], true, true, true},
	}
	for i, c := range cases {
		before := tab.Stats().Truncated
		var ev event.Event
		pid := uint32(i + 1)
		tab.Apply(rec(event.TypeExec, 1, pid, 1e9, func(b *event.Builder) {
			b.String(event.SlotExecutable, c.exe, 0)
			b.String(event.SlotArgs, c.args, 0)
			b.String(event.SlotCwd, c.cwd, 0)
		}), &ev)
		expect(t, &ev, map[string]string{"process.executable": c.exe, "process.args": c.args, "process.working_directory": c.cwd})
		tab.Apply(rec(event.TypeFileRead, 2, pid, 1e9, nil), &ev)
		t.Run(c.name, func(t *testing.T) {
			expect(t, &ev, map[string]string{"process.executable": c.wantExe, "process.working_directory": c.wantCwd,
				"process.args": c.wantArgs, "process.name": c.wantName})
			for name, want := range map[string]bool{"process.executable": c.cutExe, "process.working_directory": c.cutCwd,
				"process.args": c.cutA} {
				if got := ev.Truncated(event.FieldByName(name).ID); got != want {
					t.Errorf("%s truncated: %v, want %v", name, got, want)
				}
			}
			if cut := c.cutExe || c.cutCwd || c.cutA; tab.Stats().Truncated-before != map[bool]uint64{true: 1}[cut] {
				t.Errorf("truncated counted %d times", tab.Stats().Truncated-before)
			}
			if len(ev.Proc) > BlockBytesMin {
				t.Errorf("%d bytes in a block of %d", len(ev.Proc), BlockBytesMin)
			}
		})
	}
}

// TestInline: an event with its own facts shows those and no others, whatever the table knows.
func TestInline(t *testing.T) {
	tab := newTable(t, Config{Entries: 10, LimboBlocks: 100})
	var ev event.Event
	tab.Apply(rec(event.TypeExec, 1, 10, 1e9, func(b *event.Builder) {
		b.String(event.SlotExecutable, "/bin/known", 0)
		b.String(event.SlotArgs, "known", 0)
	}), &ev)
	inline := func(ty event.Type, flags uint16, fill func(*event.Builder)) bool {
		r := rec(ty, 2, 10, 1e9, func(b *event.Builder) {
			b.Flag(event.FlagInline | flags)
			if fill != nil {
				fill(b)
			}
		})
		r.SetEntity(event.EntityID(0, 10, 1e9))
		return tab.Apply(r, &ev)
	}
	proc := func(exe string) { inline(event.TypeProcessInfo, 0, str(event.SlotExecutable, exe)) }
	parent := func(exe string) {
		inline(event.TypeProcessInfo, event.FlagInlineParent, str(event.SlotExecutable, exe))
	}
	want := func(name, parentName string) {
		t.Helper()
		expect(t, &ev, map[string]string{"process.name": name, "process.parent.name": parentName, "process.args": "-"})
	}

	inline(event.TypeFileRead, 0, nil)
	want("-", "-")
	parent("/bin/p")
	proc("/bin/q")
	inline(event.TypeFileRead, 0, nil)
	want("q", "p")
	inline(event.TypeFileRead, 0, nil)
	want("-", "-")
	parent("/bin/p")
	inline(event.TypeExec, 0, str(event.SlotExecutable, "/bin/r"))
	want("r", "p")
	proc("/bin/s")
	inline(event.TypeExit, 0, str(event.SlotExecutable, "/bin/r"))
	want("s", "-")

	// The batch ends between the facts and their event, twice.
	parent("/bin/p2")
	tab.Release()
	proc("/bin/q2")
	tab.Release()
	inline(event.TypeFileRead, 0, nil)
	want("q2", "p2")
	tab.Release()

	// Facts that are followed by an event of the kernel are nobody's.
	proc("/bin/lost")
	tab.Apply(rec(event.TypeFileRead, 3, 10, 1e9, nil), &ev)
	expect(t, &ev, map[string]string{"process.name": "known"})
	inline(event.TypeFileRead, 0, nil)
	want("-", "-")

	inline(event.TypeProcessInfo, 0, func(b *event.Builder) { b.Int(event.SlotParentEntity, 4711) })
	inline(event.TypeFileRead, 0, nil)
	if ev.ParentEntity != 4711 {
		t.Errorf("parent entity %d", ev.ParentEntity)
	}
}

// TestInlineLeaders: each inline record becomes the part that its flag says, also of an event in the next batch.
func TestInlineLeaders(t *testing.T) {
	for _, release := range []bool{false, true} {
		tab := newTable(t, Config{Entries: 1, LimboBlocks: 8})
		var ev event.Event
		for exe, flag := range map[string]uint16{"/entry": event.FlagInlineEntry, "/session": event.FlagInlineSession,
			"/group": event.FlagInlineGroup} {
			tab.Apply(rec(event.TypeProcessInfo, 1, 1, 1e9, func(b *event.Builder) {
				b.Flag(event.FlagInline | flag)
				b.String(event.SlotExecutable, exe, 0)
			}), &ev)
		}
		report := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
		report.BeginWide(event.TypeReport, 1)
		report.String(event.SlotModule, "sensor", 0)
		tab.Apply(report.End(), &ev)
		if release {
			tab.Release()
		}
		read := func(flags uint16) event.Record {
			return rec(event.TypeFileRead, 1, 10, 1e9, func(b *event.Builder) { b.Flag(flags) })
		}
		tab.Apply(read(event.FlagInline), &ev)
		expect(t, &ev, map[string]string{"process.entry_leader.name": "entry", "process.session_leader.name": "session",
			"process.group_leader.name": "group", "event.module": "sensor", "process.name": "-"})
		tab.Apply(read(event.FlagInline), &ev)
		expect(t, &ev, map[string]string{"process.entry_leader.name": "-", "process.session_leader.name": "-",
			"process.group_leader.name": "-", "event.module": "-"})

		// A report may also come before an event whose process the table knows.
		tab.Apply(report.End(), &ev)
		tab.Apply(read(0), &ev)
		expect(t, &ev, map[string]string{"event.module": "sensor"})
		tab.Apply(read(0), &ev)
		expect(t, &ev, map[string]string{"event.module": "-"})
	}
}

// TestInlineSurvivesReuse: what waits for its event must not be the batch's bytes.
func TestInlineSurvivesReuse(t *testing.T) {
	tab := newTable(t, Config{Entries: 1, LimboBlocks: 1})
	r := rec(event.TypeProcessInfo, 1, 10, 1e9, func(b *event.Builder) {
		b.Flag(event.FlagInline)
		b.String(event.SlotExecutable, "/bin/a", 0)
	})
	var ev event.Event
	tab.Apply(r, &ev)
	tab.Release()
	clear(r)
	tab.Apply(rec(event.TypeFileRead, 1, 10, 1e9, func(b *event.Builder) { b.Flag(event.FlagInline) }), &ev)
	expect(t, &ev, map[string]string{"process.executable": "/bin/a"})
}

func TestBarrier(t *testing.T) {
	tab := newTable(t, Config{Entries: 1, LimboBlocks: 4})
	host := rec(event.TypeHostInfo, 1, 0, 0, str(event.SlotContextText, "a"))
	user := rec(event.TypeUserInfo, 1, 0, 0, str(event.SlotContextText, "a"))
	file := rec(event.TypeFileRead, 1, 1, 1e9, nil)
	check := func(want bool) {
		t.Helper()
		if tab.Barrier(host) != want || tab.Barrier(user) != want || tab.Barrier(file) {
			t.Fatalf("barrier %v %v %v, want %v", tab.Barrier(host), tab.Barrier(user), tab.Barrier(file), want)
		}
	}
	var ev event.Event
	check(false)
	tab.Apply(host, &ev)
	check(false)
	tab.Apply(file, &ev)
	check(true)
	tab.Release()
	check(false)
}

// TestNewBoot: the pids of another boot are other processes, and those of the last boot go first.
func TestNewBoot(t *testing.T) {
	tab := newTable(t, Config{Entries: 3, LimboBlocks: 100})
	var ev event.Event
	exec := func(pid uint32, name string) {
		tab.Apply(rec(event.TypeExec, 1, pid, 1e9, str(event.SlotExecutable, name)), &ev)
	}
	for pid := uint32(1); pid <= 3; pid++ {
		exec(pid, "/old")
	}
	tab.Apply(rec(event.TypeHostInfo, 1, 0, 0, func(b *event.Builder) { b.Int(event.SlotContextSeed, 9) }), &ev)
	tab.Apply(rec(event.TypeFileRead, 1, 1, 0, nil), &ev)
	if ev.Proc != nil {
		t.Fatal("a pid of the last boot is still known")
	}
	exec(1, "/new")
	exec(2, "/new")
	tab.Apply(rec(event.TypeFileRead, 1, 1, 1e9, nil), &ev)
	expect(t, &ev, map[string]string{"process.executable": "/new"})
	if s := tab.Stats(); s.Evicted != 2 || tab.Len() != 3 {
		t.Fatalf("%+v, %d entries", s, tab.Len())
	}
	checkStore(t, tab)
}

// TestBatchBound: a batch of as many records as promised works whatever they are; one more is a bug.
func TestBatchBound(t *testing.T) {
	const limbo = 6
	tab := newTable(t, Config{Entries: 2, LimboBlocks: limbo})
	var ev event.Event
	exec := func(i int) {
		tab.Apply(rec(event.TypeExec, uint64(i), uint32(1+i%3), 1e9, str(event.SlotExecutable, "/bin/a")), &ev)
	}
	exec(0)
	exec(1)
	tab.Release()
	for batch := 0; batch < 10; batch++ {
		for i := 0; i < limbo; i++ {
			exec(i)
		}
		checkStore(t, tab)
		tab.Release()
	}
	defer func() {
		if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
			t.Fatalf("recovered %q", s)
		}
	}()
	for i := 0; i <= limbo; i++ {
		exec(i)
	}
	t.Fatal("a batch beyond the bound was taken")
}

func TestLongHostNames(t *testing.T) {
	tab := newTable(t, Config{Entries: 1, LimboBlocks: 1})
	var ev event.Event
	long := strings.Repeat("h", 300)
	tab.Apply(rec(event.TypeHostInfo, 1, 0, 0, func(b *event.Builder) {
		b.String(event.SlotContextText, long, 0)
		b.String(event.SlotContextText2, long, 0)
	}), &ev)
	if h := tab.Host(); len(h.Name) != HostNameMax || len(h.ID) != HostIDMax || !bytes.Equal(h.Name, h.ID) {
		t.Fatalf("names of %d and %d bytes", len(h.Name), len(h.ID))
	}
}

// TestAllocs: a load that execs, forks, exits and evicts, without one allocation.
func TestAllocs(t *testing.T) {
	tab := newTable(t, Config{Entries: 64, LimboBlocks: 64})
	load := makeLoad(200)
	var ev event.Event
	run := func() {
		for i, r := range load {
			if r.Type() != event.TypeHostInfo {
				r.SetEntity(0)
			}
			tab.Apply(r, &ev)
			if i%32 == 31 {
				tab.Release()
			}
		}
	}
	if n := mallocs.Least(func() {
		for range 20 {
			run()
		}
	}); n != 0 {
		t.Fatalf("%d allocations", n)
	}
	if s := tab.Stats(); s.Evicted == 0 || s.Exited == 0 || s.Misses == 0 {
		t.Fatalf("the load reached too little: %+v", s)
	}
}

// makeLoad: programs that are forked, executed, do nine things each and exit, some unknown.
func makeLoad(programs int) []event.Record {
	load := []event.Record{rec(event.TypeHostInfo, 0, 0, 0, func(b *event.Builder) { b.Int(event.SlotContextSeed, 1) })}
	for i := 0; i < programs; i++ {
		pid, start := uint32(100+i), uint64(i+1)*1e9
		parent := func(b *event.Builder) {
			b.Int(event.SlotParentPID, int64(100+i/4))
			b.Int(event.SlotParentStart, int64(i/4+1)*1e9)
		}
		load = append(load, rec(event.TypeFork, start, pid, start, parent),
			rec(event.TypeExec, start, pid, start, func(b *event.Builder) {
				parent(b)
				b.String(event.SlotExecutable, "/usr/local/bin/program", 0)
				b.String(event.SlotArgs, "program\x00--option\x00value\x00/some/file", 0)
				b.String(event.SlotCwd, "/home/user", 0)
				b.Int(event.SlotUID, 1000)
			}))
		for j := range 9 {
			load = append(load, rec(event.TypeFileRead, start, pid, start+uint64(j/8)*1e9, str(event.SlotPath, "/etc/hosts")))
		}
		load = append(load, rec(event.TypeExit, start, pid, start, nil))
	}
	return load
}

func benchmarkApply(b *testing.B, entries, processes int, ty event.Type) {
	tab := newTable(b, Config{Entries: entries, LimboBlocks: 128})
	var ev event.Event
	var records []event.Record
	for i := 0; i < processes; i++ {
		pid := uint32(i + 1)
		fill := func(b *event.Builder) {
			b.Int(event.SlotParentPID, int64(pid/8+1))
			b.Int(event.SlotParentStart, 1e9)
			b.String(event.SlotExecutable, "/usr/local/bin/program", 0)
			b.String(event.SlotArgs, "program\x00--option\x00value", 0)
			b.String(event.SlotCwd, "/home/user", 0)
		}
		tab.Apply(rec(event.TypeProcessInfo, 1, pid, 1e9, fill), &ev)
		tab.Release()
		if ty != event.TypeExec && ty != event.TypeFork {
			fill = nil
		}
		records = append(records, rec(ty, 2, pid, 1e9, fill))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		r := records[i%len(records)]
		r.SetEntity(0)
		tab.Apply(r, &ev)
		if i%128 == 127 {
			tab.Release()
		}
	}
}

func BenchmarkApplyFile(b *testing.B)      { benchmarkApply(b, 1024, 300, event.TypeFileRead) }
func BenchmarkApplyExec(b *testing.B)      { benchmarkApply(b, 1024, 300, event.TypeExec) }
func BenchmarkApplyExecEvict(b *testing.B) { benchmarkApply(b, 256, 300, event.TypeExec) }
func BenchmarkApplyFork(b *testing.B)      { benchmarkApply(b, 1024, 300, event.TypeFork) }
