package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kestrel-detection/kestrel/bench"
	"github.com/kestrel-detection/kestrel/testdata"
)

// benchmarkName is the name under which the tool is installed a second time: then it is `kestrel bench`.
const benchmarkName = "kestrel-benchmark"

// benchFlags are the flags of bench.
type benchFlags struct {
	rules                         ruleFlags
	parts                         bench.Parts
	all, json                     bool
	log, report, hyperscan, agent string
	rounds                        int
	sizes                         []int
	seed                          uint64
	child                         []string
}

func benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{Use: "bench", Short: "measure: throughput, latency, memory, the automata, an adversary", RunE: func(c *cobra.Command, _ []string) error {
		if len(f.child) == 2 {
			return bench.Child(f.child[0], f.child[1], c.OutOrStdout())
		}
		return f.run(c)
	}}
	f.rules.add(c)
	f.rules.addSkip(c)
	b := c.Flags()
	b.BoolVar(&f.all, "all", false, "everything; without a choice it is --throughput --latency --memory")
	b.BoolVar(&f.parts.Throughput, "throughput", false, "events a second, on one core and all")
	b.BoolVar(&f.parts.Latency, "latency", false, "one event, one step of a sequence")
	b.BoolVar(&f.parts.Memory, "memory", false, "resident memory, of processes of their own")
	b.BoolVar(&f.parts.NFA, "nfa", false, "10 to 10,000 rules, the same one by one, and the automata beside others")
	b.BoolVar(&f.parts.Stress, "stress", false, "an adversary's events")
	b.StringVar(&f.log, "log", "", "log that record wrote (default: the capture in the binary)")
	b.BoolVar(&f.json, "json", false, "print one JSON object")
	b.StringVar(&f.report, "report", "", "write an HTML page with plots as well")
	b.IntVar(&f.rounds, "rounds", 0, "rounds of each measurement (default: as many as a second takes, at least 5)")
	b.IntSliceVar(&f.sizes, "sizes", nil, "numbers of rules for --nfa (default 10,100,1000,10000 and that of the rules)")
	b.Uint64Var(&f.seed, "seed", 1, "seed of generated patterns")
	b.StringVar(&f.hyperscan, "hyperscan", "", "program of bench/hyperscan (default: the one beside this program)")
	b.StringVar(&f.agent, "agent", "", "kestrel-agent (default: the one beside this program)")
	b.StringSliceVar(&f.child, "child", nil, "")
	// The other end of --memory: a process that replays a log and says what it has resident.
	if err := b.MarkHidden("child"); err != nil {
		panic("BUG: bench: " + err.Error())
	}
	return c
}

func (f *benchFlags) run(c *cobra.Command) error {
	switch none := f.parts == (bench.Parts{}); {
	case f.rounds < 0:
		return usagef("--rounds %d (at least 1)", f.rounds)
	case f.all:
		f.parts = bench.Parts{Throughput: true, Latency: true, Memory: true, NFA: true, Stress: true}
	case none:
		f.parts = bench.Parts{Throughput: true, Latency: true, Memory: true}
	}
	for _, n := range f.sizes {
		if n < 1 {
			return usagef("--sizes %d (at least 1)", n)
		}
	}
	s, err := f.rules.compiled()
	if err != nil {
		return err
	}
	cfg := bench.Config{
		Parts: f.parts, Set: s.Set, Image: s.image, RulesName: f.rules.dir, LeftOut: s.leftOut, Rounds: f.rounds, Sizes: f.sizes,
		Seed: f.seed, Hyperscan: beside(f.hyperscan, "kestrel-bench-hyperscan"), Agent: beside(f.agent, "kestrel-agent"), Self: replayChild,
	}
	if f.rules.dir == "" {
		cfg.RulesName = "the rules in the binary"
	}
	if cfg.Log, err = f.openLog(); err != nil {
		return err
	}
	if terminal(os.Stderr) {
		cfg.Progress = func(text string) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text) }
	}
	r, err := bench.Run(cfg)
	if cfg.Progress != nil {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	return f.write(c.OutOrStdout(), r)
}

func (f *benchFlags) openLog() (*bench.Log, error) {
	if f.log == "" {
		return bench.ReadLog(bytes.NewReader(testdata.Capture()), "the capture in the binary")
	}
	file, err := os.Open(f.log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bench.ReadLog(bufio.NewReaderSize(file, 1<<20), f.log)
}

func (f *benchFlags) write(out io.Writer, r *bench.Result) error {
	if f.report != "" {
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil {
			return err
		}
		if err := writeFile(f.report, page.Bytes()); err != nil {
			return err
		}
	}
	if f.json {
		return json.NewEncoder(out).Encode(r)
	}
	return r.Print(out)
}

// replayChild is this program as the process whose memory is measured.
func replayChild(imageFile, logFile string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", "bench", "--child", imageFile+","+logFile)
	c.Args[0] = "kestrel"
	return c
}

// beside is a program that was named, or one that lies beside this one; empty when there is none.
func beside(named, name string) string {
	if named != "" {
		return named
	}
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(exe), name)
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return path
}
