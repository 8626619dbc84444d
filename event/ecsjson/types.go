package ecsjson

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kestrel-detection/kestrel/event"
)

// The type of an event is, in this order:
//
//  1. event_type_id, or event_type when it is a number: that type.
//  2. event_type when it names a type (typeNames, with or without the category before it): that type.
//  3. Of the category in event.category, or else in event_type, the type that event.action names (actionTypes).
//  4. Of that category the type that event.type names (kindTypes); the first row that fits.
//  5. Of that category the general type (generalTypes), else event.TypeOther, also for a category not known here.
//  6. Without a category the type that event.action names in any, else event.TypeOther.
//
// The strings of the event count, not the type: event.category, event.type and event.action are what the line says. Of
// these, those that the line leaves out follow from the type when 1, 2, 3 or 6 named it or a row of 4 is sure; else,
// and when the line says null, the event has none.

// typeNames are the names of event_type.
var typeNames = map[string]event.Type{
	"exec": event.TypeExec, "fork": event.TypeFork, "exit": event.TypeExit,
	"open": event.TypeFileOpen, "read": event.TypeFileRead, "read_open": event.TypeFileRead,
	"write": event.TypeFileWrite, "write_open": event.TypeFileWrite, "create": event.TypeFileCreate,
	"delete": event.TypeFileDelete, "unlink": event.TypeFileDelete, "rename": event.TypeFileRename,
	"chmod": event.TypeFileAttr, "chown": event.TypeFileAttr, "attributes": event.TypeFileAttr,
	"mmap": event.TypeMmapExec, "mmap_exec": event.TypeMmapExec,
	"connect": event.TypeConnect, "send": event.TypeSend, "accept": event.TypeAccept,
	"bind": event.TypeListen, "listen": event.TypeListen, "dns_query": event.TypeDNS,
	"setuid": event.TypeSetID, "setgid": event.TypeSetID, "capability": event.TypeCapability,
	"ptrace": event.TypePtrace, "module_load": event.TypeModuleLoad, "mount": event.TypeMount,
	"bpf_load": event.TypeBPFLoad, "bpf": event.TypeBPFLoad, "memfd": event.TypeMemfd,
}

type word struct {
	category event.Category
	word     string
	typ      event.Type
	sure     bool
}

var actionTypes = [...]word{
	{event.CategoryProcess, "exec", event.TypeExec, true},
	{event.CategoryProcess, "fork", event.TypeFork, true},
	{event.CategoryProcess, "end", event.TypeExit, true},
	{event.CategoryProcess, "exit", event.TypeExit, true},
	{event.CategoryProcess, "uid_change", event.TypeSetID, true},
	{event.CategoryProcess, "gid_change", event.TypeSetID, true},
	{event.CategoryProcess, "capability", event.TypeCapability, true},
	{event.CategoryProcess, "ptrace", event.TypePtrace, true},
	{event.CategoryProcess, "bpf_load", event.TypeBPFLoad, true},
	{event.CategoryProcess, "memfd_create", event.TypeMemfd, true},
	{event.CategoryProcess, "load_module", event.TypeModuleLoad, true},
	{event.CategoryFile, "open", event.TypeFileOpen, true},
	{event.CategoryFile, "read", event.TypeFileRead, true},
	{event.CategoryFile, "modification", event.TypeFileWrite, true},
	{event.CategoryFile, "overwrite", event.TypeFileWrite, true},
	{event.CategoryFile, "creation", event.TypeFileCreate, true},
	{event.CategoryFile, "deletion", event.TypeFileDelete, true},
	{event.CategoryFile, "rename", event.TypeFileRename, true},
	{event.CategoryFile, "attributes", event.TypeFileAttr, true},
	{event.CategoryFile, "mmap", event.TypeMmapExec, true},
	{event.CategoryFile, "mount", event.TypeMount, true},
	{event.CategoryNetwork, "connection_attempted", event.TypeConnect, true},
	{event.CategoryNetwork, "connection_accepted", event.TypeAccept, true},
	{event.CategoryNetwork, "send", event.TypeSend, true},
	{event.CategoryNetwork, "listen", event.TypeListen, true},
	{event.CategoryNetwork, "lookup_requested", event.TypeDNS, true},
	{event.CategoryNetwork, "lookup_result", event.TypeDNS, false},
	{event.CategoryDNS, "lookup_requested", event.TypeDNS, true},
}

var kindTypes = [...]word{
	{event.CategoryProcess, "fork", event.TypeFork, true},
	{event.CategoryProcess, "exec", event.TypeExec, true},
	{event.CategoryProcess, "exit", event.TypeExit, true},
	{event.CategoryProcess, "end", event.TypeExit, true},
	{event.CategoryProcess, "start", event.TypeExec, false},
	{event.CategoryFile, "creation", event.TypeFileCreate, true},
	{event.CategoryFile, "deletion", event.TypeFileDelete, true},
	{event.CategoryFile, "change", event.TypeFileWrite, false},
}

// generalTypes: the type of a category when nothing names another. A process event of no type known here is
// TypeOther, which has the same fields.
var generalTypes = [event.Categories]event.Type{
	event.CategoryOther: event.TypeOther, event.CategoryProcess: event.TypeOther, event.CategoryFile: event.TypeFileOpen,
	event.CategoryNetwork: event.TypeConnect, event.CategoryDNS: event.TypeDNS, event.CategoryDriver: event.TypeDriver,
	event.CategoryAuthentication: event.TypeLogin, event.CategorySession: event.TypeSession,
	event.CategoryIAM: event.TypeAccount, event.CategoryConfiguration: event.TypeSetting,
}

// decide finds the type of the line's event. derive says that the strings which the line leaves out follow from it;
// category is what the event's category is called, "" when the line names none.
func (v *values) decide() (typ event.Type, category string, derive bool, err error) {
	if c := &v.fields[event.FieldEventCategory]; c.given() {
		category = knownCategory(c)
	}
	if v.typeID.given() {
		typ, err = typeByNumber(&v.typeID)
		return typ, category, true, err
	}
	if v.typeName.given() {
		if _, ok := v.typeName.integer(); ok {
			typ, err = typeByNumber(&v.typeName)
			return typ, category, true, err
		}
		if t, ok := typeByName(v.typeName.first()); ok {
			return t, category, true, nil
		}
		if category == "" {
			category = v.typeName.first()
		}
	}
	action := ""
	if a := &v.fields[event.FieldEventAction]; a.given() {
		action = a.first()
	}
	if category == "" {
		for _, w := range actionTypes {
			if w.word == action {
				return w.typ, w.category.String(), true, nil
			}
		}
		return event.TypeOther, "", false, nil
	}
	c, ok := event.CategoryByName(category)
	if !ok || c == event.CategoryAny {
		return event.TypeOther, category, false, nil
	}
	for _, w := range actionTypes {
		if w.category == c && w.word == action {
			return w.typ, category, w.sure, nil
		}
	}
	kinds := &v.fields[event.FieldEventType]
	for _, w := range kindTypes {
		if w.category == c && (kinds.form == formString && kinds.text == w.word || slices.Contains(kinds.list, w.word)) {
			return w.typ, category, w.sure, nil
		}
	}
	return generalTypes[c], category, false, nil
}

// knownCategory is the first category of a list that is known here, else its first.
func knownCategory(v *value) string {
	for _, s := range v.list {
		if c, ok := event.CategoryByName(s); ok && c != event.CategoryAny {
			return s
		}
	}
	return v.first()
}

func typeByNumber(v *value) (event.Type, error) {
	n, ok := v.integer()
	if !ok || n < 0 || n > 0xffff || event.Info(event.Type(n)) == nil || event.Type(n).IsContext() {
		return 0, fmt.Errorf("event type %s is not known", strconv.Quote(v.first()))
	}
	return event.Type(n), nil
}

// typeByName takes "exec", "process_exec", "Process Exec" and "process.exec" for the same.
func typeByName(s string) (event.Type, bool) {
	s = strings.NewReplacer(" ", "_", "-", "_", ".", "_").Replace(strings.ToLower(s))
	if t, ok := typeNames[s]; ok {
		return t, true
	}
	before, after, ok := strings.Cut(s, "_")
	if !ok {
		return 0, false
	}
	t, ok := typeNames[after]
	if !ok || event.Info(t).Category.String() != before && event.Info(t).Class.String() != before {
		return 0, false
	}
	return t, true
}
