// SPDX-License-Identifier: BSD-3-Clause
// fibers.cc: fibers of Boost.Context, whose stacks are blocks of malloc, switch and
// fork(2). Parent and child go on switching. Prints TAP.
//	fibers THREADS FORKS
// The main thread forks FORKS times. The other threads fork now and then.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/context/fiber.hpp>
#include <sys/types.h>
#include <unistd.h>

extern "C" {
#include "../../support/blocks.h"
#include "../../support/heap_return.h"
#include "../../support/in_pool.h"
}

namespace context = boost::context;

static const int nfibers = 8;
static const int nsteps = 40;
static const int nnumbers = 1024;
static const int allocate_every = 8;
// A child forks, too. Its child does not.
static const int depth_max = 2;
static const std::size_t children_max = 3;
static const int other_forks_every = 8;
static const unsigned long returned_kb = 4096;
static const int return_limit_ms = 10000;

static std::atomic<bool> is_over;
// 0 in the first process, 1 in its children, 2 in theirs.
static int depth;

static std::uint64_t
next(std::uint64_t number)
{
	number ^= number << 13;
	number ^= number >> 7;
	number ^= number << 17;
	return number;
}

// Throws and catches, so that the unwinder walks this stack.
static std::uint64_t
thrown(std::uint64_t number)
{
	try {
		if (number % 3 == 0)
			throw std::to_string(number);
	} catch (const std::string &text) {
		return text.size();
	}
	return number;
}

// The work of a fiber. Its numbers lie on its stack, its words in the heap. Calls
// `pause` between two steps.
template <typename Pause>
static std::uint64_t
compute(std::uint64_t seed, Pause pause)
{
	std::uint64_t numbers[nnumbers];
	std::vector<std::string> words;
	std::uint64_t sum = 0;

	for (auto &number : numbers)
		number = seed = next(seed);
	for (int step = 0; step < nsteps; step++) {
		pause(step, numbers);
		for (int i = 0; i < nnumbers; i++)
			numbers[i] = numbers[i] * 31 +
			    numbers[(i * 7 + step) % nnumbers];
		words.emplace_back(numbers[step] % 300, char('a' + step % 26));
		numbers[step] += thrown(numbers[step]);
	}
	for (auto number : numbers)
		sum = sum * 33 + number;
	for (const auto &word : words) {
		for (char letter : word)
			sum = sum * 33 + std::uint64_t(letter);
	}
	return sum;
}

// The result of compute() for each seed, computed on an ordinary stack.
static std::uint64_t expected[nfibers];

static std::uint64_t
seed_of(int number)
{
	return 88172645463325252U + std::uint64_t(number);
}

// The state that the fibers of one thread share.
struct fibers {
	std::vector<pid_t> children;
	unsigned seed = 1;
	int nforks = 0;
	bool is_good = true;
	bool is_in_pool = true;
};

static void
reap(fibers &mine)
{
	for (pid_t pid : mine.children)
		mine.is_good &= child_succeeds(pid) != 0;
	mine.children.clear();
}

static void
fork_here(fibers &mine)
{
	pid_t pid = fork();

	if (pid == 0) {
		depth++;
		mine.children.clear();
		return;
	}
	mine.nforks++;
	if (pid < 0)
		std::perror("fork");
	mine.children.push_back(pid);
	if (mine.children.size() == children_max)
		reap(mine);
}

// Starts the fibers and switches between them until all have ended. The fiber with
// number `forks` forks in the middle of its work. Returns in the child, too. With
// `look`, each fiber checks that its stack lies in the pool. This is exact only before
// the first fork, while mappings do not change.
static void
run_round(fibers &mine, int forks, bool look = false)
{
	std::uint64_t results[nfibers] = {};
	std::vector<context::fiber> running;

	for (int number = 0; number < nfibers; number++)
		running.emplace_back([&, number](context::fiber &&other) {
			results[number] = compute(seed_of(number),
			    [&](int step, const void *on_stack) {
				    if (look && step == 0)
					    mine.is_in_pool &=
						is_in_pool(on_stack);
				    if (step % allocate_every == 0)
					    heap_allocate(&mine.seed);
				    if (number == forks && step == nsteps / 2)
					    fork_here(mine);
				    other = std::move(other).resume();
			    });
			return std::move(other);
		});
	for (int nrunning = nfibers; nrunning > 0;) {
		nrunning = 0;
		for (auto &fiber : running) {
			if (fiber)
				fiber = std::move(fiber).resume();
			nrunning += bool(fiber);
		}
	}
	for (int number = 0; number < nfibers; number++)
		mine.is_good &= results[number] == expected[number];
}

// A child runs one more round, forks in it if depth_max allows, and ends.
static void
end_if_child(fibers &mine, int depth_before)
{
	if (depth == depth_before)
		return;
	while (depth < depth_max) {
		depth_before = depth;
		run_round(mine, 1);
		if (depth == depth_before)
			break;
	}
	reap(mine);
	_exit(!mine.is_good);
}

// The rounds of a thread other than the main thread.
static void
run_beside(fibers &mine)
{
	for (int round = 0; !is_over; round++) {
		run_round(mine, round % other_forks_every == 0 ? 2 : -1);
		end_if_child(mine, 0);
	}
	reap(mine);
}

static int
run(int nthreads, int nforks)
{
	std::vector<fibers> all(std::size_t(nthreads) + 1);
	std::vector<std::thread> threads;
	bool is_good = true;
	int total = 0;

	for (int number = 0; number < nfibers; number++)
		expected[number] = compute(seed_of(number), [](int, const void *) {});
	run_round(all[std::size_t(nthreads)], -1, true);
	for (int i = 1; i < nthreads; i++)
		threads.emplace_back(run_beside, std::ref(all[std::size_t(i)]));
	for (int round = 0; round < nforks; round++) {
		run_round(all[0], round % nfibers);
		end_if_child(all[0], 0);
	}
	reap(all[0]);
	is_over = true;
	for (auto &thread : threads)
		thread.join();
	tap_result(heap_returns(returned_kb, return_limit_ms),
	    "the heap returns to its file");
	run_round(all[std::size_t(nthreads)], -1);
	for (const auto &one : all) {
		is_good &= one.is_good;
		total += one.nforks;
	}
	tap_result(is_good, "all results are right in the parent and in children");
	std::printf("# forks: %d; stacks of fibers in the pool: %s\n", total,
	    all[std::size_t(nthreads)].is_in_pool ? "yes" : "no");
	return tap_plan();
}

int
main(int argc, char **argv)
{
	int nthreads = argc == 3 ? std::atoi(argv[1]) : 0;
	int nforks = argc == 3 ? std::atoi(argv[2]) : 0;

	if (nthreads < 1 || nforks < 1) {
		std::fprintf(stderr, "usage: fibers THREADS FORKS\n");
		return 2;
	}
	return run(nthreads, nforks);
}
