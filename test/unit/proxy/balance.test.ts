import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  type BalanceKind,
  type Candidate,
  chooseNext,
  type Draw,
  rampedWeight,
  type Turns,
} from '../../../src/proxy/balance.ts'

function candidate(name: string, changes: Partial<Candidate> = {}): Candidate {
  return { name, weight: 1, sessions: 0, connectionsMax: undefined, ...changes }
}

function draw(kind: BalanceKind, changes: Partial<Draw> = {}): Draw {
  return { kind, source: undefined, randoms: [], ...changes }
}

function turns(
  count: number,
  servers: (turn: number) => readonly Candidate[],
  kind: BalanceKind = 'roundrobin',
): string {
  let memory: Turns = new Map()
  const taken: string[] = []
  for (let turn = 0; turn < count; turn += 1) {
    const chosen = chooseNext(servers(turn), draw(kind), memory)
    memory = chosen.turns
    taken.push(chosen.name ?? '-')
  }
  return taken.join(' ')
}

const three = ['pg1', 'pg2', 'pg3'].map(name => candidate(name))

test('round robin gives each server its turn, from the first again after the last', () => {
  assert.equal(
    turns(5, () => three),
    'pg1 pg2 pg3 pg1 pg2',
  )
})

test('round robin passes over a server that goes and does not favour one that comes', () => {
  assert.equal(
    turns(6, turn => three.filter(({ name }) => turn !== 1 || name !== 'pg2')),
    'pg1 pg3 pg2 pg3 pg1 pg2',
  )
})

test('round robin mixes weights evenly instead of in blocks', () => {
  const weighted = [candidate('big', { weight: 3 }), candidate('small')]
  assert.equal(
    turns(8, () => weighted),
    'big big small big big big small big',
  )
})

test('leastconn gives servers of the same load their turns, so that short sessions do not all go to the first', () => {
  assert.equal(
    turns(6, () => three, 'leastconn'),
    'pg1 pg2 pg3 pg1 pg2 pg3',
  )
  const busy = candidate('pg1', { sessions: 1 })
  assert.equal(
    turns(6, turn => (turn % 2 === 0 ? three : [busy, ...three.slice(1)]), 'leastconn'),
    'pg1 pg2 pg3 pg2 pg3 pg2',
  )
})

test('leastconn takes the fewest sessions for its weight', () => {
  const servers = [candidate('pg1', { sessions: 4, weight: 4 }), candidate('pg2', { sessions: 2 })]
  assert.equal(chooseNext(servers, draw('leastconn'), new Map()).name, 'pg1')
})

test('first fills one server before the next', () => {
  const servers = (sessions: number) => [candidate('pg1', { sessions, connectionsMax: 2 }), candidate('pg2')]
  assert.equal(chooseNext(servers(1), draw('first'), new Map()).name, 'pg1')
  assert.equal(chooseNext(servers(2), draw('first'), new Map()).name, 'pg2')
})

test('source sends one client to one server, and many clients to all', () => {
  const chosen = (source: string) => chooseNext(three, draw('source', { source }), new Map()).name
  assert.equal(chosen('10.0.0.7'), chosen('10.0.0.7'))
  const all = Array.from({ length: 60 }, (_, index) => chosen(`10.0.0.${index}`))
  for (const { name } of three) assert.ok(all.filter(one => one === name).length > 8, name)
})

test('random takes the less loaded of its draws', () => {
  const servers = [candidate('pg1', { sessions: 9 }), candidate('pg2', { sessions: 1 }), candidate('pg3')]
  assert.equal(chooseNext(servers, draw('random', { randoms: [0.1, 0.5] }), new Map()).name, 'pg2')
  assert.equal(chooseNext(servers, draw('random', { randoms: [0.1] }), new Map()).name, 'pg1')
})

test('a server that comes back gets its weight slowly, from a tenth on', () => {
  const weights = [0, 500, 5000, 10_000].map(sinceMs => rampedWeight(100, 10_000, sinceMs))
  assert.deepEqual(weights, [10, 10, 50, 100])
})

test('for all balances and loads: a server without weight or place is never chosen, and one with both always is found', () => {
  const server = fc.record({
    weight: fc.integer({ min: 0, max: 3 }),
    sessions: fc.integer({ min: 0, max: 5 }),
    connectionsMax: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  })
  const kinds = fc.constantFrom<BalanceKind>('roundrobin', 'leastconn', 'source', 'first', 'random')
  fc.assert(
    fc.property(
      kinds,
      fc.array(server, { maxLength: 5 }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 3 }),
      (kind, made, randoms) => {
        const servers = made.map((one, index) => ({ name: `pg${index}`, ...one }))
        const { name } = chooseNext(servers, draw(kind, { randoms, source: '10.0.0.1' }), new Map())
        const isFree = ({ weight, sessions, connectionsMax }: (typeof servers)[number]) =>
          weight > 0 && sessions < (connectionsMax ?? Number.POSITIVE_INFINITY)
        const found = servers.find(one => one.name === name)
        assert.equal(found === undefined, !servers.some(isFree))
        assert.ok(found === undefined || isFree(found))
      },
    ),
  )
})
