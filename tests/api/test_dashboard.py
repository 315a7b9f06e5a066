"""The dashboard as files: how they are served, and what their code may not contain."""

import re
from pathlib import Path

import httpx
import pytest
from api.test_experiments import problem

import forgetscope.api.routes

FOLDER = Path(forgetscope.api.routes.__file__).parents[1] / "dashboard"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def test_the_root_is_the_page_and_lets_no_inline_script_and_no_other_host_in(
    http: httpx.Client,
) -> None:
    page = http.get("/")
    assert page.status_code == 200
    assert page.content == (FOLDER / "index.html").read_bytes()
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy and "*" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=| style=", page.text)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_is_served_with_its_type_and_kept_while_it_is_current(
    http: httpx.Client, path: Path
) -> None:
    address = f"/static/{name(path)}"
    answer = http.get(address)
    assert answer.status_code == 200 and answer.content == path.read_bytes()
    assert answer.headers["content-type"] == TYPES[path.suffix]
    assert answer.headers["cache-control"] == "no-cache"
    again = http.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


@pytest.mark.parametrize(
    "address", ["/static/", "/static/views", "/static/../app.py", "/static/%2e%2e/app.py"]
)
def test_nothing_else_is_served(http: httpx.Client, address: str) -> None:
    problem(http.get(address), 404, "not-found")


def test_the_dashboard_is_no_part_of_the_interface(http: httpx.Client) -> None:
    assert not [
        p
        for p in http.get("/openapi.json").json()["paths"]
        if not p.startswith(("/v1", "/problems"))
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_is_short_says_what_it_is_for_and_names_no_foreign_host(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert code.count("\n") < 300
    assert code.startswith(("/**", "// "))
    assert set(re.findall(r"https?://[^/\"'`]+", code)) <= {"http://www.w3.org"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code)
    for exported in re.finditer(r"^export (async )?(function|class)", code, re.MULTILINE):
        above = code[: exported.start()].rstrip().splitlines()
        assert above and above[-1].endswith("*/"), f"no JSDoc: {code[exported.start() :][:60]}"


def test_every_import_of_a_script_is_there() -> None:
    for path in SCRIPTS:
        for target in re.findall(r"from \"(\.[^\"]+)\"", path.read_text(encoding="utf-8")):
            assert (path.parent / target).resolve() in FILES, f"{name(path)}: {target}"
