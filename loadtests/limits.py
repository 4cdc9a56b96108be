"""
What this machine allows a process that makes load: open files, and local ports for its connections.

Sources: getrlimit(2); the kernel's ip-sysctl page for net.ipv4.ip_local_port_range (IPv6 uses it too),
ip_local_reserved_ports and tcp_tw_reuse. A connection is told from others by both its ends, so there can be as many to
one address and port as there are local ports, those included that a closed connection keeps for a minute (TIME_WAIT).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

_IPV4: Final = Path("/proc/sys/net/ipv4")
_SOCKETS: Final = (Path("/proc/net/sockstat"), Path("/proc/net/sockstat6"))

WIDEN: Final = "widen the range (sysctl -w net.ipv4.ip_local_port_range='10000 65535')"


class Limits(NamedTuple):
    """
    Of a process on this machine; None where it is not known, or where there is none.

    Attributes:
        open_files, open_files_hard: RLIMIT_NOFILE; a worker process raises the first to the second.
        local_ports: First and last of the ports that connections are given.
        reserved_ports: How many of these are kept back.
        tcp_tw_reuse: Whether a port in TIME_WAIT is taken again after a second: 0 never, 1 always, 2 on loopback.
    """

    open_files: int | None = None
    open_files_hard: int | None = None
    local_ports: tuple[int, int] | None = None
    reserved_ports: int = 0
    tcp_tw_reuse: int | None = None

    @property
    def ports(self) -> int | None:
        """How many connections there can be to one address and port."""
        if self.local_ports is None:
            return None
        first, last = self.local_ports
        return last - first + 1 - self.reserved_ports

    @property
    def span(self) -> str:
        """The local ports, as people write them."""
        return "" if self.local_ports is None else "{}-{}".format(*self.local_ports)

    def to_json(self) -> dict[str, Any]:
        """As kept in run.json under `limits`."""
        return self._asdict()


def read() -> Limits:
    """The limits of this process, in its network namespace, as they are now."""
    soft, hard = _open_files()
    found = _words("ip_local_port_range")
    ports = (int(found[0]), int(found[1])) if len(found) == 2 else None
    reuse = _words("tcp_tw_reuse")
    return Limits(
        soft, hard, ports, reserved_in(ports, ",".join(_words("ip_local_reserved_ports"))),
        int(reuse[0]) if reuse else None,
    )  # fmt: skip


def reserved_in(ports: tuple[int, int] | None, text: str) -> int:
    """How many of the ports from the first to the last are in a list like `8080,9000-9010`."""
    if ports is None:
        return 0
    count = 0
    for item in filter(None, text.split(",")):
        first, _, last = item.partition("-")
        count += max(0, min(int(last or first), ports[1]) - max(int(first), ports[0]) + 1)
    return count


def no_port_left() -> str:
    """
    What EADDRNOTAVAIL of a connect() means, for people; "" where it is not about ports.

    It comes too where this machine has no address that the other end can be reached from. With every port taken there
    are at least as many sockets as ports, so fewer sockets tell the two apart.
    """
    limits, taken = read(), sockets()
    if limits.ports is None or taken is None or taken < limits.ports:
        return ""
    return (
        f"no local port is left for this address: {limits.ports} ({limits.span}) are taken by connections that are open"
        f" or in TIME_WAIT; {WIDEN}, keep connections alive, or add machines"
    )


def sockets() -> int | None:
    """TCP sockets in this network namespace, those in TIME_WAIT included; None where the kernel does not say."""
    try:
        lines = [line.split() for path in _SOCKETS if path.exists() for line in path.read_text().splitlines()]
    except OSError:
        return None
    tables = [dict(zip(line[1::2], map(int, line[2::2]), strict=False)) for line in lines if line[0][:3] == "TCP"]
    return sum(table.get("inuse", 0) + table.get("tw", 0) for table in tables) if tables else None


def _open_files() -> tuple[int | None, int | None]:
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return None, None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return tuple(None if most == resource.RLIM_INFINITY else most for most in (soft, hard))  # type: ignore[return-value]


def _words(name: str) -> list[str]:
    """What a setting of the kernel says; nothing where there is none."""
    try:
        return (_IPV4 / name).read_text().split()
    except OSError:
        return []
