package build

import (
	"slices"

	"github.com/kestrel-detection/kestrel/dfa"
)

// merge returns set ascending, with spans that touch or overlap made one.
func merge(set []span) []span {
	set = slices.Clone(set)
	slices.SortFunc(set, func(a, b span) int { return int(a.low - b.low) })
	out := set[:0]
	for _, s := range set {
		if n := len(out); n > 0 && s.low <= out[n-1].high+1 {
			out[n-1].high = max(out[n-1].high, s.high)
			continue
		}
		out = append(out, s)
	}
	return out
}

// invert returns all symbols that are not in set, which is merged.
func invert(set []span) []span {
	var out []span
	from := rune(0)
	for _, s := range set {
		if s.low > from {
			out = append(out, span{from, s.low - 1})
		}
		from = s.high + 1
	}
	if from <= dfa.InvalidRune {
		out = append(out, span{from, dfa.InvalidRune})
	}
	return out
}

// folded adds the other case of the ASCII letters in set if the regex folds.
func (p *parser) folded(set []span) []span {
	if !p.fold {
		return set
	}
	return foldSet(set)
}

func foldSet(set []span) []span {
	out := slices.Clone(set)
	for _, s := range set {
		for _, other := range [...]struct{ from, shift rune }{{'a', 'A' - 'a'}, {'A', 'a' - 'A'}} {
			low, high := max(s.low, other.from), min(s.high, other.from+25)
			if low <= high {
				out = append(out, span{low + other.shift, high + other.shift})
			}
		}
	}
	return merge(out)
}

func isAny(n *node) bool {
	return n.op == opSet && len(n.set) == 1 && n.set[0] == anySet[0]
}

func isAnyString(n *node) bool {
	return n.op == opRepeat && n.min == 0 && n.max < 0 && isAny(n.subs[0])
}

// literalRune returns the character n stands for, in lower case if the regex folds.
func literalRune(n *node, fold bool) (rune, bool) {
	if n.op != opSet {
		return 0, false
	}
	switch len(n.set) {
	case 1:
		s := n.set[0]
		isLetter := s.low < 0x80 && lower(byte(s.low)) != upper(byte(s.low))
		return s.low, s.low == s.high && s.low < dfa.InvalidRune && !(fold && isLetter)
	case 2:
		a, b := n.set[0], n.set[1]
		return b.low, fold && a.low == a.high && b.low == b.high && b.low < 0x80 && a.low != b.low &&
			lower(byte(a.low)) == byte(b.low)
	}
	return 0, false
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}

func upper(b byte) byte {
	if b >= 'a' && b <= 'z' {
		return b - ('a' - 'A')
	}
	return b
}

func lowered(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

func hasLetters(s string) bool {
	for i := range len(s) {
		if lower(s[i]) != upper(s[i]) {
			return true
		}
	}
	return false
}
