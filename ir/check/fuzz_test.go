package check

import (
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
)

// FuzzRule checks whatever the parser makes of any text, wrong or right: the checker must take it all.
func FuzzRule(f *testing.F) {
	for _, s := range []string{
		"process where process.nam == \"x\" and user.id = 5 and foo.bar : \"x\"",
		"sequence by process.entity_id [process where true] [file where file.path like 5] until [",
		"sequence with maxspan=1m [process where ] by user.id ![file where 1 + 1 == 2] | head 5",
		"any where (user.id == \"0\") == true and not destination.ip in (\"10.0.0.0/8\", $HOME)",
		"process where", "", "sequence", "sample by [", "process where length(process.name) > -2.5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, ds := eql.Parse("fuzz", []byte(s), eql.Kestrel)
		rule, all := Rule(q, ds, Globals{"HOME": {"10.0.0.0/8", int64(5)}})
		if !all.HasErrors() && len(rule.Stages) == 0 {
			t.Fatal("no error and no stage")
		}
	})
}
