package eql

import "testing"

// benchmarkRule has the size and the mix of a long detection rule: 60 lines.
var benchmarkRule = func() string {
	head := `// A shell that was started from a scratch directory and talks to the network.
sequence by host.id, process.entity_id with maxspan=1m
  [process where host.os.type == "linux" and event.type == "start" and
    event.action in ("exec", "start", "executed") and
    process.name : ("bash", "dash", "sh", "zsh") and
    process.executable like ("/tmp/*", "/var/tmp/*", "/dev/shm/*") and
`
	block := `    not (
      process.parent.executable in ("/usr/bin/make", "/usr/bin/cmake", "/usr/bin/ninja") or
      process.parent.name like~ ("*runner*", "agent-?") or /* build hosts */
      (process.args_count >= 3 and ?process.parent.args : "--quiet") or
      process.command_line regex~ """.*/opt/[a-z]+/bin/.*""" or
      startsWith(process.working_directory, "/srv/ci") and length(process.args) > 2
    ) and
`
	tail := `    process.args != null]
  [network where event.action == "connection_attempted" and destination.port not in (22, 53, 80, 443) and
    not cidrmatch(destination.ip, "10.0.0.0/8", "127.0.0.0/8", "::1/128")]
until [process where event.type == "end"]
| head 10
`
	rule := head
	for range 7 {
		rule += block
	}
	return rule + tail
}()

func BenchmarkParse(b *testing.B) {
	src := []byte(benchmarkRule)
	mustParse(b, benchmarkRule, Kestrel)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		Parse("rule.eql", src, Kestrel)
	}
}

func BenchmarkFormat(b *testing.B) {
	q := mustParse(b, benchmarkRule, Kestrel)
	b.ReportAllocs()
	for b.Loop() {
		Format(q, Kestrel)
	}
}
