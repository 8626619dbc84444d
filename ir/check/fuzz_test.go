package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// FuzzRule checks whatever the parser makes of any text, wrong or right: the checker must take it all, and what it gives
// without an error keeps the promises of package ir.
func FuzzRule(f *testing.F) {
	for _, s := range []string{
		"process where process.nam == \"x\" and user.id = 5 and foo.bar : \"x\"",
		"sequence by process.entity_id [process where true] [file where file.path like 5] until [",
		"sequence with maxspan=1m [process where ] by user.id ![file where 1 + 1 == 2] | head 5",
		"any where (user.id == \"0\") == true and not destination.ip in (\"10.0.0.0/8\", $HOME)",
		"process where", "", "sequence", "sample by [", "process where length(process.name) > -2.5",
		"sequence by ?no.field, process.args with maxspan=5s ![network where true] [process where true] with runs=3 as a " +
			"[file where a.process.name == file.name and startsWith~(a.process.args, process.args)] until [any where user.id == 0]",
		"sample by host.id [process where process.pid + 1 == 2] by user.id [file where null == (user.id > 1)] by ?user.name",
		"process where descendant of [process where child of [file where file.path == \"x\"]] and process.name in (\"a\", user.name, null)",
		"process where concat(process.name, 1, null, ?x, process.pid == 1) : (\"a*\", \"b\") and number(process.name, 16) % 3 >= 1.5",
		"network where cidrMatch(string(source.ip), \"::/0\") or indexOf~(between(process.name, \"a\", \"b\", true), \"c\", -1) != null",
		"process where substring(process.name, 1, -2) regex~ (\"a+\", \"b\") or (process.pid == 1) == process.interactive",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	for _, file := range []string{"testdata/lower.txt", "testdata/diagnostics.txt"} {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq("\n"+string(src), "\n-- ") {
			head, text, _ := strings.Cut(block, "\n")
			text, _, _ = strings.Cut(text, "\n= ")
			text, _, _ = strings.Cut(text, "\n! ")
			f.Add(text, strings.HasPrefix(head, "elastic"))
		}
	}
	f.Fuzz(func(t *testing.T, s string, elastic bool) {
		d := eql.Kestrel
		if elastic {
			d = eql.Elastic
		}
		q, ds := eql.Parse("fuzz", []byte(s), d)
		rule, all := Rule(q, ds, Globals{"HOME": {"10.0.0.0/8", int64(5)}})
		if all.HasErrors() {
			return
		}
		if err := sound(&rule); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	})
}

// sound checks what everybody behind the checker takes for granted.
func sound(r *ir.Rule) error {
	positive, missing, runs := 0, 0, 0
	for i := range r.Stages {
		s := &r.Stages[i]
		if len(s.Keys) != len(r.Stages[0].Keys) {
			return fmt.Errorf("stage %d has %d keys", i, len(s.Keys))
		}
		if s.Runs > limits.RunsMax || s.Missing && s.Runs > 1 {
			return fmt.Errorf("stage %d runs %d times", i, s.Runs)
		}
		runs = max(runs, s.Runs)
		if s.Missing {
			missing++
		} else {
			positive++
		}
		if err := soundNode(s.Cond, r, i); err != nil {
			return fmt.Errorf("stage %d: %w", i, err)
		}
	}
	if r.Until != nil {
		if err := soundNode(r.Until.Cond, r, 0); err != nil {
			return fmt.Errorf("until: %w", err)
		}
	}
	switch {
	case positive == 0 || len(r.Stages) > limits.StagesMax:
		return fmt.Errorf("%d stages", positive)
	case missing > 0 && r.MaxSpan == 0:
		return fmt.Errorf("missing events without maxspan")
	case r.Form == ir.FormEvent && (len(r.Stages) != 1 || r.Until != nil || runs > 0):
		return fmt.Errorf("an event query of %d stages", len(r.Stages))
	case r.Form == ir.FormSequence && len(r.Stages) < 2 && runs < 2:
		return fmt.Errorf("a sequence of one event")
	case r.Form == ir.FormSample && (missing > 0 || runs > 0 || r.Until != nil || r.MaxSpan > 0 || len(r.Stages[0].Keys) == 0):
		return fmt.Errorf("a sample with what only sequences have")
	}
	return nil
}

// soundNode checks the fields that a condition of stage at reads.
func soundNode(n ir.Node, r *ir.Rule, at int) (err error) {
	ir.Walk(n, func(n ir.Node) bool {
		if err == nil {
			err = soundTest(n, r)
		}
		return err == nil
	}, func(x ir.Expr) bool {
		if err == nil {
			err = soundValue(x, r, at)
		}
		return err == nil
	})
	return err
}

// soundTest checks a condition by itself, without the values and conditions that it is made of.
func soundTest(n ir.Node, r *ir.Rule) error {
	switch n := n.(type) {
	case ir.And, ir.Or, ir.Not, ir.Test, ir.IsNull, ir.Const:
		return nil
	case ir.Lineage:
		if len(n.Event.Keys) > 0 || n.Event.Runs > 0 || n.Event.Missing {
			return fmt.Errorf("lineage of more than an event")
		}
		return soundNode(n.Event.Cond, r, 0)
	case ir.Present:
		return soundField(n.Field)
	case ir.StringTest:
		if len(n.Patterns) == 0 {
			return fmt.Errorf("a test without patterns")
		}
		if n.Field.Kind() == event.KindTime {
			return fmt.Errorf("a text test of a time")
		}
		return soundField(n.Field)
	case ir.IntTest:
		return soundNumber(n.Field)
	case ir.IntIn:
		return soundNumber(n.Field)
	case ir.IPIn:
		if n.Field.Kind() != event.KindIP {
			return fmt.Errorf("a network of %s", n.Field.Kind())
		}
	case ir.StringOrder:
		if family(n.Field.Kind()) != event.KindString || n.Cmp < ir.Lt {
			return fmt.Errorf("order %v of %s", n.Cmp, n.Field.Kind())
		}
	case ir.FieldTest:
		a, b := n.Left.Kind(), n.Right.Kind()
		if !fieldsCompare(a, n.Cmp, b) {
			return fmt.Errorf("%s and %s compared", a, b)
		}
	default:
		return fmt.Errorf("unexpected %T", n)
	}
	return nil
}

func soundField(f event.FieldID) error {
	if !f.Known() {
		return fmt.Errorf("unknown field %d", f)
	}
	return nil
}

func soundNumber(f event.FieldID) error {
	if !f.Kind().IsNumber() {
		return fmt.Errorf("a number test of %s", f.Kind())
	}
	return soundField(f)
}

// soundValue checks that a value reads what is there: steps before this one that take events.
func soundValue(x ir.Expr, r *ir.Rule, at int) error {
	switch x := x.(type) {
	case ir.Value:
		if x.Stage != ir.Own && (x.Stage < 0 || x.Stage >= at || r.Stages[x.Stage].Missing) {
			return fmt.Errorf("reads stage %d", x.Stage)
		}
		return soundField(x.Field)
	case ir.Lit:
		switch x.Value.(type) {
		case nil, bool, int64, float64, string:
			return nil
		}
		return fmt.Errorf("constant %T", x.Value)
	case ir.Op:
		if x.Fn >= ir.Fns {
			return fmt.Errorf("operation %d", x.Fn)
		}
		return nil
	case ir.Match:
		if len(x.Patterns) == 0 {
			return fmt.Errorf("a match without patterns")
		}
		return nil
	case ir.InNet, ir.Cond:
		return nil
	}
	return fmt.Errorf("unexpected %T", x)
}
