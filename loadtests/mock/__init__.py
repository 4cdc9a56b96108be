"""
The embedded provider with known truth: an OpenAI-style server in a process of its own that plays a seeded script.

script -> provider (which answer) -> answer or prepared (its bytes) -> server and due (when they go out) -> log (when
they really did).
"""
