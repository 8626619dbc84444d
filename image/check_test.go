package image_test

import (
	"fmt"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// instr finds an instruction of the operation.
func instr(t *testing.T, p *parts, op image.Op) (*image.Instr, string) {
	t.Helper()
	code := table[image.Instr](p, secCode)
	for i := range code {
		if code[i].Op == op {
			return &code[i], fmt.Sprintf("code %d: ", i)
		}
	}
	t.Fatalf("the sample has no instruction of operation %d", op)
	return nil, ""
}

// Some of the sample's rules, and their first stages.
const (
	pair, pairStage       = 3, 3
	long                  = 4
	dropped, droppedStage = 5, 7
	thrice, thriceStage   = 6, 10
	both, bothStage       = 7, 11
	child, childStage     = 8, 13
	mark, inherit         = 9, 10
)

// TestRefusedTables spoils one entry of each table after the other. The error names the table, or, for what only an
// instruction or a rule gives a meaning, that instruction or rule.
func TestRefusedTables(t *testing.T) {
	good := built(t)
	const big = 1 << 30
	type spoil struct {
		name string
		f    func(t *testing.T, p *parts) (what string)
	}
	first := func(f func(p *parts) string) func(*testing.T, *parts) string {
		return func(_ *testing.T, p *parts) string { return f(p) }
	}
	cases := []spoil{
		{"text that is none", first(func(p *parts) string { p.sections[secStrings][0] = 0xff; return "strings" })},

		{"field unknown", first(func(p *parts) string { table[image.FieldSet](p, secFields)[0].Field = 159; return "fields 0: unknown" })},
		{"field beyond", first(func(p *parts) string {
			table[image.FieldSet](p, secFields)[0].Field = 0xffff
			return "fields 0: unknown"
		})},
		{"field twice", first(func(p *parts) string {
			f := table[image.FieldSet](p, secFields)
			f[1].Field = f[0].Field
			return "fields 1: not in order"
		})},
		{"first atom", first(func(p *parts) string { table[image.FieldSet](p, secFields)[1].Base++; return "fields 1: not in order" })},
		{"automaton of another", first(func(p *parts) string {
			table[image.FieldSet](p, secFields)[0].Table = 1
			return "fields 0: not in order"
		})},
		{"number of atoms", first(func(p *parts) string { table[image.FieldSet](p, secFields)[0].Atoms++; return "fields 0: number" })},

		{"atom tests from elsewhere", first(func(p *parts) string { table[uint32](p, secAtomTests)[0] = 1; return "atom tests 0" })},
		{"atom tests backwards", first(func(p *parts) string {
			v := table[uint32](p, secAtomTests)
			v[1], v[2] = v[2], v[1]
			return "atom tests 2"
		})},
		{"atom tests beyond", first(func(p *parts) string {
			v := table[uint32](p, secAtomTests)
			v[len(v)-1] = big
			return fmt.Sprintf("atom tests %d", len(v)-1)
		})},
		{"test list", first(func(p *parts) string { table[uint32](p, secTestList)[0] = big; return "test list 0" })},
		{"test of no set", first(func(p *parts) string { table[image.Test](p, secTests)[0].Set = 0xffff; return "tests 0" })},
		{"test of another set", first(func(p *parts) string { table[image.Test](p, secTests)[0].Set ^= 1; return "tests 0" })},
		{"test's predicates", first(func(p *parts) string { table[image.Test](p, secTests)[0].NPreds = big; return "tests 0" })},
		{"test's predicates, sum beyond 32 bits", first(func(p *parts) string {
			x := &table[image.Test](p, secTests)[0]
			x.Preds, x.NPreds = 1<<32-1, 1
			return "tests 0"
		})},
		{"test predicate", first(func(p *parts) string { table[uint32](p, secTestPreds)[0] = big; return "test predicates 0" })},

		{"predicate without code", first(func(p *parts) string { table[image.Predicate](p, secPreds)[0].Len = 0; return "predicates 0" })},
		{"predicate too long", first(func(p *parts) string { table[image.Predicate](p, secPreds)[0].Len = 0xffff; return "predicates 0" })},
		{"predicate's code", first(func(p *parts) string { table[image.Predicate](p, secPreds)[0].Code = big; return "predicates 0" })},
		{"predicate of no category", first(func(p *parts) string {
			table[image.Predicate](p, secPreds)[0].Category = uint8(event.CategoryOther)
			return "predicates 0"
		})},
		{"predicate of an unknown category", first(func(p *parts) string {
			table[image.Predicate](p, secPreds)[0].Category = uint8(event.Categories)
			return "predicates 0"
		})},
		{"predicate's references", first(func(p *parts) string { table[image.Predicate](p, secPreds)[0].NRefs = big; return "predicates 0" })},

		{"predicates that share code", first(func(p *parts) string {
			v := table[image.Predicate](p, secPreds)
			v[1].Code = v[0].Code
			return "predicates 1: not in order"
		})},
		{"predicates that share references", first(func(p *parts) string {
			v := table[image.Predicate](p, secPreds)
			v[1].Refs = v[0].Refs
			return "predicates 1: not in order"
		})},
		{"sets that share integers", first(func(p *parts) string {
			v := table[image.Span](p, secSets)
			for i := range v {
				v[i] = image.Span{Len: uint32(len(table[int64](p, secInts)) + len(table[image.Range](p, secRanges)))}
			}
			return "sets 1: overlaps"
		})},
		{"operation", first(func(p *parts) string {
			table[image.Instr](p, secCode)[0].Op = image.OpExpr + 1
			return "code 0: unknown operation"
		})},
		{"comparison", first(func(p *parts) string {
			table[image.Instr](p, secCode)[0].Flags |= 7
			return "code 0: unknown operation"
		})},
		{"flag", first(func(p *parts) string {
			table[image.Instr](p, secCode)[0].Flags |= 8
			return "code 0: unknown operation"
		})},
		{"jump to itself", first(func(p *parts) string { table[image.Instr](p, secCode)[0].True = 0; return "code 0: jump" })},
		{"jump beyond", first(func(p *parts) string { table[image.Instr](p, secCode)[0].False = 0xfffd; return "code 0: jump" })},
		{"field of an instruction", first(func(p *parts) string { table[image.Instr](p, secCode)[0].Field = 159; return "code 0: unknown field" })},

		{"integer backwards", first(func(p *parts) string {
			v := table[image.Span](p, secSets)
			for i := range v {
				x := table[int64](p, secInts)
				if int(v[i].Start+v[i].Len) <= len(x) && v[i].Len == 2 && x[v[i].Start] == 80 {
					x[v[i].Start] = 500
				}
			}
			return "code"
		})},
		{"address range backwards", first(func(p *parts) string {
			r := &table[image.Range](p, secRanges)[0]
			r.LoLo, r.HiLo = r.HiLo, r.LoLo
			return "address ranges 0"
		})},
		{"address ranges overlap", first(func(p *parts) string {
			r := table[image.Range](p, secRanges)
			r[1].LoHi, r[1].LoLo = r[0].LoHi, r[0].HiLo
			return "code"
		})},
		{"constant", first(func(p *parts) string { table[image.Span](p, secConsts)[0].Len = big; return "constants 0" })},

		{"reference to no rule", first(func(p *parts) string { table[image.Ref](p, secRefs)[0].Rule = big; return "references 0" })},
		{"reference to no stage", first(func(p *parts) string { table[image.Ref](p, secRefs)[0].Stage = 1; return "references 0" })},
		{"reference to an until that is not there", first(func(p *parts) string {
			table[image.Ref](p, secRefs)[0].Stage = image.StageUntil
			return "references 0"
		})},

		{"long id", first(func(p *parts) string {
			table[image.Rule](p, secRules)[0].ID.Len = limits.NameBytesMax + 1
			return "rules 0: name"
		})},
		{"id beyond", first(func(p *parts) string { table[image.Rule](p, secRules)[0].ID.Start = big; return "rules 0: name" })},
		{"name beyond", first(func(p *parts) string {
			table[image.Rule](p, secRules)[1].Name.Start = 1<<32 - 1
			return "rules 1: name"
		})},
		{"no stages", first(func(p *parts) string { table[image.Rule](p, secRules)[0].NStages = 0; return "rules 0: stages" })},
		{"too many stages", first(func(p *parts) string {
			table[image.Rule](p, secRules)[pair].NStages = limits.StagesMax
			return "rules 3: stages"
		})},
		{"stages beyond", first(func(p *parts) string { table[image.Rule](p, secRules)[pair].Stages = big; return "rules 3: stages" })},
		{"unknown flag", first(func(p *parts) string { table[image.Rule](p, secRules)[0].Flags = 4; return "rules 0: neither" })},
		{"sequence of one", first(func(p *parts) string {
			table[image.Rule](p, secRules)[0].Flags = image.RuleSequence
			return "rules 0: neither"
		})},
		{"event of two", first(func(p *parts) string { table[image.Rule](p, secRules)[pair].Flags = 0; return "rules 3: neither" })},
		{"event with until", first(func(p *parts) string {
			table[image.Rule](p, secRules)[0].Flags = image.RuleUntil
			return "rules 0: neither"
		})},
		{"event with maxspan", first(func(p *parts) string { table[image.Rule](p, secRules)[0].MaxSpan = 1; return "rules 0: neither" })},
		{"severity", first(func(p *parts) string { table[image.Rule](p, secRules)[0].Severity = 4; return "rules 0: severity" })},
		{"action", first(func(p *parts) string { table[image.Rule](p, secRules)[0].Action = 3; return "rules 0: severity" })},
		{"maxspan", first(func(p *parts) string {
			table[image.Rule](p, secRules)[pair].MaxSpan = 1 << 63
			return "rules 3: severity"
		})},
		{"keys of a stage", first(func(p *parts) string {
			table[image.Stage](p, secStages)[pairStage+1].NKeys = 1
			return "rules 3: join keys"
		})},
		{"reads of a stage", first(func(p *parts) string {
			table[image.Stage](p, secStages)[pairStage].NReads = 1
			return "rules 3: fields of a stage"
		})},
		{"keys beyond", first(func(p *parts) string {
			table[image.Stage](p, secStages)[pairStage+2].Keys = big
			return "rules 3: join keys"
		})},
		{"unknown key", first(func(p *parts) string { table[image.Key](p, secKeys)[0].Field = 159; return "rules 3: unknown join key" })},
		{"key neither optional nor not", first(func(p *parts) string {
			table[image.Key](p, secKeys)[0].Optional = 2
			return "rules 3: unknown join key"
		})},
	}
	rule := func(i int, what string, f func(r *image.Rule)) spoil {
		return spoil{fmt.Sprintf("rule %d %s", i, what), first(func(p *parts) string {
			f(&table[image.Rule](p, secRules)[i])
			return fmt.Sprintf("rules %d: %s", i, what)
		})}
	}
	stage := func(i, at int, what string, f func(s *image.Stage)) spoil {
		return spoil{fmt.Sprintf("rule %d stage %d %s", i, at, what), first(func(p *parts) string {
			f(&table[image.Stage](p, secStages)[at])
			return fmt.Sprintf("rules %d: %s", i, what)
		})}
	}
	const form, suppression, runs, program = "neither", "suppression", "runs or flags", "no such program"
	cases = append(cases,
		rule(0, form, func(r *image.Rule) { r.Flags = 32 }),
		rule(0, form, func(r *image.Rule) { r.Flags = image.RuleSequence | image.RuleSample }),
		rule(long, form, func(r *image.Rule) { r.Flags = image.RuleMark }),
		rule(thrice, form, func(r *image.Rule) { r.Flags = image.RuleSample }),
		rule(dropped, form, func(r *image.Rule) { r.Flags = image.RuleSample }),
		rule(dropped, form, func(r *image.Rule) { r.MaxSpan = 0 }),
		rule(both, form, func(r *image.Rule) { r.MaxSpan = 1 }),
		rule(pair, form, func(r *image.Rule) { r.Flags = image.RuleSample | image.RuleUntil }),
		rule(child, "a mark that it does not set", func(r *image.Rule) { r.Mark = 1 }),
		rule(child, "mark not in order", func(r *image.Rule) { r.Flags, r.Mark = image.RuleMark, 1 }),
		rule(mark, "mark not in order", func(r *image.Rule) { r.Mark = 1 }),
		spoil{"two rules that begin processes", first(func(p *parts) string {
			table[image.Rule](p, secRules)[mark].Flags = image.RuleInherit
			return "rules 10: behind the last"
		})},
		rule(inherit, "behind rules that set marks", func(r *image.Rule) { r.Flags = 0 }),
		rule(inherit, form, func(r *image.Rule) { r.SuppressFor = 1 }),
		rule(long, suppression, func(r *image.Rule) { r.SuppressFor = 1 << 63 }),
		rule(long, suppression, func(r *image.Rule) { r.SuppressFor = 0 }),
		rule(long, suppression, func(r *image.Rule) { r.SuppressBy = big }),
		rule(long, suppression, func(r *image.Rule) { r.NSuppressBy = limits.SuppressKeysMax + 1 }),
		rule(child, suppression, func(r *image.Rule) { r.SuppressBy = 1 }),

		spoil{"nothing but missing events", first(func(p *parts) string {
			for i := range 3 {
				table[image.Stage](p, secStages)[droppedStage+i].Flags = image.StageMissing
			}
			return "rules 5: neither"
		})},
		stage(thrice, thriceStage, form, func(s *image.Stage) { s.Runs = 1 }),
		stage(0, 0, form, func(s *image.Stage) { s.Runs = 2 }),
		stage(0, 0, form, func(s *image.Stage) { s.Flags = image.StageKeep }),
		stage(both, bothStage+1, form, func(s *image.Stage) { s.Flags = image.StageMissing }),
		stage(pair, pairStage+2, "until with", func(s *image.Stage) { s.Runs = 2 }),
		stage(pair, pairStage+2, "until with", func(s *image.Stage) { s.Flags = image.StageKeep }),
		stage(thrice, thriceStage, runs, func(s *image.Stage) { s.Runs = 0 }),
		stage(thrice, thriceStage, runs, func(s *image.Stage) { s.Runs = limits.RunsMax + 1 }),
		stage(thrice, thriceStage, runs, func(s *image.Stage) { s.Flags = 4 }),
		stage(thrice, thriceStage, runs, func(s *image.Stage) { s.Flags = image.StageMissing }),
		stage(dropped, droppedStage+1, runs, func(s *image.Stage) { s.Flags |= image.StageKeep }),
		stage(child, childStage, program, func(s *image.Stage) { s.Later = 4 }),
		stage(child, childStage, program, func(s *image.Stage) { s.Later = 1 << 31 }),
		stage(child, childStage, program, func(s *image.Stage) { s.Later = 1 }), // reads the event alone
		spoil{"no rule that begins processes", first(func(p *parts) string {
			s := p.sections[secRules]
			p.sections[secRules] = s[:len(s)-entrySizes[secRules]]
			return "rules: marks that no rule sets"
		})},
		spoil{"no rule that sets the mark", first(func(p *parts) string {
			s := p.sections[secRules]
			p.sections[secRules] = s[:len(s)-2*entrySizes[secRules]]
			return "rules: marks that no rule sets"
		})},
		spoil{"a program that reads more than the event", func(t *testing.T, p *parts) string {
			in, at := instr(t, p, image.OpExpr)
			in.Operand = 1
			return at + "no such program"
		}},
		spoil{"a program's field", func(t *testing.T, p *parts) string {
			in, at := instr(t, p, image.OpExpr)
			in.Field = uint16(event.FieldPID)
			return at
		}},
		spoil{"expressions", first(func(p *parts) string { p.sections[secExprs][0]++; return "expressions: expr: no table" })},
	)
	for section, name := range map[int]string{secAlways: "always", secEager: "eager"} {
		cases = append(cases,
			spoil{name + " begins elsewhere", first(func(p *parts) string { table[uint32](p, section)[0]++; return name })},
			spoil{name + " ends elsewhere", first(func(p *parts) string { table[uint32](p, section)[event.Categories]++; return name })},
			spoil{name + " backwards", first(func(p *parts) string { table[uint32](p, section)[2] = 0; return name + " 2" })},
			spoil{name + " beyond", first(func(p *parts) string { table[uint32](p, section)[3] = big; return name })},
			spoil{name + " entry", first(func(p *parts) string { table[uint32](p, section)[event.Categories+1] = big; return name })},
		)
	}
	for op, name := range []string{"test", "integer", "integer set", "address set", "", "constant", "field", "field", "program"} {
		if name == "" {
			continue // presence has no operand
		}
		cases = append(cases, spoil{"operand: " + name + fmt.Sprint(op), func(t *testing.T, p *parts) string {
			in, at := instr(t, p, image.Op(op))
			in.Operand = big
			return at
		}})
	}
	// A field of the wrong kind would be read as what it is not.
	for op, field := range map[image.Op]event.FieldID{
		image.OpTest: event.FieldPID, image.OpInt: event.FieldName, image.OpIntIn: event.FieldDestinationIP, image.OpIPIn: event.FieldName,
		image.OpOrder: event.FieldPID, image.OpFieldInt: event.FieldName, image.OpFieldStr: event.FieldPID,
	} {
		cases = append(cases, spoil{fmt.Sprintf("operation %d on a field of another kind", op), func(t *testing.T, p *parts) string {
			in, at := instr(t, p, op)
			in.Field = uint16(field)
			return at
		}})
	}
	for i := range len(split(t, good).sections) - secAutomata {
		cases = append(cases, spoil{fmt.Sprintf("head of automaton %d", i), first(func(p *parts) string {
			p.sections[secAutomata+i][0] ^= 0xff
			return fmt.Sprintf("automaton %d", i)
		})})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := split(t, good)
			what := c.f(t, p)
			refused(t, p.file(), what)
		})
	}
}
