// What the generated operations are made of: one method for each kind of answer.

import { PosthouseError } from './errors.js';
import { Pages, type Page } from './pages.js';
import { EventStream, SILENCE } from './stream.js';
import type { Call, Options, Transport } from './transport.js';

/** The kinds of answers. */
export class Api {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** An answer in JSON, or none. */
  call<T>(call: Call, options: Options = {}): Promise<T> {
    return this.#transport.send(call, options, (response) => json<T>(response));
  }

  /** An answer that is text. */
  text(call: Call, options: Options = {}): Promise<string> {
    return this.#transport.send(call, options, (response) => response.text());
  }

  /** An answer that may be large: its body is read by the caller. */
  download(call: Call, options: Options = {}): Promise<Response> {
    return this.#transport.send(call, options, async (response) => response);
  }

  /** A list in pages. */
  pages<T>(call: Call, options: Options = {}): Pages<T> {
    return new Pages((cursor) => {
      const query = cursor === undefined ? call.query : { ...call.query, cursor };
      return this.call<Page<T>>({ ...call, query }, options);
    });
  }

  /** Server-sent events. */
  stream<T>(call: Call, options: Options = {}): EventStream<T> {
    const timeout = options.timeout ?? SILENCE;
    const open = (lastEventId: string | undefined) => {
      const headers = { ...options.headers, ...(lastEventId && { 'Last-Event-ID': lastEventId }) };
      return this.download(call, { ...options, timeout, headers });
    };
    return new EventStream<T>(open, timeout, options.signal);
  }
}

/** The base of all resources. */
export class Resource {
  protected readonly api: Api;

  constructor(api: Api) {
    this.api = api;
  }
}

async function json<T>(response: Response): Promise<T> {
  if (response.status === 204 || response.status === 304) return undefined as T;
  const text = await response.text();
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new PosthouseError('unexpected_answer', 'the answer is not JSON', { cause });
  }
}
