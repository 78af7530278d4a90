"""What the tests share. A test that hangs ends with the stacks of all threads."""

import faulthandler
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import thrum


@pytest.fixture(autouse=True)
def limit():
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def rt():
    """A runtime whose Tasks move between threads as soon as one is outside."""
    with thrum.Runtime(procs=2, handover=0.0005) as runtime:
        yield runtime


@pytest.fixture
def script():
    """Runs a program of its own: (code, stdout, stderr)."""
    def run(text, timeout=30):
        def heed_ctrl_c():  # a shell starts what is in the background without
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)],
                              capture_output=True, text=True, timeout=timeout,
                              preexec_fn=heed_ctrl_c)
        return done.returncode, done.stdout, done.stderr
    return run


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Path of a certificate of localhost with its key; .crt: without."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", path, "-out", f"{path}.crt", "-days", "2",
                    "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True,
                   capture_output=True)
    with open(path, "a") as file:
        file.write(open(f"{path}.crt").read())
    return str(path)


def hop():
    """Comes back on another OS thread, if there is any way: another Task hogs
    the domain's M while this one is away."""
    thrum.offload(time.sleep, 0.0001)
    thrum.yield_()
