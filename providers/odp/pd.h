/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_PROVIDER_PD_H
#define ODP_PROVIDER_PD_H

#include <stdatomic.h>

#include <infiniband/driver.h>

/**
 * struct odp_pd - a protection domain, or a parent domain around one
 * @pd: The part of libibverbs. A parent domain has the handle of the domain that
 *	it is around.
 * @inner: Parent domain: what it is around; else NULL.
 * @td: Parent domain: its thread domain, or NULL.
 * @users: Parent domains around it; of a parent domain, completion queues.
 */
struct odp_pd {
	struct ibv_pd pd;
	struct odp_pd *inner;
	struct odp_td *td;
	atomic_uint users;
};

/**
 * struct odp_td - a thread domain
 * @td: The part of libibverbs.
 * @users: Parent domains that have it.
 */
struct odp_td {
	struct ibv_td td;
	atomic_uint users;
};

static inline struct odp_pd *to_odp_pd(struct ibv_pd *ibpd)
{
	return container_of(ibpd, struct odp_pd, pd);
}

static inline struct odp_td *to_odp_td(struct ibv_td *ibtd)
{
	return container_of(ibtd, struct odp_td, td);
}

struct ibv_pd *odp_alloc_parent_domain(struct ibv_context *context,
				       struct ibv_parent_domain_init_attr *attr);
struct ibv_td *odp_alloc_td(struct ibv_context *context,
			    struct ibv_td_init_attr *attr);
int odp_dealloc_td(struct ibv_td *ibtd);

struct ibv_pd *odp_alloc_pd(struct ibv_context *context);
struct ibv_pd *odp_import_pd(struct ibv_context *context, uint32_t handle);
void odp_unimport_pd(struct ibv_pd *ibpd);
int odp_dealloc_pd(struct ibv_pd *ibpd);

struct ibv_xrcd *odp_open_xrcd(struct ibv_context *context,
			       struct ibv_xrcd_init_attr *attr);
int odp_close_xrcd(struct ibv_xrcd *ibxrcd);

/**
 * struct odp_ah - an address handle
 * @ah: The part of libibverbs.
 * @number: What send requests name it by.
 */
struct odp_ah {
	struct ibv_ah ah;
	uint32_t number;
};

static inline struct odp_ah *to_odp_ah(struct ibv_ah *ibah)
{
	return container_of(ibah, struct odp_ah, ah);
}

struct ibv_ah *odp_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int odp_destroy_ah(struct ibv_ah *ah);

#endif /* ODP_PROVIDER_PD_H */
