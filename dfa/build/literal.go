package build

import (
	"slices"
	"strings"

	"github.com/kestrel-detection/kestrel/dfa"
)

// literal is a piece of text that a value must hold for a program to match it, in lower case.
type literal struct {
	where form // formPrefix, formSuffix or formInner
	text  string
}

const (
	// alternativesMax bounds the literals of which one must be seen.
	alternativesMax = 16
	// atStart and atEnd are what being bound to one end of the value is worth, in points of rarity. Paths end in more
	// ways than they begin.
	atStart = 6
	atEnd   = 8
	// rarityMax is where more text makes a literal no rarer in practice.
	rarityMax = 160
)

// required returns literals of which at least one is in every value that n matches, as rare as n has them, or nil if
// it has none. anchored asks for literals at the ends of the value if there are any: they need no automaton over all
// of it.
func required(n *node, anchored bool, usable func(string) bool) []literal {
	best, bestScore := []literal(nil), 0
	bonus := map[form]int{formPrefix: atStart, formSuffix: atEnd}
	if anchored {
		bonus[formPrefix], bonus[formSuffix] = 1<<20, 1<<20
	}
	candidates(n, true, func(list []literal) {
		score := least(list) + bonus[list[0].where]
		for _, l := range list {
			if !usable(l.text) {
				return
			}
		}
		if score > bestScore {
			best, bestScore = list, score
		}
	})
	return best
}

// neededBytesMin is the length of a literal from which on it is worth looking for besides the one that starts a
// program: a single letter is in most values.
const neededBytesMin = 2

// needed returns the literals, except those given, that all values n matches hold somewhere.
func needed(n *node, except []literal, usable func(string) bool) []literal {
	var out []literal
	candidates(n, true, func(list []literal) {
		l := list[0]
		if len(list) == 1 && l.where == formInner && len(l.text) >= neededBytesMin && usable(l.text) &&
			!slices.Contains(except, l) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	})
	return out
}

// candidates gives to keep the lists of literals of which each match of n holds at least one. whole says that n is the
// whole pattern, so that its first and last literals are bound to the ends of the value.
func candidates(n *node, whole bool, keep func([]literal)) {
	// run holds the texts that end where the walk is: every match goes on with one of them.
	var run []string
	first := whole
	flush := func(last bool) {
		if len(run) > 0 && run[0] != "" {
			where := formInner
			if first {
				where = formPrefix
			} else if last {
				where = formSuffix
			}
			list := make([]literal, len(run))
			for i, text := range run {
				list[i] = literal{where, text}
			}
			keep(list)
		}
		run, first = nil, false
	}
	// extend appends one of chars to the run, or begins another where the run would have too many texts.
	extend := func(chars []string) {
		if len(run)*len(chars) > alternativesMax {
			flush(false)
		}
		if len(run) == 0 {
			run = chars
			return
		}
		var longer []string
		for _, text := range run {
			for _, c := range chars {
				longer = append(longer, text+c)
			}
		}
		run = longer
	}
	for _, sub := range flatten(n, nil) {
		// All text is lowered: the automaton folds if any pattern does, and the program looks at the case itself.
		if chars := fewChars(sub); chars != nil {
			extend(chars)
			continue
		}
		if sub.op == opRepeat && sub.min > 0 {
			if chars := fewChars(sub.subs[0]); chars != nil {
				// A repetition begins and ends with one of chars, whatever lies between.
				extend(chars)
				if sub.max != 1 {
					flush(false)
					run = chars
				}
				continue
			}
		}
		flush(false)
		within(sub, keep)
	}
	flush(whole)
}

// within gives to keep the candidates inside of one element.
func within(n *node, keep func([]literal)) {
	switch n.op {
	case opConcat:
		candidates(n, false, keep)
	case opRepeat:
		if n.min > 0 {
			candidates(n.subs[0], false, keep)
		}
	case opUnion:
		var all []literal
		for _, sub := range n.subs {
			var best []literal
			candidates(sub, false, func(list []literal) {
				if best == nil || least(list) > least(best) {
					best = list
				}
			})
			if best == nil || len(all)+len(best) > alternativesMax {
				return
			}
			all = append(all, best...)
		}
		keep(all)
	case opInter:
		for _, sub := range n.subs {
			candidates(sub, false, keep)
		}
	}
}

func flatten(n *node, to []*node) []*node {
	if n.op != opConcat {
		return append(to, n)
	}
	for _, sub := range n.subs {
		to = flatten(sub, to)
	}
	return to
}

// fewChars returns the characters n stands for in lower case, or nil if n is no set or of too many.
func fewChars(n *node) []string {
	if n.op != opSet {
		return nil
	}
	var chars []string
	for _, s := range n.set {
		if s.high-s.low >= 2*alternativesMax || s.high >= dfa.InvalidRune {
			return nil
		}
		for r := s.low; r <= s.high; r++ {
			c := lowered(string(r))
			if !slices.Contains(chars, c) {
				chars = append(chars, c)
			}
		}
	}
	if len(chars) > alternativesMax {
		return nil
	}
	return chars
}

func least(list []literal) int {
	score := rarity(list[0].text)
	for _, l := range list[1:] {
		score = min(score, rarity(l.text))
	}
	return score
}

// common are texts that many command lines and paths of a Linux system hold; pieces of them select little.
var common = [...]string{
	"/usr/local/sbin/", "/usr/bin/", "/usr/lib/", "/bin/bash -c ", "/bin/sh -c ", "/dev/null", "/var/lib/", "/etc/",
	"/home/", "/tmp/", "/proc/self/", "/run/", "/root/", "python3", "http://", "https://", " -e", " -p", " --", ".conf",
	".service", ".so.", "systemd", "root", "python", "http", "bash", "/usr/", "/bin/", "/lib/",
}

// rarity estimates in points how seldom text is seen: about two a bit for a byte, and little for common texts.
func rarity(text string) int {
	score := 0
	for _, c := range common {
		if len(text) > 1 && strings.Contains(c, text) {
			return 1 + min(len(text), rarityMax/8)
		}
		if strings.Contains(text, c) {
			score++
			text = strings.ReplaceAll(text, c, "")
		}
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 0x80 || strings.IndexByte("|&;$`<>@%=(){}[]!^~\\\"'#,+?*", c) >= 0:
			score += 14
		case strings.IndexByte("qxzjkvwy", c) >= 0 || c < ' ':
			score += 11
		case c >= '0' && c <= '9':
			score += 8
		case strings.IndexByte("etaoinsr", c) >= 0:
			score += 6
		case strings.IndexByte("/ -._", c) >= 0:
			score += 4
		default:
			score += 8
		}
	}
	return min(score, rarityMax)
}

// lengthLeast is the fewest code points a match of n has.
func lengthLeast(n *node) int {
	const most = 1 << 16
	switch n.op {
	case opSet, opNone:
		return 1
	case opInterval:
		return max(1, n.width)
	case opConcat:
		sum := 0
		for _, sub := range n.subs {
			sum = min(most, sum+lengthLeast(sub))
		}
		return sum
	case opUnion:
		least := most
		for _, sub := range n.subs {
			least = min(least, lengthLeast(sub))
		}
		return least
	case opInter:
		least := 0
		for _, sub := range n.subs {
			least = max(least, lengthLeast(sub))
		}
		return least
	case opRepeat:
		return min(most, n.min*lengthLeast(n.subs[0]))
	}
	return 0
}
