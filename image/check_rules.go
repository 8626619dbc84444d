package image

import (
	"math"

	"github.com/kestrel-detection/kestrel/limits"
)

// checkRules proves what a rule says, and that rules are in the order of what they are: those that raise alerts, those
// that set marks, each its own, and the one that begins processes, without which no mark is set or looked for.
func (m *Image) checkRules() error {
	if len(m.Rules) > limits.RulesMax {
		return refuse("rules", -1, "too many")
	}
	begins := false
	for i := range m.Rules {
		r := &m.Rules[i]
		if reason := m.checkRule(r); reason != "" {
			return refuse("rules", i, reason)
		}
		mark := r.Flags&RuleMark != 0
		switch {
		case begins:
			return refuse("rules", i, "behind the last")
		case mark && (int(r.Mark) != m.Marks || m.Marks == limits.MarksMax):
			return refuse("rules", i, "mark not in order")
		case mark:
			m.Marks++
		case r.Flags&RuleInherit != 0:
			begins = true
		case m.Marks > 0:
			return refuse("rules", i, "behind rules that set marks")
		default:
			m.Alerting++
		}
	}
	if begins != (m.Marks > 0) || m.Exprs.Marks() > m.Marks {
		return refuse("rules", -1, "marks that no rule sets, or no rule begins processes")
	}
	return nil
}

func (m *Image) checkRule(r *Rule) (reason string) {
	for _, s := range [2]Span{r.ID, r.Name} {
		if s.Len > limits.NameBytesMax || !within(s.Start, s.Len, len(m.Strings)) {
			return "name out of range"
		}
	}
	n := uint32(r.NStages)
	if r.Flags&RuleUntil != 0 {
		n++
	}
	if r.NStages == 0 || r.NStages > limits.StagesMax-1 || !within(r.Stages, n, len(m.Stages)) {
		return "stages out of range"
	}
	if r.Severity > 3 || r.Action > 2 || r.MaxSpan > math.MaxInt64 {
		return "severity, action or maxspan out of range"
	}
	if r.SuppressFor > math.MaxInt64 || r.SuppressFor == 0 && (r.NSuppressBy > 0 || r.SuppressBy > 0) ||
		r.NSuppressBy > limits.SuppressKeysMax || !m.knownKeys(r.SuppressBy, uint32(r.NSuppressBy)) {
		return "suppression out of range"
	}
	stages := m.Stages[r.Stages : r.Stages+n]
	for i := range stages {
		if reason := m.checkStage(&stages[i], stages[0].NKeys); reason != "" {
			return reason
		}
	}
	if reason := m.checkForm(r, stages); reason != "" {
		return reason
	}
	for i := range stages {
		if s := &stages[i]; s.NReads > limits.ReadsMax || (s.NReads > 0) != (s.Flags&StageKeep != 0) {
			return "fields of a stage that later ones read"
		}
	}
	return ""
}

func (m *Image) knownKeys(start, n uint32) bool {
	if !within(start, n, len(m.Keys)) {
		return false
	}
	for _, k := range m.Keys[start : start+n] {
		if !knownField(k.Field) || k.Optional > 1 {
			return false
		}
	}
	return true
}

func (m *Image) checkStage(s *Stage, keys uint16) (reason string) {
	switch {
	case s.NKeys != keys || keys > limits.KeysMax || !within(s.Keys, uint32(s.NKeys)+uint32(s.NReads), len(m.Keys)):
		return "join keys out of range"
	case !m.knownKeys(s.Keys, uint32(s.NKeys)+uint32(s.NReads)):
		return "unknown join key"
	case s.Later != 0 && (int64(s.Later) > int64(m.Exprs.Programs()) || !m.Exprs.Later(s.Later-1)):
		return "no such program, or one that reads the event alone"
	case s.Runs == 0 || s.Runs > limits.RunsMax || s.Flags >= stageFlagsEnd,
		s.Flags&StageMissing != 0 && (s.Runs > 1 || s.Flags&StageKeep != 0):
		return "runs or flags of a stage out of range"
	}
	return ""
}

// checkForm proves that a rule is one event, a sequence or a sample, and nothing of another.
func (m *Image) checkForm(r *Rule, stages []Stage) (reason string) {
	const wrong = "neither one event nor a sequence nor a sample"
	positive, missing, runs := 0, false, false
	for i := range stages {
		s := &stages[i]
		until := i == int(r.NStages)
		if until && (s.Flags != 0 || s.Runs > 1) {
			return "until with runs or flags"
		}
		missing = missing || s.Flags&StageMissing != 0
		runs = runs || s.Runs > 1
		if !until && s.Flags&StageMissing == 0 {
			positive++
		}
	}
	if r.Flags&RuleMark == 0 && r.Mark != 0 {
		return "a mark that it does not set"
	}
	switch r.Flags {
	case 0, RuleMark, RuleInherit:
		if r.NStages != 1 || missing || runs || stages[0].Flags != 0 || r.MaxSpan != 0 ||
			r.Flags != 0 && r.SuppressFor != 0 {
			return wrong
		}
	case RuleSample:
		if missing || runs || r.MaxSpan != 0 {
			return wrong
		}
	case RuleSequence, RuleSequence | RuleUntil:
		if positive == 0 || r.NStages == 1 && !runs || missing && r.MaxSpan == 0 {
			return wrong
		}
	default:
		return wrong
	}
	return ""
}
