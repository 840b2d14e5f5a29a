// Checks webhook requests (Standard Webhooks: HMAC-SHA256 or Ed25519 over `id.timestamp.body`).

import { PosthouseError } from './errors.js';
import type { AnyEvent } from './generated/operations.gen.js';

/** Why a webhook request is refused. */
export type WebhookErrorCode =
  | 'headers_missing'
  | 'timestamp_invalid'
  | 'timestamp_too_old'
  | 'timestamp_in_future'
  | 'secret_invalid'
  | 'signature_invalid'
  | 'replayed'
  | 'body_invalid';

/** A webhook request that is not to be trusted, or was seen before. */
export class WebhookError extends PosthouseError {
  declare readonly code: WebhookErrorCode;

  constructor(code: WebhookErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** Header fields, as `fetch` or as Node has them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/** How to check. */
export interface VerifyOptions {
  /** How far the time of the request may be from now, in seconds; 300 by default. */
  toleranceSeconds?: number | undefined;
  /** The time now, for tests. */
  now?: Date | undefined;
  /**
   * Whether the event with this id was handled already: then the request is refused as `replayed`.
   * Posthouse repeats an event when it did not get your answer, so answer that with 2xx as well.
   */
  seen?: ((id: string) => boolean | Promise<boolean>) | undefined;
}

/**
 * Checks a webhook request and gives its event.
 *
 * @param headers header fields of the request
 * @param body the body as it came: not parsed and written again
 * @param secret `whsec_…` of the endpoint, or its public key `whpk_…`; several while one is being replaced
 * @throws {WebhookError} when the request is not to be trusted
 */
export async function verify(
  headers: WebhookHeaders,
  body: string | Uint8Array | ArrayBuffer,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<AnyEvent> {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    field(headers, name),
  );
  if (!id || !timestamp || !signatures) {
    throw new WebhookError('headers_missing', 'webhook-id, webhook-timestamp and webhook-signature are required');
  }
  checkTime(timestamp, options);
  const octets = typeof body === 'string' ? encoder.encode(body) : new Uint8Array(body);
  const content = join(encoder.encode(`${id}.${timestamp}.`), octets);
  const keys = await Promise.all([secret].flat().map(importKey));
  if (!(await anyMatches(keys, signatures, content))) {
    throw new WebhookError('signature_invalid', 'no signature of the request is made with the secret');
  }
  if (await options.seen?.(id)) throw new WebhookError('replayed', `the event ${id} was handled already`);
  return parse(octets);
}

const encoder = new TextEncoder();
/** More signatures than any server sends while it replaces a secret. */
const MOST_SIGNATURES = 16;

function field(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return Array.isArray(found) ? found.join(' ') : found;
}

function checkTime(timestamp: string, options: VerifyOptions): void {
  if (!/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookError('timestamp_invalid', 'webhook-timestamp is not a number of seconds');
  }
  const tolerance = options.toleranceSeconds ?? 300;
  const age = (options.now ?? new Date()).getTime() / 1000 - Number(timestamp);
  if (age > tolerance) {
    throw new WebhookError('timestamp_too_old', 'the request is old: somebody may be repeating it');
  }
  if (age < -tolerance) {
    throw new WebhookError('timestamp_in_future', 'the request is from the future: check the clocks');
  }
}

function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined;
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** A kind of signature: what its secrets and its signatures begin with. */
interface Scheme {
  secret: string;
  signature: string;
  algorithm: AlgorithmIdentifier | HmacImportParams;
  isLength: (octets: number) => boolean;
}

const SCHEMES: readonly Scheme[] = [
  {
    secret: 'whsec_',
    signature: 'v1,',
    algorithm: { name: 'HMAC', hash: 'SHA-256' },
    isLength: (octets) => octets >= 24 && octets <= 64,
  },
  { secret: 'whpk_', signature: 'v1a,', algorithm: 'Ed25519', isLength: (octets) => octets === 32 },
];

interface Key {
  scheme: Scheme;
  key: CryptoKey;
}

async function importKey(secret: string): Promise<Key> {
  const scheme = SCHEMES.find((known) => secret.startsWith(known.secret));
  const bytes = scheme && decode(secret.slice(scheme.secret.length));
  if (!bytes || !scheme.isLength(bytes.length)) {
    const expected = 'a secret is whsec_ and the base64 of 24 to 64 octets, or a public key: whpk_ and that of 32';
    throw new WebhookError('secret_invalid', expected);
  }
  return { scheme, key: await crypto.subtle.importKey('raw', bytes, scheme.algorithm, false, ['verify']) };
}

async function anyMatches(keys: Key[], header: string, content: Uint8Array<ArrayBuffer>): Promise<boolean> {
  for (const text of header.split(' ').slice(0, MOST_SIGNATURES)) {
    for (const { scheme, key } of keys.filter((one) => text.startsWith(one.scheme.signature))) {
      const signature = decode(text.slice(scheme.signature.length));
      if (signature && (await crypto.subtle.verify(key.algorithm, key, signature, content))) return true;
    }
  }
  return false;
}

function join(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(head.length + tail.length);
  all.set(head);
  all.set(tail, head.length);
  return all;
}

function parse(octets: Uint8Array): AnyEvent {
  try {
    const event: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(octets));
    if (typeof (event as AnyEvent | null)?.type === 'string') return event as AnyEvent;
  } catch (cause) {
    throw new WebhookError('body_invalid', 'the body is not JSON', { cause });
  }
  throw new WebhookError('body_invalid', 'the body is not an event');
}
