package event

// Host is what all events of a device have in common. Owned by the enricher; read-only while a batch is matched.
type Host struct {
	ID, Name   []byte
	Seed       uint64 // from the boot id: makes entity ids of two boots differ
	WallOffset int64  // wall clock minus monotonic clock, ns
	Users      Users
}

// Users maps user ids to names in fixed memory, filled from context records. When it is full a further name is
// refused and counted; such users have an id and no name.
type Users struct {
	n       int
	ids     [UsersMax]uint32
	lens    [UsersMax]uint8
	names   [UsersMax][UserNameMax]byte
	Refused uint64
}

// UsersMax and UserNameMax bound the table: a device has a few dozen accounts, useradd allows 32 bytes a name.
const (
	UsersMax    = 128
	UserNameMax = 32
)

// Set names a user.
func (u *Users) Set(id uint32, name []byte) {
	i := 0
	for i < u.n && u.ids[i] != id {
		i++
	}
	if i == UsersMax {
		u.Refused++
		return
	}
	if i == u.n {
		u.n++
	}
	u.ids[i] = id
	u.lens[i] = uint8(copy(u.names[i][:], name))
}

// Name finds the name of a user.
func (u *Users) Name(id uint32) ([]byte, bool) {
	for i := 0; i < u.n; i++ {
		if u.ids[i] == id {
			return u.names[i][:u.lens[i]], true
		}
	}
	return nil, false
}

// startTick is the granularity of a start time in /proc (USER_HZ is 100 on every Linux ABI): entity ids use it, so that
// a process found in /proc and one seen by the kernel programs get the same.
const startTick = 10_000_000

// EntityID names the process that started at start (ns since boot) as pid. It is stable for the life of the process and,
// by seed, not reused across boots. It is never 0.
func EntityID(seed uint64, pid uint32, start uint64) uint64 {
	h := mix(seed ^ uint64(pid)<<32 ^ 0x9e3779b97f4a7c15)
	h = mix(h ^ start/startTick)
	if h == 0 {
		return 1
	}
	return h
}

// mix is the finalizer of splitmix64: a bijection in which every input bit reaches every output bit.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
