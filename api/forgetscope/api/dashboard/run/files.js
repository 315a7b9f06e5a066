/** What a run that has succeeded offers: report, results, figures, tables. */

import { get } from "../api.js";
import { fmtBytes, h } from "../dom.js";
import { fileAddress } from "./detail.js";

/**
 * The files of the latest stage of a kind.
 *
 * @param {Object} run of live.js
 * @param {string} kind of the stage
 * @returns {Promise<{path: string, href: string, size: number, type: string}[]>}
 */
export async function filesOf(run, kind) {
  const options = { signal: run.signal };
  const { items } = await get(`${run.path}/stages`, { kind, limit: 200 }, options);
  if (items.length === 0) return [];
  const stage = await get(`${run.path}/stages/${items.at(-1).key}`, {}, options);
  return Object.entries(stage.manifest?.files ?? {}).map(([path, blob]) => ({
    path,
    href: fileAddress(run.path, stage.key, path),
    size: blob.size,
    type: blob.media_type,
  }));
}

/**
 * The doors to the report and to the numbers.
 *
 * @param {Object} run
 * @param {...*} more further buttons
 * @returns {HTMLElement}
 */
export function doors(run, ...more) {
  return h(
    "p",
    { class: "actions flush" },
    h("a", { class: "button primary", href: `${run.path}/report`, target: "_blank", rel: "noopener" }, "Open the report"),
    h("a", { class: "button", href: `${run.path}/results`, download: `${run.view.id}.json` }, "Results as JSON"),
    more,
  );
}

/**
 * The report's figures: each opens as a file, and stands on white in dark colours, too.
 *
 * @param {{path: string, href: string}[]} files of the stage that writes the report
 * @returns {HTMLElement[]|null}
 */
export function figures(files) {
  const drawn = files.filter(({ path }) => path.startsWith("figures/") && path.endsWith(".svg"));
  if (drawn.length === 0) return null;
  return [
    h("h3", {}, "Figures"),
    h("div", { class: "figures" }, drawn.map(({ path, href }) => {
      const name = figureName(path);
      return h(
        "figure",
        {},
        h("img", { src: href, alt: `Figure: ${name}; the report has its numbers as tables`, loading: "lazy" }),
        h(
          "figcaption",
          {},
          name, " · ",
          h("a", { href, download: true }, "SVG", h("span", { class: "unseen" }, ` of ${name}`)), " ",
          h("a", { href: href.replace(/svg$/, "png"), download: true }, "PNG", h("span", { class: "unseen" }, ` of ${name}`)),
        ),
      );
    })),
  ];
}

function figureName(path) {
  const name = path.replace(/^figures\//, "").replace(/\.svg$/, "").replaceAll(/[-_]/g, " ");
  return name.charAt(0).toUpperCase() + name.slice(1).replace(/(\d+)$/, " $1");
}

/**
 * Tables for spreadsheets.
 *
 * @param {{path: string, href: string, size: number}[]} files
 * @returns {HTMLElement|null}
 */
export function tables(files) {
  const found = files.filter(({ path }) => path.endsWith(".csv"));
  if (found.length === 0) return null;
  return h(
    "details",
    {},
    h("summary", {}, found.length === 1 ? "One table as CSV file" : `${found.length} tables as CSV files`),
    h("ul", { class: "files" }, found.map(({ path, href, size }) =>
      h("li", {}, h("a", { href, download: true }, path), " ", h("span", { class: "soft small nowrap" }, fmtBytes(size))),
    )),
  );
}
