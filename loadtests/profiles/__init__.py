"""
A provider as data: a TOML file in, a checked and frozen `Profile` out. Adding a provider takes no code.

Every mistake in a file or in a value from the command line ends in a `ProfileError` of one line that names the place,
the bad value and what is allowed. A file with a key in it is refused: keys come from the environment alone.

    values, tables   what a file may hold
    request          what the provider would do with a request's parameters
    checks           what the parts of a profile say against each other
    model            the profile itself: its URLs, its key, the same elsewhere
    reading          finding and reading files
"""

from loadtests.profiles.checks import warnings
from loadtests.profiles.model import Profile
from loadtests.profiles.reading import builtin_dir, load, mistakes, names
from loadtests.profiles.request import OWNED, article, check_request, unsure
from loadtests.profiles.wording import ProfileError

__all__ = [
    "OWNED",
    "Profile",
    "ProfileError",
    "article",
    "builtin_dir",
    "check_request",
    "load",
    "mistakes",
    "names",
    "unsure",
    "warnings",
]
