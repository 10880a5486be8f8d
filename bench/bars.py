# SPDX-License-Identifier: BSD-3-Clause
"""bars: what the library has to reach, and whether it did in a run."""

OURS = "vmmalloc, tmpfs"
LARGE_PAGES = ("vmmalloc, huge tmpfs", "vmmalloc, hugetlbfs")
PROGRAMS = ("python3", "sqlite3", "gcc", "sort", "git", "redis")


class Bar:
    """A figure, and what it may be at most; None is a figure that there is not."""

    def __init__(self, what, value, limit):
        self.what = what
        self.value = value
        self.limit = limit

    def line(self):
        """As people read it."""
        if self.value is None:
            return "%-62s     -  of %.2f  not measured" % (self.what, self.limit)
        return "%-62s %6.3f of %.2f  %s" % (
            self.what, self.value, self.limit,
            "reached" if self.value <= self.limit else "MISSED")


def _instructions(results):
    for workload, limit in (("churn", 1.03), ("mixed", 0.90), ("c++", 1.00)):
        yield Bar("%s: instructions, of jemalloc's" % workload,
                  results.instruction_ratio(workload, OURS, "jemalloc"), limit)
    yield Bar("churn: instructions, of glibc's",
              results.instruction_ratio("churn", OURS, "glibc"), 1.00)


def _times(results):
    for workload in ("larson", "producers", "born"):
        yield Bar("%s: time, of jemalloc's" % workload,
                  results.ratio(workload, OURS, "jemalloc"), 1.00)
        yield Bar("%s: time, of glibc's" % workload,
                  results.ratio(workload, OURS, "glibc"), 1 / 1.2)
    yield Bar("large: time, of jemalloc's",
              results.ratio("large", OURS, "jemalloc"), 1 / 3)
    yield Bar("large: time, of glibc's",
              results.ratio("large", OURS, "glibc"), 1.00)
    for heap in LARGE_PAGES:
        yield Bar("access, %s: time, of glibc's" % heap,
                  results.ratio("access", heap, "glibc"), 1 / 1.3)


def _start(results):
    plain = results.median("start", "glibc")
    for kind in ("tmpfs", "ext4", "xfs"):
        ours = results.median("start", "vmmalloc, " + kind)
        yield Bar("start, %s: ms more than plain" % kind,
                  (ours - plain) * 1000 if ours and plain else None, 1.5)


def _peaks(results):
    for program in PROGRAMS:
        value = None
        if results.has(program, OURS) and results.has(program, "jemalloc"):
            value = (results.peak_mib(program, OURS) /
                     results.peak_mib(program, "jemalloc"))
        yield Bar("%s: peak of memory, of jemalloc's" % program, value, 1.10)


def _means(results):
    for other, limit in (("glibc", 1.00), ("jemalloc", 1.00),
                         ("memtier", 1.00), ("mimalloc", 1.03),
                         ("tcmalloc", 1.03)):
        yield Bar("geometric mean of times, of %s's" % other,
                  results.mean(OURS, other)[0], limit)


def print_bars(results, file):
    """All of them."""
    print("\nwhat is to be reached, at most", file=file)
    for group in (_instructions, _times, _start, _peaks, _means):
        for bar in group(results):
            print("  " + bar.line(), file=file)
