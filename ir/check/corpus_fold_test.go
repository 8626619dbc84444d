package check_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/internal/corpus"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// TestCorpusValues compares the values of constant expressions, of any type, with those that Elasticsearch finds: each is
// put into a comparison that must come to true, and what Elasticsearch refuses must be refused.
func TestCorpusValues(t *testing.T) {
	values, refused := 0, 0
	for _, c := range slices.Concat(corpus.Cases(t, "es_fold"), corpus.Cases(t, "es_string_functions")) {
		if c.Unsupported {
			continue
		}
		literal, err := json.Marshal(c.Expected)
		if err != nil {
			t.Fatal(err)
		}
		text := "(" + c.Expression + ") == " + string(literal)
		if c.ExpectError {
			text = "string(" + c.Expression + `) == "x"`
		}
		x, ds := eql.ParseExpr("", []byte(text), eql.Elastic)
		if ds.HasErrors() {
			t.Errorf("%s: %s: %v", c.ID, text, ds)
			continue
		}
		n, ds := check.Expr(eql.NewSource("", text), x, eql.Elastic, nil)
		switch k, isConst := n.(ir.Const); {
		case c.ExpectError:
			refused++
			if !ds.HasErrors() {
				t.Errorf("%s: %s is %#v, want an error", c.ID, text, n)
			}
		case ds.HasErrors():
			t.Errorf("%s: %s: %v", c.ID, text, ds)
		case !isConst || k.Value != ir.True:
			t.Errorf("%s: %s is %#v, want true", c.ID, text, n)
		default:
			values++
		}
	}
	t.Logf("%d constant expressions have the value that Elasticsearch finds, %d are refused as there", values, refused)
}

// deviceFields are fields of the device of the types that the conformance cases' fields have.
var deviceFields = map[string]string{
	"process_name": "process.name", "process_path": "process.executable", "command_line": "process.command_line",
	"parent_process_name": "process.parent.name", "original_file_name": "process.parent.name", "user_name": "user.name",
	"file_name": "file.name", "file_path": "file.path", "image_path": "file.path", "event_subtype_full": "event.action",
	"constant_keyword": "host.id", "name": "process.name", "path": "file.path", "missing_field": "user.name",
	"fake_field": "user.name", "bad_field": "user.name", "hostname": "host.name", "user_domain": "user.name",
	"pid": "process.pid", "ppid": "process.parent.pid", "unique_pid": "process.pid", "unique_ppid": "process.parent.pid",
	"serial_event_id": "process.args_count", "opcode": "process.parent.args_count", "exit_code": "process.exit_code",
	"event_id": "process.args_count", "source_address": "source.ip", "source_ip": "source.ip",
	"destination_address": "destination.ip", "destination_ip": "destination.ip", "destination_port": "destination.port",
	"source_port": "source.port", "bool": "process.interactive",
}

var deviceCategories = map[string]string{"process": "process", "file": "file", "network": "network", "registry": "driver",
	"image_load": "driver", "security": "authentication", "something": "any", "dns": "dns"}

// caseNames are names of fields and categories; what stands in quotes or before a parenthesis is none.
var caseNames = regexp.MustCompile(`"""[^"]*"""|"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9.]*[ \t]*\(?`)

// keywords of the language that look like names.
var keywords = []string{"and", "or", "not", "in", "like", "regex", "where", "sequence", "by", "with", "maxspan", "until",
	"any", "true", "false", "null", "head", "tail", "sample", "join", "runs", "ms", "s", "m", "h", "d", "like~", "regex~"}

// onDevice puts the device's names into a query; ok is false when a field has none.
func onDevice(query string) (text string, ok bool) {
	ok = true
	text = caseNames.ReplaceAllStringFunc(query, func(word string) string {
		name := strings.TrimRight(word, " \t")
		blank := word[len(name):]
		if name[0] == '"' || strings.HasSuffix(name, "(") && !slices.Contains(keywords, strings.TrimRight(name, " \t(")) ||
			slices.Contains(keywords, strings.TrimRight(name, " \t(")) {
			return word
		}
		if to := deviceFields[name]; to != "" {
			return to + blank
		}
		if to := deviceCategories[name]; to != "" {
			return to + blank
		}
		ok = false
		return word
	})
	return text, ok && !strings.ContainsAny(query, "`")
}

// refusedForRules are the reasons for which rules do not take what Elasticsearch does: the forms of hunts, and the
// comparisons of fields that its analysis lets through and its execution refuses.
var refusedForRules = []string{"is not for rules", "compares with constants only"}

// TestCorpusTypes: queries that Elasticsearch accepts pass the type checker when their fields are
// fields of the device.
func TestCorpusTypes(t *testing.T) {
	for _, suite := range []struct {
		name string
		most int // that may be refused for the reasons above
	}{{"es_translator", 3}, {"es_accept", 20}} {
		good, refused, unmapped := 0, 0, 0
		for _, c := range corpus.Cases(t, suite.name) {
			if c.Level == "syntax" {
				continue
			}
			text, ok := onDevice(c.Query)
			if !ok {
				unmapped++
				continue
			}
			q, ds := eql.Parse(c.ID, []byte(text), eql.Elastic)
			_, ds = check.Rule(q, ds, nil)
			if !ds.HasErrors() {
				good++
				continue
			}
			for _, d := range ds {
				if d.Severity == eql.Error && !slices.ContainsFunc(refusedForRules, func(r string) bool { return strings.Contains(d.Msg, r) }) {
					t.Errorf("%s: %s\n%s", c.ID, text, d.String())
				}
			}
			refused++
		}
		t.Logf("%s: %d type-check, %d are refused for rules, %d have fields that no field of the device stands for",
			suite.name, good, refused, unmapped)
		if refused > suite.most || good == 0 {
			t.Errorf("%s: %d refused (max %d)", suite.name, refused, suite.most)
		}
	}
}
