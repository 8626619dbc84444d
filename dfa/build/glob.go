package build

import "github.com/kestrel-detection/kestrel/dfa"

func (c *compiler) globWords(it item) []uint32 {
	segments := []string{""}
	for _, t := range it.tokens {
		last := &segments[len(segments)-1]
		switch t.kind {
		case tokenStar:
			segments = append(segments, "")
		case tokenAny:
			*last += string([]byte{dfa.AnyMark})
		default:
			*last += string(t.r)
		}
	}
	n := len(segments)
	words := make([]uint32, 1+n*dfa.GlobSegmentWords)
	words[0] = uint32(n)
	for k, s := range segments {
		w := words[1+k*dfa.GlobSegmentWords:]
		w[0], w[1] = c.intern(s), uint32(len(s))
		if k > 0 && k < n-1 {
			w[2] = uint32(len(words))
			words = append(words, borders(s)...)
		}
	}
	return words
}

// borders returns, two a word, for every k the length of the longest proper prefix of s[:k] that also ends it.
func borders(s string) []uint32 {
	table := make([]int, max(2, len(s)+1))
	for k, b := 2, 0; k <= len(s); k++ {
		for b > 0 && s[b] != s[k-1] {
			b = table[b]
		}
		if s[b] == s[k-1] {
			b++
		}
		table[k] = b
	}
	words := make([]uint32, (len(s)+1)/2)
	for k := range len(s) {
		words[k/2] |= uint32(table[k]) << (16 * (k % 2))
	}
	return words
}
