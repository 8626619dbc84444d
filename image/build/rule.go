package build

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

// addRules compiles the rules, then the hidden ones that their lineage conditions need.
func (b *builder) addRules(rules []ir.Rule) error {
	marks, err := collectMarks(rules)
	if err != nil {
		return err
	}
	hidden := len(marks.list)
	if hidden > 0 {
		hidden++
	}
	if n := len(rules) + hidden; n > limits.RulesMax {
		if hidden > 0 {
			return fmt.Errorf("compile: %d rules, %d of them for conditions on ancestors (max %d)", n, hidden,
				limits.RulesMax)
		}
		return fmt.Errorf("compile: %d rules (max %d)", n, limits.RulesMax)
	}
	b.mark = marks.number
	for i := range rules {
		rep := RuleReport{}
		b.ruleTests, b.ruleExprs = append(b.ruleTests, nil), append(b.ruleExprs, false)
		if err := b.rule(&rules[i], 0, 0, &rep); err != nil {
			return fmt.Errorf("compile rule %s: %w", rules[i].ID, err)
		}
		b.report.Rules = append(b.report.Rules, rep)
	}
	for _, m := range marks.list {
		if err := b.rule(m.rule(), image.RuleMark, uint8(m.number), nil); err != nil {
			return fmt.Errorf("compile rule %s: condition on an ancestor: %w", m.serves, err)
		}
	}
	if hidden > 0 {
		if err := b.rule(inherit(), image.RuleInherit, 0, nil); err != nil {
			panic("BUG: the rule that begins processes does not compile: " + err.Error())
		}
	}
	return nil
}

// rule compiles one rule; rep is nil for a hidden one.
func (b *builder) rule(r *ir.Rule, flags, mark uint8, rep *RuleReport) error {
	if err := checkRule(r); err != nil {
		return err
	}
	reads, err := readsOf(r)
	if err != nil {
		return err
	}
	id := uint32(len(b.rules))
	out := image.Rule{
		ID: b.text(r.ID), Name: b.text(r.Name), MaxSpan: uint64(r.MaxSpan), Stages: uint32(len(b.stages)),
		NStages: uint8(len(r.Stages)), Severity: uint8(r.Severity), Action: uint8(r.Action), Flags: flags, Mark: mark,
	}
	switch r.Form {
	case ir.FormSequence:
		out.Flags |= image.RuleSequence
	case ir.FormSample:
		out.Flags |= image.RuleSample
	}
	if s := r.Suppress; s != nil {
		out.SuppressFor, out.SuppressBy, out.NSuppressBy = uint64(s.For), uint32(len(b.keys)), uint8(len(s.By))
		for _, f := range s.By {
			b.keys = append(b.keys, image.Key{Field: uint16(f)})
		}
	}
	for i := range r.Stages {
		if err := b.stage(id, uint8(i), &r.Stages[i], reads[i], rep); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if r.Until != nil {
		out.Flags |= image.RuleUntil
		if err := b.stage(id, image.StageUntil, r.Until, nil, rep); err != nil {
			return fmt.Errorf("until: %w", err)
		}
	}
	b.rules = append(b.rules, out)
	return nil
}

// checkRule refuses what the format cannot say. The checker's messages name the place in the text; these are for rules
// that come from elsewhere.
func checkRule(r *ir.Rule) error {
	for _, s := range []struct{ what, text string }{{"id", r.ID}, {"name", r.Name}} {
		if len(s.text) > limits.NameBytesMax {
			return fmt.Errorf("%s of %d bytes (max %d)", s.what, len(s.text), limits.NameBytesMax)
		}
		if !utf8.ValidString(s.text) {
			return fmt.Errorf("%s %q is not UTF-8", s.what, s.text)
		}
	}
	if len(r.Stages) > limits.StagesMax-1 {
		return fmt.Errorf("%d steps (max %d)", len(r.Stages), limits.StagesMax-1)
	}
	if r.MaxSpan < 0 {
		return fmt.Errorf("maxspan of %s", r.MaxSpan)
	}
	positive, runs, missing := 0, 1, 0
	for i := range r.Stages {
		s := &r.Stages[i]
		if err := checkStage(s, len(r.Stages[0].Keys)); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		runs = max(runs, s.Runs)
		if s.Missing {
			missing++
		} else {
			positive++
		}
	}
	if u := r.Until; u != nil {
		if err := checkStage(u, len(r.Stages[0].Keys)); err != nil {
			return fmt.Errorf("until: %w", err)
		}
		if u.Runs > 1 || u.Missing {
			return errors.New("until: runs or a missing event")
		}
	}
	if s := r.Suppress; s != nil {
		if len(s.By) > limits.SuppressKeysMax || s.For <= 0 {
			return fmt.Errorf("suppression by %d fields for %s (max %d fields, for a time)", len(s.By), s.For,
				limits.SuppressKeysMax)
		}
		if i := slices.IndexFunc(s.By, func(f event.FieldID) bool { return !f.Known() }); i >= 0 {
			return fmt.Errorf("suppression by an unknown field %d", s.By[i])
		}
	}
	switch r.Form {
	case ir.FormEvent:
		if len(r.Stages) != 1 || missing > 0 || runs > 1 || r.Until != nil || r.MaxSpan != 0 {
			return errors.New("one event cannot have steps, runs, until or maxspan")
		}
	case ir.FormSample:
		if positive < 1 || missing > 0 || runs > 1 || r.Until != nil || r.MaxSpan != 0 {
			return errors.New("a sample has steps, but no missing events, runs, until or maxspan")
		}
	default:
		if positive < 1 || len(r.Stages) == 1 && runs == 1 {
			return errors.New("a sequence has two steps, one of which may be a missing event, or a step with runs")
		}
		if missing > 0 && r.MaxSpan == 0 {
			return errors.New("missing events need a maxspan")
		}
	}
	return nil
}

func checkStage(s *ir.Stage, keys int) error {
	switch {
	case len(s.Keys) > limits.KeysMax:
		return fmt.Errorf("%d join keys (max %d)", len(s.Keys), limits.KeysMax)
	case len(s.Keys) != keys:
		return fmt.Errorf("%d join keys, the first step has %d", len(s.Keys), keys)
	case s.Runs < 0 || s.Runs > limits.RunsMax:
		return fmt.Errorf("%d runs (max %d)", s.Runs, limits.RunsMax)
	case s.Missing && s.Runs > 1:
		return errors.New("a missing event with runs")
	}
	return nil
}

// readsOf is, for each stage, the fields of its event that later stages read, in ascending order.
func readsOf(r *ir.Rule) (reads [][]event.FieldID, err error) {
	reads = make([][]event.FieldID, len(r.Stages))
	for i, s := range r.Conditions() {
		for _, v := range ir.Values(ir.Simplify(s.Cond)) {
			switch {
			case v.Stage == ir.Own:
			case s == r.Until:
				err = fmt.Errorf("until: it reads the event of step %d, and cannot know it", v.Stage+1)
			case v.Stage < ir.Own || v.Stage >= i || r.Stages[v.Stage].Missing || r.Form != ir.FormSequence:
				err = fmt.Errorf("step %d: it reads the event of step %d, which is none before it", i+1, v.Stage+1)
			default:
				if at, seen := slices.BinarySearch(reads[v.Stage], v.Field); !seen {
					reads[v.Stage] = slices.Insert(reads[v.Stage], at, v.Field)
				}
				if n := len(reads[v.Stage]); n > limits.ReadsMax {
					err = fmt.Errorf("step %d: later steps read %d of its fields (max %d)", v.Stage+1, n, limits.ReadsMax)
				}
			}
		}
	}
	return reads, err
}

func (b *builder) stage(rule uint32, stage uint8, s *ir.Stage, reads []event.FieldID, rep *RuleReport) error {
	out := image.Stage{
		Keys: uint32(len(b.keys)), NKeys: uint16(len(s.Keys)), NReads: uint16(len(reads)), Runs: uint16(max(s.Runs, 1)),
	}
	if s.Missing {
		out.Flags |= image.StageMissing
	}
	if len(reads) > 0 {
		out.Flags |= image.StageKeep
	}
	for _, k := range s.Keys {
		key := image.Key{Field: uint16(k.Field)}
		if k.Optional {
			key.Optional = 1
		}
		b.keys = append(b.keys, key)
	}
	for _, f := range reads {
		b.keys = append(b.keys, image.Key{Field: uint16(f)})
	}
	cond, rest := split(ir.Simplify(s.Cond))
	if rest != nil {
		p, err := b.exprs.Add(rest, b.mark)
		if err != nil {
			return err
		}
		out.Later = p + 1
	}
	b.stages = append(b.stages, out)
	id, err := b.predicate(s.Category, cond)
	if err != nil {
		return err
	}
	p := &b.preds[id]
	p.refs = append(p.refs, image.Ref{Rule: rule, Stage: stage})
	if rep != nil {
		b.ruleTests[rule] = append(b.ruleTests[rule], testsOf(p.code)...)
		b.ruleExprs[rule] = b.ruleExprs[rule] || rest != nil || hasPrograms(p.code)
		rep.Later = rep.Later || rest != nil
		b.note(p, rep)
	}
	return nil
}

// note tells a rule's report of a predicate of it.
func (b *builder) note(p *predDef, rep *RuleReport) {
	if p.never {
		rep.NeverTrue = true
	} else if p.cover == nil {
		rep.Always = true
	}
	for _, t := range p.cover {
		f := event.FieldByID(b.tests[t].field).Name
		if !slices.Contains(rep.Index, f) {
			rep.Index = append(rep.Index, f)
		}
	}
}

// predicate interns the condition of a stage.
func (b *builder) predicate(category event.Category, cond ir.Node) (id uint32, err error) {
	p := predDef{category: category}
	if p.code, err = b.generate(cond); err != nil {
		return 0, err
	}
	key := string(append([]byte{byte(p.category)}, image.Bytes(p.code)...))
	id, seen := b.predIDs[key]
	if seen {
		return id, nil
	}
	id = uint32(len(b.preds))
	b.predIDs[key] = id
	if c, ok := cond.(ir.Const); ok && c.Value != ir.True {
		p.never = true
	} else {
		p.cover, _ = b.cover(cond, false, p.category)
	}
	b.preds = append(b.preds, p)
	return id, nil
}

func testsOf(code []image.Instr) []uint32 {
	var tests []uint32
	for _, in := range code {
		if in.Op == image.OpTest {
			tests = append(tests, in.Operand)
		}
	}
	return tests
}

func hasPrograms(code []image.Instr) bool {
	return slices.ContainsFunc(code, func(in image.Instr) bool { return in.Op == image.OpExpr })
}
