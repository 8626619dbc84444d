package check_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// corpusDir holds public rules and conformance cases; it is not part of the repository.
const corpusDir = "../../../shared/corpus"

type corpusCase struct {
	ID           string `json:"id"`
	Query        string `json:"query"`
	Expression   string `json:"expression"`
	Expected     any    `json:"expected"`
	ExpectedNull bool   `json:"expected_null"`
	ExpectError  bool   `json:"expect_error"`
	Unsupported  bool   `json:"es_unsupported"`
}

func readCorpus(t *testing.T, file string) []corpusCase {
	t.Helper()
	f, err := os.Open(filepath.Join(corpusDir, file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no corpus beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []corpusCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4*eql.MaxSourceBytes)
	for lines.Scan() {
		var c corpusCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// reasonNames cut out of a message what differs from rule to rule.
var reasonNames = regexp.MustCompile(`"[^"]*"|\([^)]*\)| [a-z_]+\.[A-Za-z_.]+`)

// TestCorpusRules counts how many of the public Linux rules this version takes, and what the others need, by the first
// thing that is said of each.
func TestCorpusRules(t *testing.T) {
	for _, set := range []struct {
		file string
		d    eql.Dialect
	}{{"rules/linux_detection_rules.jsonl", eql.Elastic}, {"rules/linux_protections_artifacts.jsonl", eql.Kestrel},
		{"rules/linux_other.jsonl", eql.Elastic}} {
		good, reasons, fields := 0, make(map[string]int), make(map[string]int)
		cases := readCorpus(t, set.file)
		for _, c := range cases {
			q, parsed := eql.Parse(c.ID, []byte(c.Query), set.d)
			_, ds := check.Rule(q, parsed, nil)
			if !ds.HasErrors() {
				good++
				continue
			}
			first := true
			for _, d := range ds {
				if d.Severity == eql.Warning {
					continue
				}
				if f, ok := strings.CutPrefix(d.Msg, "unknown field "); ok {
					fields[f]++
				}
				if first {
					reasons[reasonNames.ReplaceAllString(d.Msg, " _")]++
					first = false
				}
			}
		}
		t.Logf("%s: %d of %d rules compile", set.file, good, len(cases))
		logSorted(t, reasons, 12)
		logSorted(t, fields, 25)
	}
}

func logSorted(t *testing.T, counts map[string]int, most int) {
	type count struct {
		what string
		n    int
	}
	var list []count
	for what, n := range counts {
		list = append(list, count{what, n})
	}
	slices.SortFunc(list, func(a, b count) int {
		if a.n != b.n {
			return b.n - a.n
		}
		if a.what < b.what {
			return -1
		}
		return 1
	})
	for _, c := range list[:min(most, len(list))] {
		t.Logf("  %4d %s", c.n, c.what)
	}
}

// TestCorpusFolding compares what the checker makes of constant conditions with what Elasticsearch does. What it does not
// take yet is counted; what it takes must come to the same truth.
func TestCorpusFolding(t *testing.T) {
	taken, refused := 0, 0
	for _, c := range slices.Concat(readCorpus(t, "conformance/es_fold.jsonl"), readCorpus(t, "conformance/es_string_functions.jsonl")) {
		want, isBool := c.Expected.(bool)
		if c.ExpectError || c.Unsupported || !isBool && !c.ExpectedNull {
			continue
		}
		x, ds := eql.ParseExpr("", []byte(c.Expression), eql.Elastic)
		if ds.HasErrors() {
			t.Errorf("%s: %s: %v", c.ID, c.Expression, ds)
			continue
		}
		n, ds := check.Expr(eql.NewSource("", c.Expression), x, eql.Elastic, nil)
		if ds.HasErrors() {
			refused++
			continue
		}
		taken++
		truth := ir.Null
		switch {
		case c.ExpectedNull:
		case want:
			truth = ir.True
		default:
			truth = ir.False
		}
		if k, ok := n.(ir.Const); !ok || k.Value != truth {
			t.Errorf("%s: %s is %#v, want %s", c.ID, c.Expression, n, truth)
		}
	}
	t.Logf("%d constant conditions folded as Elasticsearch does, %d not supported", taken, refused)
}
