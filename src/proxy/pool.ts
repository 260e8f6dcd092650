// Which backend a listener's next session goes to.

import type { PoolKind } from '../config/proxy/types.ts'
import type { Backend } from './backend.ts'
import { nextInTurn } from './balance.ts'
import type { Router } from './router.ts'

/** Chooses backends for one listener. */
export interface Pool {
  /** A backend that has not been tried; undefined when there is none now. */
  choose(tried: ReadonlySet<string>): Backend | undefined
  /** Where a cancel request with an unknown key may belong: a TLS session hides its key. */
  candidates(): readonly Backend[]
}

/** The pool that a listener's configuration asks for. */
export function createPool(kind: PoolKind, fallback: 'leader' | 'none', router: Router): Pool {
  return kind === 'leader' ? new LeaderPool(router) : new ReplicaPool(router, fallback === 'leader')
}

class LeaderPool implements Pool {
  readonly #router: Router

  constructor(router: Router) {
    this.#router = router
  }

  choose(): Backend | undefined {
    return this.#router.writeBackend()
  }

  candidates(): readonly Backend[] {
    const leader = this.#router.writeBackend()
    return leader === undefined ? [] : [leader]
  }
}

/** Replicas in turn; the leader only when there is no replica left. */
class ReplicaPool implements Pool {
  readonly #router: Router
  readonly #fallsBack: boolean
  #last: string | undefined

  constructor(router: Router, fallsBack: boolean) {
    this.#router = router
    this.#fallsBack = fallsBack
  }

  choose(tried: ReadonlySet<string>): Backend | undefined {
    const replicas = this.#router.readBackends().filter(backend => !tried.has(backend.name))
    const name = nextInTurn(
      replicas.map(backend => backend.name),
      this.#last,
    )
    if (name !== undefined) {
      this.#last = name
      return replicas.find(backend => backend.name === name)
    }
    const leader = this.#fallsBack ? this.#router.writeBackend() : undefined
    return leader !== undefined && !tried.has(leader.name) ? leader : undefined
  }

  candidates(): readonly Backend[] {
    const leader = this.#fallsBack ? this.#router.writeBackend() : undefined
    return leader === undefined ? this.#router.readBackends() : [...this.#router.readBackends(), leader]
  }
}
