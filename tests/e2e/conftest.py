import shutil
from collections.abc import Iterator

import pytest
from e2e.processes import SPEC, Service, finish, free_port, ready, wait_for
from playwright.sync_api import Browser, Page, sync_playwright

from forgetscope.client import Client


class Embedded:
    """`forgetscope up` in a folder of its own. Audits may call a server at `endpoint`."""

    def __init__(self, folder: "pytest.TempPathFactory", **environment: str) -> None:
        self.home = folder.mktemp("embedded")
        self.models = self.home / "models"
        self.models.mkdir()
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{free_port()}"
        self.client = Client(f"http://127.0.0.1:{port}")
        self.service = Service(
            "up",
            environment={
                "FORGETSCOPE_HOME_DIR": str(self.home),
                "FORGETSCOPE_PORT": str(port),
                "FORGETSCOPE_ENGINES": "transformers",
                "FORGETSCOPE_RESUME_SECONDS": "0.5",
                "FORGETSCOPE_LEASE_SECONDS": "5",
                "FORGETSCOPE_POLL_SECONDS": "0.5",
                "FORGETSCOPE_ALLOWED_ROOTS": str(self.models),
                "FORGETSCOPE_WEBHOOK_HOSTS": "127.0.0.1",
                "FORGETSCOPE_ENDPOINTS": self.endpoint,
                **environment,
            },
            log=self.home / "up.log",
        )
        wait_for("the platform is ready", lambda: ready(self.client), seconds=60)

    def stop(self) -> None:
        self.client.close()
        self.service.stop()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    platform = Embedded(tmp_path_factory)
    yield platform
    platform.stop()


@pytest.fixture(scope="session")
def undisturbed(embedded: Embedded) -> str:
    """The reference experiment, run once without disturbance. Its id on `embedded`."""
    experiment_id = embedded.client.submit(SPEC)
    finish(embedded.client, experiment_id)
    return experiment_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing: run `make servers`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(30_000)
    yield page
    page.close()
