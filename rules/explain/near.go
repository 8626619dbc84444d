package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir"
)

// Near is how close the events came to a rule that raised no alert.
type Near struct {
	Text  string `json:"text"`
	Event uint64 `json:"event,omitempty"` // that came nearest to the step
	Step  *Step  `json:"step,omitempty"`
}

// near collects that for one rule.
type near struct {
	rule       *ir.Rule
	positions  int // reached
	at         uint64
	best       []candidate // by stage
	categories []string    // of the events seen
	raised     bool
}

// candidate is the event that came nearest to a stage.
type candidate struct {
	event uint64
	step  *Step
	last  uint64 // event that fitted last; until and missing steps are asked for it
}

func (n *near) candidate(s int) *candidate {
	for len(n.best) <= s {
		n.best = append(n.best, candidate{})
	}
	return &n.best[s]
}

// step takes what a stage made of an event.
func (n *near) step(s int, ev *event.Event, step *Step) {
	n.seen(ev)
	c := n.candidate(s)
	if step.Why.truth == ir.True {
		c.last = ev.Own.ID()
	}
	if c.step == nil || step.Why.score >= c.step.Why.score {
		c.event, c.step = ev.Own.ID(), step
	}
}

// other takes an event of another category than a stage's.
func (n *near) other(s int, ev *event.Event) {
	n.seen(ev)
	n.candidate(s)
}

func (n *near) seen(ev *event.Event) {
	if c := ev.Cat.String(); !slices.Contains(n.categories, c) {
		n.categories = append(n.categories, c)
	}
}

// fits tells whether a stage fits an event that was just explained.
func (n *near) fits(s int, id uint64) bool { return s < len(n.best) && n.best[s].last == id }

// reached notes how far a sequence came. What came near to a later step before that does not count.
func (n *near) reached(positions int, id uint64) {
	if positions <= n.positions {
		return
	}
	n.positions, n.at = positions, id
	for s := range n.best {
		if n.best[s].event < id {
			n.best[s].step = nil
		}
	}
}

// Near says what was missing for an alert of a rule of the set. It is of use when there was none.
func (x *Explainer) Near(rule int) (near Near) {
	t := x.rules[rule]
	n := &t.near
	defer n.blame(&near)
	if n.raised {
		return Near{Text: "the rule matched"}
	}
	r := t.rule
	switch r.Form {
	case ir.FormEvent:
		return n.stage(0, "")
	case ir.FormSample:
		for s := range r.Stages {
			if n.candidate(s).last == 0 {
				return n.stage(s, fmt.Sprintf("no event fits step %d of %d", s+1, len(r.Stages)))
			}
		}
		return Near{Text: "each step fits an event, and there is no key for which all do"}
	}
	if n.positions == len(t.positions) && !t.wantsMore() {
		return Near{Text: lostText("every step was reached", t.lost)}
	}
	next, text := t.next(), "no event fits the first step"
	if n.positions > 0 {
		text = fmt.Sprintf("%s was reached by event %d", t.place(n.positions-1), n.at)
	}
	near = n.stage(next, text)
	if near.Step == nil || near.Step.Why.truth != ir.True {
		near.Text = lostText(near.Text, t.lost)
	}
	return near
}

// blame leaves of the condition what did not hold.
func (n *near) blame(near *Near) {
	if near.Step == nil {
		return
	}
	step := *near.Step
	if b := step.Why.Blame(); b != nil {
		step.Why = b
	}
	near.Step = &step
	for s := range n.best {
		if s < len(n.rule.Stages) && n.rule.Stages[s].Missing && n.best[s].last != 0 && step.Holds() && step.Note == "" {
			near.Text += fmt.Sprintf("; event %d fits step %d, which must be missing", n.best[s].last, s+1)
		}
	}
}

func lostText(text, lost string) string {
	if lost != "" && !strings.Contains(lost, text) {
		return text + "; " + lost
	}
	return text
}

// wantsMore tells that a positive step follows the last position: the one that completes.
func (t *track) wantsMore() bool { return !t.rule.Stages[len(t.rule.Stages)-1].Missing }

// next is the stage that a sequence which came as far as any would go to.
func (t *track) next() int {
	if t.near.positions < len(t.positions) {
		return t.positions[t.near.positions].stage
	}
	return len(t.rule.Stages) - 1
}

// stage is the nearest event to one stage.
func (n *near) stage(s int, text string) Near {
	c := n.candidate(s)
	category := n.rule.Stages[s].Category
	switch {
	case c.step != nil:
		return Near{Text: text, Event: c.event, Step: c.step}
	case text != "":
		text += ", and "
	}
	if len(n.categories) == 0 {
		return Near{Text: text + "there are no events"}
	}
	if n.positions > 0 {
		return Near{Text: text + fmt.Sprintf("no %s event follows", category)}
	}
	return Near{Text: text + fmt.Sprintf("there is no %s event, only %s", category, strings.Join(n.categories, ", "))}
}
