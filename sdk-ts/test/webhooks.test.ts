// What a receiver of webhooks refuses, each with its code.

import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomBytes, sign as signWith } from 'node:crypto';
import { test } from 'node:test';
import { type WebhookErrorCode, webhooks } from 'posthouse';

const newSecret = (octets = 32) => `whsec_${randomBytes(octets).toString('base64')}`;
const secret = newSecret();
const now = new Date('2026-11-21T10:00:00Z');
const time = now.getTime() / 1000;
const body = JSON.stringify({ id: 'evt_1', type: 'delivery.delivered', seq: 17, data: { subject: 'Grüße' } });

function sign(key: string, content: string, id = 'evt_1', at: string | number = time): string {
  const bytes = Buffer.from(key.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', bytes).update(`${id}.${at}.${content}`).digest('base64')}`;
}

const fields = (signature = sign(secret, body), at: string | number = time) => ({
  'webhook-id': 'evt_1',
  'webhook-timestamp': String(at),
  'webhook-signature': signature,
});
const refused = (promise: Promise<unknown>, code: WebhookErrorCode) =>
  assert.rejects(promise, { name: 'WebhookError', code });

test('a signed request gives its event, whatever form header fields and body have', async () => {
  const asText = await webhooks.verify(fields(), body, secret, { now });
  assert.ok(asText.type === 'delivery.delivered' && asText.data.subject === 'Grüße');
  const octets = new TextEncoder().encode(body);
  assert.deepEqual(await webhooks.verify(new Headers(fields()), octets, secret, { now }), asText);
  const shouted = { 'Webhook-Id': 'evt_1', 'WEBHOOK-TIMESTAMP': String(time), 'Webhook-Signature': [sign(secret, body)] };
  assert.deepEqual(await webhooks.verify(shouted, octets.buffer, [secret], { now }), asText);
});

test('while a secret is replaced, any of its signatures and any of the secrets will do', async () => {
  const [older, newer] = [newSecret(24), newSecret(64)];
  const both = fields(`v1a,AAAA ${sign(newer, body)} ${sign(older, body)} v2,xyz`);
  for (const secrets of [older, newer, [secret, older]]) {
    await webhooks.verify(both, body, secrets, { now });
  }
  await refused(webhooks.verify(both, body, secret, { now }), 'signature_invalid');
});

test('an endpoint with Ed25519 is checked with its public key, and with nothing else', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
  const made = signWith(null, Buffer.from(`evt_1.${time}.${body}`), privateKey).toString('base64');
  await webhooks.verify(fields(`v1,AAAA v1a,${made}`), body, `whpk_${raw}`, { now });
  await webhooks.verify(fields(`v1a,${made}`), body, [secret, `whpk_${raw}`], { now });
  const forged = [`v1,${made}`, sign(`whsec_${raw}`, body), `v1a,${sign(`whsec_${raw}`, body).slice(3)}`];
  for (const signature of forged) {
    await refused(webhooks.verify(fields(signature), body, `whpk_${raw}`, { now }), 'signature_invalid');
  }
  await refused(webhooks.verify(fields(`v1a,${made}`), `${body} `, `whpk_${raw}`, { now }), 'signature_invalid');
  await refused(webhooks.verify(fields(`v1a,${made}`), body, `whsec_${raw}`, { now }), 'signature_invalid');
  await refused(webhooks.verify(fields(`v1a,${made}`), body, 'whpk_AAAA', { now }), 'secret_invalid');
});

test('forged requests are refused', async () => {
  const verify = (...args: Parameters<typeof webhooks.verify>) => () => webhooks.verify(...args);
  const forged = [
    verify(fields(), body.replace('17', '18'), secret, { now }),
    verify({ ...fields(), 'webhook-id': 'evt_2' }, body, secret, { now }),
    verify({ ...fields(), 'webhook-timestamp': String(time + 1) }, body, secret, { now }),
    verify(fields(), body, newSecret(), { now }),
    verify(fields(sign(secret, body).slice(0, -4)), body, secret, { now }),
    verify(fields('v1,'), body, secret, { now }),
    verify(fields('v1,***'), body, secret, { now }),
    verify(fields(sign(secret, body).replace('v1,', 'v2,')), body, secret, { now }),
    verify(fields(`${'v1,AAAA '.repeat(16)}${sign(secret, body)}`), body, secret, { now }),
  ];
  for (const request of forged) await refused(request(), 'signature_invalid');
});

test('stale and early requests are refused, at five minutes unless said otherwise', async () => {
  const at = (seconds: number) => fields(sign(secret, body, 'evt_1', time + seconds), time + seconds);
  await webhooks.verify(at(-300), body, secret, { now });
  await webhooks.verify(at(300), body, secret, { now });
  await refused(webhooks.verify(at(-301), body, secret, { now }), 'timestamp_too_old');
  await refused(webhooks.verify(at(301), body, secret, { now }), 'timestamp_in_future');
  await refused(webhooks.verify(at(-11), body, secret, { now, toleranceSeconds: 10 }), 'timestamp_too_old');
  for (const text of ['', '-1', '1e9', '0x10', `${time}.5`, '9'.repeat(20), 'NaN']) {
    const code = text === '' ? 'headers_missing' : 'timestamp_invalid';
    await refused(webhooks.verify(fields(sign(secret, body, 'evt_1', text), text), body, secret, { now }), code);
  }
  await refused(webhooks.verify(fields(), body, secret), 'timestamp_too_old');
});

test('a repeated request is refused when the receiver knows its id, a forged one before that', async () => {
  const handled = new Set<string>();
  const seen = (id: string) => handled.has(id);
  const event = await webhooks.verify(fields(), body, secret, { now, seen });
  handled.add(event.id);
  await refused(webhooks.verify(fields(), body, secret, { now, seen }), 'replayed');
  await refused(webhooks.verify(fields('v1,AAAA'), body, secret, { now, seen }), 'signature_invalid');
});

test('requests without their header fields, secrets and bodies of another form are refused', async () => {
  for (const name of Object.keys(fields())) {
    await refused(webhooks.verify({ ...fields(), [name]: undefined }, body, secret, { now }), 'headers_missing');
  }
  for (const wrong of ['', 'whsec_', 'whsec_???', newSecret(23), newSecret(65), secret.slice(6), []]) {
    const code = Array.isArray(wrong) ? 'signature_invalid' : 'secret_invalid';
    await refused(webhooks.verify(fields(), body, wrong, { now }), code);
  }
  for (const text of ['', '{', 'null', '[]', '{"type":1}']) {
    await refused(webhooks.verify(fields(sign(secret, text)), text, secret, { now }), 'body_invalid');
  }
});
