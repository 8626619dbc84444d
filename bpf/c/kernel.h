/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reading the kernel's own structures: for the tier that has type information. */
#pragma once

#include "vmlinux.h"
#include "record.h"

/*
 * Since Linux 7.0 a task may be preempted inside a typed tracepoint (tp_btf), and the next task's event on that CPU then
 * finds the program running, which the kernel skips, or the scratch memory taken. So only what no plain tracepoint tells
 * uses a typed one, and forbids preemption for the microsecond it takes. The loader takes the calls out where the kernel
 * does not have them (before 6.10). Programs of plain tracepoints are not preempted.
 */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* p->field by a relocated offset; 0 when it cannot be read. */
#define KE_READ(p, field)                                                                                              \
	({                                                                                                             \
		typeof((p)->field) __v = 0;                                                                            \
		bpf_probe_read_kernel(&__v, sizeof(__v), &(p)->field);                                                 \
		__v;                                                                                                   \
	})

/* The place of a field, as a constant the verifier knows: what it rules out costs nothing. */
#define KE_AT(type, field) ((__u64)__builtin_preserve_field_info(((type *)0)->field, 0))

/*
 * A call of bpf_probe_read_kernel costs as much as copying a few hundred bytes. So structures that are read for every
 * event are read in one piece where the kernel has the fields near each other, and field by field where it has not.
 */

/* dentry: d_hash, d_parent, d_name lie in a row since 2.6.38. */
struct ke_dentry {
	__u64 next, pprev;
	struct dentry *parent;
	__u32 hash, len;
	const void *name;
};

static __always_inline void ke_dentry_read(struct ke_dentry *d, struct dentry *dentry)
{
	__u64 at = KE_AT(struct dentry, d_hash);

	if (KE_AT(struct dentry, d_hash.pprev) == at + 8 && KE_AT(struct dentry, d_parent) == at + 16 &&
	    KE_AT(struct dentry, d_name.len) == at + 28 && KE_AT(struct dentry, d_name.name) == at + 32) {
		if (bpf_probe_read_kernel(d, sizeof(*d), (__u8 *)dentry + at))
			__builtin_memset(d, 0, sizeof(*d));
		return;
	}
	d->pprev = (__u64)KE_READ(dentry, d_hash.pprev);
	d->parent = KE_READ(dentry, d_parent);
	d->len = KE_READ(dentry, d_name.len);
	d->name = KE_READ(dentry, d_name.name);
}

static __always_inline void ke_prepend(struct ke_scratch *s, const char *text, __u64 n)
{
	__u64 off = s->path_off;

	if (off < n || off > KE_PATH_MAX)
		return;
	off -= n;
	for (int i = 0; i < n; i++)
		s->path[((off + i) & (KE_PATH_MAX - 1))] = text[i];
	s->path_off = off;
}

/* Writes "/" and the dentry's name before what s->path holds; 0 when it does not fit. */
static __always_inline int ke_prepend_name(struct ke_scratch *s, struct ke_dentry *d)
{
	__u64 off = s->path_off, n = d->len & KE_NAME_MAX;

	if (off <= n || off > KE_PATH_MAX)
		return 0;
	off -= n + 1;
	off &= KE_PATH_MAX - 1;
	barrier_var(off);
	s->path_off = off;
	s->path[off & (KE_PATH_MAX - 1)] = '/';
	bpf_probe_read_kernel(&s->path[(off & (KE_PATH_MAX - 1)) + 1], n & KE_NAME_MAX, d->name);
	return 1;
}

/*
 * Writes the path of a dentry into s->path, from its end towards the front, over mount points up to the root of the
 * mount namespace (fs/d_path.c prepend_path, without stopping at a chroot). As there, an unlinked file ends in
 * " (deleted)" and a file that never had a place (memfd, pipe) is "/name (deleted)".
 *
 * s->cut is set when the walk did not reach the root: then s->path has the last components, without a slash before them.
 * Returns 1 for a file without a place. What differs from round to round is kept in memory, where the verifier does not
 * follow it, so that it need not look at more than one round of each length.
 */
static __noinline int ke_walk(struct ke_scratch *s, struct dentry *dentry, struct vfsmount *vfs)
{
	struct mount *mnt = (void *)((__u8 *)vfs - KE_AT(struct mount, mnt));
	struct dentry *root = KE_READ(vfs, mnt_root);
	struct ke_dentry d = {};

	s->path_off = KE_PATH_MAX;
	s->cut = 0;
	ke_dentry_read(&d, dentry);
	if (d.parent == dentry && dentry != root) {
		ke_prepend(s, " (deleted)", 10);
		ke_prepend_name(s, &d);
		return 1;
	}
	if (d.parent != dentry && !d.pprev)
		ke_prepend(s, " (deleted)", 10);
	for (int i = 0; i < KE_PATH_STEPS; i++) {
		if (dentry == root) {
			struct mount *up = KE_READ(mnt, mnt_parent);

			if (up == mnt) {
				if (s->path_off == KE_PATH_MAX)
					ke_prepend(s, "/", 1);
				return 0;
			}
			dentry = KE_READ(mnt, mnt_mountpoint);
			root = KE_READ(up, mnt.mnt_root);
			mnt = up;
		} else {
			if (d.parent == dentry || !d.parent || !ke_prepend_name(s, &d))
				break;
			dentry = d.parent;
		}
		if (dentry != root)
			ke_dentry_read(&d, dentry);
	}
	/* Without its first slash it is not taken for a path from the root. */
	s->cut = 1;
	if (s->path_off < KE_PATH_MAX)
		s->path_off++;
	return 0;
}

/* Copies what ke_walk left into the record. */
static __always_inline void ke_path_slot(struct ke_scratch *s, int slot, int point)
{
	__u64 len = ke_len(s), off = s->path_off, n;

	if (off > KE_PATH_MAX || len > KE_HEAP_LAST)
		return;
	n = KE_PATH_MAX - off;
	bpf_probe_read_kernel(s->record + len, n, s->path + off);
	ke_bytes(s, slot, n, s->cut != 0, point);
}

/* cred: the ids lie in a row. */
struct ke_cred {
	__u32 uid, gid, suid, sgid, euid, egid;
};

static __always_inline void ke_cred_read(struct ke_cred *c, struct task_struct *task)
{
	struct cred *cred = KE_READ(task, cred);
	__u64 at = KE_AT(struct cred, uid);

	if (KE_AT(struct cred, gid) == at + 4 && KE_AT(struct cred, euid) == at + 16 &&
	    KE_AT(struct cred, egid) == at + 20) {
		bpf_probe_read_kernel(c, sizeof(*c), (__u8 *)cred + at);
		return;
	}
	c->uid = KE_READ(cred, uid.val);
	c->gid = KE_READ(cred, gid.val);
	c->euid = KE_READ(cred, euid.val);
	c->egid = KE_READ(cred, egid.val);
}

/* Who acts: the header, and the ids that every class has. */
static __always_inline void ke_actor(struct ke_scratch *s, struct task_struct *task, __u32 pid, __u32 tid,
				     struct ke_cred *c)
{
	struct ke_header *h = ke_head(s);
	struct task_struct *leader = KE_READ(task, group_leader);

	h->pid = pid;
	h->tid = tid;
	h->start = KE_READ(leader, start_boottime);
	ke_cred_read(c, task);
	ke_int(s, KE_PROCESS_UID, c->euid);
	ke_int(s, KE_PROCESS_GID, c->egid);
}

/* fdtable: max_fds is followed by fd. */
struct ke_fdtable {
	__u32 max_fds, pad;
	struct file **fd;
};

/* The open file of a descriptor of the current process; NULL when there is none any more. */
static __always_inline struct file *ke_file_of(struct task_struct *task, __u64 fd)
{
	struct files_struct *files = KE_READ(task, files);
	struct fdtable *fdt = KE_READ(files, fdt);
	struct ke_fdtable t = {};
	struct file *file = NULL;

	if (KE_AT(struct fdtable, fd) == KE_AT(struct fdtable, max_fds) + 8) {
		bpf_probe_read_kernel(&t, sizeof(t), &fdt->max_fds);
	} else {
		t.max_fds = KE_READ(fdt, max_fds);
		t.fd = KE_READ(fdt, fd);
	}
	if (fd >= t.max_fds)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), t.fd + fd);
	return file;
}

/* What is read of an open file. All of it lies in the first bytes of the two structures. */
#define KE_FILE_BLOCK 112
#define KE_INODE_BLOCK 80

struct ke_file {
	__u32 mode, flags;
	struct inode *inode;
	struct dentry *dentry;
	struct vfsmount *mnt;
	__u64 i_ino;
	struct super_block *i_sb;
	__u16 i_mode;
};

#define KE_PICK(block, type, field) (*(typeof(((type *)0)->field) *)((__u8 *)(block) + KE_AT(type, field)))
#define KE_FITS(size, type, field) (KE_AT(type, field) + sizeof(((type *)0)->field) <= (size))

static __always_inline void ke_inode_read(struct ke_file *f)
{
	struct inode *inode = f->inode;
	__u64 block[KE_INODE_BLOCK / 8] = {};

	if (KE_FITS(sizeof(block), struct inode, i_mode) && KE_FITS(sizeof(block), struct inode, i_sb) &&
	    KE_FITS(sizeof(block), struct inode, i_ino)) {
		bpf_probe_read_kernel(block, sizeof(block), inode);
		f->i_mode = KE_PICK(block, struct inode, i_mode);
		f->i_sb = KE_PICK(block, struct inode, i_sb);
		f->i_ino = KE_PICK(block, struct inode, i_ino);
		return;
	}
	f->i_mode = KE_READ(inode, i_mode);
	f->i_sb = KE_READ(inode, i_sb);
	f->i_ino = KE_READ(inode, i_ino);
}

static __always_inline void ke_file_read(struct ke_file *f, struct file *file)
{
	__u64 block[KE_FILE_BLOCK / 8] = {};

	if (KE_FITS(sizeof(block), struct file, f_mode) && KE_FITS(sizeof(block), struct file, f_flags) &&
	    KE_FITS(sizeof(block), struct file, f_inode) && KE_FITS(sizeof(block), struct file, f_path)) {
		bpf_probe_read_kernel(block, sizeof(block), file);
		f->mode = KE_PICK(block, struct file, f_mode);
		f->flags = KE_PICK(block, struct file, f_flags);
		f->inode = KE_PICK(block, struct file, f_inode);
		f->dentry = KE_PICK(block, struct file, f_path.dentry);
		f->mnt = KE_PICK(block, struct file, f_path.mnt);
		return;
	}
	f->mode = KE_READ(file, f_mode);
	f->flags = KE_READ(file, f_flags);
	f->inode = KE_READ(file, f_inode);
	f->dentry = KE_READ(file, f_path.dentry);
	f->mnt = KE_READ(file, f_path.mnt);
}
