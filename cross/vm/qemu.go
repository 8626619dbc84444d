package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kestrel-detection/kestrel/cross/vm/plan"
)

const (
	// memoryMiB is what a guest has: a small board, and enough for the initramfs.
	memoryMiB = "512"
	// bootTimeout is how long a guest may take to its first process: 2 to 4 s on an idle host.
	bootTimeout = 2 * time.Minute
	// stopTimeout is how long QEMU may take to end after the last line.
	stopTimeout = 5 * time.Second
	// commandLine boots without messages, ends QEMU on a panic and puts bpf on the list of security modules: without it
	// programs attach there and enforce nothing.
	commandLine = "quiet panic=-1 lsm=lockdown,capability,bpf"
)

// guestTimeout is how long the programs of a guest may run in all.
func guestTimeout(long bool) time.Duration {
	if long {
		return 90 * time.Minute
	}
	return 6 * time.Minute
}

// guest is one virtual machine.
type guest struct {
	arch    arch
	kernel  string
	initrd  []byte
	timeout time.Duration
	echo    io.Writer // gets the console as it comes
}

// run boots the guest and returns what it said. A guest that dies before its first process gets a second try: emulation
// without hardware help loses a race now and then.
func (g *guest) run(ctx context.Context) (r *guestRun, err error) {
	const boots = 2
	for range boots {
		var out string
		out, err = g.boot(ctx)
		r = parseConsole(out)
		if r.release != "" || ctx.Err() != nil {
			break
		}
	}
	return r, err
}

// boot runs QEMU once and returns its console. An error says why the guest was ended; one that ends by itself is judged
// by what it printed, since QEMU's exit code is 0 after a kernel panic, too.
func (g *guest) boot(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "kestrel-vm-")
	if err != nil {
		return "", fmt.Errorf("boot: %w", err)
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initramfs")
	if err := os.WriteFile(initrd, g.initrd, 0o600); err != nil {
		return "", fmt.Errorf("boot: %w", err)
	}
	args := append([]string{g.arch.qemu, "-accel", "tcg"}, g.arch.machine...)
	args = append(args, "-smp", "1", "-m", memoryMiB, "-nodefaults", "-no-user-config", "-display", "none",
		"-serial", "stdio", "-monitor", "none", "-no-reboot", "-kernel", g.kernel, "-initrd", initrd,
		"-append", "console="+g.arch.console+" "+commandLine)
	cmd := nice(args...)
	con := newConsole(g.echo)
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = con, &complaints
	cmd.WaitDelay = stopTimeout // a child of QEMU could hold its output open
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("boot: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	alive, err := g.watch(ctx, con, ended)
	if alive {
		_ = cmd.Process.Kill()
		<-ended
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", g.arch.qemu, exit, strings.TrimSpace(complaints.String()))
	}
	return con.text(), err
}

// watch waits for the end of QEMU or for a reason to end it, and tells whether it is still alive.
func (g *guest) watch(ctx context.Context, con *console, ended <-chan error) (alive bool, err error) {
	boot, whole := time.NewTimer(bootTimeout), time.NewTimer(bootTimeout+g.timeout)
	defer boot.Stop()
	defer whole.Stop()
	var stop <-chan time.Time
	for {
		select {
		case err := <-ended:
			return false, err
		case <-ctx.Done():
			return true, ctx.Err()
		case <-con.changed:
			if stop == nil && con.said(plan.Result) && parseConsole(con.text()).done {
				stop = time.After(stopTimeout)
			}
			if con.full() {
				return true, fmt.Errorf("more than %d bytes of output", consoleBytesMax)
			}
		case <-boot.C:
			if !con.said(plan.Init) {
				return true, fmt.Errorf("no first process after %s", bootTimeout)
			}
		case <-whole.C:
			return true, fmt.Errorf("timed out after %s", bootTimeout+g.timeout)
		case <-stop:
			return true, nil // everything was said; only the power switch does not work
		}
	}
}

// console keeps what a guest prints. It is written by the goroutine that reads from QEMU and read by the one that waits.
type console struct {
	changed chan struct{} // has an element when lines came
	echo    io.Writer

	mu    sync.Mutex
	kept  bytes.Buffer
	words map[string]bool // the first words of complete lines
	from  int             // start of the line that is not complete
}

func newConsole(echo io.Writer) *console {
	return &console{changed: make(chan struct{}, 1), echo: echo, words: map[string]bool{}}
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.Len() < consoleBytesMax {
		c.kept.Write(b)
	}
	for {
		rest := c.kept.Bytes()[c.from:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		word, _, _ := strings.Cut(strings.TrimSpace(string(rest[:min(i, 64)])), " ")
		if word == plan.Init || word == plan.Result {
			c.words[word] = true
		}
		c.from += i + 1
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
	_, _ = c.echo.Write(bytes.ReplaceAll(b, []byte("\r"), nil))
	return len(b), nil
}

func (c *console) said(word string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words[word]
}

func (c *console) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Len() >= consoleBytesMax
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.String()
}

// missing are the programs of a list that are not installed.
func missing(programs []string) (out []string) {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			out = append(out, p)
		}
	}
	return out
}
