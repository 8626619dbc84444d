package bpf

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// PrivilegeError says that the kernel could but this process may not.
type PrivilegeError struct {
	Needs string // what would help
	Err   error
}

func (e *PrivilegeError) Error() string {
	return "capture: no privilege, needs " + e.Needs + ": " + e.Err.Error()
}

func (e *PrivilegeError) Unwrap() error { return e.Err }

// SupportError says that this kernel cannot.
type SupportError struct {
	Needs string
	Err   error
}

func (e *SupportError) Error() string {
	return "capture: not supported by this kernel, needs " + e.Needs + ": " + e.Err.Error()
}

func (e *SupportError) Unwrap() error { return e.Err }

// classify turns what the kernel said into one of the two.
func classify(err error, needs string) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) && !isVerifier(err) {
		return &PrivilegeError{"CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN", err}
	}
	return &SupportError{needs, err}
}

// isVerifier tells an EACCES of the verifier, which refuses a program with it as often as with EINVAL, from one of
// privilege.
func isVerifier(err error) bool {
	return strings.Contains(err.Error(), "load program: permission denied:")
}
