//go:build linux

package procfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
)

// TestRefresh: what changes on a host after the start is told again, and nothing else is.
func TestRefresh(t *testing.T) {
	etc := t.TempDir()
	write := func(text string, changed time.Time) {
		path := filepath.Join(etc, "passwd")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	write("root:x:0:0::/root:/bin/sh\n", time.Unix(1000, 0))
	s := New("/proc", etc)
	if _, err := s.Run(func(event.Record) {}); err != nil {
		t.Fatal(err)
	}
	refresh := func() (hosts, users int) {
		err := s.Refresh(func(rec event.Record) {
			switch rec.Type() {
			case event.TypeHostInfo:
				hosts++
			case event.TypeUserInfo:
				users++
			default:
				t.Errorf("a record of type %d", rec.Type())
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return hosts, users
	}
	if h, u := refresh(); h != 0 || u != 0 {
		t.Errorf("%d hosts and %d users although nothing changed", h, u)
	}
	write("root:x:0:0::/root:/bin/sh\nmeter:x:1000:1000::/:/bin/sh\n", time.Unix(2000, 0))
	if h, u := refresh(); h != 0 || u != 2 {
		t.Errorf("%d hosts and %d users, want the two users of the new file", h, u)
	}
	s.offset += 2 * clockStepNanos // as if the clock had been set since
	if h, u := refresh(); h != 1 || u != 0 {
		t.Errorf("%d hosts and %d users, want the host with the new clock", h, u)
	}
	if h, u := refresh(); h != 0 || u != 0 {
		t.Errorf("%d hosts and %d users told twice", h, u)
	}
}
