package bpf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// The benchmarks measure what capture adds to a process's own work: run with and without, one after the other.
// bpf-ns/run is the kernel's own count of the time inside the programs.

type benchmark struct {
	name string
	o    Options
	off  bool
}

var benchmarks = []benchmark{
	{name: "none", off: true},
	{name: "btf/all", o: Options{Tier: TierBTF}},
	{name: "btf/process", o: Options{Tier: TierBTF, Classes: processOnly}},
	{name: "tracepoint/all", o: Options{Tier: TierTracepoint}},
	{name: "tracepoint/process", o: Options{Tier: TierTracepoint, Classes: processOnly}},
}

func bench(b *testing.B, work func(b *testing.B)) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			if c.off {
				for b.Loop() {
					work(b)
				}
				return
			}
			c.o.RingBytes = 1 << 20
			l := start(b, c.o)
			stop, done := make(chan bool), make(chan bool)
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
					}
					_ = l.r.Wait(100)
					l.take(func(event.Record) bool { return false })
				}
			}()
			for b.Loop() {
				work(b)
			}
			b.StopTimer()
			close(stop)
			<-done
			s := l.stats()
			lost := s.Lost(event.ClassProcess) + s.Lost(event.ClassFile)
			b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
			runs(b, l, work)
		})
	}
}

// runs measures the time inside the programs, apart from the rest: the measuring itself costs as much.
func runs(b *testing.B, l *live, work func(b *testing.B)) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return
	}
	defer stats.Close()
	for range 200 {
		work(b)
	}
	for name, p := range l.c.collection.Programs {
		s, err := p.Stats()
		if err == nil && s.RunCount > 100 {
			b.ReportMetric(float64(s.Runtime.Nanoseconds())/float64(s.RunCount), name+"-ns/run")
		}
	}
}

func BenchmarkExec(b *testing.B) {
	tiny := tinyProgram(b, b.TempDir(), "tiny")
	bench(b, func(b *testing.B) {
		if err := launch(tiny); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	bench(b, func(b *testing.B) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
	})
}

func BenchmarkStats(b *testing.B) {
	l := start(b, Options{})
	var s ring.Stats
	b.ReportAllocs()
	for b.Loop() {
		if err := l.counts.Read(&s); err != nil {
			b.Fatal(err)
		}
	}
}
