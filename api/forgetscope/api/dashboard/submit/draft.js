/** What has been filled in, kept in this browser's tab, with the key under which it is sent. */

/** One kind's draft. Where storage is forbidden, it lasts as long as the page. */
export class Draft {
  #name;
  #kept = {};

  /** @param {"experiment"|"audit"} kind */
  constructor(kind) {
    this.#name = `forgetscope.draft.${kind}`;
    try {
      this.#kept = JSON.parse(sessionStorage.getItem(this.#name) ?? "{}");
    } catch {
      // A draft that cannot be read is none.
    }
  }

  /** The document's text, or undefined. */
  get text() {
    return this.#kept.text;
  }

  /** @param {string} text of the document, JSON or on the way to it */
  save(text) {
    this.#store({ ...this.#kept, text });
  }

  /**
   * The Idempotency-Key of a document: the same for the same document, however often it is sent.
   *
   * @param {Object} document
   * @returns {string}
   */
  keyOf(document) {
    const sent = JSON.stringify(document);
    if (this.#kept.sent !== sent) this.#store({ ...this.#kept, sent, key: freshKey() });
    return this.#kept.key;
  }

  /** Forgets everything: the run has been recorded. */
  clear() {
    this.#store({});
  }

  #store(kept) {
    this.#kept = kept;
    try {
      sessionStorage.setItem(this.#name, JSON.stringify(kept));
    } catch {
      // It lasts as long as the page then.
    }
  }
}

function freshKey() {
  // Not crypto.randomUUID: that is missing on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
