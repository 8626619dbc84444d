package hunt

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
)

const benchEvents = 100_000

// benchFile writes events of some 300 bytes.
func benchFile(b *testing.B) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "events.ndjson")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	categories, names := [...]string{"process", "file", "network"},
		[...]string{"bash", "curl", "sshd", "nginx", "cron"}
	for i := range benchEvents {
		fmt.Fprintf(w, `{"@timestamp":%d,"event":{"category":"%s","action":"exec","id":"e%d"},"process":{"pid":%d,"name":"%s",`+
			`"executable":"/usr/bin/x%d","args":["-c","x","y%d"],"command_line":"bash -c x y%d","parent":{"pid":%d}},`+
			`"user":{"id":"0","name":"root"},"host":{"name":"web-1"}}`+"\n",
			1700000000000+i*10, categories[i%3], i, i%500, names[i%5], i%97, i, i, i%50)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return name
}

// BenchmarkHunt opens a log and runs a query over it, as the command does.
func BenchmarkHunt(b *testing.B) {
	name := benchFile(b)
	for what, query := range map[string]string{
		"event": `process where process.name == "curl" and process.command_line : "*y9999*"`,
		"sequence": `sequence by process.pid with maxspan=1m [process where process.name == "curl"] ` +
			`[file where process.executable : "/usr/bin/x1"]`,
	} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				log, err := events.Open(name, nil)
				if err != nil {
					b.Fatal(err)
				}
				q, diags := eql.Parse("", []byte(query), eql.Kestrel)
				if diags.HasErrors() {
					b.Fatal(diags)
				}
				h, diags := Compile(q, log.Schema(), Options{})
				if h == nil {
					b.Fatal(diags)
				}
				if err := h.Run(log.All(), func(Match) error { return nil }); err != nil {
					b.Fatal(err)
				}
				log.Close()
			}
			b.ReportMetric(float64(benchEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
