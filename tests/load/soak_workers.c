/* SPDX-License-Identifier: BSD-3-Clause */
/* soak_workers.c: workers of soak, their threads and their locks. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "soak.h"

struct worker workers[NWORKERS + 1];
struct exchange exchange = { .lock = PTHREAD_MUTEX_INITIALIZER };
struct counts *counts;
int fork_setting;
size_t size_max;

void
count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* Mostly small sizes. */
static size_t
size_for(uint64_t random)
{
	unsigned kind = random % 1024;

	random >>= 10;
	if (kind < 600)
		return random % 257;
	if (kind < 900)
		return random % 4097;
	if (kind < 1000)
		return random % 65537;
	if (kind < 1022)
		return random % ((1 << 20) + 1);
	return random % (size_max + 1);
}

static void
exchange_block(struct shadow_block *slot, uint64_t random)
{
	struct shadow_block block = *slot, *other;

	pthread_mutex_lock(&exchange.lock);
	other = &exchange.slots[random % NSLOTS];
	*slot = *other;
	*other = block;
	pthread_mutex_unlock(&exchange.lock);
	shadow_is_whole(slot, "from another thread");
}

/* Now and then a worker allocates blocks until the pool is full, and frees them. */
static void
exhaust(struct worker *worker, uint64_t random)
{
	static const size_t sizes[] = { 32, 48, 300, 5000, 70000, 600000 };

	if (worker->is_filling) {
		worker->is_filling = !shadow_fill(&worker->chain, 500);
		if (!worker->is_filling)
			count(&counts->exhaustions);
	} else if (worker->chain.last != NULL) {
		shadow_drain(&worker->chain, 500);
	} else if (worker != MAIN_WORKER && random % 10000 == 0) {
		worker->chain.size = sizes[random / 10000 %
		    (sizeof(sizes) / sizeof(sizes[0]))];
		worker->is_filling = true;
	}
}

void
step(struct worker *worker)
{
	uint64_t random = shadow_random(&worker->random);
	uint64_t other = shadow_random(&worker->random);
	struct shadow_block *slot = &worker->slots[random % NSLOTS];

	switch (random / NSLOTS % 8) {
	case 0:
	case 1:
		shadow_resize(slot, size_for(other), random >> 16);
		break;
	case 2:
		exchange_block(slot, other);
		break;
	case 3:
		shadow_is_whole(slot, "later");
		break;
	default:
		shadow_free(slot, random >> 16);
		shadow_allocate(slot, size_for(other), random >> 24);
	}
	exhaust(worker, other >> 8);
	count(&counts->steps);
}

static void *
work(void *argument)
{
	struct worker *worker = argument;

	pthread_mutex_lock(&worker->lock);
	while (!__atomic_load_n(&worker->is_over, __ATOMIC_RELAXED)) {
		while (__atomic_load_n(&worker->is_wanted, __ATOMIC_RELAXED))
			pthread_cond_wait(&worker->is_released, &worker->lock);
		step(worker);
		if (worker->steps > 0 && --worker->steps == 0)
			break;
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

void
start_thread(struct worker *worker)
{
	int error;

	worker->is_over = false;
	error = pthread_create(&worker->thread, NULL, work, worker);
	worker->has_thread = error == 0;
	if (error == EAGAIN || error == ENOMEM)
		count(&counts->refused_threads);
	else if (error != 0)
		shadow_fault("pthread_create: %s", strerror(error));
	else
		count(&counts->threads);
}

void
end_thread(struct worker *worker)
{
	if (!worker->has_thread)
		return;
	__atomic_store_n(&worker->is_over, true, __ATOMIC_RELAXED);
	pthread_join(worker->thread, NULL);
	worker->has_thread = false;
}

void
take_locks(unsigned set)
{
	for (int i = 0; i < NWORKERS; i++) {
		if (!(set & 1U << i))
			continue;
		__atomic_store_n(&workers[i].is_wanted, true, __ATOMIC_RELAXED);
		pthread_mutex_lock(&workers[i].lock);
	}
	if (set & 1U << NWORKERS)
		pthread_mutex_lock(&exchange.lock);
}

void
release_locks(unsigned set)
{
	if (set & 1U << NWORKERS)
		pthread_mutex_unlock(&exchange.lock);
	for (int i = 0; i < NWORKERS; i++) {
		if (!(set & 1U << i))
			continue;
		__atomic_store_n(&workers[i].is_wanted, false, __ATOMIC_RELAXED);
		pthread_cond_signal(&workers[i].is_released);
		pthread_mutex_unlock(&workers[i].lock);
	}
}

void
init_worker(int number, uint64_t seed)
{
	pthread_mutex_init(&workers[number].lock, NULL);
	pthread_cond_init(&workers[number].is_released, NULL);
	workers[number].random = (seed ^ (uint64_t)number << 40) | 1;
}

void
check_all(const char *when)
{
	for (int i = 0; i <= NWORKERS; i++) {
		for (int slot = 0; slot < NSLOTS; slot++)
			shadow_is_whole(&workers[i].slots[slot], when);
		shadow_chain_is_whole(&workers[i].chain, when);
	}
	for (int slot = 0; slot < NSLOTS; slot++)
		shadow_is_whole(&exchange.slots[slot], when);
}

void
free_all(void)
{
	uint64_t random = MAIN_WORKER->random;

	for (int i = 0; i <= NWORKERS; i++) {
		for (int slot = 0; slot < NSLOTS; slot++)
			shadow_free(&workers[i].slots[slot], random >> slot % 32);
		shadow_drain(&workers[i].chain, SIZE_MAX);
		workers[i].is_filling = false;
	}
	for (int slot = 0; slot < NSLOTS; slot++)
		shadow_free(&exchange.slots[slot], random >> slot % 32);
}
