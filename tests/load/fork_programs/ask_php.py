# SPDX-License-Identifier: BSD-3-Clause
# ask_php.py: requests pages from php-fpm over FastCGI, and prints a digest of each.
#
#   ask_php.py SOCKET SCRIPT PAGES
#
# Prints on standard error how many processes answered. Its status is 1 if a request got
# no answer.
import hashlib
import socket
import struct
import sys
import threading

CLIENTS = 4
BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7


def record(kind, content):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pairs(params):
    """Encodes parameters. A length up to 127 takes one byte, a longer one four."""
    encoded = b""
    for name, value in params.items():
        for text in (name, value):
            encoded += struct.pack("!B" if len(text) < 128 else "!I",
                                   len(text) | (0 if len(text) < 128 else 1 << 31))
        encoded += name.encode() + value.encode()
    return encoded


def read(connection, length):
    data = b""
    while len(data) < length:
        some = connection.recv(length - len(data))
        if not some:
            raise EOFError("the answer ends too early")
        data += some
    return data


def ask(path, script, number):
    body = b"posted %d " % number * (number * 50)
    params = {"SCRIPT_FILENAME": script, "REQUEST_METHOD": "POST",
              "QUERY_STRING": str(number), "CONTENT_TYPE": "application/octet-stream",
              "CONTENT_LENGTH": str(len(body))}
    request = record(BEGIN, struct.pack("!HB5x", 1, 0))
    request += record(PARAMS, pairs(params)) + record(PARAMS, b"")
    for at in range(0, len(body), 32768):
        request += record(STDIN, body[at:at + 32768])
    request += record(STDIN, b"")
    out = {STDOUT: b"", STDERR: b""}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(request)
        while True:
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB",
                                                           read(connection, 8))
            content = read(connection, length)
            read(connection, padding)
            if kind == END:
                break
            out[kind] += content
    headers, _, page = out[STDOUT].partition(b"\r\n\r\n")
    process = [line for line in headers.split(b"\r\n") if line.startswith(b"X-Process")]
    return (hashlib.md5(page + out[STDERR]).hexdigest(), len(page)), process[0]


def main():
    path, script, pages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers, processes, errors = {}, set(), []
    numbers = iter(range(pages))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                answers[number], process = ask(path, script, number)
            except (OSError, EOFError, LookupError) as error:
                answers[number] = (repr(error), 0)
                errors.append(error)
                continue
            processes.add(process)

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, answer in sorted(answers.items()):
        print(number, *answer)
    print(len(processes), file=sys.stderr)
    return bool(errors)


sys.exit(main())
