"""A worker's rows on their way to the master: byte ranges of its growing parts, whole batches only, acknowledged."""

from loadtests.shipping.inbox import Inbox
from loadtests.shipping.outbox import Outbox

__all__ = ["Inbox", "Outbox"]
