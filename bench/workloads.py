# SPDX-License-Identifier: BSD-3-Clause
"""workloads: the programs that run on each heap, and how a run is measured."""

import json
import os
import shutil
import signal
import subprocess

TIMEOUT_SECONDS = 300


class Failed(Exception):
    """A run that failed, with the reason in a few words."""


class Missing(Exception):
    """Something that a workload needs is missing on this machine."""


def _reason(status):
    if status == 3:
        return "no fork: parent and child had the same heap"
    if status == -signal.SIGKILL:
        return "no end in %d seconds" % TIMEOUT_SECONDS
    if status < 0 or status > 128:
        return "signal %d" % (-status if status < 0 else status - 128)
    return "status %d" % status


def run(command, environment, directory=None):
    """Runs a command, and returns its output."""
    with subprocess.Popen(command, env={**os.environ, **environment},
                          cwd=directory, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          start_new_session=True) as process:
        # timeout(1) would run on the heap, too, and fork.
        try:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = b""
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise Failed(_reason(process.returncode))
    return output


def timed(command, environment, directory=None):
    """Returns the seconds and the peak in KiB that the command prints after a number."""
    words = run(command, environment, directory).split()
    if len(words) != 3:
        raise Failed("printed nothing")
    return float(words[1]), int(words[2])


def settings(environment):
    """The environment as arguments of bench/timed."""
    return ["%s=%s" % item for item in environment.items()]


class Workload:
    """A workload. Each run gives seconds and a peak in KiB."""

    # Whether it counts in the mean of all workloads.
    is_in_mean = True

    def __init__(self, name, what):
        self.name = name
        self.what = what

    def prepare(self, directory):
        """Called once before all runs. Raises Missing if it cannot run here."""

    def measure(self, heap):
        """Runs on this heap, and returns seconds and KiB."""
        raise NotImplementedError


class Own(Workload):
    """A program of bench/, which measures itself."""

    def __init__(self, name, what, command, counted=None):
        super().__init__(name, what)
        self.command = command
        # (N, command, command): the second command does N operations more.
        self.counted = counted

    def measure(self, heap):
        return timed(self.command, heap.environment)


class Start(Workload):
    """Start and end of a process that does nothing."""

    def __init__(self, program, rounds):
        super().__init__("start", "/bin/true starts and ends")
        self.command = [program, str(rounds)]

    def measure(self, heap):
        return timed([*self.command, *settings(heap.environment), "/bin/true"],
                     {})


class Fork(Workload):
    """fork(2) with a heap of 200 MiB. Only the library uses VMMALLOC_FORK."""

    def __init__(self, program, variant):
        super().__init__("fork %d" % variant,
                         "fork with 200 MiB, VMMALLOC_FORK=%d" % variant)
        self.command = [program, "200", "5"]
        self.variant = variant
        # Other heaps fork as with VMMALLOC_FORK=1. With the other values, the library
        # copies the heap or shares it, so these do not count in the mean.
        self.is_in_mean = variant == 1

    def measure(self, heap):
        environment = {**heap.environment, "VMMALLOC_FORK": str(self.variant)}
        words = run(self.command, environment).split()
        if len(words) != 2:
            raise Failed("printed nothing")
        return int(words[0]) / 1e6, 0


class Program(Workload):
    """A real program, from its start to its end."""

    def __init__(self, name, what, timer, command, files=None):
        super().__init__(name, what)
        self.timer = timer
        self.command = command
        self.files = files
        self.directory = None

    def prepare(self, directory):
        if shutil.which(self.command[0]) is None:
            raise Missing("needs %s" % self.command[0])
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory)
        if self.files is not None:
            self.files(self.directory)

    def measure(self, heap):
        return timed([self.timer, "1", *settings(heap.environment),
                      *self.command], {}, self.directory)


class Redis(Workload):
    """redis-server on the heap, with redis-benchmark on the ordinary heap."""

    def __init__(self, timer, requests):
        super().__init__("redis", "redis-server: set, get, lpush, hset")
        self.timer = timer
        self.requests = requests
        self.directory = None
        self.server = None

    def prepare(self, directory):
        if shutil.which("redis-benchmark") is None:
            raise Missing("needs redis-benchmark")
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory)
        self.server = shutil.which("redis-server")
        if self.server is None:
            # Debian's redis-tools has the server under another name.
            check = shutil.which("redis-check-rdb")
            if check is None:
                raise Missing("needs redis-server")
            self.server = os.path.join(self.directory, "redis-server")
            os.symlink(check, self.server)

    @staticmethod
    def _peak(pid):
        with open("/proc/%d/status" % pid, encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status
                       if line.startswith(("VmHWM:", "HugetlbPages:")))

    def measure(self, heap):
        socket = os.path.join(self.directory, "socket")
        command = [self.server, "--port", "0", "--unixsocket", socket,
                   "--save", "", "--dir", self.directory]
        with subprocess.Popen(command, env={**os.environ, **heap.environment},
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as server:
            try:
                while subprocess.run(["redis-cli", "-s", socket, "ping"],
                                     capture_output=True,
                                     check=False).returncode != 0:
                    if server.poll() is not None:
                        raise Failed(_reason(server.returncode))
                seconds, _ = timed(
                    [self.timer, "1", "redis-benchmark", "-s", socket, "-q", "-n",
                     str(self.requests), "-r", "100000", "-d", "200", "-t",
                     "set,get,lpush,hset"], {})
                return seconds, self._peak(server.pid)
            finally:
                server.kill()


def _lines(directory):
    with open(os.path.join(directory, "lines"), "w", encoding="ascii") as file:
        for i in range(1000000):
            file.write("%d %d\n" % (i * 7919 % 1000003, i))


def _objects(directory):
    objects = [{"id": i, "name": "item %d" % (i * 7919), "price": i / 7,
                "tags": ["t%d" % (i % 13), "x" * (i % 60)],
                "in": {"a": i, "b": [i, i + 1]}} for i in range(40000)]
    with open(os.path.join(directory, "objects"), "w", encoding="ascii") as file:
        json.dump(objects, file)


def _repository(directory):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=bench", "-c",
                        "user.email=bench@localhost", *arguments], check=True,
                       cwd=directory, capture_output=True)

    git("init", "-q")
    for commit in range(20):
        for number in range(commit, 1000, 7):
            name = os.path.join(directory, "file%d" % number)
            with open(name, "a", encoding="ascii") as file:
                file.writelines("%d %d %d\n" % (commit, number, line)
                                for line in range(60))
        git("add", "-A")
        git("commit", "-q", "-m", "commit %d" % commit)


SQL = """create table t(a integer, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 200000)
insert into t select x * 7919 % 200003, hex(x) from c;
create index i on t(b);
select count(*), max(b) from t where b like '3%';
select sum(n) from (select substr(b, 1, 3) s, count(*) n from t group by s);"""

PYTHON = """import json, re
objects = json.load(open("objects"))
words = re.findall(r"[a-z]+", json.dumps(objects))
index = {}
for o in objects:
    index.setdefault(o["name"][:6], []).append(dict(o, extra=str(o["id"]) * 3))
print(len(words), len(index), len(json.dumps(index, indent=1)))"""


def every(build, source, is_quick):
    """All workloads. `build` and `source` are top directories."""
    def own(name, what, *options, operations=None):
        program = os.path.join(build, "bench", "bench")
        more = ["-n", str(operations // 20)] if is_quick and operations else []
        counted = None
        if operations:
            count = operations // 50
            counted = (count, [program, "-n", str(count), name],
                       [program, "-n", str(2 * count), name])
        return Own(name, what, [program, *options, *more, name],
                   counted=counted)

    def program(name, what, command, files=None):
        return Program(name, what, timer, command, files)

    cxx = os.path.join(build, "bench", "cxx")
    timer = os.path.join(build, "bench", "timed")
    forks = os.path.join(build, "bench", "fork")
    compiled = os.path.join(source, "lib", "pool", "pool.c")
    includes = ["-I" + os.path.join(source, "lib"), "-I" + build]
    small = [
        own("churn", "malloc and free of small blocks", operations=10000000),
        own("mixed", "half of it calloc, realloc, alignments",
            operations=5000000),
        own("trace", "a real program's sizes and lives", operations=4000000),
        own("aligned", "posix_memalign, 16 to 4096", operations=2000000),
        own("grow", "realloc to 1.5 times the size, to 1 MiB", operations=100000),
        Own("c++", "containers, strings, objects",
            [cxx, "50" if is_quick else "700"],
            counted=(10, [cxx, "10"], [cxx, "20"])),
        own("large", "1 to 64 MiB, touched and freed"),
        own("access", "reads all over 1 GiB"),
        own("larson", "threads leave blocks to others"),
        own("producers", "one allocates, another frees"),
        own("born", "threads begin and end"),
        Start(timer, 20 if is_quick else 200),
    ]
    programs = [Fork(forks, variant) for variant in range(4)] + [
        program("python3", "JSON, regular expressions, dictionaries",
                ["python3", "-c", PYTHON], _objects),
        program("sqlite3", "a table of 200,000 rows in memory",
                ["sqlite3", ":memory:", SQL]),
        program("gcc", "compiles lib/pool/pool.c",
                ["gcc", "-std=gnu11", "-O2", *includes, "-c", compiled, "-o",
                 "pool.o"]),
        program("sort", "a million lines",
                ["sort", "-S", "200M", "-k2,2", "lines"], _lines),
        program("git", "repacks a repository",
                ["git", "repack", "-a", "-d", "-f", "-q"], _repository),
        Redis(timer, 2000 if is_quick else 100000),
    ]
    return small + ([programs[1], programs[4]] if is_quick else programs)
