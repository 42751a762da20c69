"""Skeletons of implementations, ready to be checked and to be filled in."""

import shlex
from pathlib import Path
from typing import NamedTuple


class Skeleton(NamedTuple):
    """A file in this folder, and the command that checks what is made of it."""

    file: str
    check: str


# By the ending of the file that is written.
SKELETONS = {
    ".py": Skeleton("skeleton.py.txt", "reference-cnn check {}"),
    ".c": Skeleton("skeleton.c", "cc -O2 -o layers {} -lm && reference-cnn check exec:./layers"),
    ".js": Skeleton("skeleton.js", 'reference-cnn check "exec:node {}"'),
    ".mjs": Skeleton("skeleton.js", 'reference-cnn check "exec:node {}"'),
}


class SkeletonError(ValueError):
    """A skeleton that cannot be written; the message says why."""


def write(path: Path) -> str:
    """Write the skeleton for the path's ending, and return the command that checks it.

    Raises
    ------
    SkeletonError
        An ending that is not known, or a file that exists and is left alone (a ValueError).
    """
    if path.suffix not in SKELETONS:
        others = "other languages have `reference-cnn explain PROTO-D1`"
        raise SkeletonError(f"init: {path} must end with one of {', '.join(SKELETONS)}; {others}")
    skeleton = SKELETONS[path.suffix]
    text = Path(__file__).with_name(skeleton.file).read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("@FILE@", path.name))
    except FileExistsError as error:
        raise SkeletonError(f"init: {path} exists and is left as it is; give another name") from error
    return skeleton.check.format(shlex.quote(str(path)))
