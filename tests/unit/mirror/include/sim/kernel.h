/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * All stand-ins; every linux/ header that the sources name includes this one
 * (CMakeLists.txt has the list).
 */
#ifndef SIM_KERNEL_H
#define SIM_KERNEL_H

#include "mm.h"

#endif /* SIM_KERNEL_H */
