package event

// Part says which record of an Event holds a field.
type Part uint8

// The parts of an event.
const (
	PartOwn     Part = iota // the event's own record, all classes
	PartProc                // the process that acted
	PartParent              // its parent
	PartEntry               // the leader of the session by which somebody or something entered the host
	PartSession             // the leader of its session
	PartGroup               // the leader of its process group
	PartReport              // what the source says of the event besides
	PartHost                // constant of the host
	Parts
)

// Derive says how a field's value follows from others when its own slot is empty.
type Derive uint8

// The derivations.
const (
	DeriveNone         Derive = iota
	DeriveBasename            // of the slot From
	DeriveExtension           // of the slot From
	DeriveJoin                // the array in From, NUL read as a blank
	DeriveCategory            // from the type
	DeriveTypes               // from the type
	DeriveAction              // from the type
	DeriveOutcome             // from SlotResult
	DeriveUserName            // from the user id in From by the users table
	DeriveTransport           // from SlotProtocol
	DeriveNetType             // from the length of the address in From
	DeriveDirection           // of the device's own events, from the type
	DerivePID                 // from the record header
	DeriveThread              // from the record header
	DeriveEntity              // from the record header
	DeriveTime                // from the record header
	DeriveParentEntity        // by the process table
	DeriveNonzero             // boolean: the slot From is there and not 0
	DeriveSame                // boolean: the record is of the process that acted
	DeriveMemfdFlag           // boolean: a bit of the slot From, in the order of the ids
	DeriveOwnID               // of the device's own events, the slot From of the event
	DeriveRealID              // of the device's own events, the slot From of the event or of the process that acted
	DeriveRealName            // the name of that user
	DeriveEventKind           // of the device's own events
	DeriveHost                // from the host table
)

// FieldID numbers a field; ids are never reused. The ids of SPEC section 4 are fixed by the ABI of rule modules.
type FieldID uint16

// FieldsMax bounds the ids: tables indexed by FieldID have this many entries.
const FieldsMax = 256

// Field is one field of the schema.
type Field struct {
	ID     FieldID
	Name   string // ECS
	Kind   Kind
	Part   Part
	Class  Class // of the record that has the slot; commonClass for all
	Slot   uint8 // in the record of Part; noSlot when only derived
	Derive Derive
	From   uint8 // slot that Derive reads
	// Captured: this version's sources on a device give it. Others are for events from outside, and for rules that are
	// to load as they are; package ir/check warns of them.
	Captured bool
	Doc      string
}

const (
	noSlot      = 0xff
	commonClass = Classes // the slot is common to all classes
)

// HasSlot tells whether the field has a slot of its own. One without follows from others.
func (f *Field) HasSlot() bool { return f.Slot != noSlot }

// Wide tells the fields that only records of events from outside have: those of a device's own sources have fewer slots.
func (f *Field) Wide() bool {
	n := 0
	if f.Class < Classes {
		n = f.Class.SlotsCaptured()
	}
	return n > 0 && (f.HasSlot() && int(f.Slot) >= n && (f.Derive == DeriveNone || int(f.From) >= n) || !f.HasSlot() && int(f.From) >= n)
}

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
	FieldProcessUserID    FieldID = 18
	FieldProcessGroupID   FieldID = 19
	FieldFilePath         FieldID = 20
	FieldParentEntityID   FieldID = 30
	FieldThreadID         FieldID = 44
	FieldDestinationIP    FieldID = 50
	FieldDestinationPort  FieldID = 51
	FieldSourceIP         FieldID = 52
	FieldSourcePort       FieldID = 53
	FieldHostOSType       FieldID = 80
	FieldHostID           FieldID = 81
	FieldHostName         FieldID = 82
	FieldTimestamp        FieldID = 100
	FieldProcessUserName  FieldID = 101
	FieldMemfdCloexec     FieldID = 128 // the flags that follow are the bits that follow
	FieldEntryPID         FieldID = 160
	FieldEntryEntityID    FieldID = 161
	FieldSessionPID       FieldID = 180
	FieldSessionEntityID  FieldID = 181
	FieldGroupPID         FieldID = 200
	FieldGroupEntityID    FieldID = 201
)

// Fields is the schema, in the order of the ids.
var Fields = [...]Field{
	{FieldEventType, "event.type", KindStrings, PartOwn, commonClass, SlotTypes, DeriveTypes, 0, true, "what the event does to its object; an array: the ECS value and Kestrel's own (exec, fork, exit, open)"},
	{FieldPID, "process.pid", KindInt, PartOwn, commonClass, noSlot, DerivePID, 0, true, "process id in the host's namespace"},
	{FieldName, "process.name", KindString, PartProc, ClassProcess, SlotName, DeriveBasename, SlotExecutable, true, "base name of the executable"},
	{FieldExecutable, "process.executable", KindString, PartProc, ClassProcess, SlotExecutable, DeriveNone, 0, true, "absolute path of the executable, across mounts"},
	{FieldCommandLine, "process.command_line", KindString, PartProc, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, true, "arguments joined by blanks"},
	{FieldParentPID, "process.parent.pid", KindInt, PartProc, ClassProcess, SlotParentPID, DeriveNone, 0, true, "process id of the parent"},
	{FieldArgs, "process.args", KindStrings, PartProc, ClassProcess, SlotArgs, DeriveNone, 0, true, "arguments, the first is the name the program was called by"},
	{FieldArgsCount, "process.args_count", KindInt, PartProc, ClassProcess, SlotArgsCount, DeriveNone, 0, true, "number of arguments, also of those cut off"},
	{FieldWorkingDirectory, "process.working_directory", KindString, PartProc, ClassProcess, SlotCwd, DeriveNone, 0, true, "working directory when the program was executed"},
	{FieldUserID, "user.id", KindID, PartOwn, commonClass, SlotUID, DeriveNone, 0, true, "effective user id"},
	{FieldUserName, "user.name", KindString, PartOwn, commonClass, SlotUserName, DeriveUserName, SlotUID, true, "name of the effective user"},
	{FieldGroupID, "group.id", KindID, PartOwn, commonClass, SlotGID, DeriveNone, 0, true, "effective group id"},
	{FieldEntityID, "process.entity_id", KindEntity, PartOwn, commonClass, noSlot, DeriveEntity, 0, true, "stable for the life of a process, never reused"},
	{FieldExitCode, "process.exit_code", KindInt, PartOwn, ClassProcess, SlotExitCode, DeriveNone, 0, true, "exit code; 128 + n for a process ended by signal n"},
	{FieldEventCategory, "event.category", KindString, PartOwn, commonClass, SlotCategory, DeriveCategory, 0, true, "category, the word before where"},
	{FieldEventAction, "event.action", KindString, PartOwn, commonClass, SlotAction, DeriveAction, 0, true, "what was done"},
	{FieldEventOutcome, "event.outcome", KindString, PartOwn, commonClass, SlotOutcome, DeriveOutcome, SlotResult, true, "success or failure, where the source knows"},
	{FieldProcessUserID, "process.user.id", KindID, PartProc, ClassProcess, SlotUID, DeriveNone, 0, true, "effective user id at exec"},
	{FieldProcessGroupID, "process.group.id", KindID, PartProc, ClassProcess, SlotGID, DeriveNone, 0, true, "effective group id at exec"},
	{FieldFilePath, "file.path", KindString, PartOwn, ClassFile, SlotPath, DeriveNone, 0, true, "absolute path, across mounts"},
	{21, "file.name", KindString, PartOwn, ClassFile, SlotFileName, DeriveBasename, SlotPath, true, "last component of the path"},
	{22, "file.extension", KindString, PartOwn, ClassFile, SlotFileExtension, DeriveExtension, SlotPath, true, "what follows the last dot of the name"},
	{23, "file.Ext.flags", KindInt, PartOwn, ClassFile, SlotFileFlags, DeriveNone, 0, true, "open flags as the kernel keeps them (O_*)"},
	{24, "file.mode", KindInt, PartOwn, ClassFile, SlotFileMode, DeriveNone, 0, true, "type and permission bits"},
	{25, "file.inode", KindID, PartOwn, ClassFile, SlotFileInode, DeriveNone, 0, true, "inode number"},
	{26, "file.device", KindID, PartOwn, ClassFile, SlotFileDevice, DeriveNone, 0, true, "device, major<<20|minor as the kernel has it"},
	{27, "file.Ext.original.path", KindString, PartOwn, ClassFile, SlotOriginalPath, DeriveNone, 0, false, "path before a rename"},
	{28, "file.Ext.original.name", KindString, PartOwn, ClassFile, SlotOriginalName, DeriveBasename, SlotOriginalPath, false, "last component of that"},
	{29, "file.Ext.original.extension", KindString, PartOwn, ClassFile, SlotOriginalExtension, DeriveExtension, SlotOriginalPath, false, "what follows the last dot of that name"},
	{FieldParentEntityID, "process.parent.entity_id", KindEntity, PartProc, ClassProcess, SlotParentEntity, DeriveParentEntity, 0, true, "entity id of the parent"},
	{31, "process.parent.name", KindString, PartParent, ClassProcess, SlotName, DeriveBasename, SlotExecutable, true, "base name of the parent's executable"},
	{32, "process.parent.executable", KindString, PartParent, ClassProcess, SlotExecutable, DeriveNone, 0, true, "path of the parent's executable"},
	{33, "process.parent.command_line", KindString, PartParent, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, true, "the parent's arguments joined by blanks"},
	{34, "process.parent.args", KindStrings, PartParent, ClassProcess, SlotArgs, DeriveNone, 0, true, "the parent's arguments"},
	{35, "process.parent.args_count", KindInt, PartParent, ClassProcess, SlotArgsCount, DeriveNone, 0, true, "number of the parent's arguments"},
	{36, "process.parent.working_directory", KindString, PartParent, ClassProcess, SlotCwd, DeriveNone, 0, true, "the parent's working directory"},
	{37, "process.parent.user.id", KindID, PartParent, ClassProcess, SlotUID, DeriveNone, 0, true, "the parent's effective user id"},
	{38, "process.parent.group.id", KindID, PartParent, ClassProcess, SlotGID, DeriveNone, 0, true, "the parent's effective group id"},
	{39, "process.parent.interactive", KindBool, PartParent, ClassProcess, noSlot, DeriveNonzero, SlotTTY, true, "the parent has a terminal"},
	{40, "process.interactive", KindBool, PartProc, ClassProcess, noSlot, DeriveNonzero, SlotTTY, true, "the process has a terminal"},
	{41, "process.real_user.id", KindID, PartProc, ClassProcess, SlotRealUID, DeriveNone, 0, true, "real user id at exec"},
	{42, "process.real_group.id", KindID, PartProc, ClassProcess, SlotRealGID, DeriveNone, 0, true, "real group id at exec"},
	{43, "process.Ext.session_id", KindID, PartProc, ClassProcess, SlotSessionID, DeriveNone, 0, true, "id of the session (setsid)"},
	{FieldThreadID, "process.thread.id", KindInt, PartOwn, commonClass, noSlot, DeriveThread, 0, true, "thread id"},
	{45, "process.Ext.cgroup_id", KindID, PartProc, ClassProcess, SlotCgroup, DeriveNone, 0, true, "id of the control group (v2)"},
	{46, "process.Ext.mount_namespace", KindID, PartProc, ClassProcess, SlotMountNS, DeriveNone, 0, true, "inode number of the mount namespace"},
	{FieldDestinationIP, "destination.ip", KindIP, PartOwn, ClassNetwork, SlotDestinationIP, DeriveNone, 0, true, "address of the peer"},
	{FieldDestinationPort, "destination.port", KindInt, PartOwn, ClassNetwork, SlotDestinationPort, DeriveNone, 0, true, "port of the peer"},
	{FieldSourceIP, "source.ip", KindIP, PartOwn, ClassNetwork, SlotSourceIP, DeriveNone, 0, true, "own address"},
	{FieldSourcePort, "source.port", KindInt, PartOwn, ClassNetwork, SlotSourcePort, DeriveNone, 0, true, "own port"},
	{54, "network.transport", KindString, PartOwn, ClassNetwork, SlotTransport, DeriveTransport, SlotProtocol, true, "tcp, udp, icmp or the number"},
	{55, "network.type", KindString, PartOwn, ClassNetwork, SlotNetworkType, DeriveNetType, SlotDestinationIP, true, "ipv4 or ipv6"},
	{56, "network.direction", KindString, PartOwn, ClassNetwork, SlotDirection, DeriveDirection, 0, true, "egress or ingress"},
	{57, "network.protocol", KindString, PartOwn, ClassNetwork, SlotNetworkProtocol, DeriveNone, 0, false, "protocol of the application, such as dns"},
	{58, "network.application", KindString, PartOwn, ClassNetwork, SlotApplication, DeriveNone, 0, false, "application, as a network sensor names it"},
	{59, "destination.address", KindString, PartOwn, ClassNetwork, SlotDestinationAddress, DeriveNone, 0, false, "the peer as the source has it: address or name"},
	{60, "destination.domain", KindString, PartOwn, ClassNetwork, SlotDestinationDomain, DeriveNone, 0, false, "name of the peer"},
	{61, "destination.bytes", KindInt, PartOwn, ClassNetwork, SlotDestinationBytes, DeriveNone, 0, false, "bytes from the peer"},
	{62, "source.address", KindString, PartOwn, ClassNetwork, SlotSourceAddress, DeriveNone, 0, false, "own address or name as the source has it"},
	{63, "source.domain", KindString, PartOwn, ClassNetwork, SlotSourceDomain, DeriveNone, 0, false, "own name"},
	{64, "source.bytes", KindInt, PartOwn, ClassNetwork, SlotSourceBytes, DeriveNone, 0, false, "bytes to the peer"},
	{65, "dns.question.name", KindString, PartOwn, ClassNetwork, SlotDNSName, DeriveNone, 0, false, "name that was looked up"},
	{66, "dns.question.type", KindString, PartOwn, ClassNetwork, SlotDNSType, DeriveNone, 0, false, "type of the record, such as AAAA"},
	{67, "dns.resolved_ip", KindStrings, PartOwn, ClassNetwork, SlotDNSResolved, DeriveNone, 0, false, "addresses of the answer, as text"},
	{68, "dns.response_code", KindString, PartOwn, ClassNetwork, SlotDNSCode, DeriveNone, 0, false, "code of the answer, such as NXDOMAIN"},
	{FieldHostOSType, "host.os.type", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, true, "linux"},
	{FieldHostID, "host.id", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, true, "machine id"},
	{FieldHostName, "host.name", KindString, PartHost, commonClass, noSlot, DeriveHost, 0, true, "host name"},
	{FieldTimestamp, "@timestamp", KindTime, PartOwn, commonClass, noSlot, DeriveTime, 0, true, "wall time of the event"},
	{FieldProcessUserName, "process.user.name", KindString, PartProc, ClassProcess, SlotUserName, DeriveUserName, SlotUID, true, "name of the effective user at exec"},
	{102, "process.group.name", KindString, PartProc, ClassProcess, SlotGroupName, DeriveNone, 0, false, "name of the effective group"},
	{103, "process.real_user.name", KindString, PartProc, ClassProcess, SlotRealUserName, DeriveUserName, SlotRealUID, true, "name of the real user at exec"},
	{104, "process.real_group.name", KindString, PartProc, ClassProcess, SlotRealGroupName, DeriveNone, 0, false, "name of the real group"},
	{105, "process.saved_user.id", KindID, PartProc, ClassProcess, SlotSavedUID, DeriveNone, 0, false, "saved user id"},
	{106, "process.saved_group.id", KindID, PartProc, ClassProcess, SlotSavedGID, DeriveNone, 0, false, "saved group id"},
	{107, "process.parent.user.name", KindString, PartParent, ClassProcess, SlotUserName, DeriveUserName, SlotUID, true, "name of the parent's effective user"},
	{108, "process.parent.group.name", KindString, PartParent, ClassProcess, SlotGroupName, DeriveNone, 0, false, "name of the parent's effective group"},
	{109, "process.parent.real_user.id", KindID, PartParent, ClassProcess, SlotRealUID, DeriveNone, 0, true, "the parent's real user id"},
	{110, "process.parent.real_group.id", KindID, PartParent, ClassProcess, SlotRealGID, DeriveNone, 0, true, "the parent's real group id"},
	{111, "process.parent.real_user.name", KindString, PartParent, ClassProcess, SlotRealUserName, DeriveUserName, SlotRealUID, true, "name of the parent's real user"},
	{112, "process.parent.real_group.name", KindString, PartParent, ClassProcess, SlotRealGroupName, DeriveNone, 0, false, "name of the parent's real group"},
	{113, "process.parent.saved_user.id", KindID, PartParent, ClassProcess, SlotSavedUID, DeriveNone, 0, false, "the parent's saved user id"},
	{114, "process.parent.saved_group.id", KindID, PartParent, ClassProcess, SlotSavedGID, DeriveNone, 0, false, "the parent's saved group id"},
	{115, "process.env_vars", KindStrings, PartProc, ClassProcess, SlotEnvVars, DeriveNone, 0, false, "environment, elements NAME=value"},
	{116, "process.thread.capabilities.effective", KindStrings, PartProc, ClassProcess, SlotCapEffective, DeriveNone, 0, false, "effective capabilities (CAP_*)"},
	{117, "process.thread.capabilities.permitted", KindStrings, PartProc, ClassProcess, SlotCapPermitted, DeriveNone, 0, false, "permitted capabilities (CAP_*)"},
	{118, "process.previous.executable", KindStrings, PartProc, ClassProcess, SlotPreviousExecutable, DeriveNone, 0, false, "what the process executed before"},
	{119, "process.hash.sha256", KindString, PartProc, ClassProcess, SlotProcessSHA256, DeriveNone, 0, false, "digest of the executable"},
	{120, "container.id", KindString, PartProc, ClassProcess, SlotContainerID, DeriveNone, 0, false, "container that the process runs in"},
	{121, "container.name", KindString, PartProc, ClassProcess, SlotContainerName, DeriveNone, 0, false, "name of the container"},
	{122, "container.image.name", KindString, PartProc, ClassProcess, SlotContainerImage, DeriveNone, 0, false, "image of the container"},
	{123, "container.security_context.privileged", KindBool, PartProc, ClassProcess, SlotContainerPrivileged, DeriveNone, 0, false, "the container is privileged"},
	{124, "orchestrator.resource.name", KindString, PartProc, ClassProcess, SlotPod, DeriveNone, 0, false, "pod that the process runs in"},
	{125, "orchestrator.namespace", KindString, PartProc, ClassProcess, SlotPodNamespace, DeriveNone, 0, false, "namespace of the pod"},
	{126, "process.Ext.memfd.name", KindString, PartOwn, ClassProcess, SlotMemfdName, DeriveNone, 0, false, "name of the anonymous file"},
	{127, "process.Ext.memfd.flags", KindInt, PartOwn, ClassProcess, SlotMemfdFlags, DeriveNone, 0, false, "flags of the anonymous file (MFD_*)"},
	{FieldMemfdCloexec, "process.Ext.memfd.flag_cloexec", KindBool, PartOwn, ClassProcess, noSlot, DeriveMemfdFlag, SlotMemfdFlags, false, "MFD_CLOEXEC was given"},
	{129, "process.Ext.memfd.flag_allow_seal", KindBool, PartOwn, ClassProcess, noSlot, DeriveMemfdFlag, SlotMemfdFlags, false, "MFD_ALLOW_SEALING was given"},
	{130, "process.Ext.memfd.flag_hugetlb", KindBool, PartOwn, ClassProcess, noSlot, DeriveMemfdFlag, SlotMemfdFlags, false, "MFD_HUGETLB was given"},
	{131, "process.Ext.memfd.flag_noexec_seal", KindBool, PartOwn, ClassProcess, noSlot, DeriveMemfdFlag, SlotMemfdFlags, false, "MFD_NOEXEC_SEAL was given"},
	{132, "process.Ext.memfd.flag_exec", KindBool, PartOwn, ClassProcess, noSlot, DeriveMemfdFlag, SlotMemfdFlags, false, "MFD_EXEC was given"},
	{133, "process.Ext.ptrace.child_pid", KindInt, PartOwn, ClassProcess, SlotPtraceChild, DeriveNone, 0, false, "process that is traced"},
	{134, "process.Ext.ptrace.request", KindInt, PartOwn, ClassProcess, SlotPtraceRequest, DeriveNone, 0, false, "what is asked of it (PTRACE_*)"},
	{135, "process.Ext.load_module.name", KindString, PartOwn, ClassProcess, SlotModuleName, DeriveNone, 0, false, "name of the kernel module"},
	{136, "process.Ext.load_module.version", KindString, PartOwn, ClassProcess, SlotModuleVersion, DeriveNone, 0, false, "its version"},
	{137, "process.Ext.load_module.src_version", KindString, PartOwn, ClassProcess, SlotModuleSource, DeriveNone, 0, false, "checksum of its source"},
	{138, "process.Ext.load_module.taints", KindInt, PartOwn, ClassProcess, SlotModuleTaints, DeriveNone, 0, false, "taint bits it sets"},
	{139, "process.Ext.load_module.taint_flags", KindString, PartOwn, ClassProcess, SlotModuleTaintFlags, DeriveNone, 0, false, "these as letters"},
	{140, "file.size", KindInt, PartOwn, ClassFile, SlotFileSize, DeriveNone, 0, false, "size in bytes"},
	{141, "file.uid", KindID, PartOwn, ClassFile, SlotFileUID, DeriveNone, 0, false, "user id of the owner"},
	{142, "file.gid", KindID, PartOwn, ClassFile, SlotFileGID, DeriveNone, 0, false, "group id of the file"},
	{143, "file.owner", KindString, PartOwn, ClassFile, SlotFileOwner, DeriveNone, 0, false, "name of the owner"},
	{144, "file.group", KindString, PartOwn, ClassFile, SlotFileGroup, DeriveNone, 0, false, "name of the group"},
	{145, "file.type", KindString, PartOwn, ClassFile, SlotFileType, DeriveNone, 0, false, "file, dir or symlink"},
	{146, "file.target_path", KindString, PartOwn, ClassFile, SlotFileTarget, DeriveNone, 0, false, "where a symbolic link leads"},
	{147, "file.hash.sha256", KindString, PartOwn, ClassFile, SlotFileSHA256, DeriveNone, 0, false, "digest of the content"},
	{148, "file.Ext.header_bytes", KindString, PartOwn, ClassFile, SlotFileHeader, DeriveNone, 0, false, "first bytes in hexadecimal digits"},
	{150, "process.Ext.load_module.path", KindString, PartOwn, ClassProcess, SlotModulePath, DeriveNone, 0, false, "file it came from, where the source knows"},
	{FieldEntryPID, "process.entry_leader.pid", KindInt, PartEntry, ClassProcess, noSlot, DerivePID, 0, false, "process id of the leader of the entry"},
	{FieldEntryEntityID, "process.entry_leader.entity_id", KindEntity, PartEntry, ClassProcess, noSlot, DeriveEntity, 0, false, "its entity id"},
	{162, "process.entry_leader.name", KindString, PartEntry, ClassProcess, SlotName, DeriveBasename, SlotExecutable, false, "base name of its executable"},
	{163, "process.entry_leader.executable", KindString, PartEntry, ClassProcess, SlotExecutable, DeriveNone, 0, false, "path of its executable"},
	{164, "process.entry_leader.command_line", KindString, PartEntry, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, false, "its arguments joined by blanks"},
	{165, "process.entry_leader.args", KindStrings, PartEntry, ClassProcess, SlotArgs, DeriveNone, 0, false, "its arguments"},
	{166, "process.entry_leader.args_count", KindInt, PartEntry, ClassProcess, SlotArgsCount, DeriveNone, 0, false, "number of its arguments"},
	{167, "process.entry_leader.working_directory", KindString, PartEntry, ClassProcess, SlotCwd, DeriveNone, 0, false, "its working directory"},
	{168, "process.entry_leader.interactive", KindBool, PartEntry, ClassProcess, noSlot, DeriveNonzero, SlotTTY, false, "it has a terminal"},
	{169, "process.entry_leader.same_as_process", KindBool, PartEntry, ClassProcess, SlotSameAsProcess, DeriveSame, 0, false, "it is the process that acted"},
	{170, "process.entry_leader.user.id", KindID, PartEntry, ClassProcess, SlotUID, DeriveNone, 0, false, "its effective user id"},
	{171, "process.entry_leader.user.name", KindString, PartEntry, ClassProcess, SlotUserName, DeriveUserName, SlotUID, false, "name of that user"},
	{172, "process.entry_leader.group.id", KindID, PartEntry, ClassProcess, SlotGID, DeriveNone, 0, false, "its effective group id"},
	{173, "process.entry_leader.group.name", KindString, PartEntry, ClassProcess, SlotGroupName, DeriveNone, 0, false, "name of that group"},
	{174, "process.entry_leader.real_user.id", KindID, PartEntry, ClassProcess, SlotRealUID, DeriveNone, 0, false, "its real user id"},
	{175, "process.entry_leader.real_group.id", KindID, PartEntry, ClassProcess, SlotRealGID, DeriveNone, 0, false, "its real group id"},
	{176, "process.entry_leader.parent.pid", KindInt, PartEntry, ClassProcess, SlotParentPID, DeriveNone, 0, false, "process id of its parent"},
	{177, "process.entry_leader.parent.entity_id", KindEntity, PartEntry, ClassProcess, SlotParentEntity, DeriveNone, 0, false, "entity id of its parent"},
	{178, "process.entry_leader.entry_meta.type", KindString, PartEntry, ClassProcess, SlotEntryType, DeriveNone, 0, false, "how the host was entered: init, sshd, terminal, container, .."},
	{179, "process.entry_leader.entry_meta.source.ip", KindIP, PartEntry, ClassProcess, SlotEntryIP, DeriveNone, 0, false, "from where"},
	{FieldSessionPID, "process.session_leader.pid", KindInt, PartSession, ClassProcess, noSlot, DerivePID, 0, true, "process id of the leader of the session"},
	{FieldSessionEntityID, "process.session_leader.entity_id", KindEntity, PartSession, ClassProcess, noSlot, DeriveEntity, 0, true, "its entity id"},
	{182, "process.session_leader.name", KindString, PartSession, ClassProcess, SlotName, DeriveBasename, SlotExecutable, true, "base name of its executable"},
	{183, "process.session_leader.executable", KindString, PartSession, ClassProcess, SlotExecutable, DeriveNone, 0, true, "path of its executable"},
	{184, "process.session_leader.command_line", KindString, PartSession, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, true, "its arguments joined by blanks"},
	{185, "process.session_leader.args", KindStrings, PartSession, ClassProcess, SlotArgs, DeriveNone, 0, true, "its arguments"},
	{186, "process.session_leader.args_count", KindInt, PartSession, ClassProcess, SlotArgsCount, DeriveNone, 0, true, "number of its arguments"},
	{187, "process.session_leader.working_directory", KindString, PartSession, ClassProcess, SlotCwd, DeriveNone, 0, true, "its working directory"},
	{188, "process.session_leader.interactive", KindBool, PartSession, ClassProcess, noSlot, DeriveNonzero, SlotTTY, true, "it has a terminal"},
	{189, "process.session_leader.same_as_process", KindBool, PartSession, ClassProcess, SlotSameAsProcess, DeriveSame, 0, true, "it is the process that acted"},
	{190, "process.session_leader.user.id", KindID, PartSession, ClassProcess, SlotUID, DeriveNone, 0, true, "its effective user id"},
	{191, "process.session_leader.user.name", KindString, PartSession, ClassProcess, SlotUserName, DeriveUserName, SlotUID, true, "name of that user"},
	{192, "process.session_leader.group.id", KindID, PartSession, ClassProcess, SlotGID, DeriveNone, 0, true, "its effective group id"},
	{193, "process.session_leader.group.name", KindString, PartSession, ClassProcess, SlotGroupName, DeriveNone, 0, false, "name of that group"},
	{194, "process.session_leader.real_user.id", KindID, PartSession, ClassProcess, SlotRealUID, DeriveNone, 0, true, "its real user id"},
	{195, "process.session_leader.real_group.id", KindID, PartSession, ClassProcess, SlotRealGID, DeriveNone, 0, true, "its real group id"},
	{196, "process.session_leader.parent.pid", KindInt, PartSession, ClassProcess, SlotParentPID, DeriveNone, 0, true, "process id of its parent"},
	{197, "process.session_leader.parent.entity_id", KindEntity, PartSession, ClassProcess, SlotParentEntity, DeriveNone, 0, false, "entity id of its parent"},
	{FieldGroupPID, "process.group_leader.pid", KindInt, PartGroup, ClassProcess, noSlot, DerivePID, 0, false, "process id of the leader of the process group"},
	{FieldGroupEntityID, "process.group_leader.entity_id", KindEntity, PartGroup, ClassProcess, noSlot, DeriveEntity, 0, false, "its entity id"},
	{202, "process.group_leader.name", KindString, PartGroup, ClassProcess, SlotName, DeriveBasename, SlotExecutable, false, "base name of its executable"},
	{203, "process.group_leader.executable", KindString, PartGroup, ClassProcess, SlotExecutable, DeriveNone, 0, false, "path of its executable"},
	{204, "process.group_leader.command_line", KindString, PartGroup, ClassProcess, SlotCommandLine, DeriveJoin, SlotArgs, false, "its arguments joined by blanks"},
	{205, "process.group_leader.args", KindStrings, PartGroup, ClassProcess, SlotArgs, DeriveNone, 0, false, "its arguments"},
	{206, "process.group_leader.args_count", KindInt, PartGroup, ClassProcess, SlotArgsCount, DeriveNone, 0, false, "number of its arguments"},
	{207, "process.group_leader.working_directory", KindString, PartGroup, ClassProcess, SlotCwd, DeriveNone, 0, false, "its working directory"},
	{208, "process.group_leader.interactive", KindBool, PartGroup, ClassProcess, noSlot, DeriveNonzero, SlotTTY, false, "it has a terminal"},
	{209, "process.group_leader.same_as_process", KindBool, PartGroup, ClassProcess, SlotSameAsProcess, DeriveSame, 0, false, "it is the process that acted"},
	{210, "process.group_leader.user.id", KindID, PartGroup, ClassProcess, SlotUID, DeriveNone, 0, false, "its effective user id"},
	{211, "process.group_leader.user.name", KindString, PartGroup, ClassProcess, SlotUserName, DeriveUserName, SlotUID, false, "name of that user"},
	{212, "process.group_leader.group.id", KindID, PartGroup, ClassProcess, SlotGID, DeriveNone, 0, false, "its effective group id"},
	{213, "process.group_leader.group.name", KindString, PartGroup, ClassProcess, SlotGroupName, DeriveNone, 0, false, "name of that group"},
	{214, "process.group_leader.real_user.id", KindID, PartGroup, ClassProcess, SlotRealUID, DeriveNone, 0, false, "its real user id"},
	{215, "process.group_leader.real_group.id", KindID, PartGroup, ClassProcess, SlotRealGID, DeriveNone, 0, false, "its real group id"},
	{216, "process.group_leader.parent.pid", KindInt, PartGroup, ClassProcess, SlotParentPID, DeriveNone, 0, false, "process id of its parent"},
	{217, "process.group_leader.parent.entity_id", KindEntity, PartGroup, ClassProcess, SlotParentEntity, DeriveNone, 0, false, "entity id of its parent"},
	{220, "event.module", KindString, PartReport, ClassContext, SlotModule, DeriveNone, 0, false, "what reported the event"},
	{221, "event.dataset", KindString, PartReport, ClassContext, SlotDataset, DeriveNone, 0, false, "which of its data sets"},
	{222, "event.code", KindString, PartReport, ClassContext, SlotCode, DeriveNone, 0, false, "number or code the source gives such events"},
	{223, "event.kind", KindString, PartReport, ClassContext, SlotEventKind, DeriveEventKind, 0, true, "event, alert, metric, .."},
	{224, "event.provider", KindString, PartReport, ClassContext, SlotProvider, DeriveNone, 0, false, "part of the source"},
	{225, "event.severity", KindInt, PartReport, ClassContext, SlotSeverity, DeriveNone, 0, false, "severity that the source gives it"},
	{226, "data_stream.dataset", KindString, PartReport, ClassContext, SlotStreamDataset, DeriveNone, 0, false, "data stream: data set"},
	{227, "data_stream.namespace", KindString, PartReport, ClassContext, SlotStreamNamespace, DeriveNone, 0, false, "data stream: namespace"},
	{228, "data_stream.type", KindString, PartReport, ClassContext, SlotStreamType, DeriveNone, 0, false, "data stream: type"},
	{229, "agent.id", KindString, PartReport, ClassContext, SlotAgentID, DeriveNone, 0, false, "agent that reported the event"},
	{230, "host.ip", KindIP, PartReport, ClassContext, SlotHostIP, DeriveNone, 0, false, "address of the host; of several the first"},
	{231, "rule.name", KindString, PartReport, ClassContext, SlotRuleName, DeriveNone, 0, false, "rule of the source that raised the event"},
	{232, "user.effective.id", KindID, PartReport, ClassContext, SlotUserEffectiveID, DeriveOwnID, SlotUID, true, "effective user id, where user.id is another"},
	{233, "user.Ext.real.id", KindID, PartReport, ClassContext, SlotUserRealID, DeriveRealID, SlotRealUID, true, "real user id"},
	{234, "user.Ext.real.name", KindString, PartReport, ClassContext, SlotUserRealName, DeriveRealName, SlotRealUID, true, "name of that user"},
	{235, "group.Ext.real.id", KindID, PartReport, ClassContext, SlotGroupRealID, DeriveRealID, SlotRealGID, true, "real group id"},
	{236, "group.Ext.real.name", KindString, PartReport, ClassContext, SlotGroupRealName, DeriveNone, 0, false, "name of that group"},
	{237, "group.name", KindString, PartReport, ClassContext, SlotReportGroupName, DeriveNone, 0, false, "name of the effective group"},
	{240, "auditd.data.syscall", KindString, PartReport, ClassContext, SlotAuditSyscall, DeriveNone, 0, false, "system call, by name"},
	{241, "auditd.data.a0", KindString, PartReport, ClassContext, SlotAuditA0, DeriveNone, 0, false, "its first argument, hexadecimal"},
	{242, "auditd.data.a1", KindString, PartReport, ClassContext, SlotAuditA1, DeriveNone, 0, false, "its second argument"},
	{243, "auditd.data.a2", KindString, PartReport, ClassContext, SlotAuditA2, DeriveNone, 0, false, "its third argument"},
	{244, "auditd.data.a3", KindString, PartReport, ClassContext, SlotAuditA3, DeriveNone, 0, false, "its fourth argument"},
	{245, "auditd.data.class", KindString, PartReport, ClassContext, SlotAuditClass, DeriveNone, 0, false, "class of a mandatory access control object"},
	{246, "auditd.data.exit", KindString, PartReport, ClassContext, SlotAuditExit, DeriveNone, 0, false, "what the system call returned"},
	{247, "auditd.data.socket.family", KindString, PartReport, ClassContext, SlotAuditFamily, DeriveNone, 0, false, "address family"},
	{248, "auditd.result", KindString, PartReport, ClassContext, SlotAuditResult, DeriveNone, 0, false, "success or fail"},
	{249, "auditd.message_type", KindString, PartReport, ClassContext, SlotAuditMessageType, DeriveNone, 0, false, "type of the audit record"},
}
