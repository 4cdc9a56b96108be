"""The socket at which a master listens for its workers."""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

import zmq

from loadtests.fleet.member import FleetError
from loadtests.link.frames import MOST_BYTES

LINGER_MS: Final = 1000
OPTIONS: Final = (
    (zmq.LINGER, LINGER_MS), (zmq.ROUTER_HANDOVER, 1), (zmq.ROUTER_MANDATORY, 0), (zmq.MAXMSGSIZE, MOST_BYTES),
    (zmq.HEARTBEAT_IVL, 2000), (zmq.HEARTBEAT_TIMEOUT, 10_000), (zmq.SNDHWM, 10_000), (zmq.IPV6, 1),
)  # fmt: skip


class HubError(FleetError):
    """The master cannot listen: one line."""


def bound(where: tuple[str, int]) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
    """
    A ROUTER that listens at a host, which may be `*`, and a port; with the context to end behind it.

    Raises:
        HubError: Something else listens there, or the host is not of this machine.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each worker has some files here, and a connection
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    for option, value in OPTIONS:
        socket.setsockopt(option, value)
    try:
        socket.bind(f"tcp://{where[0]}:{where[1]}")
    except zmq.ZMQError as error:
        socket.close()
        context.term()
        what = "no address of this machine" if error.errno == errno.ENODEV else os.strerror(error.errno or 0)
        raise HubError(f"--bind {where[0]}:{where[1]}: {what}; name a free port of this machine") from None
    return context, socket
