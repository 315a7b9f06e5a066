"""What every page of the dashboard owes its readers, measured in a real browser."""

from urllib.parse import urlsplit

from playwright.sync_api import Page

__all__ = ["Watched", "accessibility_faults", "contrast_faults", "overflow"]

# Text and what it stands on, as WCAG 2.2 computes contrast: 4.5 to 1 for every size.
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (node) => {
    const layers = [];
    for (let n = node; n; n = n.parentElement) {
      const box = n.classList?.contains("node") ? n.querySelector(".box") : null;
      const color = rgba(box ? getComputedStyle(box).fill : getComputedStyle(n).backgroundColor);
      layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => [...over(top, below), 1], [255, 255, 255, 1]);
  };
  const light = (color) => {
    const [r, g, b] = color.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled, .unseen, title, option")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const ink = rgba(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [a, b] = [light(over(ink, below)), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) {
      const said = walker.currentNode.textContent.trim().slice(0, 30);
      const where = `${element.tagName}.${element.getAttribute("class")}`;
      faults.add(`${ratio.toFixed(2)}: ${where} ${said}`);
    }
  }
  return seen ? [...faults] : ["the page has no text"];
}
"""

ACCESSIBILITY = """
() => {
  const faults = [];
  const seen = (node) => node.checkVisibility();
  const named = (node) => {
    const by = (node.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    return node.getAttribute("aria-label")?.trim() || node.labels?.length ||
      by.some((id) => document.getElementById(id)?.textContent.trim()) ||
      node.textContent.trim() || node.querySelector("img[alt]:not([alt=''])");
  };
  for (const node of document.querySelectorAll("input, select, textarea")) {
    const label = node.getAttribute("aria-label") || node.getAttribute("aria-labelledby");
    if (seen(node) && !label && !node.labels.length) faults.push(`no label: ${node.outerHTML}`);
  }
  const acting = "a, button, [role=button], summary, progress, dialog";
  for (const node of document.querySelectorAll(acting))
    if (seen(node) && !named(node)) faults.push(`no name: ${node.outerHTML.slice(0, 200)}`);
  for (const node of document.querySelectorAll("img:not([alt])"))
    faults.push(`no alt: ${node.outerHTML}`);
  for (const node of document.querySelectorAll("table")) {
    if (!node.caption && !named(node)) faults.push("a table without a caption");
    for (const th of node.querySelectorAll("th:not([scope])"))
      faults.push(`no scope: ${th.textContent}`);
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(seen)
    .map((node) => Number(node.tagName[1]));
  if (levels[0] !== 1 || levels.filter((n) => n === 1).length !== 1) faults.push(`h1: ${levels}`);
  if (levels.some((n, i) => i && n > levels[i - 1] + 1)) faults.push(`headings jump: ${levels}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) faults.push(`twice: #${id}`);
  for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
    for (const node of document.querySelectorAll(`[${name}]`))
      for (const id of node.getAttribute(name).split(" "))
        if (!document.getElementById(id)) faults.push(`${name} points nowhere: ${id}`);
  if (document.documentElement.lang !== "en") faults.push("no language");
  if (document.querySelectorAll("main").length !== 1) faults.push("no main");
  for (const node of document.querySelectorAll("[tabindex]"))
    if (node.tabIndex > 0) faults.push("a tab order of its own");
  return faults;
}
"""


class Watched:
    """Hosts that the page has asked, and errors of its console."""

    def __init__(self, page: Page) -> None:
        self.hosts: set[str | None] = set()
        self.errors: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def assert_clean(self) -> None:
        """Nobody but the gateway was asked, and nothing went wrong."""
        assert self.hosts == {"127.0.0.1"}
        assert self.errors == []


def contrast_faults(page: Page) -> list[str]:
    """Visible texts with less than 4.5 to 1."""
    return list(page.evaluate(CONTRAST))


def accessibility_faults(page: Page) -> list[str]:
    """Missing names, labels and captions, headings out of order, references to nothing."""
    return list(page.evaluate(ACCESSIBILITY))


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    found: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found
