# SPDX-License-Identifier: BSD-3-Clause
"""report: a table, JSON and charts from samples."""

import json
import math
import os
import platform
import shutil
import statistics
import subprocess


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


class Results:
    """samples[workload][heap] is a list of (seconds, KiB), one for each round, or
    the reason of a failure. instructions[workload][heap] is a number."""

    def __init__(self):
        self.samples = {}
        self.instructions = {}
        self.heaps = []
        self.missing = {}
        self.machine = {}
        self.outside_mean = set()

    def add(self, workload, heap, sample):
        """Adds the sample of a round. After a failure, samples are ignored."""
        row = self.samples.setdefault(workload, {})
        if isinstance(sample, str) or isinstance(row.get(heap), str):
            row[heap] = sample if isinstance(sample, str) else row[heap]
        else:
            row.setdefault(heap, []).append(sample)

    def has(self, workload, heap):
        """Whether there are samples."""
        return isinstance(self.samples.get(workload, {}).get(heap), list)

    def median(self, workload, heap):
        """The median in seconds, or None after a failure."""
        if not self.has(workload, heap):
            return None
        return statistics.median(s for s, _ in self.samples[workload][heap])

    def spread(self, workload, heap):
        """Half of the distance between the quartiles, divided by the median."""
        low, middle, high = quartiles(
            [s for s, _ in self.samples[workload][heap]])
        return (high - low) / 2 / middle if middle else 0

    def peak_mib(self, workload, heap):
        """The median of the peaks of memory."""
        return statistics.median(
            kib for _, kib in self.samples[workload][heap]) / 1024

    def ratio(self, workload, heap, base):
        """The median of the ratios within each round, which share disturbances."""
        if not (self.has(workload, heap) and self.has(workload, base)):
            return None
        pairs = zip(self.samples[workload][heap], self.samples[workload][base])
        return statistics.median(a / b for (a, _), (b, _) in pairs)

    def instruction_ratio(self, workload, heap, base):
        """The ratio of instructions for an operation."""
        row = self.instructions.get(workload, {})
        if heap not in row or base not in row:
            return None
        return row[heap] / row[base]

    def mean(self, heap, base):
        """Geometric mean of the ratios over the workloads that both heaps can run,
        and their number."""
        ratios = [self.ratio(workload, heap, base) for workload in self.samples
                  if workload not in self.outside_mean]
        logs = [math.log(ratio) for ratio in ratios if ratio]
        return math.exp(sum(logs) / len(logs)) if logs else None, len(logs)


def describe_machine(heaps):
    """The machine on which the figures were measured."""
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    system = ""
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    system = line.split("=", 1)[1].strip().strip('"')
    libraries = {
        heap.name: os.path.basename(
            os.path.realpath(heap.environment["LD_PRELOAD"]))
        for heap in heaps if "LD_PRELOAD" in heap.environment}
    return {"processor": model, "cores": os.cpu_count(),
            "memory_gib": round(memory_kib / 1048576), "system": system,
            "kernel": platform.release().split("-")[0],
            "libc": " ".join(platform.libc_ver()), "libraries": libraries}


def _number(value, form="%.2f"):
    return form % value if value is not None else "-"


def print_machine(machine, missing, file):
    """Prints the machine, and what was not measured."""
    print("%s, %d cores, %d GiB, %s, Linux %s, %s" % (
        machine["processor"], machine["cores"], machine["memory_gib"],
        machine["system"], machine["kernel"], machine["libc"]), file=file)
    for heap, library in machine["libraries"].items():
        if not heap.startswith("vmmalloc"):
            print("%s: %s" % (heap, library), file=file)
    for heap, reason in missing.items():
        print("%s: skipped, %s" % (heap, reason), file=file)


def print_table(results, file):
    """Prints every workload on every heap."""
    print_machine(results.machine, results.missing, file)
    for workload, row in results.samples.items():
        print("\n%-26s %10s %7s %8s %9s %9s %7s" % (
            workload, "ms", "spread", "of glibc", "jemalloc", "peak MiB",
            "instr."), file=file)
        for heap in results.heaps:
            if heap not in row:
                continue
            if isinstance(row[heap], str):
                print("  %-24s failed: %s" % (heap, row[heap]), file=file)
                continue
            counted = results.instructions.get(workload, {}).get(heap)
            print("  %-24s %10.2f %6.1f%% %8s %9s %9.1f %7s" % (
                heap, results.median(workload, heap) * 1000,
                results.spread(workload, heap) * 100,
                _number(results.ratio(workload, heap, "glibc")),
                _number(results.ratio(workload, heap, "jemalloc")),
                results.peak_mib(workload, heap),
                _number(counted, "%.0f")), file=file)
    print("\ngeometric mean of the times, ratio to glibc", file=file)
    for heap in results.heaps:
        mean, count = results.mean(heap, "glibc")
        if mean is not None:
            print("  %-24s %.3f of %d workloads" % (heap, mean, count),
                  file=file)


def write_json(results, path):
    """Writes all results with each sample."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": results.machine, "missing": results.missing,
                   "samples": results.samples,
                   "instructions": results.instructions}, file, indent=1)
        file.write("\n")


CHART = """set datafile missing "-"
set style data histograms
set style histogram clustered gap 1
set style fill solid border rgb "white"
set grid y
set yrange [0:2]
set ylabel "time, ratio to glibc (less is better)"
set xtics rotate by -35
set key above
set title "%(title)s" font ",10"
set terminal %(terminal)s
set output "%(output)s"
colours = "%(colours)s"
plot for [i=2:%(last)d] "%(data)s" using i:xtic(1) title columnheader(i) \
    linecolor rgb word(colours, i - 1)
"""
# The library's pools are in shades of blue and green. The last colour repeats.
OTHERS = ["#bbbbbb", "#999999", "#777777", "#e0b070"]
OURS = ["#08306b", "#2171b5", "#6baed6", "#006d2c", "#74c476"]


def _colours(heaps):
    others, ours = list(OTHERS), list(OURS)
    return " ".join((ours or [OURS[-1]]).pop(0) if heap.startswith("vmmalloc")
                    else (others or ["#444444"]).pop(0) for heap in heaps)


def draw(results, directory):
    """Draws chart.svg and chart.png with gnuplot. False without gnuplot."""
    if shutil.which("gnuplot") is None:
        return False
    data = os.path.join(directory, "chart.dat")
    heaps = [heap for heap in results.heaps if heap != "glibc"]
    with open(data, "w", encoding="utf-8") as file:
        file.write("workload " + " ".join('"%s"' % heap for heap in heaps) + "\n")
        for workload in results.samples:
            if workload in results.outside_mean:
                continue
            ratios = [results.ratio(workload, heap, "glibc") for heap in heaps]
            file.write('"%s" %s\n' % (workload, " ".join(
                _number(ratio, "%.3f") for ratio in ratios)))
    machine = results.machine
    title = "%s, %d cores, Linux %s, %s; bars beyond 2 are cut" % (
        machine["processor"], machine["cores"], machine["kernel"],
        machine["libc"])
    for terminal, name in (("svg size 1200,560 font 'sans,11'", "chart.svg"),
                           ("pngcairo size 1200,560 font 'sans,11'",
                            "chart.png")):
        script = CHART % {"title": title, "terminal": terminal, "data": data,
                          "output": os.path.join(directory, name),
                          "last": len(heaps) + 1, "colours": _colours(heaps)}
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True
