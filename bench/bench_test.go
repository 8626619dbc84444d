package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/rules"
	"github.com/kestrel-detection/kestrel/testdata"
)

// childVariable makes the test binary the process whose memory is measured.
const childVariable = "KESTREL_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if files := strings.Split(os.Getenv(childVariable), ","); len(files) == 2 {
		if err := Child(files[0], files[1], os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testConfig(t *testing.T) Config {
	t.Helper()
	p, err := rules.Default()
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := p.Compile()
	if err != nil {
		t.Fatal(err)
	}
	log, err := ReadLog(bytes.NewReader(testdata.Capture()), "capture")
	if err != nil {
		t.Fatal(err)
	}
	return Config{Set: p.Set, Image: file, RulesName: "default", Log: log, Rounds: 1, Sizes: []int{10, 200}, Seed: 1,
		Parts: Parts{Throughput: true, Latency: true, Memory: true, NFA: true, Stress: true},
		Self: func(imageFile, logFile string) *exec.Cmd {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), childVariable+"="+imageFile+","+logFile)
			return c
		},
	}
}

// TestRun measures everything once and looks at what must be there whatever the machine.
func TestRun(t *testing.T) {
	if raceEnabled {
		t.Skip("takes minutes under the race detector, and the goroutines in it are the engine's, which has tests of its own")
	}
	cfg := testConfig(t)
	res, err := Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Run(Config{Set: cfg.Set, Image: cfg.Image, Log: cfg.Log, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash != res.Hash {
		t.Errorf("the result hash is %s, and in a second run %s", res.Hash, again.Hash)
	}
	t.Run("keys", func(t *testing.T) { checkKeys(t, res) })
	t.Run("page", func(t *testing.T) { checkPage(t, res) })
	if *res.Allocs != 0 {
		t.Errorf("%d heap objects in %d events on one core", res.Throughput[0].Mallocs, res.Throughput[0].Events)
	}
	if res.Alerts == 0 || res.Matches == 0 {
		t.Errorf("%d alerts, %v matches per event: nothing was done", res.Alerts, res.Matches)
	}
	for _, s := range res.Stress {
		if !s.Balanced || s.Matches == 0 && strings.Contains(s.What, "sequence") {
			t.Errorf("%+v", s)
		}
	}
	if s := res.Stress[2]; s.Evicted == 0 {
		t.Errorf("%s: nothing was evicted: %+v", s.What, s)
	}
	if len(res.Scale) != 2 || res.Scale[1].Direct == nil || res.Scale[1].Direct.Median < res.Scale[1].Event.Median {
		t.Errorf("scale %+v", res.Scale)
	}
	if !bytes.Contains(printed(t, res), []byte(res.Hash)) {
		t.Error("the table does not have the result hash")
	}
}

func printed(t *testing.T, res *Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := res.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// promised are the keys that scripts read.
var promised = []string{"rules", "events", "eps_one_core", "eps_all", "p50_ns", "p99_ns", "p999_ns", "seq_p99_ns",
	"allocs_per_event", "rss_bytes", "anon_bytes", "image_bytes", "match_rate", "predicates_per_event", "result_hash"}

func checkKeys(t *testing.T, res *Result) {
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	var found map[string]any
	if err := json.Unmarshal(b, &found); err != nil {
		t.Fatal(err)
	}
	for _, key := range promised {
		if found[key] == nil {
			t.Errorf("%s is not in the JSON of a run that measured everything, or is null", key)
		}
	}
	none, err := json.Marshal(&Result{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range promised {
		if !bytes.Contains(none, []byte(`"`+key+`":`)) {
			t.Errorf("%s is not in the JSON of a run that did not measure it", key)
		}
	}
}

// checkPage reads the page as XML, which is stricter than HTML.
func checkPage(t *testing.T, res *Result) {
	var b bytes.Buffer
	if err := res.HTML(&b); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	d := xml.NewDecoder(&b)
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
	if count["svg"] != 2 || count["polyline"] != 3 || count["rect"] < 10 || count["pre"] != 1 || count["script"] != 0 {
		t.Errorf("elements of the page: %v", count)
	}
}

// TestHashIsReplays: the result hash is the digest that a replay prints.
func TestHashIsReplays(t *testing.T) {
	cfg := testConfig(t)
	img, err := image.Load(cfg.Image)
	if err != nil {
		t.Fatal(err)
	}
	got, c, err := digest(cfg.Log, img)
	if err != nil {
		t.Fatal(err)
	}
	log, err := evlog.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		t.Fatal(err)
	}
	want, err := agent.Replay(log, img, agent.DeviceSizes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := hexOf(want.Digest[:]); got != w || c.Alerts != want.Engine.Alerts {
		t.Errorf("%d alerts, hash %s; a replay has %d and %s", c.Alerts, got, want.Engine.Alerts, w)
	}
}

// TestRounds: a later round of the log is the same work, also for the process table.
func TestRounds(t *testing.T) {
	cfg := testConfig(t)
	img, err := image.Load(cfg.Image)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlayer(cfg.Log, img, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	var alerts, matches, late uint64
	for round := range 4 {
		p.round()
		c, s := p.eng.Counters(), p.table.Stats()
		if round > 1 && (c.Matches-matches != p.eng.Counters().Matches/uint64(round+1) || s.Late != late) {
			t.Errorf("round %d: %d matches of %d, %d records too late", round, c.Matches-matches, c.Matches, s.Late-late)
		}
		if round > 0 && c.Alerts == alerts {
			t.Errorf("round %d raised no alert", round)
		}
		alerts, matches, late = c.Alerts, c.Matches, s.Late
	}
}

// TestScaled: the same rules for the same number, all different, all of which compile; rules of a copy share what the
// given ones share.
func TestScaled(t *testing.T) {
	cfg := testConfig(t)
	base, err := newRuleSet(cfg.Set.Rules)
	if err != nil {
		t.Fatal(err)
	}
	a, b := base.scaled(300), base.scaled(300)
	one, _, err := build.Build(&ir.Ruleset{Rules: a}, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := build.Build(&ir.Ruleset{Rules: b}, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 300 || !bytes.Equal(one, two) {
		t.Errorf("%d rules; images of %d and %d bytes", len(a), len(one), len(two))
	}
	seen := map[string]bool{}
	for _, r := range a {
		if seen[r.ID] {
			t.Errorf("two rules have the id %s", r.ID)
		}
		seen[r.ID] = true
	}
	v := varier{3}
	for _, text := range []string{"/etc/shadow", "*curl*http://*", "x", "-", ""} {
		got := v.literal(text)
		if len(got) != len(text) || strings.Count(got, "*") != strings.Count(text, "*") || got != v.literal(text) {
			t.Errorf("%q became %q", text, got)
		}
		if len(text) > 3 && (got == text || got == varier{4}.literal(text) || got[:4] != text[:4]) {
			t.Errorf("%q became %q, in the next copy %q", text, got, varier{4}.literal(text))
		}
	}
}

// TestCutLog: a log that cannot be read to its end, or has no event, is refused by name.
func TestCutLog(t *testing.T) {
	whole := testdata.Capture()
	if _, err := ReadLog(bytes.NewReader(whole[:len(whole)/2]), "half"); err == nil || !strings.Contains(err.Error(), "half") {
		t.Errorf("half a log: %v", err)
	}
	name := filepath.Join(t.TempDir(), "empty")
	if err := (&Log{}).write(name); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLog(bytes.NewReader(b), "empty"); err == nil || !strings.Contains(err.Error(), "no event") {
		t.Errorf("a log without events: %v", err)
	}
}

// TestQuantiles against a list one can count.
func TestQuantiles(t *testing.T) {
	samples := make([]uint32, 1001)
	for i := range samples {
		samples[i] = uint32(1000 - i)
	}
	if q := quantiles(samples); q != (Quantiles{1001, 500, 990, 999, 1000}) {
		t.Errorf("%+v", q)
	}
	sum, last := 0, int64(-1)
	for _, b := range histogram(samples) {
		if b.From <= last {
			t.Errorf("bucket %d after %d", b.From, last)
		}
		sum, last = sum+b.Count, b.From
	}
	if sum != len(samples) {
		t.Errorf("%d samples in the histogram of %d", sum, len(samples))
	}
	if q := quantiles(nil); q != (Quantiles{}) {
		t.Errorf("of nothing: %+v", q)
	}
}

// TestCorpus: the public Linux rules run through everything that compares one way of matching with another.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("../../shared/corpus/rules/linux_*.jsonl")
	if err != nil || len(files) == 0 {
		t.Skip("the corpus of public rules is not beside this tree")
	}
	if testing.Short() || raceEnabled {
		t.Skip("takes ten seconds, and minutes under the race detector")
	}
	cfg := testConfig(t)
	cfg.Sizes = []int{50, 500}
	for _, f := range files {
		p, err := rules.Load(f, 0)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Image, _, _, err = p.CompileUsable(); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		cfg.Set, cfg.Parts = p.Set, Parts{NFA: true, Latency: true}
		if _, err := Run(cfg); err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
		}
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}
