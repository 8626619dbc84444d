package eql

// kind is the kind of a token.
type kind uint8

const (
	tEOF    kind = iota
	tBad         // already reported by the lexer
	tIdent       // name
	tQuoted      // `name`
	tTilde       // name~ that is no keyword
	tString      // any form of string
	tInt
	tFloat
	tVar // $name

	tLParen
	tRParen
	tLBrack
	tRBrack
	tMissing // ![
	tComma
	tDot
	tPipe
	tQuestion
	tColon
	tEq // ==
	tNe
	tLt
	tLe
	tGt
	tGe
	tPlus
	tMinus
	tStar
	tSlash
	tPercent

	tAssign // = : part of maxspan= and, in Endgame, an equality
	tAndAnd // && || ! are lexed only to say what to write instead
	tOrOr
	tBang

	tAnd
	tAny
	tAs // in Kestrel
	tBy
	tFalse
	tIn
	tInFold
	tJoin
	tLike
	tLikeFold
	tMaxspan
	tNot
	tNull
	tOf
	tOr
	tRegex
	tRegexFold
	tSample
	tSequence
	tTrue
	tUntil
	tWhere
	tWith
)

// token is a piece of the source. A broken token was reported by the lexer, so
// the parser does not report what follows from it.
type token struct {
	start, end int32
	kind       kind
	broken     bool
}

func (t token) span() Span { return Span{int(t.start), int(t.end)} }

// isKeyword says whether a token of this kind is a reserved word.
func (k kind) isKeyword() bool { return k >= tAnd }

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool { return isLetter(c) || c == '_' || c == '@' }

func isNamePart(c byte) bool { return isLetter(c) || c == '_' || isDigit(c) }

// isPlainName says whether a name can be written without backquotes.
func isPlainName(s string, d Dialect) bool {
	if s == "" || !isNameStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isNamePart(s[i]) {
			return false
		}
	}
	return keyword(s, d) == tIdent
}
