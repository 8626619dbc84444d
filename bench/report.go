package bench

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the report as tables.
func (r *Result) Print(out io.Writer) error {
	b := bufio.NewWriter(out)
	p := &printer{Writer: tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)}
	r.printHead(p)
	r.printThroughput(p)
	r.printLatency(p)
	r.printMemory(p)
	r.printScale(p)
	r.printPatterns(p)
	r.printStress(p)
	p.flush()
	fmt.Fprintf(b, "\n%.1f s\n", r.Seconds)
	return b.Flush()
}

// printer writes tables: cells are separated by tabs. An error stays with the writer below, whose Flush gives it.
type printer struct{ *tabwriter.Writer }

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// title begins a table with columns of its own.
func (p *printer) title(text string) {
	p.flush()
	fmt.Fprintf(p, "\n%s\n", text)
	p.flush()
}

// flush ends a table. What it could not write, the writer below says at its own Flush.
func (p *printer) flush() { _ = p.Flush() }

func (r *Result) printHead(p *printer) {
	m := &r.Machine
	p.line("machine\t%s, %d cores, Linux %s %s, %s, load %s", m.CPU, m.Cores, m.Kernel, m.Arch, m.Go, m.Load)
	left := ""
	if r.LeftOut > 0 {
		left = fmt.Sprintf(", %d left out", r.LeftOut)
	}
	p.line("rules\t%s from %s%s, image %s bytes", grouped(int64(r.Rules)), r.RulesName, left, grouped(int64(r.ImageBytes)))
	var mix []string
	for _, s := range r.Mix {
		mix = append(mix, fmt.Sprintf("%s %.1f %%", s.Name, 100*s.Share))
	}
	p.line("events\t%s from %s: %s", grouped(int64(r.Events)), r.LogName, strings.Join(mix, ", "))
	p.line("work\t%.3f predicates evaluated and %.4f rules matched per event, %d alerts per round", r.Predicates, r.Matches, r.Alerts)
	p.line("result\t%s", r.Hash)
}

func (r *Result) printThroughput(p *printer) {
	if len(r.Throughput) == 0 {
		return
	}
	p.title("Throughput, in batches of 512 (median, best of the rounds)")
	p.line("workers\twhat\tns/event\tbest\tevents/s\tof a core\trounds\theap objects\tearlier Kestrel, 0 rules")
	for i, t := range r.Throughput {
		old := ""
		if i == 0 {
			old = fmt.Sprintf("%.1f M", r.Earlier.Eps/1e6)
		}
		p.line("%d\tengine\t%.0f\t%.0f\t%s\t%s\t%d\t%d\t%s", t.Workers, t.Engine.Median, t.Engine.Best, millions(t.Eps),
			millions(t.Eps/float64(t.Workers)), t.Engine.Rounds, t.Mallocs, old)
		p.line("%d\tengine, the log for the first time\t%.0f\t%.0f\t%s\t%s\t%d\t\t", t.Workers, t.First.Median, t.First.Best,
			millions(perSecond(t.First.Median)), millions(perSecond(t.First.Median)/float64(t.Workers)), t.First.Rounds)
		p.line("%d\tprocess table + engine\t%.0f\t%.0f\t%s\t%s\t%d\t\t", t.Workers, t.Pipeline.Median, t.Pipeline.Best,
			millions(t.EpsPipe), millions(t.EpsPipe/float64(t.Workers)), t.Pipeline.Rounds)
	}
	p.line("\theap objects: of all %s timed events of the engine, and behind the process table", grouped(int64(r.Throughput[0].Events)))
}

func (r *Result) printLatency(p *printer) {
	l := r.Latency
	if l == nil {
		return
	}
	p.title(fmt.Sprintf("One event, in ns (%d rounds; two readings of the clock are in it: p50 %d, p99 %d)", l.Rounds,
		l.Clock.P50, l.Clock.P99))
	p.line("class\tp50\tp99\tp99.9\tmax\tp99 of each event's least\tearlier Kestrel p99, 0 rules")
	p.line("all\t%d\t%d\t%d\t%d\t%d\t%.0f", l.All.P50, l.All.P99, l.All.P999, l.All.Max, l.Quiet.P99, r.Earlier.P99)
	for _, c := range l.Classes {
		p.line("%s\t%d\t%d\t%d\t%d\t%d\t", c.Class, c.P50, c.P99, c.P999, c.Max, c.Quiet)
	}
	if s := l.Sequence; s != nil {
		p.line("sequence step\t%d\t%d\t%d\t%d\t%d\t%.0f", s.Step.P50, s.Step.P99, s.Step.P999, s.Step.Max, s.Quiet.P99,
			r.Earlier.SeqP99)
		p.line("\t%d rules that are sequences, %d steps a round; %d states begun, %d moved on, %d completed, %d evicted", s.Rules,
			s.Steps, s.Counters.Started, s.Counters.Advanced, s.Counters.Completed, s.Counters.Evicted)
	} else {
		p.line("sequence step\tnone: the log moves no sequence of these rules")
	}
	p.line("heap objects\t%d", l.Mallocs)
}

func (r *Result) printMemory(p *printer) {
	m := r.Memory
	if m == nil {
		return
	}
	p.title("Memory, in bytes")
	p.line("\tresident\tanonymous\tpeak\tearlier Kestrel, idle")
	if m.Idle != nil {
		p.line("kestrel-agent, capture attached, idle\t%s\t%s\t%s\t%s", grouped(m.Idle.RSS), grouped(m.Idle.Anon),
			grouped(m.Idle.Peak), grouped(int64(r.Earlier.RSS)))
	} else {
		p.line("kestrel-agent, idle\tnot measured: %s", m.IdleReason)
	}
	if m.Replay != nil {
		p.line("a replay of the log, full tool, at its end\t%s\t%s\t%s\t", grouped(m.Replay.RSS), grouped(m.Replay.Anon),
			grouped(m.Replay.Peak))
	}
	p.title("Reserved with the sizes of a device (resident is what was touched)")
	for _, row := range []struct {
		name  string
		bytes int
	}{
		{"rule image, mapped", m.ImageBytes}, {"matching", m.Matching}, {"sequence states", m.States},
		{"evidence of sequences", m.Evidence}, {"process table", m.Processes},
		{"sum", m.ImageBytes + m.Matching + m.States + m.Evidence + m.Processes},
	} {
		p.line("%s\t%10s", row.name, grouped(int64(row.bytes)))
	}
}

func (r *Result) printScale(p *printer) {
	if len(r.Scale) == 0 {
		return
	}
	p.title("Cost against the number of rules, one core, ns per event")
	p.line("made from %d rules; %d that are evaluated for every event of a kind are not copied", r.ScaleRules, r.ScaleOnce)
	p.flush()
	p.line("rules\tengine\tbest\tgrowth\tof best\tpredicates\tmatches\timage\trule by rule\ttimes\tinterpreter\ttimes\tearlier Kestrel")
	for _, s := range r.Scale {
		if s.Refused != "" {
			p.line("%d\trefused: %s", s.Rules, s.Refused)
			continue
		}
		direct := "\t\t\t"
		if s.Direct != nil {
			direct = fmt.Sprintf("%.0f\t%.1fx\t%.0f\t%.0fx", s.Direct.Median, s.DirectTimes, s.Reference, s.ReferenceTimes)
		}
		note := ""
		if s.Dense > 0 {
			note = fmt.Sprintf(" (dense parts at most %d)", s.Dense)
		}
		old := ""
		if s.Rules == 100 {
			old = fmt.Sprintf("%.0fx", r.Earlier.RuleTimes)
		}
		p.line("%d\t%.0f\t%.0f\t%.2fx\t%.2fx\t%.3f\t%.4f\t%s\t%s\t%s", s.Rules, s.Event.Median, s.Event.Best, s.Growth, s.GrowthBest, s.Predicates,
			s.Matches, grouped(int64(s.ImageBytes))+note, direct, old)
	}
}

func (r *Result) printPatterns(p *printer) {
	for _, set := range r.Patterns {
		p.title(fmt.Sprintf("%s: %d patterns, %d lines of %.0f bytes, %.3f matches a line", set.What, set.Patterns, set.Lines,
			set.LineBytes, set.MatchRate))
		p.line("matcher\tns/line\tbest\ttimes\tbytes\theap objects a line\t")
		for _, m := range set.Matchers {
			if m.Absent != "" {
				p.line("%s\tnot measured: %s", m.Name, m.Absent)
				continue
			}
			p.line("%s\t%.0f\t%.0f\t%.2fx\t%s\t%.2f\t%s", m.Name, m.Line.Median, m.Line.Best, m.Times, grouped(m.Bytes), m.Mallocs,
				m.Note)
		}
	}
}

func (r *Result) printStress(p *printer) {
	if len(r.Stress) == 0 {
		return
	}
	p.title("An adversary (one core; slowest: the slowest event, of each the least of its rounds)")
	p.line("what\trules\tbytes/event\tns/event\tslowest ns\tStep of 512, max us\theap objects\tstates begun\tevicted\tended otherwise" +
		"\tpending\tlazy DFA cleared\tleft to NFA\tcomputed cut")
	for _, s := range r.Stress {
		p.line("%s\t%d\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d", s.What, s.Rules, s.Bytes, s.Event, s.Worst, s.StepMax/1000,
			s.Mallocs, s.Started, s.Evicted, s.Ended-s.Evicted, s.Pending, s.Lazy, s.Fallback, s.Cut)
	}
}

// millions is a rate as one reads it.
func millions(v float64) string { return fmt.Sprintf("%.2f M", v/1e6) }

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
