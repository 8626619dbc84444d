package sink

import "strconv"

// appendIP writes an address of 4 or 16 bytes, the latter as RFC 5952 section 4 asks: lower case, no leading zeros, the
// longest run of two or more zero groups, the first of equals, as "::", an IPv4-mapped address in mixed notation.
// net/netip does the same and costs 65 KB of the device binary.
func appendIP(dst, ip []byte) []byte {
	if len(ip) == 4 {
		return appendIPv4(dst, ip)
	}
	var g [8]uint16
	for i := range g {
		g[i] = uint16(ip[2*i])<<8 | uint16(ip[2*i+1])
	}
	if g[0]|g[1]|g[2]|g[3]|g[4] == 0 && g[5] == 0xffff {
		return appendIPv4(append(dst, "::ffff:"...), ip[12:])
	}
	from, to := 8, 8
	for i := 0; i < 8; i++ {
		j := i
		for j < 8 && g[j] == 0 {
			j++
		}
		if j-i >= 2 && j-i > to-from {
			from, to = i, j
		}
	}
	for i := 0; i < 8; i++ {
		if i == from {
			dst = append(dst, "::"...)
			if i = to; i == 8 {
				break
			}
		} else if i > 0 {
			dst = append(dst, ':')
		}
		dst = strconv.AppendUint(dst, uint64(g[i]), 16)
	}
	return dst
}

func appendIPv4(dst, ip []byte) []byte {
	for i, c := range ip {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(c), 10)
	}
	return dst
}
