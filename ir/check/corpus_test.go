package check_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/internal/corpus"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// reasonNames cut out of a message what differs from rule to rule.
var reasonNames = regexp.MustCompile(`"[^"]*"|\([^)]*\)| [a-z_]+\.[A-Za-z_.]+`)

// leftOut are the fields, by how their names begin, that the schema does not have on purpose.
var leftOut = map[string]string{
	"kubernetes.audit.": "the audit log of a Kubernetes API server, which no kernel sees",
	"http.":             "content of a connection, encrypted or read by a proxy only",
	"url.":              "the same",
	"user_agent.":       "the same",
	"file.Ext.entropy":  "takes the whole content of a file",
}

func whyLeftOut(field string) string {
	for prefix, why := range leftOut {
		if strings.HasPrefix(field, prefix) {
			return why
		}
	}
	return ""
}

// refusedMax is how many of the rules for Linux may be refused for a field or category: 3 %.
const refusedMax = 12

// TestCorpusRules counts how many of the public Linux rules this version takes, and what the others need, by the first
// thing that is said of each. A rule that is refused for its fields names only such as are left out on purpose.
func TestCorpusRules(t *testing.T) {
	refused := 0
	for _, set := range corpus.Linux {
		d, err := eql.ParseDialect(set.Dialect)
		if err != nil {
			t.Fatal(err)
		}
		good, warned, reasons := 0, 0, make(map[string]int)
		cases := corpus.Rules(t, set.Name)
		for _, c := range cases {
			q, parsed := eql.Parse(c.ID, []byte(c.Query), d)
			if parsed.HasErrors() {
				t.Errorf("%s %s does not parse: %v", set.Name, c.ID, parsed)
			}
			_, ds := check.Rule(q, parsed, nil)
			if !ds.HasErrors() {
				good++
				if len(ds) > 0 {
					warned++
				}
				continue
			}
			fields, first := schemaErrors(t, c.ID, ds)
			reasons[first]++
			if len(fields) > 0 {
				refused++
				t.Logf("%s is refused for %s: %s", c.ID, strings.Join(fields, ", "), whyLeftOut(fields[0]))
			}
		}
		t.Logf("%s: %d of %d rules compile, %d of these with warnings", set.Name, good, len(cases), warned)
		logSorted(t, reasons, 12)
	}
	if refused > refusedMax {
		t.Errorf("%d rules are refused for a field or category (max %d)", refused, refusedMax)
	}
}

// schemaErrors are the fields that a rule is refused for, and the first thing that is said of it.
func schemaErrors(t *testing.T, id string, ds eql.Diagnostics) (fields []string, first string) {
	for _, d := range ds {
		if d.Severity == eql.Warning {
			continue
		}
		if first == "" {
			first = reasonNames.ReplaceAllString(d.Msg, " _")
		}
		if f, ok := strings.CutPrefix(d.Msg, "unknown field "); ok {
			if !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
			if whyLeftOut(f) == "" {
				t.Errorf("%s: %s is neither in the schema nor left out of it", id, f)
			}
		}
		if strings.HasPrefix(d.Msg, "no events of category") {
			t.Errorf("%s: %s", id, d.Msg)
		}
	}
	return fields, first
}

// TestCorpusFields: every field that a Linux rule of the corpus names, its held-back part included, is in the schema or
// left out on purpose.
func TestCorpusFields(t *testing.T) {
	type set struct {
		Fields     map[string]int `json:"fields"`
		Categories map[string]int `json:"event_categories"`
	}
	var stats struct {
		Core  set `json:"linux_core"`
		Other set `json:"linux_other"`
	}
	corpus.JSON(t, corpus.Path(t, "rules/stats.json"), &stats)
	if len(stats.Core.Fields) == 0 || len(stats.Other.Fields) == 0 {
		t.Fatal("no fields in the statistics")
	}
	left := make(map[string]int)
	for _, s := range []set{stats.Core, stats.Other} {
		for f, n := range s.Fields {
			switch {
			case event.FieldByName(f) != nil:
			case whyLeftOut(f) != "":
				left[f] += n
			default:
				t.Errorf("%s, of %d rules, is neither in the schema nor left out of it", f, n)
			}
		}
		for c, n := range s.Categories {
			if _, ok := event.CategoryByName(c); !ok {
				t.Errorf("category %s, of %d rules, is unknown", c, n)
			}
		}
	}
	logSorted(t, left, len(left))
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
	for _, c := range slices.Concat(corpus.Cases(t, "es_fold"), corpus.Cases(t, "es_string_functions")) {
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
