package agree

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

var words = []string{"", "a", "A", "sh", "bash", "BASH", "/bin/sh", "/tmp/a", "/tmp/x.sh", "curl", "-c", "ab ab", "/etc/shadow", "é", "7", "33", "exec"}

// births are the events by which the processes of the others begin: the device learns from them whose child each is.
func (m *maker) births() (lines []byte) {
	for pid := 1; pid <= 4; pid++ {
		lines = fmt.Appendf(lines, `{"@timestamp":%q,"event.category":"process","event.action":"fork","process.pid":%d,"process.entity_id":"0x%x"`,
			m.at.UTC().Format(time.RFC3339Nano), pid, pid)
		if pid > 1 {
			lines = fmt.Appendf(lines, `,"process.parent.entity_id":"0x%x"`, pid/2)
		}
		lines = append(lines, "}\n"...)
	}
	return lines
}

// maker makes events that have something in common.
type maker struct {
	*rand.Rand
	at time.Time
}

func (m *maker) word() string { return words[m.IntN(len(words))] }

func (m *maker) line() []byte {
	if m.IntN(4) > 0 {
		m.at = m.at.Add(time.Duration(m.IntN(4000)) * time.Millisecond)
	}
	pid := 1 + m.IntN(4)
	ev := map[string]any{
		"@timestamp": m.at.UTC().Format(time.RFC3339Nano), "process.pid": pid, "process.entity_id": fmt.Sprintf("0x%x", pid),
	}
	if pid > 1 {
		ev["process.parent.entity_id"] = fmt.Sprintf("0x%x", pid/2)
	}
	maybe := func(name string, v any) {
		if m.IntN(4) > 0 {
			ev[name] = v
		}
	}
	maybe("process.name", m.word())
	maybe("process.executable", m.word())
	maybe("process.args", []string{m.word(), m.word(), m.word()}[:1+m.IntN(3)])
	maybe("process.args_count", m.IntN(5))
	maybe("process.parent.pid", m.IntN(4))
	maybe("process.parent.name", m.word())
	maybe("process.interactive", m.IntN(2) == 0)
	maybe("user.id", fmt.Sprint(m.IntN(4)))
	maybe("user.name", m.word())
	switch m.IntN(4) {
	case 0:
		ev["event.category"], ev["event.action"] = "file", []string{"creation", "deletion"}[m.IntN(2)]
		maybe("file.path", m.word())
	case 1:
		ev["event.category"], ev["event.action"] = "network", "connection_attempted"
		maybe("destination.ip", []string{"10.1.2.3", "10.2.0.1", "fe80::1", "2001:db8::1"}[m.IntN(4)])
		maybe("destination.port", m.IntN(5))
	default:
		ev["event.category"], ev["event.action"] = "process", []string{"exec", "fork", "end"}[m.IntN(3)]
	}
	b, err := json.Marshal(ev)
	if err != nil {
		panic(err) // a map of strings and numbers
	}
	return b
}
