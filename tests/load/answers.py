# SPDX-License-Identifier: BSD-3-Clause
# answers.py: a client for memcached or redis that checks every byte of the answers.
#
#   answers.py memcached|redis SOCKET SECONDS

import os
import random
import socket
import sys
import time

CLIENTS = 4
KEYS = 1500
# Bytes of the requests and answers of one batch: less than the buffers of a socket hold, so
# that neither side waits for the other. A larger request or answer is a batch of its own.
BATCH = 60000


class Memcached:
    """Each function returns a request and the only right answer to it."""

    def set(self, key, value):
        return b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED\r\n"

    def add(self, key, value, is_there):
        return (b"add %s 0 0 %d\r\n%s\r\n" % (key, len(value), value),
                b"NOT_STORED\r\n" if is_there else b"STORED\r\n")

    def append(self, key, old, more):
        return (b"append %s 0 0 %d\r\n%s\r\n" % (key, len(more), more),
                b"NOT_STORED\r\n" if old is None else b"STORED\r\n")

    def get(self, found):
        return (b"get %s\r\n" % b" ".join(key for key, _ in found),
                b"".join(b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value)
                         for key, value in found if value is not None) + b"END\r\n")

    def delete(self, key, is_there):
        return (b"delete %s\r\n" % key,
                b"DELETED\r\n" if is_there else b"NOT_FOUND\r\n")

    def count(self, key, number):
        if number == 1:
            return self.set(key, b"1")
        return b"incr %s 1\r\n" % key, b"%d\r\n" % number


class Redis:
    def ask(self, *words):
        return b"*%d\r\n" % len(words) + b"".join(map(self.bulk, words))

    def bulk(self, value):
        if value is None:
            return b"$-1\r\n"
        return b"$%d\r\n%s\r\n" % (len(value), value)

    def set(self, key, value):
        return self.ask(b"SET", key, value), b"+OK\r\n"

    def add(self, key, value, is_there):
        return self.ask(b"SETNX", key, value), b":%d\r\n" % (not is_there)

    # APPEND would make a key that does not exist, unlike memcached. EXISTS does not.
    def append(self, key, old, more):
        if old is None:
            return self.ask(b"EXISTS", key), b":0\r\n"
        return self.ask(b"APPEND", key, more), b":%d\r\n" % (len(old) + len(more))

    def get(self, found):
        return (self.ask(b"MGET", *(key for key, _ in found)),
                b"*%d\r\n" % len(found) + b"".join(self.bulk(v) for _, v in found))

    def delete(self, key, is_there):
        return self.ask(b"DEL", key), b":%d\r\n" % is_there

    def count(self, key, number):
        return self.ask(b"INCR", key), b":%d\r\n" % number


class Client:
    def __init__(self, server, path, number):
        self.server, self.path, self.number = server, path, number
        self.random = random.Random(number)
        self.model = {}
        self.counted = self.asked = 0
        self.socket = None

    def value(self, key):
        """A value of a random size. It repeats the key and the number of the request."""
        self.asked += 1
        mark = b"%s %d " % (key, self.asked)
        size = int(2 ** self.random.uniform(0, 11))
        if self.random.random() < 0.002:
            size = self.random.randrange(20000, 800000)
        return (mark * (size // len(mark) + 1))[:size]

    def key(self):
        return b"answers:%d:%d" % (self.number, self.random.randrange(KEYS))

    def one(self):
        """A request and the answer that it must get. The model has changed already."""
        kind = self.random.random()
        key = self.key()
        old = self.model.get(key)
        if kind < 0.3:
            self.model[key] = self.value(key)
            return self.server.set(key, self.model[key])
        if kind < 0.4:
            new = self.value(key)
            self.model.setdefault(key, new)
            return self.server.add(key, new, old is not None)
        if kind < 0.5:
            more = self.value(key)[:1000]
            if old is not None and len(old) > 900000:
                more = b""
            elif old is not None:
                self.model[key] = old + more
            return self.server.append(key, old, more)
        if kind < 0.6:
            return self.server.delete(key, self.model.pop(key, None) is not None)
        if kind < 0.65:
            self.counted += 1
            return self.server.count(b"answers:%d" % self.number, self.counted)
        keys = {self.key() for _ in range(self.random.choice((1, 1, 1, 5, 20)))}
        return self.server.get([(key, self.model.get(key)) for key in keys])

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(self.path)

    def exchange(self, asked, expected):
        """Sends a batch. The answers must be exactly these bytes."""
        self.socket.sendall(asked)
        got = bytearray()
        while len(got) < len(expected):
            some = self.socket.recv(1 << 20)
            if not some:
                break
            got += some
        if got != expected:
            at = len(os.path.commonprefix([bytes(got), expected]))
            sys.exit("client %d: wrong at byte %d of %d: %r instead of %r" % (
                self.number, at, len(expected), bytes(got[at:at + 80]),
                expected[at:at + 80]))

    def run(self, seconds):
        end = time.monotonic() + seconds
        requests = batches = 0
        while requests == 0 or time.monotonic() < end:
            if batches % 100 == 0:
                self.connect()
            asked, expected = [], []
            size = 0
            while size < BATCH:
                request, answer = self.one()
                if size and size + len(request) + len(answer) > BATCH:
                    # Too long for this batch: send the batch first.
                    self.exchange(b"".join(asked), b"".join(expected))
                    asked, expected = [], []
                asked.append(request)
                expected.append(answer)
                size += len(request) + len(answer)
                requests += 1
            self.exchange(b"".join(asked), b"".join(expected))
            batches += 1
        # In the end, get all that is stored.
        for key, value in self.model.items():
            self.exchange(*self.server.get([(key, value)]))
        return requests + len(self.model)


def main():
    server = {"memcached": Memcached, "redis": Redis}[sys.argv[1]]()
    children = []
    for number in range(CLIENTS):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            client = Client(server, sys.argv[2], number)
            os.write(write, b"%d" % client.run(float(sys.argv[3])))
            sys.exit(0)
        os.close(write)
        children.append((child, read))
    total = wrong = 0
    for child, read in children:
        total += int(os.read(read, 100) or b"0")
        wrong += os.waitpid(child, 0)[1] != 0
    print("%d answers; %d of %d clients got a wrong one" % (total, wrong, CLIENTS))
    return wrong != 0


sys.exit(main())
