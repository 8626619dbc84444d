package build

import (
	"fmt"
	"slices"

	"github.com/kestrel-detection/kestrel/dfa"
)

// trie collects the literals of one automaton and lays it out.
type trie struct {
	folds   bool // values are folded while they are read
	inner   bool // Aho-Corasick: with failures; otherwise a trie that dies
	class   [256]int
	classes int
	nodes   []trieNode
	rows    int   // dense rows laid out
	order   []int // all nodes by ascending depth
}

type trieNode struct {
	children []child // by ascending class
	parent   int
	fail     int
	depth    int
	plain    []uint32 // actions
	verify   []uint32 // case-sensitive literals
	needed   bool     // some program wants to know that it was seen
	out      uint32   // output id
}

type child struct{ class, node int }

// newTrie returns an empty trie for literals, whose bytes alone make up the byte classes. Class 0 is every other byte.
func newTrie(literals []string, folds, inner, nulIsSpace bool) *trie {
	t := &trie{folds: folds, inner: inner, nodes: []trieNode{{}}, classes: 1}
	var used [256]bool
	for _, l := range literals {
		for i := range len(l) {
			used[l[i]] = true
		}
	}
	for b, u := range used {
		if u {
			t.class[b] = t.classes
			t.classes++
		}
	}
	if folds {
		for b := 'A'; b <= 'Z'; b++ {
			t.class[b] = t.class[b|0x20]
		}
	}
	if nulIsSpace {
		t.class[0] = t.class[' ']
	}
	return t
}

// insert returns the node of text.
func (t *trie) insert(text string) int {
	at := 0
	for i := range len(text) {
		class := t.class[text[i]]
		list := t.nodes[at].children
		k, found := slices.BinarySearchFunc(list, class, func(c child, class int) int { return c.class - class })
		if !found {
			t.nodes = append(t.nodes, trieNode{parent: at, depth: i + 1})
			t.nodes[at].children = slices.Insert(list, k, child{class, len(t.nodes) - 1})
		}
		at = t.nodes[at].children[k].node
	}
	return at
}

func (t *trie) child(at, class int) int {
	for _, c := range t.nodes[at].children {
		if c.class == class {
			return c.node
		}
	}
	return 0
}

// breadthFirst returns all nodes by ascending depth.
func (t *trie) breadthFirst() []int {
	order := []int{0}
	for i := 0; i < len(order); i++ {
		for _, c := range t.nodes[order[i]].children {
			order = append(order, c.node)
		}
	}
	return order
}

// link sets the failures: the node of the longest proper suffix that is a node (Aho and Corasick 1975).
func (t *trie) link(order []int) {
	for _, at := range order {
		for _, c := range t.nodes[at].children {
			if at == 0 {
				continue
			}
			fail := t.nodes[at].fail
			for fail != 0 && t.child(fail, c.class) == 0 {
				fail = t.nodes[fail].fail
			}
			t.nodes[c.node].fail = t.child(fail, c.class)
		}
	}
}

// goes returns where at goes on class, failures included; 0 is the root.
func (t *trie) goes(at, class int) int {
	for {
		if to := t.child(at, class); to != 0 || at == 0 || !t.inner {
			return to
		}
		at = t.nodes[at].fail
	}
}

// output gives every node its output id. A node without actions of its own has that of its failure.
func (t *trie) output(order []int, out *outputs) error {
	for _, at := range order[1:] {
		n := &t.nodes[at]
		next := uint32(0)
		if t.inner {
			next = t.nodes[n.fail].out
		}
		if len(n.plain)+len(n.verify) == 0 && !n.needed {
			n.out = next
			continue
		}
		var err error
		if n.out, err = out.add(n.plain, n.verify, next); err != nil {
			return err
		}
	}
	return nil
}

// outputs collects what states report.
type outputs struct {
	records []uint32
	actions []uint32
}

func (o *outputs) add(plain, verify []uint32, next uint32) (uint32, error) {
	id := len(o.records) / dfa.OutputWords
	if id > dfa.OutputsMax {
		return 0, fmt.Errorf("more than %d literals", dfa.OutputsMax)
	}
	compare := uint32(len(verify))
	if compare > 0 || o.records[next*dfa.OutputWords+2]&dfa.OutputVerify != 0 {
		compare |= dfa.OutputVerify
	}
	o.records = append(o.records, uint32(len(o.actions)), uint32(len(plain)), compare, next)
	o.actions = append(append(o.actions, plain...), verify...)
	return uint32(id), nil
}

// branching is the number of children from which on a state of a trie becomes a dense row.
const branching = 4

// sparseWords is the size of the automaton with dense rows only where they must be.
func (t *trie) sparseWords() int {
	words := 0
	for i := range t.nodes {
		n := &t.nodes[i]
		if t.mustBeDense(i) {
			words += t.rowWords()
		} else {
			words += dfa.SparseWords(len(n.children), true)
		}
	}
	return words + t.rowWords()
}

func (t *trie) mustBeDense(at int) bool {
	return at == 0 || len(t.nodes[at].children) > dfa.SparseKeysMax
}

func (t *trie) rowWords() int { return t.classes + dfa.RowExtraWords }

// layout returns the state words and the automaton record, with no more than budget words above sparseWords. Dense
// rows go to the states nearest the root, which values visit most; in a trie, to those of them that branch.
func (t *trie) layout(order []int, budget int) (words, record []uint32) {
	dense := make([]bool, len(t.nodes))
	for _, at := range order {
		cost := t.rowWords() - dfa.SparseWords(len(t.nodes[at].children), t.nodes[at].out != 0)
		switch {
		case t.mustBeDense(at):
			dense[at] = true
		case cost <= budget && (t.inner || len(t.nodes[at].children) >= branching):
			dense[at] = true
			budget -= max(cost, 0)
		}
	}
	row := uint32(t.rowWords())
	place := make([]uint32, len(t.nodes))
	next := uint32(0)
	if !t.inner {
		next = row // after the dead state
	}
	var sequence []int
	bounds := [3]uint32{}
	for group := range bounds {
		bounds[group] = next
		for _, at := range order {
			n := &t.nodes[at]
			switch {
			case group < 2 && dense[at] && (n.out != 0) == (group == 1):
				place[at] = next
				next += row
				t.rows++
			case group == 2 && !dense[at]:
				place[at] = next
				next += uint32(dfa.SparseWords(len(n.children), n.out != 0))
			default:
				continue
			}
			sequence = append(sequence, at)
		}
	}
	words = make([]uint32, next)
	for _, at := range sequence {
		if dense[at] {
			t.denseRow(at, place, words)
		} else {
			t.sparseState(at, place, words)
		}
	}
	record = make([]uint32, dfa.AutoWords)
	record[dfa.AutoClasses] = uint32(t.classes)
	record[dfa.AutoStateWords] = uint32(len(words))
	record[dfa.AutoStart] = place[0]
	record[dfa.AutoSpecial] = bounds[1]
	record[dfa.AutoSparse] = bounds[2]
	return words, record
}

func (t *trie) denseRow(at int, place, words []uint32) {
	w := words[place[at]:]
	for class := range t.classes {
		if to := t.goes(at, class); to != 0 || t.inner {
			w[class] = place[to]
		}
	}
	w[t.classes] = t.nodes[at].out | uint32(t.nodes[at].depth)<<dfa.RowDepthShift
}

func (t *trie) sparseState(at int, place, words []uint32) {
	n := &t.nodes[at]
	w := words[place[at]:]
	keys := len(n.children)
	w[0] = uint32(keys) | uint32(n.depth)<<dfa.SparseDepthBits
	if t.inner {
		w[dfa.SparseFail] = place[n.fail]
	}
	for k, c := range n.children {
		if k == 0 {
			w[0] |= uint32(c.class) << dfa.SparseKeyShift
		}
		w[dfa.SparseTargets+k] = place[c.node]
		if keys > 1 {
			w[dfa.SparseTargets+keys+k/4] |= uint32(c.class) << (8 * (k % 4))
		}
	}
	if n.out != 0 {
		w[0] |= dfa.SparseOut
		w[dfa.SparseWords(keys, true)-1] = n.out
	}
}

// classTable returns the byte classes as they stand in the table.
func (t *trie) classTable() []byte {
	out := make([]byte, 256)
	for b, c := range t.class {
		out[b] = byte(c)
	}
	return out
}
