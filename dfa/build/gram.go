package build

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"

	"github.com/kestrel-detection/kestrel/dfa"
)

// gramTextMax bounds what a value can make a scan compare at one place: the bytes of all literals that are found by one
// gram, eight of which are compared at a time. A literal that is longer has a gram of its own.
const gramTextMax = 512

// gramSpread is what another literal with the same gram costs, in points of rarity: comparing it in vain now and then
// is dearer than a gram that is a little more frequent.
const gramSpread = 3

// Bits of the filter a literal: with one bit in 32 set, few words of eight bytes have any.
const (
	gramBitsEach = 32
	// pairGrams are the grams that a literal of two bytes stands for: any byte with bit 0x20 set may follow.
	pairGrams = 128
)

// errCrowded says that literals are too much alike to be found by grams.
var errCrowded = errors.New("too many literals share every gram they have")

// gramLiteral is a literal in the making.
type gramLiteral struct {
	text    string
	fold    bool
	actions []uint32
	offset  int // of its gram
	gram    uint32
	places  []int
}

// grams is the filter, the buckets behind it and the literals, in the order of their ids.
type grams struct {
	literals   []*gramLiteral
	filter     []uint32
	buckets    []uint32
	bucketBits int
	singles    int
	ids        map[int]uint32 // by place
}

// gatherGrams makes one literal of all places that ask for the same.
func gatherGrams(places []place) []*gramLiteral {
	type key struct {
		text string
		fold bool
	}
	known := map[key]*gramLiteral{}
	var list []*gramLiteral
	for i, p := range places {
		k := key{p.text, p.folds && hasLetters(p.text)}
		l := known[k]
		if l == nil {
			l = &gramLiteral{text: k.text, fold: k.fold}
			known[k] = l
			list = append(list, l)
		}
		l.places = append(l.places, i)
		switch {
		case p.needed:
		case p.marks == nil:
			l.actions = append(l.actions, dfa.ActionStart<<dfa.ActionKindBit|uint32(p.starts))
		default:
			l.actions = append(l.actions, p.marks...)
		}
	}
	return list
}

// newGrams gives every literal its gram and lays out the filter.
func newGrams(list []*gramLiteral) (*grams, error) {
	g := &grams{literals: list, ids: map[int]uint32{}}
	if err := chooseGrams(list); err != nil {
		return nil, err
	}
	want := 0
	for _, l := range list {
		switch {
		case len(l.text) == 1:
			g.singles++
		case len(l.text) == 2:
			want += pairGrams
		default:
			want++
		}
	}
	g.bucketBits = bits.Len(uint(len(list)))
	slices.SortStableFunc(list, func(a, b *gramLiteral) int {
		if x, y := len(a.text) == 1, len(b.text) == 1; x || y {
			return cmp.Compare(len(a.text), len(b.text))
		}
		return cmp.Compare(g.bucketOf(a), g.bucketOf(b))
	})
	for id, l := range list {
		for _, p := range l.places {
			g.ids[p] = uint32(id)
		}
	}
	if g.singles == len(list) {
		return g, nil
	}
	g.layFilter(min(max(bits.Len(uint(want*gramBitsEach)), dfa.GramBitsMin), dfa.GramBitsMax))
	g.buckets = make([]uint32, 1<<g.bucketBits+1)
	next := g.singles
	for b := range g.buckets {
		g.buckets[b] = uint32(next)
		for next < len(list) && g.bucketOf(list[next]) == uint32(b) {
			next++
		}
	}
	return g, nil
}

func (g *grams) bucketOf(l *gramLiteral) uint32 { return dfa.GramBucket(l.gram, uint32(g.bucketBits)) }

func (g *grams) layFilter(size int) {
	g.filter = make([]uint32, 1<<size/32)
	set := func(gram uint32) {
		i := dfa.GramBit(gram, uint32(size))
		g.filter[i/32] |= 1 << (i % 32)
	}
	for _, l := range g.literals[g.singles:] {
		if l.gram&dfa.GramPair == 0 {
			set(l.gram)
			continue
		}
		for next := range uint32(256) {
			set(l.gram&0xffff | (next|0x20)<<16)
		}
	}
}

// chooseGrams picks for each literal the gram that values seldom have, and that few other literals have.
func chooseGrams(list []*gramLiteral) error {
	text, count := map[uint32]int{}, map[uint32]int{}
	rare, usual := map[uint32]int{}, usualGrams()
	for _, l := range list {
		n := min(len(l.text), dfa.GramBytes)
		if n == 1 {
			l.gram = uint32(l.text[0])
			continue
		}
		best, found := 0, false
		for at := 0; at+n <= len(l.text); at++ {
			piece := l.text[at : at+n]
			gram := dfa.Gram([]byte(piece))
			if text[gram] > 0 && text[gram]+len(l.text) > gramTextMax {
				continue
			}
			score, known := rare[gram]
			if !known {
				score = rarity(lowered(piece)) - usualCost*usual[gram]
				rare[gram] = score
			}
			if score -= gramSpread * count[gram]; !found || score > best {
				best, found = score, true
				l.gram, l.offset = gram, at
			}
		}
		if !found {
			return errCrowded
		}
		text[l.gram] += len(l.text)
		count[l.gram]++
	}
	return nil
}

// usualText is what values usually look like: names of programs, files and options as Linux systems are full of them.
// How often it has a gram is all that is asked of it.
const usualText = `/usr/bin/bash -c /bin/sh -e /usr/sbin/cron -f -P /usr/lib/systemd/systemd-journald --system
/usr/share/locale/en_US/LC_MESSAGES/libc.mo /usr/lib/x86_64-linux-gnu/libselinux.so.1 /usr/lib/aarch64-linux-gnu/
/usr/lib/locale/locale-archive /etc/ld.so.cache /etc/passwd /etc/group /etc/nsswitch.conf /etc/localtime
/etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/systemd/system/multi-user.target.wants/ssh.service
/usr/local/share/
/home/user/.config/autostart/ /home/user/.local/share/applications/ /home/user/.cache/ /home/user/.bashrc
/home/user/.profile
/var/lib/dpkg/info/libssl.list /var/lib/docker/overlay2/ /var/log/syslog /var/cache/apt/archives/ /run/systemd/units/
/run/docker.sock /run/user/1000/bus /proc/self/status /proc/1234/stat /proc/sys/kernel/random /sys/devices/system/cpu/
/tmp/tmp.abc123/ /dev/null /dev/tty /opt/application/bin/server /etc/docker/daemon.json /usr/include/linux/types.h
gcc -Wall -Werror -std=gnu11 -D_GNU_SOURCE -I/usr/include -c source.c -o object.o -lpthread -shared -fPIC -O2 -g
python3 -m http.server --bind 127.0.0.1 --port 8080 --directory /srv/www --config=/etc/application/config.json --list
git --no-pager log --format=%H -n 1 origin/main rev-parse --abbrev-ref HEAD status --porcelain make -C build install
dpkg-deb --build --root-owner-group package_1.0.0_amd64.deb tar -xzf archive.tar.gz --strip-components=1 --exclude
systemctl daemon-reload start restart enable service.service journalctl -u docker -n 100 curl -fsSL -o output -H Host:
https://github.com/project/releases/download/v1.2.3/file.tar.gz http://localhost:8080/metrics grep -v sed -n s/x/y/g
find . -type f -name '*.py' -exec chmod 644 {} + ls -la | head -1 cat file > /dev/null 2>&1 && echo done || exit 1
docker run --rm -it -v /var/run/docker.sock:/var/run/docker.sock -e NAME=value image:latest container exec create
sleep 60 date +%s cut -d: -f1 sort -u test -x [ -f awk '{print $1}' rm -rf mkdir -p mv cp -r ln -sf install -m 0755
ssh -o StrictHostKeyChecking=no user@host sudo -u postgres node_modules/.bin/ java -Xmx512m -jar application.jar
session process network update manager client server default release version debug local remote storage driver state`

// usualCost is what each time a gram is usual takes from its rarity.
const usualCost = 3

func usualGrams() map[uint32]int {
	count := map[uint32]int{}
	for n := 2; n <= dfa.GramBytes; n++ {
		for at := 0; at+n <= len(usualText); at++ {
			count[dfa.Gram([]byte(usualText[at:at+n]))]++
		}
	}
	return count
}

// words returns the section of the literals.
func (g *grams) words(c *compiler) []uint32 {
	var out []uint32
	for _, l := range g.literals {
		shape := uint32(len(l.text)) | uint32(l.offset)<<dfa.LitOffsetShift
		if l.fold {
			shape |= dfa.LitFold
		}
		out = append(out, l.gram, shape, c.intern(l.text), uint32(len(c.out.actions)), uint32(len(l.actions)))
		c.out.actions = append(c.out.actions, l.actions...)
	}
	return out
}

// bytes is the size of the parts in the table, without texts and actions.
func (g *grams) bytes() int {
	return 4 * (len(g.filter) + len(g.buckets) + dfa.LiteralWords*len(g.literals))
}

// presence returns the classes of bytes that every match of n has.
func presence(n *node) (m uint64) {
	switch n.op {
	case opSet:
		if len(n.set) > 2*presenceSpans || contains(n.set, dfa.InvalidRune) {
			return 0
		}
		m = ^uint64(0)
		for _, s := range n.set {
			if s.high-s.low >= presenceSpans {
				return 0
			}
			for r := s.low; r <= s.high; r++ {
				m &= dfa.PresenceMask([]byte(string(r)))
			}
		}
		return m
	case opConcat, opInter:
		for _, sub := range n.subs {
			m |= presence(sub)
		}
		return m
	case opUnion:
		m = ^uint64(0)
		for _, sub := range n.subs {
			m &= presence(sub)
		}
		return m
	case opRepeat:
		if n.min > 0 {
			return presence(n.subs[0])
		}
	}
	return 0
}

// presenceSpans bounds the sets that are looked into: larger ones have no byte in common.
const presenceSpans = 4
