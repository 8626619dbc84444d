package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/ir/check"
	"github.com/kestrel-detection/kestrel/limits"
)

// suppressForMax bounds the time for which an alert stands for those that follow. Who reads alerts daily still sees every
// rule that goes on firing; and a device forgets at a restart, so more would promise what it cannot keep.
const suppressForMax = 24 * time.Hour

// suppressKeys are the keys of a rule's suppress.
var suppressKeys = []string{"by", "for"}

// suppression reads what a manifest says under suppress; nil when there is nothing, or nothing good.
func (l *loader) suppression(id string, n *yaml.Node) *ir.Suppress {
	n = unaliased(n)
	switch {
	case n.Kind == 0 || n.Tag == "!!null":
		return nil
	case n.Kind != yaml.MappingNode:
		l.at(n, "rule %s: suppress is %s, want {by: [FIELD ..], for: 10m}", id, yamlWhat(n))
		return nil
	}
	var by, lasts *yaml.Node
	good := true
	for _, e := range yamlEntries(n) {
		switch {
		case e.key.Value == "by" && by == nil:
			by = unaliased(e.value)
		case e.key.Value == "for" && lasts == nil:
			lasts = unaliased(e.value)
		case slices.Contains(suppressKeys, e.key.Value):
			l.at(e.key, "rule %s: suppress.%s is there twice", id, e.key.Value)
			good = false
		default:
			l.at(e.key, "rule %s: unknown key %s in suppress", id, e.key.Value).Hint = hintOf(e.key.Value, suppressKeys)
			good = false
		}
	}
	s := &ir.Suppress{}
	if lasts == nil {
		l.at(n, "rule %s: suppress does not say for how long", id).Hint = "as in for: 10m"
		good = false
	} else if why := suppressFor(lasts.Value, &s.For); lasts.Kind != yaml.ScalarNode || why != "" {
		if why == "" {
			why = "want text"
		}
		l.at(lasts, "rule %s: suppress.for is %s: %s", id, yamlWhat(lasts), why)
		good = false
	}
	if by != nil && by.Tag != "!!null" && !l.suppressBy(id, by, s) {
		good = false
	}
	if !good {
		return nil
	}
	return s
}

// suppressFor reads a time as EQL writes it (10m, 1d) or as Go does (1h30m). It says what is wrong, if anything is.
func suppressFor(text string, d *time.Duration) (why string) {
	const day = 24 * time.Hour
	var err error
	number, days := strings.CutSuffix(text, "d")
	if n, nerr := strconv.ParseInt(number, 10, 64); days && nerr == nil && n >= 0 {
		*d = time.Duration(min(n, int64(suppressForMax/day)+1)) * day
	} else if *d, err = time.ParseDuration(text); err != nil {
		if _, nerr := strconv.ParseFloat(text, 64); nerr == nil {
			return "a unit is missing: ms, s, m, h or d"
		}
		return "want a time such as 30s, 10m or 1h30m"
	}
	switch {
	case *d <= 0:
		return "want more than nothing"
	case *d > suppressForMax:
		return "more than a day (max 24h)"
	}
	return ""
}

// suppressBy reads the fields that alerts are told apart by.
func (l *loader) suppressBy(id string, n *yaml.Node, s *ir.Suppress) (good bool) {
	if n.Kind != yaml.SequenceNode {
		l.at(n, "rule %s: suppress.by is %s, want a list of fields", id, yamlWhat(n))
		return false
	}
	if len(n.Content) > limits.SuppressKeysMax {
		l.at(n.Content[limits.SuppressKeysMax], "rule %s: suppress.by has %d fields (max %d)", id, len(n.Content),
			limits.SuppressKeysMax)
		return false
	}
	good = true
	for _, e := range n.Content {
		e = unaliased(e)
		if why, hint := suppressField(e.Value, s); e.Kind != yaml.ScalarNode || why != "" {
			if why == "" {
				why = yamlWhat(e) + " is no field"
			}
			l.at(e, "rule %s: suppress.by: %s", id, why).Hint = hint
			good = false
		}
	}
	return good
}

// suppressField adds a field. It says what is wrong, if anything is.
func suppressField(name string, s *ir.Suppress) (why, hint string) {
	f := event.FieldByName(name)
	switch {
	case f == nil:
		return "unknown field " + name, check.DidYouMean(name, fieldNames())
	case f.Kind == event.KindStrings:
		return name + " is a list, and two lists are rarely the same: alerts are suppressed by fields of one value", ""
	case slices.Contains(s.By, f.ID):
		return name + " is there twice", ""
	}
	s.By = append(s.By, f.ID)
	return "", ""
}

func fieldNames() []string {
	names := make([]string, len(event.Fields))
	for i := range event.Fields {
		names[i] = event.Fields[i].Name
	}
	return names
}

// suppressWorks warns of a suppress that does nothing, or more than its author may think.
func (l *loader) suppressWorks(r *ir.Rule, n *yaml.Node) {
	for i := range r.Stages {
		if s := &r.Stages[i]; !s.Missing && possible(s.Cond, s.Category)&canBeTrue == 0 {
			l.at(n, "rule %s never raises an alert: suppress has no effect", r.ID).Warning = true
			return
		}
	}
	for _, f := range r.Suppress.By {
		if !slices.ContainsFunc(lastEvents(r), func(s ir.Stage) bool { return carriedBy(f, s.Category) }) {
			l.at(n, "rule %s: its last event has no %s: as a value of suppress.by that tells no alerts apart", r.ID,
				event.FieldByID(f).Name).Warning = true
		}
	}
}

// lastEvents are the steps whose event may be the last of an alert, which suppress takes its values from.
func lastEvents(r *ir.Rule) []ir.Stage {
	if r.Form == ir.FormSample {
		return r.Stages
	}
	for i := len(r.Stages) - 1; i > 0; i-- {
		if !r.Stages[i].Missing {
			return r.Stages[i : i+1]
		}
	}
	return r.Stages[:1]
}

// elasticSuppression is what Elastic's rules say of the same thing.
type elasticSuppression struct {
	GroupBy  []string `toml:"group_by"`
	Duration *struct {
		Value int64  `toml:"value"`
		Unit  string `toml:"unit"`
	} `toml:"duration"`
	Missing string `toml:"missing_fields_strategy"`
}

// alertSuppression takes over the suppression of an Elastic rule. One that cannot be is a warning, as filters are: the
// rule alerts more often then.
func (l *loader) alertSuppression(file, id string, e *elasticSuppression, at func(string) (int, int)) *ir.Suppress {
	if e == nil {
		return nil
	}
	s := &ir.Suppress{}
	why := ""
	switch {
	case e.Duration == nil:
		why = "it has no duration, and Kestrel has no executions of a rule"
	case e.Missing == "doNotSuppress":
		why = "missing_fields_strategy doNotSuppress has no counterpart"
	case len(e.GroupBy) > limits.SuppressKeysMax:
		why = "more fields than " + strconv.Itoa(limits.SuppressKeysMax)
	default:
		why = suppressFor(strconv.FormatInt(e.Duration.Value, 10)+e.Duration.Unit, &s.For)
		for _, name := range e.GroupBy {
			if why == "" {
				why, _ = suppressField(name, s)
			}
		}
	}
	if why != "" {
		line, col := at("rule.alert_suppression")
		l.warning(file, line, col, "rule %s: alert_suppression is not applied, so it may alert more often than in Elastic: %s",
			id, why)
		return nil
	}
	return s
}
