/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Atomics, reference counts and bitmaps.
 */
#ifndef SIM_BITS_H
#define SIM_BITS_H

#include "base.h"

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	int refs;
} refcount_t;

#define ATOMIC_INIT(n)		{ (n) }
#define ATOMIC64_INIT(n)	{ (n) }
#define REFCOUNT_INIT(n)	{ (n) }

#define SIM_RMW(builtin, p, n, what) ({ \
	sim_point(SIM_WRITE, "atomic", what, __func__, p); \
	builtin(p, n, __ATOMIC_SEQ_CST); \
})

#define atomic_read(v) ({ \
	sim_point(SIM_READ, "atomic", #v, __func__, &(v)->counter); \
	int _atomic = __atomic_load_n(&(v)->counter, __ATOMIC_SEQ_CST); \
	sim_value(_atomic); \
	_atomic; \
})
#define atomic_set(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic_add_return(n, v)	SIM_RMW(__atomic_add_fetch, &(v)->counter, n, #v)
#define atomic_inc(v)		((void)atomic_add_return(1, v))
#define atomic_dec(v)		((void)atomic_add_return(-1, v))
#define atomic_inc_return(v)	atomic_add_return(1, v)
#define atomic_dec_and_test(v)	(atomic_add_return(-1, v) == 0)
#define atomic_inc_not_zero(v)	sim_inc_not_zero(&(v)->counter, #v, __func__)

/* Counters: nothing is decided by them, so they are no scheduling points. */
#define atomic64_add(n, v) \
	((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic64_inc(v)		atomic64_add(1, v)
#define atomic64_dec(v)		atomic64_add(-1, v)
#define atomic64_read(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_set(v, n)	__atomic_store_n(&(v)->counter, n, __ATOMIC_RELAXED)
#define atomic_long_t		atomic64_t
#define atomic_long_add		atomic64_add
#define atomic_long_inc		atomic64_inc
#define atomic_long_dec		atomic64_dec
#define atomic_long_read	atomic64_read
#define ATOMIC_LONG_INIT	ATOMIC64_INIT

static inline bool sim_inc_not_zero(int *p, const char *what, const char *func)
{
	int old;

	sim_point(SIM_WRITE, "atomic", what, func, p);
	old = __atomic_load_n(p, __ATOMIC_RELAXED);
	while (old && !__atomic_compare_exchange_n(p, &old, old + 1, false,
						   __ATOMIC_SEQ_CST,
						   __ATOMIC_RELAXED))
		;
	sim_value(old);
	return old;
}

static inline void sim_refcount_old(int old, const char *what, const char *func)
{
	if (old <= 0)
		sim_fail("%s: reference count of %s used at %d", func, what,
			 old);
}

#define refcount_set(r, n)	__atomic_store_n(&(r)->refs, n, __ATOMIC_RELAXED)
#define refcount_read(r)	__atomic_load_n(&(r)->refs, __ATOMIC_RELAXED)
#define refcount_inc_not_zero(r) sim_inc_not_zero(&(r)->refs, #r, __func__)
/* Who has a reference takes another: that gets in nobody's way. */
#define refcount_inc(r) ({ \
	sim_event(SIM_LOCAL, "atomic", #r, __func__, &(r)->refs); \
	sim_refcount_old(__atomic_fetch_add(&(r)->refs, 1, __ATOMIC_SEQ_CST), \
			 #r, __func__); \
})
#define refcount_dec_and_test(r) ({ \
	int _old = SIM_RMW(__atomic_fetch_sub, &(r)->refs, 1, #r); \
	sim_refcount_old(_old, #r, __func__); \
	_old == 1; \
})

#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define DECLARE_BITMAP(name, n)	unsigned long name[BITS_TO_LONGS(n)]
#define SIM_WORD(nr, map)	(&(map)[(nr) / BITS_PER_LONG])
#define SIM_MASK(nr)		BIT((nr) % BITS_PER_LONG)

/* Accessed bits: nothing in the mirror is decided by them, either. */
#define SIM_BIT(builtin, nr, map, mask) \
	builtin(SIM_WORD(nr, map), mask, __ATOMIC_SEQ_CST)
#define set_bit(nr, map) \
	((void)SIM_BIT(__atomic_fetch_or, nr, map, SIM_MASK(nr)))
#define clear_bit(nr, map) \
	((void)SIM_BIT(__atomic_fetch_and, nr, map, ~SIM_MASK(nr)))
#define test_bit(nr, map) \
	(!!(__atomic_load_n(SIM_WORD(nr, map), __ATOMIC_RELAXED) & SIM_MASK(nr)))
#define __set_bit(nr, map)	((void)(*SIM_WORD(nr, map) |= SIM_MASK(nr)))
#define __clear_bit(nr, map)	((void)(*SIM_WORD(nr, map) &= ~SIM_MASK(nr)))
#define cmpxchg(p, old, new) ({ \
	typeof(*(p)) _old = (old); \
	sim_point(SIM_WRITE, "cmpxchg", #p, __func__, p); \
	__atomic_compare_exchange_n(p, &_old, new, false, __ATOMIC_SEQ_CST, \
				    __ATOMIC_SEQ_CST); \
	sim_value((unsigned long)_old); \
	_old; \
})
#define xchg(p, v)		SIM_RMW(__atomic_exchange_n, p, v, #p)

static inline unsigned long find_next_bit(const unsigned long *map,
					  unsigned long size,
					  unsigned long from)
{
	while (from < size) {
		unsigned long word = __atomic_load_n(SIM_WORD(from, map),
						     __ATOMIC_RELAXED) >>
				     from % BITS_PER_LONG;

		if (word)
			return min(size, from + __builtin_ctzl(word));
		from = (from / BITS_PER_LONG + 1) * BITS_PER_LONG;
	}
	return size;
}

static inline unsigned long __ffs64(u64 word)
{
	return __builtin_ctzll(word);
}

#define __ffs(word)		((unsigned long)__builtin_ctzl(word))
#define find_first_bit(map, size) find_next_bit(map, size, 0)
#define hweight64(w)		((unsigned int)__builtin_popcountll(w))
#define hweight_long(w)		((unsigned long)__builtin_popcountl(w))
#define for_each_set_bit(bit, map, size) \
	for ((bit) = find_next_bit(map, size, 0); (bit) < (size); \
	     (bit) = find_next_bit(map, size, (bit) + 1))

#define for_each_set_bit_from(bit, map, size) \
	for ((bit) = find_next_bit(map, size, bit); (bit) < (size); \
	     (bit) = find_next_bit(map, size, (bit) + 1))

#endif /* SIM_BITS_H */
