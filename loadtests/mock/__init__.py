"""
The embedded provider with known truth: an OpenAI-style server in a process of its own that plays a seeded script.

script -> front (which answer) -> answer or prepared (its bytes) -> server and due (when they go out) -> log (when they
really did) and journal (what was asked). Whatever differs from the usual goes another way to its bytes: scene (what is
said) -> manner (how a provider says it) -> score (the writes), by `providers` (whose rules and manner) or `scenarios`
(what may happen on the wire).
"""
