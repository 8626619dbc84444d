package proc

import "syscall"

// mapBytes maps zeroed memory outside the Go heap. Pages that were never written take no memory, the collector's pacing
// and limit do not see them, and huge pages, of which one written byte would cost 2 MB, are refused.
func mapBytes(n int) ([]byte, error) {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	// Without transparent huge pages in the kernel the advice fails, and is not needed.
	_ = syscall.Madvise(b, syscall.MADV_NOHUGEPAGE)
	return b, nil
}

func unmapBytes(b []byte) error { return syscall.Munmap(b) }
