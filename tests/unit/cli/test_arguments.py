"""What the commands say to wrong arguments, and their help."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from synfin.cli.app import app
from synfin.cli.device import CommandError, how_to_be_allowed, kernel_ends, parse_addresses


def ask(*arguments: str) -> tuple[int, str]:
    """Exit status and all that was said, without the breaks of lines."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1"})
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize("command", ["demo", "serve", "connect"])
def test_each_command_has_a_help_that_says_what_it_does(command: str) -> None:
    status, text = ask(command, "--help")
    assert status == 0
    assert "synfin" in text
    assert command in ask("--help")[1]


def test_help_of_serve_and_connect_names_the_addresses_to_use() -> None:
    assert "10.9.0.2" in ask("serve", "--help")[1]
    assert "10.9.1.1" in ask("connect", "--help")[1]


WRONG = [
    (["serve"], "Missing argument 'DIR'"),
    (["serve", "/no/such/folder"], "'/no/such/folder' does not exist"),
    (["serve", __file__], "is a file"),
    (["serve", ".", "--port", "0"], "Invalid value for '--port'"),
    (["serve", ".", "--port", "65536"], "Invalid value for '--port'"),
    (["serve", ".", "--mtu", "100"], "Invalid value for '--mtu'"),
    (["connect", "10.9.1.1"], "Missing argument 'PORT'"),
    (["connect", "10.9.1.1", "http"], "Invalid value for 'PORT'"),
    (["connect", "10.9.1.1", "0"], "Invalid value for 'PORT'"),
    (["connect", "10.9.1.1", "80", "--wait", "0"], "Invalid value for '--wait'"),
    (["connect", "10.9.1.1", "80", "-4", "-6"], "each of --ipv4 and --ipv6 leaves the other out"),
    (["serve", ".", "-6", "-4"], "each of --ipv4 and --ipv6 leaves the other out"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG)
def test_a_wrong_argument_is_named_with_status_2(arguments: list[str], complaint: str) -> None:
    status, text = ask(*arguments)
    assert status == 2
    assert complaint in text


REFUSED = [
    (["--address", "10.9.0.300/24"], "--address 10.9.0.300/24: "),
    (["--address", "10.9.0.2"], "its network has no room for the kernel's address"),
    (["--address", "10.9.0.1/31", "--address", "10.9.0.0/31"], "its network has no room for the kernel's address"),
    (["--address", "127.0.0.2/8"], "--address 127.0.0.2/8: that is a loopback address"),
    (["--address", "224.0.0.1/24"], "that is a multicast address"),
    (["--address", "0.0.0.0/0"], "that is no address of a host"),
    (["--address", "::/64"], "that is no address of a host"),
    (["--address", "255.255.255.255/8"], "that is no address of a host"),
    (["--address", "10.9.0.0/24"], "that is no address of a host"),
    (["--address", "10.9.0.255/24"], "that is no address of a host"),
    (["--address", "fe80::2/64"], "that is a link-local address"),
    (["--address", "10.9.0.2/24", "--address", "10.9.0.2/16"], "--address 10.9.0.2/16: it is there already"),
    (["--address", "10.9.0.2/24", "--ipv6"], "none of the addresses is of the IP version asked for"),
    (["--address", "fd00::2/64", "--mtu", "1000"], "IPv6 needs an mtu of at least 1280, not 1000"),
    (["--ipv6", "--mtu", "1000"], "IPv6 needs an mtu of at least 1280, not 1000"),
    (["--tun-name", "much-too-long-a-name"], "an interface name has 1 to 15 characters"),
    (["--gateway", "10.9.0.1"], "--gateway goes with --interface"),
    (["--interface", "lo"], "--interface needs an --address of its network"),
    (["-i", "lo", "-t", "synfin0", "-a", "10.9.0.2/24"], "--interface and --tun-name leave each other out"),
    (["-i", "lo", "-a", "10.9.0.300/24"], "--address 10.9.0.300/24: "),
    (["-i", "lo", "-a", "10.9.0.2/24", "-g", "router"], "--gateway: 'router' does not appear to be"),
]


def test_an_interface_has_no_queues_for_several_processes() -> None:
    status, text = ask("serve", str(Path(__file__).parent), "-i", "lo", "-a", "10.9.0.2/24", "--processes", "2")
    assert status == 1
    assert "--processes share a TUN device" in text


@pytest.mark.parametrize(("options", "complaint"), REFUSED)
@pytest.mark.parametrize("command", [["serve", str(Path(__file__).parent)], ["connect", "10.9.1.1", "80"]])
def test_what_no_device_can_have_is_said_with_status_1(command: list[str], options: list[str], complaint: str) -> None:
    status, text = ask(*command, *options)
    assert status == 1
    assert text.startswith(f"synfin {command[0]}: ")
    assert complaint in text


def test_the_kernel_takes_the_first_other_address() -> None:
    ours = parse_addresses(["10.0.0.1/24", "10.1.0.9/24", "fd00::1/64"], [], (4, 6), 1500)
    assert [str(one) for one in kernel_ends(ours)] == ["10.0.0.2/24", "10.1.0.1/24", "fd00::2/64"]


def test_of_a_network_with_two_addresses_of_synfin_the_kernel_takes_a_third() -> None:
    ours = parse_addresses(["10.0.0.2/24", "10.0.0.1/24"], [], (4, 6), 1500)
    assert [str(one) for one in kernel_ends(ours)] == ["10.0.0.3/24"]
    assert "ip address add 10.0.0.3/24 dev files0" in how_to_be_allowed("files0", ours)


def test_the_smallest_networks_have_room_for_both() -> None:
    ours = parse_addresses(["10.0.0.0/31", "10.0.1.2/30", "fd00::/127"], [], (4, 6), 1500)
    assert [str(one) for one in kernel_ends(ours)] == ["10.0.0.1/31", "10.0.1.1/30", "fd00::1/127"]


def test_a_small_mtu_leaves_ipv6_out_of_the_defaults() -> None:
    assert [one.version for one in parse_addresses([], ["10.9.0.2/24", "fd00:9::2/64"], (4, 6), 1000)] == [4]
    with pytest.raises(CommandError):
        parse_addresses(["fd00:9::2/64"], [], (4, 6), 1000)
