// Lists: await one for its first page, or iterate over all items.

/** A part of a list. */
export interface Page<T> {
  object: string;
  data: T[];
  /** There are items after these. */
  has_more: boolean;
  /** The `cursor` of the items after these. */
  next_cursor?: string | null;
  /** The `cursor` of the items before these. */
  prev_cursor?: string | null;
}

/**
 * A list. `await` gives its first page, `for await` all its items; pages are fetched as they are
 * needed.
 */
export class Pages<T> implements AsyncIterable<T>, PromiseLike<Page<T>> {
  readonly #load: (cursor?: string) => Promise<Page<T>>;

  constructor(load: (cursor?: string) => Promise<Page<T>>) {
    this.#load = load;
  }

  then<A = Page<T>, B = never>(
    done?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#load().then(done, failed);
  }

  /** All pages. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let page = await this.#load();
    for (;;) {
      yield page;
      if (!page.has_more || !page.next_cursor) return;
      page = await this.#load(page.next_cursor);
    }
  }

  /** All items. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.data;
  }
}
