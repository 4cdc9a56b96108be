"""
Put the gate's comment.md on the pull request, in the place of the one that an earlier run of the same gate put there.

Part of action.yml, which says by environment variables what and where. A token that may not write, as that of a pull
request from a fork, is no failure, nor is a network that fails: the step's summary says the same.
"""

# ruff: noqa: INP001 - a script beside action.yml

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

PAGE: Final = 100


def ask(method: str, path: str, value: Any = None) -> Any:
    """One call of GitHub's interface, as JSON."""
    request = Request(  # noqa: S310 - the address is GitHub's own word
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}",
        method=method,
        data=None if value is None else json.dumps(value).encode(),
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"},
    )
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def earlier(pull: str, marker: str) -> int | None:
    """The id of the comment that begins with this line; None where there is none."""
    page = 1
    while found := ask("GET", f"issues/{pull}/comments?per_page={PAGE}&page={page}"):
        for comment in found:
            if (comment["body"] or "").startswith(marker):
                return int(comment["id"])
        page += 1
    return None


def main() -> None:
    """Update or create."""
    body = Path("firsttoken-gate", "comment.md").read_text(encoding="utf-8")
    pull, artifact = os.environ["PULL"], os.environ.get("ARTIFACT")
    if artifact:
        body += f"\n[Report, runs and verdict]({artifact})\n"
    there = earlier(pull, body.partition("\n")[0])
    if there is None:
        ask("POST", f"issues/{pull}/comments", {"body": body})
    else:
        ask("PATCH", f"issues/comments/{there}", {"body": body})


if __name__ == "__main__":
    try:
        main()
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"::warning::firsttoken: no comment on the pull request: {error}\n")
