// The names of operations follow from their ids.

import assert from 'node:assert/strict';
import { test } from 'node:test';

test('methods are operation ids without the resource', async () => {
  const path = '../../scripts/names.mjs';
  const { methodName, resourceName, typeName } = await import(path);
  const cases = [
    ['/v1/messages', 'send_message', 'messages', 'send'],
    ['/v1/messages/raw', 'send_raw_message', 'messages', 'sendRaw'],
    ['/v1/messages/{id}/deliveries', 'list_message_deliveries', 'messages', 'listDeliveries'],
    ['/v1/deliveries/{id}', 'get_delivery', 'deliveries', 'get'],
    ['/v1/mail/{id}/reply', 'reply_to_mail', 'mail', 'reply'],
    ['/v1/mail/bulk', 'change_many_mails', 'mail', 'changeMany'],
    ['/v1/mailboxes/{id}', 'get_mailbox', 'mailboxes', 'get'],
    ['/v1/addresses', 'list_addresses', 'addresses', 'list'],
    ['/v1/aliases', 'create_alias', 'aliases', 'create'],
    ['/v1/api-keys', 'create_api_key', 'apiKeys', 'create'],
    ['/v1/queue/holds', 'create_queue_hold', 'queue', 'createHold'],
    ['/v1/sandbox/messages/wait', 'wait_for_sandbox_message', 'sandbox', 'waitForMessage'],
    ['/healthz', 'check_health', 'meta', 'checkHealth'],
  ] as const;
  for (const [url, id, resource, method] of cases) {
    assert.equal(resourceName(url, { tags: ['meta'] }), resource);
    assert.equal(methodName(resource, id), method);
  }
  assert.equal(typeName('List_Message'), 'ListMessage');
});
