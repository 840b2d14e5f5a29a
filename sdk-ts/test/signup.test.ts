// The example application, end to end: delivered, bounced, answered.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { client, deliver, eventually, localserve } from './support.js';

test('people who sign up are reached, or not, and get answers', async (t) => {
  const { http_url, api_key, account } = localserve();
  const path = '../../../examples/signup/dist/app.js';
  const { Signup } = await import(path);
  const app = new Signup({ baseUrl: http_url, apiKey: api_key, from: account.address });
  const server = app.server().listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await app.subscribe(url);
  const signUp = (email: string) => fetch(url, { method: 'POST', body: new URLSearchParams({ email }) });
  const state = (user: string, state: string) => eventually(() => (app.users.get(user).state === state ? app.users.get(user) : undefined));

  const good = await (await signUp('delivered@example.net')).json();
  await state(good, 'reached');
  const bad = await (await signUp('bounce+550@example.net')).json();
  assert.match((await state(bad, 'unreachable')).note, /refuses this recipient/);
  assert.equal((await signUp('no address')).status, 422);

  const posthouse = client();
  const [sent] = (await posthouse.messages.list({ tag: 'signup', to: 'delivered@example.net' })).data;
  const answer = `From: delivered@example.net\nSubject: Re: Welcome\nMessage-ID: <a${Date.now()}@example.net>\nIn-Reply-To: ${sent?.message_id}\n\nHow?`;
  assert.equal(app.users.get(good).state, 'reached');
  await deliver('delivered@example.net', account.address, answer);
  assert.match((await state(good, 'answered')).note, /How\?/);
  const reply = await posthouse.sandbox.waitForMessage({ recipient: 'delivered@example.net', subject: 'Re: Welcome', timeout_seconds: 20 });
  assert.equal(reply.recipient, 'delivered@example.net');

  const forged = await fetch(`${url}/hook`, { method: 'POST', body: '{"type":"delivery.failed"}' });
  assert.deepEqual([forged.status, await forged.json()], [400, 'headers_missing']);
  assert.equal(app.users.size, 2);
});
