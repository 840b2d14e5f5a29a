// What a caller may say: once for the client, and for each request.

/** Settings of a client. */
export interface ClientOptions {
  /** The key of an application, `phk_…`. */
  apiKey: string;
  /** Where the server is, such as `https://mail.example.com`. */
  baseUrl: string;
  /** The account to act for, `acc_…`: for administrators only. */
  account?: string | undefined;
  /** How long one attempt may take, in milliseconds; 60 000 by default. */
  timeout?: number | undefined;
  /** How often a request is tried again; 3 by default. */
  maxRetries?: number | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof fetch | undefined;
}

/** Settings of one request. */
export interface RequestOptions {
  /** Cancels the request, also while it waits to be tried again. */
  signal?: AbortSignal | undefined;
  /**
   * How long one attempt may take, in milliseconds. Of a stream: how long it may be silent; 45 000
   * by default, since the server says something every 15 seconds.
   */
  timeout?: number | undefined;
  /** How often it is tried again. */
  maxRetries?: number | undefined;
  /** The account to act for, `acc_…`: for administrators only. */
  account?: string | undefined;
  /** Further header fields, such as `Range` or `If-None-Match`. */
  headers?: Record<string, string> | undefined;
}

/** Settings of a request that creates something. */
export interface CreateOptions extends RequestOptions {
  /**
   * The same key again within 24 hours gets the same answer, and nothing is done twice. Made for
   * each call by default, so that its own retries are safe.
   */
  idempotencyKey?: string | undefined;
}

/** Settings of a request that changes something. */
export interface ChangeOptions extends RequestOptions {
  /** Only when it still has this `ETag`; otherwise `precondition_failed`. */
  ifMatch?: string | undefined;
}

/** A body that is sent as it is. A stream cannot be tried again. */
export type RawBody = string | Uint8Array<ArrayBuffer> | ArrayBuffer | Blob | ReadableStream<Uint8Array>;
