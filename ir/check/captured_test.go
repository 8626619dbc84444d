package check_test

import (
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// TestUnfilled: a rule is warned of each field that no captured event has, once a step, and of no other.
func TestUnfilled(t *testing.T) {
	for text, want := range map[string]string{
		`process where process.name == "a" and process.session_leader.name == "b" and user.Ext.real.id == 0`: "",
		`process where process.env_vars == "A=b" or process.env_vars : "C=*"`:                                "process.env_vars",
		`process where ?process.env_vars == "A=b"`:                                                           "",
		`process where not (process.entry_leader.name == "a" or container.id != null)`:                       "process.entry_leader.name container.id",
		`process where event.action == "exec" and process.exit_code == 1`:                                    "",
		`file where event.action == "creation" and file.size > 3 and file.path == "/a"`:                      "file.size",
		`any where auditd.result == "success"`:                                                               "auditd.result",
		`sequence [process where container.id == "a"] by container.id [network where true] by event.module`:  "container.id event.module",
		`network where network.direction == "egress" and event.kind == "event"`:                              "",
		// The category, or the action, is what is missing: its fields are not told of besides.
		`authentication where source.ip == "10.0.0.1" and event.module == "system"`:   "authentication",
		`process where event.action == "ptrace" and process.Ext.ptrace.child_pid > 1`: "event.action",
		`file where file.path == "/a" and dns.question.name == "b"`:                   "dns.question.name",
	} {
		q, parsed := eql.Parse("", []byte(text), eql.Kestrel)
		_, ds := check.Rule(q, parsed, nil)
		var got []string
		for _, d := range ds {
			if d.Severity != eql.Warning {
				t.Errorf("%s: %v", text, d)
			}
			for _, w := range strings.FieldsFunc(d.Msg, func(r rune) bool { return r == ' ' || r == ':' }) {
				if strings.Contains(w, ".") || w == "authentication" {
					got = append(got, w)
					break
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s:\nwarned of %q, want %q\n%v", text, got, want, ds)
		}
	}
}
