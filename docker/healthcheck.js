// Asks a port of this container over HTTP; exit code 0 when the answer is 200. Usage: node healthcheck.js PORT PATH

const [port, path] = process.argv.slice(2)
const LIMIT_MS = 3_000

try {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(LIMIT_MS) })
  await answer.body?.cancel()
  if (!answer.ok) process.stderr.write(`${path} answered ${answer.status}\n`)
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  process.stderr.write(`${path} did not answer: ${error}\n`)
  process.exitCode = 1
}
