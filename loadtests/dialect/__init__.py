"""
The OpenAI-style chat completion: the request body out, the chunks of an answer in, and what they mean.

Sits between sse (stamped events) and record. `request` makes head and body, `answer` reads what comes back; under it,
`choices` and `delta` know what was said, `usage` what it came to in tokens, `template` chunks that need no reading, and
`loose` the JSON that no standard allows.
"""

from loadtests.dialect.answer import Answer
from loadtests.dialect.request import asked_choices, body, body_of, head

__all__ = ["Answer", "asked_choices", "body", "body_of", "head"]
