"""A review to test: a made-up run with samples, its server as a process, and a client over bare sockets.

Scripts that use it take the folders of the programs, "BUILD:BUILD/tests/cli".
"""
import csv
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

WRONG = 6  # of each of two classes are put among the other


class Review:
    """A run with generated images, in a scratch folder."""

    def __init__(self, folders, images=120, samples=40):
        os.environ["PATH"] = folders + ":" + os.environ["PATH"]
        self.folder = tempfile.mkdtemp()
        self.run = self.folder + "/RUN"
        self.log = self.run + "/reviews/rare.jsonl"
        self.samples = samples
        self.server = None
        data = self.folder + "/data"
        for command in (["make_images", data, str(images)],
                        ["evenkeel", "audit", data, "-o", self.run, "--encoder", "pixels", "--clusters", "4", "--quiet"],
                        ["make_samples", self.run, "rare", str(samples)]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def command(self):
        return ["evenkeel", "review", self.run, "--samples", "rare"]

    def start(self, *options):
        self.server = subprocess.Popen(
            [*self.command(), "--quiet", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = self.server.stdout.readline().strip()
        if not self.url:
            raise SystemExit("the server did not start: " + self.server.stderr.read())
        self.port = int(self.url.split(":")[2].split("/")[0])
        self.token = self.url.split("token=")[1]
        self.host = f"127.0.0.1:{self.port}"

    def stop(self):
        """End the server as Ctrl-C does; its exit code, and what it said."""
        self.server.send_signal(signal.SIGINT)
        _, said = self.server.communicate(timeout=60)
        return self.server.returncode, said

    def kill(self):
        self.server.kill()
        self.server.communicate()

    def close(self):
        if self.server is not None and self.server.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def image(self, sample):
        """The file of a generated image."""
        return f"{self.run}/samples/rare/images/{sample:06d}.png"

    def sha256(self, sample):
        with open(self.image(sample), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def lines(self):
        """The whole lines of the log."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, "rb") as f:
            return [json.loads(line) for line in f.read().split(b"\n")[:-1]]

    def summary(self):
        return json.loads(subprocess.run(
            ["evenkeel", "review", self.run, "--samples", "rare", "--summary", "--json", "--quiet"],
            check=True, stdout=subprocess.PIPE).stdout)

    def connect(self, timeout=30):
        connection = socket.socket()
        connection.settimeout(timeout)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def request(self, method, path, body=None):
        """The bytes of a good request."""
        text = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nCookie: evenkeel-{self.port}={self.token}\r\n"
        text += "Connection: close\r\n"
        data = b""
        if body is not None:
            data = json.dumps(body).encode()
            text += f"Origin: http://{self.host}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        return text.encode() + b"\r\n" + data

    def talk(self, data, timeout=30):
        """What comes back until the end of the connection."""
        with self.connect(timeout) as connection:
            connection.sendall(data)
            return hear(connection)

    def ask(self, method, path, body=None):
        """(status, body)"""
        answer = self.talk(self.request(method, path, body))
        return status(answer), answer.partition(b"\r\n\r\n")[2]


class Labels(Review):
    """The same run, its images to be labelled."""

    def __init__(self, folders):
        super().__init__(folders)
        self.log = self.run + "/labels/groups.jsonl"

    def command(self):
        return ["evenkeel", "label", self.run]


class DoubtedLabels(Review):
    """The review of labels of a data set some of which lie in another's folder."""

    def __init__(self, folders):
        super().__init__(folders, images=240, samples=1)
        data = self.folder + "/data"
        for kind, other in (("bar", "disc"), ("disc", "bar")):
            names = [n for n in sorted(os.listdir(f"{data}/{kind}")) if not n.startswith("x-")]
            for name in names[:WRONG]:
                os.rename(f"{data}/{kind}/{name}", f"{data}/{other}/x-{kind}-{name}")
        shutil.rmtree(self.run)
        self.log = self.run + "/label-reviews/wrong.jsonl"
        for command in (["audit", data, "-o", self.run, "--encoder", "pixels", "--clusters", "4"],
                        ["score", self.run, "--method", "label-errors", "--name", "wrong"]):
            subprocess.run(["evenkeel", *command, "--quiet"], check=True, stdout=subprocess.DEVNULL)

    def command(self):
        return ["evenkeel", "review", self.run, "--labels", "wrong"]

    def evenkeel(self, *words):
        return subprocess.run(["evenkeel", *words, "--quiet"], check=True, stdout=subprocess.PIPE, text=True).stdout

    def suspects(self):
        with open(self.run + "/scores/wrong.csv", newline="") as f:
            return list(csv.DictReader(f))


def hear(connection):
    data = b""
    try:
        while chunk := connection.recv(1 << 16):
            data += chunk
    except (ConnectionError, socket.timeout):
        pass
    return data


def status(answer):
    """The status of an answer; 0 where there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0
