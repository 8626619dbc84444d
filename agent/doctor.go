package agent

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf"
)

// Doctor tries what this kernel and these privileges allow and writes it down, as JSON or as text. available says
// whether a run would capture anything.
func Doctor(w io.Writer, asJSON bool) (available bool, err error) {
	r := bpf.Probe()
	available = r.Tier != bpf.TierAuto
	source, blind := "none", "everything: no source of events can be used"
	if available {
		source = "ebpf, tier " + r.Tier.String()
		blind = blindSpots[r.Tier]
	}
	if asJSON {
		return available, doctorJSON(w, r, source, blind)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "kernel\t%s\n", kernel())
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, c.Answer, c.Detail)
	}
	if err := t.Flush(); err != nil {
		return available, err
	}
	_, err = fmt.Fprintf(w, "\nsource: %s\nnot seen: %s\nguard: none; this version alerts and does not block\n", source, blind)
	return available, err
}

// blindSpots are what a tier cannot see.
var blindSpots = map[bpf.Tier]string{
	bpf.TierBTF: "opens that fail, opens and connects by io_uring, deletes, renames, accepted connections, datagrams without connect",
	bpf.TierTracepoint: "the same, and: the start time of a process, whether an open created the file, " +
		"the real path behind a symbolic link; arguments are read before the kernel copies them",
}

func doctorJSON(w io.Writer, r bpf.Report, source, blind string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "{\"kernel\":%s,\"source\":%s,\"not_seen\":%s,\"guard\":\"none\",\"checks\":[", quote(kernel()), quote(source), quote(blind))
	for i, c := range r.Checks {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "{\"name\":%s,\"answer\":%s,\"detail\":%s}", quote(c.Name), quote(c.Answer.String()), quote(c.Detail))
	}
	b.WriteString("]}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quote writes a JSON string. The device binary does without encoding/json.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
}
