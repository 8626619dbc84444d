package shape

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hotRoots are the functions that run for every event or alert, by folder. What they call is followed through all
// packages of codeFolders. A star stands for any ending; a name that fits nothing is a violation.
var hotRoots = map[string][]string{
	"bpf/ring":    {"(*Reader).Next", "(*Reader).Release", "(*Reader).Wait", "(*Reader).Avail", "(*Counters).Read"},
	"dfa":         {"(*Set).Scan", "(*Hits).*"},
	"engine":      {"(*Engine).Step", "(*Engine).Sequence", "(*Engine).Holds", "(*Engine).Flush", "(*worker).*"},
	"event":       {"Check", "ClassOf", "EntityID", "Record.*", "(*Event).*", "(*Builder).*"},
	"event/alert": {"AppendEvidence", "AppendWhole", "Check", "(*Builder).*", "Alert.*", "Evidence.*", "(*Events).*", "(*Fields).*"},
	"event/proc":  {"(*Table).Apply", "(*Table).Release", "(*Table).Barrier", "(*Table).Host", "(*Table).Len"},
	"event/ring":  {"(*Ring).*"},
	"agent":       {"(*pipeline).add", "(*pipeline).flush", "alertPusher.Push"},
	"sink":        {"(*File).Write", "(*File).Flush", "(*Stdout).Write", "(*Stdout).Flush"},
	"expr":        {"(*Set).Eval", "(*Set).Later"},
	"lineage":     {"(*Table).*"},
	"nfa":         {"(*Sequencer).Event", "(*Sequencer).Advance", "(*Sequencer).Active", "(*Pending).*"},
	"suppress":    {"(*Table).Raise", "Key.*"},
}

// codeFolders are the packages whose code is listed.
var codeFolders = []string{
	"agent", "bpf/ring", "dfa", "engine", "event", "event/alert", "event/proc", "event/ring", "expr", "image", "lineage",
	"nfa", "sink", "suppress",
}

// harmless are the functions outside these packages that hot code may call. A star stands for any ending.
var harmless = map[string]string{
	"runtime.morestack*":           "grows the stack",
	"runtime.panic*":               "a bug",
	"runtime.gopanic":              "a bug; a constant message is no allocation",
	"runtime.goPanic*":             "a bug",
	"runtime.gcWriteBarrier*":      "works while the collector runs; its buffer is the processor's",
	"runtime.wb*":                  "works while the collector runs; its buffer is the processor's",
	"runtime.memmove":              "copies",
	"runtime.memclr*":              "clears",
	"runtime.memequal*":            "compares",
	"runtime.ifaceeq":              "compares",
	"runtime.efaceeq":              "compares",
	"runtime.duff*":                "copies or clears",
	"runtime.chansend1":            "hands over; what a parked goroutine needs comes from the runtime's own cache",
	"runtime.chanrecv*":            "hands over; what a parked goroutine needs comes from the runtime's own cache",
	"runtime.selectgo":             "hands over; what a parked goroutine needs comes from the runtime's own cache",
	"runtime.cmpstring":            "compares",
	"internal/bytealg.*":           "compares and searches bytes",
	"internal/runtime/atomic.*":    "computes",
	"bytes.Cut":                    "gives parts of its argument",
	"bytes.Index":                  "searches",
	"bytes.LastIndex":              "searches",
	"math/bits.*":                  "computes",
	"math.mod":                     "computes",
	"sync/atomic.*":                "computes",
	"unicode/utf8.*":               "reads code points",
	"strconv.IsPrint":              "looks up a table",
	"internal/strconv.Append*":     "appends to the caller's buffer, which holds the longest number",
	"strconv.Append*":              "appends to the caller's buffer, which holds the longest number",
	"internal/strconv.genericFtoa": "appends to the caller's buffer, which holds the longest number",
	"strconv.ParseFloat":           "allocates for an error only, and expr has checked the text",
	"net/netip.Addr.AppendTo":      "appends to the caller's buffer, which holds the longest address",
	"time.Time.AppendFormat":       "appends to the caller's buffer, which holds the layout",

	// System calls that take numbers and buffers; those that take a path copy it. An error number below 256 becomes an
	// error without an allocation.
	"golang.org/x/sys/unix.Close":     "a system call",
	"golang.org/x/sys/unix.EpollWait": "a system call",
	"golang.org/x/sys/unix.Fstat":     "a system call",
	"golang.org/x/sys/unix.Fsync":     "a system call",
	"golang.org/x/sys/unix.Getdents":  "a system call",
	"golang.org/x/sys/unix.Poll":      "a system call",
	"golang.org/x/sys/unix.Seek":      "a system call",
	"golang.org/x/sys/unix.Syscall":   "a system call",
	"golang.org/x/sys/unix.pread":     "a system call",
	"golang.org/x/sys/unix.write":     "a system call",
}

// indirect is the target of a call through a pointer, an interface or a closure.
const indirect = "(indirect)"

// codeExceptions: folder.function, of the source line and not of what it was inlined into, and what it calls. A star
// stands for any ending of either.
var codeExceptions = exceptions{
	"engine.appendNumber runtime.growslice":         "two bytes into an empty buffer of textMax",
	"event/proc.(*store).release runtime.growslice": "the free list has room for every block",
	"event/proc.(*store).retire runtime.growslice":  "limbo has room for LimboBlocks; take panics in a longer batch",
	"bpf/ring.fail runtime.newobject":               "the reader is at its end: the descriptor failed",
	"engine.(*Engine).finish " + indirect:           "the receiver: agent.alertPusher, a root of its own, or a replay",
	"expr.appendFloat runtime.growslice":            "the buffer has room for the longest number: textNumberMax",
	"expr.(*Scratch).fromInt runtime.growslice":     "the buffer has room for the longest number: textNumberMax",
	"nfa.(*Sequencer).hand " + indirect:             "the emitter: engine.(*Engine).Sequence, a root of its own",
	"nfa.(*Sequencer).holds " + indirect:            "the emitter: engine.(*Engine).Holds, a root of its own",

	"sink.* runtime.growslice":                      "the buffer has room for the longest alert: BufferBytesMin",
	"sink.(*File).open golang.org/x/sys/unix.*":     "a path, at a rotation",
	"sink.(*File).rename golang.org/x/sys/unix.*":   "a path, at a rotation",
	"sink.(*File).sweep golang.org/x/sys/unix.*":    "a path, at a rotation",
	"sink.(*File).scan golang.org/x/sys/unix.*":     "a path, at a rotation",
	"sink.(*File).scan runtime.slicebytetostring":   "a path, at a rotation",
	"sink.(*File).retire runtime.slicebytetostring": "a path, at a rotation",
}

// call is a call in the object code.
type call struct {
	target string
	file   string
	line   int
}

// listing is the calls of each function, by symbol.
type listing map[string][]call

// parseListing reads what the compiler prints under -S:
//
//	path/pkg.(*Type).Method STEXT size=160 args=0x18 locals=0x40 funcid=0x0 align=0x0
//		0x0014 00020 (/folder/file.go:12)	CALL	runtime.newobject(SB)
//
// The position is that of the innermost inlined function.
func parseListing(b []byte) (listing, error) {
	l := listing{}
	symbol := ""
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "\t") {
			name, _, text := strings.Cut(line, " STEXT ")
			if symbol = ""; text {
				symbol = name
				l[symbol] = nil
			}
			continue
		}
		if c, ok := parseCall(line); ok && symbol != "" {
			l[symbol] = append(l[symbol], c)
		}
	}
	return l, lines.Err()
}

func parseCall(line string) (c call, ok bool) {
	place, instr, ok := strings.Cut(line, ")\t")
	if !ok || !strings.HasPrefix(line, "\t0x") {
		return c, false
	}
	op, target, _ := strings.Cut(instr, "\t")
	target, direct := strings.CutSuffix(strings.TrimSpace(target), "(SB)")
	switch op {
	case "CALL", "BL":
		if !direct {
			target = indirect
		}
	case "JMP", "B": // a tail call, when it leaves the function
		if !direct {
			return c, false
		}
	default:
		return c, false
	}
	for _, abi := range []string{"<0>", "<1>", "<ABI0>", "<ABIInternal>"} {
		target = strings.TrimSuffix(target, abi)
	}
	_, place, _ = strings.Cut(place, "(")
	if i := strings.LastIndexByte(place, ':'); i >= 0 {
		c.line, _ = strconv.Atoi(place[i+1:])
		place = place[:i]
	}
	c.file, c.target = place, target
	return c, true
}

// listings are what was compiled already, by architecture.
var listings = map[string]listing{}

const allocFixture = "internal/shape/testdata/alloc"

// compile lists the code of codeFolders and of the canary for an architecture. Nothing of it runs.
func compile(t *testing.T, arch string) listing {
	t.Helper()
	if l := listings[arch]; l != nil {
		return l
	}
	args := []string{"build", "-gcflags=-S", "-trimpath=false", "-race=false", "--"}
	for _, f := range append(slices.Clone(codeFolders), allocFixture) {
		args = append(args, "./"+f)
	}
	_, out := goCommand(t, arch, args...)
	l, err := parseListing(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(l) < 200 {
		t.Fatalf("the compiler listed %d functions:\n%s", len(l), tail(out))
	}
	listings[arch] = l
	return l
}

// fits tells whether a name fits a pattern with a star at its end.
func fits(pattern, name string) bool {
	prefix, star := strings.CutSuffix(pattern, "*")
	return name == pattern || star && strings.HasPrefix(name, prefix)
}

func isHarmless(target string) bool {
	for pattern := range harmless {
		if fits(pattern, target) {
			return true
		}
	}
	return false
}

// codeGate follows the calls of hot functions.
type codeGate struct {
	tree   *tree
	root   string // of the tree, as it stands in the listing's positions
	code   listing
	except exceptions
	used   map[string]bool
	via    map[string]string // by symbol: who called it
	told   map[string]bool   // violations, which inlining may repeat
	list   []string
}

// follow walks all that the roots reach and returns the violations.
func (g *codeGate) follow(roots map[string][]string) []string {
	g.via, g.told = map[string]string{}, map[string]bool{}
	symbols := slices.Sorted(maps.Keys(g.code))
	var todo []string
	for _, folder := range slices.Sorted(maps.Keys(roots)) {
		for _, pattern := range roots[folder] {
			n := len(todo)
			for _, s := range symbols {
				if name, ok := strings.CutPrefix(s, g.tree.module+"/"+folder+"."); ok && fits(pattern, name) {
					todo = append(todo, s)
				}
			}
			if n == len(todo) {
				g.list = append(g.list, fmt.Sprintf("%s has no function %s", folder, pattern))
			}
		}
	}
	for _, s := range todo {
		g.via[s] = ""
	}
	for len(todo) > 0 {
		s := todo[0]
		todo = todo[1:]
		for _, c := range g.code[s] {
			if _, ok := g.code[c.target]; !ok {
				g.leave(s, c)
			} else if _, seen := g.via[c.target]; !seen {
				g.via[c.target] = s
				todo = append(todo, c.target)
			}
		}
	}
	return g.list
}

// leave judges a call of a function whose code is not listed.
func (g *codeGate) leave(symbol string, c call) {
	if isHarmless(c.target) {
		return
	}
	where, source := g.source(symbol, c)
	for key := range g.except {
		if from, to, _ := strings.Cut(key, " "); fits(from, source) && fits(to, c.target) {
			g.used[key] = true
			return
		}
	}
	v := fmt.Sprintf("%s: %s calls %s, which allocates or is not known not to", where, source, c.target)
	if g.told[v] {
		return
	}
	g.told[v] = true
	path := g.short(symbol)
	for s := g.via[symbol]; s != ""; s = g.via[s] {
		path = g.short(s) + " > " + path
	}
	g.list = append(g.list, v+", in the code of "+path)
}

func (g *codeGate) short(symbol string) string { return strings.TrimPrefix(symbol, g.tree.module+"/") }

// source is where a call stands in the source and the function that it stands in, when that is this module's.
func (g *codeGate) source(symbol string, c call) (where, function string) {
	name, ok := strings.CutPrefix(filepath.ToSlash(c.file), g.root+"/")
	if !ok {
		return fmt.Sprintf("%s:%d", c.file, c.line), g.short(symbol)
	}
	where = fmt.Sprintf("%s:%d", name, c.line)
	for _, folder := range g.tree.folders {
		for _, f := range folder.files {
			if tf := g.tree.fset.File(f.ast.Pos()); f.path == name && c.line <= tf.LineCount() {
				if fn := enclosing(f.ast, tf.LineStart(c.line)); fn != "" {
					return where, folder.path + "." + fn
				}
			}
		}
	}
	return where, g.short(symbol)
}

func newCodeGate(t *testing.T, arch string, except exceptions) *codeGate {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return &codeGate{
		tree: theTree(t), root: filepath.ToSlash(dir), code: compile(t, arch), except: except, used: map[string]bool{},
	}
}

func TestObjectCode(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for two architectures")
	}
	used := map[string]bool{}
	for _, arch := range architectures {
		t.Run(arch, func(t *testing.T) {
			g := newCodeGate(t, arch, codeExceptions)
			report(t, g.follow(hotRoots))
			maps.Copy(used, g.used)
			t.Logf("%d functions", len(g.via))
		})
	}
	report(t, codeExceptions.unneeded(used))
}

func TestObjectCodeCanary(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for two architectures")
	}
	for _, arch := range architectures {
		t.Run(arch, func(t *testing.T) {
			for root, want := range map[string]string{
				"New":      "runtime.newobject",
				"Deep":     "alloc.Deep > internal/shape/testdata/alloc.middle > internal/shape/testdata/alloc.bottom",
				"Grow":     "runtime.growslice",
				"Store":    "runtime.mapassign",
				"Load":     "runtime.mapaccess",
				"Join":     "runtime.concatstring",
				"Convert":  "runtime.slicebytetostring",
				"Box":      "runtime.convT",
				"Indirect": indirect,
				"Close":    "runtime.newobject",
				"Spawn":    "runtime.newproc",
				"Missing":  "has no function Missing",
			} {
				got := newCodeGate(t, arch, nil).follow(map[string][]string{allocFixture: {root}})
				if len(got) == 0 || !strings.Contains(got[0], want) {
					t.Errorf("%s: got %q, want %q", root, got, want)
				}
			}
			mustCatch(t, newCodeGate(t, arch, nil).follow(map[string][]string{allocFixture: {"Clean"}}))
		})
	}
}
