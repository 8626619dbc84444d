package image_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/agent"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/event/ecsjson"
	"github.com/kestrel-detection/kestrel/image"
)

var update = flag.Bool("update", false, "write the golden image of this format and schema anew")

// goldenEvents make each rule of the sample alert, and come near without it.
const goldenEvents = `{"event.category":"process","event.action":"exec","process.executable":"/bin/sh","user.id":"1000"}
{"event.category":"process","event.action":"exec","process.executable":"/opt/sh","user.id":"1000"}
{"event.category":"process","event.action":"exec","process.executable":"/bin/bash","user.id":"0"}
{"event.category":"process","event.action":"exec","process.executable":"/bin/bash"}
{"event.category":"network","destination.ip":"192.0.2.1","destination.port":443}
{"event.category":"network","destination.ip":"10.0.2.1","destination.port":443}
{"event.category":"network","destination.ip":"192.0.2.1","destination.port":444}
{"event.category":"process","event.action":"exec","process.executable":"/bin/A","process.parent.executable":"/lib/a"}
{"event.category":"process","event.action":"exec","process.executable":"/bin/zsh"}
{"event.category":"process","event.action":"exec","process.pid":4,"process.parent.pid":5}
{"@timestamp":"2026-01-01T00:00:00Z","event.category":"file","event.action":"creation","file.path":"/tmp/x","user.id":"1","process.name":"a"}
{"@timestamp":"2026-01-01T00:01:00Z","event.category":"process","event.action":"exec","process.executable":"/tmp/y","process.name":"a","user.id":"1"}
{"@timestamp":"2026-01-01T00:02:00Z","event.category":"file","event.action":"creation","file.path":"/tmp/x","user.id":"1","process.name":"a"}
{"@timestamp":"2026-01-01T00:02:01Z","event.category":"process","event.action":"end","process.executable":"/bin/q","process.name":"a","user.id":"1"}
{"@timestamp":"2026-01-01T00:02:02Z","event.category":"process","event.action":"exec","process.executable":"/tmp/y","process.name":"a","user.id":"1"}
{"@timestamp":"2026-01-01T00:02:03Z","event.category":"process","event.action":"exec","process.executable":"/opt/a/long/path/to/b"}
{"@timestamp":"2026-01-01T00:02:04Z","event.category":"process","event.action":"exec","process.executable":"/opt/a/long/path/to/b"}
{"@timestamp":"2026-01-01T00:02:05Z","event.category":"process","event.action":"exec","process.executable":"/opt/a/long/path/to/c"}
{"@timestamp":"2026-01-01T00:03:00Z","event.category":"file","event.action":"creation","file.path":"/srv/a","user.id":"7"}
{"@timestamp":"2026-01-01T00:03:01Z","event.category":"file","event.action":"creation","file.path":"/srv/b","user.id":"7"}
{"@timestamp":"2026-01-01T00:03:02Z","event.category":"process","event.action":"exec","process.executable":"/srv/c","user.id":"7"}
{"@timestamp":"2026-01-01T00:03:03Z","event.category":"process","event.action":"exec","process.executable":"/srv/a","user.id":"7"}
{"@timestamp":"2026-01-01T00:03:04Z","event.category":"process","event.action":"end","process.executable":"/bin/q","user.id":"7"}
{"@timestamp":"2026-01-01T00:03:05Z","event.category":"process","event.action":"exec","process.executable":"/srv/b","user.id":"7"}
{"@timestamp":"2026-01-01T00:04:00Z","event.category":"process","event.action":"exec","process.executable":"/bin/retry","user.id":"9"}
{"@timestamp":"2026-01-01T00:04:01Z","event.category":"process","event.action":"exec","process.executable":"/bin/retry","user.id":"9"}
{"@timestamp":"2026-01-01T00:04:02Z","event.category":"process","event.action":"exec","process.executable":"/bin/retry","user.id":"8"}
{"@timestamp":"2026-01-01T00:04:03Z","event.category":"process","event.action":"exec","process.executable":"/bin/retry","user.id":"9"}
{"@timestamp":"2026-01-01T00:05:00Z","event.category":"network","destination.ip":"10.0.2.1","destination.port":9,"user.id":"9"}
{"@timestamp":"2026-01-01T00:05:01Z","event.category":"file","event.action":"open","file.path":"/etc/s","user.id":"8"}
{"@timestamp":"2026-01-01T00:05:02Z","event.category":"file","event.action":"open","file.path":"/etc/s","user.id":"9"}
{"@timestamp":"2026-01-01T00:06:00Z","event.category":"process","event.action":"exec","process.executable":"/bin/cat","process.entity_id":"0x30","process.parent.entity_id":"0x20"}
{"@timestamp":"2026-01-01T00:06:01Z","event.category":"process","event.action":"exec","process.executable":"/bin/boss","process.entity_id":"0x20"}
{"@timestamp":"2026-01-01T00:06:02Z","event.category":"process","event.action":"exec","process.executable":"/bin/cat","process.entity_id":"0x31","process.parent.entity_id":"0x20"}
{"@timestamp":"2026-01-01T00:06:03Z","event.category":"process","event.action":"exec","process.executable":"/bin/cat","process.entity_id":"0x41","process.parent.entity_id":"0x31"}
`

const goldenAlerts = "shell shell net order order order pair long long dropped thrice both child"

// TestGolden loads the image that the first program of this format wrote, and runs events through it: what a device
// has in its slot stays readable as long as the format and the schema have their numbers. When one of these changes,
// the new golden image stands beside the old, which must then be refused by its version.
func TestGolden(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	current := fmt.Sprintf("format%d-schema%d.kri", image.FormatVersion, event.SchemaVersion)
	if *update {
		if err := os.WriteFile("testdata/"+current, built(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := false
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".kri") {
			continue
		}
		file, err := os.ReadFile("testdata/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() != current {
			if _, err := image.Load(file); err == nil || !strings.Contains(err.Error(), "version") {
				t.Errorf("%s: %v, want a refusal by version", e.Name(), err)
			}
			continue
		}
		seen = true
		img, err := image.Load(file)
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		if got := alertsOf(t, img); got != goldenAlerts {
			t.Errorf("%s: alerts %q, want %q", e.Name(), got, goldenAlerts)
		}
	}
	if !seen && !*update {
		t.Errorf("no %s in testdata: a new format or schema needs its golden image (-update)", current)
	}
}

// TestSampleAlerts: the events mean the same to an image that is written now.
func TestSampleAlerts(t *testing.T) {
	img, err := image.Load(built(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := alertsOf(t, img); got != goldenAlerts {
		t.Errorf("alerts %q, want %q", got, goldenAlerts)
	}
}

func alertsOf(t *testing.T, img *image.Image) string {
	t.Helper()
	var ids []string
	sizes := agent.Sizes{Processes: 64, Tracks: 64, States: 64, Evidence: 64, Workers: 1}
	_, err := agent.Replay(ecsjson.NewReader(bytes.NewReader([]byte(goldenEvents))), img, sizes, func(a alert.Alert, _ []byte) error {
		ids = append(ids, string(a.RuleID()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(ids, " ")
}
