// Server-sent events (WHATWG HTML §9.2) that resume by themselves after a break, without gaps.

import { PosthouseError, ProblemError } from './errors.js';
import { backoff, sleep } from './transport.js';

/** The server says something every 15 seconds. */
export const SILENCE = 45_000;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
/** Longest event, in characters. */
const LONGEST_EVENT = 64 * 1024 * 1024;

interface Message {
  id: string | undefined;
  data: string | undefined;
}

/**
 * A stream without end: iterate with `for await`, and `break` or abort its signal to stop. After a
 * break of the connection it goes on behind the last event, for as long as it takes.
 */
export class EventStream<T> implements AsyncIterable<T> {
  /** Where the stream goes on after a break. */
  lastEventId: string | undefined;
  readonly #open: (lastEventId: string | undefined) => Promise<Response>;
  readonly #silence: number;
  readonly #signal: AbortSignal | undefined;

  constructor(
    open: (lastEventId: string | undefined) => Promise<Response>,
    silence: number,
    signal: AbortSignal | undefined,
  ) {
    this.#open = open;
    this.#silence = silence;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    // The first connection fails like any request: then something is wrong with the request.
    let response: Response | undefined = await this.#open(this.lastEventId);
    for (let failures = 0; ; failures += 1) {
      if (response) {
        for await (const message of messages(response, this.#silence)) {
          failures = 0;
          this.lastEventId = message.id ?? this.lastEventId;
          if (message.data !== undefined) yield parse<T>(message.data);
        }
      }
      await sleep(backoff(failures, FIRST_WAIT, LONGEST_WAIT), this.#signal);
      response = await this.#reopen();
    }
  }

  async #reopen(): Promise<Response | undefined> {
    try {
      return await this.#open(this.lastEventId);
    } catch (error) {
      this.#signal?.throwIfAborted();
      if (error instanceof ProblemError && error.status < 500 && !error.retryable) throw error;
      return undefined;
    }
  }
}

/** The events of one connection, until it ends, breaks or is silent for too long. */
async function* messages(response: Response, silence: number): AsyncGenerator<Message, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const chunk = await within(silence, reader.read());
      if (!chunk || chunk.done) return;
      // A CR at the end may be half a CRLF.
      text += decoder.decode(chunk.value, { stream: true });
      const isCut = text.endsWith('\r');
      const blocks = (isCut ? text.slice(0, -1) : text).replace(/\r\n?/g, '\n').split('\n\n');
      text = (blocks.pop() ?? '') + (isCut ? '\r' : '');
      if (text.length > LONGEST_EVENT) {
        throw new PosthouseError('unexpected_answer', 'an event of the stream has no end');
      }
      for (const block of blocks) yield message(block);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Nothing when the connection broke or was silent for too long. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work.catch(() => undefined), silence]);
  } finally {
    clearTimeout(timer);
  }
}

function message(block: string): Message {
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === 'data') data.push(value ?? '');
    if (name === 'id') id = value;
  }
  return { id, data: data.length > 0 ? data.join('\n') : undefined };
}

function parse<T>(data: string): T {
  try {
    return JSON.parse(data) as T;
  } catch (cause) {
    throw new PosthouseError('unexpected_answer', 'an event of the stream is not JSON', { cause });
  }
}
