package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/cloudflare/ahocorasick"

	"github.com/kestrel-detection/kestrel/dfa"
	dfabuild "github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// Patterns is one set of patterns over one set of lines, and what each matcher takes for it.
type Patterns struct {
	What      string    `json:"what"`
	Patterns  int       `json:"patterns"`
	Lines     int       `json:"lines"`
	LineBytes float64   `json:"line_bytes"`
	MatchRate float64   `json:"matches_per_line"`
	Matchers  []Matcher `json:"matchers"`
}

// Matcher is one way to find the patterns that hold for a line.
type Matcher struct {
	Name    string  `json:"name"`
	Line    Timing  `json:"line"`
	Bytes   int64   `json:"bytes,omitempty"` // memory of the compiled patterns; 0: not known
	Mallocs float64 `json:"mallocs_per_line"`
	Times   float64 `json:"times"` // of Kestrel's median
	Note    string  `json:"note,omitempty"`
	Absent  string  `json:"absent,omitempty"` // why it was not measured
}

// linesMax bounds the lines that are scanned in a round; slowLines those for matchers that take a pattern at a time.
const (
	linesMax  = 2000
	slowLines = 100
)

// kestrelSet is a set of the device with what one worker needs.
type kestrelSet struct {
	set     *dfa.Set
	scratch *dfa.Scratch
	hits    *dfa.Hits
	bytes   int64
}

func newKestrelSet(patterns []dfabuild.Pattern) (*kestrelSet, error) {
	table, _, err := dfabuild.Build(patterns, dfabuild.Options{})
	if err != nil {
		return nil, err
	}
	k := &kestrelSet{}
	if k.set, err = dfa.Load(table, 0); err != nil {
		return nil, err
	}
	k.scratch, k.hits = k.set.NewScratch(), dfa.NewHits(len(patterns))
	k.bytes = int64(len(table) + k.set.ScratchBytes() + k.hits.Bytes())
	return k, nil
}

func (k *kestrelSet) match(line []byte) int {
	k.hits.Reset()
	k.set.Scan(line, k.scratch, k.hits)
	return len(k.hits.List())
}

// trial is a set of patterns at work.
type trial struct {
	r     *runner
	lines [][]byte
	out   Patterns
}

// run times a matcher. match returns how many patterns hold; the first matcher is Kestrel.
func (t *trial) run(m Matcher, lines [][]byte, match func([]byte) int) {
	sum := 0
	var mallocs uint64
	m.Line, mallocs = t.r.effort.measure(work{n: len(lines), prepare: func() { sum = 0 }, f: func() {
		for _, line := range lines {
			sum += match(line)
		}
	}})
	m.Mallocs = float64(mallocs) / float64(m.Line.Rounds*len(lines))
	if len(t.out.Matchers) == 0 {
		t.out.MatchRate = float64(sum) / float64(len(lines))
	}
	t.add(m)
}

func (t *trial) add(m Matcher) {
	m.Times = 1
	if len(t.out.Matchers) > 0 && m.Line.Median > 0 {
		m.Times = m.Line.Median / t.out.Matchers[0].Line.Median
	}
	t.out.Matchers = append(t.out.Matchers, m)
}

// agree compares two matchers line by line.
func agree(name string, lines [][]byte, a, b func([]byte) int) error {
	for _, line := range lines {
		if x, y := a(line), b(line); x != y {
			return fmt.Errorf("%s finds %d patterns in %q, kestrel %d", name, y, line, x)
		}
	}
	return nil
}

// literals compares the automaton with cloudflare/ahocorasick and Go's regexp on the literals that the rules look for
// in command lines, over the command lines of the log.
func (r *runner) literals(rules []ir.Rule) (*Patterns, error) {
	words, lines := commandLiterals(rules), r.commandLines()
	if len(words) == 0 || len(lines) == 0 {
		return nil, nil
	}
	patterns := make([]dfabuild.Pattern, len(words))
	for i, w := range words {
		patterns[i] = dfabuild.Pattern{Kind: dfabuild.Contains, Text: w}
	}
	k, err := newKestrelSet(patterns)
	if err != nil {
		return nil, err
	}
	t := newTrial(r, "literals of the rules over the log's command lines", len(words), lines)
	t.run(Matcher{Name: "kestrel", Bytes: k.bytes}, lines, k.match)
	var ac *ahocorasick.Matcher
	size := heapOf(func() { ac = ahocorasick.NewStringMatcher(words) })
	find := func(line []byte) int { return len(ac.Match(line)) }
	if err := agree("ahocorasick", lines, k.match, find); err != nil {
		return nil, err
	}
	t.run(Matcher{Name: "cloudflare/ahocorasick", Bytes: size}, lines, find)
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	if err := t.regexps(quoted, k.match); err != nil {
		return nil, err
	}
	return &t.out, nil
}

func newTrial(r *runner, what string, patterns int, lines [][]byte) *trial {
	bytes := 0
	for _, line := range lines {
		bytes += len(line)
	}
	return &trial{r: r, lines: lines, out: Patterns{What: what, Patterns: patterns, Lines: len(lines),
		LineBytes: float64(bytes) / float64(len(lines))}}
}

// regexps times Go's regexp: each pattern by itself, and all in one, which tells only whether any holds.
func (t *trial) regexps(list []string, kestrel func([]byte) int) error {
	var each []*regexp.Regexp
	var any *regexp.Regexp
	var err error
	size := heapOf(func() { each, err = compileEach(list) })
	if err != nil {
		return err
	}
	find := func(line []byte) (n int) {
		for _, re := range each {
			if re.Match(line) {
				n++
			}
		}
		return n
	}
	lines := t.lines[:min(len(t.lines), slowLines)]
	if err := agree("regexp", lines, kestrel, find); err != nil {
		return err
	}
	m := Matcher{Name: "regexp, pattern by pattern", Bytes: size, Note: fmt.Sprintf("over %d lines", len(lines))}
	t.run(m, lines, find)
	const alternation = "regexp, one alternation"
	size = heapOf(func() { any, err = regexp.Compile("(?s)" + strings.Join(list, "|")) })
	runtime.KeepAlive(each) // freed meanwhile, it would be taken off the size
	if err != nil {
		t.add(Matcher{Name: alternation, Absent: err.Error()})
		return nil
	}
	m = Matcher{Name: alternation, Bytes: size, Note: fmt.Sprintf("over %d lines; says only whether any holds", len(lines))}
	t.run(m, lines, func(line []byte) int {
		if any.Match(line) {
			return 1
		}
		return 0
	})
	return nil
}

func compileEach(list []string) (each []*regexp.Regexp, err error) {
	for _, p := range list {
		re, err := regexp.Compile("(?s)" + p)
		if err != nil {
			return nil, err
		}
		each = append(each, re)
	}
	return each, nil
}

// heapOf is what f leaves on the heap.
func heapOf(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what lies in a sync.Pool outlives the first
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// literalMin is the least length of a literal that is worth looking for by itself.
const literalMin = 3

// commandLiterals are the different literals that rules look for inside command lines, in their order.
func commandLiterals(rules []ir.Rule) (list []string) {
	seen := map[string]bool{}
	for i := range rules {
		for _, stage := range rules[i].Conditions() {
			ir.Walk(stage.Cond, func(n ir.Node) bool {
				test, ok := n.(ir.StringTest)
				if !ok || test.Field != event.FieldCommandLine {
					return true
				}
				for _, p := range test.Patterns {
					if p.Kind != ir.Contains && p.Kind != ir.Wildcard {
						continue
					}
					for _, w := range strings.FieldsFunc(p.Text, func(c rune) bool { return c == '*' || c == '?' }) {
						if len(w) >= literalMin && !seen[w] {
							seen[w] = true
							list = append(list, w)
						}
					}
				}
				return true
			}, nil)
		}
	}
	return list
}

// commandLines are the command lines of the log's executions.
func (r *runner) commandLines() (list [][]byte) {
	for _, batch := range r.events.batches {
		for i := range batch {
			v, ok := batch[i].Bytes(event.FieldCommandLine)
			if ok && batch[i].Own.Type() == event.TypeExec && len(list) < linesMax {
				list = append(list, bytes.ReplaceAll(v, []byte{0}, []byte{' '}))
			}
		}
	}
	return list
}

const (
	wildcardPatterns  = 3000
	wildcardLineBytes = 87
	vocabularyWords   = 2000
)

// wildcards compares wildcard patterns over lines of 87 bytes, both made from one vocabulary by a seed, with regexp and,
// where its program is there, Hyperscan.
func (r *runner) wildcards() (*Patterns, error) {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, wildcardPatterns))
	texts, lines := makeWildcards(rnd, wildcardPatterns, linesMax)
	patterns := make([]dfabuild.Pattern, len(texts))
	regexes := make([]string, len(texts))
	for i, text := range texts {
		patterns[i] = dfabuild.Pattern{Kind: dfabuild.Wildcard, Text: text}
		regexes[i] = wildcardRegex(text)
	}
	k, err := newKestrelSet(patterns)
	if err != nil {
		return nil, err
	}
	t := newTrial(r, "wildcards over command lines, seed "+strconv.FormatUint(r.cfg.Seed, 10), len(texts), lines)
	t.run(Matcher{Name: "kestrel", Bytes: k.bytes}, lines, k.match)
	found := 0
	for _, line := range lines {
		found += k.match(line)
	}
	if err := t.hyperscan(regexes, found); err != nil {
		return nil, err
	}
	if err := t.regexps(regexes, k.match); err != nil {
		return nil, err
	}
	return &t.out, nil
}

// makeWildcards makes patterns of three kinds, `*word*word*` the most, and lines of words.
func makeWildcards(rnd *rand.Rand, patterns, lines int) (texts []string, out [][]byte) {
	vocabulary := make([]string, vocabularyWords)
	for i := range vocabulary {
		w := make([]byte, 4+rnd.IntN(7))
		for j := range w {
			w[j] = 'a' + byte(rnd.IntN(26))
		}
		vocabulary[i] = string(w)
	}
	word := func() string { return vocabulary[rnd.IntN(len(vocabulary))] }
	for i := range patterns {
		switch i % 5 {
		case 0:
			texts = append(texts, "?"+word()[1:]+"*"+word()+"*")
		case 1:
			texts = append(texts, word()+"*"+word()+"*"+word())
		default:
			texts = append(texts, "*"+word()+"*"+word()+"*")
		}
	}
	for range lines {
		line := []byte(word())
		for len(line) < wildcardLineBytes {
			line = append(append(line, " /-="[rnd.IntN(4)]), word()...)
		}
		out = append(out, line[:wildcardLineBytes])
	}
	return texts, out
}

func wildcardRegex(text string) string {
	var b strings.Builder
	b.WriteByte('^')
	for _, c := range text {
		switch c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteByte('$')
	// What may be anything at either end need not be said.
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "^.*"), ".*$")
}

// hyperscanResult is what the program in bench/hyperscan prints.
type hyperscanResult struct {
	Version  string  `json:"version"`
	Best     float64 `json:"best_ns"`
	Median   float64 `json:"median_ns"`
	Rounds   int     `json:"rounds"`
	Database int64   `json:"database_bytes"`
	Scratch  int64   `json:"scratch_bytes"`
	Matches  int     `json:"matches"`
}

// hyperscan runs the same patterns and lines through Hyperscan in a process of its own.
func (t *trial) hyperscan(regexes []string, want int) error {
	const name = "Hyperscan"
	if t.r.cfg.Hyperscan == "" {
		t.add(Matcher{Name: name, Absent: "its program is not there: make bench-hyperscan, or --hyperscan FILE"})
		return nil
	}
	dir, err := os.MkdirTemp("", "kestrel-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	patterns, lines := filepath.Join(dir, "patterns"), filepath.Join(dir, "lines")
	if err := os.WriteFile(patterns, []byte(strings.Join(regexes, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(lines, append(bytes.Join(t.lines, []byte{'\n'}), '\n'), 0o600); err != nil {
		return err
	}
	out, err := exec.Command(t.r.cfg.Hyperscan, patterns, lines).Output()
	if err != nil {
		return fmt.Errorf("%s: %w", t.r.cfg.Hyperscan, err)
	}
	var h hyperscanResult
	if err := json.Unmarshal(out, &h); err != nil {
		return fmt.Errorf("%s: %w", t.r.cfg.Hyperscan, err)
	}
	if h.Matches != want {
		return fmt.Errorf("hyperscan has %d matches, kestrel %d", h.Matches, want)
	}
	t.add(Matcher{Name: name, Line: Timing{h.Best, h.Median, h.Rounds}, Bytes: h.Database + h.Scratch,
		Note: fmt.Sprintf("%s; database %d bytes, scratch %d", h.Version, h.Database, h.Scratch)})
	return nil
}
