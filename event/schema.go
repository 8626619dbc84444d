// Package event is the schema of Kestrel in one place: event types, fields, their numeric ids and ECS names, the
// fixed record that carries an event from the kernel to the engine, and the view that reads a field in O(1).
//
// The record is the same everywhere: the kernel programs write it into the ring, the log stores it, the JSON reader
// builds it. The C header of the kernel programs and docs/FIELDS.md are generated from the tables here: the types in
// schema.go, the slots in slots.go, the fields in fields.go (go generate ./event).
//
// Memory: a Record is a view over bytes that somebody else owns (the ring, a batch, the process table). Nothing here
// allocates. An Event borrows its records until the batch it belongs to is released.
package event

//go:generate go run ./gen -header ../bpf/c/event_gen.h -docs ../docs/FIELDS.md

// SchemaVersion changes when a slot, a type or the header changes its place or meaning, and when categories are added.
// Images and logs carry it: an image is for one version. Records only grow: a new slot stands behind the old ones of its
// class, so those of every version since SchemaVersionMin are read as they are.
const (
	SchemaVersion    = 2
	SchemaVersionMin = 1
)

// Type is the numeric event type. The numbers are part of the ABI of rule modules and are never reused.
type Type uint16

// The event types. Zero is an event read from outside whose category is not one of ours.
const (
	TypeOther       Type = 0
	TypeExec        Type = 1001
	TypeFork        Type = 1002
	TypeExit        Type = 1003
	TypeFileOpen    Type = 3001
	TypeFileRead    Type = 3002
	TypeFileWrite   Type = 3003
	TypeFileCreate  Type = 3004
	TypeFileDelete  Type = 3005
	TypeFileRename  Type = 3006
	TypeFileAttr    Type = 3007
	TypeMmapExec    Type = 3008
	TypeConnect     Type = 4001
	TypeSend        Type = 4002
	TypeAccept      Type = 4003
	TypeListen      Type = 4004
	TypeDNS         Type = 5001
	TypeSetID       Type = 6001
	TypeCapability  Type = 6002
	TypePtrace      Type = 6003
	TypeModuleLoad  Type = 6004
	TypeMount       Type = 6005
	TypeBPFLoad     Type = 6006
	TypeMemfd       Type = 6007
	TypeDriver      Type = 6008
	TypeLogin       Type = 7001
	TypeSession     Type = 7002
	TypeAccount     Type = 7003
	TypeSetting     Type = 7004
	TypeProcessInfo Type = 1100 // context: fills the process table, is no event
	TypeUserInfo    Type = 1101 // context: uid to name
	TypeHostInfo    Type = 1102 // context: boot id, host id and name, wall clock offset
	TypeLoss        Type = 1103 // context: events lost since the last one, by place and class
	TypeReport      Type = 1104 // context: what its source says of the next event besides
)

// Class groups the types that share one slot layout.
type Class uint8

// The classes. ClassContext records never reach the rules.
const (
	ClassProcess Class = iota
	ClassFile
	ClassNetwork
	ClassContext
	Classes
)

var classNames = [Classes]string{"process", "file", "network", "context"}

func (c Class) String() string {
	if c < Classes {
		return classNames[c]
	}
	return "invalid"
}

// Category is the event category that a query names before `where`.
type Category uint8

// The categories that events of this schema have.
const (
	CategoryOther Category = iota
	CategoryProcess
	CategoryFile
	CategoryNetwork
	CategoryDNS
	CategoryDriver
	CategoryAuthentication
	CategorySession
	CategoryIAM
	CategoryConfiguration
	Categories
	// CategoryAny is what a query says, never what an event has.
	CategoryAny Category = 0xff
)

var categoryNames = [Categories]string{"other", "process", "file", "network", "dns", "driver", "authentication", "session",
	"iam", "configuration"}

func (c Category) String() string {
	if c == CategoryAny {
		return "any"
	}
	if c < Categories {
		return categoryNames[c]
	}
	return "invalid"
}

// CategoryByName finds the category a query or a JSON event names.
func CategoryByName(name string) (Category, bool) {
	if name == "any" {
		return CategoryAny, true
	}
	for c := CategoryProcess; c < Categories; c++ {
		if categoryNames[c] == name {
			return c, true
		}
	}
	return CategoryOther, false
}

// TypeInfo says what an event of one type is called in ECS.
type TypeInfo struct {
	Type     Type
	Class    Class
	Category Category
	Types    string // event.type, elements separated by NUL as arrays are in records
	Action   string // event.action
	Doc      string
	Captured bool // this version's kernel programs produce it
}

// Types is every event type in the order of its number.
var Types = [...]TypeInfo{
	{TypeOther, ClassProcess, CategoryOther, "info", "", "an event from outside of no category known here", false},
	{TypeExec, ClassProcess, CategoryProcess, "start\x00exec", "exec", "a program was executed", true},
	{TypeFork, ClassProcess, CategoryProcess, "start\x00fork", "fork", "a process was created", true},
	{TypeExit, ClassProcess, CategoryProcess, "end\x00exit", "end", "the last thread of a process ended", true},
	{TypeProcessInfo, ClassProcess, CategoryProcess, "info", "already_running", "context: a process that was there before", true},
	{TypeUserInfo, ClassContext, CategoryOther, "", "", "context: a user id and its name", true},
	{TypeHostInfo, ClassContext, CategoryOther, "", "", "context: the host", true},
	{TypeLoss, ClassContext, CategoryOther, "", "", "context: events lost", true},
	{TypeReport, ClassContext, CategoryOther, "", "", "context: what the source says of the next event", false},
	{TypeFileOpen, ClassFile, CategoryFile, "access\x00open", "open", "a file was opened for neither reading nor writing", true},
	{TypeFileRead, ClassFile, CategoryFile, "access\x00open", "open", "a file was opened for reading", true},
	{TypeFileWrite, ClassFile, CategoryFile, "change\x00open", "modification", "an existing file was opened for writing", true},
	{TypeFileCreate, ClassFile, CategoryFile, "creation", "creation", "a file was created", true},
	{TypeFileDelete, ClassFile, CategoryFile, "deletion", "deletion", "a file was deleted", false},
	{TypeFileRename, ClassFile, CategoryFile, "change", "rename", "a file was renamed", false},
	{TypeFileAttr, ClassFile, CategoryFile, "change", "attributes", "mode or owner of a file changed", false},
	{TypeMmapExec, ClassFile, CategoryFile, "access", "mmap", "a file was mapped executable", false},
	{TypeConnect, ClassNetwork, CategoryNetwork, "start\x00connection", "connection_attempted", "a socket was connected", true},
	{TypeSend, ClassNetwork, CategoryNetwork, "connection", "send", "a datagram was sent", false},
	{TypeAccept, ClassNetwork, CategoryNetwork, "start\x00connection", "connection_accepted", "a connection was accepted", false},
	{TypeListen, ClassNetwork, CategoryNetwork, "info", "listen", "a socket was bound or listens", false},
	{TypeDNS, ClassNetwork, CategoryDNS, "protocol\x00info", "lookup_requested", "a name was looked up", false},
	{TypeSetID, ClassProcess, CategoryProcess, "change", "uid_change", "a process changed its user or group", false},
	{TypeCapability, ClassProcess, CategoryProcess, "change", "capability", "a capability was used", false},
	{TypePtrace, ClassProcess, CategoryProcess, "start", "ptrace", "a process traces another", false},
	{TypeModuleLoad, ClassProcess, CategoryProcess, "start", "load_module", "a kernel module was loaded", false},
	{TypeMount, ClassFile, CategoryFile, "change", "mount", "a file system was mounted", false},
	{TypeBPFLoad, ClassProcess, CategoryProcess, "change", "bpf_load", "a BPF program was loaded", false},
	{TypeMemfd, ClassProcess, CategoryProcess, "start", "memfd_create", "an anonymous file was made", false},
	{TypeDriver, ClassFile, CategoryDriver, "", "", "a driver or kernel module was loaded, as other sources tell it", false},
	{TypeLogin, ClassNetwork, CategoryAuthentication, "", "", "somebody logged in, or tried to", false},
	{TypeSession, ClassNetwork, CategorySession, "", "", "a login session began or ended", false},
	{TypeAccount, ClassProcess, CategoryIAM, "", "", "a user or group was made, changed or deleted", false},
	{TypeSetting, ClassProcess, CategoryConfiguration, "", "", "the configuration of the host was changed", false},
}

// Kind is the type of a field's values.
type Kind uint8

// The kinds of fields.
const (
	KindString  Kind = iota
	KindStrings      // array of strings, stored with NUL between the elements
	KindInt          // signed 64 bit
	KindID           // a number that ECS writes as a string (user.id): compares with both
	KindIP           // 4 or 16 bytes
	KindBool
	KindEntity // 64-bit entity id, written as 0x and hexadecimal digits
	KindTime   // ns
	Kinds
)

var kindNames = [Kinds]string{"string", "string array", "integer", "numeric string", "ip", "boolean", "entity id", "time"}

// IsNumber tells the kinds that Event.Int reads and that compare as numbers.
func (k Kind) IsNumber() bool {
	switch k {
	case KindInt, KindID, KindBool, KindEntity, KindTime:
		return true
	}
	return false
}

func (k Kind) String() string {
	if k < Kinds {
		return kindNames[k]
	}
	return "invalid"
}
