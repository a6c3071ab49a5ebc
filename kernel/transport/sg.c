// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Scatter and gather: from the memory that requests name to packets and back.
 *
 * Keys are checked for every packet, so a region that is deregistered in the
 * middle of a message is not touched any more.
 */
#include "qp.h"
#include "window.h"

/* @win: is put, or NULL if the key does not allow the access. */
static int odp_window_access(struct odp_window *win, struct odp_half *half,
			     u64 addr, void *buf, u32 len, u64 ahead,
			     bool write, u32 *done)
{
	u32 n;

	if (!win)
		return -EACCES;
	n = odp_window_copy(win, addr, buf, len, write, ahead, half->pins,
			    &half->miss);
	odp_window_put(win);
	*done += n;
	return n < len ? odp_half_missed(half) : 0;
}

/**
 * odp_sg_copy - copies to or from a scatter/gather list
 * @pd: Protection domain of its keys.
 * @half: The half that does it, owned.
 * @sge: The list.
 * @num_sge: Its length.
 * @offset: Where in the memory that the list describes to begin.
 * @buf: Kernel memory.
 * @len: Bytes; @offset + @len is not beyond the list.
 * @write: To the list; else from it.
 * @done: Bytes of it that were copied before; moves on, also when a page is
 *	missing, so that one page at a time is enough to get through.
 *
 * Return: 0; -EAGAIN: a page is missing, end the turn; another error: a key
 * does not allow it or a page cannot be had.
 */
int odp_sg_copy(struct ib_pd *pd, struct odp_half *half,
		const struct odp_sge *sge, u32 num_sge, u32 offset, void *buf,
		u32 len, bool write, u32 *done)
{
	int access = write ? IB_ACCESS_LOCAL_WRITE : 0;
	struct odp_dev *dev = to_odp_dev(pd->device);
	u32 skip = offset + *done;
	int err;

	for (; *done < len && num_sge; sge++, num_sge--) {
		struct odp_window *win;
		u32 n;

		if (skip >= sge->length) {
			skip -= sge->length;
			continue;
		}
		n = min(len - *done, sge->length - skip);
		win = odp_window_get(dev, sge->lkey, pd, ODP_QPN_LOCAL,
				     sge->addr + skip, n, access);
		err = odp_window_access(win, half, sge->addr + skip,
					buf + *done, n, sge->length - skip,
					write, done);
		if (err)
			return err;
		skip = 0;
	}
	return 0;
}

/**
 * odp_remote_from_reth - the remote memory that a request names
 * @remote: Filled in.
 * @pkt: The request, which has a RETH.
 */
void odp_remote_from_reth(struct odp_remote *remote,
			  const struct odp_packet *pkt)
{
	const struct odp_reth *reth = odp_packet_reth(pkt);

	remote->va = be64_to_cpu(reth->va);
	remote->rkey = be32_to_cpu(reth->rkey);
	remote->left = be32_to_cpu(reth->len);
	remote->srqn = odp_packet_srqn(pkt);
}

/* The window of what the peer has named, as odp_window_get(). */
static struct odp_window *odp_remote_window(struct odp_qp *qp,
					    const struct odp_remote *remote,
					    u64 addr, u64 len, int access)
{
	struct odp_srq *srq = odp_srq_get(qp, remote->srqn);
	struct ib_pd *pd = srq ? srq->ib.pd : qp->ib.pd;
	struct odp_window *win;

	win = odp_window_get(qp->dev, remote->rkey, pd, qp->ib.qp_num, addr,
			     len, access);
	if (srq)
		odp_srq_put(srq);
	return win;
}

/**
 * odp_remote_check_key - may the peer access this, and by this key?
 * @qp: The queue pair.
 * @remote: What; if no bytes, then by the key alone.
 * @access: How, enum ib_access_flags or odp_access_flags.
 *
 * Return: 0 or -EACCES.
 */
int odp_remote_check_key(struct odp_qp *qp, const struct odp_remote *remote,
			 int access)
{
	struct odp_window *win;

	if (!(READ_ONCE(qp->access) & access))
		return -EACCES;
	win = odp_remote_window(qp, remote, remote->va, remote->left, access);
	if (!win)
		return -EACCES;
	odp_window_put(win);
	return 0;
}

/**
 * odp_remote_check - may the peer access this?
 * @qp: The queue pair.
 * @remote: What; no bytes are always allowed, whatever the key.
 * @access: How, enum ib_access_flags or odp_access_flags.
 *
 * Return: 0 or -EACCES.
 */
int odp_remote_check(struct odp_qp *qp, const struct odp_remote *remote,
		     int access)
{
	if (!remote->left)
		return READ_ONCE(qp->access) & access ? 0 : -EACCES;
	return odp_remote_check_key(qp, remote, access);
}

/**
 * odp_remote_copy - copies to or from memory that the peer has named
 * @qp: The queue pair.
 * @half: The half that does it, owned.
 * @remote: Where; not moved on.
 * @buf: Kernel memory.
 * @len: Bytes, not more than remote->left.
 * @write: To the memory; else from it.
 * @done: As for odp_sg_copy().
 *
 * Return: as odp_sg_copy().
 */
int odp_remote_copy(struct odp_qp *qp, struct odp_half *half,
		    const struct odp_remote *remote, void *buf, u32 len,
		    bool write, u32 *done)
{
	int access = write ? IB_ACCESS_REMOTE_WRITE : IB_ACCESS_REMOTE_READ;
	u64 addr = remote->va + *done;
	struct odp_window *win;

	if (*done == len)
		return 0;
	win = odp_remote_window(qp, remote, addr, len - *done, access);
	return odp_window_access(win, half, addr, buf + *done, len - *done,
				 remote->left - *done, write, done);
}

/**
 * odp_remote_atomic - an atomic operation on memory that the peer has named
 * @qp: The queue pair.
 * @half: The half that does it, owned.
 * @remote: Where; the address is aligned.
 * @op: What.
 * @old: Set to what was there before.
 *
 * Return: 0; -EAGAIN: the page is missing, end the turn; another error: the
 * peer may not do this, or the page cannot be had.
 */
int odp_remote_atomic(struct odp_qp *qp, struct odp_half *half,
		      const struct odp_remote *remote,
		      const struct odp_atomic *op, u64 *old)
{
	int access = op->kind == ODP_ATOMIC_WRITE ? IB_ACCESS_REMOTE_WRITE :
						    IB_ACCESS_REMOTE_ATOMIC;
	struct odp_window *win;
	int err = 0;

	if (!(READ_ONCE(qp->access) & access))
		return -EACCES;
	win = odp_remote_window(qp, remote, remote->va, sizeof(*old), access);
	if (!win)
		return -EACCES;
	/* A memory window's zero may be anywhere. */
	if (!IS_ALIGNED(win->start + remote->va - win->iova, sizeof(*old)))
		err = -EACCES;
	else if (!odp_window_atomic(win, remote->va, op, old, half->pins,
				    &half->miss))
		err = odp_half_missed(half);
	odp_window_put(win);
	return err;
}
