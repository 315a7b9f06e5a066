/** The gateway's interface, as every other client has it: JSON, pages by cursor, events. */

/** A request that did not succeed; `problem` is RFC 9457, also where no answer came at all. */
export class ApiError extends Error {
  /** @param {{type: string, title: string, status: number, detail: string, hint?: string,
   *   instance?: string, errors?: {pointer: string, detail: string}[]}} problem */
  constructor(problem) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.problem = problem;
  }

  /** Whether the gateway did not answer: the request may be worth repeating. */
  get unreachable() {
    return this.problem.status === 0;
  }
}

/**
 * GET as JSON.
 *
 * @param {string} path from the root, such as "/v1/experiments"
 * @param {Object<string, *>} [params] of the query; null, undefined and "" are left out
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<*>}
 * @throws {ApiError}
 */
export function get(path, params = {}, { signal } = {}) {
  return request("GET", withQuery(path, params), { signal });
}

/**
 * POST of a JSON body.
 *
 * @param {string} path with its query, if it has one
 * @param {*} [body] a value, sent as JSON; undefined sends none
 * @param {{idempotencyKey?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<*>}
 * @throws {ApiError}
 */
export function post(path, body, { idempotencyKey, signal } = {}) {
  const headers = idempotencyKey ? { "Idempotency-Key": idempotencyKey } : {};
  if (body === undefined) return request("POST", path, { headers, signal });
  headers["Content-Type"] = "application/json";
  return request("POST", path, { headers, signal, body: JSON.stringify(body) });
}

/**
 * DELETE.
 *
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options]
 * @throws {ApiError}
 */
export async function del(path, { signal } = {}) {
  await request("DELETE", path, { signal });
}

/**
 * The items of a paged list, page after page.
 *
 * @param {string} path
 * @param {Object<string, *>} [params]
 * @param {{signal?: AbortSignal}} [options]
 * @yields {*}
 * @throws {ApiError}
 */
export async function* pages(path, params = {}, options = {}) {
  let cursor = null;
  do {
    const page = await get(path, { ...params, cursor }, options);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor);
}

/**
 * `path` with a query.
 *
 * @param {string} path
 * @param {Object<string, *>} params
 * @returns {string}
 */
export function withQuery(path, params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.append(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

async function request(method, url, { headers = {}, body, signal }) {
  const asked = { method, body, signal, cache: "no-store" };
  let answer, text;
  try {
    answer = await fetch(url, { ...asked, headers: { Accept: "application/json", ...headers } });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(UNREACHABLE);
  }
  const value = parsed(text);
  if (answer.ok) return value;
  throw new ApiError(
    value?.title
      ? value
      : {
          type: "about:blank",
          title: `The answer was ${answer.status} ${answer.statusText}`.trim(),
          status: answer.status,
          detail: "It does not say why; it may come from a proxy before the gateway.",
        },
  );
}

const UNREACHABLE = {
  type: "about:blank",
  title: "The gateway does not answer",
  status: 0,
  detail: "The request did not get through, or its answer broke off.",
  hint: "Is the platform running? What was submitted goes on without this page.",
};

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

/**
 * Follows server-sent events. A lost connection is taken up again after the last event that came,
 * with growing pauses, until it is closed. A hidden page lets go of it meanwhile: browsers allow
 * few connections to one host.
 *
 * @param {string} path of the events
 * @param {{onEvent: function(Object): void, onState?: function("connected"|"reconnecting"): void,
 *   after?: number, types: string[]}} handlers `onEvent` gets an EventView; `types` are the event
 *   types that are listened to; `after` is the last event that is known already
 * @returns {function(): void} close
 */
export function events(path, { onEvent, onState = () => {}, after = 0, types }) {
  let [source, timer, wait, closed] = [null, 0, FIRST_WAIT, false];

  const open = () => {
    source = new EventSource(withQuery(path, { after }));
    source.onopen = () => {
      wait = FIRST_WAIT;
      onState("connected");
    };
    source.onerror = () => {
      // The browser would go on by itself, but not after an answer such as 502.
      source.close();
      if (closed) return;
      onState("reconnecting");
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    };
    const received = (message) => {
      const event = JSON.parse(message.data);
      after = event.id;
      if (!closed) onEvent(event);
    };
    for (const type of types) source.addEventListener(type, received);
  };

  const release = () => {
    clearTimeout(timer);
    source?.close();
  };
  const turned = () => {
    release();
    if (!document.hidden) open();
  };
  document.addEventListener("visibilitychange", turned);
  if (!document.hidden) open();
  return () => {
    closed = true;
    document.removeEventListener("visibilitychange", turned);
    release();
  };
}
