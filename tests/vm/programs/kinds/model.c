// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the region must hold, and who may touch it now; see kinds.h */
#include "kinds.h"

#include <sys/mman.h>
#include <time.h>

struct shared *sh;

/* xorshift64*: fixed seeds, the same everywhere */
uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (random_next(state) >> 32) * n >> 32;
}

void random_fill(uint64_t *state, void *to, size_t len)
{
	char *p = to;
	uint64_t word;
	size_t n;

	for (; len; p += n, len -= n) {
		n = len < 8 ? len : 8;
		word = random_next(state);
		memcpy(p, &word, n);
	}
}

void nap(unsigned int us)
{
	const struct timespec t = { us / 1000000, us % 1000000 * 1000l };

	nanosleep(&t, NULL);
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

void model_make(void)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sh != MAP_FAILED);
}

/* Most are small, so that most pages belong to both sides; some are long. */
static uint32_t segment_len(uint64_t *random)
{
	uint32_t kind = random_below(random, 100);

	if (kind < 35)
		return 1 + random_below(random, 64);
	if (kind < 70)
		return 65 + random_below(random, 1500);
	if (kind < 92)
		return 1500 + random_below(random, 9000);
	return 9000 + random_below(random, 90000);
}

void model_layout(uint32_t size, uint32_t slot, uint64_t seed, bool lossy)
{
	uint64_t random = seed * 2 + 1;
	uint32_t off, i;

	sh->size = size;
	sh->slot = slot;
	sh->seed = seed;
	sh->nslots = size / slot;
	CHECK(sh->nslots <= SLOTS && size <= REGION_MAX);
	sh->lossy_from = lossy ? sh->nslots - sh->nslots / 4 : sh->nslots;
	for (i = 0, off = 0; off < size; i++) {
		struct segment *s = &sh->segments[i];

		CHECK(i < SEGMENTS);
		s->start = off;
		s->len = segment_len(&random);
		s->cpu = s->len < 9000 && random_below(&random, 100) < 45;
		s->busy = false;
		if (s->len > size - off)
			s->len = size - off;
		off += s->len;
	}
	sh->nsegments = i;
	memset(sh->mask, EXACT, size);
	memset(sh->mask + sh->lossy_from * slot, LOSSY, size - sh->lossy_from * slot);
	memset(sh->alt, 0, size);
	for (i = 0; i < sh->nslots; i++) {
		sh->locks[i] = 0;
		sh->wanted[i] = false;
	}
	for (i = 0; i < size / PAGE; i++)
		sh->written[i] = false;
	sh->messages = 0;
	sh->bytes = 0;
}

void model_compare(const char *who, const uint8_t *got, uint32_t off, uint32_t len)
{
	uint32_t i;

	if (!memcmp(got, sh->shadow + off, len))
		return;
	for (i = off; i < off + len; i++, got++) {
		if (*got == sh->shadow[i] || (sh->mask[i] != EXACT && *got == sh->alt[i]))
			continue;
		/* The lines around it say more. */
		fail("%s: byte %#x (address %#llx) of %#x..%#x, slot %u, is %02x and must be %02x%s",
		     who, i, (unsigned long long)sh->base + i, off, off + len, i / sh->slot, *got,
		     sh->shadow[i], sh->mask[i] ? " or what it was at first" : "");
	}
}

/* Something else was written than what may have been lost. */
void model_wrote(const uint8_t *from, uint32_t off, uint32_t len)
{
	uint32_t i;

	if (from != sh->shadow + off)
		memcpy(sh->shadow + off, from, len);
	for (i = off; i < off + len; i++)
		if (sh->mask[i] == UNSURE)
			sh->mask[i] = EXACT;
}

static bool slot_try(uint32_t slot)
{
	int n = sh->locks[slot];

	while (n >= 0 && !sh->wanted[slot])
		if (atomic_compare_exchange_weak(&sh->locks[slot], &n, n + 1))
			return true;
	return false;
}

bool slots_try(uint32_t off, uint32_t len)
{
	uint32_t first = off / sh->slot, last = (off + len - 1) / sh->slot, i;

	for (i = first; i <= last; i++) {
		if (slot_try(i))
			continue;
		while (i-- > first)
			sh->locks[i]--;
		return false;
	}
	return true;
}

void slots_put(uint32_t off, uint32_t len)
{
	uint32_t first = off / sh->slot, last = (off + len - 1) / sh->slot, i;

	for (i = first; i <= last; i++)
		sh->locks[i]--;
}

void slot_lock(uint32_t slot)
{
	int none = 0;

	sh->wanted[slot] = true;
	while (!atomic_compare_exchange_strong(&sh->locks[slot], &none, -1)) {
		none = 0;
		nap(50);
	}
}

void slot_unlock(uint32_t slot)
{
	sh->wanted[slot] = false;
	sh->locks[slot] = 0;
}
