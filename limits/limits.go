// Package limits holds the constants that bound Kestrel's queues, tables and loops, each with its reason. A constant
// that only one package can reach stands in that package; what several share, or what a user meets, stands here.
// TestGolden prints them all, so that a change shows in review.
package limits

// Rules and images.
const (
	// RulesMax bounds the rules of one image: ten times the largest public Linux rule set.
	RulesMax = 16384
	// StagesMax bounds the steps of a sequence; the stage mask of a match is one 32-bit word, and until takes a bit.
	StagesMax = 31
	// RunsMax bounds `with runs`: public rules ask for 60 at most. A pending run holds one state for each event.
	RunsMax = 256
	// KeysMax bounds the join keys of a step; public rules use at most three.
	KeysMax = 5
	// SuppressKeysMax bounds the fields that alerts are suppressed by.
	SuppressKeysMax = KeysMax
	// CombosMax bounds the combinations of array elements that one test of a computed value, or one join by arrays, goes
	// through: what an attacker puts into an argument list must not multiply the work. Arguments of ordinary programs
	// are fewer than 100.
	CombosMax = 256
	// MarksMax bounds the different conditions inside `descendant of`, `child of` and `event of` of one image: a process
	// holds one bit for each. Public Linux rules have 6.
	MarksMax = 64
	// ReadsMax bounds the fields of one step that later steps read.
	ReadsMax = 32
	// KeptStatesMax bounds the states that wait side by side at a step whose fields later steps read.
	KeptStatesMax = 16
	// CodeMax bounds the instructions of one predicate: jump targets are 16 bits, two of them are verdicts.
	CodeMax = 65000
	// ImageBytesMax bounds a rule image before anything of it is read. 16 MiB is the whole default budget of a device.
	ImageBytesMax = 16 << 20
	// NameBytesMax bounds ids, names and versions in an image, so that an alert's head has a known size.
	NameBytesMax = 255
)

// Matching.
const (
	// BatchMax bounds the events of one Step. A batch amortizes the hand-over between goroutines; beyond a few hundred
	// there is nothing more to gain and the process table has to keep more replaced entries.
	BatchMax = 512
	// WorkersMax bounds the match workers: devices have at most eight cores worth using.
	WorkersMax = 8
	// EvidenceBytesMax bounds what one event of a pending sequence keeps for the alert. Device profiles hold a thousand:
	// 2 KiB is the process, its parent and a path of usual length, and a thousand of them fit the budget.
	EvidenceBytesMax = 2048
)
