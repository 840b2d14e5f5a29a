// The operations against a running server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnyEvent, Posthouse, ProblemError, WebhookError, webhooks } from 'posthouse';
import { bodyOf, client, deliver, eventually, listen, localserve } from './support.js';

const posthouse = client();
const me = localserve().account.address;
const message = (subject: string, to = 'delivered@example.net') => ({ from: me, to, subject, text: 'Hello' });
const problem = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code;

async function delivery(id: string) {
  return eventually(async () => {
    const { data } = await posthouse.messages.listDeliveries(id);
    return data.find(({ status }) => status !== 'queued' && status !== 'deferred');
  });
}

test('a message is sent, delivered, found and downloaded', async () => {
  const sent = await posthouse.messages.send({ ...message('One'), tags: ['one'], metadata: { user: '42' } });
  const { status, attempts } = await delivery(sent.id);
  assert.equal(status, 'delivered');
  assert.equal(attempts[0]?.smtp_code, 250);
  const found = await posthouse.messages.list({ tag: 'one' });
  assert.deepEqual(found.data.map(({ id, metadata }) => [id, metadata]), [[sent.id, { user: '42' }]]);
  const raw = await posthouse.messages.download(sent.id);
  assert.match(await raw.text(), /^Subject: One\r$/m);
  const part = await posthouse.messages.download(sent.id, { headers: { Range: 'bytes=0-3' } });
  assert.equal((await part.arrayBuffer()).byteLength, 4);
  const same = { headers: { 'If-None-Match': raw.headers.get('etag') ?? '' } };
  assert.equal((await posthouse.messages.download(sent.id, same)).status, 304);
  const bounced = await posthouse.messages.send(message('Bounce', 'bounce+550@example.net'));
  assert.equal((await delivery(bounced.id)).status, 'failed');
});

test('the same key sends once, another message with it is refused', async () => {
  const options = { idempotencyKey: `test-${Date.now()}` };
  const first = await posthouse.messages.send(message('Once'), options);
  assert.equal((await posthouse.messages.send(message('Once'), options)).id, first.id);
  await assert.rejects(posthouse.messages.send(message('Twice'), options), problem('idempotency_key_reused'));
});

test('problems come with their codes and all faults', async () => {
  await assert.rejects(posthouse.messages.get('msg_01k6h3v9x8e7ktq2w5m4n1r000'), problem('not_found'));
  const wrong = posthouse.messages.send({ from: 'x', to: ['y', 'z@example.net'], tags: [''] });
  const error: unknown = await wrong.then(() => assert.fail(), (error: unknown) => error);
  assert.ok(error instanceof ProblemError && error.code === 'invalid_input');
  const pointers = error.errors.map(({ pointer }) => pointer);
  assert.ok(pointers.includes('/from') && pointers.includes('/to/0'), String(pointers));
  assert.match(error.requestId ?? '', /^req_/);
  const stranger = new Posthouse({ baseUrl: localserve().http_url, apiKey: 'phk_wrong' });
  await assert.rejects(stranger.messages.list().then(), problem('invalid_credentials'));
  await assert.rejects(posthouse.accounts.list().then(), problem('forbidden'));
  assert.equal((await posthouse.meta.describeProblem('forbidden')).status, 403);
});

test('files go as parts of a form, and a message goes as it is', async () => {
  const files = [new File(['a,b\n'], 'a.csv', { type: 'text/csv' }), new File(['{}'], 'b.json')];
  const options = { idempotencyKey: `form-${Date.now()}` };
  const send = () => posthouse.messages.sendMultipart({ message: message('Files'), files }, options);
  const sent = await send();
  assert.equal((await send()).id, sent.id, 'each attempt has another boundary');
  const raw = await (await posthouse.messages.download(sent.id)).text();
  assert.match(raw, /a\.csv/);
  assert.match(raw, /b\.json/);
  const own = `From: ${me}\r\nTo: delivered@example.net\r\nSubject: Raw\r\n\r\nHello\r\n`;
  for (const body of [own, new TextEncoder().encode(own), new Blob([own]), new Blob([own]).stream()]) {
    const { id } = await posthouse.messages.sendRaw(body, { to: ['delivered@example.org'], tags: ['raw'] });
    assert.equal((await delivery(id)).recipient, 'delivered@example.org');
  }
});

test('a list is walked through all its pages', async () => {
  for (let count = 0; count < 5; count += 1) await posthouse.messages.send({ ...message(`P${count}`), tags: ['paged'] });
  const subjects: string[] = [];
  for await (const { subject } of posthouse.messages.list({ tag: 'paged', limit: 2 })) subjects.push(subject);
  assert.deepEqual(subjects, ['P4', 'P3', 'P2', 'P1', 'P0']);
  const names = (await posthouse.mailboxes.list()).data.map(({ name }) => name);
  assert.ok(names.includes('Inbox'), String(names));
});

test('events come as they happen, typed, and resume', async (t) => {
  const { id } = await posthouse.messages.send(message('Streamed'));
  await delivery(id);
  const from = (await posthouse.messages.listEvents(id)).data.map(({ seq }) => seq).sort((a, b) => a - b);
  const first = from[0] ?? assert.fail();
  const kinds: AnyEvent['type'][] = [];
  for await (const event of posthouse.events.stream({ types: 'message.*,delivery.*', after: first - 1 })) {
    if (!('message_id' in event.data) || event.data.message_id !== id) continue;
    kinds.push(event.type);
    if (event.type === 'delivery.delivered') {
      assert.equal(event.data.recipient, 'delivered@example.net');
      break;
    }
  }
  assert.deepEqual(kinds, ['message.accepted', 'delivery.delivered']);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const silent = posthouse.events.stream({ types: 'webhook.disabled' }, { signal: stop.signal });
  const never = silent[Symbol.asyncIterator]().next();
  // It can resume before the first event.
  await eventually(() => silent.lastEventId);
  const changes = posthouse.mail.streamChanges({}, { signal: stop.signal });
  const change = changes[Symbol.asyncIterator]().next();
  await eventually(() => changes.lastEventId);
  await deliver('bob@example.org', me, 'From: bob@example.org\nSubject: Change\n\nHi');
  assert.ok((await change).value?.mail.created.length);
  stop.abort();
  await assert.rejects(never, { name: 'AbortError' });
});

test('mail comes in, is read, changed and answered', async () => {
  await deliver('bob@example.org', me, 'From: Bob <bob@example.org>\nSubject: Inquiry\nMessage-ID: <q1@example.org>\n\nWhy?');
  const mail = await posthouse.mail.wait({ subject: 'Inquiry', timeout_seconds: 20 });
  assert.match(await posthouse.mail.getText(mail.id), /Why\?/);
  const answer = await posthouse.mail.reply(mail.id, { text: 'Because.' });
  assert.match(await (await posthouse.messages.download(answer.id)).text(), /^In-Reply-To: <q1@example\.org>\r$/m);
  await posthouse.mail.delete(mail.id, { permanent: true });
  await assert.rejects(posthouse.mail.get(mail.id), problem('not_found'));
});

test('suppressions are imported and exported as CSV', async () => {
  const { created, faults } = await posthouse.suppressions.import('address,reason\nx@example.net,manual\n');
  assert.deepEqual([created, faults], [1, []]);
  const csv = await (await posthouse.suppressions.export()).text();
  assert.match(csv, /x@example\.net/);
  const { data } = await posthouse.suppressions.check({ addresses: ['x@example.net', 'y@example.net'] });
  assert.deepEqual(data.map(({ suppressed }) => suppressed), [true, false]);
});

test('a webhook is verified, and a changed one is refused', async (t) => {
  const requests: { headers: Record<string, string | string[] | undefined>; body: Buffer }[] = [];
  const { url } = await listen(t, async (request, response) => {
    requests.push({ headers: request.headers, body: await bodyOf(request) });
    response.writeHead(204).end();
  });
  const hook = await posthouse.webhooks.create({ url, event_types: ['webhook.test'] });
  await posthouse.webhooks.test(hook.id);
  const { headers, body } = await eventually(() => requests[0]);
  const event = await webhooks.verify(headers, body, hook.secret);
  assert.ok(event.type === 'webhook.test' && event.data.webhook_id === hook.id);
  const changed = webhooks.verify(headers, body.toString().replace(event.id, 'evt_x'), hook.secret);
  await assert.rejects(changed, (error) => error instanceof WebhookError && error.code === 'signature_invalid');
  await posthouse.webhooks.delete(hook.id);
});

test('an administrator acts for the whole server', async () => {
  const { http_url, admin_api_key } = localserve();
  const admin = new Posthouse({ baseUrl: http_url, apiKey: admin_api_key });
  const name = `d${Date.now()}.test`;
  const domain = await admin.domains.create({ name });
  assert.equal((await admin.domains.get(domain.id)).name, name);
  const account = await admin.accounts.create({ name: `a${Date.now()}`, addresses: [`a@${name}`], password: 'correct horse battery' });
  const sent = await admin.messages.send({ from: `a@${name}`, to: 'delivered@example.net', subject: 'For a', text: 'x' }, { account: account.id });
  await assert.rejects(posthouse.messages.get(sent.id), problem('not_found'));
});
