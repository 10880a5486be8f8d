# SPDX-License-Identifier: BSD-3-Clause
"""scaling: curves of the time for an operation, by the size of the pool, and by the
numbers of live blocks, threads and free ranges."""

import os
import shutil
import statistics
import subprocess

import workloads


class Curve:
    """Nanoseconds for an operation, at each point, on each heap."""

    def __init__(self, name, points, command, heaps=None, label=None):
        self.name = name
        # A name for a curve that runs on no heap.
        self.label = label
        self.points = points
        # command(point) returns words; heaps(heap, point) returns a heap, or None.
        self.command = command
        self.heap_at = heaps or (lambda heap, point: heap)

    def measure(self, heap, point):
        """Measures once. None if the curve does not have this heap."""
        heap = self.heap_at(heap, point)
        if heap is None:
            return None
        operations, seconds, _ = workloads.run(
            self.command(point), heap.environment).split()
        return float(seconds) / float(operations) * 1e9


def human(number):
    """A short form of a count or a size."""
    for suffix, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if number >= factor and number % factor == 0:
            return "%d%s" % (number // factor, suffix)
    return str(number)


def curves(build, start_rounds):
    """All curves."""
    def program(name, *words):
        return [os.path.join(build, "bench", name), *map(str, words)]

    def resized(heap, size):
        return heap.with_size(size) if heap.place else None

    def resized_or_glibc(heap, size):
        return heap if heap.name == "glibc" else resized(heap, size)

    def on_tmpfs(heap, _):
        if heap.place and "tmpfs" not in heap.name:
            return None
        return heap.with_size(6 << 30) if heap.place else heap

    def on_none(heap, _):
        return heap if heap.name == "glibc" else None

    sizes = [14 << 20, 64 << 20, 256 << 20, 1 << 30, 4 << 30, 16 << 30, 64 << 30]
    return [
        Curve("churn, by pool size", sizes,
              lambda _: program("bench", "-n", 2000000, "churn"), resized),
        Curve("start of /bin/true, by pool size", sizes,
              lambda _: program("timed", start_rounds, "/bin/true"),
              resized_or_glibc),
        Curve("churn, by live blocks", [10 ** n for n in range(3, 8)],
              lambda live: program("bench", "-n", 2000000, "-l", live, "churn"),
              on_tmpfs),
        Curve("blocks of 16 to 28 KiB, by live blocks",
              [10 ** 3, 10 ** 4, 10 ** 5, 2 * 10 ** 5],
              lambda live: program("bench", "-n", 500000, "-l", live, "pages"),
              on_tmpfs),
        Curve("larson, by threads", [1 << n for n in range(7)],
              lambda threads: program("bench", "-n", 8000000, "-t", threads,
                                      "larson"), on_tmpfs),
        Curve("the pool's page ranges, by free ranges",
              [10 ** n for n in range(1, 7)],
              lambda count: program("ranges", 6000000, count), on_none,
              label="lib/pool/ranges.c"),
    ]


def measure(build, heaps, rounds, say):
    """Returns {curve: {heap: {point: nanoseconds}}}, medians of the rounds."""
    results = {}
    for curve in curves(build, 50):
        samples = {}
        for _ in range(rounds):
            for point in curve.points:
                for heap in heaps:
                    try:
                        value = curve.measure(heap, point)
                    except workloads.Failed as failed:
                        say("%s, %s, %s: %s" % (curve.name, heap.name,
                                                human(point), failed))
                        value = None
                    if value is not None:
                        samples.setdefault(
                            curve.label or heap.name, {}).setdefault(
                                point, []).append(value)
        results[curve.name] = {
            heap: {point: statistics.median(values)
                   for point, values in row.items()}
            for heap, row in samples.items()}
        say(curve.name)
    return results


def print_curves(results, file):
    """Prints a row for each point, a column for each heap."""
    for name, rows in results.items():
        heaps = list(rows)
        points = sorted({point for row in rows.values() for point in row})
        print("\n%s, ns" % name, file=file)
        print("  %8s" % "" + "".join(" %18s" % heap for heap in heaps),
              file=file)
        for point in points:
            print("  %8s" % human(point) + "".join(
                " %18.1f" % rows[heap][point] if point in rows[heap] else
                " %18s" % "-" for heap in heaps), file=file)


CHART = """set datafile missing "-"
set logscale xy
set grid
set key outside top center horizontal
set terminal %(terminal)s
set output "%(output)s"
set multiplot layout 2,3
set ylabel "ns"
%(plots)s
unset multiplot
"""


def draw(results, directory):
    """Draws scaling.svg and scaling.png with gnuplot. False without gnuplot."""
    if shutil.which("gnuplot") is None:
        return False
    plots = []
    for number, (name, rows) in enumerate(results.items()):
        data = os.path.join(directory, "scaling%d.dat" % number)
        points = sorted({point for row in rows.values() for point in row})
        with open(data, "w", encoding="utf-8") as file:
            for point in points:
                file.write("%d %s\n" % (point, " ".join(
                    "%.1f" % row[point] if point in row else "-"
                    for row in rows.values())))
        plots.append('set title "%s"\nplot %s' % (name, ", ".join(
            '"%s" using 1:%d with linespoints title "%s"' % (data, i + 2, heap)
            for i, heap in enumerate(rows))))
    for terminal, name in (("svg size 1300,760 font 'sans,10'", "scaling.svg"),
                           ("pngcairo size 1300,760 font 'sans,10'",
                            "scaling.png")):
        script = CHART % {"terminal": terminal, "plots": "\n".join(plots),
                          "output": os.path.join(directory, name)}
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True
