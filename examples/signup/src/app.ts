// People sign up, get a mail, and the application follows what becomes of it by webhooks.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AnyEvent, Posthouse, ProblemError, WebhookError, webhooks } from 'posthouse';

export interface User {
  email: string;
  /** `invited`: on its way; `reached`: it arrived; `unreachable`: it cannot; `answered`: they wrote back. */
  state: 'invited' | 'reached' | 'unreachable' | 'answered';
  /** Why the address does not work, or what they wrote. */
  note?: string;
}

export interface Settings {
  baseUrl: string;
  apiKey: string;
  /** Who the mails are from: an address of the account. */
  from: string;
}

export class Signup {
  /** A database, in a real application. */
  readonly users = new Map<string, User>();
  readonly #client: Posthouse;
  readonly #from: string;
  /** Message to user, and the events that were handled. */
  readonly #messages = new Map<string, string>();
  readonly #handled = new Set<string>();
  #secret = '';

  constructor(settings: Settings) {
    this.#client = new Posthouse(settings);
    this.#from = settings.from;
  }

  /** Asks for events; `url` is where this application can be reached. */
  async subscribe(url: string): Promise<void> {
    const event_types = ['delivery.*', 'mail.received'];
    const hook = await this.#client.webhooks.create({ url: `${url}/hook`, event_types });
    this.#secret = hook.secret;
  }

  server(): Server {
    return createServer(async (request, response) => {
      const { status, body } = await this.#route(request).catch((error: unknown) => {
        console.error(error);
        return { status: 500, body: 'try again' };
      });
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }

  async #route(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (request.method !== 'POST') return { status: 200, body: Object.fromEntries(this.users) };
    try {
      if (request.url === '/hook') {
        const seen = (id: string) => this.#handled.has(id);
        const event = await webhooks.verify(request.headers, body, this.#secret, { seen });
        await this.#react(event);
        this.#handled.add(event.id);
        return { status: 200, body: 'taken' };
      }
      return { status: 202, body: await this.signUp(new URLSearchParams(body.toString()).get('email') ?? '') };
    } catch (error) {
      if (error instanceof WebhookError) return { status: error.code === 'replayed' ? 200 : 400, body: error.code };
      if (error instanceof ProblemError && error.code === 'invalid_input') return { status: 422, body: error.errors };
      throw error;
    }
  }

  async signUp(email: string): Promise<string> {
    const user = crypto.randomUUID();
    this.users.set(user, { email, state: 'invited' });
    const mail = {
      from: this.#from,
      to: email,
      subject: 'Welcome',
      text: 'Good to see you. Any questions? Just answer this mail.',
      tags: ['signup'],
      metadata: { user },
    };
    // The same key when the program tries again: nobody gets two mails.
    const sent = await this.#client.messages.send(mail, { idempotencyKey: `signup-${user}` }).catch((error: unknown) => {
      this.users.delete(user);
      throw error;
    });
    this.#messages.set(sent.id, user);
    return user;
  }

  async #react(event: AnyEvent): Promise<void> {
    switch (event.type) {
      case 'delivery.delivered':
        return this.#update(event.data.metadata['user'], 'reached');
      case 'delivery.failed':
      case 'delivery.suppressed':
      case 'delivery.bounced':
        return this.#update(event.data.metadata['user'], 'unreachable', event.data.reply ?? undefined);
      case 'mail.received': {
        const user = this.#messages.get(event.data.refers_to ?? '');
        const isAnswer = event.data.headers.in_reply_to.length > 0;
        // Answering what programs write would never end.
        if (!user || !isAnswer || event.data.automated || event.data.dsn) return;
        this.#update(user, 'answered', event.data.text ?? undefined);
        const text = 'Thank you, a human will read this soon.';
        await this.#client.mail.reply(event.data.mail_id, { text }, { idempotencyKey: event.id });
      }
    }
  }

  #update(id: string | undefined, state: User['state'], note?: string): void {
    const user = this.users.get(id ?? '');
    if (user) this.users.set(id ?? '', { ...user, state, ...(note && { note }) });
  }
}
