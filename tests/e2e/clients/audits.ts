/** `node audits.js URL BEFORE AFTER`: the audits of test_clients.py, told as JSON. */

import { events, forgetscope, type Schemas } from "./index.js";

type Spec = Schemas["AuditSpec-Input"];
type Model = Schemas["LocalModel"];

const [url, before, after] = process.argv.slice(2) as [string, string, string];
const client = forgetscope(url);

const local = (path: string): Model => ({ source: "local", path });

function spec(candidate: string, n: number | null): Spec {
  return {
    name: "audit from TypeScript",
    reference: local(before),
    candidate: local(candidate),
    tasks: [{ name: "synthetic_safety", id: "safety", evaluation_examples: n }],
    policy: { name: "release", tasks: [{ task: "safety", margin: 0.15, group_margin: 0.1 }] },
    evaluation: { engine: "transformers", noise_floor: null },
  };
}

async function submit(body: Spec): Promise<string> {
  const header = { "idempotency-key": crypto.randomUUID() };
  const sent = await client.POST("/v1/audits", { params: { header }, body });
  if (sent.error !== undefined) throw new Error(sent.error.detail);
  if (!("id" in sent.data)) throw new Error("this is a plan");
  return sent.data.id;
}

async function audit(candidate: string, n: number | null = null) {
  const id = await submit(spec(candidate, n));
  const seen: Schemas["EventView"][] = [];
  for await (const event of events(client, "/v1/audits/{id}/events", id)) seen.push(event);
  const params = { path: { id } };
  const { data: view } = await client.GET("/v1/audits/{id}", { params });
  const { data: results } = await client.GET("/v1/audits/{id}/results", { params });
  if (view === undefined || results === undefined) throw new Error(`audit ${id} has no results`);
  return {
    id,
    state: view.state,
    outcome: results.outcome,
    breached: results.rows.filter((row) => row.verdict === "breach").map((row) => row.group),
    needs: results.rows.flatMap((row) => (row.need?.items ? [row.need.items - row.items] : [])),
    events: seen.map((event) => event.id),
    last: seen.at(-1)?.type,
  };
}

/** The ids of the events that a stream which is opened again begins with. */
async function resumed(id: string, last: number): Promise<number[]> {
  const answer = await fetch(`${url}/v1/audits/${id}/events`, {
    headers: { Accept: "text/event-stream", "Last-Event-ID": String(last) },
  });
  return [...(await answer.text()).matchAll(/^id: (\d+)/gm)].map((found) => Number(found[1]));
}

async function listed(): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const query = cursor === undefined ? { limit: 1 } : { limit: 1, cursor };
    const { data } = await client.GET("/v1/audits", { params: { query } });
    if (data === undefined) throw new Error("there is no list");
    ids.push(...data.items.map((item) => item.id));
    if (data.next_cursor == null) return ids;
    cursor = data.next_cursor;
  }
}

const breach = await audit(after);
const pass = await audit(before);
const small = await audit(before, 40);
const refused = await client.POST("/v1/audits", { body: { ...spec(after, null), tasks: [] } });
console.log(
  JSON.stringify({
    breach,
    pass,
    small,
    resumed: await resumed(breach.id, 3),
    listed: await listed(),
    problem: refused.error,
  }),
);
