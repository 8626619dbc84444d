package engine

import (
	"net/netip"
	"strconv"

	"github.com/kestrel-detection/kestrel/event"
)

// textMax holds the longest written number or address: an IPv6 address has 45 characters.
const textMax = 48

// appendNumber writes a number as ECS writes it: decimal, true and false, or an entity id in hexadecimal digits.
func appendNumber(dst []byte, v int64, k event.Kind) []byte {
	switch k {
	case event.KindBool:
		return strconv.AppendBool(dst, v != 0)
	case event.KindEntity:
		return strconv.AppendUint(append(dst, "0x"...), uint64(v), 16)
	}
	return strconv.AppendInt(dst, v, 10)
}

// appendIP writes an address of 4 or 16 bytes.
func appendIP(dst, v []byte) []byte {
	if len(v) == 4 {
		return netip.AddrFrom4([4]byte(v)).AppendTo(dst)
	}
	return netip.AddrFrom16([16]byte(v)).AppendTo(dst)
}
