package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/rules"
)

// helperEnv makes the test binary do something else than test, in a process of its own.
const helperEnv = "KESTREL_TEST_HELPER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperEnv); mode != "" {
		os.Exit(helper(mode, os.Args[1:]))
	}
	code := m.Run()
	removeBinaries()
	os.Exit(code)
}

func helper(mode string, args []string) int {
	var err error
	switch mode {
	case "settle":
		err = settleAndTell(args[0])
	case "chain":
		err = chain(args[0], args[1])
	case "load":
		err = load(args[0], args[1])
	case "flood":
		err = flood(args[0])
	default:
		err = fmt.Errorf("unknown helper %s", mode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helperCommand runs a helper; path is the test binary or a link to it.
func helperCommand(path, mode string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), helperEnv+"="+mode)
	cmd.Stderr = os.Stderr
	return cmd
}

// chain opens a file and becomes another program, which keeps the process.
func chain(file, program string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	f.Close()
	return syscall.Exec(program, []string{filepath.Base(program), "of the chain"}, nil)
}

// load runs a program so many times, one after the other, or until standard input ends when the count is 0, and prints
// how often it was.
func load(program, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	if n == 0 {
		go func() {
			var b [1]byte
			os.Stdin.Read(b[:])
			close(stop)
		}()
	}
	ran := 0
	for ; n == 0 || ran < n; ran++ {
		select {
		case <-stop:
			fmt.Println(ran)
			return nil
		default:
		}
		pid, err := syscall.ForkExec(program, []string{program}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil || ws != 0 {
			return fmt.Errorf("%s: %v, status %d", program, err, ws)
		}
	}
	fmt.Println(ran)
	return nil
}

// flood opens a file on every processor, over and over, until standard input ends.
func flood(file string) error {
	for range runtime.NumCPU() {
		go func() {
			for {
				if fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
					syscall.Close(fd)
				}
			}
		}()
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// compile makes the image of some queries; the name of each is its rule's id.
func compile(tb testing.TB, queries map[string]string) []byte {
	tb.Helper()
	dir := fstest.MapFS{}
	for name, q := range queries {
		dir[name+".eql"] = &fstest.MapFile{Data: []byte(q)}
	}
	p, err := rules.LoadFS(dir, "rules", eql.Kestrel)
	if err != nil {
		tb.Fatal(err)
	}
	b, _, err := p.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func loadImage(tb testing.TB, file []byte) *image.Image {
	tb.Helper()
	img, err := image.Load(file)
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// manyAlerts are rules that a usual load keeps busy: events, and sequences that complete and that are given up.
var manyAlerts = map[string]string{
	"exec":     `process where event.action == "exec"`,
	"etc":      `file where file.path like "/etc/*"`,
	"network":  `network where true`,
	"fork":     `sequence by process.parent.entity_id with maxspan=1s [process where event.action == "fork"] [process where event.action == "fork"]`,
	"life":     `sequence by process.entity_id [process where event.action == "exec"] [file where true] [process where event.action == "end"]`,
	"pending":  `sequence by process.entity_id with maxspan=10m [process where event.action == "exec"] [file where file.path == "/no/such/file"]`,
	"children": `sequence by user.id with maxspan=5s [process where event.action == "exec"] [process where event.action == "end"] until [network where true]`,
}

// build makes a record in bytes of its own.
func build(ty event.Type, time uint64, pid uint32, fill func(b *event.Builder)) event.Record {
	b := event.Builder{Buf: make([]byte, event.RecordSizeMax)}
	b.Begin(ty, time)
	if pid != 0 {
		b.Process(pid, pid, uint64(pid)*1000, 0)
	}
	if fill != nil {
		fill(&b)
	}
	return bytes.Clone(b.End())
}

// execOf is a process that executes a program.
func execOf(time uint64, pid uint32, path string) event.Record {
	return build(event.TypeExec, time, pid, func(b *event.Builder) {
		b.String(event.SlotExecutable, path, 0)
		b.String(event.SlotArgs, path, 0)
		b.Int(event.SlotParentPID, 1)
	})
}

func openOf(time uint64, pid uint32, path string) event.Record {
	return build(event.TypeFileRead, time, pid, func(b *event.Builder) { b.String(event.SlotPath, path, 0) })
}

// keeper keeps what it is given.
type keeper struct{ alerts [][]byte }

func (k *keeper) Push(b []byte) bool {
	k.alerts = append(k.alerts, bytes.Clone(b))
	return true
}

var _ engine.Receiver = (*keeper)(nil)

// testSizes are large enough that nothing of a short test is evicted.
var testSizes = Sizes{Processes: 4096, Tracks: 4096, States: 8192, Evidence: 4096, Workers: 1}

// messages is what a Log wrote.
type messages struct {
	mu sync.Mutex
	b  strings.Builder
}

func (m *messages) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.Write(b)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.String()
}

// smaps sums the lines of /proc/self/smaps: all resident bytes, and those of the executable's own file.
func smaps() (all, file int, err error) {
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return 0, 0, err
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, 0, err
	}
	own := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case !strings.HasSuffix(f[0], ":"):
			own = strings.HasSuffix(strings.TrimSpace(line), exe)
		case f[0] == "Rss:":
			n, err := strconv.Atoi(f[1])
			if err != nil {
				return 0, 0, err
			}
			all += n << 10
			if own {
				file += n << 10
			}
		}
	}
	return all, file, nil
}

// told is what the settle helper prints.
type told struct{ AllBefore, FileBefore, AllAfter, FileAfter, GC int }

func tell(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }
