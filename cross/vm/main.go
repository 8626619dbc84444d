// Command vm runs Kestrel's kernel tests on Debian's cloud kernels under QEMU, without hardware virtualization and
// without root. It fetches the kernels, builds the test binaries and a first process of its own (cross/vm/init) into an
// initramfs, boots one guest after the other and reads the result from the serial console.
//
// Kernels and package lists stay in $XDG_CACHE_HOME/kestrel/kernels or ~/.cache/kestrel/kernels (see cacheDir); all else
// is in temporary directories that are removed at the end. A guest that prints without end is stopped at consoleBytesMax,
// one that hangs after guestTimeout.
//
// One line per kernel, then "N passed, N failed, N skipped", where N counts tests without subtests; a kernel that could
// not be tried is one skipped test. Exit code 0: nothing failed and something passed; 1: otherwise; 2: wrong flags;
// 3: a program is missing on the host.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	exitFailed  = 1
	exitUsage   = 2
	exitMissing = 3
)

type options struct {
	kernels []kernel
	archs   []arch
	suites  []suite
	testOptions
	table   string
	console string
	mirror  string
	install bool
	refresh bool
	verbose bool
}

func main() {
	o, err := parseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, o, os.Stdout, os.Stderr))
}

func parseFlags(args []string, w io.Writer) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	f.SetOutput(w)
	series := f.String("kernel", "", "kernels, comma-separated: 5.10, 6.1, 6.12, 7.x (default all)")
	architecture := f.String("arch", "", "architectures, comma-separated: amd64, arm64 (default both)")
	packages := f.String("suite", "", "packages, comma-separated, by their last name (default all)")
	f.StringVar(&o.run, "run", "", "run only the tests that match this regular expression")
	f.BoolVar(&o.long, "long", false, "run the long tests, too (KESTREL_LONG=1, no -short)")
	f.StringVar(&o.table, "table", "", "write a Markdown report to this file")
	f.StringVar(&o.console, "console", "", "write each guest's console to a file in this directory")
	f.StringVar(&o.mirror, "mirror", "", "Debian mirror (default the one that apt is set up with)")
	f.BoolVar(&o.install, "install", false, "install missing Debian packages with apt-get (needs root)")
	f.BoolVar(&o.refresh, "refresh", false, "fetch the newest kernels even if some are cached")
	f.BoolVar(&o.verbose, "v", false, "show the consoles")
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
		fmt.Fprintln(w, "vm:", err)
	}
	if err != nil {
		return nil, err
	}
	if o.kernels, err = choose(*series, kernels, func(k kernel) string { return k.series }); err == nil {
		if o.archs, err = choose(*architecture, archs, func(a arch) string { return a.name }); err == nil {
			o.suites, err = choose(*packages, suites, suite.name)
		}
	}
	if err != nil {
		fmt.Fprintln(w, "vm:", err)
	}
	return o, err
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, o *options, out, complaints io.Writer) int {
	if !tooled(o, out, complaints) {
		return exitMissing
	}
	machines, err := runAll(ctx, o, out)
	if err != nil {
		fmt.Fprintln(complaints, "vm:", err)
		return exitFailed
	}
	if o.table != "" {
		if err := os.WriteFile(o.table, []byte(markdown(machines, o.suites)), 0o644); err != nil {
			fmt.Fprintln(complaints, "vm:", err)
			return exitFailed
		}
	}
	var all counts
	for _, m := range machines {
		c := m.counts()
		all.passed, all.failed, all.skipped = all.passed+c.passed, all.failed+c.failed, all.skipped+c.skipped
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", all.passed, all.failed, all.skipped)
	if all.failed > 0 || all.passed == 0 {
		return exitFailed
	}
	return 0
}

// tooled tells whether the host has every program, after it installed what is missing if it may.
func tooled(o *options, out, complaints io.Writer) bool {
	if lost := missing(append([]string{"go"}, tools...)); len(lost) > 0 {
		fmt.Fprintf(complaints, "vm: %s not found: needs Go and a Debian system (packages apt, dpkg)\n", strings.Join(lost, ", "))
		return false
	}
	var packages []string
	for _, a := range o.archs {
		if len(missing([]string{a.qemu})) > 0 {
			packages = append(packages, a.pkg)
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		packages = append(packages, "debian-archive-keyring")
	}
	if len(packages) == 0 {
		return true
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if !o.install {
		fmt.Fprintf(complaints, "vm: missing Debian packages: %s\n    apt-get %s\n    (or run again with -install)\n",
			strings.Join(packages, " "), strings.Join(args, " "))
		return false
	}
	fmt.Fprintf(out, "installing %s\n", strings.Join(packages, " "))
	cmd := exec.Command("apt-get", args...)
	cmd.Stdout, cmd.Stderr = complaints, complaints
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(complaints, "vm: apt-get install: %v\n", err)
		return false
	}
	return true
}

// runAll boots the guests one after the other, architecture by architecture, and prints their lines as they end.
func runAll(ctx context.Context, o *options, out io.Writer) (machines []*machine, err error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	a := &archive{cache: cache, mirror: o.mirror, refresh: o.refresh, updated: map[string]bool{}}
	if a.mirror == "" {
		a.mirror = systemMirror("/etc/apt")
	}
	for _, ar := range o.archs {
		initrd, err := initramfs(root, ar.name, o.suites, o.testOptions)
		if err != nil {
			return nil, err
		}
		for _, k := range o.kernels {
			m, err := runOne(ctx, o, a, k, ar, initrd, out)
			if err != nil {
				return nil, err
			}
			m.print(out)
			machines = append(machines, m)
		}
	}
	return machines, nil
}

// runOne boots one kernel. A kernel that cannot be fetched is skipped with the reason; an error ends the whole run.
func runOne(ctx context.Context, o *options, a *archive, k kernel, ar arch, initrd []byte, out io.Writer) (*machine, error) {
	m := &machine{series: k.series, arch: ar.name}
	path, pkg, err := a.image(k, ar)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		m.skip = err.Error()
		return m, nil
	}
	m.pkg = pkg
	g := &guest{arch: ar, kernel: path, initrd: initrd, timeout: guestTimeout(o.long)}
	var echo []io.Writer
	if o.verbose {
		echo = append(echo, out)
	}
	if o.console != "" {
		f, err := createConsole(o.console, k.series+"-"+ar.name+".txt")
		if err != nil {
			return nil, err
		}
		defer f.Close()
		echo = append(echo, f)
	}
	g.echo = io.MultiWriter(echo...)
	r, err := g.run(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var programs []string
	for _, s := range o.suites {
		programs = append(programs, s.name())
	}
	m.run, m.problem = r, judge(r, err, programs)
	return m, nil
}

func createConsole(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write console: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("write console: %w", err)
	}
	return f, nil
}

// moduleRoot is the directory of go.mod above the working directory.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	path := strings.TrimSpace(string(out))
	if path == "" || path == os.DevNull {
		return "", fmt.Errorf("find module: not inside the repository")
	}
	return filepath.Dir(path), nil
}
