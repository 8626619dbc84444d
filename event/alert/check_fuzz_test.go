package alert

import (
	"bytes"
	"testing"
)

// FuzzCheck: what passes is safe to read, and writing again what was read gives the same bytes.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(sample(make([]byte, SizeMax))))
	small := Builder{Buf: make([]byte, HeadBytesMax)}
	small.Begin(&Head{}, &Rule{})
	f.Add([]byte(small.End()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b) != ErrNone {
			return
		}
		a := Alert(b)
		h := Head{a.Action(), a.Severity(), a.Flags(), a.Seq(), a.Wall(), a.Mono(), [16]byte(a.ID()), a.Entity(), a.Suppressed()}
		w := Builder{Buf: make([]byte, SizeMax)}
		w.Begin(&h, &Rule{string(a.Ruleset()), string(a.RuleID()), string(a.RuleName()), string(a.Title())})
		fields := 0
		for it := a.Events(); ; {
			e, ok := it.Next()
			if !ok {
				break
			}
			w.Evidence(e)
			for fi := e.Fields(); ; fields++ {
				fl, ok := fi.Next()
				if !ok {
					break
				}
				if len(fl.Value) == 8 {
					_ = fl.Int()
				}
			}
		}
		w.omitted = uint16(a.Omitted())
		if again := w.End(); !bytes.Equal(again, b) {
			t.Fatalf("read and written again:\n%x\nwas\n%x", []byte(again), b)
		}
	})
}
