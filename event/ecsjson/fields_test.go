package ecsjson

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/event"
)

// TestUnknownCategory: events that only rules of any see are counted by their category.
func TestUnknownCategory(t *testing.T) {
	events, _, errs, r := readAll(t, `
{"event.category":"registry","event.action":"set"}
{"event.category":["library","registry"]}
{"event.category":["library","file"]}
{"event_type":"nothing"}
{"event.category":"any"}
{"event_type_id":1001,"event.category":"registry"}
`)
	names, _ := r.Ignored()
	want := `[{event.category "registry" a category that no rule can name 2} {event.category "library" a category that no rule ` +
		`can name 1} {event.category "nothing" a category that no rule can name 1}]`
	if got := fmt.Sprint(names); got != want || len(events) != 6 || len(errs) != 0 {
		t.Errorf("%d events, %v, %s\nwant %s", len(events), errs, got, want)
	}
}

// TestEveryField: each field of the schema is read, flat and nested, and written again.
func TestEveryField(t *testing.T) {
	for i := range event.Fields {
		f := &event.Fields[i]
		typ := event.TypeOther
		if f.Part == event.PartOwn {
			typ = map[event.Class]event.Type{event.ClassFile: event.TypeFileRename, event.ClassNetwork: event.TypeConnect}[f.Class]
		}
		given := map[event.Kind]string{event.KindString: `"a/b.c"`, event.KindStrings: `["x=1","y z"]`, event.KindInt: `77`,
			event.KindID: `"77"`, event.KindIP: `"10.1.2.3"`, event.KindBool: `true`, event.KindEntity: `"0x4d"`,
			event.KindTime: `"2020-11-10T07:48:16.000000000Z"`}[f.Kind]
		if f.ID == event.FieldHostOSType {
			given = `"linux"`
		}
		flat := fmt.Sprintf(`{"event_type_id":%d,"%s":%s}`, typ, f.Name, given)
		nested := given
		parts := strings.Split(f.Name, ".")
		for k := len(parts) - 1; k >= 0; k-- {
			nested = fmt.Sprintf(`{"%s":%s}`, parts[k], nested)
		}
		nested = fmt.Sprintf(`{"event_type_id":%d,%s`, typ, nested[1:])
		var lines [2]string
		for k, in := range []string{flat, nested} {
			_, out, errs, r := readAll(t, in)
			names, _ := r.Ignored()
			if f.ID == event.FieldEventCategory && len(names) == 1 {
				names = nil // it is of no category
			}
			if len(out) != 1 || len(errs) != 0 || len(names) != 0 {
				t.Fatalf("%s: %q, %v, not used: %v", in, out, errs, names)
			}
			lines[k] = out[0]
		}
		want := fmt.Sprintf(`"%s":%s`, f.Name, given)
		if !strings.Contains(lines[0], want) || lines[0] != lines[1] {
			t.Errorf("%s\ngives %s\nand   %s\nwant  %s", flat, lines[0], lines[1], want)
		}
		again(t, lines[:1])
	}
}

// TestLeaders: what a line says of the leaders and of itself, and of whom it makes entity ids.
func TestLeaders(t *testing.T) {
	m := one(t, `{"event_type":"exec","process.pid":7,"process.parent.pid":7,"process.entry_leader":{"pid":5,"executable":"/usr/sbin/sshd",`+
		`"entry_meta":{"type":"sshd","source":{"ip":"192.0.2.1"}},"interactive":true},"process.session_leader.pid":7,`+
		`"process.group_leader.entity_id":"QQ","process.group_leader.args":["a","b"]}`)
	for name, want := range map[string]any{"process.entry_leader.name": "sshd", "process.entry_leader.same_as_process": false,
		"process.entry_leader.entry_meta.type": "sshd", "process.entry_leader.entry_meta.source.ip": "192.0.2.1",
		"process.entry_leader.interactive": true, "process.session_leader.same_as_process": true,
		"process.session_leader.entity_id": m["process.entity_id"], "process.session_leader.pid": 7.0,
		"process.group_leader.command_line": "a b", "process.group_leader.same_as_process": false, "process.name": nil,
		"process.session_leader.name": nil, "process.group_leader.pid": nil} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	// Of a process with an id of its own, a pid says nothing about the leader's.
	m = one(t, `{"event_type":"exec","process.entity_id":"QQ","process.session_leader.pid":7,"process.group_leader.same_as_process":true}`)
	if m["process.session_leader.entity_id"] != nil || m["process.session_leader.same_as_process"] != nil ||
		m["process.group_leader.same_as_process"] != true {
		t.Errorf("leaders are %v", m)
	}
}

// TestReport: what a source says of its events stays with them.
func TestReport(t *testing.T) {
	events, _, errs, _ := readAll(t, `
{"event_type":"create","event":{"module":"auditd","kind":"event"},"auditd":{"data":{"syscall":"openat","a2":"241"}},"user":{"id":"5","effective":{"id":0}},"host.ip":["fe80::1","10.0.0.1"]}
{"event_type":"create","user.id":5,"group.id":6}
`)
	if len(events) != 2 || len(errs) != 0 {
		t.Fatalf("%d events, %v", len(events), errs)
	}
	for i, want := range []map[string]any{
		{"event.module": "auditd", "event.kind": "event", "auditd.data.syscall": "openat", "auditd.data.a2": "241",
			"user.id": "5", "user.effective.id": "0", "host.ip": "fe80::1"},
		{"event.module": nil, "event.kind": nil, "auditd.data.syscall": nil, "user.effective.id": nil, "user.Ext.real.id": nil,
			"user.id": "5", "host.ip": nil},
	} {
		for name, v := range want {
			if events[i][name] != v {
				t.Errorf("event %d: %s is %v, want %v", i, name, events[i][name], v)
			}
		}
	}
}

// TestObjectsInArrays: their members are arrays, the first element counts for a field with one value.
func TestObjectsInArrays(t *testing.T) {
	events, _, errs, r := readAll(t, `
{"event_type":"exec","process.previous":[{"executable":"/bin/a","args":["x"]},{"executable":["/bin/b","/bin/c"]}],"process":{"name":"n"}}
{"event_type":"exec","process":[{"name":"a","args":["x","y"]},{"name":"b","args":"z"},3]}
`)
	names, _ := r.Ignored()
	if len(events) != 2 || len(errs) != 0 || fmt.Sprint(names) != "[{process.previous.args unknown name 1} {process unknown name 1}]" {
		t.Fatalf("%d events, %v, %v", len(events), errs, names)
	}
	got := fmt.Sprintln(events[0]["process.previous.executable"], events[0]["process.name"], events[1]["process.name"], events[1]["process.args"])
	if want := "[/bin/a /bin/b /bin/c] n a [x y z]\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMemfdFlags: the flags are bits of one number, whichever way they are said.
func TestMemfdFlags(t *testing.T) {
	for in, want := range map[string]string{
		`"process.Ext.memfd.flags":2`: "2 true false",
		`"process.Ext.memfd.flag_allow_seal":true,"process.Ext.memfd.flag_exec":true`: "18 true true",
		`"process.Ext.memfd.flag_exec":false`:                                         "0 false false",
		`"process.Ext.memfd.name":"x"`:                                                "<nil> <nil> <nil>",
	} {
		m := one(t, `{"event_type":"memfd",`+in+`}`)
		if got := fmt.Sprint(m["process.Ext.memfd.flags"], m["process.Ext.memfd.flag_allow_seal"], m["process.Ext.memfd.flag_exec"]); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
