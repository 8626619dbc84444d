package sink

import (
	"bytes"
	"strconv"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
)

// What a line shows of an alert is shortened to what fits a terminal; the whole is in the JSON form.
const (
	lineStepsMax = 12  // steps of a sequence that are shown
	linePathMax  = 160 // characters of a path
	lineArgsMax  = 160 // characters of all arguments
	lineNameMax  = 128 // characters of a rule or user name
	// lineBytesMax bounds one line form: per step four paths, the arguments and two names, each character escaped into
	// 10 bytes at most, and the words around them; the head has less than one step.
	lineBytesMax = (lineStepsMax + 1) * (4*linePathMax + lineArgsMax + 2*lineNameMax + 512) * 10
)

// A sink's buffer holds every line.
const _ = uint(BufferBytesMin - lineBytesMax)

// Terminal colours (ECMA-48 SGR).
const (
	sgrReset = "\x1b[0m"
	sgrBold  = "\x1b[1m"
	sgrDim   = "\x1b[2m"
)

var sgrSeverity = [alert.Severities]string{"\x1b[36m", "\x1b[33m", "\x1b[31m", "\x1b[1;97;41m"}

var severityWords = [alert.Severities]string{"LOW     ", "MEDIUM  ", "HIGH    ", "CRITICAL"}

var actionWords = [alert.Actions]string{"", "[blocked] ", "[killed] ", "[would block] "}

const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendLine appends the form of an alert that people read, with a newline at its end: when, how bad, which rule, and
// what happened. The steps of a sequence follow on indented lines.
//
// What comes from outside (arguments, paths, names) cannot act on the terminal or pass for text of ours: whatever does
// not print is escaped, and words with blanks, quotes or parentheses stand in quotes.
//
// Preconditions: alert.Check found no fault, or a Builder of this process wrote it.
func AppendLine(dst []byte, a alert.Alert, colour bool) []byte {
	l := line{dst, colour}
	l.sgr(sgrDim)
	l.b = time.Unix(0, a.Wall()).UTC().AppendFormat(l.b, timeLayout)
	l.sgr(sgrReset)
	l.text(" ")
	l.sgr(sgrSeverity[a.Severity()])
	l.text(severityWords[a.Severity()])
	l.sgr(sgrReset)
	l.text(" ")
	l.text(actionWords[a.Action()])
	l.sgr(sgrBold)
	if name := a.RuleName(); len(name) > 0 {
		l.plain(name, lineNameMax)
	} else {
		l.plain(a.RuleID(), lineNameMax)
	}
	l.sgr(sgrReset)
	if a.Count() == 1 {
		l.text(": ")
		it := a.Events()
		e, _ := it.Next()
		l.step(e, &facts{})
		l.gaps(a)
	} else if a.Count() > 1 {
		l.steps(a)
	} else {
		l.gaps(a)
	}
	l.text("\n")
	return l.b
}

type line struct {
	b      []byte
	colour bool
}

func (l *line) text(s string) { l.b = append(l.b, s...) }

func (l *line) int(v int64) { l.b = strconv.AppendInt(l.b, v, 10) }

func (l *line) sgr(code string) {
	if l.colour {
		l.b = append(l.b, code...)
	}
}

// steps writes the events of a sequence, each with its distance from the first.
func (l *line) steps(a alert.Alert) {
	it := a.Events()
	e, _ := it.Next()
	first := e.Mono()
	l.text(", ")
	l.int(int64(a.Count()))
	l.text(" steps within ")
	l.seconds(a.Mono() - first)
	l.gaps(a)
	var x facts
	for n := 0; ; n++ {
		if n == lineStepsMax {
			l.text("\n    ... and ")
			l.int(int64(a.Count() - n))
			l.text(" more")
			return
		}
		l.text("\n    +")
		l.seconds(e.Mono() - first)
		l.text("  ")
		l.step(e, &x)
		var ok bool
		if e, ok = it.Next(); !ok {
			return
		}
	}
}

// seconds writes a distance in time; events of one alert are in order, what is not is shown as 0.
func (l *line) seconds(ns uint64) {
	if int64(ns) < 0 {
		ns = 0
	}
	ms := ns / 1e6
	l.b = strconv.AppendUint(l.b, ms/1000, 10)
	l.b = append(l.b, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10), 's')
}

// gaps says what is missing in the alert.
func (l *line) gaps(a alert.Alert) {
	f := a.Flags()
	if a.Omitted() > 0 {
		l.text(" [")
		l.int(int64(a.Omitted()))
		l.text(" events left out]")
	}
	if f&(alert.FlagCut|alert.FlagFieldsOmitted) != 0 {
		l.text(" [shortened]")
	}
	if f&(alert.FlagEvidenceEvicted|alert.FlagStateEvicted|alert.FlagBound) != 0 {
		l.text(" [engine at its limits]")
	}
	if n := a.Suppressed(); n > 0 {
		l.text(" [")
		l.int(int64(n))
		l.text(" more suppressed]")
	}
}

// The fields a line shows that package event has no name for.
var (
	fieldParentName       = event.FieldByName("process.parent.name").ID
	fieldParentExecutable = event.FieldByName("process.parent.executable").ID
)

// facts are the fields of an event that a line shows; nil is absent.
type facts struct {
	name, executable, args      []byte
	parentName, parentPath      []byte
	userName, path, action      []byte
	source, destination         []byte
	pid, parentPID, uid         int64
	sourcePort, destinationPort int64
	exitCode                    int64
	hasUID, hasExit, argsCut    bool
}

func (x *facts) collect(e alert.Evidence) {
	x.sourcePort, x.destinationPort = -1, -1
	for it := e.Fields(); ; {
		f, ok := it.Next()
		if !ok {
			return
		}
		switch f.Kind {
		case event.KindString, event.KindStrings, event.KindIP:
			x.bytes(&f)
		default:
			x.int(f.ID, f.Int())
		}
	}
}

func (x *facts) bytes(f *alert.Field) {
	switch f.ID {
	case event.FieldName:
		x.name = f.Value
	case event.FieldExecutable:
		x.executable = f.Value
	case event.FieldArgs:
		x.args, x.argsCut = f.Value, f.Truncated
	case fieldParentName:
		x.parentName = f.Value
	case fieldParentExecutable:
		x.parentPath = f.Value
	case event.FieldUserName:
		x.userName = f.Value
	case event.FieldFilePath:
		x.path = f.Value
	case event.FieldEventAction:
		x.action = f.Value
	case event.FieldSourceIP:
		x.source = f.Value
	case event.FieldDestinationIP:
		x.destination = f.Value
	}
}

func (x *facts) int(id event.FieldID, v int64) {
	switch id {
	case event.FieldPID:
		x.pid = v
	case event.FieldParentPID:
		x.parentPID = v
	case event.FieldUserID:
		x.uid, x.hasUID = v, true
	case event.FieldSourcePort:
		x.sourcePort = v
	case event.FieldDestinationPort:
		x.destinationPort = v
	case event.FieldExitCode:
		x.exitCode, x.hasExit = v, true
	}
}

// step writes one event: verb, object, who did it, and who started that. x has the facts of the step before and gets
// those of this one: of the same process again the program and the pid are enough.
func (l *line) step(e alert.Evidence, x *facts) {
	before := *x
	*x = facts{}
	x.collect(e)
	if v := verb(e.Type()); v != "" {
		l.text(v)
	} else if len(x.action) > 0 {
		l.plain(x.action, lineNameMax)
	} else {
		l.text("event")
	}
	object := true
	switch {
	case len(x.path) > 0:
		l.text(" ")
		l.word(x.path, linePathMax)
	case validIP(x.destination):
		l.text(" ")
		l.address(x.destination, x.destinationPort)
	case validIP(x.source):
		l.text(" ")
		l.address(x.source, x.sourcePort)
	default:
		object = false
	}
	l.process(x, object, x.pid != 0 && x.pid == before.pid && bytes.Equal(x.executable, before.executable))
}

func (l *line) process(x *facts, by, again bool) {
	program := x.executable
	if len(program) == 0 {
		program = x.name
	}
	if by && (len(program) > 0 || x.pid != 0) {
		l.text(" by")
	}
	if len(program) > 0 {
		l.text(" ")
		l.word(program, linePathMax)
	}
	if again {
		l.text(" (pid ")
		l.int(x.pid)
		l.text(")")
		return
	}
	if len(program) > 0 {
		l.args(program, x)
	}
	l.identity(x)
	l.parent(x)
}

// identity writes in parentheses which process it is, whose, and how it ended.
func (l *line) identity(x *facts) {
	sep := " ("
	if x.pid != 0 {
		l.text(sep)
		l.text("pid ")
		l.int(x.pid)
		sep = ", "
	}
	if len(x.userName) > 0 {
		l.text(sep)
		l.text("user ")
		l.word(x.userName, lineNameMax)
		sep = ", "
	} else if x.hasUID {
		l.text(sep)
		l.text("uid ")
		l.int(x.uid)
		sep = ", "
	}
	if x.hasExit {
		l.text(sep)
		l.text("exit code ")
		l.int(x.exitCode)
		sep = ", "
	}
	if sep == ", " {
		l.text(")")
	}
}

func (l *line) parent(x *facts) {
	program := x.parentPath
	if len(program) == 0 {
		program = x.parentName
	}
	if len(program) == 0 && x.parentPID == 0 {
		return
	}
	l.sgr(sgrDim)
	l.text(", parent")
	if len(program) > 0 {
		l.text(" ")
		l.word(program, linePathMax)
	}
	if x.parentPID != 0 {
		l.text(" (pid ")
		l.int(x.parentPID)
		l.text(")")
	}
	l.sgr(sgrReset)
}

// args writes the arguments after the program; the name it was called by only when that is another one, as it is for
// the applets of busybox and for who hides.
func (l *line) args(program []byte, x *facts) {
	if len(x.args) == 0 {
		return
	}
	arg0, rest, more := bytes.Cut(x.args, nul)
	if !bytes.Equal(base(arg0), base(program)) {
		l.text(" as ")
		l.word(arg0, linePathMax)
	}
	for left := lineArgsMax; more; {
		if left <= 0 {
			l.text(" ...")
			return
		}
		var arg []byte
		arg, rest, more = bytes.Cut(rest, nul)
		l.text(" ")
		n, cut := l.word(arg, left)
		if cut {
			return
		}
		left -= 1 + n
	}
	if x.argsCut {
		l.text(" ...")
	}
}

func base(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }

func validIP(b []byte) bool { return len(b) == 4 || len(b) == 16 }

func (l *line) address(ip []byte, port int64) {
	if len(ip) == 16 && port >= 0 {
		l.text("[")
	}
	l.b = appendIP(l.b, ip)
	if port < 0 {
		return
	}
	if len(ip) == 16 {
		l.text("]")
	}
	l.text(":")
	l.int(port)
}

// verb is what an event of a type does, in a word or two; empty for types of a newer schema.
func verb(t event.Type) string {
	switch t {
	case event.TypeExec:
		return "exec"
	case event.TypeFork:
		return "fork"
	case event.TypeExit:
		return "exit"
	case event.TypeFileOpen:
		return "open"
	case event.TypeFileRead:
		return "read"
	case event.TypeFileWrite:
		return "write"
	case event.TypeFileCreate:
		return "create"
	case event.TypeFileDelete:
		return "delete"
	case event.TypeFileRename:
		return "rename"
	case event.TypeFileAttr:
		return "chmod/chown"
	case event.TypeMmapExec:
		return "map executable"
	case event.TypeConnect:
		return "connect"
	case event.TypeSend:
		return "send to"
	case event.TypeAccept:
		return "accept from"
	case event.TypeListen:
		return "listen"
	case event.TypeDNS:
		return "look up"
	case event.TypeSetID:
		return "setuid"
	case event.TypeCapability:
		return "use capability"
	case event.TypePtrace:
		return "ptrace"
	case event.TypeModuleLoad:
		return "load module"
	case event.TypeMount:
		return "mount"
	case event.TypeBPFLoad:
		return "load BPF"
	case event.TypeMemfd:
		return "memfd_create"
	}
	return ""
}
