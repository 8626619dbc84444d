package build

import (
	"bytes"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/dfa"
)

// Match is the reference: it says whether p holds for value, by the most obvious way, on the pattern itself. It shares
// the regex parser with Build and nothing else. A pattern that Build refuses holds for no value.
func Match(p Pattern, opt Options, value []byte) bool {
	if !utf8.ValidString(p.Text) {
		return false
	}
	if opt.NulIsSpace {
		value = bytes.ReplaceAll(value, []byte{0}, []byte{' '})
	}
	if p.Kind == Regex {
		n, err := parseRegex(p.Text, p.Fold)
		if err != nil {
			return false
		}
		symbols := runes(value)
		return matchNode(n, symbols, map[int]bool{0: true})[len(symbols)]
	}
	text := []byte(p.Text)
	if p.Fold {
		text, value = []byte(lowered(p.Text)), []byte(lowered(string(value)))
	}
	switch p.Kind {
	case Exact:
		return bytes.Equal(text, value)
	case Prefix:
		return bytes.HasPrefix(value, text)
	case Suffix:
		return bytes.HasSuffix(value, text)
	case Contains:
		return bytes.Contains(value, text)
	case Wildcard:
		return matchWildcard(runes(text), runes(value))
	}
	return false
}

// runes splits value into code points; a byte that is not part of valid UTF-8 is InvalidRune.
func runes(value []byte) []rune {
	var out []rune
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		if r == utf8.RuneError && n == 1 {
			r = dfa.InvalidRune
		}
		out = append(out, r)
		value = value[n:]
	}
	return out
}

// matchWildcard fills one row a pattern character: row[i] says whether the pattern so far matches value[:i].
func matchWildcard(pattern, value []rune) bool {
	row := make([]bool, len(value)+1)
	row[0] = true
	for _, c := range pattern {
		next := make([]bool, len(value)+1)
		for i := range next {
			switch {
			case c == '*':
				next[i] = row[i] || i > 0 && next[i-1]
			case i > 0:
				next[i] = row[i-1] && (c == '?' || c == value[i-1])
			}
		}
		row = next
	}
	return row[len(value)]
}

// matchNode returns where in value matches of n that begin at one of from can end.
func matchNode(n *node, value []rune, from map[int]bool) map[int]bool {
	out := map[int]bool{}
	switch n.op {
	case opEmpty:
		return from
	case opSet:
		for i := range from {
			for _, s := range n.set {
				if i < len(value) && s.low <= value[i] && value[i] <= s.high {
					out[i+1] = true
				}
			}
		}
	case opConcat:
		for _, sub := range n.subs {
			from = matchNode(sub, value, from)
		}
		return from
	case opUnion:
		for _, sub := range n.subs {
			for i := range matchNode(sub, value, from) {
				out[i] = true
			}
		}
	case opInter, opNot:
		// These do not distribute over begins, so each begin is taken alone.
		for i := range from {
			counts := map[int]int{}
			for _, sub := range n.subs {
				for j := range matchNode(sub, value, map[int]bool{i: true}) {
					counts[j]++
				}
			}
			for j := i; j <= len(value); j++ {
				if n.op == opInter && counts[j] == len(n.subs) || n.op == opNot && counts[j] == 0 {
					out[j] = true
				}
			}
		}
	case opRepeat:
		for range n.min {
			from = matchNode(n.subs[0], value, from)
		}
		fresh := from
		for i := range from {
			out[i] = true
		}
		for count := n.min; len(fresh) > 0 && (n.max < 0 || count < n.max); count++ {
			reached := matchNode(n.subs[0], value, fresh)
			fresh = map[int]bool{}
			for i := range reached {
				if !out[i] {
					out[i], fresh[i] = true, true
				}
			}
		}
	case opInterval:
		for i := range from {
			matchInterval(n, value, i, out)
		}
	}
	return out
}

func matchInterval(n *node, value []rune, i int, out map[int]bool) {
	number := uint64(0)
	for j := i; j < len(value) && value[j] >= '0' && value[j] <= '9'; j++ {
		if number = number*10 + uint64(value[j]-'0'); number > n.high {
			return
		}
		if number >= n.low && (n.width == 0 || n.width == j+1-i) {
			out[j+1] = true
		}
	}
}
