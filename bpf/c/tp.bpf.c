/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Capture on kernels without type information: tracepoints and helpers only, no kernel structure is read. Every offset
 * comes from the format files of tracefs at start. See the table in bpf/README.md for what this tier cannot see.
 */
#include "record.h"

#define CLONE_THREAD 0x10000
#define O_ACCMODE 3
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_PATH 010000000

/* Arguments of an execve are read before it replaces the memory; this many may be under way at a time. */
#define KE_EXECS_MAX 32
/* Elements of the argument array that are looked at. A bound for the verifier. */
#define KE_ARGV_MAX 128

const volatile __u32 ke_exec_filename_off = 8; /* sched_process_exec: __data_loc */
const volatile __u32 ke_exec_old_pid_off = 16;
const volatile __u32 ke_task_pid_off = 8; /* task_newtask */
const volatile __u32 ke_task_flags_off = 32;

/* What an execve was asked for. */
struct ke_argv {
	__u32 len;
	__u16 count;
	__u8 cut;  /* not whole */
	__u8 more; /* the count is not the whole count */
	__u8 bytes[KE_ARGS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KE_EXECS_MAX);
	__type(key, __u32); /* thread */
	__type(value, struct ke_argv);
} ke_execs SEC(".maps");

/* A system call between its start and its end. The strings are read at the end, when the kernel has just used them. */
struct ke_call {
	__u64 address; /* of the path or the socket address */
	__u64 flags;
	__s32 fd;
	__u32 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KE_PENDING_MAX);
	__type(key, __u32); /* thread */
	__type(value, struct ke_call);
} ke_opens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KE_PENDING_MAX);
	__type(key, __u32); /* thread */
	__type(value, struct ke_call);
} ke_connects SEC(".maps");

/* How processes that called exit_group want to end. Only the oldest are forgotten when it is full: their exit has no
 * code then. */
#define KE_CODES_MAX 256

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KE_CODES_MAX);
	__type(key, __u32); /* process */
	__type(value, __u32);
} ke_codes SEC(".maps");

/* The real ids stand in for the effective ones, which no helper tells. */
static __always_inline void ke_actor(struct ke_scratch *s, __u32 pid, __u32 tid)
{
	struct ke_header *h = ke_head(s);
	__u64 ids = bpf_get_current_uid_gid();

	h->pid = pid;
	h->tid = tid;
	ke_int(s, KE_PROCESS_UID, (__u32)ids);
	ke_int(s, KE_PROCESS_GID, ids >> 32);
}

/* Copies the argument strings of an execve into s->record from offset 0, NUL after each. */
static __always_inline void ke_argv_read(struct ke_scratch *s, struct ke_argv *a, __u64 argv)
{
	s->len = 0;
	for (int i = 0; i < KE_ARGV_MAX; i++) {
		__u64 p = 0, off = ke_len(s);
		long n;

		if (bpf_probe_read_user(&p, sizeof(p), (void *)(argv + 8 * i))) {
			a->cut = 1;
			a->more = 1;
			return;
		}
		if (!p)
			return;
		a->count = i + 1;
		if (off >= KE_ARGS_MAX) {
			a->cut = 1;
			continue;
		}
		n = bpf_probe_read_user_str(&a->bytes[0] + (off & (KE_ARGS_MAX - 1)), KE_ARGS_MAX + 2, (void *)p);
		if (n <= 0) {
			/* Not in memory now: stands as an empty element. Older kernels say 0 of an empty string. */
			a->bytes[off & (KE_ARGS_MAX - 1)] = 0;
			a->cut |= n < 0;
			n = 1;
		}
		s->len = off + n;
	}
	a->more = 1;
	a->cut = 1;
}

static __always_inline int ke_execve_enter(__u64 argv)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_scratch *s;
	struct ke_argv *a;
	__u32 tid = id;

	if (ke_skip(id >> 32))
		return 0;
	s = ke_take();
	if (!s)
		return 0; /* the exec itself is reported, without arguments */
	a = (struct ke_argv *)s->record;
	a->count = 0;
	a->cut = 0;
	a->more = 0;
	ke_argv_read(s, a, argv);
	/* Without the last NUL; when the end is cut off there is none. */
	a->len = s->len ? s->len - 1 : 0;
	if (s->len > KE_ARGS_MAX + 1) {
		a->len = KE_ARGS_MAX;
		a->cut = 1;
	}
	bpf_map_update_elem(&ke_execs, &tid, a, BPF_ANY);
	ke_release(s);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_execve")
int ke_execve(void *ctx)
{
	return ke_execve_enter(ke_context(ctx, ke_args_off + 8));
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int ke_execveat(void *ctx)
{
	return ke_execve_enter(ke_context(ctx, ke_args_off + 16));
}

/* sys_exit_execve, sys_exit_execveat: an execve that failed is forgotten. Where a successful one is seen here, too
 * (not on arm64), its entry is gone already. */
SEC("tracepoint/syscalls/sys_exit_execve")
int ke_execve_exit(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&ke_execs, &tid);
	return 0;
}

static __always_inline void ke_exec_record(struct ke_scratch *s, void *ctx, __u64 id, struct ke_argv *a)
{
	__u32 loc = ke_context(ctx, ke_exec_filename_off);
	__u64 len = ke_len(s), n = loc >> 16;
	int cut;

	ke_actor(s, id >> 32, id);
	if (ke_have_cgroup)
		ke_int(s, KE_PROCESS_CGROUP, bpf_get_current_cgroup_id());
	/* The length in the tracepoint includes the NUL. */
	if (n > 1 && len <= KE_HEAP_LAST) {
		n--;
		cut = n > KE_PATH_MAX - 1;
		if (cut)
			n = KE_PATH_MAX - 1;
		barrier_var(n);
		if (n > KE_PATH_MAX - 1)
			return;
		bpf_probe_read_kernel(s->record + len, n, (__u8 *)ctx + (loc & 0xffff));
		/* A relative path is no whole path: user space can complete it from /proc. */
		if (s->record[len] != '/')
			cut = 1;
		ke_bytes(s, KE_PROCESS_EXECUTABLE, n, cut, KE_EXEC);
	}
	len = ke_len(s);
	if (len > KE_HEAP_LAST)
		return;
	if (!a) {
		ke_bytes(s, KE_PROCESS_ARGS, 0, 1, KE_EXEC);
		return;
	}
	if (!a->more)
		ke_int(s, KE_PROCESS_ARGS_COUNT, a->count);
	n = a->len;
	barrier_var(n);
	if (n > KE_ARGS_MAX)
		return;
	bpf_probe_read_kernel(s->record + len, n, a->bytes);
	ke_bytes(s, KE_PROCESS_ARGS, n, a->cut, KE_EXEC);
}

SEC("tracepoint/sched/sched_process_exec")
int ke_exec(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 old = ke_context(ctx, ke_exec_old_pid_off);
	struct ke_scratch *s;

	if (ke_skip(id >> 32))
		return 0;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_EXEC);
		return 0;
	}
	ke_begin(s, KE_TYPE_EXEC, KE_PROCESS_SLOTS, KE_FLAG_NO_BTF);
	ke_exec_record(s, ctx, id, bpf_map_lookup_elem(&ke_execs, &old));
	ke_send(s, KE_EXEC);
	ke_release(s);
	bpf_map_delete_elem(&ke_execs, &old);
	return 0;
}

/* Where sched_process_fork does not say whether it was a process or a thread, this one does. */
SEC("tracepoint/task/task_newtask")
int ke_fork(void *ctx)
{
	__u32 pid = ke_context(ctx, ke_task_pid_off);
	struct ke_scratch *s;

	if ((ke_context(ctx, ke_task_flags_off) & CLONE_THREAD) || ke_skip(pid))
		return 0;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_FORK);
		return 0;
	}
	ke_begin(s, KE_TYPE_FORK, KE_PROCESS_SLOTS, KE_FLAG_NO_BTF);
	ke_actor(s, pid, pid);
	ke_int(s, KE_PROCESS_PARENT_PID, bpf_get_current_pid_tgid() >> 32);
	ke_send(s, KE_FORK);
	ke_release(s);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_exit_group")
int ke_exit_group(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, code = ke_context(ctx, ke_args_off) & 0xff;

	if (!ke_skip(pid))
		bpf_map_update_elem(&ke_codes, &pid, &code, BPF_ANY);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int ke_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id, pid = id >> 32;
	struct ke_scratch *s;
	__u32 *code;

	if (ke_classes >> KE_CLASS_NETWORK & 1)
		bpf_map_delete_elem(&ke_connects, &tid);
	if (ke_classes >> KE_CLASS_FILE & 1)
		bpf_map_delete_elem(&ke_opens, &tid);
	/* Older kernels do not say who is last; the thread that the process began with usually is. */
	if (ke_group_dead_off ? !(ke_context(ctx, ke_group_dead_off) & 0xff) : tid != pid)
		return 0;
	if (ke_skip(pid))
		return 0;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_EXIT);
		return 0;
	}
	ke_begin(s, KE_TYPE_EXIT, KE_PROCESS_SLOTS, KE_FLAG_NO_BTF);
	ke_actor(s, pid, tid);
	/* A process ended by a signal has none: no tracepoint tells the signal. */
	code = bpf_map_lookup_elem(&ke_codes, &pid);
	if (code) {
		ke_int(s, KE_PROCESS_EXIT_CODE, *code);
		bpf_map_delete_elem(&ke_codes, &pid);
	}
	ke_send(s, KE_EXIT);
	ke_release(s);
	return 0;
}

static __always_inline int ke_open_enter(__s32 dir, __u64 path, __u64 flags)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_call c = {.address = path, .flags = flags, .fd = dir};
	__u32 tid = id;

	if (!ke_skip(id >> 32) && bpf_map_update_elem(&ke_opens, &tid, &c, BPF_ANY))
		ke_add(KE_TABLE, KE_FILE);
	return 0;
}

#define AT_FDCWD (-100)

SEC("tracepoint/syscalls/sys_enter_open")
int ke_open(void *ctx)
{
	return ke_open_enter(AT_FDCWD, ke_context(ctx, ke_args_off), ke_context(ctx, ke_args_off + 8));
}

SEC("tracepoint/syscalls/sys_enter_creat")
int ke_creat(void *ctx)
{
	return ke_open_enter(AT_FDCWD, ke_context(ctx, ke_args_off), O_CREAT | O_WRONLY);
}

SEC("tracepoint/syscalls/sys_enter_openat")
int ke_openat(void *ctx)
{
	return ke_open_enter(ke_context(ctx, ke_args_off), ke_context(ctx, ke_args_off + 8),
			     ke_context(ctx, ke_args_off + 16));
}

SEC("tracepoint/syscalls/sys_enter_openat2")
int ke_openat2(void *ctx)
{
	__u64 flags = 0;

	/* struct open_how starts with the flags. */
	bpf_probe_read_user(&flags, sizeof(flags), (void *)ke_context(ctx, ke_args_off + 16));
	return ke_open_enter(ke_context(ctx, ke_args_off), ke_context(ctx, ke_args_off + 8), flags);
}

static __always_inline void ke_open_record(struct ke_scratch *s, struct ke_call *c, __u64 id)
{
	__u16 type = KE_TYPE_FILE_READ;
	__u64 len;
	long n;
	int cut;

	/* Whether O_CREAT made the file or found it is not known; asking for it counts. */
	if (c->flags & O_PATH)
		type = KE_TYPE_FILE_OPEN;
	else if (c->flags & O_CREAT)
		type = KE_TYPE_FILE_CREATE;
	else if (c->flags & O_ACCMODE)
		type = KE_TYPE_FILE_WRITE;
	ke_begin(s, type, KE_FILE_SLOTS, KE_FLAG_NO_BTF);
	ke_actor(s, id >> 32, id);
	len = ke_len(s);
	if (len > KE_HEAP_LAST)
		return;
	n = bpf_probe_read_user_str(s->record + len, KE_PATH_MAX, (void *)c->address);
	cut = n <= 0 || n == KE_PATH_MAX || s->record[len] != '/';
	n = n <= 0 ? 0 : n - 1;
	ke_bytes(s, KE_FILE_PATH, n, cut, KE_FILE);
	ke_int(s, KE_FILE_FILE_FLAGS, c->flags);
	ke_int(s, KE_FILE_RESULT, 0);
	ke_send(s, KE_FILE);
}

/* sys_exit_open, sys_exit_openat, sys_exit_openat2, sys_exit_creat. */
SEC("tracepoint/syscalls/sys_exit_openat")
int ke_open_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct ke_call *c = bpf_map_lookup_elem(&ke_opens, &tid);
	struct ke_scratch *s;

	if (!c)
		return 0;
	if ((__s64)ke_context(ctx, ke_ret_off) >= 0) {
		s = ke_take();
		if (s) {
			ke_open_record(s, c, id);
			ke_release(s);
		} else {
			ke_add(KE_BUSY, KE_FILE);
		}
	}
	bpf_map_delete_elem(&ke_opens, &tid);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_connect")
int ke_connect_enter(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_call c = {};
	__u32 tid = id;

	if (ke_skip(id >> 32))
		return 0;
	c.address = ke_context(ctx, ke_args_off + 8);
	c.fd = ke_context(ctx, ke_args_off);
	c.len = ke_context(ctx, ke_args_off + 16);
	if (bpf_map_update_elem(&ke_connects, &tid, &c, BPF_ANY))
		ke_add(KE_TABLE, KE_NETWORK);
	return 0;
}

static __always_inline void ke_connect_record(void *ctx, struct ke_call *c, __u64 id)
{
	struct ke_sockaddr a = {};
	struct ke_peer to = {};
	struct ke_scratch *s;

	if (c->len < 8)
		return; /* no internet address, and refused by the kernel */
	if (bpf_probe_read_user(&a, 8, (void *)c->address) ||
	    (a.family == AF_INET6 && bpf_probe_read_user(&a, sizeof(a), (void *)c->address))) {
		ke_add(KE_UNRESOLVED, KE_NETWORK);
		return;
	}
	if (a.family != AF_INET && a.family != AF_INET6)
		return;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_NETWORK);
		return;
	}
	ke_begin(s, KE_TYPE_CONNECT, KE_NETWORK_SLOTS, KE_FLAG_NO_BTF);
	ke_actor(s, id >> 32, id);
	to.port = ke_ntohs(a.port);
	if (a.family == AF_INET6) {
		ke_peer6(&to, a.in6);
	} else {
		*(__u32 *)to.ip = a.in;
		to.len = 4;
	}
	ke_peer_slots(s, &to, KE_NETWORK_DESTINATION_IP, KE_NETWORK_DESTINATION_PORT);
	ke_int(s, KE_NETWORK_RESULT, ke_context(ctx, ke_ret_off));
	ke_send(s, KE_NETWORK);
	ke_release(s);
}

SEC("tracepoint/syscalls/sys_exit_connect")
int ke_connect_exit(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct ke_call *c = bpf_map_lookup_elem(&ke_connects, &tid);

	if (!c)
		return 0;
	ke_connect_record(ctx, c, id);
	bpf_map_delete_elem(&ke_connects, &tid);
	return 0;
}
