package expr

import (
	"bytes"
	"math"

	"github.com/kestrel-detection/kestrel/limits"
)

// Eval is the truth of a program.
//
// Preconditions: program < Programs(), and sc comes from this set's NewScratch.
func (s *Set) Eval(program uint32, ctx *Context, sc *Scratch) Truth {
	p := &s.programs[program]
	sc.used = 0
	clear(sc.temps[:p.Temps])
	s.read(p, ctx, sc)
	s.run(s.code[p.Code:p.Code+uint32(p.Len)], 0, int(p.Len), 0, ctx, sc)
	return sc.stack[0].truth()
}

// run executes the instructions from pc to end. Its values lie from base on; one is left there.
func (s *Set) run(code []Instr, pc, end, base int, ctx *Context, sc *Scratch) {
	stack := sc.stack
	n := base // values on the stack
	for pc < end {
		in := &code[pc]
		pc++
		switch in.Op {
		case OpVar:
			stack[n] = sc.vars[in.Operand]
			n++
		case OpInt:
			stack[n].kind, stack[n].n = kindInt, s.numbers[in.Operand]
			n++
		case OpText:
			t := s.texts[in.Operand]
			stack[n].kind, stack[n].text = kindText, s.text[t.Start:t.Start+t.Len]
			n++
		case OpElement:
			stack[n] = sc.elements[in.Arg]
			n++
		case OpFn:
			n -= int(in.Aux)
			stack[n] = s.apply(in, stack[n:n+int(in.Aux)], sc)
			n++
		case OpMatch, OpNet, OpIn, OpNot, OpIsTrue, OpIsNull, OpAsTruth:
			stack[n-1].set(s.test(in, &stack[n-1], sc))
		case OpAnd:
			n--
			stack[n-1].set(and(stack[n-1].truth(), stack[n].truth()))
		case OpOr:
			n--
			stack[n-1].set(or(stack[n-1].truth(), stack[n].truth()))
		case OpJumpFalse, OpJumpTrue:
			if stack[n-1].truth() == False+Truth(in.Op-OpJumpFalse) {
				pc = int(in.Operand)
			}
		case OpAny:
			stack[n].set(s.any(code, in, pc, n, ctx, sc))
			n++
			pc = int(in.Operand)
		case OpStore:
			n--
			sc.temps[in.Operand] = stack[n]
		default:
			stack[n] = s.push(in, ctx, sc)
			n++
		}
	}
}

// push is the value of the other instructions that take none.
func (s *Set) push(in *Instr, ctx *Context, sc *Scratch) value {
	switch in.Op {
	case OpTruth:
		return fromTruth(Truth(in.Arg))
	case OpTemp:
		return sc.temps[in.Operand]
	case OpFloat:
		return float(math.Float64frombits(uint64(s.numbers[in.Operand])))
	}
	marks := ctx.Lineage.Own
	switch in.Arg {
	case ChildOf:
		marks = ctx.Lineage.Parent
	case DescendantOf:
		marks = ctx.Lineage.Ancestors
	}
	return boolean(marks>>in.Operand&1 != 0)
}

// test is the truth that an instruction makes of one value.
func (s *Set) test(in *Instr, v *value, sc *Scratch) Truth {
	switch in.Op {
	case OpNot:
		return not(v.truth())
	case OpIsTrue:
		return truthOf(v.truth() == True)
	case OpIsNull:
		return truthOf(v.kind == kindNull)
	case OpAsTruth:
		return v.truth()
	case OpIn:
		if v.kind != kindInt {
			return Null
		}
		return truthOf(s.inNumbers(s.sets[in.Operand], v.n))
	}
	if v.kind != kindText {
		return Null
	}
	if in.Op == OpMatch {
		return truthOf(s.match(&s.matchers[in.Operand], v.text, sc))
	}
	var a addr
	var ok bool
	if in.Arg != 0 {
		a, ok = rawAddr(v.text)
	} else {
		a, ok = parseAddr(v.text)
	}
	return truthOf(ok && s.inNet(s.sets[in.Operand], a))
}

func (s *Set) inNumbers(set Span, n int64) bool {
	list := s.numbers[set.Start : set.Start+set.Len]
	lo, hi := 0, len(list)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if list[mid] < n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(list) && list[lo] == n
}

// any executes the body from pc on for each combination of the elements of one or two arrays. An array that is not
// there is null once. Texts that a body made are gone when it ends.
func (s *Set) any(code []Instr, in *Instr, pc, base int, ctx *Context, sc *Scratch) Truth {
	a, b := sc.vars[in.Aux&0xff], value{}
	if second := in.Aux >> 8; second != noVar {
		b = sc.vars[second]
	}
	mark := sc.used
	sum, combos := Null, 0
	moreA := true
	for moreA {
		sc.elements[0], moreA = cut(&a)
		inner, moreB := b, true
		for moreB {
			sc.elements[1], moreB = cut(&inner)
			if combos == limits.CombosMax {
				sc.Cut++
				return result(in.Arg, sum)
			}
			combos++
			s.run(code, pc, int(in.Operand), base, ctx, sc)
			sc.used = mark
			v := &sc.stack[base]
			if in.Arg == AllNull {
				if v.kind != kindNull {
					return False
				}
				continue
			}
			if sum = max(sum, v.truth()); sum == True {
				return True
			}
		}
	}
	return result(in.Arg, sum)
}

// result is the value of OpAny when no combination has decided it.
func result(mode uint8, sum Truth) Truth {
	if mode == AllNull {
		return True
	}
	return sum
}

// cut takes the first element off an array.
func cut(array *value) (element value, more bool) {
	if array.kind != kindText {
		return value{}, false
	}
	if i := bytes.IndexByte(array.text, 0); i >= 0 {
		element = text(array.text[:i])
		array.text = array.text[i+1:]
		return element, true
	}
	return *array, false
}

// apply is the value of an operation. A nil argument of a kind it does not take makes it null.
func (s *Set) apply(in *Instr, args []value, sc *Scratch) value {
	fold := in.Operand&FnFold != 0
	switch fn := Fn(in.Arg); fn {
	case FnAdd, FnSub, FnMul, FnDiv, FnMod:
		return arithmetic(fn, &args[0], &args[1])
	case FnEq, FnNe, FnLt, FnLe, FnGt, FnGe:
		return compare(fn, &args[0], &args[1], fold)
	case FnNeg:
		switch args[0].kind {
		case kindInt:
			return negate(args[0].n)
		case kindFloat:
			return float(-args[0].float())
		}
		return value{}
	case FnConcat:
		return sc.concat(args)
	case FnString:
		return sc.written(&args[0])
	case FnNumber:
		if args[0].isNumber() {
			return args[0]
		}
		if args[0].kind != kindText {
			return value{}
		}
		base := value{}
		if len(args) > 1 {
			base = args[1]
		}
		return number(args[0].text, &base)
	case FnEndsWith, FnStartsWith, FnStringContains:
		if args[0].kind != kindText || args[1].kind != kindText {
			return value{}
		}
		return sc.testText(fn, args[0].text, args[1].text, fold)
	}
	if args[0].kind != kindText {
		return value{}
	}
	return sc.textFn(Fn(in.Arg), args, fold)
}

// testText is a test of one text for another. Every text contains the empty one.
func (sc *Scratch) testText(fn Fn, t, part []byte, fold bool) value {
	switch fn {
	case FnEndsWith:
		return boolean(hasSuffix(t, part, fold))
	case FnStartsWith:
		return boolean(hasPrefix(t, part, fold))
	}
	found, ok := sc.contains(t, part, fold)
	if !ok {
		return value{}
	}
	return boolean(found)
}

// textFn is an operation whose first argument is a text and whose last ones may be left out or null.
func (sc *Scratch) textFn(fn Fn, args []value, fold bool) value {
	t := args[0].text
	switch fn {
	case FnLength:
		return integer(count(t))
	case FnIndexOf:
		start, _, ok := position(args, 2)
		if !ok || args[1].kind != kindText {
			return value{}
		}
		return sc.indexOf(t, args[1].text, start, fold)
	case FnSubstring:
		start, _, ok := position(args, 1)
		end, toEnd, ok2 := position(args, 2)
		if !ok || !ok2 {
			return value{}
		}
		return substring(t, start, end, toEnd)
	}
	greedy := len(args) > 3 && args[3].truth() == True
	if args[1].kind != kindText || args[2].kind != kindText || len(args) > 3 && args[3].kind > kindBool {
		return value{}
	}
	return sc.between(t, args[1].text, args[2].text, greedy, fold)
}

// position is an argument that counts code points: 0 when it is left out or null. ok is false when it is something
// else.
func position(args []value, i int) (n int64, none, ok bool) {
	if i >= len(args) || args[i].kind == kindNull {
		return 0, true, true
	}
	return args[i].n, false, args[i].kind == kindInt
}
