/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * The user ABI of rdma_odp: work and completion rings in shared memory, and
 * the driver's part of the create commands.
 *
 * One mmap() of the uverbs file maps everything that one object shares with
 * user space; the offset and the size to map are in the object's create
 * response. The kernel treats what it reads there as hostile: every index is
 * masked, every work queue entry is copied once, then checked, then used, and
 * the kernel's own progress lives in private memory. What the kernel writes
 * there is for user space to read only; it never reads it back.
 */
#ifndef ODP_ABI_H
#define ODP_ABI_H

#include <linux/types.h>
#include <rdma/ib_user_ioctl_cmds.h>

/*
 * Shown as abi_version of the uverbs device; libibverbs names both numbers
 * when a provider does not fit.
 */
#define ODP_ABI_VERSION 1

/*
 * The device's ops.driver_id, "odp". libibverbs finds the provider by it, so
 * that a device may have any name. It is none of enum rdma_driver_id.
 */
#define ODP_DRIVER_ID 0x6f6470

/**
 * enum odp_access_flags - rights that kernels have no name for
 * @ODP_ACCESS_FLUSH_GLOBAL: IBV_ACCESS_FLUSH_GLOBAL. Where a command of the RDMA
 *	core has no room for it, it is in the driver's part.
 */
enum odp_access_flags {
	ODP_ACCESS_FLUSH_GLOBAL = 1 << 8,
};

/**
 * enum odp_ring_flags - flags that the kernel raises in &struct odp_ring
 * @ODP_RING_NEED_KICK: Receive queues: the kernel waits for entries (the queue
 *	pair is in the error state and flushes them). After publishing entries,
 *	and a full memory barrier, user space that sees this flag calls
 *	POST_RECV with no work request.
 */
enum odp_ring_flags {
	ODP_RING_NEED_KICK = 1 << 0,
};

/**
 * struct odp_ring - the head of every ring, directly before its entries
 * @kernel_index: Advanced by the kernel: entries consumed (work queue) or
 *	produced (completion queue). Store-release; read it with load-acquire.
 * @flags: &enum odp_ring_flags, written by the kernel.
 * @reserved: Keeps the two writers in different cache lines.
 * @user_index: Advanced by user space: entries produced (work queue) or
 *	consumed (completion queue). Write it with store-release.
 * @reserved2: Zero.
 *
 * Both indices run freely through 32 bits; the entry of index i is number
 * i & (depth - 1), and depth is a power of two. A work queue is full when
 * user_index - kernel_index == depth, a completion queue is empty when both
 * are equal. All rings start at zero, and a queue pair's start again at zero
 * when it is moved to RESET: each side sets its own index, user space after
 * the modify command has returned.
 */
struct odp_ring {
	__u32 kernel_index;
	__u32 flags;
	__u32 reserved[14];
	__u32 user_index;
	__u32 reserved2[15];
};

/**
 * struct odp_sge - one piece of local memory
 * @addr: Address in the memory region, as for &struct ibv_sge.
 * @length: Bytes; zero is an empty piece.
 * @lkey: Local key.
 */
struct odp_sge {
	__aligned_u64 addr;
	__u32 length;
	__u32 lkey;
};

/**
 * struct odp_send_wqe - an entry of a send queue
 * @wr_id: Returned in the completion.
 * @opcode: &enum ib_uverbs_wr_opcode (the values of IBV_WR_*).
 * @flags: The values of IBV_SEND_FENCE, SIGNALED, SOLICITED and INLINE.
 * @num_sge: Number of &struct odp_sge that follow; 0 with inline data.
 * @inline_length: With IBV_SEND_INLINE, bytes of data that follow the header
 *	in place of the &struct odp_sge; else 0.
 * @imm_data: Immediate data (big endian).
 * @invalidate_rkey: In its place, the key to invalidate.
 * @rkey: Remote key. IBV_WR_BIND_MW: the key that the memory window gets; it
 *	differs from that which it has in the lowest 8 bits only.
 * @remote_addr: Remote address of RDMA operations and atomics.
 *	IBV_WR_BIND_MW: where the window begins, in terms of the region.
 * @compare_add: Atomics: what is compared or added, as in &struct ibv_send_wr.
 * @swap: Compare and swap: what is stored.
 * @bind_length: IBV_WR_BIND_MW: bytes; 0 unbinds a window of type 1.
 * @bind_key: The same: local key of the region.
 * @bind_access: The same: the values of IBV_ACCESS_REMOTE_*, FLUSH_GLOBAL
 *	and ZERO_BASED.
 * @ah: Datagrams: number of the address handle, see &struct odp_create_ah_resp.
 * @remote_qpn: Datagrams: the queue pair they go to.
 * @remote_qkey: Datagrams: the Q_Key they carry; with the highest bit set it is
 *	the own queue pair's in its place.
 * @remote_srqn: XRC: number of the shared receive queue that the message is for, or
 *	in whose protection domain the remote memory is.
 *
 * The entries are sq_stride bytes apart. The kernel takes entries when user
 * space calls POST_SEND with no work request, and copies them then; the ring's
 * kernel_index moves when the request completes, signaled or not, before its
 * completion is visible. A POST_SEND that fails has taken no entry; user space
 * then sets user_index back to where it was.
 */
struct odp_send_wqe {
	__aligned_u64 wr_id;
	__u8 opcode;
	__u8 flags;
	__u16 num_sge;
	__u32 inline_length;
	union {
		__be32 imm_data;
		__u32 invalidate_rkey;
	};
	__u32 rkey;
	__aligned_u64 remote_addr;
	union {
		struct {
			__aligned_u64 compare_add;
			__aligned_u64 swap;
		};
		struct {
			__aligned_u64 bind_length;
			__u32 bind_key;
			__u32 bind_access;
		};
	};
	__u32 ah;
	__u32 remote_qpn;
	__u32 remote_qkey;
	__u32 remote_srqn;
};

/**
 * struct odp_recv_wqe - an entry of a receive queue
 * @wr_id: Returned in the completion.
 * @num_sge: Number of &struct odp_sge that follow.
 * @reserved: Zero.
 *
 * The entries are rq_stride bytes apart, those of a shared receive queue stride.
 * The kernel takes an entry when a message needs one; publishing it takes no
 * system call (but see %ODP_RING_NEED_KICK).
 */
struct odp_recv_wqe {
	__aligned_u64 wr_id;
	__u32 num_sge;
	__u32 reserved;
};

/**
 * enum odp_wc_flags - flags of completions that the kernel has other values of
 * @ODP_WC_WITH_INV: IBV_WC_WITH_INV.
 */
enum odp_wc_flags {
	ODP_WC_WITH_INV = 1 << 3,
};

/**
 * struct odp_cqe - an entry of a completion queue
 * @wr_id: Of the work request.
 * @byte_len: Bytes received or read.
 * @imm_data: Immediate data (big endian).
 * @invalidated_rkey: In its place, the key that was invalidated.
 * @qp_num: The local queue pair.
 * @src_qp: Source queue pair of a datagram.
 * @wc_flags: The values of IBV_WC_GRH and WITH_IMM, and %ODP_WC_WITH_INV.
 * @vendor_err: Detail for a failed request: the AETH syndrome that ended it.
 * @status: The values of &enum ibv_wc_status.
 * @opcode: The values of &enum ibv_wc_opcode; set for failed requests, too.
 * @vlan: One more than the number of the VLAN whose address a datagram was for; 0: of
 *	none.
 * @reserved: Zero.
 * @timestamp: When the request completed, in ns of CLOCK_MONOTONIC.
 * @wallclock: The same moment in ns of CLOCK_REALTIME.
 * @reserved2: Zero.
 */
struct odp_cqe {
	__aligned_u64 wr_id;
	__u32 byte_len;
	union {
		__be32 imm_data;
		__u32 invalidated_rkey;
	};
	__u32 qp_num;
	__u32 src_qp;
	__u32 wc_flags;
	__u32 vendor_err;
	__u8 status;
	__u8 opcode;
	__u16 vlan;
	__u16 reserved[2];
	__aligned_u64 timestamp;
	__aligned_u64 wallclock;
	__u32 reserved2[2];
};

/**
 * struct odp_create_ah_resp - response to CREATE_AH
 * @ah: What send requests name the address handle by, in its protection domain.
 * @reserved: Zero.
 */
struct odp_create_ah_resp {
	__u32 ah;
	__u32 reserved;
};

/**
 * struct odp_create_cq_resp - response to CREATE_CQ
 * @offset: For mmap(): a &struct odp_ring and its &struct odp_cqe.
 * @size: Bytes to map.
 * @depth: Number of entries, at least as many as asked for.
 * @reserved: Zero.
 */
struct odp_create_cq_resp {
	__aligned_u64 offset;
	__aligned_u64 size;
	__u32 depth;
	__u32 reserved;
};

/**
 * enum odp_resize_cq_step - the steps of RESIZE_CQ
 * @ODP_RESIZE_CQ_PREPARE: A ring for as many entries as the command says is made,
 *	and nothing else changes. The response is &struct odp_create_cq_resp.
 * @ODP_RESIZE_CQ_COMMIT: The queue changes to the ring that was prepared last.
 *
 * In between user space maps the new ring and sets its user_index to that of
 * the old one, and consumes nothing until the change is over. Indices run on:
 * from the old ring's kernel_index, which is its last, entries are in the new
 * ring, and those before it that are not consumed user space moves there. If
 * there is no room for them the change fails with EINVAL, and the new ring is
 * gone.
 */
enum odp_resize_cq_step {
	ODP_RESIZE_CQ_PREPARE = 0,
	ODP_RESIZE_CQ_COMMIT = 1,
};

/**
 * struct odp_resize_cq - request of RESIZE_CQ
 * @step: &enum odp_resize_cq_step.
 * @reserved: Zero.
 */
struct odp_resize_cq {
	__u32 step;
	__u32 reserved;
};

/**
 * struct odp_create_qp_resp - response to CREATE_QP
 * @offset: For mmap(): both rings.
 * @size: Bytes to map.
 * @sq_offset: Where the send queue's &struct odp_ring is in the mapping.
 * @sq_depth: Entries of the send queue.
 * @sq_stride: Bytes from one send entry to the next.
 * @rq_offset: Where the receive queue's &struct odp_ring is in the mapping.
 * @rq_depth: Entries of the receive queue; 0 if the queue pair has none, or
 *	receives from a shared one.
 * @rq_stride: Bytes from one receive entry to the next.
 */
struct odp_create_qp_resp {
	__aligned_u64 offset;
	__aligned_u64 size;
	__u32 sq_offset;
	__u32 sq_depth;
	__u32 sq_stride;
	__u32 rq_offset;
	__u32 rq_depth;
	__u32 rq_stride;
};

/**
 * struct odp_create_srq_resp - response to CREATE_SRQ
 * @offset: For mmap(): a &struct odp_ring and its &struct odp_recv_wqe.
 * @size: Bytes to map.
 * @depth: Number of entries, at least as many as asked for.
 * @stride: Bytes from one entry to the next.
 */
struct odp_create_srq_resp {
	__aligned_u64 offset;
	__aligned_u64 size;
	__u32 depth;
	__u32 stride;
};

/**
 * struct odp_reg_mr - request of REG_MR and REREG_MR
 * @access: &enum odp_access_flags, added to the rights in the command.
 * @reserved: Zero.
 *
 * A command without it adds none.
 */
struct odp_reg_mr {
	__u32 access;
	__u32 reserved;
};

/**
 * enum odp_reg_dm_mr_attrs - of the RDMA core's method DM_MR_REG
 * @ODP_ATTR_REG_DM_MR_ACCESS: A &struct odp_reg_mr; may be missing.
 */
enum odp_reg_dm_mr_attrs {
	ODP_ATTR_REG_DM_MR_ACCESS = 1U << UVERBS_ID_NS_SHIFT,
};

/**
 * enum odp_pd_methods - methods of protection domains, for ibv_import_pd()
 * @ODP_METHOD_PD_QUERY: Succeeds if there is one of that handle; takes
 *	%ODP_ATTR_QUERY_PD_HANDLE.
 */
enum odp_pd_methods {
	ODP_METHOD_PD_QUERY = 1U << UVERBS_ID_NS_SHIFT,
};

enum odp_query_pd_attrs {
	ODP_ATTR_QUERY_PD_HANDLE = 1U << UVERBS_ID_NS_SHIFT,
};

/**
 * enum odp_dm_methods - methods of device memory
 * @ODP_METHOD_DM_QUERY: Takes %ODP_ATTR_QUERY_DM_HANDLE, and answers with
 *	%ODP_ATTR_QUERY_DM_RESP, a &struct odp_query_dm_resp.
 */
enum odp_dm_methods {
	ODP_METHOD_DM_QUERY = 1U << UVERBS_ID_NS_SHIFT,
};

enum odp_query_dm_attrs {
	ODP_ATTR_QUERY_DM_HANDLE = 1U << UVERBS_ID_NS_SHIFT,
	ODP_ATTR_QUERY_DM_RESP,
};

/**
 * struct odp_query_dm_resp - where device memory is
 * @offset: For mmap(): the memory.
 * @size: Bytes to map.
 * @length: Bytes of device memory in it, from its beginning.
 */
struct odp_query_dm_resp {
	__aligned_u64 offset;
	__aligned_u64 size;
	__aligned_u64 length;
};

#endif /* ODP_ABI_H */
