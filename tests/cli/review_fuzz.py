#!/usr/bin/env python3
"""review_fuzz.py PROGRAM_FOLDERS SECONDS: bytes that no browser sends, to the server of `evenkeel review`.

Requests without the token, with a wrong Host or Origin, with `..` or an encoded slash, too large, half-sent, changed at
random, 1,000 at once, and silent ones before a good one: each is refused or served; the server never ends, never answers without the token, never
gives a file that is not an image of the run, never loses memory or descriptors. Seeded: EVENKEEL_FUZZ_SEED.
"""
import os
import random
import resource
import sys
import time

from review_server import Review, hear, status

CANARY = b"canary-5e0f-not-to-be-served"


def paths():
    up = ["..", "%2e%2e", "%2E.", "..%2f", "..%5c", "%252e%252e", "....//", "..;", "\xc0\xae\xc0\xae"]
    for dots in up:
        for depth in (1, 3, 8):
            for end in ("secret.txt", "images.jsonl", "etc/passwd", "run.json"):
                yield "/" + "/".join([dots] * depth) + "/" + end
                yield "/generated/" + "/".join([dots] * depth) + "/" + end
                yield "/real/0/" + "/".join([dots] * depth) + "/" + end
    yield from ("/secret.txt", "/RUN/secret.txt", "/generated/../../secret.txt", "/generated%2f0", "/generated/%30",
                "/generated/0%00.png", "/generated/00", "/generated/-1", "/generated/1e1", "/generated/0x1",
                "/generated/18446744073709551616", "/generated/999999999999999", "/real/999999999999999",
                "/generated/0/", "/generated//0", "//generated/0", "/./generated/0", "/generated/0?x", "/generated/0#", "/generated/0/" + "0" * 63, "/generated/0/" + "A" * 64, "/generated/0/" + "0" * 64 + "/x",
                "file:///etc/passwd", "http://127.0.0.1/etc/passwd", "/etc/passwd", "*", "", "/" * 300, "/" + "a" * 20000)


class Fuzz:
    def __init__(self, review, seed):
        self.review, self.random, self.sent, self.faults = review, random.Random(seed), 0, []

    def fault(self, what, data, answer):
        self.faults.append(f"{what}: sent {data[:200]!r}, got {answer[:200]!r}")

    def check(self, data, answer, wanted=None):
        """`wanted`: statuses that may come; 0 is a connection that was ended."""
        self.sent += 1
        if CANARY in answer or b"root:x:" in answer:
            self.fault("a file from outside", data, answer)
        if wanted is not None and status(answer) not in wanted:
            self.fault(f"not {wanted}", data, answer)
        # A right token may come in an odd way; without it nothing is served.
        if status(answer) == 200 and self.review.token.encode() not in data:
            self.fault("served without the token", data, answer)

    def refused(self, data, wanted):
        self.check(data, self.review.talk(data), wanted)

    def alive(self):
        if self.review.server.poll() is not None:
            self.faults.append("the server is gone: " + self.review.server.stderr.read()[-2000:])
            return False
        code, _ = self.review.ask("GET", "/sample/3")
        if code != 200:
            self.faults.append(f"the server answers a good request with {code}")
        return code == 200

    def known(self):
        """What is wrong in one known way."""
        r = self.review
        good = r.request("GET", "/state")
        for path in paths():
            self.refused(r.request("GET", path) if path.isascii() else
                         good.replace(b"/state", path.encode("latin-1")), (400, 404, 414, 431, 0))
        for path in ("/", "/state", "/generated/0", "/real/0", "/nothing"):
            bare = r.request("GET", path).replace(r.token.encode(), b"0" * 32)
            self.refused(bare, (403,))
            self.refused(r.request("GET", path).replace(b"Host: 127.0.0.1", b"Host: evil.example"), (403,))
            self.refused(r.request("GET", path).replace(b"Connection", b"Origin: http://evil.example\r\nConnection"), (403,))
        decision = {"reviewer": "Fuzz", "sample": 1, "sha256": r.sha256(1), "decision": "accept", "note": ""}
        good = r.request("POST", "/decide", decision)
        self.refused(good.replace(f"Origin: http://{r.host}".encode(), b"Origin: http://evil.example"), (403,))
        self.refused(good.replace(f"Origin: http://{r.host}\r\n".encode(), b""), (403,))
        self.refused(good.replace(b"application/json", b"text/plain"), (415,))
        self.refused(r.request("POST", "/decide", dict(decision, note="x" * 20000)), (413, 0))
        self.refused(r.request("POST", "/decide", dict(decision, note="x" * 2001)), (400,))
        for wrong in ({}, [], "x", None, 1, dict(decision, sample=-1), dict(decision, sample=1e9), dict(decision, sample=0.5),
                      dict(decision, sample="1"), dict(decision, decision="maybe"), dict(decision, reviewer=""),
                      dict(decision, sha256=""), dict(decision, sha256=1), dict(decision, sha256="x" * 64), dict(decision, sha256=[]),
                      dict(decision, sha256=r.sha256(1).upper()), dict(decision, reviewer="x" * 65), dict(decision, reviewer="a\nb"), dict(decision, note=[]),
                      {"a": {"a": {"a": [[[[]]]]}}}):
            if wrong is not None:
                self.refused(r.request("POST", "/decide", wrong), (400, 409))
        self.refused(r.request("POST", "/decide", dict(decision, sha256=r.sha256(2))), (409,))
        self.refused(r.request("GET", "/generated/1/" + r.sha256(2)), (409,))
        self.check(good, r.talk(r.request("GET", "/generated/1/" + r.sha256(1))), (200,))
        deep = b"[" * 15000
        self.refused(good.partition(b"Content-Length")[0] + b"Content-Length: 15000\r\n\r\n" + deep, (400,))
        self.refused(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n", (403, 413, 431, 0))
        self.refused(b"POST /decide HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", (403, 0))
        if r.lines():
            self.faults.append(f"a refused request was written: {r.lines()[0]}")

    def change(self, data):
        """Some random changes."""
        rng, data = self.random, bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            at = rng.randrange(len(data) + 1)
            kind = rng.randrange(7)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 100))))
            elif kind == 2:
                del data[at:at + rng.choice((1, 4, 100))]
            elif kind == 3:
                data[at:at] = rng.choice((b"\r\n", b"\r\n\r\n", b"\0", b"%2f", b"..", b"/../", b"?", b"Host: x\r\n", b"Cookie: a=b\r\n",
                                          b"Content-Length: 99\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"HTTP/9.9"))
            elif kind == 4:
                end = min(len(data), at + rng.randrange(200))
                data[at:at] = data[at:end]
            elif kind == 5:
                data = data[:at]
            else:
                data += bytes(rng.randrange(256) for _ in range(rng.choice((10, 1000, 30000))))
        return bytes(data)

    def changed(self, until):
        r = self.review
        bases = [r.request("GET", p) for p in ("/", "/state", "/sample/3", "/generated/5", "/real/7", "/agreement", "/review.js")]
        bases += [r.request("POST", "/decide", {"reviewer": "Fuzz", "sample": 2, "sha256": r.sha256(2), "decision": "unsure", "note": "é"}),
                  r.request("POST", "/undo", {"reviewer": "Fuzz"}), r.request("POST", "/reviewer", {"reviewer": "Fuzz"}),
                  f"GET /?token={r.token} HTTP/1.1\r\nHost: {r.host}\r\n\r\n".encode()]
        while time.monotonic() < until and len(self.faults) < 10:
            data = self.change(self.random.choice(bases))
            with r.connect(2) as connection:
                try:
                    for piece in range(0, len(data), 4096):
                        connection.sendall(data[piece:piece + 4096])
                    # What waits for more is not waited for.
                    connection.settimeout(0.02)
                except OSError:
                    pass
                self.check(data, hear(connection))
            if self.sent % 500 == 0 and not self.alive():
                return

    def many(self, count, waits):
        """`count` connections at once; `waits`: of three, one says nothing and one half its request."""
        r = self.review
        connections = [r.connect() for _ in range(count)]
        good = r.request("GET", "/generated/1")
        for i, connection in enumerate(connections):
            if not waits or i % 3 == 0:
                connection.sendall(good)
            elif i % 3 == 1:
                connection.sendall(good[:40])
        served = 0
        for i, connection in enumerate(connections):
            if not waits or i % 3 == 0:
                continue
            connection.close()
        for i, connection in enumerate(connections):
            if not waits or i % 3 == 0:
                answer = hear(connection)
                self.check(good, answer, (200,))
                served += status(answer) == 200
                connection.close()
        return served


    def silent(self, count):
        """`count` connections that say nothing stand before a good request."""
        r = self.review
        connections = [r.connect() for _ in range(count)]
        answer = r.talk(r.request("GET", "/sample/3"), 10)  # seconds that a person may wait
        if status(answer) != 200:
            self.faults.append(f"behind {count} silent connections a good request has no answer: {answer[:100]!r}")
        for connection in connections:
            connection.close()


def facts(pid):
    """(resident bytes, open descriptors)"""
    with open(f"/proc/{pid}/statm") as f:
        pages = int(f.read().split()[1])
    return pages * resource.getpagesize(), len(os.listdir(f"/proc/{pid}/fd"))


def settled(pid, descriptors):
    """The same once the last connections are closed: sooner than silent ones are, which have 20 seconds."""
    until = time.monotonic() + 10
    while facts(pid)[1] > descriptors + 2 and time.monotonic() < until:
        time.sleep(0.2)
    return facts(pid)


def main(folders, seconds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    at_once = min(1000, hard - 100)
    review = Review(folders)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))  # what a server is commonly given
        with open(review.run + "/secret.txt", "wb") as f:
            f.write(CANARY)
        os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")  # or freed memory looks lost
        review.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        seed = int(os.environ.get("EVENKEEL_FUZZ_SEED", "1"))
        fuzz = Fuzz(review, seed)
        fuzz.known()
        first = facts(review.server.pid)
        served = fuzz.many(at_once, False) + fuzz.many(at_once, True)
        fuzz.silent(min(1281, hard - 100))
        fuzz.changed(time.monotonic() + seconds)
        fuzz.alive()
        last = settled(review.server.pid, first[1])
        # A change that leaves a decision whole may be saved; the log has to be whole.
        review.lines()
        code, said = review.stop()
        if code != 0 or said:
            fuzz.faults.append(f"the server ended with {code}: {said[-2000:]}")
        if last[1] > first[1] + 2:
            fuzz.faults.append(f"{last[1]} open descriptors, {first[1]} before")
        if last[0] > first[0] + (64 << 20):
            fuzz.faults.append(f"{last[0]} bytes of memory, {first[0]} before")
        print("\n".join(fuzz.faults))
        print(f"seed {seed}: {fuzz.sent} requests, {served} of {at_once + (at_once + 2) // 3} at once served, "
              f"memory {first[0] >> 20} to {last[0] >> 20} MiB, {len(fuzz.faults)} faults")
        return 1 if fuzz.faults else 0
    finally:
        review.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
