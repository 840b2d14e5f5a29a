// Lists and streams, against a server that does what the test says.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { Posthouse, ProblemError } from 'posthouse';
import { listen } from './support.js';

const connect = (url: string) => new Posthouse({ baseUrl: url, apiKey: 'phk_test' });
const head = { 'content-type': 'text/event-stream' };
const frame = (seq: number) => `id: ${seq}\nevent: webhook.test\ndata: {"seq":${seq},\ndata: "type":"webhook.test"}\n\n`;

test('a list is its first page, or all its items, and pages are fetched as needed', async (t) => {
  const urls: string[] = [];
  const { url } = await listen(t, (request, response) => {
    urls.push(request.url ?? '');
    const page = Number(new URL(`http://x${request.url}`).searchParams.get('cursor') ?? 1);
    const next = page < 3 ? { has_more: true, next_cursor: String(page + 1) } : { has_more: false };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ object: 'list', data: [{ id: `a${page}` }, { id: `b${page}` }], ...next }));
  });
  const client = connect(url);
  const page = await client.messages.list({ limit: 2, tag: 'x' });
  assert.deepEqual([page.data.length, page.next_cursor], [2, '2']);
  const ids: string[] = [];
  for await (const message of client.messages.list({ limit: 2, tag: 'x' })) {
    ids.push(message.id);
    if (ids.length === 5) break;
  }
  assert.deepEqual(ids, ['a1', 'b1', 'a2', 'b2', 'a3']);
  assert.equal(urls.at(-1), '/v1/messages?limit=2&tag=x&cursor=3');
  const first = [];
  for await (const message of client.messages.list()) if (first.push(message.id) === 1) break;
  assert.equal(urls.length, 5);
});

test('a stream goes on behind the last event after every kind of break', async (t) => {
  const asked: (string | undefined)[] = [];
  const breaks = [
    // Before the first event: the greeting says where to resume.
    (response: ServerResponse) => response.writeHead(200, head).end(': hello\nid: 6\n\n'),
    // In the middle of an event.
    (response: ServerResponse) => {
      response.writeHead(200, head).write(`${frame(7)}: still here\n\nid: 8\ndata: {"se`);
      setTimeout(() => response.destroy(), 50);
    },
    (response: ServerResponse) => response.writeHead(503).end(),
    // Silence; CRLF, cut between CR and LF.
    (response: ServerResponse) => {
      const text = frame(8).replaceAll('\n', '\r\n');
      const cut = text.indexOf(',\r') + 2;
      response.writeHead(200, head).write(text.slice(0, cut));
      setTimeout(() => response.write(text.slice(cut)), 50);
    },
    (response: ServerResponse) => response.writeHead(200, head).write(frame(9)),
  ];
  const { url } = await listen(t, (request, response) => {
    asked.push(request.headers['last-event-id'] as string | undefined);
    breaks[asked.length - 1]?.(response);
  });
  const seqs: number[] = [];
  for await (const event of connect(url).events.stream({ types: 'webhook.*' }, { timeout: 300, maxRetries: 0 })) {
    seqs.push(event.seq);
    if (seqs.length === 3) break;
  }
  assert.deepEqual(seqs, [7, 8, 9]);
  assert.deepEqual(asked, [undefined, '6', '7', '7', '8']);
});

test('a stream that is refused ends, at once or later, and so does one that is aborted', async (t) => {
  let connections = 0;
  const { url } = await listen(t, (_, response) => {
    connections += 1;
    if (connections === 1) return response.writeHead(200, head).end(frame(1));
    const body = { code: 'invalid_credentials', status: 401, retryable: false, detail: 'gone' };
    return response.writeHead(401, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body));
  });
  const read = async () => {
    for await (const event of connect(url).events.stream()) assert.equal(event.seq, 1);
  };
  const isRefusal = (error: unknown) => error instanceof ProblemError && error.code === 'invalid_credentials';
  await assert.rejects(read(), isRefusal);
  assert.equal(connections, 2);
  await assert.rejects(read(), isRefusal);
  assert.equal(connections, 3);

  const open = await listen(t, (_, response) => response.writeHead(200, head).write(frame(1)));
  const stop = new AbortController();
  const aborted = async () => {
    for await (const _ of connect(open.url).events.stream({}, { signal: stop.signal })) stop.abort();
  };
  await assert.rejects(aborted(), { name: 'AbortError' });
});
