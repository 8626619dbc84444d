package expr

import (
	"slices"
	"strings"
)

// suggestMax bounds the names that are compared with a wrong one.
const suggestMax = 20_000

// didYouMean is a hint with the known name nearest to a wrong one, "" when none is near.
func didYouMean(wrong string, known []string) string {
	slices.Sort(known)
	best, least := "", 1+len(wrong)/4
	for i, name := range known {
		if i == suggestMax {
			break
		}
		if strings.EqualFold(name, wrong) || strings.HasSuffix(name, "."+wrong) {
			return "did you mean " + name + "?"
		}
		if d := distance(wrong, name, least); d < least || d == least && best == "" {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is the number of insertions, deletions, changes and swaps of neighbours that lead from a to b, or something
// greater than most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
