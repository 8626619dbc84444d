package expr_test

import (
	"math"
	"net/netip"
	"testing"

	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/reference"
)

// FuzzLoad: bytes are refused, or what they hold can be evaluated.
func FuzzLoad(f *testing.F) {
	for _, t := range tables(f) {
		f.Add(t)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The fuzzer's bytes lie anywhere.
		table := make([]byte, len(b))
		copy(table, b)
		if set, err := expr.Load(table); err == nil {
			run(set)
		}
	})
}

// FuzzTexts: functions of any texts and numbers give what the obvious way does.
func FuzzTexts(f *testing.F) {
	for i, s := range []string{"", "10.0.0.1", "::ffff:1.2.3.4", "fe80::1%eth0", "1::2::3", "1:2:3:4:5:6:7:8", "::1.2.3", "01.2.3.4", "0x-1f", "-1e5",
		"1.7e308", "é\xffA", "\xc3", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "12345::", "1.2.3.4.", ":1", "1:"} {
		f.Add(s, "a", "É", int64(1), 2.5, uint8(i))
	}
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/1"), netip.MustParsePrefix("1.2.3.4/31")}
	ev := process("", "")
	f.Fuzz(func(t *testing.T, a, b, c string, n int64, x float64, which uint8) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			x = 0
		}
		calls := []ir.Expr{
			op(ir.FnNumber, a), op(ir.FnNumber, a, n), op(ir.FnNumber, a, n%40), op(ir.FnBetween, a, b, c), fold(ir.FnBetween, a, b, c, true),
			op(ir.FnIndexOf, a, b, n), op(ir.FnIndexOf, a, b, n%20), fold(ir.FnIndexOf, a, b), fold(ir.FnStringContains, a, b), op(ir.FnEndsWith, a, b),
			op(ir.FnSubstring, a, n, 3), op(ir.FnSubstring, a, n%20, -1), op(ir.FnLength, a), op(ir.FnConcat, a, n, x, b), op(ir.FnString, x),
			op(ir.FnMul, n, x), op(ir.FnMod, x, n), op(ir.FnDiv, x, n), op(ir.FnMul, n, n>>20), op(ir.FnGe, n, x), fold(ir.FnLt, a, b),
			ir.InNet{X: lit(a), Prefixes: prefixes},
		}
		call := calls[int(which)%len(calls)]
		// The reference has the value of a constant expression by Apply, and that of a condition.
		var want any
		if o, ok := call.(ir.Op); ok {
			var args []any
			for _, arg := range o.Args {
				args = append(args, arg.(ir.Lit).Value)
			}
			want = ir.Apply(o.Fn, o.Fold, args)
		} else if truth := reference.Eval(ir.Test{X: call}, ev); truth != ir.Null {
			want = truth == ir.True
		}
		node := ir.Node(ir.IsNull{X: call})
		if want != nil {
			node = ir.Test{X: op(ir.FnEq, call, want)}
		}
		if eval(t, node, &expr.Context{Event: ev}) != ir.True {
			t.Fatalf("not %#v: %s", want, ir.DescribeExpr(call))
		}
	})
}
