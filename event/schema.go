// Package event is the schema of Kestrel in one place: event types, fields, their numeric ids and ECS names, the
// fixed record that carries an event from the kernel to the engine, and the view that reads a field in O(1).
//
// The record is the same everywhere: the kernel programs write it into the ring, the log stores it, the JSON reader
// builds it. The C header of the kernel programs and docs/FIELDS.md are generated from the tables of this file
// (go generate ./event).
//
// Memory: a Record is a view over bytes that somebody else owns (the ring, a batch, the process table). Nothing here
// allocates. An Event borrows its records until the batch it belongs to is released.
package event

//go:generate go run ./gen -header ../bpf/c/event_gen.h -docs ../docs/FIELDS.md

// SchemaVersion changes when a slot, a type or the header changes its place or meaning. Images and logs carry it.
const SchemaVersion = 1

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
	TypeProcessInfo Type = 1100 // context: fills the process table, is no event
	TypeUserInfo    Type = 1101 // context: uid to name
	TypeHostInfo    Type = 1102 // context: boot id, host id and name, wall clock offset
	TypeLoss        Type = 1103 // context: events lost since the last one, by place and class
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
	Categories
	// CategoryAny is what a query says, never what an event has.
	CategoryAny Category = 0xff
)

var categoryNames = [Categories]string{"other", "process", "file", "network", "dns", "driver"}

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
	{TypePtrace, ClassProcess, CategoryProcess, "change", "ptrace", "a process traces another", false},
	{TypeModuleLoad, ClassFile, CategoryDriver, "start", "load_module", "a kernel module was loaded", false},
	{TypeMount, ClassFile, CategoryFile, "change", "mount", "a file system was mounted", false},
	{TypeBPFLoad, ClassProcess, CategoryProcess, "change", "bpf_load", "a BPF program was loaded", false},
	{TypeMemfd, ClassProcess, CategoryProcess, "change", "memfd_create", "an anonymous file was made", false},
}

// Slots common to every class that reaches the rules. The kernel fills the numeric ones; the strings come from JSON
// events that name something else than what TypeInfo says.
const (
	SlotAction = iota
	SlotTypes
	SlotCategory
	SlotOutcome
	SlotResult // errno of the operation as a negative number, 0 for success
	SlotUID
	SlotGID
	SlotUserName
	slotsCommon
)

// Slots of ClassProcess.
const (
	SlotExecutable = slotsCommon + iota
	SlotName
	SlotArgs
	SlotCommandLine
	SlotCwd
	SlotParentPID
	SlotParentStart
	SlotParentEntity
	SlotArgsCount
	SlotRealUID
	SlotRealGID
	SlotSessionID
	SlotTTY
	SlotExitCode
	SlotCgroup
	SlotMountNS
	slotsProcess
)

// Slots of ClassFile.
const (
	SlotPath = slotsCommon + iota
	SlotFileName
	SlotFileExtension
	SlotFileFlags
	SlotFileMode
	SlotFileInode
	SlotFileDevice
	slotsFile
)

// Slots of ClassNetwork.
const (
	SlotSourceIP = slotsCommon + iota
	SlotSourcePort
	SlotDestinationIP
	SlotDestinationPort
	SlotProtocol // IPPROTO_*
	SlotTransport
	SlotNetworkType
	slotsNetwork
)

// Slots of ClassContext. What they mean depends on the type.
const (
	SlotContextID     = iota // uid | wall clock minus monotonic clock in ns | loss place
	SlotContextText          // user name | host name | -
	SlotContextText2         // - | host id | -
	SlotContextSeed          // - | hash of the boot id, seed of entity ids | -
	SlotContextCount0        // - | - | events lost of process, file, network
	SlotContextCount1
	SlotContextCount2
	slotsContext
)

var classSlots = [Classes]int{slotsProcess, slotsFile, slotsNetwork, slotsContext}

// Slots is the number of slots a record of the class has.
func (c Class) Slots() int { return classSlots[c] }

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

// Part says which record of an Event holds a field.
type Part uint8

// The parts of an event.
const (
	PartOwn    Part = iota // the event's own record, all classes
	PartProc               // the process that acted
	PartParent             // its parent
	PartHost               // constant of the host
)

// Derive says how a field's value follows from others when its own slot is empty.
type Derive uint8

// The derivations.
const (
	DeriveNone      Derive = iota
	DeriveBasename         // of the slot From
	DeriveExtension        // of the slot From
	DeriveJoin             // the array in From, NUL read as a blank
	DeriveCategory         // from the type
	DeriveTypes            // from the type
	DeriveAction           // from the type
	DeriveOutcome          // from SlotResult
	DeriveUserName         // from SlotUID by the users table
	DeriveTransport        // from SlotProtocol
	DeriveNetType          // from the length of the address in From
	DeriveHeader           // from the record header
	DeriveNonzero          // boolean: the slot From is there and not 0
	DeriveHost             // from the host table
)

// FieldID numbers a field; ids are never reused. The ids of SPEC section 4 are fixed by the ABI of rule modules.
type FieldID uint16

// FieldsMax bounds the ids: tables indexed by FieldID have this many entries.
const FieldsMax = 160

// Field is one field of the schema.
type Field struct {
	ID     FieldID
	Name   string // ECS
	Kind   Kind
	Part   Part
	Class  Class // for PartOwn: the class that has the slot; commonClass for all
	Slot   uint8 // in the record of Part; noSlot when only derived
	Derive Derive
	From   uint8 // slot that Derive reads
	Doc    string
}

const (
	noSlot      = 0xff
	commonClass = Classes // the slot is common to all classes
)

// The field ids that code names.
const (
	FieldEventType        FieldID = 1
	FieldPID              FieldID = 2
	FieldName             FieldID = 3
	FieldExecutable       FieldID = 4
	FieldCommandLine      FieldID = 5
	FieldParentPID        FieldID = 6
	FieldArgs             FieldID = 7
	FieldArgsCount        FieldID = 8
	FieldWorkingDirectory FieldID = 9
	FieldUserID           FieldID = 10
	FieldUserName         FieldID = 11
	FieldGroupID          FieldID = 12
	FieldEntityID         FieldID = 13
	FieldExitCode         FieldID = 14
	FieldEventCategory    FieldID = 15
	FieldEventAction      FieldID = 16
	FieldEventOutcome     FieldID = 17
	FieldFilePath         FieldID = 20
	FieldParentEntityID   FieldID = 30
	FieldDestinationIP    FieldID = 50
	FieldDestinationPort  FieldID = 51
	FieldSourceIP         FieldID = 52
	FieldSourcePort       FieldID = 53
	FieldTimestamp        FieldID = 100
)

// Fields is the schema, in the order of the ids.
var Fields = [...]Field{
	{FieldEventType, "event.type", KindStrings, PartOwn, commonClass, SlotTypes, DeriveTypes, 0, "what the event does to its object; an array: the ECS value and Kestrel's own (exec, fork, exit, open)"},
	{FieldPID, "process.pid", KindInt, PartOwn, commonClass, noSlot, DeriveHeader, 0, "process id in the host's namespace"},
	{FieldName, "process.name", KindString, PartProc, ClassProcess, SlotName, DeriveBasename, SlotExecutable, "base name of the executable"},
	{FieldExecutable, "process.executable", KindString, PartProc, ClassProcess, SlotExecutable, DeriveNone, 0, "absolute path of the executable, across mounts"},
	{FieldCommandLine, "process.command_line", KindString, PartProc, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, "arguments joined by blanks"},
	{FieldParentPID, "process.parent.pid", KindInt, PartProc, ClassProcess, SlotParentPID, DeriveNone, 0, "process id of the parent"},
	{FieldArgs, "process.args", KindStrings, PartProc, ClassProcess, SlotArgs, DeriveNone, 0, "arguments, the first is the name the program was called by"},
	{FieldArgsCount, "process.args_count", KindInt, PartProc, ClassProcess, SlotArgsCount, DeriveNone, 0, "number of arguments, also of those cut off"},
	{FieldWorkingDirectory, "process.working_directory", KindString, PartProc, ClassProcess, SlotCwd, DeriveNone, 0, "working directory when the program was executed"},
	{FieldUserID, "user.id", KindID, PartOwn, commonClass, SlotUID, DeriveNone, 0, "effective user id"},
	{FieldUserName, "user.name", KindString, PartOwn, commonClass, SlotUserName, DeriveUserName, SlotUID, "name of the effective user"},
	{FieldGroupID, "group.id", KindID, PartOwn, commonClass, SlotGID, DeriveNone, 0, "effective group id"},
	{FieldEntityID, "process.entity_id", KindEntity, PartOwn, commonClass, noSlot, DeriveHeader, 0, "stable for the life of a process, never reused"},
	{FieldExitCode, "process.exit_code", KindInt, PartOwn, ClassProcess, SlotExitCode, DeriveNone, 0, "exit code; 128 + n for a process ended by signal n"},
	{FieldEventCategory, "event.category", KindString, PartOwn, commonClass, SlotCategory, DeriveCategory, 0, "category, the word before where"},
	{FieldEventAction, "event.action", KindString, PartOwn, commonClass, SlotAction, DeriveAction, 0, "what was done"},
	{FieldEventOutcome, "event.outcome", KindString, PartOwn, commonClass, SlotOutcome, DeriveOutcome, SlotResult, "success or failure, where the source knows"},
	{18, "process.user.id", KindID, PartProc, ClassProcess, SlotUID, DeriveNone, 0, "effective user id at exec"},
	{19, "process.group.id", KindID, PartProc, ClassProcess, SlotGID, DeriveNone, 0, "effective group id at exec"},
	{FieldFilePath, "file.path", KindString, PartOwn, ClassFile, SlotPath, DeriveNone, 0, "absolute path, across mounts"},
	{21, "file.name", KindString, PartOwn, ClassFile, SlotFileName, DeriveBasename, SlotPath, "last component of the path"},
	{22, "file.extension", KindString, PartOwn, ClassFile, SlotFileExtension, DeriveExtension, SlotPath, "what follows the last dot of the name"},
	{23, "file.Ext.flags", KindInt, PartOwn, ClassFile, SlotFileFlags, DeriveNone, 0, "open flags as the kernel keeps them (O_*)"},
	{24, "file.mode", KindInt, PartOwn, ClassFile, SlotFileMode, DeriveNone, 0, "type and permission bits"},
	{25, "file.inode", KindID, PartOwn, ClassFile, SlotFileInode, DeriveNone, 0, "inode number"},
	{26, "file.device", KindID, PartOwn, ClassFile, SlotFileDevice, DeriveNone, 0, "device, major<<20|minor as the kernel has it"},
	{FieldParentEntityID, "process.parent.entity_id", KindEntity, PartProc, ClassProcess, SlotParentEntity, DeriveHeader, 0, "entity id of the parent"},
	{31, "process.parent.name", KindString, PartParent, ClassProcess, SlotName, DeriveBasename, SlotExecutable, "base name of the parent's executable"},
	{32, "process.parent.executable", KindString, PartParent, ClassProcess, SlotExecutable, DeriveNone, 0, "path of the parent's executable"},
	{33, "process.parent.command_line", KindString, PartParent, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, "the parent's arguments joined by blanks"},
	{34, "process.parent.args", KindStrings, PartParent, ClassProcess, SlotArgs, DeriveNone, 0, "the parent's arguments"},
	{35, "process.parent.args_count", KindInt, PartParent, ClassProcess, SlotArgsCount, DeriveNone, 0, "number of the parent's arguments"},
	{36, "process.parent.working_directory", KindString, PartParent, ClassProcess, SlotCwd, DeriveNone, 0, "the parent's working directory"},
	{37, "process.parent.user.id", KindID, PartParent, ClassProcess, SlotUID, DeriveNone, 0, "the parent's effective user id"},
	{38, "process.parent.group.id", KindID, PartParent, ClassProcess, SlotGID, DeriveNone, 0, "the parent's effective group id"},
	{39, "process.parent.interactive", KindBool, PartParent, ClassProcess, noSlot, DeriveNonzero, SlotTTY, "the parent has a terminal"},
	{40, "process.interactive", KindBool, PartProc, ClassProcess, noSlot, DeriveNonzero, SlotTTY, "the process has a terminal"},
	{41, "process.real_user.id", KindID, PartProc, ClassProcess, SlotRealUID, DeriveNone, 0, "real user id at exec"},
	{42, "process.real_group.id", KindID, PartProc, ClassProcess, SlotRealGID, DeriveNone, 0, "real group id at exec"},
	{43, "process.Ext.session_id", KindID, PartProc, ClassProcess, SlotSessionID, DeriveNone, 0, "id of the session (setsid)"},
	{44, "process.thread.id", KindInt, PartOwn, commonClass, noSlot, DeriveHeader, 0, "thread id"},
	{45, "process.Ext.cgroup_id", KindID, PartProc, ClassProcess, SlotCgroup, DeriveNone, 0, "id of the control group (v2)"},
	{46, "process.Ext.mount_namespace", KindID, PartProc, ClassProcess, SlotMountNS, DeriveNone, 0, "inode number of the mount namespace"},
	{FieldDestinationIP, "destination.ip", KindIP, PartOwn, ClassNetwork, SlotDestinationIP, DeriveNone, 0, "address of the peer"},
	{FieldDestinationPort, "destination.port", KindInt, PartOwn, ClassNetwork, SlotDestinationPort, DeriveNone, 0, "port of the peer"},
	{FieldSourceIP, "source.ip", KindIP, PartOwn, ClassNetwork, SlotSourceIP, DeriveNone, 0, "own address"},
	{FieldSourcePort, "source.port", KindInt, PartOwn, ClassNetwork, SlotSourcePort, DeriveNone, 0, "own port"},
	{54, "network.transport", KindString, PartOwn, ClassNetwork, SlotTransport, DeriveTransport, SlotProtocol, "tcp, udp, icmp or the number"},
	{55, "network.type", KindString, PartOwn, ClassNetwork, SlotNetworkType, DeriveNetType, SlotDestinationIP, "ipv4 or ipv6"},
	{80, "host.os.type", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, "linux"},
	{81, "host.id", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, "machine id"},
	{82, "host.name", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, "host name"},
	{FieldTimestamp, "@timestamp", KindTime, PartOwn, commonClass, noSlot, DeriveHeader, 0, "wall time of the event"},
}

// SlotNames names the slots of each class for the generated C header, in the order of the slot constants.
var SlotNames = [Classes][]string{
	ClassProcess: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"EXECUTABLE", "NAME", "ARGS", "COMMAND_LINE", "CWD", "PARENT_PID", "PARENT_START", "PARENT_ENTITY", "ARGS_COUNT",
		"REAL_UID", "REAL_GID", "SESSION_ID", "TTY", "EXIT_CODE", "CGROUP", "MOUNT_NS"),
	ClassFile: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"PATH", "FILE_NAME", "FILE_EXTENSION", "FILE_FLAGS", "FILE_MODE", "FILE_INODE", "FILE_DEVICE"),
	ClassNetwork: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"SOURCE_IP", "SOURCE_PORT", "DESTINATION_IP", "DESTINATION_PORT", "PROTOCOL", "TRANSPORT", "NETWORK_TYPE"),
	ClassContext: {"ID", "TEXT", "TEXT2", "SEED", "COUNT0", "COUNT1", "COUNT2"},
}

var commonSlotNames = []string{"ACTION", "TYPES", "CATEGORY", "OUTCOME", "RESULT", "UID", "GID", "USER_NAME"}
