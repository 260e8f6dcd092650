// Whether we may enter the race at all: what can be judged without asking anybody. Each question is a row; the first that
// has an answer decides.

import { clusterTimeline } from '../../cluster/history.ts'
import { mayLead } from '../../cluster/member.ts'
import type { FailoverRequest } from '../../cluster/request.ts'
import { isInSync } from '../../cluster/sync.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import { no, syncPromise, type Verdict, walPosition, yes } from '../race.ts'
import type { Snapshot } from '../snapshot.ts'
import { sameName } from '../sync/names.ts'
import { isDeaf, isStorageHung } from './say.ts'

type Question = (snapshot: Snapshot, view: ClusterView, facts: ServerFacts) => Verdict | undefined

/** May we take part? With the reason when not. */
export function gate(snapshot: Snapshot, view: ClusterView, facts: ServerFacts): Verdict {
  for (const question of questions) {
    const verdict = question(snapshot, view, facts)
    if (verdict !== undefined) return verdict
  }
  return yes
}

/** A primary that runs already is not promoted by taking its key again. */
const tags: Question = ({ self }, _view, facts) =>
  mayLead(self) || facts.role === 'primary'
    ? undefined
    : no('following a different leader because I am not allowed to promote')

/** Where it is required, a member whose watchdog does not work promotes nothing. */
const watchdog: Question = ({ watchdog: state }, _view, facts) =>
  state.isHealthy || facts.role === 'primary' ? undefined : no('Watchdog device is not usable')

/**
 * A primary that was overtaken must not win by silence; a standby that was away must not lead with old data. In a standby
 * cluster timelines are the other cluster's, and who is behind gets what it lacks from there.
 */
const timeline: Question = ({ config }, view, facts) => {
  const cluster = clusterTimeline(view.history?.value)
  if (config.standbyCluster !== undefined) return undefined
  const counts = facts.role === 'primary' || config.checkTimeline
  if (cluster === undefined || !counts || facts.timeline >= cluster) return undefined
  const cure =
    facts.role === 'primary' ? '' : ' (check_timeline: somebody else has newer data and may come back)'
  return no(`my timeline ${facts.timeline} is behind the cluster's timeline ${cluster}${cure}`)
}

/**
 * Only those who have every acknowledged commit may lead. In quorum mode others may try: the votes decide. A primary that
 * the sync key does not name as its leader was overtaken, be it that nobody could write the history any more.
 */
const synchronous: Question = ({ self, config }, view, facts) => {
  const promise = syncPromise(config, view)
  if (promise !== undefined && facts.role === 'primary') {
    const { leader } = promise
    if (leader !== undefined && sameName(leader, self.name)) return undefined
    return no(`the sync key names ${leader ?? 'nobody'} as leader: I was overtaken`)
  }
  if (promise === undefined || isInSync(promise, self.name)) return undefined
  const request = immediate(view)
  const isManualFailover = request?.candidate === self.name && request.leader === undefined
  if (isManualFailover || (config.synchronousMode === 'quorum' && request?.leader === undefined))
    return undefined
  return no('I am no synchronous standby: I may lack commits that were acknowledged')
}

/** How long others wait for the one whom the operator named: after that the most advanced one leads. */
const HEED_REQUEST_MS = 10_000

/** The ttl may have been made shorter since a promise was given that we do not remember: at least the usual one is waited for. */
const FORGOTTEN_PROMISE_MS = 30_000

/**
 * A leader may live on without etcd on the strength of our word, and of nobody's who is not in the key. Undefined: nothing of
 * that kind keeps us from the race.
 */
export const failsafe: Question = ({ self, config, failsafe: state, ageMs }, view, facts) => {
  if (!config.isFailsafeMode) return undefined
  if (state.promisedTo !== undefined)
    return no(`${state.promisedTo} leads in failsafe mode, and I have accepted it`)
  const members = view.failsafe
  if (members === undefined || facts.role === 'primary') return undefined
  if (members[self.name] === undefined) return no('I am not in the failsafe key')
  const isAlone = Object.keys(members).length === 1
  if (isAlone || ageMs >= Math.max(config.ttlSeconds * 1000, FORGOTTEN_PROMISE_MS)) return undefined
  return no('I have just started: in failsafe mode a leader may count on a promise that I do not remember')
}

const request: Question = ({ self, leaderlessMs }, view) => {
  const asked = immediate(view)
  if (asked === undefined || leaderlessMs > HEED_REQUEST_MS) return undefined
  if (asked.candidate !== undefined && asked.candidate !== self.name) {
    const candidate = view.members.get(asked.candidate)
    if (candidate?.state === 'running' && mayLead(candidate))
      return no(`${asked.candidate} is the named candidate`)
  }
  if (asked.leader === self.name && asked.candidate !== self.name && othersCanLead(view, self.name)) {
    return no('I am the leader that this switchover takes over from')
  }
  return undefined
}

/** It could not be promoted, or nobody could connect. */
const deaf: Question = ({ server, config }, _view, facts) => {
  if (facts.role !== 'replica') return undefined
  if (isDeaf({ server, config })) return no('my server hangs: it answers no new connection')
  if (isStorageHung({ server, config })) return no('my storage hangs: it takes no write')
  const refusal = server.storage?.refusal
  return refusal === undefined ? undefined : no(`my storage refuses writes: ${refusal}`)
}

const lag: Question = ({ self, config }, view, facts) => {
  const { optime } = view.status
  if (immediate(view)?.candidate === self.name || facts.role !== 'replica' || optime === undefined)
    return undefined
  const lagBytes = optime - walPosition(facts)
  if (lagBytes <= config.maximumLagOnFailoverBytes) return undefined
  return no(`my position is ${lagBytes} bytes behind the last leader's, over maximum_lag_on_failover`)
}

const questions: readonly Question[] = [tags, watchdog, deaf, timeline, failsafe, synchronous, request, lag]

/** The request that is to be carried out now: a scheduled one is the leader's business. */
function immediate(view: ClusterView): FailoverRequest | undefined {
  const asked = view.request?.value
  return asked?.scheduledAt === undefined ? asked : undefined
}

function othersCanLead(view: ClusterView, me: string): boolean {
  return [...view.members.values()].some(
    member => member.name !== me && member.state === 'running' && mayLead(member),
  )
}
