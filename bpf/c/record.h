/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What both tiers share: the maps, the counters, and how a record is built and sent.
 *
 * A record is built in per-CPU scratch memory and copied into the ring once, at its real size. Whatever happens, the
 * event is counted exactly once: submitted, or dropped with a cause.
 */
#pragma once

#include "helpers.h"
#include "event_gen.h"

#define AF_INET 2
#define AF_INET6 10

/* The longest path the kernel hands out (PATH_MAX) and the longest component of one (NAME_MAX). */
#define KE_PATH_MAX 4096
#define KE_NAME_MAX 255
/* A path this deep, mount points included, is cut. The verifier follows every depth, so this is most of the time a load
 * takes; real trees stay below 40. */
#define KE_PATH_STEPS 64
/* The part of the argument block that is kept. Real command lines are below 1 KB in 99.9 % of cases. */
#define KE_ARGS_MAX 4096
/* One executable path, one directory and one argument block fit a record; KE_HEAP_LAST is the last start of one. */
#define KE_HEAP_LAST (KE_RECORD_SIZE_MAX - KE_PATH_MAX - 16)
_Static_assert(KE_HEADER_SIZE + 8 * KE_PROCESS_SLOTS + 2 * KE_PATH_MAX + 64 <= KE_HEAP_LAST, "exec record fits");
_Static_assert(sizeof(struct ke_header) == KE_HEADER_SIZE, "header layout");
/* Processes that are never reported: the agent, its updater, a test. */
#define KE_EXCLUDED_MAX 16
/* Threads inside one captured system call at a time; a thread beyond it is counted as dropped. */
#define KE_PENDING_MAX 512
/* Scratch levels per CPU. One is enough where programs do not interrupt each other, which is everywhere but in the tier
 * without types on kernels with preemptible tracepoints (7.0). */
#define KE_SCRATCH_LEVELS 2

/* What is counted apart; the order is that of ring.Point (bpf/ring/counters.go). */
enum ke_point {
	KE_EXEC,
	KE_FORK,
	KE_EXIT,
	KE_FILE,
	KE_NETWORK,
	KE_POINTS,
};

/* The causes are those of ring.Cause. */
enum ke_counter {
	KE_SUBMITTED,  /* in the ring */
	KE_FULL,       /* dropped: no room in the ring */
	KE_BUSY,	/* dropped: scratch memory in use */
	KE_UNRESOLVED, /* dropped: the object was gone when it was looked at */
	KE_TABLE,      /* dropped: no room to remember a system call */
	KE_TRUNCATED,  /* strings cut, in records that were sent or dropped */
	KE_COUNTERS,
};

struct ke_counters {
	__u64 n[KE_COUNTERS][KE_POINTS];
};

struct ke_scratch {
	__u64 busy;
	__u64 len;      /* bytes of the record so far */
	__u64 path_off; /* where the path in path[] starts */
	__u64 cut;      /* the string just made is not whole */
	__u8 record[KE_RECORD_SIZE_MAX + 16];
	__u8 path[KE_PATH_MAX + KE_NAME_MAX + 1];
};

/* Control of the running programs; mapped by user space. */
struct ke_control {
	__u32 excluded_n;
	__u32 excluded[KE_EXCLUDED_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set by the loader */
} ke_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ke_counters);
} ke_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KE_SCRATCH_LEVELS); /* set by the loader */
	__type(key, __u32);
	__type(value, struct ke_scratch);
} ke_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ke_control);
} ke_control SEC(".maps");

/* Constants of this load; the verifier removes what they switch off. */
const volatile __u64 ke_wakeup_bytes = 1024; /* data in the ring from which the reader is woken at once */
const volatile __u64 ke_only_cgroup = 0;     /* capture this control group only; 0: all */
const volatile __u8 ke_have_cgroup = 1;	     /* the kernel has control groups */
const volatile __u32 ke_classes = 7;         /* captured: a bit for each KE_CLASS */
/* Offsets in the system call tracepoints, from the format files. */
const volatile __u32 ke_args_off = 16;
const volatile __u32 ke_ret_off = 16;
/* The field of sched_process_exit that says whether the thread is the last one (Linux 6.16); 0: not there. */
const volatile __u32 ke_group_dead_off = 0;

char LICENSE[] SEC("license") = "GPL";

static __always_inline void ke_add(__u32 counter, __u32 point)
{
	__u32 zero = 0;
	struct ke_counters *c = bpf_map_lookup_elem(&ke_count, &zero);

	if (c)
		__sync_fetch_and_add(&c->n[counter][point], 1);
}

/* Not to be reported: an excluded process, or one outside the control group that is asked for. */
static __always_inline int ke_skip(__u32 tgid)
{
	__u32 zero = 0;
	struct ke_control *c = bpf_map_lookup_elem(&ke_control, &zero);

	if (ke_only_cgroup && bpf_get_current_cgroup_id() != ke_only_cgroup)
		return 1;
	if (!c)
		return 0;
	for (int i = 0; i < KE_EXCLUDED_MAX; i++) {
		if (i >= c->excluded_n)
			break;
		if (c->excluded[i] == tgid)
			return 1;
	}
	return 0;
}

/*
 * Takes scratch memory of this CPU. Only an atomic add without a result exists before 5.12: whoever adds and then reads
 * exactly 1 is alone, a second one reads more and leaves. Both may leave; the event then counts as dropped.
 */
static __always_inline struct ke_scratch *ke_take(void)
{
	for (__u32 i = 0; i < KE_SCRATCH_LEVELS; i++) {
		__u32 key = i;
		struct ke_scratch *s = bpf_map_lookup_elem(&ke_scratch, &key);

		if (!s)
			return NULL;
		__sync_fetch_and_add(&s->busy, 1);
		if (*(volatile __u64 *)&s->busy == 1)
			return s;
		__sync_fetch_and_add(&s->busy, -1);
	}
	return NULL;
}

static __always_inline void ke_release(struct ke_scratch *s)
{
	__sync_fetch_and_add(&s->busy, -1);
}

/*
 * The length so far, loaded anew: the verifier of 5.10 knows the bounds of a register only, and the compiler likes to
 * compare one copy and use another.
 */
static __always_inline __u64 ke_len(struct ke_scratch *s)
{
	__u64 len = *(volatile __u64 *)&s->len;

	barrier_var(len);
	return len;
}

static __always_inline struct ke_header *ke_head(struct ke_scratch *s)
{
	return (struct ke_header *)s->record;
}

/* Starts a record; entity and id stay 0 for user space to give. */
static __always_inline void ke_begin(struct ke_scratch *s, __u16 type, __u16 slots, __u16 flags)
{
	struct ke_header *h = ke_head(s);

	s->len = KE_HEADER_SIZE + 8 * slots;
	s->cut = 0;
	__builtin_memset(s->record, 0, KE_HEADER_SIZE);
	for (int i = 0; i < slots; i++)
		((__u64 *)(s->record + KE_HEADER_SIZE))[i] = 0;
	h->type = type;
	h->flags = flags;
	h->slots = slots;
	h->time = bpf_ktime_get_boot_ns();
}

static __always_inline void ke_int(struct ke_scratch *s, int slot, __u64 v)
{
	((__u64 *)(s->record + KE_HEADER_SIZE))[slot] = v;
	ke_head(s)->present |= 1ull << slot;
}

/*
 * Makes the n bytes at the end of the record the value of a slot. Preconditions: they were written at s->len, which
 * still is where they start.
 */
static __always_inline void ke_bytes(struct ke_scratch *s, int slot, __u64 n, int cut, int point)
{
	__u64 v = s->len | n << 32;

	if (cut) {
		v |= (__u64)KE_SLOT_TRUNCATED << 48;
		ke_head(s)->flags |= KE_FLAG_TRUNCATED;
		ke_add(KE_TRUNCATED, point);
	}
	ke_int(s, slot, v);
	s->len += n;
}

/* Pads the record to a multiple of 8 and sends it. */
static __always_inline void ke_send(struct ke_scratch *s, int point)
{
	__u64 len = ke_len(s), size, flags = BPF_RB_NO_WAKEUP;

	if (len > KE_RECORD_SIZE_MAX - 8) {
		ke_add(KE_FULL, point);
		return;
	}
	__builtin_memset(s->record + len, 0, 8);
	size = (len + 7) & ~7ull;
	ke_head(s)->size = size;
	/* The reader looks every 100 ms; it is woken before that only when a quarter of the ring waits. */
	if (bpf_ringbuf_query(&ke_ring, BPF_RB_AVAIL_DATA) >= ke_wakeup_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	barrier_var(size);
	if (size > KE_RECORD_SIZE_MAX)
		size = KE_RECORD_SIZE_MAX;
	if (bpf_ringbuf_output(&ke_ring, s->record, size, flags))
		ke_add(KE_FULL, point);
	else
		ke_add(KE_SUBMITTED, point);
}

/* Reads 8 bytes of a system call tracepoint. The offset is known at load only, so it is no plain load. */
static __always_inline __u64 ke_context(void *ctx, __u32 off)
{
	__u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (__u8 *)ctx + off);
	return v;
}

/* An address and a port as they are in a record: 4 or 16 bytes, network order. */
struct ke_peer {
	__u8 ip[16];
	__u16 port; /* host order */
	__u8 len;   /* 4, 16; 0: none */
} __attribute__((aligned(8)));

struct ke_sockaddr {
	__u16 family;
	__be16 port;
	__u32 in; /* AF_INET: address, AF_INET6: flow label */
	__u8 in6[16];
};

static __always_inline __u16 ke_ntohs(__be16 v)
{
	return v >> 8 | v << 8;
}

/* A v4 address in a v6 one (::ffff:a.b.c.d) is written as the v4 address it is. */
static __always_inline void ke_peer6(struct ke_peer *p, const __u8 *in6)
{
	const __u32 *w = (const __u32 *)in6;

	if (w[0] == 0 && w[1] == 0 && w[2] == 0xffff0000) {
		*(__u32 *)p->ip = w[3];
		p->len = 4;
		return;
	}
	__builtin_memcpy(p->ip, in6, 16);
	p->len = 16;
}

static __always_inline void ke_peer_slots(struct ke_scratch *s, struct ke_peer *p, int ip_slot, int port_slot)
{
	__u64 len = ke_len(s);

	if (p->len && len <= KE_HEAP_LAST) {
		__builtin_memcpy(s->record + len, p->ip, 16);
		ke_bytes(s, ip_slot, p->len, 0, KE_NETWORK);
	}
	if (p->port)
		ke_int(s, port_slot, p->port);
}
