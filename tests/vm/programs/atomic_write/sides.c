// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory and connections, and requests from one end to the other */
#include "atomic_write.h"

#include <string.h>
#include <sys/mman.h>

char *target, *source;
struct words *words;
struct ibv_mr *target_mr, *source_mr;

struct ibv_mr *region(int nic, void *start, size_t size, int access)
{
	struct ibv_mr *mr = ibv_reg_mr(nics[nic].pd, start, size, access);

	CHECK(mr);
	return mr;
}

void set_up(void)
{
	target = memory_map(PAGES * PAGE, false);
	source = memory_map(PAGES * PAGE, false);
	words = (struct words *)target;
	memset(target, 0, PAGES * PAGE);
	target_mr = region(1, target, PAGES * PAGE, LOCAL | IBV_ACCESS_REMOTE_WRITE);
	source_mr = region(0, source, PAGES * PAGE, LOCAL);
	together_create();
}

void tear_down(void)
{
	together_destroy();
	CHECK(!ibv_dereg_mr(target_mr) && !ibv_dereg_mr(source_mr));
	CHECK(!munmap(target, PAGES * PAGE) && !munmap(source, PAGES * PAGE));
}

struct request request_of(enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote)
{
	return (struct request){
		.opcode = opcode, .local = local, .len = len, .lkey = source_mr->lkey,
		.remote = (uintptr_t)remote, .rkey = target_mr->rkey,
	};
}

void post(struct end *end, enum ibv_wr_opcode opcode, char *local, uint32_t len, void *remote)
{
	struct request request = request_of(opcode, local, len, remote);

	end_post(end, &request, opcode);
}

void done(struct end *end, enum ibv_wc_opcode opcode, uint32_t len)
{
	struct ibv_wc wc = end_wait(end);

	if (wc.status)
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
	CHECK(!wc.status && wc.opcode == opcode && wc.byte_len == len);
}
