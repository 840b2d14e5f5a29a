// Posthouse, the self-hosted email platform: its whole HTTP API.

import { Api } from './api.js';
import { Resources } from './generated/operations.gen.js';
import type { ClientOptions } from './options.js';
import { Transport } from './transport.js';
import { verify } from './webhooks.js';

export { ConnectionError, PosthouseError, ProblemError, TimeoutError } from './errors.js';
export type * from './generated/operations.gen.js';
export type { ChangeOptions, ClientOptions, CreateOptions, RawBody, RequestOptions } from './options.js';
export type { Page, Pages } from './pages.js';
export type { EventStream } from './stream.js';
export { WebhookError } from './webhooks.js';
export type { VerifyOptions, WebhookErrorCode, WebhookHeaders } from './webhooks.js';
/** What a receiver of webhooks needs; no client, no key. */
export const webhooks = { verify };

/** A client of one server, with one key. */
export class Posthouse extends Resources {
  constructor(options: ClientOptions) {
    super(new Api(new Transport(options)));
  }
}
