# SPDX-License-Identifier: BSD-3-Clause
"""bars: limits for the library; prints for each whether a run is within it."""

OURS = "vmmalloc, tmpfs"
LARGE_PAGES = ("vmmalloc, huge tmpfs", "vmmalloc, hugetlbfs")
PROGRAMS = ("python3", "sqlite3", "gcc", "sort", "git", "redis")


class Bar:
    """A figure and its limit. A figure that was not measured is None."""

    def __init__(self, what, value, limit):
        self.what = what
        self.value = value
        self.limit = limit

    def line(self):
        """The line to print."""
        if self.value is None:
            return "%-62s     -  of %.2f  not measured" % (self.what, self.limit)
        return "%-62s %6.3f of %.2f  %s" % (
            self.what, self.value, self.limit,
            "reached" if self.value <= self.limit else "MISSED")


def _instructions(results):
    for workload, limit in (("churn", 1.03), ("mixed", 0.90), ("c++", 1.00)):
        yield Bar("%s: instructions, ratio to jemalloc" % workload,
                  results.instruction_ratio(workload, OURS, "jemalloc"), limit)
    yield Bar("churn: instructions, ratio to glibc",
              results.instruction_ratio("churn", OURS, "glibc"), 1.00)


def _times(results):
    for workload in ("larson", "producers", "born"):
        yield Bar("%s: time, ratio to jemalloc" % workload,
                  results.ratio(workload, OURS, "jemalloc"), 1.00)
        yield Bar("%s: time, ratio to glibc" % workload,
                  results.ratio(workload, OURS, "glibc"), 1 / 1.2)
    yield Bar("large: time, ratio to jemalloc",
              results.ratio("large", OURS, "jemalloc"), 1 / 3)
    yield Bar("large: time, ratio to glibc",
              results.ratio("large", OURS, "glibc"), 1.00)
    for heap in LARGE_PAGES:
        yield Bar("access, %s: time, ratio to glibc" % heap,
                  results.ratio("access", heap, "glibc"), 1 / 1.3)


def _start(results):
    plain = results.median("start", "glibc")
    for kind in ("tmpfs", "ext4", "xfs"):
        ours = results.median("start", "vmmalloc, " + kind)
        yield Bar("start, %s: ms more than glibc" % kind,
                  (ours - plain) * 1000 if ours and plain else None, 1.5)


def _peaks(results):
    for program in PROGRAMS:
        value = None
        if results.has(program, OURS) and results.has(program, "jemalloc"):
            value = (results.peak_mib(program, OURS) /
                     results.peak_mib(program, "jemalloc"))
        yield Bar("%s: peak of memory, ratio to jemalloc" % program, value, 1.10)


def _means(results):
    for other, limit in (("glibc", 1.00), ("jemalloc", 1.00),
                         ("memtier", 1.00), ("mimalloc", 1.03),
                         ("tcmalloc", 1.03)):
        yield Bar("geometric mean of times, ratio to %s" % other,
                  results.mean(OURS, other)[0], limit)


def print_bars(results, file):
    """Prints all limits."""
    print("\nlimits", file=file)
    for group in (_instructions, _times, _start, _peaks, _means):
        for bar in group(results):
            print("  " + bar.line(), file=file)
