// Retries, timeouts and errors, against a server that does what the test says.

import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { ConnectionError, Posthouse, ProblemError, TimeoutError } from 'posthouse';
import { bodyOf, listen } from './support.js';

type Step = (response: ServerResponse, request: IncomingMessage) => void;

const problem = (status: number, code: string, more: object = {}, headers: Record<string, string> = {}): Step =>
  (response) => {
    const body = { type: `/problems/${code}`, title: code, status, detail: code, code, retryable: false, ...more };
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
    response.end(JSON.stringify({ request_id: 'req_1', ...body }));
  };
const answer = (body: object, status = 200): Step => (response) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const breakOff: Step = (response) => response.destroy();

/** A client of a server that takes the steps one after the other, the last one for ever. */
async function scripted(t: TestContext, ...steps: Step[]) {
  const seen: { key: string | undefined; body: string; url: string; headers: IncomingMessage['headers'] }[] = [];
  const { url } = await listen(t, async (request, response) => {
    const body = (await bodyOf(request)).toString();
    const headers = request.headers;
    seen.push({ key: headers['idempotency-key'] as string | undefined, body, url: request.url ?? '', headers });
    (steps[Math.min(seen.length, steps.length) - 1] as Step)(response, request);
  });
  return { seen, url, client: new Posthouse({ baseUrl: `${url}/`, apiKey: 'phk_test', timeout: 5_000 }) };
}

const message = { from: 'a@example.test', to: 'b@example.net', subject: 'Hi', text: 'Hi' };

test('a send that was lost is tried again with the same key and the same body', async (t) => {
  const { client, seen } = await scripted(t, breakOff, problem(503, 'unavailable', { retryable: true }), answer({ id: 'msg_1' }, 202));
  assert.equal((await client.messages.send(message)).id, 'msg_1');
  assert.equal(seen.length, 3);
  assert.match(seen[0]?.key ?? '', /^[0-9a-f]{32}$/);
  assert.deepEqual(new Set(seen.map(({ key }) => key)).size, 1);
  assert.deepEqual(new Set(seen.map(({ body }) => body)), new Set([JSON.stringify(message)]));
});

test('two sends have two keys, and a key of the caller is taken', async (t) => {
  const { client, seen } = await scripted(t, answer({ id: 'msg_1' }, 202));
  await client.messages.send(message);
  await client.messages.send(message);
  await client.messages.send(message, { idempotencyKey: 'order-7' });
  assert.notEqual(seen[0]?.key, seen[1]?.key);
  assert.equal(seen[2]?.key, 'order-7');
});

test('Retry-After is honoured', async (t) => {
  const { client, seen } = await scripted(t, problem(429, 'rate_limited', { retryable: true }, { 'retry-after': '2' }), answer({ status: 'ok' }));
  const begin = Date.now();
  await client.meta.checkHealth();
  assert.equal(seen.length, 2);
  assert.ok(Date.now() - begin >= 1_900, `after ${Date.now() - begin} ms`);
});

test('who asks to wait for long is told to the caller', async (t) => {
  const { client, seen } = await scripted(t, problem(503, 'unavailable', { retryable: true }, { 'retry-after': '3600' }));
  await assert.rejects(client.meta.checkHealth(), (error) => error instanceof ProblemError && error.retryAfter === 3600);
  assert.equal(seen.length, 1);
});

test('what is not repeatable is not repeated after a network fault, only when the server says so', async (t) => {
  const broken = await scripted(t, breakOff);
  await assert.rejects(broken.client.suppressions.check({ addresses: ['a@example.net'] }), ConnectionError);
  assert.equal(broken.seen.length, 1);
  const busy = await scripted(t, problem(503, 'unavailable', { retryable: true }), answer({ data: [] }));
  await busy.client.suppressions.check({ addresses: ['a@example.net'] });
  assert.equal(busy.seen.length, 2);
  const stream = await scripted(t, breakOff);
  const body = () => new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
  await assert.rejects(stream.client.messages.sendRaw(body()), ConnectionError);
  assert.equal(stream.seen.length, 1);
  const full = await scripted(t, problem(503, 'storage_full', { retryable: true }));
  await assert.rejects(full.client.messages.sendRaw(body()), { code: 'storage_full' });
  assert.equal(full.seen.length, 1);
});

test('a refusal is a ProblemError at once, with everything the server says', async (t) => {
  const faults = [{ pointer: '/to/0', code: 'invalid_address', detail: 'the address has no @' }];
  const { client, seen } = await scripted(t, problem(422, 'invalid_input', { errors: faults }));
  const error: unknown = await client.messages.send(message).then(() => assert.fail(), (error: unknown) => error);
  assert.ok(error instanceof ProblemError);
  assert.deepEqual([error.code, error.status, error.requestId, error.retryable], ['invalid_input', 422, 'req_1', false]);
  assert.deepEqual(error.errors, faults);
  assert.match(error.message, /\/to\/0: the address has no @/);
  assert.equal(seen.length, 1);
});

test('retries have an end', async (t) => {
  const { client, seen } = await scripted(t, (response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<p>'));
  await assert.rejects(client.meta.checkHealth({ maxRetries: 1 }), { code: 'unexpected_answer', status: 502 });
  assert.equal(seen.length, 2);
});

test('an answer that does not come is a TimeoutError', async (t) => {
  const { client, seen } = await scripted(t, () => {});
  await assert.rejects(client.meta.checkHealth({ timeout: 100, maxRetries: 1 }), TimeoutError);
  assert.equal(seen.length, 2);
});

test('an abort ends the request, and the wait for the next attempt', async (t) => {
  const { client } = await scripted(t, () => {});
  await assert.rejects(client.meta.checkHealth({ signal: AbortSignal.timeout(50) }), { name: 'TimeoutError', code: 23 });
  const busy = await scripted(t, problem(503, 'unavailable', { retryable: true }, { 'retry-after': '30' }));
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 100);
  await assert.rejects(busy.client.meta.checkHealth({ signal: stop.signal }), { message: 'enough' });
  assert.equal(busy.seen.length, 1);
});

test('a redirect is not followed: it would take the key elsewhere', async (t) => {
  const other = await scripted(t, answer({ status: 'ok' }));
  const { client } = await scripted(t, (response) => response.writeHead(307, { location: `${other.url}/healthz` }).end());
  await assert.rejects(client.meta.checkHealth(), { code: 'unexpected_answer', status: 307 });
  assert.equal(other.seen.length, 0);
});

test('ids, queries and header fields are written as they must be', async (t) => {
  const { client, seen } = await scripted(t, answer({ id: 'msg_1', data: [], has_more: false }));
  await client.messages.get('../accounts?x=1#y');
  await client.messages.sendRaw('Subject: x\r\n\r\n', { to: ['a@example.net', 'b+c@example.net'], sandbox: true });
  await client.mail.update('mail_1', { add_flags: ['\\Seen'] }, { ifMatch: '"7"', account: 'acc_1', headers: { 'X-Own': '1' } });
  assert.equal(seen[0]?.url, '/v1/messages/..%2Faccounts%3Fx%3D1%23y');
  assert.equal(seen[0]?.headers.authorization, 'Bearer phk_test');
  assert.equal(seen[1]?.url, '/v1/messages/raw?to=a%40example.net&to=b%2Bc%40example.net&sandbox=true');
  assert.equal(seen[1]?.headers['content-type'], 'message/rfc822');
  const own = ['if-match', 'posthouse-account', 'x-own'].map((name) => seen[2]?.headers[name]);
  assert.deepEqual(own, ['"7"', 'acc_1', '1']);
});

test('a client without a key or an address is refused', () => {
  assert.throws(() => new Posthouse({ apiKey: '', baseUrl: 'http://x' }), /apiKey/);
  assert.throws(() => new Posthouse({ apiKey: 'phk_x', baseUrl: 'mail.example.com' }), /baseUrl/);
});
