"""What plain Locust loads: `locust -f loadtests/locustfile.py --provider mock`, with or without its web UI."""

from loadtests.plugin import MixedUser

__all__ = ["MixedUser"]
