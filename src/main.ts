#!/usr/bin/env node
// Reads the command word and hands over; nothing else.

import { runProgram } from './commands/program.ts'

await runProgram(process.argv)
