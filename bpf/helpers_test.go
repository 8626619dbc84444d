package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	if os.Getenv(helperEnv) == "leader-first" {
		runtime.LockOSThread() // init and main run on the first thread of the process
	}
}

// helper is what the test binary does instead of testing, in a process of its own.
func helper(mode string) int {
	switch mode {
	case "exit":
		return 7
	case "killed":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	case "threads":
		// Many threads, none of them a process.
		done := make(chan bool)
		for range 8 {
			go func() {
				runtime.LockOSThread()
				time.Sleep(10 * time.Millisecond)
				done <- true
			}()
		}
		for range 8 {
			<-done
		}
		return 5
	case "leader-first":
		// The first thread ends, another one ends the process.
		go func() {
			time.Sleep(50 * time.Millisecond)
			unix.Exit(9)
		}()
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 3, 0, 0) // no raw one: it would take the only processor with it
	case "load":
		// Loads without privilege and says what kind of error it was.
		_, err := Load(Options{})
		switch {
		case errors.As(err, new(*PrivilegeError)):
			fmt.Println("no privilege:", err)
		case errors.As(err, new(*SupportError)):
			fmt.Println("no support:", err)
		default:
			fmt.Println("other:", err)
		}
		for _, c := range Probe().Checks {
			fmt.Printf("%-40s %-15s %s\n", c.Name, c.Answer, c.Detail)
		}
		return 0
	case "without-types":
		return withoutTypes()
	case "first-stage":
		return firstStage()
	case "second-stage":
		return secondStage()
	}
	fmt.Fprintf(os.Stderr, "unknown helper %s\n", strings.ToUpper(mode))
	return 2
}

// asNobody runs a command without any privilege.
func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// withoutTypes hides the kernel's type information and loads: the second tier must be taken, and it must work.
func withoutTypes() int {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", "/sys/kernel/btf", "tmpfs", 0, "")
	}
	if err != nil {
		fmt.Println("cannot hide:", err)
		return 0
	}
	c, err := Load(Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	fmt.Println("tier", c.Tier, len(c.Hooks), "hooks;", strings.Join(c.Missing, "; "))
	if _, err := Load(Options{Tier: TierBTF}); !errors.As(err, new(*SupportError)) {
		fmt.Println("tier btf without types:", err)
		return 1
	}
	return 0
}
