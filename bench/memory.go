package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/engine"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
	"github.com/kestrel-detection/kestrel/nfa"
)

// Resident is what a process has in memory, in bytes.
type Resident struct {
	RSS  int64 `json:"rss_bytes"`
	Anon int64 `json:"anon_bytes"`
	Peak int64 `json:"peak_bytes"`
}

// Memory is where the bytes are.
type Memory struct {
	// Replay is a process of its own that mapped the image, replayed the log with the sizes of a device and is at its
	// end. It is the full tool: its code is larger than the agent's.
	Replay *Resident `json:"replay,omitempty"`
	// Idle is kestrel-agent with its capture attached and the same image, where it can run.
	Idle       *Resident `json:"agent_idle,omitempty"`
	IdleReason string    `json:"agent_idle_absent,omitempty"`
	ImageBytes int       `json:"image_bytes"`
	Matching   int       `json:"matching_bytes"`  // what an engine allocates for the image
	States     int       `json:"states_bytes"`    // pools of the sequencer, without evidence
	Evidence   int       `json:"evidence_bytes"`  // its evidence
	Processes  int       `json:"processes_bytes"` // the process table, all of it in use
}

// carved is what the holders of a device take by their own account.
func carved(img *image.Image) *Memory {
	s := agent.DeviceSizes
	pools := nfa.Config{Tracks: s.Tracks, States: s.States, Evidence: s.Evidence}
	evidence := s.Evidence * limits.EvidenceBytesMax
	return &Memory{
		ImageBytes: img.Size,
		Matching:   engine.Bytes(img, engine.Config{Workers: 1, NFA: pools, Processes: s.Processes, Suppress: s.Suppressed}),
		States:     nfa.Bytes(pools, len(img.Rules)) - evidence,
		Evidence:   evidence,
		Processes:  proc.Config{Entries: s.Processes, LimboBlocks: limits.BatchMax}.Bytes(),
	}
}

// Child is the other end of Config.Self: it replays a log with an image and writes what it has in memory.
func Child(imageFile, logFile string, out io.Writer) error {
	rules, err := agent.ImageFile(imageFile).Load()
	if err != nil {
		return err
	}
	defer rules.Close()
	f, err := os.Open(logFile)
	if err != nil {
		return err
	}
	defer f.Close()
	log, err := evlog.NewReader(bufio.NewReader(f))
	if err != nil {
		return err
	}
	e := &ending{Reader: log}
	if _, err := agent.Replay(e, rules.Image, agent.DeviceSizes, nil); err != nil {
		return err
	}
	if e.err != nil {
		return e.err
	}
	return json.NewEncoder(out).Encode(e.found)
}

// ending looks at the process's memory at the end of the log, when the engine is still there.
type ending struct {
	*evlog.Reader
	found Resident
	err   error
}

// Next implements agent.RecordReader.
func (e *ending) Next() (event.Record, error) {
	rec, err := e.Reader.Next()
	if errors.Is(err, io.EOF) {
		debug.FreeOSMemory()
		e.found, e.err = resident(os.Getpid())
	}
	return rec, err
}

// resident reads /proc/PID/status (proc_pid_status(5)).
func resident(pid int) (r Resident, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		to := map[string]*int64{"VmRSS": &r.RSS, "RssAnon": &r.Anon, "VmHWM": &r.Peak}[name]
		if to == nil {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return r, fmt.Errorf("/proc/%d/status: %s: %w", pid, name, err)
		}
		*to = kb << 10
	}
	if r.RSS == 0 {
		return r, fmt.Errorf("/proc/%d/status has no VmRSS: the process has ended", pid)
	}
	return r, nil
}

// idleFor is how long the agent watches before it is measured.
const idleFor = 3 * time.Second

func (r *runner) memory(img *image.Image, file []byte) (*Memory, error) {
	m := carved(img)
	dir, err := os.MkdirTemp("", "kestrel-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	kri, log := filepath.Join(dir, "rules.kri"), filepath.Join(dir, "events.klog")
	if err := os.WriteFile(kri, file, 0o600); err != nil {
		return nil, err
	}
	if err := r.cfg.Log.write(log); err != nil {
		return nil, err
	}
	if r.cfg.Self != nil {
		out, err := r.cfg.Self(kri, log).Output()
		if err != nil {
			return nil, fmt.Errorf("replay in a process of its own: %w", err)
		}
		if err := json.Unmarshal(out, &m.Replay); err != nil {
			return nil, fmt.Errorf("replay in a process of its own: %w", err)
		}
	}
	m.Idle, m.IdleReason = idle(r.cfg.Agent, kri)
	return m, nil
}

// idle runs kestrel-agent for a while. Why it could not is the second result.
func idle(program, kri string) (*Resident, string) {
	if program == "" {
		return nil, "no kestrel-agent beside this program (--agent FILE)"
	}
	if os.Geteuid() != 0 {
		return nil, "kestrel-agent needs root to attach its capture"
	}
	cmd := exec.Command(program, "run", "--image", kri)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, err.Error()
	}
	time.Sleep(idleFor)
	found, err := resident(cmd.Process.Pid)
	// An agent that has ended already cannot be signalled; how it ended is what Wait says.
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if werr := cmd.Wait(); err != nil || werr != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Sprintf("kestrel-agent does not run here: %s", first)
	}
	return &found, ""
}

// write stores the log again, for a process of its own.
func (l *Log) write(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := evlog.NewWriter(f)
	if err != nil {
		return err
	}
	for _, rec := range l.records {
		if err := w.Write(rec); err != nil {
			return err
		}
	}
	return w.Close()
}
