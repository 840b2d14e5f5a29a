// Everything that can go wrong, each with a stable code.

import type { Problem, ProblemCode, ProblemFault } from './generated/types.gen.js';

/** The base of all errors of this package. */
export class PosthouseError extends Error {
  /** Stable code for programs. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The server refused the request; see `code` and `errors`. */
export class ProblemError extends PosthouseError {
  /** Code of the problem; `unexpected_answer`: the answer is not Posthouse's. Newer servers may have more. */
  declare readonly code: ProblemCode | 'unexpected_answer';
  /** HTTP status. */
  readonly status: number;
  /** What is wrong this time, for people. */
  readonly detail: string;
  /** Every fault of the request, with a JSON pointer to the field. */
  readonly errors: ProblemFault[];
  /** Identifies the request in the server's logs. */
  readonly requestId: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds to wait before that. */
  readonly retryAfter: number | undefined;

  constructor(response: Response, problem: Partial<Problem>) {
    const code = problem.code ?? 'unexpected_answer';
    const detail = problem.detail ?? `the server answered ${response.status}`;
    const faults = (problem.errors ?? []).map((fault) => `${fault.pointer}: ${fault.detail}`);
    super(code, [`${detail} (${code})`, ...faults].join('; '));
    this.status = response.status;
    this.detail = detail;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? response.headers.get('request-id') ?? undefined;
    this.retryAfter = seconds(response.headers.get('retry-after'));
    this.retryable = problem.retryable ?? [429, 503].includes(response.status);
  }

  /** Reads the problem of an answer; what stands between may answer with anything. */
  static async of(response: Response): Promise<ProblemError> {
    const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json');
    const problem: unknown = isProblem ? await response.json().catch(() => ({})) : {};
    if (!isProblem) await response.body?.cancel().catch(() => {});
    return new ProblemError(response, (problem ?? {}) as Partial<Problem>);
  }
}

/** The server cannot be reached, or the connection broke. */
export class ConnectionError extends PosthouseError {
  constructor(cause: unknown) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const text = inner instanceof Error ? inner.message : String(inner);
    super('connection_failed', `the connection to the server failed: ${text}`, { cause });
  }
}

/** The server took longer than `timeout`. */
export class TimeoutError extends PosthouseError {
  constructor(milliseconds: number) {
    super('timeout', `the server did not answer within ${milliseconds} ms`);
  }
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
function seconds(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}
