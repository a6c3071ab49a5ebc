/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef DEV_H
#define DEV_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

/* An open device: what every queue pair and memory region starts from */
struct dev {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	const char *name;
	uint8_t port;
	int gid_index;
	union ibv_gid gid;
	struct ibv_port_attr port_attr;
	struct ibv_device_attr_ex attr;
};

/**
 * dev_open() - open a device and find a GID to talk from
 * @dev: zeroed or not; dev_close() is right after any outcome
 * @name: NULL: the first device
 * @port: 1 in most cases
 * @gid_index: -1: the first RoCE v2 GID, IPv4 before IPv6
 */
int dev_open(struct dev *dev, const char *name, int port, int gid_index);
void dev_close(struct dev *dev);

/* Bytes of path MTU that the port can do now */
uint32_t dev_mtu(const struct dev *dev);
/* 0 if @bytes is not a path MTU */
enum ibv_mtu mtu_from_bytes(uint32_t bytes);
uint32_t mtu_to_bytes(enum ibv_mtu mtu);

bool dev_has_odp(const struct dev *dev);
bool dev_has_implicit(const struct dev *dev);
/* RC_SKIP with a sentence that says what the device lacks, or RC_OK */
int dev_need_odp(const struct dev *dev);
int dev_need_implicit(const struct dev *dev);

#endif
