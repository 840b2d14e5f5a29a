// Sends requests: credentials, bodies, timeouts, and trying again where that is safe.

import { ConnectionError, PosthouseError, ProblemError, TimeoutError } from './errors.js';
import type { ChangeOptions, ClientOptions, CreateOptions, RequestOptions } from './options.js';

/** A request as its operation describes it. */
export interface Call {
  method: string;
  path: string;
  query?: object | undefined;
  body?: unknown;
  /** Media type of `body`. */
  type?: string;
  /** The operation takes an Idempotency-Key. */
  keyed?: boolean;
}

/** All options that an operation may have. */
export type Options = RequestOptions & CreateOptions & ChangeOptions;

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;
/** Who asks to wait longer than this is told to the caller. */
const LONGEST_RETRY_AFTER = 60;

interface Prepared {
  url: string;
  init: RequestInit;
  /** Doing it twice is the same as doing it once. */
  repeatable: boolean;
  timeout: number;
}

/** The connection to one server, with one key. */
export class Transport {
  readonly #base: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    if (!options.apiKey) throw new TypeError('apiKey is required');
    if (!/^https?:\/\//.test(options.baseUrl ?? '')) {
      throw new TypeError('baseUrl is required, such as https://mail.example.com');
    }
    this.#base = options.baseUrl.replace(/\/+$/, '');
    this.#options = options;
  }

  /** Sends until there is an answer, and reads it. */
  async send<T>(call: Call, options: Options, read: (response: Response) => Promise<T>): Promise<T> {
    const request = this.#prepare(call, options);
    const retries = options.maxRetries ?? this.#options.maxRetries ?? 3;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#attempt(request, options.signal, read);
      } catch (error) {
        const wait = attempt < retries ? waitFor(error, request, attempt) : undefined;
        if (wait === undefined) throw error;
        await sleep(wait, options.signal);
      }
    }
  }

  #prepare(call: Call, options: Options): Prepared {
    const method = call.method;
    const headers = new Headers({ Accept: 'application/json, */*;q=0.5' });
    headers.set('Authorization', `Bearer ${this.#options.apiKey}`);
    const account = options.account ?? this.#options.account;
    if (account !== undefined) headers.set('Posthouse-Account', account);
    if (options.ifMatch !== undefined) headers.set('If-Match', options.ifMatch);
    // One key for all attempts.
    if (call.keyed) headers.set('Idempotency-Key', options.idempotencyKey ?? randomKey());
    const body = encode(call, headers);
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
    // A redirect would take the key elsewhere: it is an error.
    const init: RequestInit & { duplex?: 'half' } = { method, headers, redirect: 'manual' };
    if (body !== undefined) init.body = body;
    const isStream = body instanceof ReadableStream;
    if (isStream) init.duplex = 'half';
    const repeatable = !isStream && (method !== 'POST' || call.keyed === true);
    const timeout = options.timeout ?? longPoll(call) + (this.#options.timeout ?? 60_000);
    return { url: this.#base + call.path + queryText(call.query), init, repeatable, timeout };
  }

  async #attempt<T>(
    request: Prepared,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), request.timeout);
    const signals = signal ? [signal, late.signal] : [late.signal];
    try {
      const send = this.#options.fetch ?? globalThis.fetch;
      const response = await send(request.url, { ...request.init, signal: AbortSignal.any(signals) });
      if (!response.ok && response.status !== 304) throw await ProblemError.of(response);
      return await read(response);
    } catch (error) {
      signal?.throwIfAborted();
      if (late.signal.aborted) throw new TimeoutError(request.timeout);
      throw error instanceof PosthouseError ? error : new ConnectionError(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The body as fetch takes it; sets its type. */
function encode(call: Call, headers: Headers): BodyInit | undefined {
  if (call.body === undefined || call.type === undefined) return undefined;
  // fetch adds the boundary.
  if (call.type === 'multipart/form-data') return form(call.body as Record<string, unknown>);
  headers.set('Content-Type', call.type);
  return call.type === 'application/json' ? JSON.stringify(call.body) : (call.body as BodyInit);
}

/** Files are parts with a file name, everything else is JSON. */
function form(body: Record<string, unknown>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(body)) {
    const isFiles = Array.isArray(value) && value.every((item) => item instanceof Blob);
    for (const item of isFiles ? value : [value]) {
      if (item instanceof Blob) data.append(name, item);
      else if (item !== undefined) data.append(name, JSON.stringify(item));
    }
  }
  return data;
}

function queryText(query: object | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null) search.append(name, String(item));
    }
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

/** How long the server itself is asked to wait. */
function longPoll(call: Call): number {
  const seconds: unknown = Object.entries(call.query ?? {}).find(([name]) => name === 'timeout_seconds')?.[1];
  return typeof seconds === 'number' ? seconds * 1000 : 0;
}

/** Milliseconds until the next attempt; none when there is none. */
function waitFor(error: unknown, request: Prepared, attempt: number): number | undefined {
  if (request.init.body instanceof ReadableStream) return undefined;
  if (error instanceof ProblemError) {
    // Of a gateway nobody knows whether it has asked the server.
    const isGateway = [502, 504].includes(error.status) && request.repeatable;
    const after = error.retryAfter ?? 0;
    if (!(error.retryable || isGateway) || after > LONGEST_RETRY_AFTER) return undefined;
    return Math.max(after * 1000, backoff(attempt));
  }
  const isNetwork = error instanceof ConnectionError || error instanceof TimeoutError;
  return isNetwork && request.repeatable ? backoff(attempt) : undefined;
}

/** Doubles each time; a part of it is random, so that clients do not come back together. */
export function backoff(attempt: number, first = FIRST_WAIT, longest = LONGEST_WAIT): number {
  return Math.min(first * 2 ** attempt, longest) * (0.5 + Math.random() / 2);
}

/** Waits, unless the signal says otherwise. */
export function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
