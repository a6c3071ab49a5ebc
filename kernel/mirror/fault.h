/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_FAULT_H
#define ODP_FAULT_H

struct work_struct;

void odp_fault_queue(struct work_struct *work);
int odp_fault_init(void);
void odp_fault_exit(void);

#endif /* ODP_FAULT_H */
