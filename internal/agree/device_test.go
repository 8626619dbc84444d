package agree

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/internal/corpus"
)

// mapping says how the fields of a dataset are called on a device: any field of the kind will do.
type mapping struct {
	id         string
	categories map[string]string
	fields     map[string]string
}

var mappings = map[string]mapping{
	"endgame140": {"serial_event_id",
		map[string]string{"process": "process", "file": "file", "registry": "driver", "dns": "dns", "network": "network"},
		map[string]string{
			"@timestamp": "@timestamp", "serial_event_id": "process.args_count", "opcode": "process.parent.args_count",
			"pid": "process.entry_leader.args_count", "ppid": "process.parent.pid", "unique_pid": "process.session_leader.args_count",
			"unique_ppid": "process.group_leader.args_count", "exit_code": "process.exit_code",
			"process_name": "process.name", "process_path": "process.executable", "command_line": "process.command_line",
			"parent_process_name": "process.parent.name", "parent_process_path": "process.parent.executable",
			"user_name": "user.name", "user_domain": "process.group.name", "file_name": "file.name", "file_path": "file.path",
			"event_subtype_full": "event.dataset", "subtype": "event.module", "md5": "process.real_group.name",
			"source_address": "source.ip", "source_port": "source.port", "destination_address": "destination.ip",
			"destination_port": "destination.port",
		}},
	"es_missing_events": {"sequence",
		map[string]string{"test1": "process", "test2": "file", "test3": "network", "test4": "dns", "test5": "driver"},
		map[string]string{
			"@timestamp": "@timestamp", "sequence": "process.args_count", "transID": "process.parent.args_count",
			"tag": "user.name", "k1": "process.group.name", "k2": "process.real_group.name", "other": "process.parent.pid",
		}},
}

// dataset gives the events of a dataset under the names of the device's fields, and their ids.
func (m *mapping) dataset(t *testing.T, name string) (lines []byte, ids []int64) {
	t.Helper()
	for line := range strings.Lines(string(corpus.Read(t, corpus.Dataset(t, name)))) {
		var ev map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&ev); err != nil {
			t.Fatal(err)
		}
		out := map[string]any{"event.category": m.categories[fmt.Sprint(ev["event_type"])], "process.pid": 1}
		for from, to := range m.fields {
			if v, ok := ev[from]; ok {
				if from == "@timestamp" && !strings.Contains(fmt.Sprint(v), "T") {
					v = json.Number(fmt.Sprint(v)) // milliseconds written as text
				}
				out[to] = v
			}
		}
		id, err := ev[m.id].(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		b, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, b...), '\n')
	}
	return lines, ids
}

// rename puts the device's names into a query; the name of what has none is returned.
func (m *mapping) rename(q *eql.Query) (missing string) {
	eql.Walk(q, func(n eql.Node) bool {
		switch n := n.(type) {
		case *eql.Field:
			to, ok := m.fields[n.Path()]
			if !ok {
				missing = n.Path()
				return true
			}
			n.Parts = nil
			for part := range strings.SplitSeq(to, ".") {
				n.Parts = append(n.Parts, eql.Part{Name: part})
			}
		case *eql.Event:
			to, ok := m.categories[n.Category]
			if !ok && !n.Any {
				missing = n.Category
				return true
			}
			n.Category = to
		}
		return true
	})
	return missing
}

// cut takes the first or last matches, which on a device nobody asks for.
func cut(list found, pipes []*eql.Pipe) (found, bool) {
	for _, p := range pipes {
		n, ok := p.Args[0].(*eql.Number)
		if !ok {
			return nil, false
		}
		k := min(int(n.Int), len(list))
		switch p.Name {
		case "head":
			list = list[:k]
		case "tail":
			list = list[len(list)-k:]
		default:
			return nil, false
		}
	}
	return list, true
}

// TestConformance runs the public cases whose fields can be mapped on the device's through checker, image and engine.
func TestConformance(t *testing.T) {
	for _, suite := range []string{"es_queries", "es_additional", "es_date", "es_missing_events"} {
		t.Run(suite, func(t *testing.T) {
			agree, refused := 0, make(map[string]int)
			for _, c := range corpus.Cases(t, suite) {
				m, ok := mappings[c.Dataset]
				if !ok || c.ExpectError {
					refused["no mapping of "+c.Dataset]++
					continue
				}
				if why := m.conform(t, &c); why != "" {
					refused[why]++
					continue
				}
				agree++
			}
			t.Logf("%d cases agree", agree)
			for why, n := range refused {
				t.Logf("  %d not run: %s", n, why)
			}
			if agree == 0 {
				t.Error("no case was run")
			}
		})
	}
}

// conform runs one case, or says why it cannot be run.
func (m *mapping) conform(t *testing.T, c *corpus.Case) (why string) {
	q, ds := eql.Parse(c.ID, []byte(c.Query), eql.Elastic)
	if ds.HasErrors() {
		t.Errorf("%s: %v", c.ID, ds)
		return ""
	}
	if missing := m.rename(q); missing != "" {
		return "no field or category for " + missing
	}
	pipes := q.Pipes
	q.Pipes = nil
	r, img, err := compile(q, ds)
	if err != nil {
		return err.Error() + ": " + oneLine(c.Query)
	}
	lines, ids := m.dataset(t, c.Dataset)
	got, elided := onDevice(t, img, lines)
	if ref := byReference(t, r, lines); elided == 0 && got.String() != ref.String() {
		t.Errorf("%s: engine %v, reference %v\n%s", c.ID, got, ref, c.Query)
	}
	got, ok := cut(got, pipes)
	if !ok {
		return "pipes"
	}
	var flat []int64
	for _, match := range got {
		for _, n := range match {
			flat = append(flat, ids[n-1])
		}
	}
	want := slices.DeleteFunc(slices.Clone(c.IDs), func(id int64) bool { return id == -1 })
	if !slices.Equal(flat, want) {
		t.Errorf("%s: found %v, expected %v\n%s", c.ID, flat, want, c.Query)
	}
	return ""
}
