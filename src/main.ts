#!/usr/bin/env -S node --max-semi-space-size=2
// A small young heap: a proxy with thousands of sessions needs a third less memory, and is not slower (docs/bench.md).
//
// Reads the command word and hands over; nothing else.

import { runProgram } from './commands/program.ts'

await runProgram(process.argv)
