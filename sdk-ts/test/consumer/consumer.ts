// An application's view of the types: compiled with --strict, not run.

import { type AnyEvent, type Message, Posthouse, ProblemError, type Submission, webhooks } from 'posthouse';

const client = new Posthouse({ apiKey: 'phk_…', baseUrl: 'https://mail.example.com' });

export async function send(scheduled: string | undefined): Promise<Submission['id']> {
  const options = { idempotencyKey: 'order-7', signal: AbortSignal.timeout(5_000) };
  // @ts-expect-error `from` is required
  await client.messages.send({ to: 'bob@example.net' });
  // @ts-expect-error there is no such field
  await client.messages.send({ from: 'a@example.com', recipient: 'bob@example.net' });
  // @ts-expect-error deleting takes no idempotency key
  await client.suppressions.delete('sup_1', { idempotencyKey: 'x' });
  const scheduled_at = scheduled ?? null;
  const sent = await client.messages.send({ from: 'a@example.com', to: { email: 'b@example.net' }, scheduled_at }, options);
  return sent.id;
}

export async function subjects(): Promise<string[]> {
  const messages: Message[] = (await client.messages.list({ limit: 10 })).data;
  for await (const message of client.messages.list()) messages.push(message);
  return messages.map(({ subject }) => subject);
}

export function explain(error: unknown): string {
  if (!(error instanceof ProblemError)) throw error;
  switch (error.code) {
    case 'rate_limited':
      return `again in ${error.retryAfter ?? 1} s`;
    case 'invalid_input':
      return error.errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join();
    // @ts-expect-error there is no such code
    case 'no_such_code':
      return '';
    default:
      return error.detail;
  }
}

export async function handle(request: Request, secret: string): Promise<string | null> {
  const event: AnyEvent = await webhooks.verify(request.headers, await request.arrayBuffer(), secret);
  switch (event.type) {
    case 'delivery.failed':
    case 'delivery.bounced':
      return event.data.recipient;
    case 'mail.received':
      // @ts-expect-error that is of deliveries
      event.data.recipient;
      return event.data.text ?? event.data.subject;
    default:
      return event.id;
  }
}
