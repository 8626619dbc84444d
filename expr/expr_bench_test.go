package expr_test

import (
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/ir"
)

// BenchmarkEval evaluates conditions as rules have them, and the worst that an event can do to one.
func BenchmarkEval(b *testing.B) {
	args := []string{"/usr/bin/curl", "-s", "-o", "/tmp/x", "https://example.com/payload"}
	ev := process("curl", "/usr/bin/curl", args...)
	ctx := &expr.Context{Event: ev}
	ctx.Stages[0] = alert.AppendEvidence(make([]byte, 0, 8192), process("bash", "/usr/bin/bash", "-c", "x"), 8192)
	long := process("x", "/x", strings.Split(strings.Repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00", 255)+"b", "\x00")...)
	for _, c := range []struct {
		name string
		ctx  *expr.Context
		n    ir.Node
	}{
		{"length", ctx, ir.Test{X: op(ir.FnGt, op(ir.FnLength, own(event.FieldExecutable)), 40)}},
		{"arithmetic", ctx, ir.Test{X: op(ir.FnEq, op(ir.FnMod, op(ir.FnAdd, own(event.FieldPID), 3), 5), 1.5)}},
		{"earlier event", ctx, ir.Test{X: op(ir.FnEq, own(event.FieldExecutable), ir.Value{Field: event.FieldExecutable})}},
		{"between", ctx, ir.Test{X: op(ir.FnEq, op(ir.FnBetween, own(event.FieldExecutable), "/", "/"), "bin")}},
		{"in any case", ctx, ir.Test{X: fold(ir.FnStringContains, own(event.FieldCommandLine), own(event.FieldName))}},
		{"array of 5", ctx, ir.Test{X: op(ir.FnGt, op(ir.FnLength, own(event.FieldArgs)), 40)}},
		{"regex", ctx, ir.Test{X: ir.Match{X: op(ir.FnSubstring, own(event.FieldExecutable), 4), Patterns: []ir.Pattern{{Kind: ir.Regex, Text: "/[a-z]{3,8}/.*[0-9]"}}}}},
		{"array of 256", &expr.Context{Event: long}, ir.Test{X: fold(ir.FnStringContains, own(event.FieldArgs), op(ir.FnConcat, "c", own(event.FieldName)))}},
	} {
		b.Run(c.name, func(b *testing.B) {
			set, p := program(b, c.n)
			sc := set.NewScratch()
			for b.Loop() {
				set.Eval(p, c.ctx, sc)
			}
		})
	}
}
