/** The ForgetScope API, typed: `paths` and `components` are generated from its description. */

import createClient, { type Client, type ClientOptions } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, operations, paths } from "./schema.js";
export type Schemas = components["schemas"];
export type ForgetScope = Client<paths>;
export type Followed = "/v1/experiments/{id}/events" | "/v1/audits/{id}/events";

const PAUSE_MS = 500;
const TRIES = 5;

/** A client; every operation answers `{ data, error }`, an `error` being a `Problem`. */
export function forgetscope(baseUrl: string, options: ClientOptions = {}): ForgetScope {
  return createClient<paths>({ baseUrl, ...options });
}

/**
 * The events with an id above `after`, each once and in order, until what they are of is over.
 *
 * A connection that breaks is opened again after the last event received. Throws what the
 * connection threw when that fails five times in a row, and the problem of a refusal.
 */
export async function* events(
  client: ForgetScope,
  path: Followed,
  id: string,
  after = 0,
): AsyncGenerator<Schemas["EventView"]> {
  for (let failures = 0; ; ) {
    let seen = 0;
    try {
      const { data, error } = await client.GET(path, {
        params: { path: { id }, header: { "last-event-id": after } },
        headers: { Accept: "text/event-stream" },
        parseAs: "stream",
      });
      if (error !== undefined) throw new Refused(error);
      for await (const text of dataOf(data as ReadableStream<Uint8Array>)) {
        const event = JSON.parse(text) as Schemas["EventView"];
        [after, failures, seen] = [event.id, 0, seen + 1];
        yield event;
      }
      // A stream also ends when its server shuts down: only an empty one was the last.
      if (seen === 0) return;
    } catch (error) {
      failures += 1;
      if (failures >= TRIES || error instanceof Refused) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** The server refused. */
export class Refused extends Error {
  constructor(readonly problem: Schemas["Problem"]) {
    super(problem.detail);
  }
}

/** The data of each complete event of a stream (WHATWG HTML, section 9.2). */
async function* dataOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  let data: string[] = [];
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines.map((each) => each.replace(/\r$/, ""))) {
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      }
    }
  }
}
