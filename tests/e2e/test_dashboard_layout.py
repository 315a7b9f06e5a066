"""Where the dashboard's graph puts the stages of a plan, asked of its own module in a browser."""

import pytest
from e2e.conftest import Embedded
from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.timeout(600),
    # Playwright's event loop outlives a test by design.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

LAYOUT = """
async ([stages, copies]) => {
  const { layout } = await import("/static/run/layout.js");
  const all = [...Array(copies).keys()].flatMap((n) => stages.map((s) => ({
    ...s, key: s.key + n,
    inputs: Object.fromEntries(Object.entries(s.inputs).map(([role, key]) => [role, key + n])),
  })));
  const { nodes, edges } = layout(all);
  const reaches = (from, to, skip) => edges.some((e) => e !== skip && e.from === from &&
    (e.to === to || reaches(e.to, to, skip)));
  return {
    nodes: nodes.length, edges: edges.length,
    keys: nodes.reduce((sum, node) => sum + node.keys.length, 0),
    backwards: edges.filter((e) => e.from.x + e.from.width >= e.to.x).length,
    overlaps: nodes.filter((a) => nodes.some((b) => a !== b && a.x === b.x &&
      a.y < b.y + b.height && b.y < a.y + a.height)).length,
    implied: copies > 1 ? 0 : edges.filter((e) => reaches(e.from, e.to, e)).length,
  };
}
"""


def test_the_layout_of_many_stages_goes_from_left_to_right_and_joins_them(
    embedded: Embedded, undisturbed: str, browser: Browser
) -> None:
    page = browser.new_page()
    page.goto(f"{embedded.client.base_url}/")
    stages = [s.model_dump(mode="json") for s in embedded.client.stages(undisturbed)]
    measured = page.evaluate(LAYOUT, [stages, 1])
    assert measured["nodes"] == len(stages)
    assert measured["backwards"] == measured["overlaps"] == measured["implied"] == 0
    assert measured["edges"] >= len(stages) - 1
    many = page.evaluate(LAYOUT, [stages, 20])
    assert many["nodes"] < 30 and many["keys"] == 20 * len(stages)
    assert many["backwards"] == many["overlaps"] == 0
    page.close()
