/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Mappings of user space as they differ between kernels.
 */
#ifndef ODP_COMPAT_VMA_H
#define ODP_COMPAT_VMA_H

#include <linux/mm.h>

static inline void odp_vm_flags_set(struct vm_area_struct *vma,
				    unsigned long flags)
{
	vma->vm_flags |= flags;
}

#endif /* ODP_COMPAT_VMA_H */
