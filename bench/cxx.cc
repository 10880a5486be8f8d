// SPDX-License-Identifier: BSD-3-Clause
// cxx.cc: measures containers, strings and objects, which call operator new and delete.
// Usage: cxx [ROUNDS]. Prints the rounds, the seconds, and the peak of memory in KiB.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" unsigned long bench_peak_kib();

namespace {

std::uint64_t state = 88172645463325252U;

std::uint64_t
random_number()
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

struct shape {
	virtual ~shape() = default;
	virtual int corners() const = 0;
};

struct triangle : shape {
	int corners() const override { return 3; }
	double sides[3] = { 3, 4, 5 };
};

struct polygon : shape {
	explicit polygon(std::size_t count) : points(count) {}
	int corners() const override { return static_cast<int>(points.size()); }
	std::vector<std::pair<double, double>> points;
};

std::size_t
words()
{
	std::map<std::string, std::vector<int>> index;
	std::unordered_map<std::uint64_t, std::string> names;

	for (int i = 0; i < 2000; i++) {
		std::uint64_t number = random_number() % 700;

		index["a key long enough to be on the heap " +
		    std::to_string(number)].push_back(i);
		names[number] = std::string(20 + number % 40, 'x');
	}
	return index.size() + names.size();
}

std::size_t
shapes()
{
	std::list<std::unique_ptr<shape>> all;
	std::size_t sum = 0;

	for (int i = 0; i < 1000; i++) {
		if (random_number() % 2)
			all.push_back(std::make_unique<triangle>());
		else
			all.push_back(std::make_unique<polygon>(
			    random_number() % 16 + 3));
	}
	for (const auto &one : all)
		sum += static_cast<std::size_t>(one->corners());
	return sum;
}

} // namespace

int
main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1000;
	auto begin = std::chrono::steady_clock::now();
	std::size_t sum = 0;

	for (unsigned long i = 0; i < rounds; i++)
		sum += words() + shapes();
	std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
	std::printf("%lu %.6f %lu\n", rounds, took.count(), bench_peak_kib());
	// fflush here: at exit(3) memtier's heap, which has the buffer, no longer exists.
	return std::fflush(stdout) != 0 || sum == 0;
}
