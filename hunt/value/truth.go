package value

// Truth is a truth value of Kleene's logic. The zero Truth is unknown, which is what null is as a condition.
type Truth uint8

// The truth values.
const (
	Unknown Truth = iota
	False
	True
)

// TruthOf makes a truth of a bool.
func TruthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Not turns true and false round and leaves unknown.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// Value is the truth as a value: true, false or null.
func (t Truth) Value() Value {
	switch t {
	case True:
		return Bool(true)
	case False:
		return Bool(false)
	}
	return Null
}

// Truth is a value as a condition: what is no truth value is unknown.
func (v Value) Truth() Truth {
	if v.kind != KindBool {
		return Unknown
	}
	return TruthOf(v.n != 0)
}

// Loose is a value as a condition of Endgame EQL: what is neither null nor a truth value holds unless it is zero or
// empty.
func (v Value) Loose() Truth {
	switch v.kind {
	case KindNull, KindBool:
		return v.Truth()
	case KindInt, KindFloat:
		return TruthOf(v.AsFloat() != 0)
	case KindArray:
		return TruthOf(len(v.List()) > 0)
	case KindObject:
		return TruthOf(len(v.Members()) > 0)
	case KindDate:
		return True
	}
	return TruthOf(v.s != "")
}
