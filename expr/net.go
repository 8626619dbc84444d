package expr

import "encoding/binary"

// addr is an address as a number of 128 bits, IPv4 mapped into IPv6.
type addr struct {
	hi, lo uint64
	v4     bool
}

const (
	mappedLo   = 0xffff << 32 // of ::ffff:0:0/96
	mappedBits = 96
	addrGroups = 8
)

func addrV4(n uint32) addr { return addr{lo: mappedLo | uint64(n), v4: true} }

// addrV6 is an address of IPv6, or the IPv4 address that it stands for.
func addrV6(hi, lo uint64) addr { return addr{hi, lo, hi == 0 && lo>>32 == mappedLo>>32} }

// rawAddr is an address of 4 or 16 bytes.
func rawAddr(b []byte) (a addr, ok bool) {
	switch len(b) {
	case 4:
		return addrV4(binary.BigEndian.Uint32(b)), true
	case 16:
		return addrV6(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])), true
	}
	return addr{}, false
}

// parseAddr reads an address as it is written (RFC 4291 section 2.2), without a zone.
func parseAddr(t []byte) (a addr, ok bool) {
	for _, c := range t {
		switch c {
		case '.':
			n, ok := parseV4(t)
			return addrV4(n), ok
		case ':':
			return parseV6(t)
		}
	}
	return addr{}, false
}

// parseV4 reads four numbers without leading zeros.
func parseV4(t []byte) (n uint32, ok bool) {
	for group := 0; group < 4; group++ {
		if group > 0 {
			if len(t) == 0 || t[0] != '.' {
				return 0, false
			}
			t = t[1:]
		}
		v, digits := uint32(0), 0
		for digits < len(t) && digits < 3 && '0' <= t[digits] && t[digits] <= '9' {
			v = v*10 + uint32(t[digits]-'0')
			digits++
		}
		if digits == 0 || v > 255 || digits > 1 && t[0] == '0' {
			return 0, false
		}
		n = n<<8 | v
		t = t[digits:]
	}
	return n, len(t) == 0
}

// parseV6 reads groups of hexadecimal digits. Those behind an ellipsis count from the end.
func parseV6(t []byte) (a addr, ok bool) {
	var groups [addrGroups]uint16
	n, ellipsis := 0, -1
	if len(t) >= 2 && t[0] == ':' && t[1] == ':' {
		ellipsis = 0
		t = t[2:]
	}
	for n < addrGroups && len(t) > 0 {
		v, digits := uint32(0), 0
		for digits < len(t) && digits < 4 && digit(t[digits]) < baseHex {
			v = v<<4 | uint32(digit(t[digits]))
			digits++
		}
		if digits == 0 {
			return addr{}, false
		}
		if digits < len(t) && t[digits] == '.' {
			v4, ok := parseV4(t)
			if !ok || n > addrGroups-2 {
				return addr{}, false
			}
			groups[n], groups[n+1] = uint16(v4>>16), uint16(v4)
			n += 2
			t = nil
			break
		}
		groups[n] = uint16(v)
		n++
		if t = t[digits:]; len(t) == 0 {
			break
		}
		if t[0] != ':' || len(t) == 1 {
			return addr{}, false
		}
		if t = t[1:]; t[0] == ':' {
			if ellipsis >= 0 {
				return addr{}, false
			}
			ellipsis = n
			t = t[1:]
		}
	}
	if len(t) > 0 || ellipsis < 0 && n != addrGroups || ellipsis >= 0 && n == addrGroups {
		return addr{}, false
	}
	return fromGroups(&groups, n, ellipsis), true
}

func fromGroups(groups *[addrGroups]uint16, n, ellipsis int) addr {
	var w [addrGroups]uint64
	for i := range n {
		at := i
		if ellipsis >= 0 && i >= ellipsis {
			at = addrGroups - n + i
		}
		w[at] = uint64(groups[i])
	}
	return addrV6(w[0]<<48|w[1]<<32|w[2]<<16|w[3], w[4]<<48|w[5]<<32|w[6]<<16|w[7])
}

// inNet says whether an address is in one of the prefixes. Rules have a handful of them.
func (s *Set) inNet(set Span, a addr) bool {
	for i := range s.nets[set.Start : set.Start+set.Len] {
		n := &s.nets[int(set.Start)+i]
		if (n.V4 != 0) != a.v4 {
			continue
		}
		hi, lo := a.hi^n.Hi, a.lo^n.Lo
		if n.Bits <= 64 {
			lo = 0
			hi &^= ^uint64(0) >> n.Bits
		} else {
			lo &^= ^uint64(0) >> (n.Bits - 64)
		}
		if hi|lo == 0 {
			return true
		}
	}
	return false
}
