// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The life of the fake address space and of its one notifier.
 */
#include "fake_mm.h"

struct mmu_notifier *mmu_notifier_get(const struct mmu_notifier_ops *ops,
				      struct mm_struct *mm)
{
	struct mmu_notifier *mn = mm->notifier;

	sim_might_sleep(__func__);
	if (!mn) {
		mn = ops->alloc_notifier(mm);
		if (IS_ERR(mn))
			return mn;
		mn->ops = ops;
		mn->mm = mm;
		WRITE_ONCE(mm->notifier, mn);
	}
	mn->users++;
	return mn;
}

static void free_notifier(struct rcu_head *rcu)
{
	struct mmu_notifier *mn = container_of(rcu, struct mmu_notifier, rcu);

	mn->ops->free_notifier(mn);
}

/* At exit it is off the list already. */
void mmu_notifier_put(struct mmu_notifier *mn)
{
	if (--mn->users)
		return;
	WRITE_ONCE(mn->mm->notifier, NULL);
	sim_rcu_call(SIM_SRCU, &mn->rcu, free_notifier);
}

void mmu_notifier_synchronize(void)
{
	sim_rcu_barrier(SIM_SRCU);
}

/* The last user is gone. */
static void exit_mmap(struct work_struct *work)
{
	struct mm_struct *mm = container_of(work, struct mm_struct, exit);
	struct mmu_notifier *mn;

	sim_rcu_enter(SIM_SRCU, NULL);
	mn = READ_ONCE(mm->notifier);
	if (mn)
		mn->ops->release(mn, mm);
	sim_rcu_leave(SIM_SRCU, NULL);
	WRITE_ONCE(mm->notifier, NULL);
	fake_clear_all();
	mmdrop(mm);
}

void mmput_async(struct mm_struct *mm)
{
	if (!atomic_dec_and_test(&mm->mm_users))
		return;
	INIT_WORK(&mm->exit, exit_mmap);
	queue_work(NULL, &mm->exit);
}

void mmdrop(struct mm_struct *mm)
{
	if (atomic_add_return(-1, &mm->mm_count) < 0)
		sim_fail("mm_count is below zero");
}

void fake_exit(void)
{
	mmput_async(&fake_mm);
}
