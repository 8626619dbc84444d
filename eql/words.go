package eql

import (
	"maps"
	"slices"
)

// keywords are the reserved words. A field of such a name needs backquotes.
var keywords = map[string]kind{
	"and": tAnd, "any": tAny, "as": tAs, "by": tBy, "false": tFalse, "in": tIn, "join": tJoin, "like": tLike, "maxspan": tMaxspan,
	"not": tNot, "null": tNull, "of": tOf, "or": tOr, "regex": tRegex, "sample": tSample, "sequence": tSequence,
	"true": tTrue, "until": tUntil, "where": tWhere, "with": tWith,
}

// keyword returns the kind of a reserved word, or tIdent. Only Kestrel reserves
// `as`, as Elastic's endpoint does; Endgame knows fewer words.
func keyword(word string, d Dialect) kind {
	k, ok := keywords[word]
	if !ok || k == tAs && d != Kestrel || d == Endgame && (k == tLike || k == tRegex || k == tSample) {
		return tIdent
	}
	return k
}

// placed are the words that mean something in one place only and are names
// elsewhere, but for operators, relations and pipes.
var placed = [...]string{"fork", "runs"}

// Keywords lists the words of the language in alphabetical order, for editors
// and documents: the reserved ones and those that mean something in their
// place. Functions are not among them.
func Keywords() []string {
	words := slices.Collect(maps.Keys(keywords))
	words = append(words, placed[:]...)
	words = append(words, pipeNames[:]...)
	for op := In; op <= EndsWith; op++ {
		if op != Seq {
			words = append(words, op.String())
		}
	}
	for r := ChildOf; r <= EventOf; r++ {
		words = append(words, r.String())
	}
	slices.Sort(words)
	return slices.Compact(words)
}
