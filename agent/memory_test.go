package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp/syntax"
	"runtime"
	"strconv"
	"testing"
)

// settleAndTell makes garbage, runs much code, settles and says what is resident before and afterwards. Then it works
// on: all code must still be there.
func settleAndTell(limit string) error {
	heapLimit, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		return err
	}
	var t told
	garbage := make([][]byte, 0, 64)
	for range 64 {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		garbage = append(garbage, b)
	}
	runtime.KeepAlive(garbage)
	garbage = nil
	runMuchCode()
	if t.AllBefore, t.FileBefore, err = smaps(); err != nil {
		return err
	}
	if err := settle(heapLimit); err != nil {
		return err
	}
	if t.AllAfter, t.FileAfter, err = smaps(); err != nil {
		return err
	}
	runMuchCode()
	// The collector is off below the limit and works at it: what is dropped here is many times that.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := 0; i < int(heapLimit); i += 64 << 10 {
		sinkBytes = make([]byte, 1<<20)
	}
	runtime.ReadMemStats(&after)
	t.GC = int(after.NumGC - before.NumGC)
	return tell(t)
}

var sinkBytes []byte

func runMuchCode() {
	for i := range 100 {
		re, err := syntax.Parse(fmt.Sprintf(`(a|b%d)*[x-z]{1,%d}$`, i, i+1), syntax.Perl)
		if err != nil {
			panic(err)
		}
		if _, err := syntax.Compile(re.Simplify()); err != nil {
			panic(err)
		}
	}
}

// TestSettle: what only the start needed is given back, and the process works on with it gone.
func TestSettle(t *testing.T) {
	if _, err := os.Stat("/proc/self/smaps"); err != nil {
		t.Skipf("skipped: the kernel does not say what is resident: %v", err)
	}
	const limit = 32 << 20
	out, err := helperCommand(os.Args[0], "settle", strconv.Itoa(limit)).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got told
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("resident %d KB, of the binary %d KB; settled %d KB, of the binary %d KB", got.AllBefore>>10, got.FileBefore>>10,
		got.AllAfter>>10, got.FileAfter>>10)
	if got.AllBefore < 64<<20 || got.AllAfter > got.AllBefore-48<<20 {
		t.Errorf("resident %d bytes before and %d after: the garbage was not given back", got.AllBefore, got.AllAfter)
	}
	// Of a position independent binary only the code can go.
	if got.FileBefore < 1<<20 || got.FileAfter > got.FileBefore*4/5 {
		t.Errorf("of the binary %d bytes resident before and %d after", got.FileBefore, got.FileAfter)
	}
	if got.GC == 0 {
		t.Error("the collector did not run at the limit")
	}
}

// TestSettlePIE: the same in a binary that a loader moves and writes addresses into, as distributions build them.
func TestSettlePIE(t *testing.T) {
	if os.Getenv("KESTREL_LONG") != "1" {
		t.Skip("skipped: builds everything anew; set KESTREL_LONG=1")
	}
	out, err := exec.Command("go", "test", "-count=1", "-buildmode=pie", "-run=^TestSettle$", ".").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestParseRange(t *testing.T) {
	from, to, ok := parseRange("00400000-00579000 r-xp 00000000 fe:00 1234   /path")
	if !ok || from != 0x400000 || to != 0x579000 {
		t.Errorf("%#x %#x %v", from, to, ok)
	}
	for _, bad := range []string{"", "x", "-", "00400000 r-xp", "00400000-", "00400000-xyz r-xp", "2-1 r-xp", "1-1 r-xp"} {
		if _, _, ok := parseRange(bad); ok {
			t.Errorf("%q is taken for a range", bad)
		}
	}
}
