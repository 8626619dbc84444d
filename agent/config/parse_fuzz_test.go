package config

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse: no text makes it panic, an error is one line with a place, and what passes keeps to the limits.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("config.example.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(commented.ReplaceAll(text, []byte("$1")))
	f.Add([]byte(every))
	f.Add([]byte("a.b = 'c'\n[[x]]\ny = 1979-05-27T07:32:00Z"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("c.toml", text, func(n string) (string, bool) { return n, n == "DIR" || n == "N" })
		if err != nil {
			if !strings.HasPrefix(err.Error(), "c.toml:") {
				t.Errorf("no place in %q", err)
			}
			return
		}
		for i := range keys {
			if p, ok := keys[i].at(c).(*int); ok && keys[i].number(int64(*p)) != nil {
				t.Errorf("%s is %d", keys[i].name, *p)
			}
		}
	})
}
