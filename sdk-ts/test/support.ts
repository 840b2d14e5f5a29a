// What the tests share: the running server, receivers, and a way to send mail in from outside.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Posthouse } from 'posthouse';

/** The line of JSON that `posthouse localserve --json` prints. */
interface Localserve {
  http_url: string;
  smtp: number;
  api_key: string;
  admin_api_key: string;
  account: { address: string };
}

export function localserve(): Localserve {
  const line = process.env['POSTHOUSE_LOCALSERVE'];
  if (!line) throw new Error('run the tests with `npm test`, which starts a server');
  return JSON.parse(line) as Localserve;
}

export function client(): Posthouse {
  const { http_url, api_key } = localserve();
  return new Posthouse({ baseUrl: http_url, apiKey: api_key });
}

/** A server on loopback that ends with the test. */
export async function listen(
  test: { after(end: () => Promise<void>): void },
  listener: RequestListener,
): Promise<{ url: string; server: Server }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Sends a message in by SMTP, as another mail server does. */
export async function deliver(from: string, to: string, message: string): Promise<void> {
  const socket = connect(localserve().smtp, '127.0.0.1');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const expect = async (digit: string) => {
    for (;;) {
      const { value } = (await lines.next()) as { value: string | undefined };
      if (value?.[0] !== digit) throw new Error(`SMTP: ${value}`);
      if (value[3] !== '-') return;
    }
  };
  await expect('2');
  for (const command of ['EHLO client.example', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`]) {
    socket.write(`${command}\r\n`);
    await expect('2');
  }
  socket.write('DATA\r\n');
  await expect('3');
  socket.write(`${message.replaceAll('\n', '\r\n')}\r\n.\r\n`);
  await expect('2');
  socket.end('QUIT\r\n');
}

/** Waits for what comes soon. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let tries = 0; tries < 200; tries += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it did not happen within 20 s');
}
