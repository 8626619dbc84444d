package event

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

// Slots of ClassProcess. Behind SlotMountNS stand those that no source of this device fills yet.
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
	SlotEnvVars      // array
	SlotCapEffective // array
	SlotCapPermitted // array
	SlotSavedUID
	SlotSavedGID
	SlotContainerID
	SlotPreviousExecutable // array
	SlotMemfdName
	SlotMemfdFlags
	SlotPtraceChild
	SlotPtraceRequest
	SlotEntryType
	SlotEntryIP // 4 or 16 bytes
	SlotSameAsProcess
	SlotGroupName
	SlotRealUserName
	SlotRealGroupName
	SlotContainerName
	SlotContainerImage
	SlotContainerPrivileged
	SlotPod
	SlotPodNamespace
	SlotProcessSHA256
	SlotModuleName
	SlotModulePath
	SlotModuleVersion
	SlotModuleSource
	SlotModuleTaints
	SlotModuleTaintFlags
	slotsProcess
)

// Slots of ClassFile. Behind SlotFileDevice stand those that no source of this device fills yet.
const (
	SlotPath = slotsCommon + iota
	SlotFileName
	SlotFileExtension
	SlotFileFlags
	SlotFileMode
	SlotFileInode
	SlotFileDevice
	SlotOriginalPath
	SlotOriginalName
	SlotOriginalExtension
	SlotFileSize
	SlotFileUID
	SlotFileGID
	SlotFileOwner
	SlotFileGroup
	SlotFileType
	SlotFileTarget
	SlotFileSHA256
	SlotFileHeader
	slotsFile
)

// Slots of ClassNetwork. Behind SlotNetworkType stand those that no source of this device fills yet.
const (
	SlotSourceIP = slotsCommon + iota
	SlotSourcePort
	SlotDestinationIP
	SlotDestinationPort
	SlotProtocol // IPPROTO_*
	SlotTransport
	SlotNetworkType
	SlotDNSName
	SlotDNSType
	SlotDNSResolved // array
	SlotDNSCode
	SlotSourceBytes
	SlotDestinationBytes
	SlotDirection
	SlotNetworkProtocol
	SlotApplication
	SlotSourceAddress
	SlotSourceDomain
	SlotDestinationAddress
	SlotDestinationDomain
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
	slotsContextFirst
)

// Slots of TypeReport, behind those.
const (
	SlotModule = slotsContextFirst + iota
	SlotDataset
	SlotCode
	SlotEventKind
	SlotProvider
	SlotSeverity
	SlotStreamDataset
	SlotStreamNamespace
	SlotStreamType
	SlotAgentID
	SlotHostIP // 4 or 16 bytes
	SlotRuleName
	SlotUserEffectiveID
	SlotUserRealID
	SlotUserRealName
	SlotGroupRealID
	SlotGroupRealName
	SlotReportGroupName
	SlotAuditSyscall
	SlotAuditA0
	SlotAuditA1
	SlotAuditA2
	SlotAuditA3
	SlotAuditClass
	SlotAuditExit
	SlotAuditFamily
	SlotAuditResult
	SlotAuditMessageType
	slotsContext
)

var classSlots = [Classes]int{slotsProcess, slotsFile, slotsNetwork, slotsContext}

// slotsCaptured is how many slots of each class, from the first, the sources of this device fill. Their records and the
// blocks of the process table have no more: every slot is 8 bytes of the kernel's ring.
var slotsCaptured = [Classes]int{SlotMountNS + 1, SlotFileDevice + 1, SlotNetworkType + 1, slotsContextFirst}

// slotsMin is what the first version of the schema had, and so the least that a record has.
var slotsMin = [Classes]int{SlotMountNS + 1, SlotFileDevice + 1, SlotNetworkType + 1, slotsContextFirst}

// Which slots have a value is a bitmap of 64 bits.
const (
	_ = uint(64 - slotsProcess)
	_ = uint(64 - slotsFile)
	_ = uint(64 - slotsNetwork)
	_ = uint(64 - slotsContext)
)

// Slots is the number of slots a record of the class can have.
func (c Class) Slots() int { return classSlots[c] }

// SlotsCaptured is the number of slots that records of this device's sources have.
func (c Class) SlotsCaptured() int { return slotsCaptured[c] }

// stringSlots holds, per class, the slots that are offsets into the heap; addressSlots those of them whose values are 4 or
// 16 bytes long.
var stringSlots, addressSlots = heapSlots()

func heapSlots() (text, address [Classes]uint64) {
	text[ClassContext] = 1<<SlotContextText | 1<<SlotContextText2
	for i := range Fields {
		f := &Fields[i]
		if f.Slot == noSlot || f.Kind.IsNumber() {
			continue
		}
		for c := ClassProcess; c < ClassContext; c++ {
			if f.Class == c || f.Class == commonClass {
				text[c] |= 1 << f.Slot
			}
		}
		if f.Class == ClassContext {
			text[ClassContext] |= 1 << f.Slot
		}
		if f.Kind == KindIP {
			address[f.Class] |= 1 << f.Slot
		}
	}
	return text, address
}

// SlotNames names the slots of each class for the generated C header, in the order of the slot constants.
var SlotNames = [Classes][]string{
	ClassProcess: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"EXECUTABLE", "NAME", "ARGS", "COMMAND_LINE", "CWD", "PARENT_PID", "PARENT_START", "PARENT_ENTITY",
		"ARGS_COUNT", "REAL_UID", "REAL_GID", "SESSION_ID", "TTY", "EXIT_CODE", "CGROUP", "MOUNT_NS", "ENV_VARS",
		"CAP_EFFECTIVE", "CAP_PERMITTED", "SAVED_UID", "SAVED_GID", "CONTAINER_ID", "PREVIOUS_EXECUTABLE",
		"MEMFD_NAME", "MEMFD_FLAGS", "PTRACE_CHILD", "PTRACE_REQUEST", "ENTRY_TYPE", "ENTRY_IP", "SAME_AS_PROCESS",
		"GROUP_NAME", "REAL_USER_NAME", "REAL_GROUP_NAME", "CONTAINER_NAME", "CONTAINER_IMAGE",
		"CONTAINER_PRIVILEGED", "POD", "POD_NAMESPACE", "PROCESS_SHA256", "MODULE_NAME", "MODULE_PATH",
		"MODULE_VERSION", "MODULE_SOURCE", "MODULE_TAINTS", "MODULE_TAINT_FLAGS"),
	ClassFile: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"PATH", "FILE_NAME", "FILE_EXTENSION", "FILE_FLAGS", "FILE_MODE", "FILE_INODE", "FILE_DEVICE",
		"ORIGINAL_PATH", "ORIGINAL_NAME", "ORIGINAL_EXTENSION", "FILE_SIZE", "FILE_UID", "FILE_GID", "FILE_OWNER",
		"FILE_GROUP", "FILE_TYPE", "FILE_TARGET", "FILE_SHA256", "FILE_HEADER"),
	ClassNetwork: append(commonSlotNames[:len(commonSlotNames):len(commonSlotNames)],
		"SOURCE_IP", "SOURCE_PORT", "DESTINATION_IP", "DESTINATION_PORT", "PROTOCOL", "TRANSPORT", "NETWORK_TYPE",
		"DNS_NAME", "DNS_TYPE", "DNS_RESOLVED", "DNS_CODE", "SOURCE_BYTES", "DESTINATION_BYTES", "DIRECTION",
		"NETWORK_PROTOCOL", "APPLICATION", "SOURCE_ADDRESS", "SOURCE_DOMAIN", "DESTINATION_ADDRESS",
		"DESTINATION_DOMAIN"),
	ClassContext: {"ID", "TEXT", "TEXT2", "SEED", "COUNT0", "COUNT1", "COUNT2",
		"MODULE", "DATASET", "CODE", "EVENT_KIND", "PROVIDER", "SEVERITY", "STREAM_DATASET", "STREAM_NAMESPACE",
		"STREAM_TYPE", "AGENT_ID", "HOST_IP", "RULE_NAME", "USER_EFFECTIVE_ID", "USER_REAL_ID", "USER_REAL_NAME",
		"GROUP_REAL_ID", "GROUP_REAL_NAME", "REPORT_GROUP_NAME", "AUDIT_SYSCALL", "AUDIT_A0", "AUDIT_A1", "AUDIT_A2",
		"AUDIT_A3", "AUDIT_CLASS", "AUDIT_EXIT", "AUDIT_FAMILY", "AUDIT_RESULT", "AUDIT_MESSAGE_TYPE"},
}

var commonSlotNames = []string{"ACTION", "TYPES", "CATEGORY", "OUTCOME", "RESULT", "UID", "GID", "USER_NAME"}
