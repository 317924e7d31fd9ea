"""A mesh of real processes on this machine for end-to-end tests: control plane, sidecars, applications, traffic.

Nothing here sleeps to wait for something: waits are on conditions, with a deadline. Ports are free ones.
Each replica has a loopback address of its own, so that all replicas of a service use the same port.
"""
import contextlib
import http.client
import http.server
import json
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("KUMA_BIN_DIR") or ROOT / "build" / "bin")


class Failed(Exception):
    """A step of a test did not hold."""


def envoy_binary():
    if os.environ.get("KUMA_ENVOY"):
        return os.environ["KUMA_ENVOY"]
    out = subprocess.run([ROOT / "third_party" / "fetch", "--print"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in out.stdout.splitlines())["envoy"]


_given = set()


def free_port(host="127.0.0.1"):
    """A port that nobody has, below the ones that the kernel gives to clients, and never the same one twice."""
    for _ in range(200):
        port = random.randrange(16000, 32768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            if port not in _given:
                probe.bind((host, port))
                _given.add(port)
                return port
    raise Failed(f"{host}: no port can be bound")


def wait_for(what, condition, seconds=30.0):
    """Polls `condition` until it is true; returns its value. Failed names what never came."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            value = condition()
            if value:
                return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


class Process:
    """A child in a process group of its own, its output in a file."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                                          start_new_session=True)

    def alive(self):
        return self.child.poll() is None

    def terminate(self, seconds=60):
        if self.alive():
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not end within {seconds} s of SIGTERM; see {self.log}")

    def kill(self):
        """SIGKILL to it and to all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def tail(self, lines=15):
        return "\n".join(Path(self.log).read_text(errors="replace").splitlines()[-lines:])


class ControlPlane:
    def __init__(self, folder, binaries=BIN, env=None, store="sqlite", kumactl=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.binary = Path(binaries) / "kuma-cp"
        self.kumactl_binary = kumactl or BIN / "kumactl"
        self.api, self.dp, self.diagnostics, https, mads = (free_port() for _ in range(5))
        self.env = {
            "KUMA_STORE_TYPE": store,
            "KUMA_GENERAL_WORK_DIR": str(self.folder),
            "KUMA_API_SERVER_HTTP_PORT": str(self.api),
            "KUMA_API_SERVER_HTTPS_PORT": str(https),
            "KUMA_DP_SERVER_PORT": str(self.dp),
            "KUMA_DIAGNOSTICS_SERVER_PORT": str(self.diagnostics),
            "KUMA_MONITORING_ASSIGNMENT_SERVER_PORT": str(mads),
            **(env or {}),
        }
        self.process = None

    @property
    def url(self):
        return f"http://localhost:{self.api}"

    @property
    def dp_url(self):
        return f"https://localhost:{self.dp}"

    def start(self, seconds=30):
        self.process = Process("kuma-cp", [self.binary, "run"], self.folder / "kuma-cp.log", self.env)

        def ready():
            if not self.process.alive():
                raise Failed(f"kuma-cp ended with {self.process.child.returncode}:\n{self.process.tail()}")
            return get(f"http://localhost:{self.diagnostics}/ready")[0] == 200

        wait_for("kuma-cp is ready", ready, seconds)
        return self

    def kumactl(self, *arguments, stdin=None, check=True):
        command = [self.kumactl_binary, "--config-file", self.folder / "kumactl.yaml", *arguments]
        done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise Failed(f"kumactl {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def login(self):
        self.kumactl("config", "control-planes", "add", "--name=demo", f"--address={self.url}", "--overwrite")

    def apply(self, text):
        return self.kumactl("apply", "-f", "-", stdin=text)

    def get(self, path):
        status, body = get(self.url + path)
        return json.loads(body) if status == 200 else None

    def metric(self, name):
        """The sum of a metric's samples."""
        status, body = get(f"http://localhost:{self.diagnostics}/metrics")
        samples = [line for line in body.splitlines() if line.split("{")[0].split(" ")[0] == name]
        if status != 200 or not samples:
            raise Failed(f"no metric {name}")
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples)


def get(url, timeout=5):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


class Sidecar:
    """kuma-dp with its Envoy for one Dataplane."""

    def __init__(self, cp, folder, name, dataplane, mesh="default", binary=None, drain="5s", ca=None, arguments=None,
                 env=None):
        self.cp, self.name, self.mesh = cp, name, mesh
        self.folder = Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dataplane, self.binary, self.drain = dataplane, binary or BIN / "kuma-dp", drain
        self.ca, self.token = ca or cp.folder / "kuma-cp.crt", self.folder / "token"
        self.readiness = free_port()
        self.arguments, self.env = arguments or ["--dns-enabled=false"], env or {}
        self.process = None

    def prepare(self, workload=None):
        """What needs the control plane before kuma-dp does: a token."""
        claim = [f"--workload={workload}"] if workload else [f"--name={self.name}"]
        self.token.write_text(self.cp.kumactl("generate", "dataplane-token", f"--mesh={self.mesh}",
                                              "--valid-for=24h", *claim))
        return self

    def start(self, workload=None):
        if not self.token.exists():
            self.prepare(workload)
        (self.folder / "dataplane.yaml").write_text(self.dataplane)
        # Sockets have short paths: a folder deep in a tree would not fit.
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        self.process = Process(self.name, [
            self.binary, "run", f"--cp-address={self.cp.dp_url}", f"--ca-cert-file={self.ca}",
            f"--dataplane-token-file={self.token}", f"--dataplane-file={self.folder}/dataplane.yaml",
            f"--binary-path={envoy_binary()}", f"--work-dir={work}", f"--drain-time={self.drain}",
            "--concurrency=1", *self.arguments,
        ], self.folder / "kuma-dp.log", {"KUMA_READINESS_PORT": str(self.readiness), **self.env})
        return self

    def wait_ready(self, seconds=60):
        def ready():
            if not self.process.alive():
                raise Failed(f"{self.name} ended with {self.process.child.returncode}:\n{self.process.tail()}")
            return get(f"http://127.0.0.1:{self.readiness}/ready")[0] == 200

        wait_for(f"{self.name} is ready", ready, seconds)
        return self

    def admin(self, path):
        """GET of Envoy's admin interface on its Unix socket."""
        return self.ask("kuma-envoy-admin.sock", path)

    def ask(self, socket_name, path):
        class Connection(http.client.HTTPConnection):
            def __init__(self, socket_path):
                super().__init__("localhost")
                self.socket_path = socket_path

            def connect(self):
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(self.socket_path)

        connection = Connection(str(self.folder / "work" / socket_name))
        connection.request("GET", path)
        return connection.getresponse().read().decode()

    def stats(self, pattern):
        text = self.admin(f"/stats?filter={pattern}")
        return {name: int(value) for name, _, value in (line.partition(": ") for line in text.splitlines())
                if value.isdigit()}

    def must_have_taken_all(self):
        """Envoy rejected no cluster, listener, endpoints, routes or secrets; Failed names what, and Envoy's reason."""
        rejected = {name: count for name, count in self.stats("update_rejected$").items() if count}
        if rejected:
            reasons = [line for line in self.process.log.read_text(errors="replace").splitlines() if "rejected" in line]
            raise Failed(f"{self.name}: Envoy rejected {rejected}:\n" + "\n".join(reasons))


class Application:
    """A tiny HTTP server: answers with its name after `work` seconds, or passes the request on to `upstream` (host, port)."""

    def __init__(self, name, host, port, upstream=None, work=0.0):
        outer = self
        self.name, self.reconnects = name, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            connection_up = None

            def do_GET(self):
                time.sleep(work)
                status, body = (200, outer.name.encode()) if upstream is None else self.pass_on()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def pass_on(self):
                # A kept connection that the server closed meanwhile is opened again, as every HTTP client does
                # (RFC 9110, 9.2.2); what a new connection gives is the answer.
                for fresh in (False, True):
                    reused = self.connection_up is not None and not fresh
                    if not reused:
                        self.connection_up = http.client.HTTPConnection(*upstream, timeout=30)
                        self.connection_up.connect()
                        self.connection_up.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    try:
                        self.connection_up.request("GET", self.path)
                        answer = self.connection_up.getresponse()
                        body = answer.read()
                        if answer.will_close:
                            self.connection_up.close()
                            self.connection_up = None
                        return answer.status, body
                    except (http.client.RemoteDisconnected, ConnectionError):
                        self.connection_up = None
                        if not reused:
                            return 502, b"no answer"
                        outer.reconnects += 1
                return 502, b"no answer"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a client that went away

        self.server = Server((host, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Traffic:
    """Steady GETs over keep-alive connections to host:port. Each answer is counted by its body or its fault."""

    def __init__(self, host, port, connections=3, per_second=300):
        self.target, self.pause = (host, port), connections / per_second
        self.lock, self.counts, self.failures, self.running = threading.Lock(), {}, [], True
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(connections)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = None
        while self.running:
            reused = connection is not None
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(*self.target, timeout=30)
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode(errors="replace")
                if answer.will_close:
                    connection.close()
                    connection = None
                self.count(answer.status, body)
            except (http.client.HTTPException, OSError) as error:
                connection = None
                if reused and isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
                    continue  # sent again on a new connection
                self.count(0, repr(error))
            time.sleep(self.pause)  # the pace, not a wait

    def count(self, status, body):
        with self.lock:
            key = body if status == 200 else "failed"
            self.counts[key] = self.counts.get(key, 0) + 1
            if status != 200:
                self.failures.append((time.monotonic(), status, body[:120]))

    def take(self):
        """Counts since the last call: {answer: number}, failed requests under "failed"."""
        with self.lock:
            counts, self.counts = self.counts, {}
            return counts

    def wait_requests(self, number, seconds=60):
        """The counts of at least `number` more requests."""
        self.take()
        wait_for(f"{number} requests", lambda: sum(self.counts.values()) >= number, seconds)
        return self.take()

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join()


def kill_leftovers(processes):
    for process in processes:
        with contextlib.suppress(Exception):
            process.kill()


def say(text=""):
    print(text, flush=True)


def main(run):
    """Runs a scenario with a temporary folder; exit code 0 or 1 with the reason."""
    import tempfile
    # Short, because Unix sockets live below it.
    folder = Path(tempfile.mkdtemp(prefix="kuma-", dir="/tmp"))
    try:
        run(folder)
    except Failed as failure:
        say(f"FAILED: {failure}\nLogs are in {folder}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    import shutil
    shutil.rmtree(folder, ignore_errors=True)
