# SPDX-License-Identifier: BSD-3-Clause
"""heaps: the allocators to compare, and the places for pools."""

import os
import shutil
import subprocess
import tempfile


def shared_library(name):
    """The file that the dynamic linker finds by this name, or None."""
    caches = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True,
                            text=True, check=False).stdout
    for line in caches.splitlines():
        if line.split() and line.split()[0] == name:
            return line.split("=> ")[-1]
    return None


class Heap:
    """The environment for programs on a heap, or the reason why it is missing."""

    def __init__(self, name, environment=None, missing=None, place=None):
        self.name = name
        self.environment = environment or {}
        self.missing = missing
        self.place = place

    def with_size(self, size):
        """The same heap with a pool of `size` bytes."""
        return Heap(self.name, {**self.environment,
                                "VMMALLOC_POOL_SIZE": str(size)},
                    place=self.place)

    @classmethod
    def preloaded(cls, name, library, **environment):
        """A heap of another shared library."""
        path = shared_library(library)
        if path is None:
            return cls(name, missing="needs " + library)
        return cls(name, {"LD_PRELOAD": path, **environment})


class Places:
    """File systems for pools, which are mounted here and removed at the end."""

    # Room for three processes at a time: hugetlbfs reserves all that is mapped.
    HUGE_POOL_MIB = 1280
    HUGE_MIB = 3 * HUGE_POOL_MIB

    def __init__(self, size_gib=6):
        self.size_gib = size_gib
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.work = tempfile.mkdtemp(prefix="vmmalloc-bench.", dir=base)
        self.mounts = []
        self.huge_pages_before = None

    def close(self):
        """Unmounts the file systems, and removes all files."""
        for mount in reversed(self.mounts):
            subprocess.run(["umount", mount], check=False)
        if self.huge_pages_before is not None:
            self._huge_pages(self.huge_pages_before)
        shutil.rmtree(self.work, ignore_errors=True)

    @staticmethod
    def _huge_pages(count):
        with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
            file.write("%d\n" % count)

    def _mount(self, name, *arguments):
        directory = os.path.join(self.work, name)
        os.mkdir(directory)
        done = subprocess.run(["mount", *arguments, directory],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.strip().splitlines()[-1])
        self.mounts.append(directory)
        return directory

    def _disk(self, kind):
        image = os.path.join(self.work, kind + ".image")
        with open(image, "wb") as file:
            file.truncate(self.size_gib << 30)
        subprocess.run(["mkfs." + kind, "-q", image], check=True,
                       capture_output=True)
        return self._mount(kind, "-o", "loop", image)

    def _hugetlbfs(self):
        with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
            self.huge_pages_before = int(file.read())
        pages = self.huge_pages_before + self.HUGE_MIB // 2
        self._huge_pages(pages)
        with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
            if int(file.read()) < pages:
                raise OSError("too few huge pages can be had")
        return self._mount("hugetlbfs", "-t", "hugetlbfs", "-o", "pagesize=2M",
                           "none")

    def make(self, kind):
        """A directory on a file system of this kind. Raises OSError with a reason."""
        if kind == "tmpfs":
            return self.work
        if os.getuid() != 0:
            raise OSError("needs root to mount it")
        try:
            if kind == "huge tmpfs":
                return self._mount("huge", "-t", "tmpfs", "-o",
                                   "huge=always,size=%dG" % self.size_gib,
                                   "none")
            if kind == "large tmpfs":
                return self._mount("large", "-t", "tmpfs", "-o",
                                   "size=%dG" % self.size_gib, "none")
            if kind == "hugetlbfs":
                return self._hugetlbfs()
            return self._disk(kind)
        except FileNotFoundError as error:
            raise OSError("no " + error.filename) from error
        except subprocess.CalledProcessError as error:
            raise OSError("mkfs failed") from error


def pool(library, kind, places, directory=None):
    """The library under test with its pool on a file system of this kind."""
    name = "vmmalloc, " + kind
    try:
        directory = directory or places.make(kind)
    except OSError as error:
        return Heap(name, missing=str(error))
    size = "%dM" % places.HUGE_POOL_MIB if kind == "hugetlbfs" else "2G"
    return Heap(name, {"LD_PRELOAD": library, "VMMALLOC_POOL_DIR": directory,
                       "VMMALLOC_POOL_SIZE": size}, place=directory)


def with_conf(heaps, conf):
    """The library with these settings of jemalloc, in the first of its places."""
    first = next(heap for heap in heaps if heap.place)
    return Heap("vmmalloc, " + conf,
                {**first.environment, "VMMALLOC_CONF": conf}, place=first.place)


def all_heaps(library, places, kinds, directories):
    """Every heap. Missing ones have a reason."""
    tiers = ("KIND:FS_DAX,PATH:%s,PMEM_SIZE_LIMIT:4G,RATIO:1;POLICY:STATIC_RATIO"
             % places.work)
    heaps = [
        Heap("glibc"),
        Heap.preloaded("jemalloc", "libjemalloc.so.2"),
        Heap.preloaded("mimalloc", "libmimalloc.so.2"),
        Heap.preloaded("tcmalloc", "libtcmalloc_minimal.so.4"),
        Heap.preloaded("memtier", "libmemtier.so.0", MEMKIND_MEM_TIERS=tiers),
    ]
    heaps += [pool(library, kind, places) for kind in kinds]
    heaps += [pool(library, directory, places, directory)
              for directory in directories]
    return heaps
