/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The verbs: what the RDMA core calls, an object a file.
 */
#ifndef ODP_VERBS_H
#define ODP_VERBS_H

#include <rdma/ib_verbs.h>
#include <rdma/uverbs_ioctl.h>

#include "../odp.h"
#include "../transport/qp.h"

/**
 * struct odp_ucontext - an open device
 * @ib: The RDMA core's part.
 * @lock: Protects @mirror.
 * @mirror: The mirror of the first process that registered memory on demand
 *	here, or NULL. Stays attached, so that registering and deregistering in
 *	turns neither makes it anew nor forgets its translations.
 */
struct odp_ucontext {
	struct ib_ucontext ib;
	struct mutex lock;	/* mirror */
	struct odp_mirror *mirror;
};

struct odp_pd {
	struct ib_pd ib;
};

struct odp_xrcd {
	struct ib_xrcd ib;
};

/**
 * struct odp_mw - a memory window
 * @ib: The RDMA core's part.
 * @win: What its key stands for; freed by RCU.
 */
struct odp_mw {
	struct ib_mw ib;
	struct odp_window *win;
};

/* device.c */
int odp_device_add(const char *name, struct net_device *ndev);
void odp_device_port_event(struct odp_dev *dev);

/* context.c */
int odp_alloc_ucontext(struct ib_ucontext *context, struct ib_udata *udata);
int odp_query_ucontext(struct ib_ucontext *context,
		       struct uverbs_attr_bundle *attrs);
void odp_dealloc_ucontext(struct ib_ucontext *context);
void odp_disassociate_ucontext(struct ib_ucontext *context);
struct odp_mirror *odp_ucontext_attach(struct ib_udata *udata);
int odp_alloc_pd(struct ib_pd *pd, struct ib_udata *udata);
int odp_dealloc_pd(struct ib_pd *pd, struct ib_udata *udata);
int odp_alloc_xrcd(struct ib_xrcd *xrcd, struct ib_udata *udata);
int odp_dealloc_xrcd(struct ib_xrcd *xrcd, struct ib_udata *udata);

/**
 * struct odp_mmap - memory shared with user space
 * @entry: The RDMA core's part; the memory lives as long as this has
 *	references, whatever becomes of the object that uses it.
 * @mem: The memory, zeroed.
 * @size: Bytes.
 */
struct odp_mmap {
	struct rdma_user_mmap_entry entry;
	void *mem;
	size_t size;
};

struct odp_mmap *odp_mmap_create(struct ib_udata *udata, size_t size);
void odp_mmap_destroy(struct odp_mmap *mmap);
int odp_mmap(struct ib_ucontext *context, struct vm_area_struct *vma);
void odp_mmap_free(struct rdma_user_mmap_entry *entry);

/* dm.c */

/**
 * struct odp_dm - device memory
 * @ib: The RDMA core's part.
 * @mmap: The memory.
 */
struct odp_dm {
	struct ib_dm ib;
	struct odp_mmap *mmap;
};

static inline struct odp_dm *to_odp_dm(struct ib_dm *ib)
{
	return container_of(ib, struct odp_dm, ib);
}

struct ib_dm *odp_alloc_dm(struct ib_device *ib, struct ib_ucontext *context,
			   struct ib_dm_alloc_attr *attr,
			   struct uverbs_attr_bundle *attrs);
int odp_dealloc_dm(struct ib_dm *ib, struct uverbs_attr_bundle *attrs);

/* dmabuf.c */
struct odp_dmabuf;

void *odp_dmabuf_get(struct odp_window *win, int fd);
void odp_dmabuf_put(struct odp_dmabuf *dmabuf);

/* query.c */
extern const struct uapi_definition odp_uapi_defs[];

/* ah.c */
int odp_av_init(struct odp_av *av, const struct rdma_ah_attr *attr);
int odp_create_ah(struct ib_ah *ah, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata);
int odp_create_user_ah(struct ib_ah *ib, struct rdma_ah_init_attr *init,
		       struct ib_udata *udata);
int odp_query_ah(struct ib_ah *ib, struct rdma_ah_attr *attr);
int odp_destroy_ah(struct ib_ah *ib, u32 flags);

/* cq.c */
int odp_create_cq(struct ib_cq *ib, const struct ib_cq_init_attr *attr,
		  struct ib_udata *udata);
int odp_destroy_cq(struct ib_cq *ib, struct ib_udata *udata);
int odp_resize_cq(struct ib_cq *ib, int cqe, struct ib_udata *udata);
int odp_modify_cq(struct ib_cq *ib, u16 count, u16 period);
int odp_poll_cq(struct ib_cq *ib, int num, struct ib_wc *wc);
int odp_req_notify_cq(struct ib_cq *ib, enum ib_cq_notify_flags flags);

/* srq.c */
int odp_create_srq(struct ib_srq *ib, struct ib_srq_init_attr *init,
		   struct ib_udata *udata);
int odp_modify_srq(struct ib_srq *ib, struct ib_srq_attr *attr,
		   enum ib_srq_attr_mask mask, struct ib_udata *udata);
int odp_query_srq(struct ib_srq *ib, struct ib_srq_attr *attr);
int odp_post_srq_recv(struct ib_srq *ib, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad);
int odp_destroy_srq(struct ib_srq *ib, struct ib_udata *udata);

/* qp.c */
void odp_rq_layout(struct odp_rq *rq, u32 max_wr, u32 max_sge);
int odp_create_qp(struct ib_qp *ib, struct ib_qp_init_attr *init,
		  struct ib_udata *udata);
int odp_modify_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		  struct ib_udata *udata);
int odp_query_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init);
int odp_destroy_qp(struct ib_qp *ib, struct ib_udata *udata);
int odp_post_send(struct ib_qp *ib, const struct ib_send_wr *wr,
		  const struct ib_send_wr **bad);
int odp_post_recv(struct ib_qp *ib, const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad);

/* mr.c */
struct ib_mr *odp_get_dma_mr(struct ib_pd *pd, int access);
struct ib_mr *odp_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova,
			      int access, struct ib_udata *udata);
struct ib_mr *odp_rereg_user_mr(struct ib_mr *ib, int flags, u64 start,
				u64 length, u64 iova, int access,
				struct ib_pd *pd, struct ib_udata *udata);
struct ib_mr *odp_reg_user_mr_dmabuf(struct ib_pd *pd, u64 offset, u64 length,
				     u64 iova, int fd, int access,
				     struct ib_udata *udata);
struct ib_mr *odp_reg_dm_mr(struct ib_pd *pd, struct ib_dm *dm,
			    struct ib_dm_mr_attr *attr,
			    struct uverbs_attr_bundle *attrs);
struct ib_mr *odp_alloc_mr(struct ib_pd *pd, enum ib_mr_type type,
			   u32 max_num_sg);
int odp_map_mr_sg(struct ib_mr *ib, struct scatterlist *sg, int nents,
		  unsigned int *offset);
int odp_dereg_mr(struct ib_mr *ib, struct ib_udata *udata);

/* mw.c */
int odp_alloc_mw(struct ib_mw *ib, struct ib_udata *udata);
int odp_dealloc_mw(struct ib_mw *ib);

/* advise.c */
int odp_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice advice,
		  u32 flags, struct ib_sge *sge, u32 num_sge,
		  struct uverbs_attr_bundle *attrs);

/* stats.c */
struct rdma_hw_stats *odp_alloc_hw_port_stats(struct ib_device *ib, u32 port);
int odp_get_hw_stats(struct ib_device *ib, struct rdma_hw_stats *stats,
		     u32 port, int index);

#endif /* ODP_VERBS_H */
