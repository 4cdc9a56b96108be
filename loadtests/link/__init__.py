"""How a run's processes speak: JSON lines over pipes on one machine, ZeroMQ messages between machines."""
