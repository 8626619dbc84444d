package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/cross/vm/plan"
)

// initPackage is the first process of a guest.
const initPackage = "./cross/vm/init"

// initramfs builds every program for an architecture and returns the archive that boots and runs them.
func initramfs(root, arch string, set []suite, o testOptions) ([]byte, error) {
	work, err := os.MkdirTemp("", "kestrel-vm-")
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	defer os.RemoveAll(work)
	b := &builder{root: root, arch: arch, work: work, seen: map[string]bool{}}
	z, err := gzip.NewWriterLevel(&b.out, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	b.cpio.w = z
	if err := b.pack(set, o); err != nil {
		return nil, err
	}
	if err := b.cpio.close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return b.out.Bytes(), nil
}

type builder struct {
	root string // of the module
	arch string
	work string
	out  bytes.Buffer
	cpio cpioWriter
	seen map[string]bool // names in the archive
	plan plan.Plan
}

func (b *builder) pack(set []suite, o testOptions) error {
	// The kernel opens the console before init runs.
	if err := b.add(cpioEntry{name: "dev/console", mode: cpioCharDev | 0o600, major: 5, minor: 1}); err != nil {
		return err
	}
	if err := b.program("init", initPackage); err != nil {
		return err
	}
	for _, dir := range []string{"root", "proc", "sys", "tmp", "run", "var/tmp", "etc"} {
		if err := b.dir(dir); err != nil {
			return err
		}
	}
	for _, s := range set {
		program, err := b.suite(s, o)
		if err != nil {
			return err
		}
		b.plan.Programs = append(b.plan.Programs, program)
	}
	text, err := b.plan.Encode()
	if err != nil {
		return err
	}
	return b.add(cpioEntry{name: strings.TrimPrefix(plan.Path, "/"), mode: cpioFile | 0o644, data: text})
}

// suite packs one test binary with what it needs.
func (b *builder) suite(s suite, o testOptions) (plan.Program, error) {
	name := s.name()
	dir := "test/" + name
	binary := filepath.Join(b.work, name+".test")
	if err := b.compile("test", "-c", "-o", binary, s.pkg); err != nil {
		return plan.Program{}, err
	}
	if err := b.file(dir+"/"+name+".test", binary, 0o755); err != nil {
		return plan.Program{}, err
	}
	// A package's testdata lies where its tests look for it.
	data := filepath.Join(b.root, s.pkg, "testdata")
	err := filepath.WalkDir(data, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(data, p)
		if err != nil {
			return err
		}
		return b.file(dir+"/testdata/"+filepath.ToSlash(rel), p, 0o644)
	})
	if err != nil && !os.IsNotExist(err) {
		return plan.Program{}, fmt.Errorf("pack testdata of %s: %w", s.pkg, err)
	}
	for _, need := range s.needs {
		if err := b.need(need); err != nil {
			return plan.Program{}, fmt.Errorf("pack what %s needs: %w", s.pkg, err)
		}
	}
	args, env := s.command(o)
	return plan.Program{Name: name, Path: "/" + dir + "/" + name + ".test", Dir: "/" + dir, Args: args, Env: env}, nil
}

// need packs a program of the module, ./cmd/NAME as /bin/NAME, or lets init stand in for a system program.
func (b *builder) need(need string) error {
	if strings.HasPrefix(need, "./") {
		return b.program("bin/"+path.Base(need), need)
	}
	if !standIns[need] {
		return fmt.Errorf("%s: neither ./PACKAGE nor a program that init stands in for", need)
	}
	if !slices.Contains(b.plan.StandIns, need) {
		b.plan.StandIns = append(b.plan.StandIns, need)
	}
	return nil
}

func (b *builder) program(name, pkg string) error {
	if b.seen[name] {
		return nil
	}
	out := filepath.Join(b.work, strings.ReplaceAll(name, "/", "-"))
	if err := b.compile("build", "-o", out, pkg); err != nil {
		return err
	}
	return b.file(name, out, 0o755)
}

// compile runs the Go toolchain for the guest: static binaries, without debug information, which a guest unpacks slowly.
func (b *builder) compile(verb string, args ...string) error {
	args = append([]string{"go", verb, "-trimpath", "-ldflags=-s -w"}, args...)
	cmd := nice(args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", args[len(args)-1], b.arch, err, bytes.TrimSpace(out))
	}
	return nil
}

func (b *builder) file(name, from string, perm uint32) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return b.add(cpioEntry{name: name, mode: cpioFile | perm, data: data})
}

func (b *builder) dir(name string) error {
	return b.add(cpioEntry{name: name, mode: cpioDir | 0o755})
}

// add appends a member after the directories above it, and only once.
func (b *builder) add(e cpioEntry) error {
	if b.seen[e.name] {
		return nil
	}
	if up := path.Dir(e.name); up != "." {
		if err := b.dir(up); err != nil {
			return err
		}
	}
	b.seen[e.name] = true
	return b.cpio.add(e)
}

// nice is a command with a low priority: emulation is heavy and seldom alone on a machine.
func nice(args ...string) *exec.Cmd {
	if path, err := exec.LookPath("nice"); err == nil {
		return exec.Command(path, append([]string{"-n", "10"}, args...)...)
	}
	return exec.Command(args[0], args[1:]...)
}
