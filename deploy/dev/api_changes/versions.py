"""Which version may break the API of which (semver.org: the minor number while the major is 0)."""

from packaging.version import Version

__all__ = ["may_break"]


def may_break(old: str, new: str) -> bool:
    """Whether `new` may break users of `old`. Raises packaging.version.InvalidVersion."""
    return _promise(Version(new)) > _promise(Version(old))


def _promise(version: Version) -> tuple[int, int]:
    """Versions with the same promise do not break each other."""
    return (version.major, version.minor if version.major == 0 else 0)
