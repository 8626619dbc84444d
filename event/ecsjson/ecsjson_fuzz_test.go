package ecsjson

import (
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
)

// FuzzReader: whatever is read makes whole records, and an event that is written and read again is the same event.
func FuzzReader(f *testing.F) {
	f.Add(`{"event_type_id":1001,"timestamp_ns":1704067199000000000,"fields":{"process.executable":"/tmp/malware","process.pid":12345}}`)
	f.Add(`{"@timestamp":"2020-11-10T07:48:16.155Z","event.category":"process","event.type":"start","process":{"args":["a","b"],"parent":{"pid":1}}}`)
	f.Add(`{"event.category":["network"],"destination.ip":"10.0.0.1","source.ip":"fe80::1","destination.port":443,"network.transport":"tcp"}`)
	f.Add(`{"event_type":"create","file.path":"/a/b.txt","file.name":"b.txt","user":{"id":"0","name":"root"},"process.entity_id":"0x1"}`)
	f.Add("{\"event_type\":\"exec\",\"process.command_line\":\"a b\",\"process.args\":\"a b\"}\n\n{}")
	for i := range event.Fields {
		f.Add(`{"event_type":"exec","` + event.Fields[i].Name + `":"1"}`)
		f.Add(`{"event_type":"connect","` + event.Fields[i].Name + `":["/1","2"]}`)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			return // what is cut is not the same when it is read again
		}
		_, lines, _, _ := readAll(t, s)
		for _, line := range lines {
			again(t, []string{line})
		}
	})
}

func BenchmarkReader(b *testing.B) {
	line := `{"@timestamp":"2020-11-10T07:48:16.155Z","host.os.type":"linux","event.category":"process","event.type":"start","event.action":"exec","user.id":"1000","process.pid":1631,"process.parent.pid":29002,"process.executable":"/usr/sbin/arp","process.name":"arp","process.args":["arp","-a"],"process.command_line":"arp -a","process.working_directory":"/home/wardog"}` + "\n"
	input := strings.Repeat(line, 1000)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for i := 0; i < b.N; i += 1000 {
		r := NewReader(strings.NewReader(input))
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
