// Messages to another thread, sent together once in a round of the event loop: each sending wakes the other thread.

/** The part of a MessagePort that is needed. */
export interface Sender<M> {
  postMessage(messages: readonly M[]): void
}

export class Batch<M> {
  readonly #sender: Sender<M>
  #messages: M[] = []

  constructor(sender: Sender<M>) {
    this.#sender = sender
  }

  post(message: M): void {
    this.#messages.push(message)
    if (this.#messages.length === 1) setImmediate(() => this.flush())
  }

  /** Sends what there is. */
  flush(): void {
    if (this.#messages.length === 0) return
    const messages = this.#messages
    this.#messages = []
    this.#sender.postMessage(messages)
  }
}
