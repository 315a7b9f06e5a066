"""Readers of the deployment files, shared by their tests."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = (
    ROOT / "docker-compose.yml",
    ROOT / "deploy/compose.gpu.yml",
    ROOT / "deploy/compose.seaweedfs.yml",
)
DOCKERFILES = sorted((ROOT / "deploy/docker").glob("*.Dockerfile"))
OURS = ("gateway", "trainer", "evaluator", "analysis")


class _Loader(yaml.SafeLoader):
    """Knows the compose format's own tags, which say how files are merged."""


def _untagged(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


for _tag in ("!override", "!reset"):
    _Loader.add_constructor(_tag, _untagged)


def compose(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return document


def services(path: Path = COMPOSE[0]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose(path)["services"]
    return found


def dockerfile(service: str) -> str:
    """Text of a service's Dockerfile, continued lines joined."""
    path = ROOT / services()[service]["build"]["dockerfile"]
    return re.sub(r"\\\n\s*", "", path.read_text())


def dockerfile_command(service: str) -> list[str]:
    command: list[str] = json.loads(_only(r"^CMD (\[.*\])$", dockerfile(service)))
    return command


def dockerfile_check(service: str) -> list[str]:
    command: list[str] = json.loads(_only(r"^HEALTHCHECK .*?CMD (\[.*\])$", dockerfile(service)))
    return command


def extras_installed(service: str) -> set[str]:
    """Extras that a service's Dockerfile installs the wheel with."""
    found = re.findall(r'\[([a-z,$A-Z-]+)\]"', dockerfile(service))
    return {extra for group in found for extra in group.split(",")}


def _only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return str(found)
