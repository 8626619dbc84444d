package nfa

import (
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/limits"
)

// pendingMax bounds the evidence of one state: of a run as much as runEvidenceMax.
const pendingMax = limits.StagesMax * runEvidenceMax

// Pending is the evidence of the events of a sequence or sample, in the order of its stages. A copy is a walk of its
// own.
type Pending struct {
	s     *Sequencer
	at, n int32 // in s.order
}

// Next is the evidence of the next event, as alert.AppendEvidence wrote it.
func (p *Pending) Next() (alert.Evidence, bool) {
	if p.at >= p.n {
		return nil, false
	}
	i := p.s.order[p.at]
	p.at++
	return p.s.evidence(i), true
}

// At is the evidence of the event that a stage took, of a run the last, wherever Next stands.
func (p *Pending) At(stage int) (alert.Evidence, bool) {
	for at := p.n - 1; at >= 0; at-- {
		if i := p.s.order[at]; int(p.s.nodes[i].stage) == stage {
			return p.s.evidence(i), true
		}
	}
	return nil, false
}

func (s *Sequencer) evidence(i int32) alert.Evidence {
	t := s.nodes[i].text
	from := int(t) * limits.EvidenceBytesMax
	return s.slab[from : from+int(s.texts[t].len)]
}

// gather collects the evidence of a state for Holds or Sequence.
func (s *Sequencer) gather(st int32) {
	n := int32(0)
	for i := s.states[st].first; i != none && n < pendingMax; i = s.nodes[i].next {
		s.order[n] = i
		n++
	}
	s.asked.at, s.asked.n = 0, n
}

// gatherNone says that there is no pending event.
func (s *Sequencer) gatherNone() { s.asked.at, s.asked.n = 0, 0 }

// gatherOne adds a piece of evidence behind what was gathered.
func (s *Sequencer) gatherOne(i int32) {
	if i != none && s.asked.n < pendingMax {
		s.order[s.asked.n] = i
		s.asked.n++
	}
}
