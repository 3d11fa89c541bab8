"""`synfin serve` for curl, and `synfin connect` to nc and nginx: the commands as a user runs them, on a TUN device."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from synfin.links.netns import PrivateNetwork
from tests.conftest import need
from tests.interop.payload import digest, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("require_tun")]

Programs = Callable[[str], str]
HANG_SECONDS: Final = 120
SIZE: Final = 5_000_000
AS_ORDINARY_USER: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


def synfin(*arguments: str) -> list[str]:
    """The command line of the command `synfin`."""
    return [sys.executable, "-m", "synfin.cli", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def network() -> Iterator[PrivateNetwork]:
    with PrivateNetwork() as made:
        yield made


@pytest.fixture
def curl(network: PrivateNetwork, require_program: Programs) -> Callable[..., str]:
    """curl in the private network, for text; it may fail."""
    command = [require_program("curl"), "-sS", "--noproxy", "*", "--globoff", "--path-as-is", "-m", str(HANG_SECONDS)]

    def run(*arguments: str) -> str:
        done = network.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    return run


def start_serving(
    network: PrivateNetwork, folder: Path, *options: str, prefix: Sequence[str] = ()
) -> tuple[subprocess.Popen[str], list[str]]:
    """`synfin serve`, and what it said before it began to serve."""
    child: subprocess.Popen[str] = network.popen(
        [*prefix, *synfin("serve", str(folder), *options)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    said: list[str] = []
    for line in child.stdout:
        said.append(line.rstrip())
        if line.startswith("Ctrl-C"):
            break
    assert child.poll() is None, said
    return child, said


@contextlib.contextmanager
def serving(
    network: PrivateNetwork,
    folder: Path,
    *options: str,
    prefix: Sequence[str] = (),
    ended_by: signal.Signals = signal.SIGTERM,
) -> Iterator[list[str]]:
    """The same until the end of the block. The signal ends it well."""
    child, said = start_serving(network, folder, *options, prefix=prefix)
    yield said
    child.send_signal(ended_by)
    rest = child.communicate(timeout=HANG_SECONDS)[0].splitlines()
    assert child.returncode == 0, rest
    assert rest[-1] == "ended"
    assert not any("Error" in line for line in rest), rest


def wait_for_listener(network: PrivateNetwork, port: int) -> None:
    """Until a kernel socket listens there."""
    deadline = time.monotonic() + HANG_SECONDS
    command = ["cat", "/proc/self/net/tcp", "/proc/self/net/tcp6"]
    while f":{port:04X} " not in (said := network.run(command, capture_output=True, text=True).stdout):
        assert time.monotonic() < deadline, said
        time.sleep(0.02)


def test_curl_gets_files_listings_and_ranges(network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "served"
    (folder / "sub").mkdir(parents=True)
    path = write_file(folder / "file.bin", SIZE)
    (folder / "sub" / "page.html").write_text("<p>page")
    with serving(network, folder) as said:
        assert said[1:3] == ["    http://10.9.0.2/", "    http://[fd00:9::2]/"]
        for base in ("http://10.9.0.2", "http://[fd00:9::2]"):
            curl("-o", str(tmp_path / "got"), f"{base}/file.bin")
            assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == digest(SIZE)
            curl("-o", str(tmp_path / "got"), "-r", "1000-1999", f"{base}/file.bin")
            assert (tmp_path / "got").read_bytes() == path.read_bytes()[1000:2000]
            assert "sub/" in curl(f"{base}/")
            assert curl("-L", f"{base}/sub/page.html") == "<p>page"
            assert "page.html" in curl("-L", f"{base}/sub")
            assert f"Content-Length: {SIZE}".lower() in curl("-I", f"{base}/file.bin").lower()
        status = ("-o", "/dev/null", "-w", "%{http_code}")
        assert curl(*status, "-z", str(path), "http://10.9.0.2/file.bin") == "304"
        assert curl(*status, "-z", "1 Jan 1990", "http://10.9.0.2/file.bin") == "200"
        for wrong in ("/none", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/%00", "/file.bin/"):
            assert curl(*status, f"http://10.9.0.2{wrong}") == "404"
        assert curl(*status, "-X", "DELETE", "http://10.9.0.2/file.bin") == "405"
        assert curl(*status, "-r", f"{SIZE}-", "http://10.9.0.2/file.bin") == "416"


def test_several_processes_serve_as_one(network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    write_file(folder / "file.bin", SIZE)
    with serving(network, folder, "--processes", "3") as said:
        assert "by 3 processes" in said[0]
        for number in range(12):
            base = "http://10.9.0.2" if number % 2 else "http://[fd00:9::2]"
            curl("-o", str(tmp_path / "got"), f"{base}/file.bin")
            assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == digest(SIZE)


def test_an_interrupted_download_is_continued_by_curl(
    network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    path = write_file(folder / "file.bin", SIZE)
    got = tmp_path / "got"
    got.write_bytes(path.read_bytes()[: SIZE // 3])
    with serving(network, folder):
        curl("-C", "-", "-o", str(got), "http://10.9.0.2/file.bin")
    assert hashlib.sha256(got.read_bytes()).hexdigest() == digest(SIZE)


def test_addresses_port_and_mtu_are_the_users_choice(
    network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("text")
    options = ("--address", "192.168.77.9/28", "--port", "8080", "--mtu", "900", "--tun-name", "files0")
    with serving(network, tmp_path, *options) as said:
        assert said[0].endswith("on files0 at")
        assert said[1] == "    http://192.168.77.9:8080/"
        assert curl("http://192.168.77.9:8080/file") == "text"


PAIR: Final = """
from synfin.links.netns import add_pair, configure
add_pair("veth0", "veth1")
configure("veth0")
configure("veth1", ["10.9.0.1/24", "fd00:9::1/64"])
"""
OTHER_MACHINE: Final = """
import asyncio, synfin
from synfin.links.packet import PacketLink
async def stay():
    async with synfin.Host("10.9.0.77/24", link=PacketLink("veth1", "10.9.0.77/24", verify=False)):
        print("ready", flush=True)
        await asyncio.sleep(100)
asyncio.run(stay())
"""
AT_INTERFACE: Final = ("--interface", "veth0", "--address", "10.9.0.2/24", "--gateway", "10.9.0.1")


@pytest.fixture
def pair(network: PrivateNetwork) -> None:
    """An Ethernet cable in the network: its end veth0 is free, at the other one is the kernel, 10.9.0.1."""
    network.run([sys.executable, "-c", PAIR], env=environment(), check=True)


@pytest.mark.usefixtures("pair")
def test_an_ethernet_interface_is_served_at_as_well(
    network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    write_file(folder / "file.bin", SIZE)
    with serving(network, folder, *AT_INTERFACE, "--address", "fd00:9::2/64") as said:
        assert said == [
            f"serving {folder} on veth0 at", "    http://10.9.0.2/", "    http://[fd00:9::2]/", "Ctrl-C ends it.",
        ]  # fmt: skip
        for base in ("http://10.9.0.2", "http://[fd00:9::2]"):
            curl("--retry", "9", "--retry-all-errors", "-o", str(tmp_path / "got"), f"{base}/file.bin")
            assert hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() == digest(SIZE)


@pytest.mark.usefixtures("pair")
def test_what_can_not_be_done_at_an_interface_is_said(network: PrivateNetwork, tmp_path: Path) -> None:
    def refused(*options: str, prefix: Sequence[str] = ()) -> str:
        for command in (["serve", str(tmp_path)], ["connect", "10.9.0.1", "80"]):
            done = network.run(
                [*prefix, *synfin(*command, *options)], env=environment(), capture_output=True, text=True,
                timeout=HANG_SECONDS,
            )  # fmt: skip
            assert done.returncode == 1, done
            assert "Traceback" not in done.stderr
        return str(done.stderr)

    assert "there is no interface 'none'" in refused("-i", "none", "-a", "10.9.0.2/24")
    assert "'lo' is no Ethernet interface" in refused("-i", "lo", "-a", "10.9.0.2/24")
    assert "10.9.0.1 is an address of the kernel's own here" in refused("-i", "veth0", "-a", "10.9.0.1/24")
    assert "in no network of" in refused(*AT_INTERFACE[:4], "-g", "10.9.9.1")
    assert "inside a network namespace of yours" in refused(*AT_INTERFACE, prefix=AS_ORDINARY_USER)


@pytest.mark.usefixtures("pair")
def test_an_address_that_another_machine_has_is_left_to_it(network: PrivateNetwork, tmp_path: Path) -> None:
    first = network.popen([sys.executable, "-c", OTHER_MACHINE], env=environment(), stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    second = network.run(
        synfin("serve", str(tmp_path), "-i", "veth0", "-a", "10.9.0.77/24"),
        env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS,
    )  # fmt: skip
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert "10.9.0.77 is in use by" in second.stderr


@pytest.mark.usefixtures("pair")
def test_connect_goes_by_an_ethernet_interface(network: PrivateNetwork) -> None:
    server = kernel_end(network, SERVER, "100")
    wait_for_listener(network, 7000)
    done = network.run(
        synfin("connect", "10.9.0.1", "7000", *AT_INTERFACE),
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, bytes(100), b"")
    assert server.communicate(timeout=HANG_SECONDS)[0] == "connected\nend\n"


def test_a_second_server_in_the_same_network_is_told_why_not(network: PrivateNetwork, tmp_path: Path) -> None:
    with serving(network, tmp_path):
        command = synfin("serve", str(tmp_path))
        second = network.run(command, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS)
    assert second.returncode == 1
    assert "choose another with --address" in second.stderr


# The kernel's ends: each says that it is connected, and how the connection ended.
CLIENT: Final = """
import socket
with socket.create_connection(("10.9.0.2", 80)) as connection:
    print("connected", flush=True)
    try:
        print("end" if connection.recv(1) == b"" else "text")
    except ConnectionResetError:
        print("reset")
"""
SERVER: Final = """
import socket, sys
with socket.create_server(("0.0.0.0", 7000)) as server:
    connection, _ = server.accept()
    with connection:
        print("connected", flush=True)
        try:
            connection.sendall(bytes(int(sys.argv[1])))
            print("end" if connection.recv(1) == b"" else "text")
        except (BrokenPipeError, ConnectionResetError):
            print("reset")
"""
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kernel_end(network: PrivateNetwork, *command: str) -> subprocess.Popen[str]:
    child: subprocess.Popen[str] = network.popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True)
    return child


def assert_connected(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "connected\n"


def assert_ended(child: subprocess.Popen[str]) -> None:
    """That end has heard of it, by FIN or by RST."""
    assert child.communicate(timeout=HANG_SECONDS)[0] in ("end\n", "reset\n")


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
@pytest.mark.parametrize("number", ENDING)
def test_a_server_that_is_ended_ends_its_connections(
    network: PrivateNetwork, tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    with serving(network, tmp_path, *options, ended_by=number):
        client = kernel_end(network, CLIENT)
        assert_connected(client)
    assert_ended(client)


def test_a_server_whose_words_nobody_reads_any_more_ends_its_connections(
    network: PrivateNetwork, curl: Callable[..., str], tmp_path: Path
) -> None:
    child, _ = start_serving(network, tmp_path)
    client = kernel_end(network, CLIENT)
    assert_connected(client)
    assert child.stdout is not None
    child.stdout.close()
    curl("-o", "/dev/null", "http://10.9.0.2/")
    assert_ended(client)
    assert child.wait(HANG_SECONDS) == -signal.SIGPIPE


def test_a_server_that_was_told_to_survive_its_terminal_does(
    network: PrivateNetwork, curl: Callable[..., str], require_program: Programs, tmp_path: Path
) -> None:
    child, _ = start_serving(network, tmp_path, prefix=[require_program("nohup")])
    child.send_signal(signal.SIGHUP)
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "http://10.9.0.2/") == "200"
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=HANG_SECONDS)[0].endswith("ended\n")


@contextlib.contextmanager
def connected(network: PrivateNetwork, size: int) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[str]]]:
    """`synfin connect` and the server, which sends so many bytes."""
    server = kernel_end(network, SERVER, str(size))
    wait_for_listener(network, 7000)
    pipe = subprocess.PIPE
    child: subprocess.Popen[bytes] = network.popen(
        synfin("connect", "10.9.1.1", "7000"), env=environment(), stdin=pipe, stdout=pipe, stderr=pipe
    )
    with child:
        assert_connected(server)
        yield child, server


def wait_for_stuck_output(child: subprocess.Popen[bytes]) -> None:
    """Until the page is full that is all the room there is between the child and us, who read nothing."""
    assert child.stdout is not None
    page = fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, 1)
    deadline = time.monotonic() + HANG_SECONDS
    # Pieces of less than a page are written whole or not at all.
    while struct.unpack("i", fcntl.ioctl(child.stdout, termios.FIONREAD, bytes(4)))[0] <= page // 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", ENDING)
def test_connect_that_is_ended_ends_its_connection(network: PrivateNetwork, number: signal.Signals) -> None:
    with connected(network, 0) as (child, server):
        child.send_signal(number)
        assert_ended(server)
        assert child.communicate(timeout=HANG_SECONDS) == (b"", b"")
        assert child.returncode == 128 + number


@pytest.mark.parametrize("number", ENDING)
def test_connect_is_ended_though_its_output_is_stuck(network: PrivateNetwork, number: signal.Signals) -> None:
    with connected(network, SIZE) as (child, server):
        wait_for_stuck_output(child)
        child.send_signal(number)
        assert_ended(server)
        assert child.wait(HANG_SECONDS) == 128 + number


def test_connect_ends_with_who_reads_its_output(network: PrivateNetwork) -> None:
    with connected(network, SIZE) as (child, server):
        wait_for_stuck_output(child)
        assert child.stdout is not None
        child.stdout.close()
        assert_ended(server)
        assert child.wait(HANG_SECONDS) in (1, 128 + signal.SIGPIPE)


def need_user_namespace(network: PrivateNetwork) -> None:
    tried = network.run([*AS_ORDINARY_USER, "true"], capture_output=True)
    need(tried.returncode == 0, "no user namespace can be made within another")


def test_an_ordinary_user_gets_a_private_network_and_is_told_how_to_join_it(
    network: PrivateNetwork, require_program: Programs, tmp_path: Path
) -> None:
    need_user_namespace(network)
    require_program("curl")
    (tmp_path / "file").write_text("text")
    try:
        user = pwd.getpwuid(1000).pw_name
    except KeyError:
        user = "1000"
    with serving(network, tmp_path, prefix=AS_ORDINARY_USER) as said:
        (join,) = [line.split() for line in said if "nsenter" in line]
        assert join[-2] == "curl"
        got = network.run([*join[:-1], "-sS", join[-1] + "file"], capture_output=True, text=True)
        assert (got.stdout, got.stderr) == ("text", "")
        # Of the user who asks, who is root in the private network.
        assert [line.split()[-1] for line in said if "ip tuntap add synfin0 mode tun user" in line] == [user]


def connect(network: PrivateNetwork, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`synfin connect` to its end."""
    command = network.command(synfin("connect", *arguments))
    return subprocess.run(
        command, input=given, env=environment(), capture_output=True, timeout=HANG_SECONDS, check=False
    )


@pytest.mark.parametrize("address", ["10.9.1.1", "fd00:9:1::1"])
def test_connect_and_nc_give_each_other_their_input_and_its_end(
    network: PrivateNetwork, require_program: Programs, tmp_path: Path, address: str
) -> None:
    sent, answer = write_file(tmp_path / "sent", SIZE), write_file(tmp_path / "answer", SIZE // 2)
    received = tmp_path / "received"
    family = "-6" if ":" in address else "-4"
    with answer.open("rb") as source, received.open("wb") as sink:
        nc = network.popen([require_program("nc"), family, "-N", "-l", "7000"], stdin=source, stdout=sink)
        wait_for_listener(network, 7000)
        done = connect(network, address, "7000", given=sent.read_bytes())
        assert (done.returncode, done.stderr) == (0, b"")
        assert nc.wait(HANG_SECONDS) == 0
    assert hashlib.sha256(done.stdout).hexdigest() == digest(SIZE // 2)
    assert hashlib.sha256(received.read_bytes()).hexdigest() == digest(SIZE)


SORTER: Final = """
import socket
with socket.create_server(("0.0.0.0", 7000)) as server:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"".join(sorted(lines)))
"""


def test_the_answer_of_a_server_that_waits_for_our_end_still_comes(network: PrivateNetwork) -> None:
    network.popen([sys.executable, "-c", SORTER])
    wait_for_listener(network, 7000)
    done = connect(network, "10.9.1.1", "7000", given=b"c\nb\na\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\nb\nc\n", b"")


def test_connect_asks_nginx_for_a_page(network: PrivateNetwork, require_program: Programs, tmp_path: Path) -> None:
    write_file(tmp_path / "file.bin", SIZE)
    places = "".join(f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"user root root; daemon off; master_process off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places} server {{ listen 80; root {tmp_path}; }} }}\n"
    )
    network.popen([require_program("nginx"), "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    wait_for_listener(network, 80)
    pipe = subprocess.PIPE
    child = network.popen(synfin("connect", "10.9.1.1", "80"), env=environment(), stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"GET /file.bin HTTP/1.0\r\n\r\n")
    child.stdin.flush()
    # stdin stays open until all has come: nginx takes a half-close for a client that has gone.
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += child.stdout.readline()
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert hashlib.sha256(child.stdout.read(SIZE)).hexdigest() == digest(SIZE)
    assert child.communicate(timeout=HANG_SECONDS) == (b"", b"")
    assert child.returncode == 0


def test_connect_draws_the_connection_when_asked(network: PrivateNetwork, require_program: Programs) -> None:
    network.popen([require_program("nc"), "-N", "-l", "7000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for_listener(network, 7000)
    done = connect(network, "10.9.1.1", "7000", "--draw", given=b"hello")
    assert (done.returncode, done.stdout) == (0, b"")
    drawn = done.stderr.decode()
    for word in ("SYN,ACK", "ESTABLISHED", "FIN-WAIT-1", "len=5"):
        assert word in drawn


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["10.9.1.1", "7000"], "nobody listens there"),
        (["10.9.1.77", "7000", "--wait", "0.5"], "no answer within 0.5 s"),
        (["127.0.0.1", "7000"], "this machine is 10.9.1.1 here"),
        (["0.0.0.0", "7000"], "this machine is 10.9.1.1 here"),
        (["224.0.0.1", "7000"], "224.0.0.1 port 7000: "),
        (["255.255.255.255", "7000"], "255.255.255.255 port 7000: "),
        (["a..b", "7000"], "a..b port 7000: that is no name of a host"),
        (["fd00:9:1::1", "7000", "--ipv4"], "which synfin has not here"),
        (["no.such.name.invalid", "7000"], "no.such.name.invalid port 7000: "),
    ],
)
def test_connect_says_why_it_failed(network: PrivateNetwork, arguments: list[str], complaint: str) -> None:
    done = connect(network, *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert said.startswith("synfin connect: ")
    assert complaint in said
    assert said.count("\n") == 1


def test_connect_tells_an_ordinary_user_what_root_can_do(network: PrivateNetwork) -> None:
    need_user_namespace(network)
    command = network.command([*AS_ORDINARY_USER, *synfin("connect", "10.9.1.1", "80")])
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 1
    assert "this user may not make a TUN device: run it as root" in done.stderr
    assert "    ip address add 10.9.1.1/24 dev synfin0" in done.stderr


def prepare_device(network: PrivateNetwork, ip: str, address: str) -> None:
    """As root does for an ordinary user; it is this test's own user who is another one in the next namespace."""
    for words in ("tuntap add synfin0 mode tun user root", f"addr add {address} dev synfin0", "link set synfin0 up"):
        network.run([ip, *words.split()], check=True)


def test_an_ordinary_user_serves_on_a_device_that_root_has_prepared(
    network: PrivateNetwork, curl: Callable[..., str], require_program: Programs, tmp_path: Path
) -> None:
    need_user_namespace(network)
    (tmp_path / "file").write_text("text")
    prepare_device(network, require_program("ip"), "10.9.0.1/24")
    with serving(network, tmp_path, "-4", "--tun-name", "synfin0", prefix=AS_ORDINARY_USER) as said:
        assert not any("not root" in line for line in said)
        assert curl("http://10.9.0.2/file") == "text"


def test_a_device_that_root_has_prepared_for_other_addresses_is_no_use(
    network: PrivateNetwork, require_program: Programs
) -> None:
    need_user_namespace(network)
    prepare_device(network, require_program("ip"), "10.9.0.1/24")
    words = network.command([*AS_ORDINARY_USER, *synfin("connect", "10.9.1.1", "80", "-4", "--tun-name", "synfin0")])
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "synfin connect: synfin0 has no address of the network of 10.9.1.2/24: say --address\n"


def children_of(pid: int) -> set[Path]:
    """The folders in /proc of a process's children."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if (folder / "stat").read_text().rpartition(")")[2].split()[1] == str(pid):
                found.add(folder)
    return found


def test_a_demo_that_is_interrupted_takes_its_client_along(network: PrivateNetwork, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    capture = tmp_path / "demo.pcapng"
    command = synfin("demo", "--megabytes", "4096", "--capture", str(capture))
    child = network.popen(command, env=environment(), stdout=pipe, stderr=pipe, text=True)
    assert child.stdout is not None
    while "/file" not in child.stdout.readline():
        assert child.poll() is None
    while capture.stat().st_size < 100_000 or not (clients := children_of(child.pid)):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, complaints = child.communicate(timeout=HANG_SECONDS)
    assert not any(folder.exists() for folder in clients)
    assert "Error" not in complaints, complaints
    assert "Traceback" not in complaints, complaints
