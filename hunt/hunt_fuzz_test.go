package hunt

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
)

// FuzzHunt parses, compiles and runs any query over any events in every dialect: nothing panics, and what comes out is
// JSON.
func FuzzHunt(f *testing.F) {
	const data = `{"id":"a","@timestamp":1,"event_type":"process","s":"x","n":1,"l":[1,"a",null,{"m":2}],"process.pid":1}
{"id":"b","@timestamp":2,"event_type":"file","s":"X","n":2.5,"o":{"p":"10.0.0.1"},"process.pid":1,"process.parent.pid":0}`
	for _, query := range []string{
		`process where s : "x*" and n + 1 > length(s) or not l == "a" | head 1`,
		`sequence by ?s with maxspan=1s [any where true] as a ![file where n == a.n] [any where true] with runs=2 until [x where 1]`,
		`sample by s [any where l.m == 2] [any where arraySearch(l, $e, $e == null)]`,
		`join by s, n * 2 [process where true] [file where true] until [any where false] | count s | filter count > 1`,
		`any where descendant of [process where event of [file where s regex "a.*"]] | sort n s | unique_count s`,
		`sequence [any where true] fork [any where s == "*x*"] | filter events[1].n == 1 | tail 2`,
		`any where concat(substring(s, -3, n), between(s, "a", "b", true), number("0x1f", n)) in~ ("a*", n, l) | unique l`,
	} {
		f.Add(query, data)
	}
	f.Fuzz(func(t *testing.T, query, data string) {
		if len(query) > 4096 || len(data) > 4096 {
			return
		}
		var list []*events.Event
		for i, line := range strings.Split(data, "\n") {
			if e, err := events.New(&events.Schema{}, []byte(line), i); err == nil {
				list = append(list, e)
			}
		}
		for d := eql.Kestrel; d <= eql.Endgame; d++ {
			if v, diags, err := Expression("", query, d, Options{}); err == nil && !diags.HasErrors() {
				if text := v.AppendJSON(nil); !json.Valid(text) {
					t.Errorf("%s: %s is %s", d, query, text)
				}
			}
			q, diags := eql.Parse("", []byte(query), d)
			if diags.HasErrors() {
				continue
			}
			h, diags := Compile(q, nil, Options{SamplesPerKey: 2})
			if (h == nil) != diags.HasErrors() {
				t.Fatalf("%s: a hunt %t with the diagnostics %s", d, h != nil, diags)
			}
			if h == nil {
				continue
			}
			found, err := h.All(events.Slice(list))
			if err != nil {
				continue
			}
			for i := range found {
				if text := found[i].AppendJSON(nil); !json.Valid(text) {
					t.Errorf("%s: %s gives %s", d, query, text)
				}
			}
		}
	})
}
