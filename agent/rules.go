package agent

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/limits"
)

// Rules is a loaded image and the memory it lies in.
type Rules struct {
	Image  *image.Image
	mapped []byte
}

// name is the name of the rule set, and its version if it has one.
func (r *Rules) name() string { return strings.TrimSpace(r.Image.Name + " " + r.Image.Version) }

// Close gives the memory back. Nothing may use the image afterwards.
func (r *Rules) Close() {
	if r.mapped != nil {
		// A failing munmap of a mapping of our own would be a bug of this package; there is nothing to do about it here.
		_ = unix.Munmap(r.mapped)
		r.mapped = nil
	}
}

// RuleSource is where the rules come from, at start and at each reload.
type RuleSource interface {
	Load() (*Rules, error)
}

// ImageFile loads a rule image from a file. The file is mapped, not read: replace it by renaming another over it, never
// by writing into it.
type ImageFile string

// Load maps and validates the file.
func (f ImageFile) Load() (*Rules, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, fmt.Errorf("open rule image: %w", err)
	}
	defer file.Close()
	return mapImage(file)
}

func mapImage(file *os.File) (*Rules, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open rule image: %w", err)
	}
	if st.Size() == 0 || st.Size() > limits.ImageBytesMax {
		return nil, fmt.Errorf("open rule image: %s: %d bytes (max %d)", file.Name(), st.Size(), limits.ImageBytesMax)
	}
	b, err := unix.Mmap(int(file.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map rule image: %s: %w", file.Name(), err)
	}
	img, err := image.Load(b)
	if err != nil {
		_ = unix.Munmap(b)
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return &Rules{Image: img, mapped: b}, nil
}

// ImageBytes loads a rule image that is in memory already, such as one embedded in the binary.
type ImageBytes []byte

// Load validates the image.
func (b ImageBytes) Load() (*Rules, error) {
	img, err := image.Load(b)
	if err != nil {
		return nil, err
	}
	return &Rules{Image: img}, nil
}
