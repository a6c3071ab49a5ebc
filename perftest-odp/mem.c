/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#include "mem.h"
#include "dev.h"
#include "fail.h"
#include "size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const char *const kind_names[MEM_KINDS] = {
	[MEM_PINNED] = "pinned",
	[MEM_ODP] = "odp",
	[MEM_IMPLICIT] = "implicit",
};

const char *mem_kind_name(enum mem_kind kind)
{
	return kind_names[kind];
}

const char *mem_describe(enum mem_kind kind, size_t size, char *buf, size_t len)
{
	char text[SIZE_TEXT];

	if (kind == MEM_IMPLICIT)
		snprintf(buf, len, "the whole address space");
	else
		snprintf(buf, len, "%s of %s memory", size_text(size, text),
			 kind == MEM_ODP ? "on-demand" : "pinned");
	return buf;
}

int region_map(struct region *r, size_t size, size_t skew)
{
	char text[SIZE_TEXT];

	memset(r, 0, sizeof(*r));
	r->mapped = round_up(size, PAGE) + skew + 2 * LEAF;
	r->mapping = mmap(NULL, r->mapped, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->mapping == MAP_FAILED) {
		r->mapping = NULL;
		return fail_errno(RC_WRONG, "mmap of %s", size_text(size, text));
	}
	r->base = (char *)round_up((uintptr_t)r->mapping + PAGE, LEAF) + skew;
	r->size = size;
	if (mprotect(r->base, round_up(size, PAGE), PROT_READ | PROT_WRITE))
		return fail_errno(RC_WRONG, "mprotect of %s",
				  size_text(size, text));
	return RC_OK;
}

int region_register(struct region *r, struct dev *dev, enum mem_kind kind)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ;
	char text[64];

	r->kind = kind;
	if (kind != MEM_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	if (kind == MEM_IMPLICIT)
		r->mr = ibv_reg_mr(dev->pd, NULL, SIZE_MAX, access);
	else
		r->mr = ibv_reg_mr(dev->pd, r->base, r->size, access);
	if (r->mr)
		return RC_OK;
	return fail_errno(RC_WRONG, "%s: ibv_reg_mr of %s", dev->name,
			  mem_describe(kind, r->size, text, sizeof(text)));
}

void region_free(struct region *r)
{
	if (r->mr)
		ibv_dereg_mr(r->mr);
	if (r->mapping)
		munmap(r->mapping, r->mapped);
	memset(r, 0, sizeof(*r));
}
