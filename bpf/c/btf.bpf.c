/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Capture on kernels with type information: see the table in bpf/README.md. */
#include "kernel.h"

/* A connect between its start and its end. */
struct ke_connect {
	struct sock *sk; /* NULL: not known */
	__s32 fd;
	__u8 read; /* the address could be read */
	struct ke_sockaddr to;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KE_PENDING_MAX);
	__type(key, __u32); /* thread */
	__type(value, struct ke_connect);
} ke_connects SEC(".maps");

/* The kernel does not say who of the last two threads is last when they end together: remembers the processes whose
 * end was reported. As many as may end at the same moment. */
#define KE_ENDED_MAX 128

struct ke_ended {
	__u64 start;
	__u64 pid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, KE_ENDED_MAX);
	__type(key, struct ke_ended);
	__type(value, __u8);
} ke_ended SEC(".maps");

static __always_inline void ke_parent(struct ke_scratch *s, struct task_struct *parent)
{
	struct task_struct *leader = KE_READ(parent, group_leader);

	ke_int(s, KE_PROCESS_PARENT_PID, KE_READ(leader, tgid));
	ke_int(s, KE_PROCESS_PARENT_START, KE_READ(leader, start_boottime));
}

/* The terminal's device number as the kernel has it, 0 without one. */
static __always_inline __u64 ke_tty(struct signal_struct *signal)
{
	struct tty_struct *tty = KE_READ(signal, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = KE_READ(tty, driver);
	return ((__u64)KE_READ(driver, major) << MINOR_BITS | KE_READ(driver, minor_start)) + KE_READ(tty, index);
}

/* The argument block as the program finds it: NUL between the elements, without the last NUL. */
static __always_inline void ke_args(struct ke_scratch *s, struct mm_struct *mm)
{
	__u64 start = KE_READ(mm, arg_start), n = KE_READ(mm, arg_end) - start, len = ke_len(s);
	int cut = 0;

	if (n == 0 || n > 1ull << 32 || len > KE_HEAP_LAST)
		return;
	n--;
	if (n > KE_ARGS_MAX) {
		n = KE_ARGS_MAX;
		cut = 1;
	}
	barrier_var(n);
	if (n > KE_ARGS_MAX)
		return;
	if (bpf_probe_read_user(s->record + len, n, (void *)start)) {
		/* The pages are there, the kernel just wrote them; only memory pressure takes them away. */
		n = 0;
		cut = 1;
	}
	ke_bytes(s, KE_PROCESS_ARGS, n, cut, KE_EXEC);
}

/* The name of a process that has no executable file. */
static __always_inline void ke_name(struct ke_scratch *s, struct task_struct *task)
{
	__u64 len = ke_len(s);
	long n;

	if (len > KE_HEAP_LAST)
		return;
	n = bpf_probe_read_kernel_str(s->record + len, sizeof(task->comm), &task->comm);
	if (n > 0)
		ke_bytes(s, KE_PROCESS_NAME, n - 1, 0, KE_EXEC);
}

/* The number of arguments is the first word of the new program's stack. */
static __always_inline void ke_args_count(struct ke_scratch *s, struct mm_struct *mm)
{
	__u32 n = 0;

	if (bpf_probe_read_user(&n, sizeof(n), (void *)KE_READ(mm, start_stack)) == 0)
		ke_int(s, KE_PROCESS_ARGS_COUNT, n);
}

SEC("tracepoint/sched/sched_process_exec")
int ke_exec(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = KE_READ(task, mm);
	struct signal_struct *signal = KE_READ(task, signal);
	__u64 id = bpf_get_current_pid_tgid();
	struct pid *session = KE_READ(signal, pids[PIDTYPE_SID]);
	struct nsproxy *nsproxy = KE_READ(task, nsproxy);
	struct mnt_namespace *mnt_ns = KE_READ(nsproxy, mnt_ns);
	struct fs_struct *fs = KE_READ(task, fs);
	struct file *exe = KE_READ(mm, exe_file);
	struct ke_scratch *s;
	struct ke_cred cred = {};

	if (ke_skip(id >> 32))
		return 0;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_EXEC);
		return 0;
	}
	ke_begin(s, KE_TYPE_EXEC, KE_PROCESS_SLOTS, 0);
	ke_actor(s, task, id >> 32, id, &cred);
	ke_parent(s, KE_READ(task, real_parent));
	ke_int(s, KE_PROCESS_REAL_UID, cred.uid);
	ke_int(s, KE_PROCESS_REAL_GID, cred.gid);
	ke_int(s, KE_PROCESS_SESSION_ID, KE_READ(session, numbers[0].nr));
	ke_int(s, KE_PROCESS_TTY, ke_tty(signal));
	ke_int(s, KE_PROCESS_MOUNT_NS, KE_READ(mnt_ns, ns.inum));
	ke_args_count(s, mm);
	if (ke_have_cgroup)
		ke_int(s, KE_PROCESS_CGROUP, bpf_get_current_cgroup_id());
	if (exe) {
		ke_walk(s, KE_READ(exe, f_path.dentry), KE_READ(exe, f_path.mnt));
		ke_path_slot(s, KE_PROCESS_EXECUTABLE, KE_EXEC);
	} else {
		ke_name(s, task);
	}
	ke_args(s, mm);
	ke_walk(s, KE_READ(fs, pwd.dentry), KE_READ(fs, pwd.mnt));
	ke_path_slot(s, KE_PROCESS_CWD, KE_EXEC);
	ke_send(s, KE_EXEC);
	ke_release(s);
	return 0;
}

static __always_inline void ke_fork_event(__u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];
	__u32 pid = KE_READ(child, pid);
	struct ke_cred cred = {};
	struct ke_scratch *s;

	if (KE_READ(child, tgid) != pid || ke_skip(pid))
		return;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_FORK);
		return;
	}
	ke_begin(s, KE_TYPE_FORK, KE_PROCESS_SLOTS, 0);
	ke_actor(s, child, pid, pid, &cred);
	ke_parent(s, parent);
	ke_send(s, KE_FORK);
	ke_release(s);
}

SEC("tp_btf/sched_process_fork")
int ke_fork(__u64 *ctx)
{
	bpf_preempt_disable();
	ke_fork_event(ctx);
	bpf_preempt_enable();
	return 0;
}

/* What wait reports: kernel/exit.c wait_task_zombie. */
static __always_inline __u64 ke_exit_code(struct task_struct *task, struct signal_struct *signal)
{
	struct task_struct *leader = KE_READ(task, group_leader);
	__u32 code = KE_READ(signal, flags) & SIGNAL_GROUP_EXIT ? KE_READ(signal, group_exit_code) :
								  KE_READ(leader, exit_code);

	if (code & 0x7f)
		return 128 + (code & 0x7f);
	return code >> 8 & 0xff;
}

/* Whether this is the last thread of its process. */
static __always_inline int ke_last(void *ctx, struct task_struct *task, struct signal_struct *signal)
{
	struct task_struct *leader;
	struct ke_ended key = {};
	__u8 one = 1;

	if (ke_group_dead_off)
		return ke_context(ctx, ke_group_dead_off) & 0xff;
	if (KE_READ(signal, live.counter) != 0)
		return 0;
	leader = KE_READ(task, group_leader);
	key.pid = KE_READ(task, tgid);
	key.start = KE_READ(leader, start_boottime);
	return bpf_map_update_elem(&ke_ended, &key, &one, BPF_NOEXIST) == 0;
}

SEC("tracepoint/sched/sched_process_exit")
int ke_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct signal_struct *signal = KE_READ(task, signal);
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_cred cred = {};
	struct ke_scratch *s;

	if (ke_classes >> KE_CLASS_NETWORK & 1) {
		__u32 tid = id;

		bpf_map_delete_elem(&ke_connects, &tid);
	}
	if (!ke_last(ctx, task, signal) || ke_skip(id >> 32))
		return 0;
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_EXIT);
		return 0;
	}
	ke_begin(s, KE_TYPE_EXIT, KE_PROCESS_SLOTS, 0);
	ke_actor(s, task, id >> 32, id, &cred);
	ke_int(s, KE_PROCESS_EXIT_CODE, ke_exit_code(task, signal));
	ke_send(s, KE_EXIT);
	ke_release(s);
	return 0;
}

static __always_inline void ke_file_record(struct ke_scratch *s, struct task_struct *task, struct file *file, __u64 id)
{
	__u16 type = KE_TYPE_FILE_OPEN;
	struct ke_cred cred = {};
	struct ke_file f = {};
	int placeless;

	ke_file_read(&f, file);
	ke_inode_read(&f);
	if ((f.i_mode & S_IFMT) == S_IFSOCK)
		return;
	if (f.mode & FMODE_CREATED)
		type = KE_TYPE_FILE_CREATE;
	else if (f.mode & FMODE_WRITE)
		type = KE_TYPE_FILE_WRITE;
	else if (f.mode & FMODE_READ)
		type = KE_TYPE_FILE_READ;
	ke_begin(s, type, KE_FILE_SLOTS, 0);
	placeless = ke_walk(s, f.dentry, f.mnt);
	/* A pipe opened again through /proc/PID/fd has no place in the file system; a memfd is a file all the same. */
	if (placeless && (f.i_mode & S_IFMT) != S_IFREG)
		return;
	ke_actor(s, task, id >> 32, id, &cred);
	ke_path_slot(s, KE_FILE_PATH, KE_FILE);
	ke_int(s, KE_FILE_RESULT, 0);
	ke_int(s, KE_FILE_FILE_FLAGS, f.flags);
	ke_int(s, KE_FILE_FILE_MODE, f.i_mode);
	ke_int(s, KE_FILE_FILE_INODE, f.i_ino);
	ke_int(s, KE_FILE_FILE_DEVICE, KE_READ(f.i_sb, s_dev));
	ke_send(s, KE_FILE);
}

/* sys_exit_open, sys_exit_openat, sys_exit_openat2, sys_exit_creat. */
SEC("tracepoint/syscalls/sys_exit_openat")
int ke_open_exit(void *ctx)
{
	struct task_struct *task;
	struct file *file;
	struct ke_scratch *s;
	__s64 fd = ke_context(ctx, ke_ret_off);
	__u64 id = bpf_get_current_pid_tgid();

	if (fd < 0 || ke_skip(id >> 32))
		return 0;
	task = (void *)bpf_get_current_task();
	file = ke_file_of(task, fd);
	if (!file) {
		/* Another thread closed it before the system call returned. */
		ke_add(KE_UNRESOLVED, KE_FILE);
		return 0;
	}
	s = ke_take();
	if (!s) {
		ke_add(KE_BUSY, KE_FILE);
		return 0;
	}
	ke_file_record(s, task, file, id);
	ke_release(s);
	return 0;
}

/* The internet socket of a descriptor; NULL when it is something else. */
static __always_inline struct sock *ke_sock_of(__u64 fd)
{
	struct file *file = ke_file_of((void *)bpf_get_current_task(), fd);
	struct inode *inode = file ? KE_READ(file, f_inode) : NULL;
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (!inode || (KE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = KE_READ(file, private_data);
	sk = KE_READ(socket, sk);
	if (!sk)
		return NULL;
	family = KE_READ(sk, __sk_common.skc_family);
	return family == AF_INET || family == AF_INET6 ? sk : NULL;
}

SEC("tracepoint/syscalls/sys_enter_connect")
int ke_connect_enter(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_connect c = {};
	const void *address;
	__u32 tid = id;

	if (ke_skip(id >> 32))
		return 0;
	c.fd = ke_context(ctx, ke_args_off);
	c.sk = ke_sock_of(c.fd);
	if (!c.sk)
		return 0;
	address = (void *)ke_context(ctx, ke_args_off + 8);
	c.read = bpf_probe_read_user(&c.to, 8, address) == 0;
	if (c.read && c.to.family == AF_INET6)
		c.read = bpf_probe_read_user(&c.to, 24, address) == 0;
	/* AF_UNSPEC ends an association and connects nothing. */
	if (c.read && c.to.family != AF_INET && c.to.family != AF_INET6)
		return 0;
	if (bpf_map_update_elem(&ke_connects, &tid, &c, BPF_ANY))
		ke_add(KE_TABLE, KE_NETWORK);
	return 0;
}

/* sk is NULL when the descriptor is not the socket any more that it was: then only what the caller asked for is known. */
static __always_inline void ke_connect_record(struct ke_scratch *s, struct ke_connect *c, struct sock *sk, __s64 ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	struct ke_peer from = {}, to = {};
	struct ke_cred cred = {};
	struct in6_addr a = {};
	__u16 family = KE_READ(sk, __sk_common.skc_family);

	ke_begin(s, KE_TYPE_CONNECT, KE_NETWORK_SLOTS, 0);
	ke_actor(s, task, id >> 32, id, &cred);
	/* After a connect that failed the socket has forgotten the peer: then it is what the caller asked for. */
	to.port = ke_ntohs(KE_READ(sk, __sk_common.skc_dport));
	from.port = KE_READ(sk, __sk_common.skc_num);
	if (family == AF_INET6) {
		bpf_probe_read_kernel(&a, sizeof(a), &sk->__sk_common.skc_v6_rcv_saddr);
		ke_peer6(&from, a.in6_u.u6_addr8);
		if (!(((__u64 *)from.ip)[0] | ((__u64 *)from.ip)[1]))
			from.len = 0;
	} else {
		*(__u32 *)from.ip = KE_READ(sk, __sk_common.skc_rcv_saddr);
		from.len = *(__u32 *)from.ip ? 4 : 0;
	}
	if (to.port && family == AF_INET6) {
		bpf_probe_read_kernel(&a, sizeof(a), &sk->__sk_common.skc_v6_daddr);
		ke_peer6(&to, a.in6_u.u6_addr8);
	} else if (to.port) {
		*(__u32 *)to.ip = KE_READ(sk, __sk_common.skc_daddr);
		to.len = 4;
	} else if (c->read) {
		to.port = ke_ntohs(c->to.port);
		if (c->to.family == AF_INET6) {
			ke_peer6(&to, c->to.in6);
		} else {
			*(__u32 *)to.ip = c->to.in;
			to.len = 4;
		}
	}
	ke_peer_slots(s, &to, KE_NETWORK_DESTINATION_IP, KE_NETWORK_DESTINATION_PORT);
	if (from.port)
		ke_peer_slots(s, &from, KE_NETWORK_SOURCE_IP, KE_NETWORK_SOURCE_PORT);
	if (sk)
		ke_int(s, KE_NETWORK_PROTOCOL, KE_READ(sk, sk_protocol));
	ke_int(s, KE_NETWORK_RESULT, ret);
	ke_send(s, KE_NETWORK);
}

SEC("tracepoint/syscalls/sys_exit_connect")
int ke_connect_exit(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct ke_connect *c = bpf_map_lookup_elem(&ke_connects, &tid);
	struct ke_scratch *s;
	struct sock *sk;

	if (!c)
		return 0;
	sk = ke_sock_of(c->fd);
	if (sk != c->sk)
		sk = NULL;
	s = ke_take();
	if (s) {
		if (sk || c->read)
			ke_connect_record(s, c, sk, ke_context(ctx, ke_ret_off));
		else
			ke_add(KE_UNRESOLVED, KE_NETWORK);
		ke_release(s);
	} else {
		ke_add(KE_BUSY, KE_NETWORK);
	}
	bpf_map_delete_elem(&ke_connects, &tid);
	return 0;
}
