# SPDX-License-Identifier: BSD-3-Clause
# pool.py: multiprocessing by fork(2), and os.fork beside threads that allocate. Prints
# the same results in each run.
import multiprocessing
import os
import threading
import zlib

ITEMS = 2000
PROCESSES = 4
WORDS = 20000
THREADS = 4
FORKS = 60

# Each process inherits many small objects.
words = {number: ["word %d" % number, number] for number in range(WORDS)}


def work(item):
    """Reads an inherited object, changes it, and makes new objects."""
    entry = words[item * 7 % WORDS]
    made = [entry[0] * (i % 5) + str(i * item) for i in range(40)]
    words[item] = [entry[0], made]
    return item, zlib.crc32("".join(made).encode())


def expected(item):
    text = "word %d" % (item * 7 % WORDS)
    made = [text * (i % 5) + str(i * item) for i in range(40)]
    return item, zlib.crc32("".join(made).encode())


def pool_map(context):
    with context.Pool(PROCESSES, maxtasksperchild=8) as pool:
        results = pool.map(work, range(ITEMS), chunksize=20)
        pool.close()
        pool.join()
    return results == [expected(item) for item in range(ITEMS)]


def consume(queue, results):
    """Answers each message with its number, and length and checksum of its text."""
    while True:
        message = queue.get()
        if message is None:
            break
        number, text = message
        results.put((number, len(text), zlib.crc32(text.encode())))


def shared_queue(context):
    queue, results = context.Queue(), context.Queue()
    workers = [context.Process(target=consume, args=(queue, results))
               for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    texts = [("text %d " % number) * (number % 300) for number in range(ITEMS)]
    for number, text in enumerate(texts):
        queue.put((number, text))
    for _ in workers:
        queue.put(None)
    got = sorted(results.get(timeout=60) for _ in range(ITEMS))
    for worker in workers:
        worker.join()
    return got == [(number, len(text), zlib.crc32(text.encode()))
                   for number, text in enumerate(texts)]


def allocate(number, is_over, sums):
    """One thread: makes and drops objects in small and large blocks."""
    kept = {}
    rounds = wrong = 0
    while not is_over.is_set():
        for i in range(200):
            kept[i] = [bytes([i % 256]) * (1 + (i * 37 + number * 1000) % 20000)]
        large = bytearray(1 << 20)
        large[rounds % len(large)] = 1
        wrong += any(block[0] != i % 256 or block[-1] != i % 256
                     for i, (block,) in kept.items()) or sum(large[::4096]) > 1
        rounds += 1
    sums[number] = wrong, rounds > 0


def forks_beside_threads():
    is_over = threading.Event()
    sums = {}
    threads = [threading.Thread(target=allocate, args=(number, is_over, sums))
               for number in range(THREADS)]
    for thread in threads:
        thread.start()
    good = 0
    for number in range(FORKS):
        right = expected(number)
        child = os.fork()
        if child == 0:
            os._exit(7 if work(number) == right else 1)
        # The parent changes its copy of the object that the child works with.
        words[number * 7 % WORDS] = ["parent's", number]
        good += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        words[number * 7 % WORDS] = ["word %d" % (number * 7 % WORDS), number]
    is_over.set()
    for thread in threads:
        thread.join()
    return good, sorted(sums.items())


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    print("Pool.map:", pool_map(fork))
    print("Queue:", shared_queue(fork))
    print("os.fork beside threads:", *forks_beside_threads())
    print("words are whole:", all(words[number][0] == "word %d" % number
                                  for number in range(WORDS)))
