package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/bpf"
)

// What follows runs the binaries themselves, with the kernel of the machine that the tests run on.

var capture = sync.OnceValue(func() string {
	if os.Getuid() != 0 {
		return "needs root"
	}
	c, err := bpf.Load(bpf.Options{})
	if err != nil {
		return err.Error()
	}
	c.Close()
	return ""
})

// requireCapture skips a test where the kernel cannot be asked.
func requireCapture(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	if why := capture(); why != "" {
		t.Skipf("skipped: nothing can be captured: %s", why)
	}
}

// binariesDir is made once for all tests.
var (
	binariesOnce sync.Once
	binariesDir  string
	binariesErr  error
)

func removeBinaries() { os.RemoveAll(binariesDir) }

// binary builds the commands as a release is built and gives the path of one.
func binary(t *testing.T, name string) string {
	t.Helper()
	binariesOnce.Do(func() {
		if binariesDir, binariesErr = os.MkdirTemp("", "kestrel-binaries-"); binariesErr != nil {
			return
		}
		// Somebody without privileges runs them, too.
		if binariesErr = os.Chmod(binariesDir, 0o755); binariesErr != nil {
			return
		}
		binariesErr = goBuild(binariesDir+"/", nil, "kestrel", "kestrel-agent")
	})
	if errors.Is(binariesErr, exec.ErrNotFound) {
		t.Skipf("skipped: %v", binariesErr)
	}
	if binariesErr != nil {
		t.Fatal(binariesErr)
	}
	return filepath.Join(binariesDir, name)
}

func goBuild(out string, env []string, names ...string) error {
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", out}
	for _, n := range names {
		args = append(args, "github.com/kestrel-detection/kestrel/cmd/"+n)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	return nil
}

// temporary is a directory right below /tmp: the rules look at such paths.
func temporary(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kestrel-live-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// place copies a program.
func place(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// tinyProgram is a program that ends at once: nothing else makes many processes in a short time.
func tinyProgram(t *testing.T, dir string) string {
	t.Helper()
	var code []byte
	machine := byte(0)
	switch runtime.GOARCH {
	case "amd64":
		code, machine = []byte{0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05}, 62 // mov eax, 60; xor edi, edi; syscall
	case "arm64":
		code, machine = []byte{0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 1, 0, 0, 0xd4}, 183 // mov x8, 93; mov x0, 0; svc 0
	default:
		t.Skipf("skipped: no tiny program for %s", runtime.GOARCH)
	}
	const base, headers = 0x400000, 64 + 56
	b := make([]byte, headers, headers+len(code))
	copy(b, "\x7fELF\x02\x01\x01")
	put := func(at int, size int, v uint64) {
		for i := range size {
			b[at+i] = byte(v >> (8 * i))
		}
	}
	size := uint64(headers + len(code))
	put(16, 2, 2) // executable
	put(18, 2, uint64(machine))
	put(20, 4, 1)
	put(24, 8, base+headers) // entry
	put(32, 8, 64)           // program headers
	put(52, 2, 64)
	put(54, 2, 56)
	put(56, 2, 1)
	put(64, 4, 1) // load, read and execute
	put(68, 4, 5)
	put(80, 8, base)
	put(88, 8, base)
	put(96, 8, size)
	put(104, 8, size)
	put(112, 8, 0x1000)
	path := filepath.Join(dir, "tiny")
	if err := os.WriteFile(path, append(b, code...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// jsonAlert is an alert as it comes out of a run.
type jsonAlert struct {
	RuleID   string `json:"rule_id"`
	Severity string
	Events   []struct {
		Type   int   `json:"event_type_id"`
		Time   int64 `json:"timestamp_ns"`
		Fields map[string]any
	}
	arrived time.Time
}

// running is a command under test.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr messages
	ended  chan struct{} // closed when the process has ended and its output is read
	err    error

	mu     sync.Mutex
	alerts []jsonAlert
}

// start runs a binary and waits until its log says what it does once it works.
func start(t *testing.T, ready, name string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(binary(t, name), args...), ended: make(chan struct{})}
	r.cmd.Stderr = &r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go r.read(out)
	t.Cleanup(func() {
		select {
		case <-r.ended:
		default:
			r.cmd.Process.Kill()
			<-r.ended
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", name, strings.Join(args, " "), r.stderr.String())
		}
	})
	if ready != "" {
		r.waitLog(ready)
	}
	return r
}

func (r *running) read(out io.Reader) {
	defer close(r.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a jsonAlert
		err := json.Unmarshal(lines.Bytes(), &a)
		a.arrived = time.Now()
		r.mu.Lock()
		if err != nil {
			r.t.Errorf("%v in %s", err, lines.Text())
		}
		r.alerts = append(r.alerts, a)
		r.mu.Unlock()
	}
	r.err = errors.Join(lines.Err(), r.cmd.Wait())
}

// eventually waits until something holds.
func eventually(t *testing.T, d time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

func (r *running) waitLog(text string) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "message "+text, func() bool {
		select {
		case <-r.ended:
			r.t.Fatalf("ended before it said %q: %v\n%s", text, r.err, r.stderr.String())
		default:
		}
		return strings.Contains(r.stderr.String(), text)
	})
}

// of gives the alerts whose last event is of this executable.
func (r *running) of(executable string) (got []jsonAlert) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.alerts {
		if n := len(a.Events); n > 0 && a.Events[n-1].Fields["process.executable"] == executable {
			got = append(got, a)
		}
	}
	return got
}

// one waits for the one alert of an executable and makes sure that no other comes.
func (r *running) one(executable string) jsonAlert {
	r.t.Helper()
	eventually(r.t, 5*time.Second, "alert of "+executable, func() bool { return len(r.of(executable)) > 0 })
	time.Sleep(2 * kernelWaitMillis * time.Millisecond)
	got := r.of(executable)
	if len(got) != 1 {
		r.t.Fatalf("%d alerts of %s: %+v", len(got), executable, got)
	}
	return got[0]
}

// terminate asks the process to end, which it must do well and soon.
func (r *running) terminate() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	r.wait(10 * time.Second)
	if r.err != nil {
		r.t.Fatalf("%v\n%s", r.err, r.stderr.String())
	}
}

func (r *running) wait(d time.Duration) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(d):
		r.t.Fatalf("still running after %v\n%s", d, r.stderr.String())
	}
}

// roomy is a configuration with rings so large that nothing is lost when the machine does other work besides.
func roomy(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(temporary(t), "config.toml")
	text := "[general]\nmax_memory_mb = 256\n[engine]\nchannel_size = 65536\n[ebpf]\nringbuf_size = 8192\n" + more
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeRules makes a rule package of files.
func writeRules(t *testing.T, dir string, queries map[string]string) string {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, q := range queries {
		if err := os.WriteFile(filepath.Join(dir, name+".eql"), []byte(q), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// totals are the numbers of a run's last report.
type totals struct {
	captured, lost, refused        [3]int // process, file, network
	events, alerts, alertsLost     int
	written, sinkLost, sinkWaiting int
}

var (
	eventsLine = regexp.MustCompile(`(?m)^kestrel: events: (.*)$`)
	classPart  = regexp.MustCompile(`^(process|file|network) (\d+) captured, (\d+) lost in the kernel, (\d+) in the event ring$`)
	engineLine = regexp.MustCompile(`(?m)^kestrel: engine: (\d+) events, (\d+) alerts, (\d+) lost for a full ring; sequences: \d+ pending, \d+ completed, \d+ expired, \d+ evicted; processes: \d+ unknown, \d+ parents unknown, \d+ evicted$`)
	outputLine = regexp.MustCompile(`(?m)^kestrel: output stdout: (\d+) alerts written, (\d+) lost, (\d+) waiting, \d+ errors$`)
)

func (r *running) report() (s totals) {
	r.t.Helper()
	text := r.stderr.String()
	events, eng, output := eventsLine.FindAllStringSubmatch(text, -1), engineLine.FindAllStringSubmatch(text, -1), outputLine.FindAllStringSubmatch(text, -1)
	if len(events) == 0 || len(eng) == 0 || len(output) == 0 {
		r.t.Fatalf("no report:\n%s", text)
	}
	parts := strings.Split(events[len(events)-1][1], "; ")
	if len(parts) != 3 {
		r.t.Fatalf("report of %d classes:\n%s", len(parts), text)
	}
	for i, p := range parts {
		m := classPart.FindStringSubmatch(p)
		if m == nil {
			r.t.Fatalf("report %q", p)
		}
		numbers(m[2:], &s.captured[i], &s.lost[i], &s.refused[i])
	}
	numbers(eng[len(eng)-1][1:], &s.events, &s.alerts, &s.alertsLost)
	numbers(output[len(output)-1][1:], &s.written, &s.sinkLost, &s.sinkWaiting)
	return s
}

func numbers(texts []string, to ...*int) {
	for i, p := range to {
		*p, _ = strconv.Atoi(texts[i]) // the pattern has digits only
	}
}

func sum(v [3]int) int { return v[0] + v[1] + v[2] }

// addUp checks that every event and every alert of a run is accounted for.
func (s totals) addUp(t *testing.T) {
	t.Helper()
	t.Logf("%+v", s)
	if got := s.events + sum(s.refused); got != sum(s.captured) {
		t.Errorf("%d events matched and %d refused of %d captured: %d are missing", s.events, sum(s.refused), sum(s.captured),
			sum(s.captured)-got)
	}
	if got := s.written + s.sinkLost + s.sinkWaiting + s.alertsLost; got != s.alerts {
		t.Errorf("%d alerts written, %d lost by the output, %d not taken by the reader and %d lost by the ring of %d", s.written,
			s.sinkLost, s.sinkWaiting, s.alertsLost, s.alerts)
	}
}

// TestLiveExecAlert: a program copied below /tmp and run raises one alert within a second, which says who ran what.
func TestLiveExecAlert(t *testing.T) {
	requireCapture(t)
	r := start(t, "watching", "kestrel", "run", "--config", roomy(t, ""))
	dir := temporary(t)
	below := place(t, "/bin/true", filepath.Join(dir, "below"))
	top := place(t, "/bin/true", dir+".top")
	defer os.Remove(top)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, rule string }{{below, "exec-temp-subdir-root"}, {top, "exec-temp-toplevel"}} {
		cmd := exec.Command(c.program, "one", "two words", "")
		cmd.Dir = "/usr"
		begun := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		a := r.one(c.program)
		if d := a.arrived.Sub(begun); d > time.Second {
			t.Errorf("%s: the alert took %v", c.program, d)
		} else {
			t.Logf("alert after %v", d)
		}
		if a.RuleID != c.rule || len(a.Events) != 1 || a.Events[0].Type != 1001 {
			t.Fatalf("%+v", a)
		}
		if wall := time.Unix(0, a.Events[0].Time); wall.Before(begun.Add(-time.Second)) || wall.After(a.arrived.Add(time.Second)) {
			t.Errorf("time of the event %v, run at %v", wall, begun)
		}
		fields(t, a.Events[0].Fields, map[string]any{
			"process.name": filepath.Base(c.program), "process.pid": float64(cmd.Process.Pid),
			"process.args":              []any{c.program, "one", "two words", ""},
			"process.args_count":        4.0,
			"process.command_line":      c.program + " one two words ",
			"process.working_directory": "/usr",
			"process.parent.pid":        float64(os.Getpid()), "process.parent.name": filepath.Base(self),
			"process.parent.executable": self,
			"user.id":                   "0", "user.name": "root",
		})
	}
	r.terminate()
	r.report().addUp(t)
}

func fields(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, w := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(w) {
			t.Errorf("%s is %v, want %v", name, got[name], w)
		}
	}
}

// TestLiveSequence: a program that opens a file and then becomes a shell is one process; the sequence by its entity
// holds. The same steps by several processes are no sequence.
func TestLiveSequence(t *testing.T) {
	requireCapture(t)
	dir := temporary(t)
	elevate, shell := filepath.Join(dir, "elevate"), place(t, "/bin/true", filepath.Join(dir, "shell"))
	if err := os.Link(os.Args[0], elevate); err != nil {
		place(t, os.Args[0], elevate)
	}
	secret := filepath.Join(dir, "protected", "secret")
	if err := os.MkdirAll(filepath.Dir(secret), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	rules := writeRules(t, filepath.Join(dir, "rules"), map[string]string{"elevated-shell": fmt.Sprintf(`
sequence by process.entity_id
    [process where event.type == "exec" and process.executable == "%s"]
    [file where file.path in ("/etc/no-such-file", "%s/*")]
    [process where event.type == "exec" and process.executable in ("/bin/no-such-shell", "%s")]
with maxspan=30s
`, elevate, filepath.Dir(secret), shell)})
	r := start(t, "watching", "kestrel", "run", "--rules", rules, "--config", roomy(t, ""))

	// By several processes.
	if err := exec.Command("/bin/cat", secret).Run(); err != nil {
		t.Fatal(err)
	}
	if err := helperCommand(elevate, "chain", "/etc/hostname", "/bin/true").Run(); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(shell).Run(); err != nil {
		t.Fatal(err)
	}
	cmd := helperCommand(elevate, "chain", secret, shell)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	a := r.one(shell)
	if a.RuleID != "elevated-shell" || len(a.Events) != 3 {
		t.Fatalf("%+v", a)
	}
	entity := a.Events[0].Fields["process.entity_id"]
	for i, want := range []struct {
		typ        int
		executable string
	}{{1001, elevate}, {3002, elevate}, {1001, shell}} {
		ev := a.Events[i]
		if ev.Type != want.typ || i > 0 && ev.Time < a.Events[i-1].Time {
			t.Errorf("event %d: %+v", i+1, ev)
		}
		fields(t, ev.Fields, map[string]any{
			"process.executable": want.executable, "process.pid": float64(cmd.Process.Pid), "process.entity_id": entity,
		})
	}
	fields(t, a.Events[1].Fields, map[string]any{"file.path": secret, "file.name": "secret"})
	fields(t, a.Events[2].Fields, map[string]any{"process.args": []any{"shell", "of the chain"}})
	if entity == nil || entity == "" {
		t.Error("no entity")
	}
	r.terminate()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.alerts) != 1 {
		t.Errorf("%d alerts: %+v", len(r.alerts), r.alerts)
	}
}

// TestLiveShortProcesses: of many short processes every exec, fork and exit is captured or counted as lost.
func TestLiveShortProcesses(t *testing.T) {
	requireCapture(t)
	n := 20_000
	if os.Getenv("KESTREL_LONG") == "1" {
		n = 100_000
	}
	program := tinyProgram(t, temporary(t))
	r := start(t, "watching", "kestrel", "run", "--rules", writeRules(t, filepath.Join(temporary(t), "rules"), manyAlerts))
	begun := time.Now()
	out, err := helperCommand(os.Args[0], "load", program, strconv.Itoa(n)).Output()
	if err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(n) {
		t.Fatalf("%v, %s", err, out)
	}
	took := time.Since(begun)
	r.terminate()
	s := r.report()
	t.Logf("%d processes in %v", n, took)
	s.addUp(t)
	if got := s.captured[0] + s.lost[0]; got < 3*n {
		t.Errorf("%d process events captured and %d lost, of at least %d", s.captured[0], s.lost[0], 3*n)
	}
	if lost := len(r.of(program)); s.lost[0]+s.refused[0] == 0 && s.alertsLost+s.sinkLost == 0 && lost < n {
		t.Errorf("%d alerts of %d processes", lost, n)
	}
}

// TestLiveTerminateUnderLoad: a load that goes on does not keep the agent from ending, and the sums agree.
func TestLiveTerminateUnderLoad(t *testing.T) {
	requireCapture(t)
	program := tinyProgram(t, temporary(t))
	r := start(t, "watching", "kestrel", "run", "--rules", writeRules(t, filepath.Join(temporary(t), "rules"), manyAlerts))
	for range 3 {
		work := helperCommand(os.Args[0], "load", program, "0")
		stop, err := work.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := work.Start(); err != nil {
			t.Fatal(err)
		}
		defer work.Wait()
		defer stop.Close()
	}
	time.Sleep(time.Second)
	r.terminate()
	r.report().addUp(t)
}

// TestLiveFlood: with more events than can be taken the rest is counted where it got lost, the sums agree, and the agent
// still ends when it is told to.
func TestLiveFlood(t *testing.T) {
	requireCapture(t)
	// The smallest ring, so that it overflows on every machine.
	config := filepath.Join(temporary(t), "config.toml")
	if err := os.WriteFile(config, []byte("[ebpf]\nringbuf_size = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := start(t, "watching", "kestrel", "run", "--config", config)
	work := helperCommand(os.Args[0], "flood", "/etc/hostname")
	stop, err := work.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Start(); err != nil {
		t.Fatal(err)
	}
	defer work.Wait()
	defer stop.Close()
	time.Sleep(2 * time.Second)
	r.terminate()
	s := r.report()
	s.addUp(t)
	if s.lost[1] == 0 {
		t.Error("nothing was lost: the test does nothing")
	}
}

// TestLiveReload: at SIGHUP rules that are bad leave the old ones in place, and good ones replace them.
func TestLiveReload(t *testing.T) {
	requireCapture(t)
	dir := temporary(t)
	rules := filepath.Join(dir, "rules")
	first, second := place(t, "/bin/true", filepath.Join(dir, "first")), place(t, "/bin/true", filepath.Join(dir, "second"))
	rule := func(path string) string {
		return `process where event.action == "exec" and process.executable == "` + path + `"`
	}
	exe := func(path string) {
		t.Helper()
		if err := exec.Command(path).Run(); err != nil {
			t.Fatal(err)
		}
	}
	writeRules(t, rules, map[string]string{"old": rule(first)})
	r := start(t, "watching", "kestrel", "run", "--rules", rules, "--config", roomy(t, ""))
	hup := func(message string) {
		t.Helper()
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.waitLog(message)
	}
	exe(first)
	if a := r.one(first); a.RuleID != "old" {
		t.Fatalf("%+v", a)
	}
	writeRules(t, rules, map[string]string{"old": rule(first), "bad": "process where process.nam == 1"})
	hup("stay")
	if !regexp.MustCompile(`(?m)^kestrel: error: reload: .*/bad\.eql:1:15: .*process\.nam.* stay$`).MatchString(r.stderr.String()) {
		t.Errorf("the log does not say what is bad:\n%s", r.stderr.String())
	}
	exe(first)
	eventually(t, 5*time.Second, "second alert by the old rule", func() bool { return len(r.of(first)) == 2 })

	writeRules(t, rules, map[string]string{"new": rule(second)})
	hup("reload: 1 rules")
	exe(first)
	exe(second)
	if a := r.one(second); a.RuleID != "new" {
		t.Fatalf("%+v", a)
	}
	if n := len(r.of(first)); n != 2 {
		t.Errorf("%d alerts by the old rule, want 2", n)
	}
	t.Logf("after reloads: %v KB", memory(t, r.cmd.Process.Pid))
	// More requests than anybody can serve: the last rules are loaded, and SIGTERM is not lost among them.
	for range 50 {
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	r.terminate()
	r.report().addUp(t)
}

// TestLiveDrain: what happened just before SIGTERM is alerted.
func TestLiveDrain(t *testing.T) {
	requireCapture(t)
	program := place(t, "/bin/true", filepath.Join(temporary(t), "late"))
	config := roomy(t, "")
	// A rule of its own: the default ones alert on the programs of other tests as well, and these may fill the alert ring.
	rules := writeRules(t, filepath.Join(temporary(t), "rules"), map[string]string{
		"late": fmt.Sprintf("process where event.action == \"exec\" and process.executable == %q", program),
	})
	for range 3 {
		r := start(t, "watching", "kestrel", "run", "--rules", rules, "--config", config)
		for range 50 {
			if err := exec.Command(program).Run(); err != nil {
				t.Fatal(err)
			}
		}
		r.terminate()
		if n := len(r.of(program)); n != 50 {
			t.Errorf("%d alerts of 50 processes that ran before SIGTERM", n)
		}
		s := r.report()
		s.addUp(t)
	}
}

// TestLiveRecordReplay: what was recorded replays to the same digest with one worker or more, with either binary and on
// either architecture.
func TestLiveRecordReplay(t *testing.T) {
	requireCapture(t)
	dir := temporary(t)
	program := place(t, "/bin/true", filepath.Join(dir, "recorded"))
	log := filepath.Join(dir, "log")
	begun := time.Now()
	r := start(t, "", "kestrel", "record", "--output", log, "--duration", "3s", "--config", roomy(t, ""))
	eventually(t, 10*time.Second, "a log in the making", func() bool { _, err := os.Stat(log + ".part"); return err == nil })
	if _, err := os.Stat(log); err == nil {
		t.Error("the log has its name before it is whole")
	}
	out, err := helperCommand(os.Args[0], "load", program, "1000").Output()
	if err != nil {
		t.Fatal(err, out)
	}
	r.wait(20 * time.Second)
	if r.err != nil {
		t.Fatalf("%v\n%s", r.err, r.stderr.String())
	}
	if d := time.Since(begun); d < 3*time.Second {
		t.Errorf("recorded for %v", d)
	}
	if _, err := os.Stat(log + ".part"); err == nil {
		t.Error("the unfinished log is still there")
	}
	t.Log(strings.TrimSpace(r.stderr.String()))

	kestrel, device := binary(t, "kestrel"), binary(t, "kestrel-agent")
	want := output(t, exec.Command(kestrel, "replay", "--log", log))
	if n := bytes.Count(want, []byte(`"`+program+`"`)); n < 1000 {
		t.Fatalf("%d alerts of 1000 processes", n)
	}
	last := want[bytes.LastIndexByte(want[:len(want)-1], '\n')+1:]
	if !bytes.HasPrefix(last, []byte(`{"replay":{"events":`)) {
		t.Fatalf("the replay ends with %s", last)
	}
	t.Logf("%s", bytes.TrimSpace(last))
	for _, cmd := range []*exec.Cmd{
		exec.Command(kestrel, "replay", "--log", log, "--workers", "2"),
		exec.Command(device, "replay", "--log", log),
		exec.Command(device, "replay", "--log", log, "--workers", "2"),
	} {
		if got := output(t, cmd); !bytes.Equal(got, want) {
			t.Errorf("%v: other alerts than a replay with one worker", cmd.Args)
		}
	}
	t.Run("arm64", func(t *testing.T) { foreign(t, "arm64", "qemu-aarch64-static", log, last) })
}

// foreign replays with the firmware binary of another architecture.
func foreign(t *testing.T, arch, emulator, log string, want []byte) {
	qemu, err := exec.LookPath(emulator)
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	if runtime.GOARCH == arch {
		t.Skipf("skipped: this machine is %s", arch)
	}
	bin := filepath.Join(t.TempDir(), "kestrel-agent")
	if err := goBuild(bin, []string{"GOARCH=" + arch}, "kestrel-agent"); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []string{"1", "2"} {
		if got := output(t, exec.Command(qemu, bin, "replay", "--log", log, "--quiet", "--workers", workers)); !bytes.Equal(got, want) {
			t.Errorf("%s workers on %s: %s, want %s", workers, arch, got, want)
		}
	}
}

func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, complaint.Bytes())
	}
	return out
}

// memory is what /proc says of a process's memory, in KB.
func memory(t *testing.T, pid int) map[string]int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^(VmRSS|VmHWM|RssAnon|RssFile|RssShmem):\s+(\d+) kB`).FindAllSubmatch(text, -1) {
		got[string(m[1])], _ = strconv.Atoi(string(m[2])) // digits by the pattern
	}
	return got
}

// TestLiveMemory: the firmware binary stays within the budget of a device, at rest and while it works.
func TestLiveMemory(t *testing.T) {
	requireCapture(t)
	const maxKB = 16 << 10
	r := start(t, "watching", "kestrel-agent", "run")
	time.Sleep(5 * time.Second)
	idle := memory(t, r.cmd.Process.Pid)
	t.Logf("after 5 s: %v KB", idle)
	if out, err := helperCommand(os.Args[0], "load", place(t, "/bin/true", filepath.Join(temporary(t), "p")), "2000").Output(); err != nil {
		t.Fatal(err, out)
	}
	busy := memory(t, r.cmd.Process.Pid)
	t.Logf("after 2,000 processes: %v KB", busy)
	for name, m := range map[string]map[string]int{"idle": idle, "busy": busy} {
		if m["VmRSS"] == 0 || m["VmRSS"] > maxKB {
			t.Errorf("%s: %d KB resident (max %d)", name, m["VmRSS"], maxKB)
		}
	}
	r.terminate()
	r.report().addUp(t)
}

// TestLiveUnprivileged: without privileges a run says so in one line and ends with 3; a demonstration shows alerts.
func TestLiveUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: needs root to become somebody else")
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for _, args := range [][]string{{"kestrel", "run"}, {"kestrel-agent", "run"}, {"kestrel", "record", "--output", "/tmp/kestrel-never"}} {
		cmd := exec.Command(binary(t, args[0]), args[1:]...)
		cmd.SysProcAttr, cmd.Dir = nobody, "/"
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || len(out) != 0 || strings.Count(complaint.String(), "\n") != 1 ||
			!strings.Contains(complaint.String(), "doctor") {
			t.Errorf("%v: %v\n%s%s", args, err, out, complaint.Bytes())
		}
	}
	cmd := exec.Command(binary(t, "kestrel"), "run", "--demo")
	cmd.SysProcAttr, cmd.Dir = nobody, "/"
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil || !bytes.Contains(out, []byte(`"rule_id"`)) || !strings.Contains(complaint.String(), "not your machine") {
		t.Errorf("demo: %v\n%s%s", err, out, complaint.Bytes())
	}
	doctor := exec.Command(binary(t, "kestrel"), "doctor")
	doctor.SysProcAttr, doctor.Dir = nobody, "/"
	var exit *exec.ExitError
	if out, err := doctor.Output(); !errors.As(err, &exit) || exit.ExitCode() != 3 || !bytes.Contains(out, []byte("source: none")) {
		t.Errorf("doctor: %v\n%s", err, out)
	}
}

// TestLiveOutputs: alerts go to every output, and one whose reader has gone does not stop the other.
func TestLiveOutputs(t *testing.T) {
	requireCapture(t)
	dir := temporary(t)
	file := filepath.Join(dir, "log", "alerts.json")
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	config := roomy(t, "[alerts]\noutputs = [\"stdout\", \"file\"]\nfile_path = \""+file+"\"\n")
	program := place(t, "/bin/true", filepath.Join(dir, "run"))
	r := &running{t: t, cmd: exec.Command(binary(t, "kestrel"), "run", "--config", config), ended: make(chan struct{})}
	r.cmd.Stderr = &r.stderr
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout = out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	in.Close() // nobody reads
	go func() { r.err = r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() {
		select {
		case <-r.ended:
		default:
			r.cmd.Process.Kill()
		}
	})
	r.waitLog("watching")
	count := func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		return bytes.Count(text, []byte(`"process.executable":"`+program+`"`))
	}
	for i := range 3 {
		if err := exec.Command(program).Run(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "an alert in the file", func() bool { return count() == i+1 })
	}
	r.terminate()
	if !slices.ContainsFunc(strings.Split(r.stderr.String(), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "kestrel: output stdout: 0 alerts written, ") && !strings.Contains(l, " 0 lost")
	}) {
		t.Errorf("the loss of the first output is not told:\n%s", r.stderr.String())
	}
}
