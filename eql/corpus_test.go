package eql

import (
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/internal/corpus"
)

// parseSyntax parses a case as what it is, a query or an expression.
func parseSyntax(c corpus.Case, d Dialect) (Node, Diagnostics) {
	if c.Query == "" || c.Entry == "expression" {
		x, diags := ParseExpr(c.ID, []byte(c.Expression+c.Query), d)
		return x, diags
	}
	q, diags := Parse(c.ID, []byte(c.Query), d)
	return q, diags
}

// parseCase is parseSyntax followed by Check.
func parseCase(c corpus.Case, d Dialect) (Node, Diagnostics) {
	n, diags := parseSyntax(c, d)
	if q, ok := n.(*Query); ok && !diags.HasErrors() {
		diags = append(diags, Check(q)...)
	}
	return n, diags
}

func TestCorpusRules(t *testing.T) {
	for _, file := range corpus.RuleFiles(t) {
		accepted, elastic := 0, 0
		cases := corpus.Rules(t, file)
		for _, c := range cases {
			q, diags := parseCase(c, Kestrel)
			switch {
			case len(diags) == 0:
				accepted++
				roundTrip(t, q, Kestrel)
			case c.Dialect == "elasticsearch" && strings.Contains(diags[0].Msg, "keyword `as`"):
				// ECS has fields such as source.as.number, and Kestrel reserves the word, as Elastic's endpoint does.
			default:
				t.Errorf("%s: %s", file, diags)
			}
			if c.Dialect == "elasticsearch" {
				if _, diags := parseCase(c, Elastic); len(diags) > 0 {
					t.Errorf("%s: elastic dialect: %s", file, diags)
					continue
				}
				elastic++
			}
		}
		t.Logf("%s: %d of %d rules accepted in kestrel, %d in elastic", file, accepted, len(cases), elastic)
	}
}

// Every query or expression of these suites is syntactically valid.
func TestCorpusAccepted(t *testing.T) {
	suites := map[string]Dialect{
		"es_accept": Elastic, "es_translator": Elastic, "es_queries": Elastic, "es_additional": Elastic,
		"es_date": Elastic, "es_date_nanos": Elastic, "es_extra": Elastic, "es_missing_events": Elastic,
		"es_sample": Elastic, "es_sample_multi": Elastic, "es_fold": Elastic, "es_string_functions": Elastic,
		"endgame_accept": Endgame, "endgame_queries": Endgame, "endgame_fold": Endgame,
		"endgame_string_functions": Endgame, "endgame_optimizer": Endgame,
	}
	for suite, d := range suites {
		cases := corpus.Cases(t, suite)
		accepted := 0
		for _, c := range cases {
			n, diags := parseSyntax(c, d)
			if diags.HasErrors() && c.Unsupported {
				continue
			}
			if diags.HasErrors() {
				t.Errorf("%s in %s:\n%s\n%s", c.ID, d, c.Query+c.Expression, diags)
				continue
			}
			accepted++
			roundTrip(t, n, d)
			if d != Elastic {
				continue
			}
			if m, diags := parseSyntax(c, Kestrel); diags.HasErrors() {
				t.Errorf("%s in kestrel: %s", c.ID, diags)
			} else if kestrel, elastic := Format(m, Kestrel), Format(n, Elastic); kestrel != elastic {
				t.Errorf("%s: kestrel reads %s, elastic reads %s", c.ID, kestrel, elastic)
			}
		}
		t.Logf("%s: %d of %d accepted in %s", suite, accepted, len(cases), d)
	}
}

func TestCorpusRejected(t *testing.T) {
	dialects := map[string]Dialect{"elasticsearch": Elastic, "endpoint": Kestrel, "endgame": Endgame}
	for _, suite := range []string{"es_reject", "endgame_reject", "dialect_flags"} {
		cases := corpus.Cases(t, suite)
		rejected, syntax, accepted, valid := 0, 0, 0, 0
		for _, c := range cases {
			_, diags := parseCase(c, dialects[c.Dialect])
			if c.Kind == "accept" {
				valid++
				if diags.HasErrors() {
					t.Errorf("%s must be accepted in %s: %s\n%s", c.ID, c.Dialect, c.Query, diags)
				} else {
					accepted++
				}
				continue
			}
			// What python-eql calls a syntax error is one; the rest may be left
			// to the type checker. Elasticsearch gives no class.
			isSyntax := suite == "es_reject" || c.PythonEQL == "EqlSyntaxError"
			switch {
			case diags.HasErrors() && isSyntax:
				rejected++
				syntax++
			case isSyntax:
				syntax++
				t.Errorf("%s (%s) is accepted: %s", c.ID, c.ErrorKind, c.Query)
			}
		}
		t.Logf("%s: %d of %d syntax errors rejected, %d of %d valid accepted", suite, rejected, syntax, accepted, valid)
	}
}
