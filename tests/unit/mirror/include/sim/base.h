/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Types and macros that kernel sources take for granted.
 */
#ifndef SIM_BASE_H
#define SIM_BASE_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "sim.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef int64_t s64;
/* As in the kernel: %llu on every architecture. */
typedef unsigned long long u64;
typedef unsigned int gfp_t;

#define __GFP_DIRECT_RECLAIM	0x1u
#define __GFP_NOWARN		0x2u
#define __GFP_ACCOUNT		0x4u
#define __GFP_NORETRY		0x8u
#define __GFP_ZERO		0x10u
#define __GFP_RETRY_MAYFAIL	0x20u
#define GFP_ATOMIC		0u
#define GFP_NOWAIT		0u
#define GFP_KERNEL		__GFP_DIRECT_RECLAIM
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define SZ_16K			0x4000
#define HZ			250
/* Advances by a second after each visit of the shrinker. */
unsigned long sim_jiffies(void);
#define jiffies			sim_jiffies()
#define time_before(a, b)	((long)((a) - (b)) < 0)
#define time_after(a, b)	time_before(b, a)
#define BITS_PER_LONG		64
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK(h, l)		((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))

#define min(a, b)		({ __auto_type _a = (a); __auto_type _b = (b); \
				   _a < _b ? _a : _b; })
#define max(a, b)		({ __auto_type _c = (a); __auto_type _d = (b); \
				   _c > _d ? _c : _d; })
#define min3(a, b, c)		min(min(a, b), c)
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define swap(a, b)		do { typeof(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define IS_ALIGNED(x, a)	(((x) & ((typeof(x))(a) - 1)) == 0)
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))
#define ALIGN(x, a)		ALIGN_DOWN((x) + (typeof(x))(a) - 1, a)
#define PAGE_ALIGN(addr)	ALIGN(addr, PAGE_SIZE)
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define struct_size(p, member, n) (sizeof(*(p)) + sizeof((p)->member[0]) * (n))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define likely(x)		(x)
#define unlikely(x)		(x)
#define __init
#define __exit
#define __rcu
#define __must_check
#define __releases(lock)
#define __acquires(lock)
#define KBUILD_MODNAME		"rdma_odp"
#define __maybe_unused		__attribute__((__unused__))
#define noinline		__attribute__((__noinline__))
#define fallthrough		__attribute__((__fallthrough__))
#define BUILD_BUG_ON(c)		_Static_assert(!(c), #c)
#define IS_ENABLED(option)	0

#define WARN_ON_ONCE(c) ({ \
	bool _warn = (c); \
	if (_warn) \
		sim_fail("%s: WARN_ON(%s)", __func__, #c); \
	_warn; \
})
#define WARN_ON(c)		WARN_ON_ONCE(c)

#define module_param_named(name, var, type, perm)	struct sim_unused
#define module_param(name, type, perm)			struct sim_unused
#define MODULE_PARM_DESC(name, text)			struct sim_unused
#define EXPORT_SYMBOL_GPL(name)				struct sim_unused

#define MAX_ERRNO		4095
#define IS_ERR_VALUE(x)		((unsigned long)(x) >= -(unsigned long)MAX_ERRNO)

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return IS_ERR_VALUE(ptr);
}

static inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return !ptr || IS_ERR(ptr);
}

static inline void *ERR_CAST(const void *ptr)
{
	return (void *)ptr;
}

/*
 * Marked accesses. A marked read may race with a plain aligned write, as in
 * the kernel, so the thread sanitizer does not get to see it.
 */
static inline __attribute__((no_sanitize_thread)) unsigned long
sim_load(const volatile void *p, size_t size)
{
	switch (size) {
	case 1:
		return *(const volatile u8 *)p;
	case 2:
		return *(const volatile u16 *)p;
	case 4:
		return *(const volatile u32 *)p;
	default:
		return *(const volatile unsigned long *)p;
	}
}

/* What a pointer points to is ordered behind it, and the sanitizer can know. */
#define SIM_IS_POINTER(x)	(__builtin_classify_type(x) == 5)

#define READ_ONCE(x) ({ \
	sim_point(SIM_READ, "read", #x, __func__, &(x)); \
	unsigned long _once = SIM_IS_POINTER(x) ? \
		__atomic_load_n((unsigned long *)&(x), __ATOMIC_ACQUIRE) : \
		sim_load(&(x), sizeof(x)); \
	sim_value(_once); \
	(typeof(x))_once; \
})

#define WRITE_ONCE(x, value) do { \
	typeof(x) _new = (value); \
	sim_point(SIM_WRITE, "write", #x, __func__, &(x)); \
	__atomic_store_n(&(x), _new, __ATOMIC_RELAXED); \
} while (0)

#define smp_load_acquire(p) ({ \
	sim_point(SIM_READ, "acquire", #p, __func__, p); \
	typeof(*(p)) _acq = __atomic_load_n(p, __ATOMIC_ACQUIRE); \
	sim_value((unsigned long)_acq); \
	_acq; \
})

#define smp_store_release(p, value) do { \
	typeof(*(p)) _new = (value); \
	sim_point(SIM_WRITE, "release", #p, __func__, p); \
	__atomic_store_n(p, _new, __ATOMIC_RELEASE); \
} while (0)

#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif /* SIM_BASE_H */
