package build

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/expr"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// compiler makes the code of one program. Variables have the numbers in which they were met until sortVars.
type compiler struct {
	b     *Builder
	marks func(ir.Lineage) int
	code  []expr.Instr
	vars  []expr.Var
	temps int
	later bool
	err   error
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *compiler) emit(op expr.Op, arg uint8, aux uint16, operand uint32) int {
	c.code = append(c.code, expr.Instr{Op: op, Arg: arg, Aux: aux, Operand: operand})
	return len(c.code) - 1
}

func (c *compiler) truth(t ir.Truth) { c.emit(expr.OpTruth, uint8(t), 0, 0) }

// fn emits an operation on the last values.
func (c *compiler) fn(fn ir.Fn, fold bool, args int) {
	operand := uint32(0)
	if fold {
		operand = expr.FnFold
	}
	c.emit(expr.OpFn, uint8(fn), uint16(args), operand)
}

// variable is the number of a field read in some way.
func (c *compiler) variable(f event.FieldID, stage int, read expr.Read) int {
	if !f.Known() || stage < ir.Own || stage >= limits.StagesMax {
		c.fail("field %d of step %d is unknown", f, stage)
		return 0
	}
	if !readable(f.Kind(), read) {
		c.fail("%s is of kind %s and cannot be read as is asked", event.FieldByID(f).Name, f.Kind())
		return 0
	}
	c.later = c.later || stage >= 0
	v := expr.Var{Field: uint16(f), Stage: int8(stage), Read: read}
	if i := slices.Index(c.vars, v); i >= 0 {
		return i
	}
	c.vars = append(c.vars, v)
	return len(c.vars) - 1
}

// readable tells whether a field of a kind can be read in some way.
func readable(kind event.Kind, read expr.Read) bool {
	switch read {
	case expr.ReadNumber:
		return kind.IsNumber()
	case expr.ReadRaw:
		return kind == event.KindIP
	case expr.ReadValue, expr.ReadText:
		return kind != event.KindStrings
	}
	return true
}

func (c *compiler) push(f event.FieldID, stage int, read expr.Read) {
	c.emit(expr.OpVar, 0, 0, uint32(c.variable(f, stage, read)))
}

// node emits code that leaves the truth of a condition.
func (c *compiler) node(n ir.Node) {
	switch n := n.(type) {
	case ir.And:
		c.junction(n.Args, ir.True, expr.OpAnd, expr.OpJumpFalse)
	case ir.Or:
		c.junction(n.Args, ir.False, expr.OpOr, expr.OpJumpTrue)
	case ir.Not:
		c.node(n.Arg)
		c.emit(expr.OpNot, 0, 0, 0)
	case ir.IsTrue:
		c.node(n.Arg)
		c.emit(expr.OpIsTrue, 0, 0, 0)
	case ir.Const:
		c.truth(n.Value)
	case ir.Test:
		c.test(n.X, expr.Any)
	case ir.IsNull:
		c.test(n.X, expr.AllNull)
	case ir.Lineage:
		c.lineage(n)
	default:
		c.leaf(n)
	}
}

// junction emits And or Or. Once the value is decided the rest is skipped; null decides nothing.
func (c *compiler) junction(args []ir.Node, empty ir.Truth, op, jump expr.Op) {
	if len(args) == 0 {
		c.truth(empty)
		return
	}
	var jumps []int
	for i, a := range args {
		c.node(a)
		if i > 0 {
			c.emit(op, 0, 0, 0)
		}
		if i < len(args)-1 {
			jumps = append(jumps, c.emit(jump, 0, 0, 0))
		}
	}
	for _, j := range jumps {
		c.code[j].Operand = uint32(len(c.code))
	}
}

func (c *compiler) lineage(n ir.Lineage) {
	c.later = true
	mark := -1
	if c.marks != nil {
		mark = c.marks(n)
	}
	if mark < 0 || mark >= limits.MarksMax {
		c.fail("more than %d different conditions on ancestors", limits.MarksMax)
		return
	}
	c.emit(expr.OpLineage, uint8(n.Rel), 0, uint32(mark))
}

// leaf emits a test of a field by the machine's own means, with the meaning that automata and tables give it.
func (c *compiler) leaf(n ir.Node) {
	switch n := n.(type) {
	case ir.Present:
		c.push(n.Field, ir.Own, expr.ReadPresent)
	case ir.StringTest:
		m, err := c.b.matcher(n.Patterns)
		if err != nil {
			c.fail("%w", err)
		}
		c.texts([]event.FieldID{n.Field}, func() { c.emit(expr.OpMatch, 0, 0, m) })
	case ir.StringOrder:
		c.texts([]event.FieldID{n.Field}, func() {
			c.emit(expr.OpText, 0, 0, c.b.addText(n.Value))
			c.fn(comparison(n.Cmp), false, 2)
		})
	case ir.IntTest:
		c.push(n.Field, ir.Own, expr.ReadNumber)
		c.emit(expr.OpInt, 0, 0, c.b.number(n.Value))
		c.fn(comparison(n.Cmp), false, 2)
	case ir.IntIn:
		c.push(n.Field, ir.Own, expr.ReadNumber)
		c.emit(expr.OpIn, 0, 0, c.b.numberSet(n.Values))
	case ir.IPIn:
		c.push(n.Field, ir.Own, expr.ReadRaw)
		c.emit(expr.OpNet, 1, 0, c.b.netSet(n.Prefixes))
	case ir.FieldTest:
		if n.Left.Known() && n.Left.Kind().IsNumber() {
			c.push(n.Left, ir.Own, expr.ReadNumber)
			c.push(n.Right, ir.Own, expr.ReadNumber)
			c.fn(comparison(n.Cmp), false, 2)
			return
		}
		// For arrays, unequal means that no pair of elements is equal.
		c.texts([]event.FieldID{n.Left, n.Right}, func() { c.fn(ir.FnEq, n.Fold, 2) })
		if n.Cmp == ir.Ne {
			c.emit(expr.OpNot, 0, 0, 0)
		}
	default:
		c.fail("BUG: no program for %T", n)
	}
}

func comparison(op ir.Cmp) ir.Fn { return ir.FnEq + ir.Fn(op) }

// texts pushes fields as they are written, and emits body behind them: once for each combination of elements when some
// are arrays.
func (c *compiler) texts(fields []event.FieldID, body func()) {
	var arrays []int
	for _, f := range fields {
		if f.Known() && f.Kind() == event.KindStrings {
			arrays = append(arrays, c.variable(f, ir.Own, expr.ReadArray))
		}
	}
	loop := c.begin(arrays, expr.Any)
	element := 0
	for _, f := range fields {
		if f.Known() && f.Kind() == event.KindStrings {
			c.emit(expr.OpElement, uint8(element), 0, 0)
			element++
			continue
		}
		c.push(f, ir.Own, expr.ReadText)
	}
	body()
	c.end(loop)
}

// begin emits the head of a body that goes through arrays; without any there is no body.
func (c *compiler) begin(arrays []int, mode uint8) (loop int) {
	switch len(arrays) {
	case 0:
		return -1
	case 1:
		return c.emit(expr.OpAny, mode, expr.Arrays(arrays[0], -1), 0)
	}
	return c.emit(expr.OpAny, mode, expr.Arrays(arrays[0], arrays[1]), 0)
}

func (c *compiler) end(loop int) {
	if loop >= 0 {
		c.code[loop].Operand = uint32(len(c.code))
	}
}

// scope is what an expression over arrays has been given beforehand.
type scope struct {
	arrays []ir.Value // whose elements are at hand
	conds  []int      // temporaries of its conditions, in their order
}

// test emits Test or IsNull.
func (c *compiler) test(x ir.Expr, mode uint8) {
	arrays := arraysOf(x, nil)
	if len(arrays) == 0 {
		c.expr(x, nil)
		switch {
		case mode == expr.AllNull:
			c.emit(expr.OpIsNull, 0, 0, 0)
		case !isTruth(x):
			c.emit(expr.OpAsTruth, 0, 0, 0)
		}
		return
	}
	if len(arrays) > arraysMax {
		var names []string
		for _, a := range arrays {
			names = append(names, ir.DescribeExpr(a))
		}
		c.fail("a computed value of %d arrays at once: %s (max %d)", len(arrays), strings.Join(names, ", "), arraysMax)
		return
	}
	s := &scope{arrays: arrays}
	c.hoist(x, s)
	var vars []int
	for _, a := range arrays {
		vars = append(vars, c.variable(a.Field, a.Stage, expr.ReadArray))
	}
	loop := c.begin(vars, mode)
	c.expr(x, s)
	c.end(loop)
}

// arraysMax is how many arrays a test can go through at once: the combinations of more would be too many.
const arraysMax = 2

// arraysOf appends the different arrays that an expression reads, without those inside its conditions.
func arraysOf(x ir.Expr, to []ir.Value) []ir.Value {
	switch x := x.(type) {
	case ir.Value:
		if x.Field.Known() && x.Field.Kind() == event.KindStrings && !slices.Contains(to, x) {
			to = append(to, x)
		}
	case ir.Op:
		for _, a := range x.Args {
			to = arraysOf(a, to)
		}
	case ir.Match:
		return arraysOf(x.X, to)
	case ir.InNet:
		return arraysOf(x.X, to)
	}
	return to
}

// hoist computes the conditions inside an expression into temporaries.
func (c *compiler) hoist(x ir.Expr, s *scope) {
	switch x := x.(type) {
	case ir.Cond:
		c.node(x.Node)
		c.emit(expr.OpStore, 0, 0, uint32(c.temps))
		s.conds = append(s.conds, c.temps)
		c.temps++
	case ir.Op:
		for _, a := range x.Args {
			c.hoist(a, s)
		}
	case ir.Match:
		c.hoist(x.X, s)
	case ir.InNet:
		c.hoist(x.X, s)
	}
}

// isTruth tells whether an expression can only be a truth value or null.
func isTruth(x ir.Expr) bool {
	switch x := x.(type) {
	case ir.Match, ir.InNet, ir.Cond:
		return true
	case ir.Op:
		switch x.Fn {
		case ir.FnEndsWith, ir.FnStartsWith, ir.FnStringContains, ir.FnEq, ir.FnNe, ir.FnLt, ir.FnLe, ir.FnGt, ir.FnGe:
			return true
		}
	}
	return false
}

// expr emits code that leaves the value of an expression. s is nil outside of bodies.
func (c *compiler) expr(x ir.Expr, s *scope) {
	switch x := x.(type) {
	case ir.Value:
		if s != nil {
			if i := slices.Index(s.arrays, x); i >= 0 {
				c.emit(expr.OpElement, uint8(i), 0, 0)
				return
			}
		}
		c.push(x.Field, x.Stage, expr.ReadValue)
	case ir.Lit:
		c.literal(x.Value)
	case ir.Op:
		c.op(x, s)
	case ir.Match:
		m, err := c.b.matcher(x.Patterns)
		if err != nil {
			c.fail("%w", err)
		}
		c.expr(x.X, s)
		c.emit(expr.OpMatch, 0, 0, m)
	case ir.InNet:
		set := c.b.netSet(x.Prefixes)
		if v, ok := x.X.(ir.Value); ok && v.Field.Known() && v.Field.Kind() == event.KindIP {
			c.push(v.Field, v.Stage, expr.ReadRaw)
			c.emit(expr.OpNet, 1, 0, set)
			return
		}
		c.expr(x.X, s)
		c.emit(expr.OpNet, 0, 0, set)
	case ir.Cond:
		if s == nil {
			c.node(x.Node)
			return
		}
		c.emit(expr.OpTemp, 0, 0, uint32(s.conds[0]))
		s.conds = s.conds[1:]
	default:
		c.fail("BUG: no program for %T", x)
	}
}

func (c *compiler) op(x ir.Op, s *scope) {
	if x.Fn >= ir.Fns {
		c.fail("BUG: no operation %d", x.Fn)
		return
	}
	least, most := expr.Fn(x.Fn).Arity()
	if len(x.Args) < least || len(x.Args) > most {
		c.fail("operation %d of %d values (takes %d to %d)", x.Fn, len(x.Args), least, most)
		return
	}
	for _, a := range x.Args {
		c.expr(a, s)
	}
	c.fn(x.Fn, x.Fold, len(x.Args))
}

func (c *compiler) literal(v any) {
	switch v := v.(type) {
	case nil:
		c.truth(ir.Null)
	case bool:
		if v {
			c.truth(ir.True)
		} else {
			c.truth(ir.False)
		}
	case int64:
		c.emit(expr.OpInt, 0, 0, c.b.number(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			c.fail("%v is no number", v)
			return
		}
		c.emit(expr.OpFloat, 0, 0, c.b.number(int64(math.Float64bits(v))))
	case string:
		c.emit(expr.OpText, 0, 0, c.b.addText(v))
	default:
		c.fail("BUG: a constant of type %T", v)
	}
}

// depth is the greatest number of values on the stack.
func (c *compiler) depth() int {
	depth, most := 0, 0
	ends := make(map[int]int) // ends of bodies: the depth before them
	for i, in := range c.code {
		if d, ok := ends[i]; ok {
			depth = d + 1
		}
		switch in.Op {
		case expr.OpJumpFalse, expr.OpJumpTrue, expr.OpMatch, expr.OpNet, expr.OpIn, expr.OpNot, expr.OpIsTrue,
			expr.OpIsNull, expr.OpAsTruth:
		case expr.OpAny:
			ends[int(in.Operand)] = depth
		case expr.OpFn:
			depth += 1 - int(in.Aux)
		case expr.OpAnd, expr.OpOr, expr.OpStore:
			depth--
		default:
			depth++
		}
		most = max(most, depth)
	}
	return most
}

// sortVars brings the variables into the order of their stages and fields.
func (c *compiler) sortVars() {
	sorted := slices.Clone(c.vars)
	slices.SortFunc(sorted, func(a, b expr.Var) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Read, b.Read))
	})
	place := func(old int) int { return slices.Index(sorted, c.vars[old]) }
	for i := range c.code {
		in := &c.code[i]
		switch in.Op {
		case expr.OpVar:
			in.Operand = uint32(place(int(in.Operand)))
		case expr.OpAny:
			a, b := int(in.Aux&0xff), int(in.Aux>>8)
			if b >= len(sorted) {
				b = -1
			} else {
				b = place(b)
			}
			in.Aux = expr.Arrays(place(a), b)
		}
	}
	c.vars = sorted
}
