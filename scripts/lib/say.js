// What the scripts tell the person who runs them: one line a step, errors without a stack.

/** Something the person has to change; printed as it is, exit code 1. */
export class SetupError extends Error {}

/**
 * Prints one line about a step.
 * @param {string} text
 */
export function say(text) {
  process.stdout.write(`pgherd: ${text}\n`)
}

/**
 * Runs a script's main function; a SetupError ends in one line, anything else keeps its stack because it is our mistake.
 * @param {() => Promise<number>} main resolves to the exit code
 */
export async function runMain(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    const text =
      error instanceof SetupError ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`pgherd: ${text}\n`)
    process.exitCode = 1
  }
}
